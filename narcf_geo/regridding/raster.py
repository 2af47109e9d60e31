"""A regridded field as the bands of a GeoTIFF."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import xarray as xr

from narcf_geo.core.errors import UsageError


def bands(ds: xr.Dataset, names: Sequence[str]) -> xr.DataArray:
    """Return the one field of `ds` as bands, north up, ready for rioxarray to write.

    Raises
    ------
    UsageError
        When there are several fields or dimensions, when cells are not even along x or y, and when
        a GeoTIFF cannot hold the coordinate reference system.
    """
    import rioxarray  # noqa: F401  (adds .rio)
    from rasterio import Affine

    field = ds[names[0]]
    *lead, y, x = ("cells of no rows", *field.dims) if field.ndim < 2 else field.dims
    if len(names) > 1 or len(lead) > 1 or y not in field.coords or x not in field.coords:
        raise UsageError(
            "expected one variable on latitudes and longitudes, or on x and y, with at most one "
            f"more dimension, for a GeoTIFF, found { {n: ds[n].dims for n in names} }; name one, "
            "or write .nc or .zarr"
        )
    field = field.sortby(y, ascending=False).sortby(x)
    left, width = _even(ds, x)
    bottom, height = _even(ds, y)
    top = bottom + height * field.sizes[y]
    if lead:
        field.attrs["long_name"] = tuple(_band_names(field, str(lead[0]), names[0]))
    crs = _raster_crs(ds, y, x, ds[_mapping_name(field)].attrs["crs_wkt"])
    field = field.drop_vars([n for n in field.coords if n not in field.dims])
    field = field.rio.set_spatial_dims(x, y).rio.write_crs(crs)
    field = field.rio.write_transform(Affine(width, 0, left, 0, -height, top))
    stored = ds[names[0]].encoding
    dtype, fill = np.dtype(stored.get("dtype", field.dtype)), stored.get("_FillValue", np.nan)
    if dtype.kind in "iu":
        field = field.fillna(fill).astype(dtype)
    field.encoding = {}
    return field.rio.write_nodata(fill)


def _mapping_name(field: xr.DataArray) -> str:
    name = field.attrs.pop("grid_mapping", None) or field.encoding.pop("grid_mapping")
    return str(name)


def _even(ds: xr.Dataset, axis: Hashable) -> tuple[float, float]:
    """Return the low edge of the even cells along an axis, and their size."""
    centers, bounds = np.sort(ds[axis].values), ds[f"{axis}_bnds"].values
    # Rows of nodes on a pole are half cells: pixels there stand for what is on the globe.
    polar = ds[axis].attrs["standard_name"] == "latitude"
    whole = ~(polar & (np.abs(bounds).max(1) >= 90))
    sizes = np.abs([*np.diff(centers), *np.diff(bounds, axis=1)[whole, 0]])
    if sizes.size and np.ptp(sizes) > 1e-4 * sizes.mean():
        raise UsageError(
            f"expected evenly spaced cells for a GeoTIFF, found cells of {sizes.min():.6g} to "
            f"{sizes.max():.6g} {ds[axis].attrs['units']} along {axis!r}; write .nc or .zarr, or "
            "choose a target that is even, such as --grid 1 or --crs EPSG:3857"
        )
    if whole.all() or centers.size < 2:
        low, high = bounds.min(), bounds.max()
        return float(low), float((high - low) / centers.size)
    size = (centers[-1] - centers[0]) / (centers.size - 1)
    return float(centers[0] - size / 2), float(size)


def _raster_crs(ds: xr.Dataset, y: Hashable, x: Hashable, wkt: str) -> str:
    """Return a reference system as a code where it has one, refused where a GeoTIFF loses it."""
    import rasterio
    from rasterio import Affine
    from rasterio.io import MemoryFile

    from narcf_geo.grid.globe import to_globe
    from narcf_geo.grid.projection import crs_name, known_code, parsed_crs

    crs = parsed_crs(wkt)
    text = known_code(crs) or wkt
    if ds[x].attrs["standard_name"] == "longitude":
        return text
    one = {"driver": "GTiff", "count": 1, "width": 1, "height": 1, "dtype": "uint8"}
    # Without PAM, which would put what a GeoTIFF cannot hold into a second file beside it.
    with rasterio.Env(GDAL_PAM_ENABLED="NO"), MemoryFile() as memory:
        with memory.open(**one, crs=text, transform=Affine(2, 0, 0, 0, -2, 0)):
            pass
        with memory.open() as raster:
            kept = parsed_crs(raster.crs.to_wkt()) if raster.crs else None
    ends = np.meshgrid(ds[x].values[[0, -1]], ds[y].values[[0, -1]])
    here = np.stack(to_globe(crs, *ends))
    if kept is None or not np.allclose(np.stack(to_globe(kept, *ends)), here, rtol=0, atol=1e-6):
        raise UsageError(
            f"expected a coordinate reference system that a GeoTIFF holds, found {crs_name(crs)}; "
            "write .nc or .zarr"
        )
    return text


def _band_names(field: xr.DataArray, axis: str, name: str) -> list[str]:
    if "band_name" in field.coords and field["band_name"].dims == (axis,):
        return [str(label) for label in field["band_name"].values]
    return [f"{name} {label}" for label in _labels(field[axis])]


def _labels(axis: xr.DataArray) -> list[str]:
    """Return names of the bands: dates for a time axis of a known calendar, else the values."""
    if "since" in str(axis.attrs.get("units", "")):
        try:
            axis = xr.decode_cf(axis.to_dataset(name="band"))["band"]
        except ValueError:
            return [f"{value} {axis.attrs['units']}" for value in axis.values.tolist()]
    return [str(value)[:10] for value in axis.values]
