"""Where land is, coarsely, from the Natural Earth vectors that come with the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import shapely

_LAND = "data/natural_earth/shapefiles/natural_earth/physical/ne_110m_land.shp"
MARGIN = 2
"""Width of the coast that is neither open sea nor inland, degrees."""


@cache
def land_polygons() -> shapely.Geometry:
    """Return the land of the world at 1:110 million, degrees, prepared for queries."""
    import geopandas
    import shapely

    land = geopandas.read_file(Path(__file__).parents[1] / _LAND).geometry.union_all()
    shapely.prepare(land)
    return land


def is_land(lon: Any, lat: Any) -> np.ndarray:
    """Return whether places (degrees, longitudes of any turn) are on land."""
    import shapely

    east = (np.asarray(lon, "float64") + 180) % 360 - 180
    return np.asarray(shapely.contains_xy(land_polygons(), east, np.asarray(lat, "float64")))


@cache
def _coarse() -> tuple[np.ndarray, np.ndarray]:
    """Return inland and open sea on the 1 degree globe, south to north from 180W."""
    from scipy.ndimage import binary_dilation

    lon, lat = np.meshgrid(np.arange(-179.5, 180), np.arange(-89.5, 90))
    land = is_land(lon, lat)
    wide = np.concatenate([land, land, land], axis=1)

    def grown(mask: np.ndarray) -> np.ndarray:
        grown_mask = binary_dilation(mask, np.ones((3, 3), bool), iterations=MARGIN)
        return grown_mask[:, 360:720]

    return ~grown(~wide), ~grown(wide)


def inland_and_open_sea(lon: Any, lat: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return for places in degrees whether they are well inland, and well out at sea."""
    inland, sea = _coarse()
    column = (np.floor(np.asarray(lon, "float64") + 180) % 360).astype(int)
    row = np.floor(np.asarray(lat, "float64") + 90).astype(int).clip(0, 179)
    return inland[row, column], sea[row, column]
