"""Regrid a file: NetCDF, Zarr, GeoTIFF or GRIB in; NetCDF, Zarr or GeoTIFF out."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.files import atomic_path
from narcf_geo.grid import Grid
from narcf_geo.regridding.regridder import Quantity, regrid, regridded_names
from narcf_geo.regridding.weights import Weights, compute_weights, source_areas
from narcf_geo.regridding.weights_file import stored_weights

RASTERS = (".tif", ".tiff")
GRIB = (".grib", ".grb", ".grib2", ".grb2")
CHUNK_SIZE = "32MiB"


@dataclass(frozen=True)
class Summary:
    """What became of one variable.

    Attributes
    ----------
    variable : str
    source_grid, target_grid : str
        What the grids are, for people.
    coverage : float
        Part of the target's area that valid source cells cover, 0..1, mean over time.
    integral_before, integral_after : float
        Area integral (sum for totals) of the source over the target, and of the valid target
        cells over their covered part; mean over time and other dimensions.
    units : str
        Of the integrals.
    seconds : float
        For all variables of the file together.
    """

    variable: str
    source_grid: str
    target_grid: str
    coverage: float
    integral_before: float
    integral_after: float
    units: str
    seconds: float


def regrid_file(
    source_path: str | Path,
    target_path: str | Path,
    *,
    grid: Grid | float | tuple[float, float] | None = None,
    like: str | Path | None = None,
    bounds: tuple[float, float, float, float] | None = None,
    method: str = "conservative",
    min_coverage: float = 0.5,
    quantity: Quantity = "mean",
    weights: str | Path | None = None,
    variables: Sequence[str] | None = None,
) -> list[Summary]:
    """Regrid the variables of a file, block by block, and write the result whole.

    Parameters
    ----------
    source_path
        NetCDF, Zarr, GeoTIFF (``.tif``), or GRIB where cfgrib is installed.
    target_path
        ``.nc``, ``.zarr`` or ``.tif`` (one variable with at most one more dimension).
    grid
        The target: a `Grid`, or a resolution in degrees, one for both directions or
        (longitude, latitude).
    like
        A file whose grid is the target; instead of `grid`.
    bounds
        West, south, east, north in degrees for a resolution; the extent of the source, moved
        outwards to whole cells, when not given.
    method, min_coverage, quantity
        As in `regrid`.
    weights
        A weight file to read, or to write when it is absent.
    variables
        Those to regrid; all numeric ones on the grid when not given.

    Returns
    -------
    list of Summary
        One a variable.

    Raises
    ------
    UsageError
        For options that exclude each other and output formats that cannot hold the result.
    NarcfError
        For files that are absent or have no grid.
    """
    started = time.perf_counter()
    source_path, target_path = Path(source_path), Path(target_path)
    _require_format(target_path)
    if source_path.resolve() == target_path.resolve():
        raise UsageError(f"expected another file for the result, found {target_path} twice")
    with open_fields(source_path) as ds:
        if variables:
            missing = sorted(set(variables) - set(map(str, ds.data_vars)))
            if missing:
                raise UsageError(
                    f"expected variables among {sorted(map(str, ds.data_vars))} of {source_path}, "
                    f"found {missing}"
                )
        source = Grid.from_dataset(ds)
        target = _target(source, grid, like, bounds)
        made = (
            stored_weights(weights, source, target, method)
            if weights
            else compute_weights(source, target, method)
        )
        names = list(variables) if variables else regridded_names(ds, source.dims)
        others = [n for n in ds.data_vars if n in regridded_names(ds, source.dims)]
        ds = ds.drop_vars([n for n in others if n not in names])
        out = regrid(
            *(ds, target),
            source=source,
            min_coverage=min_coverage,
            quantity=quantity,
            weights=made,
        )
        out = _described(out, source_path, names)
        sums = _integrals(ds, out, names, made, quantity)
        values = _write(out, target_path, names, sums)
    seconds = time.perf_counter() - started
    return [
        Summary(
            variable=name,
            source_grid=repr(source),
            target_grid=repr(target),
            coverage=float(values[name, "coverage"]),
            integral_before=float(values[name, "before"]),
            integral_after=float(values[name, "after"]),
            units=_integral_units(str(out[name].attrs.get("units", "")), quantity),
            seconds=seconds,
        )
        for name in names
    ]


def open_fields(path: Path) -> xr.Dataset:
    """Open a file lazily, its numeric variables as dask arrays of moderate chunks.

    Times stay the numbers they are, so that odd calendars and climatologies pass unchanged.

    Raises
    ------
    NarcfError
        When the file is absent or its format is not known here.
    """
    import dask

    if not path.exists():
        raise NarcfError(f"expected a file to regrid, found nothing at {path}")
    if path.suffix.lower() in RASTERS:
        ds = _open_raster(path)
    elif path.is_dir() or path.suffix == ".zarr":
        ds = xr.open_zarr(path, decode_times=False, consolidated=False)
    elif path.suffix.lower() in GRIB:
        if find_spec("cfgrib") is None:
            raise NarcfError(f"expected cfgrib for reading {path}; pip install cfgrib")
        ds = xr.open_dataset(path, engine="cfgrib", decode_times=False)
    else:
        try:
            ds = xr.open_dataset(path, decode_times=False)
        except (ValueError, OSError) as error:
            raise NarcfError(
                f"expected NetCDF, Zarr, GeoTIFF or GRIB, found that {path} cannot be opened "
                f"({error})"
            ) from error
    with dask.config.set({"array.chunk-size": CHUNK_SIZE}):
        chunked = {n: v.chunk("auto") for n, v in ds.data_vars.items() if v.dtype.kind in "fiub"}
    return ds.assign(chunked)


def _open_raster(path: Path) -> xr.Dataset:
    import rioxarray

    raster = rioxarray.open_rasterio(path, masked=True, mask_and_scale=True)
    if not isinstance(raster, xr.DataArray):
        raise NarcfError(
            f"expected one raster in {path}, found several of different shapes; "
            "extract the one to regrid first"
        )
    names = raster.attrs.get("long_name", ())
    if not isinstance(names, str) and len(names) == raster.sizes["band"]:
        raster.attrs.pop("long_name")
        raster = raster.assign_coords(band_name=("band", [str(n) for n in names]))
    if raster.sizes["band"] == 1:
        raster = raster.squeeze("band", drop=True)
    return raster.to_dataset(name=re.sub(r"\W", "_", path.stem))


def _require_format(path: Path) -> None:
    if path.suffix.lower() not in (".nc", ".nc4", ".zarr", *RASTERS):
        raise UsageError(f"expected an output ending in .nc, .zarr or .tif, found {path.name!r}")


def _target(
    source: Grid,
    grid: Grid | float | tuple[float, float] | None,
    like: str | Path | None,
    bounds: tuple[float, float, float, float] | None,
) -> Grid:
    if (grid is None) == (like is None):
        raise UsageError("expected either a grid (resolution in degrees) or a file to be like")
    if bounds is not None and (like is not None or isinstance(grid, Grid)):
        raise UsageError("expected bounds only beside a resolution, found them beside a whole grid")
    if like is not None:
        with open_fields(Path(like)) as ds:
            return Grid.from_dataset(ds)
    if isinstance(grid, Grid):
        return grid
    steps = np.broadcast_to(np.asarray(grid, "float64"), 2)
    if not (steps > 0).all():
        raise UsageError(f"expected a positive resolution in degrees, found {grid}")
    dlon, dlat = steps.tolist()
    return Grid.regular(*(bounds or _extent(source, dlon, dlat)), (dlon, dlat))


def _extent(source: Grid, dlon: float, dlat: float) -> tuple[float, float, float, float]:
    """Return the box of whole cells around `source`; all longitudes when it crosses 180 degrees."""

    def outward(low: float, high: float, step: float, limit: float) -> tuple[float, float]:
        low = np.floor(low / step + 1e-6) * step
        high = np.ceil(high / step - 1e-6) * step
        return max(low, -limit), min(high, limit)

    south, north = outward(source.lat_b.min(), source.lat_b.max(), dlat, 90.0)
    west, east = source.lon_b.min(), source.lon_b.max()
    if not source.is_rectilinear and np.abs(np.diff(source.lon_b)).max() > 180:
        west, east = -180.0, 180.0
    if west >= 180:
        west, east = west - 360, east - 360
    if west < -180 or east > 180:
        west, east = -180.0, 180.0
    west, east = outward(west, east, dlon, 180.0)
    return west, south, east, north


def _described(out: xr.Dataset, source_path: Path, names: Sequence[str]) -> xr.Dataset:
    from narcf_geo.core.provenance import VERSION

    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = f"{stamp} narcf-geo {VERSION}: regridded from {source_path.name}"
    history = "\n".join(filter(None, [line, str(out.attrs.get("history", ""))]))
    out = out.assign_attrs(Conventions="CF-1.11", history=history)
    fields = {f for name in names for f in (name, f"{name}_valid_fraction")}
    for name, variable in out.variables.items():
        variable.encoding = {} if name in fields else {"_FillValue": None}
    return out


def _integrals(
    ds: xr.Dataset, out: xr.Dataset, names: Sequence[str], weights: Weights, quantity: str
) -> dict[tuple[str, str], Any]:
    """Return the sums of the summary, lazy."""
    source, target = weights.source, weights.target
    inside = weights
    if weights.method != "conservative":
        inside = compute_weights(source, target, "conservative")
    areas = source_areas(inside, quantity)
    area = xr.DataArray(inside.target_area, dims=target.dims)
    sums: dict[tuple[str, str], Any] = {}
    for name in names:
        after, fraction = (
            v.drop_vars(v.coords) for v in (out[name], out[f"{name}_valid_fraction"])
        )
        sums[name, "before"] = _integral(ds[name].variable, source.dims, areas)
        kept = after * fraction * area if quantity == "mean" else after
        sums[name, "after"] = kept.sum(target.dims, dtype="float64").mean()
        sums[name, "coverage"] = (fraction * area).sum(target.dims).mean() / area.sum()
    return sums


def _integral(
    field: xr.Variable, dims: tuple[str, str], areas: list[tuple[np.ndarray, tuple[str, ...]]]
) -> Any:
    """Return the mean over all other dimensions of the area integral, a dask scalar."""
    import dask.array as da

    data = field.transpose(..., *dims).data
    axes = dict(zip(dims, (data.ndim - 2, data.ndim - 1), strict=True))
    factors: list[Any] = []
    for area, along in areas:
        index = tuple(axes[d] for d in along)
        factors += [da.from_array(area, chunks=tuple(data.chunks[k] for k in index)), index]
    every = tuple(range(data.ndim))
    sums = da.blockwise(
        *(_weighted_sum, every, data, every, *factors),
        adjust_chunks=dict.fromkeys(axes.values(), 1),
        dtype="float64",
        meta=np.empty((0,) * data.ndim),
    )
    return sums.sum(axis=(-2, -1)).mean()


def _weighted_sum(block: np.ndarray, *areas: np.ndarray) -> np.ndarray:
    subscripts = "...yx,yx" if areas[0].ndim == 2 else "...yx,y,x"
    filled = np.where(np.isnan(block), 0, block)
    return np.einsum(f"{subscripts}->...", filled, *areas)[..., None, None]


def _integral_units(units: str, quantity: str) -> str:
    return units if quantity == "total" else f"{units} m2".strip() if units != "1" else "m2"


def _write(
    out: xr.Dataset, path: Path, names: Sequence[str], sums: dict[tuple[str, str], Any]
) -> dict[tuple[str, str], Any]:
    """Write `out` and compute `sums` in the same pass over the source."""
    import dask

    with atomic_path(path) as temporary:
        if path.suffix.lower() in RASTERS:
            raster = _raster(out, names)
            raster, values = dask.compute(raster, sums)
            raster.rio.to_raster(temporary, driver="GTiff", compress="DEFLATE", tiled=True)
            return values
        if path.suffix == ".zarr":
            job = out.to_zarr(temporary, mode="w", compute=False, consolidated=False)
        else:
            fields = [f for name in names for f in (name, f"{name}_valid_fraction")]
            encoding = {n: {"zlib": True, "shuffle": True, "complevel": 1} for n in fields}
            job = out.to_netcdf(temporary, engine="netcdf4", encoding=encoding, compute=False)
        _, values = dask.compute(job, sums)
    return values


def _raster(ds: xr.Dataset, names: Sequence[str]) -> xr.DataArray:
    """Return the one field of `ds` as bands, north up, ready for rioxarray to write."""
    import rioxarray  # noqa: F401  (adds .rio)

    field = ds[names[0]]
    *lead, y, x = field.dims
    if len(names) > 1 or len(lead) > 1 or y not in field.coords or x not in field.coords:
        raise UsageError(
            "expected one variable on latitudes and longitudes, with at most one more dimension, "
            f"for a GeoTIFF, found { {n: ds[n].dims for n in names} }; name one, or write .nc or "
            ".zarr"
        )
    field = field.sortby(y, ascending=False)
    if lead:
        field.attrs["long_name"] = tuple(f"{names[0]} {k}" for k in _labels(field[lead[0]]))
    field.attrs.pop("grid_mapping", None)
    field = field.rio.set_spatial_dims(x, y).rio.write_crs("EPSG:4326")
    return field.rio.write_nodata(np.nan)


def _labels(axis: xr.DataArray) -> list[str]:
    """Return names of the bands: dates for a time axis of a known calendar, else the values."""
    if "since" in str(axis.attrs.get("units", "")):
        try:
            axis = xr.decode_cf(axis.to_dataset(name="band"))["band"]
        except ValueError:
            return [f"{value} {axis.attrs['units']}" for value in axis.values.tolist()]
    return [str(value)[:10] for value in axis.values]
