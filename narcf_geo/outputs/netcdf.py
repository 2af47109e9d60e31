"""The flux product as one CF-1.11 NetCDF4 file, or as a Zarr store of the same content."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from narcf_geo.core.constants import FLUX_SIGN, FLUX_UNITS, IGBP
from narcf_geo.core.errors import FieldError
from narcf_geo.core.files import atomic_path
from narcf_geo.core.months import with_month_axis
from narcf_geo.core.provenance import VERSION
from narcf_geo.fields import class_field, open_flux
from narcf_geo.grid import Grid

_STANDARD_NAME = "surface_upward_mole_flux_of_carbon_dioxide"
_Variable = tuple[tuple[str, ...], np.ndarray, dict[str, Any]]
ANCILLARY = (
    "flux_std",
    "flux_lower",
    "flux_upper",
    "observed_std",
    "observed_lower",
    "observed_upper",
    "applicability",
    "applicable",
)
"""Uncertainty of the flux and where the model may be trusted: as the flux over time and space."""

LARGEST = 4_000_000_000
"""Bytes of the values in a NetCDF file, before they are compressed."""

_CHUNK = {"time": 24, "lat": 32, "lon": 64}

BLOCK = {"time": 24, "lat": 256, "lon": 256}
"""Of whole chunks of the file: how to open lazily what is large."""


def write_flux_netcdf(ds: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write the predicted flux and what belongs to it as CF-1.11 NetCDF4, whole or not at all.

    Two runs over the same values give the same bytes: nothing in the file says when it was written.

    Parameters
    ----------
    ds : xarray.Dataset
        ``flux`` (time, lat, lon) in umol m-2 s-1, positive to the atmosphere, NaN where missing;
        ``time`` at month starts. Optional: what belongs to the flux (`ANCILLARY`), ``biome``
        (lat, lon; IGBP class, -1 missing), ``land_fraction`` (lat, lon; 0 to 1). Other variables
        are left out, cell areas and bounds are those of the grid. Text and number attributes of
        `ds` are kept.
    path : path
        The ``.nc`` file.

    Raises
    ------
    NarcfError
        When ``flux`` is missing, has other dimensions or another unit.
    """
    import dask

    path = Path(path)
    product = _in_blocks(_product(product_fields(ds)))
    encoding = _encoding(product)
    lazy = [str(name) for name in product.data_vars if product[name].chunks]
    with atomic_path(path) as temporary, dask.config.set(scheduler="synchronous"):
        rest = product.drop_vars(lazy)
        known = {str(name): encoding[str(name)] for name in rest.variables}
        rest.to_netcdf(temporary, format="NETCDF4", engine="netcdf4", encoding=known)
        for name in lazy:  # block by block, in an order that is the same every time
            one = xr.Dataset({name: product[name].variable})
            one.to_netcdf(temporary, mode="a", engine="netcdf4", encoding={name: encoding[name]})
    return path


def write_flux_netcdfs(ds: xr.Dataset, folder: str | os.PathLike[str]) -> list[Path]:
    """Write ``flux.nc``, or ``flux_<year>.nc`` for each year where it would hold over 4 GB.

    Parameters
    ----------
    ds : xarray.Dataset
        As for `write_flux_netcdf`.
    folder : path
        Where the files go.
    """
    names = [name for name in ("flux", *ANCILLARY) if name in ds]
    if sum(4 * ds[name].size for name in names) <= LARGEST:
        return [write_flux_netcdf(ds, Path(folder) / "flux.nc")]
    years = ds["time"].dt.year.values
    return [
        write_flux_netcdf(ds.isel(time=years == year), Path(folder) / f"flux_{year}.nc")
        for year in np.unique(years)
    ]


def write_flux_zarr(
    ds: xr.Dataset, path: str | os.PathLike[str], version: Literal[2, 3] = 3
) -> Path:
    """Write what `write_flux_netcdf` writes as a Zarr store with consolidated metadata.

    One request then tells a reader over the network of all variables.

    Parameters
    ----------
    ds : xarray.Dataset
        As for `write_flux_netcdf`.
    path : path
        The ``.zarr`` folder.
    version : {3, 2}
        Of the format; 2 for older readers.
    """
    path = Path(path)
    product = _in_blocks(_product(product_fields(ds)))
    encoding: dict[str, dict[str, Any]] = {}
    for name, kept in _encoding(product).items():
        encoding[name] = {k: v for k, v in kept.items() if k in ("units", "calendar", "_FillValue")}
        if "chunksizes" in kept:
            encoding[name]["chunks"] = kept["chunksizes"]
    with atomic_path(path) as temporary, warnings.catch_warnings():
        # Zarr warns that its version 3 does not standardise what every reader understands.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        product.to_zarr(
            temporary, mode="w", consolidated=True, encoding=encoding, zarr_format=version
        )
    return path


def product_fields(ds: xr.Dataset) -> xr.Dataset:
    """Return what is to be written, past the door: ``flux`` (time, lat, lon) and its companions.

    Raises
    ------
    NarcfError
        When there is no flux along months, latitudes and longitudes.
    """
    ds = open_flux(ds, "flux")
    if ds["flux"].dims == ("lat", "lon"):
        if "time" not in ds.coords:
            raise FieldError(
                "expected the month of the flux, found no time; add it with "
                ".expand_dims(time=[...])"
            )
        monthly = [n for n in ("flux", *ANCILLARY) if n in ds]
        ds = ds.assign({n: ds[n].expand_dims("time") for n in monthly})
    if ds["flux"].dims != ("time", "lat", "lon"):
        raise FieldError(
            f"expected flux along months, latitudes and longitudes, found it along "
            f"{', '.join(map(str, ds['flux'].dims))}; regrid it first, with ng.regrid or "
            "`narcf-geo regrid`"
        )
    return ds


def _in_blocks(product: xr.Dataset) -> xr.Dataset:
    """Return what is lazy in blocks of whole chunks of a file, so that each is written once."""
    lazy = {name: a for name, a in product.data_vars.items() if a.chunks}
    return product.assign(
        {name: a.chunk({d: BLOCK[str(d)] for d in a.dims}) for name, a in lazy.items()}
    )


def _product(ds: xr.Dataset) -> xr.Dataset:
    grid = Grid.from_dataset(ds)
    out = xr.Dataset(coords=grid.coords())
    out["flux"] = _field(ds["flux"], _flux_attributes(ds))
    ancillary = [name for name in ANCILLARY if name in ds]
    for name in ancillary:
        out[name] = _flag_field(ds[name]) if name == "applicable" else _ancillary(ds[name])
    if ancillary:
        out["flux"].attrs["ancillary_variables"] = " ".join(ancillary)
    if "land_fraction" in ds:
        out["land_fraction"] = _field(
            ds["land_fraction"],
            {
                "standard_name": "land_area_fraction",
                "long_name": "fraction of the cell that is land",
                "units": "1",
            },
        )
    if "biome" in ds:
        out["biome"] = _biome(class_field(ds["biome"]))
    area = {
        "standard_name": "cell_area",
        "long_name": "area of the cell on the authalic sphere",
        "units": "m2",
    }
    out["cell_area"] = (("lat", "lon"), grid.area, area)
    out = with_month_axis(out.assign_coords(time=ds["time"].values), ds["time"].values)
    out["time"].attrs |= {"axis": "T", "units_metadata": "leap_seconds: none"}
    out["crs"] = _crs()
    for name in ("flux", *ancillary, "land_fraction", "biome"):
        if name in out:
            out[name].attrs |= {"grid_mapping": "crs", "cell_measures": "area: cell_area"}
    out.attrs = _global_attributes(ds, out)
    return out


def _field(data: xr.DataArray, attrs: dict[str, Any]) -> _Variable:
    return tuple(map(str, data.dims)), data.data.astype("float32"), attrs


def _flux_attributes(ds: xr.Dataset) -> dict[str, Any]:
    return {
        "standard_name": _STANDARD_NAME,
        "long_name": "net CO2 flux from the land to the atmosphere",
        "units": FLUX_UNITS,
        "sign": FLUX_SIGN,
        # Whether the mean is over the cell or over its land is for the prediction to say.
        "cell_methods": ds["flux"].attrs.get("cell_methods", "time: mean area: mean where land"),
    }


def _ancillary(data: xr.DataArray) -> _Variable:
    attrs = {
        "long_name": data.attrs.get("long_name", str(data.name)),
        "units": data.attrs.get("units", FLUX_UNITS),
    }
    if data.name == "flux_std":
        attrs = {"standard_name": f"{_STANDARD_NAME} standard_error", **attrs}
    for name in ("cell_methods", "comment"):
        if data.attrs.get(name):
            attrs[name] = data.attrs[name]
    return _field(data, attrs)


def _flag_field(data: xr.DataArray) -> _Variable:
    values = data.where(np.isfinite(data), -1).data.astype("int8")
    attrs = {
        "standard_name": "quality_flag",
        "long_name": data.attrs.get("long_name", "within the area of applicability"),
        "flag_values": np.arange(2, dtype="int8"),
        "flag_meanings": "not_applicable applicable",
    }
    return tuple(map(str, data.dims)), values, attrs


def _biome(biome: xr.DataArray) -> _Variable:
    values = biome.values.astype("int8")
    attrs = {
        "long_name": "majority IGBP land cover class",
        "flag_values": np.arange(len(IGBP), dtype="int8"),
        "flag_meanings": " ".join(_flag(cls.name) for cls in IGBP),
    }
    return tuple(map(str, biome.dims)), values, attrs


def _flag(name: str) -> str:
    return name.replace("/", "_").replace("-", "_").replace(" ", "_")


def _crs() -> _Variable:
    from pyproj import CRS

    return (), np.array(0, dtype="int32"), CRS.from_epsg(4326).to_cf()


def _global_attributes(ds: xr.Dataset, out: xr.Dataset) -> dict[str, Any]:
    first, last = out["time_bnds"].values.astype("datetime64[D]")[[0, -1], [0, 1]]
    kept = {k: v for k, v in ds.attrs.items() if isinstance(v, str | int | float) and v != ""}
    return {
        "title": "Monthly net CO2 flux of the land",
        "citation": f"The narcf-geo developers: narcf-geo, version {VERSION}; cite the data "
        "named in 'references' as well",
        "source": f"narcf-geo {VERSION}: neural network trained on an atmospheric inversion",
        "history": f"made by narcf-geo {VERSION}",
        **kept,
        "Conventions": "CF-1.11, CF-1.8, ACDD-1.3",
        **discovery(ds, Grid.from_dataset(ds)),
        "time_coverage_start": str(first),
        "time_coverage_end": str(last),
    }


def discovery(ds: xr.Dataset, grid: Grid) -> dict[str, Any]:
    """Return attributes by which catalogs find a product (ACDD 1.3)."""
    south, north, west, east = grid.extent
    doi = str(ds.attrs.get("doi", ""))
    return {
        "keywords": "carbon dioxide flux, net ecosystem exchange, land, upscaling",
        "standard_name_vocabulary": "CF Standard Name Table",
        "geospatial_lat_min": south,
        "geospatial_lat_max": north,
        "geospatial_lon_min": west,
        "geospatial_lon_max": east,
        "time_coverage_resolution": "P1M",
        **({"id": doi, "naming_authority": "org.doi"} if doi else {}),
    }


def _encoding(product: xr.Dataset) -> dict[str, dict[str, Any]]:
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in product.variables.items():
        kept = variable.encoding if name in ("time", "time_bnds") else {}
        encoding[str(name)] = {**kept, "_FillValue": None}
    for name in ("flux", *ANCILLARY, "land_fraction", "biome", "cell_area"):
        if name not in product:
            continue
        data = product[name]
        chunks = tuple(min(_CHUNK[str(d)], size) for d, size in data.sizes.items())
        encoding[name] |= {"zlib": True, "complevel": 4, "shuffle": True, "chunksizes": chunks}
        if name != "cell_area":
            whole = data.dtype == np.int8
            encoding[name]["_FillValue"] = np.int8(-1) if whole else np.float32(np.nan)
    return encoding
