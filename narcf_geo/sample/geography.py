"""The real geography of the sample: land cover fractions, and what the coasts do to the climate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from scipy import ndimage, sparse

from narcf_geo.core.constants import EARTH_RADIUS, NARR_EARTH_RADIUS
from narcf_geo.core.errors import NarcfError

WEST, SOUTH, EAST, NORTH = -170.0, 10.0, -50.0, 70.0
"""The box of the sample, degrees."""

LAND_COVER = (
    Path(__file__).parents[1] / "data" / "landcover" / "MCD12C1.A2019001.006.2020220162300.tif"
)
WATER, UNCLASSIFIED, NODATA = 0, 17, 255

NARR_SPACING = 3 * 32463.0
NARR_SHAPE = (93, 117)
"""Every third row and column of NARR's 277 x 349 grid: the corners are the same points."""

NARR_FALSE_EASTING, NARR_FALSE_NORTHING = 5632642.22547, 4612545.65137
NARR_CRS = (
    "+proj=lcc +lat_1=50 +lat_2=50 +lat_0=50 +lon_0=-107 "
    f"+x_0={NARR_FALSE_EASTING} +y_0={NARR_FALSE_NORTHING} +R={NARR_EARTH_RADIUS:.0f} +units=m"
)

Array = np.ndarray[Any, np.dtype[Any]]


def centres(west_or_south: float, east_or_north: float, step: float) -> Array:
    """Return cell centres in degrees, ascending."""
    number = round((east_or_north - west_or_south) / step)
    return west_or_south + step * (np.arange(number) + 0.5)


def cell_area(lat: Array, step: float) -> Array:
    """Return the area in m2 of a `step` x `step` degree cell at each latitude centre."""
    south, north = np.radians(lat - step / 2), np.radians(lat + step / 2)
    return EARTH_RADIUS**2 * np.radians(step) * (np.sin(north) - np.sin(south))


def read_land_cover() -> Array:
    """Return the MCD12C1 majority IGBP classes, uint8 (3600, 7200), north to south.

    Raises
    ------
    NarcfError
        When the raster in the package is not the global 0.05 degree one.
    """
    import rasterio

    with rasterio.open(LAND_COVER) as raster:
        classes = raster.read(1)
    if classes.shape != (3600, 7200):
        raise NarcfError(
            f"expected a global 0.05 degree raster (3600 x 7200) in {LAND_COVER}, "
            f"found {classes.shape[0]} x {classes.shape[1]}; reinstall narcf-geo"
        )
    return classes


def block_mean(field: Array, factor: int, row_weight: Array) -> Array:
    """Return means of `factor` x `factor` blocks, rows weighted by `row_weight`."""
    rows, columns = field.shape[0] // factor, field.shape[1] // factor
    by_column = field.reshape(rows, factor, columns, factor).mean(axis=3)
    weight = row_weight.reshape(rows, factor)
    return np.einsum("rfc,rf->rc", by_column, weight) / weight.sum(axis=1)[:, None]


def class_fractions(classes: Array) -> Array:
    """Return the 18 IGBP class fractions of the box's 0.5 degree cells.

    Parameters
    ----------
    classes : array, (3600, 7200)
        As `read_land_cover` gives them.

    Returns
    -------
    array, (18, 120, 240)
        Fractions of cell area, south to north; nodata counts as class 17, unclassified.
    """
    rows = slice(round((90 - NORTH) / 0.05), round((90 - SOUTH) / 0.05))
    columns = slice(round((WEST + 180) / 0.05), round((EAST + 180) / 0.05))
    box = np.where(classes[rows, columns] == NODATA, UNCLASSIFIED, classes[rows, columns])[::-1]
    weight = cell_area(centres(SOUTH, NORTH, 0.05), 0.05)
    return np.stack([block_mean(box == number, 10, weight) for number in range(18)])


def to_one_degree(field: Array) -> Array:
    """Return area means over 2 x 2 cells of half-degree arrays (..., 120, 240)."""
    weight = cell_area(centres(SOUTH, NORTH, 0.5), 0.5).reshape(-1, 2)
    *lead, rows, columns = field.shape
    blocks = field.reshape(*lead, rows // 2, 2, columns // 2, 2).mean(axis=-1)
    return np.einsum("...rfc,rf->...rc", blocks, weight) / weight.sum(axis=1)[:, None]


def continentality(classes: Array, fetch: float = 900e3) -> Array:
    """Return how continental the air is, 0 (open sea) to 1, on the global 0.5 degree grid.

    The land fraction upwind (to the west) with exponentially fading memory of length `fetch` (m),
    mixed 0.65 to 0.35 with the land fraction around: west coasts come out milder than east coasts.
    Rows south to north, columns from 180 W.
    """
    ones = np.ones(classes.shape[0])
    land = block_mean(classes[::-1] != WATER, 10, ones)
    lat = centres(-90, 90, 0.5)
    memory = np.exp(-np.radians(0.5) * EARTH_RADIUS * np.cos(np.radians(lat)) / fetch)
    upwind = np.zeros_like(land)
    carried = land.mean(axis=1)
    for column in (*range(360, 720), *range(720)):  # the first half turn settles the memory
        carried = memory * carried + (1 - memory) * land[:, column]
        upwind[:, column] = carried
    around = ndimage.gaussian_filter(land, sigma=(4, 6), mode=("nearest", "wrap"))
    return np.clip(0.65 * upwind + 0.35 * around, 0, 1)


@dataclass(frozen=True)
class NarrGrid:
    """Every third point of NARR's Lambert grid: `x`, `y` in m, 2-D `lat`, `lon` in degrees."""

    x: Array
    y: Array
    lat: Array
    lon: Array

    @classmethod
    def build(cls) -> NarrGrid:
        """Project the grid on NCEP's sphere of 6371200 m."""
        y, x = (NARR_SPACING * np.arange(size) for size in NARR_SHAPE)
        projection = pyproj.Proj(NARR_CRS)
        east, north = np.meshgrid(x, y)
        lon, lat = projection(east, north, inverse=True)
        return cls(x=x, y=y, lat=lat, lon=lon)

    def sample(self, field: Array) -> Array:
        """Return the nearest values of a global 0.5 degree field (south to north, from 180 W)."""
        rows = np.clip(((self.lat + 90) / 0.5).astype(int), 0, 359)
        columns = ((self.lon + 180) / 0.5).astype(int) % 720
        return field[rows, columns]

    def _position(self, lat: Array, lon: Array) -> tuple[Array, Array]:
        x, y = pyproj.Proj(NARR_CRS)(lon, lat)
        return np.asarray(y) / NARR_SPACING, np.asarray(x) / NARR_SPACING

    def contains(self, lat: Array, lon: Array) -> Array:
        """Return which points lie between grid points; Hawaii, for one, does not."""
        row, column = self._position(lat, lon)
        rows, columns = NARR_SHAPE
        return (row >= 0) & (row < rows - 1) & (column >= 0) & (column < columns - 1)

    def bilinear(self, lat: Array, lon: Array) -> sparse.csr_array:
        """Return the matrix (point, grid point) that interpolates bilinearly to points inside."""
        row, column = self._position(lat, lon)
        low, left = np.floor(row).astype(int), np.floor(column).astype(int)
        up, right = row - low, column - left
        corner = low * NARR_SHAPE[1] + left
        parts = [
            ((1 - up) * (1 - right), corner),
            ((1 - up) * right, corner + 1),
            (up * (1 - right), corner + NARR_SHAPE[1]),
            (up * right, corner + NARR_SHAPE[1] + 1),
        ]
        weight, source = (np.concatenate(values) for values in zip(*parts, strict=True))
        shape = (len(lat), self.lat.size)
        return sparse.csr_array((weight, (np.tile(np.arange(len(lat)), 4), source)), shape=shape)
