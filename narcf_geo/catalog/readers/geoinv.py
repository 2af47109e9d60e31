"""Geostatistical inversion: a vector of land cells, scattered to its 1 degree raster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.catalog.readers.canonical import canonical
from narcf_geo.catalog.readers.native import open_native
from narcf_geo.core.errors import NarcfError

if TYPE_CHECKING:
    from narcf_geo.catalog.entry import Entry

RESOLUTION = 1.0


def read(entry: Entry) -> xr.Dataset:
    """Read the inversion; cells that are not in the vector are NaN.

    Raises
    ------
    NarcfError
        When there is no companion file with ``lat`` and ``lon``, it has another length, or its
        points are not those of one raster.
    """
    native = open_native(entry)
    if entry.companion is None:
        raise NarcfError(
            f"{entry.where()}: expected `companion:`, the file with "
            "lat and lon of each element of x"
        )
    points = open_native(entry, [entry.companion])
    if points.sizes["x"] != native.sizes["x"]:
        raise NarcfError(
            f"{entry.companion}: expected {native.sizes['x']} points as in {entry.urlpaths[0]}, "
            f"found {points.sizes['x']}"
        )
    lon, lat = points["lon"].values, points["lat"].values
    for name, values in (("lon", lon), ("lat", lat)):
        steps = (values - values.min()) / RESOLUTION
        if not np.allclose(steps, np.rint(steps), atol=0.01):
            raise NarcfError(
                f"{entry.companion}: expected {name} in steps of {RESOLUTION:g} degree, found "
                f"others, such as {values[np.argmax(np.abs(steps - np.rint(steps)))]:g}"
            )
    vectors = native[[name for name, array in native.data_vars.items() if "x" in array.dims]]
    return canonical(_scatter(vectors, lon, lat), entry)


def _scatter(native: xr.Dataset, lon: np.ndarray, lat: np.ndarray) -> xr.Dataset:
    lons = np.arange(lon.min(), lon.max() + RESOLUTION / 2, RESOLUTION)
    lats = np.arange(lat.min(), lat.max() + RESOLUTION / 2, RESOLUTION)
    column = np.rint((lon - lons[0]) / RESOLUTION).astype(int)
    row = np.rint((lat - lats[0]) / RESOLUTION).astype(int)

    def raster(values: np.ndarray) -> np.ndarray:
        result = np.full((*values.shape[:-1], lats.size, lons.size), np.nan, values.dtype)
        result[..., row, column] = values
        return result

    scattered = xr.apply_ufunc(
        raster,
        native.drop_vars(["x", "lat", "lon"], errors="ignore"),
        input_core_dims=[["x"]],
        output_core_dims=[["lat", "lon"]],
        dask="parallelized",
        dask_gufunc_kwargs={"output_sizes": {"lat": lats.size, "lon": lons.size}},
        output_dtypes=[np.float32],
        keep_attrs=True,
    )
    return scattered.assign_coords(
        lat=("lat", lats, {"standard_name": "latitude", "units": "degrees_north"}),
        lon=("lon", lons, {"standard_name": "longitude", "units": "degrees_east"}),
    )
