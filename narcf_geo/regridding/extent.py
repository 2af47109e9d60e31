"""The box of whole cells around a source, in degrees or on a plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid import Cells, Grid, Mesh
from narcf_geo.grid.sphere import distance, to_xyz

if TYPE_CHECKING:
    from pyproj import CRS

    from narcf_geo.regridding.target import Box

ALONG = 720
"""Pieces of an axis at which the extent of a source is projected."""

FARTHEST = 1e8
"""Metres from the origin of a plane: farther off lies a pole of a Mercator or stereographic map."""

BACK = 10.0
"""Metres within which a place returns when it is projected and back."""


def degrees_extent(source: Cells, dlon: float, dlat: float) -> Box:
    """Return the box of whole cells around `source`; all longitudes when it crosses 180 degrees."""

    def outward(low: float, high: float, step: float, limit: float) -> tuple[float, float]:
        low = np.floor(low / step + 1e-6) * step
        high = np.ceil(high / step - 1e-6) * step
        return max(low, -limit), min(high, limit)

    south, north, west, east = source.extent
    if isinstance(source, Mesh):
        south, north, west, east = _around(source)
    elif not source.is_rectilinear and np.abs(np.diff(source.lon_b)).max() > 180:
        west, east = -180.0, 180.0
    south, north = outward(south, north, dlat, 90.0)
    if west >= 180:
        west, east = west - 360, east - 360
    if west < -180 or east > 180:
        west, east = -180.0, 180.0
    west, east = outward(west, east, dlon, 180.0)
    return west, south, east, north


def plane_extent(source: Cells, crs: CRS | str | int, dx: float, dy: float) -> Box:
    """Return the box of whole cells around `source` in a coordinate reference system.

    Parameters
    ----------
    source : Grid
        The cells to surround.
    crs : pyproj.CRS, str or int
        Of the box.
    dx, dy : float
        Size of a cell of the target, units of `crs`; the edges of the box are multiples.

    Raises
    ------
    UsageError
        When a part of `source` has no place in `crs`.
    """
    from narcf_geo.grid.globe import area_of_use, to_globe, to_plane
    from narcf_geo.grid.projection import checked_crs, crs_name, crs_units, is_lonlat

    found = checked_crs(crs)
    if is_lonlat(found):
        return degrees_extent(source, dx, dy)
    plane = source.projection if isinstance(source, Grid) else None
    if plane is not None and plane.is_in(found):
        x, y = plane.x_b, plane.y_b
    else:
        lon, lat = _places(source)
        x, y = to_plane(found, lon, lat)
        back = to_xyz(*(np.where(np.isfinite(v), v, np.nan) for v in to_globe(found, x, y)))
        far = np.hypot(x, y) * found.axis_info[0].unit_conversion_factor > FARTHEST
        off = far | ~(distance(to_xyz(lon, lat), back) < BACK)
        if off.any():
            row, column = np.argwhere(off)[0]
            box = area_of_use(found)
            use = (
                ""
                if box is None
                else " (it is made for {:.10g} {:.10g} {:.10g} {:.10g})".format(*box)
            )
            raise UsageError(
                f"expected a source within what {crs_name(found)} can show, found it to reach to "
                f"latitude {lat[row, column]:.6g}, longitude {lon[row, column]:.6g}; give bounds: "
                f"west, south, east and north in {crs_units(found)}{use}"
            )
    ends = []
    for values, step in ((x, dx), (y, dy)):
        ends.append(np.floor(values.min() / step + 1e-6) * step)
        ends.append(np.ceil(values.max() / step - 1e-6) * step)
    west, east, south, north = (float(v) for v in ends)
    return west, south, east, north


def _places(source: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Return longitudes and latitudes in rows and columns over the cells, their rim in full."""
    if isinstance(source, Mesh):
        return np.atleast_2d(*source.corner_positions())  # type: ignore[return-value]
    if source.is_rectilinear:
        lon, lat = (_divided(edges) for edges in (source.lon_b, source.lat_b))
        lons, lats = np.meshgrid(lon, lat)
        return lons, lats
    rows, columns = (
        np.unique(np.linspace(0, n, min(n, ALONG) + 1).astype(int)) for n in source.shape
    )
    some = np.ix_(rows, columns)
    return source.lon_b[some], source.lat_b[some]


def _divided(edges: np.ndarray) -> np.ndarray:
    pieces = np.linspace(0, edges.size - 1, ALONG + 1)
    return np.interp(pieces, np.arange(edges.size), edges)


def _around(mesh: Mesh) -> tuple[float, float, float, float]:
    """Return south, north, west and east of a mesh, with the poles that its cells hold."""
    south, north, west, east = mesh.extent
    lon, lat = mesh.corner_positions()
    if not lon.size:
        raise NarcfError(f"expected cells that take part, found {mesh}")
    last = np.cumsum(mesh.counts) - 1
    after = np.arange(lon.size) + 1
    after[last] = last - mesh.counts + 1
    steps = lon[after] - lon
    turns = (steps + 180) % 360 - 180
    if np.abs(steps).max() > 180:
        west, east = -180.0, 180.0
    first = last - mesh.counts + 1
    around = np.abs(np.add.reduceat(turns, first)) > 180
    if around.any():
        middle = np.add.reduceat(lat, first)[around]
        north = 90.0 if (middle > 0).any() else north
        south = -90.0 if (middle < 0).any() else south
    return south, north, west, east
