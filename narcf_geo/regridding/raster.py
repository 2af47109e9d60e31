"""A regridded field as the bands of a GeoTIFF."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from narcf_geo.core.errors import UsageError


def bands(ds: xr.Dataset, names: Sequence[str]) -> xr.DataArray:
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
    for axis in (y, x):
        _require_even(field[axis].values, ds[f"{axis}_bnds"].values, str(axis))
    if lead:
        field.attrs["long_name"] = tuple(_band_names(field, str(lead[0]), names[0]))
    field = field.drop_vars("band_name", errors="ignore")
    field.attrs.pop("grid_mapping", None)
    field = field.rio.set_spatial_dims(x, y).rio.write_crs("EPSG:4326")
    return field.rio.write_nodata(np.nan)


def _require_even(centers: np.ndarray, bounds: np.ndarray, axis: str) -> None:
    # Rows of nodes on a pole are half cells: pixels there stand for what is on the globe.
    whole = (np.abs(bounds).max(1) < 90) | (axis != "lat")
    sizes = np.abs([*np.diff(centers), *np.diff(bounds, axis=1)[whole, 0]])
    if sizes.size and np.ptp(sizes) > 1e-4 * sizes.mean():
        raise UsageError(
            f"expected evenly spaced cells for a GeoTIFF, found cells of {sizes.min():.4g} to "
            f"{sizes.max():.4g} degrees along {axis!r}; write .nc or .zarr, or choose a regular "
            "grid"
        )


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
