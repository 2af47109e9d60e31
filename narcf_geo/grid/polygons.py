"""Grid cells as polygons for maps and GIS."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import shapely

from narcf_geo.grid.rings import POLE, enclosed, within_180
from narcf_geo.grid.sphere import to_lonlat, to_xyz

if TYPE_CHECKING:
    import geopandas as gpd

    from narcf_geo.grid.grid import Grid
    from narcf_geo.grid.mesh import Mesh


_WIDE = 5.0
"""Degrees of longitude: a wider cell is so near a pole that its edges bend much."""

_NEAR_POLE = 16
"""How much finer the edges of such a cell are drawn."""


def cell_polygons(grid: Grid | Mesh) -> gpd.GeoDataFrame:
    """Return the cells of `grid` as a GeoDataFrame; see `Grid.cells`."""
    import geopandas as gpd

    centers = grid.centers()
    return gpd.GeoDataFrame(
        {"lat": centers[1].ravel(), "lon": centers[0].ravel(), "area": grid.area.ravel()},
        geometry=cell_shapes(grid),
        crs="EPSG:4326",
    )


def footprint(grid: Grid) -> shapely.Geometry:
    """Return the box of a grid of parallels and meridians within -180..180 degrees.

    Examples
    --------
    >>> from narcf_geo.grid import Grid
    >>> across = footprint(Grid.regular(170, 50, -160, 70, 1))
    >>> sorted(part.bounds for part in across.geoms)
    [(-180.0, 50.0, -160.0, 70.0), (170.0, 50.0, 180.0, 70.0)]
    """
    south, north, west, east = grid.extent
    return within_180(shapely.box(west, south, min(east, west + 360), north))


def cell_shapes(grid: Grid | Mesh, parts: int = 1) -> np.ndarray:
    """Return the cells as shapely polygons in longitude and latitude, in C order.

    Parameters
    ----------
    grid : Grid or Mesh
        The cells.
    parts : int
        Pieces in which to draw each edge of a curvilinear cell, all along its great circle.

    Returns
    -------
    numpy.ndarray
        Polygons and MultiPolygons (cells,) within -180..180 degrees of longitude.
    """
    from narcf_geo.grid.coordinates import quads
    from narcf_geo.grid.grid import Grid

    if not isinstance(grid, Grid):
        return _mesh_shapes(grid, parts)
    if grid.is_rectilinear:
        return _boxes(grid)
    return _rings(np.stack([quads(c).reshape(-1, 4) for c in grid.corners()], axis=-1), parts)


def _mesh_shapes(mesh: Mesh, parts: int) -> np.ndarray:
    """Return the cells of a mesh, those of as many corners together."""
    lonlat = np.stack(mesh.corner_positions(), axis=-1)
    start = np.cumsum(mesh.counts) - mesh.counts
    polygons = np.empty(mesh.counts.size, object)
    for k in np.unique(mesh.counts):
        some = np.flatnonzero(mesh.counts == k)
        polygons[some] = _rings(lonlat[start[some][:, None] + np.arange(k)], parts)
    shapes = np.full(math.prod(mesh.shape), shapely.Polygon(), dtype=object)
    cell, first, number = np.unique(mesh.owner, return_index=True, return_counts=True)
    shapes[cell] = polygons[first]
    for c, f, n in zip(*(v[number > 1] for v in (cell, first, number)), strict=True):
        shapes[c] = shapely.union_all(polygons[f : f + n])
    return shapes


def _rings(corners: np.ndarray, parts: int) -> np.ndarray:
    """Return the shapes of rings (cells, corners, 2) of longitudes and latitudes."""
    rings = _along_great_circles(corners, parts)
    lon = np.unwrap(rings[..., 0], period=360, axis=1)
    lon -= 360 * np.floor((lon.min(axis=1, keepdims=True) + 180) / 360)
    closing = np.abs(lon[:, 0] - lon[:, -1])
    at_pole = np.abs(rings[..., 1]).max(axis=1) >= POLE
    turned = (lon.max(axis=1) > 180) | (closing > 180) | at_pole
    shapes = shapely.polygons(np.stack([lon, rings[..., 1]], axis=-1))
    near_pole = (np.ptp(lon, axis=1) > _WIDE) & (parts > 1)
    for k in np.flatnonzero(turned | near_pole):
        finer = _NEAR_POLE * parts if near_pole[k] else parts
        shapes[k] = enclosed(_along_great_circles(corners[k : k + 1], finer)[0])
    return shapes


def _boxes(grid: Grid) -> np.ndarray:
    lon_b = grid.lon_b - 360 * np.floor((grid.lon_b.min() + 180) / 360)
    west, east = np.minimum(lon_b[1:], lon_b[:-1]), np.maximum(lon_b[1:], lon_b[:-1])
    back = 360.0 * (west >= 180)
    south, north = np.sort(np.stack([grid.lat_b[1:], grid.lat_b[:-1]]), axis=0)
    shapes = shapely.box(west - back, south[:, None], east - back, north[:, None])
    for column in np.flatnonzero(east - back > 180):
        shapes[:, column] = [within_180(shape) for shape in shapes[:, column]]
    return shapes.ravel()


def _along_great_circles(corners: np.ndarray, parts: int) -> np.ndarray:
    """Return rings (cells, corners * parts, 2) from corners (cells, corners, 2) in degrees."""
    if parts == 1:
        return corners
    first = to_xyz(corners[..., 0], corners[..., 1])
    after = np.roll(first, -1, axis=1)
    points = np.stack([first + (after - first) * k / parts for k in range(parts)], axis=2)
    rings = np.stack(to_lonlat(points.reshape(len(corners), -1, 3)), axis=-1)
    rings[:, ::parts] = corners
    return rings
