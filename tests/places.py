"""Fields with coordinates in orders that people's files have, for tests of what pairs by label.

A test gives its numbers in rows south to north and columns west to east. `like_an_inversion` and
`like_a_map` put the same cells into two other orders: what pairs them by position gets another
number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from narcf_geo.core.constants import FLUX_UNITS
from narcf_geo.core.months import month_starts

LAT = {"units": "degrees_north"}
LON = {"units": "degrees_east"}


def cells(
    values: object,
    lat: Sequence[float] | None = None,
    lon: Sequence[float] | None = None,
    dims: tuple[str, ...] = (),
    **attrs: str,
) -> xr.DataArray:
    """Return values (..., lat, lon), rising; by default on 2 x 3 degrees across Greenwich."""
    array = np.asarray(values)
    rows, columns = array.shape[-2:]
    lat = 41.0 + 2 * np.arange(rows) if lat is None else lat
    lon = -4.5 + 3 * np.arange(columns) if lon is None else lon
    coords = {"lat": ("lat", lat, LAT), "lon": ("lon", lon, LON)}
    return xr.DataArray(array, coords, (*dims, "lat", "lon"), attrs=attrs)


def monthly(
    values: object,
    first: str,
    last: str,
    lat: Sequence[float] | None = None,
    lon: Sequence[float] | None = None,
) -> xr.DataArray:
    """Return a flux (time, lat, lon), umol m-2 s-1; values (lat, lon) are those of every month."""
    months = month_starts(first, last)
    array = np.asarray(values, dtype=np.float64)
    array = np.broadcast_to(array, (months.size, *array.shape[-2:])).copy()
    field = cells(array, lat, lon, ("time",), units=FLUX_UNITS)
    return field.assign_coords(time=months)


def like_an_inversion(field: xr.DataArray) -> xr.DataArray:
    """Return the same cells with rows north to south and columns from 0 to 360 degrees."""
    lon = xr.DataArray(field["lon"].values % 360, dims="lon", attrs=LON)
    return field.assign_coords(lon=lon).sortby("lon").isel(lat=slice(None, None, -1))


def like_a_map(field: xr.DataArray) -> xr.DataArray:
    """Return the same cells as (lon, lat, ...): columns east to west within -180..180."""
    turned = (field["lon"].values + 180) % 360 - 180
    lon = xr.DataArray(turned, dims="lon", attrs=LON)
    field = field.assign_coords(lon=lon).sortby("lon", ascending=False).sortby("lat")
    return field.transpose("lon", "lat", ...).rename(lat="latitude", lon="longitude")


def east_first(field: xr.DataArray) -> xr.DataArray:
    """Return the same cells with columns east to west, the rest as it is."""
    return field.isel(lon=slice(None, None, -1))


def sorted_cells(field: xr.DataArray) -> xr.DataArray:
    """Return the cells as a test gave them: (..., lat, lon), south to north and west to east."""
    field = field.rename(
        {k: v for k, v in (("latitude", "lat"), ("longitude", "lon")) if k in field.coords}
    )
    turned = (field["lon"].values + 180) % 360 - 180
    return field.assign_coords(lon=turned).sortby(["lat", "lon"]).transpose(..., "lat", "lon")
