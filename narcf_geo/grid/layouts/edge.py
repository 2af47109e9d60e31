"""Projected images that reach beyond the globe: full disks, tiles at the rim of a world map."""

from __future__ import annotations

from typing import Any

import numpy as np

from narcf_geo.core.errors import NarcfError
from narcf_geo.grid.mesh import Mesh

_SAMPLE = 64
"""Places along each axis where a map is first tried."""

_NUDGE = 1e-7
"""Degrees: a place on the very rim comes back on the other side of the map."""


def places_on_globe(
    to_geographic: Any, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return longitudes and latitudes, NaN where x and y are beyond the rim of the map.

    Parameters
    ----------
    to_geographic : pyproj.Transformer
        From the plane to longitude and latitude.
    x, y : numpy.ndarray
        Places of the plane, 2-D.
    """
    lon, lat = (np.array(v, "float64") for v in to_geographic.transform(x, y))
    on = np.isfinite(lon) & np.isfinite(lat)
    lon[~on] = lat[~on] = np.nan
    # Some projections wrap what lies beyond their rim around: it does not come back to its place.
    some = tuple(np.unique(np.linspace(0, n - 1, _SAMPLE).astype(int)) for n in x.shape)
    if _lost(to_geographic, *(v[np.ix_(*some)] for v in (x, y, lon, lat))).any():
        lost = _lost(to_geographic, x, y, lon, lat)
        lon[lost] = lat[lost] = np.nan
    return lon, lat


def _lost(
    to_geographic: Any, x: np.ndarray, y: np.ndarray, lon: np.ndarray, lat: np.ndarray
) -> np.ndarray:
    scale = max(float(np.abs(x).max()), float(np.abs(y).max()))
    lost = np.isfinite(lon)
    for nudge in (0.0, _NUDGE, -_NUDGE):
        u, v = to_geographic.transform(lon + nudge, lat, direction="INVERSE")
        # A nudge of 1e-7 degree moves a place by about a hundredth of a metre.
        near = np.hypot(u - x, v - y) < 1e-8 * scale + (np.abs(nudge) > 0) * 1e-7 * scale
        lost &= ~near
    return lost


def cells_on_globe(
    lon_b: np.ndarray,
    lat_b: np.ndarray,
    lon: np.ndarray,
    lat: np.ndarray,
    dims: tuple[str, str],
) -> Mesh:
    """Return the cells whose four corners are on the globe; the others take no part.

    Parameters
    ----------
    lon_b, lat_b : numpy.ndarray
        Corners (ny + 1, nx + 1) in degrees, NaN off the globe.
    lon, lat : numpy.ndarray
        Centres (ny, nx).
    dims : tuple of str
        Names of the dimensions.

    Raises
    ------
    NarcfError
        When no cell is on the globe.
    """
    mesh = Mesh.from_corners(lon_b, lat_b, lon=lon, lat=lat, dims=dims)
    if not mesh.counts.size:
        raise NarcfError(
            f"expected {dims[1]!r} and {dims[0]!r} inside the projection of the grid mapping, "
            "found no cell that has longitudes and latitudes; are the units right?"
        )
    return mesh
