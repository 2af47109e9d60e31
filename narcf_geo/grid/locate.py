"""Which cell of a grid contains a place."""

from __future__ import annotations

import numpy as np

from narcf_geo.grid.globe import to_plane
from narcf_geo.grid.grid import Grid
from narcf_geo.grid.mesh import Mesh
from narcf_geo.grid.polygons import cell_shapes


def cells_at(cells: Grid | Mesh, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Return the number of the cell that contains each place.

    Parameters
    ----------
    cells : Grid or Mesh
        Projected cells are searched on their own plane, those of other curvilinear grids and meshes
        as polygons of longitude and latitude.
    lon, lat : numpy.ndarray
        Degrees, shape (n,); longitudes of any turn.

    Returns
    -------
    numpy.ndarray
        Position (n,) in the flattened cells (C order), -1 off the grid. A place on an edge lies in
        the cell towards rising coordinates, on the last edge in the last cell.

    Examples
    --------
    >>> grid = Grid.regular(-100, 40, -98, 42, 1)
    >>> cells_at(grid, np.array([-98.5, 260.2, 0.0]), np.array([40.5, 41.9, 40.5])).tolist()
    [1, 2, -1]
    """
    lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
    if (plane := cells.projection) is not None:
        x, y = to_plane(plane.crs, lon, lat)
        column = _between(plane.x_b, x, turns=plane.is_angular)
        row = _between(plane.y_b, y)
    elif isinstance(cells, Grid) and cells.is_rectilinear:
        column, row = _between(cells.lon_b, lon, turns=True), _between(cells.lat_b, lat)
    else:
        return _in_polygons(cells, lon, lat)
    return np.where((row < 0) | (column < 0), -1, row * cells.shape[-1] + column)


def _between(edges: np.ndarray, values: np.ndarray, *, turns: bool = False) -> np.ndarray:
    """Return the interval of `edges`, rising or falling, that each value lies in; -1 outside."""
    rising = edges if edges[0] < edges[-1] else edges[::-1]
    if turns:
        values = rising[0] + (values - rising[0]) % 360.0
    found = np.searchsorted(rising, values, side="right") - 1
    found[values == rising[-1]] = rising.size - 2
    outside = (found < 0) | (found > rising.size - 2) | ~np.isfinite(values)
    return np.where(outside, -1, found if rising is edges else rising.size - 2 - found)


def _in_polygons(cells: Grid | Mesh, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    import shapely

    shapes = cell_shapes(cells)
    points = shapely.points((lon + 180.0) % 360.0 - 180.0, lat)
    place, cell = shapely.STRtree(shapes).query(points, predicate="intersects")
    found = np.full(lon.size, len(shapes))
    np.minimum.at(found, place, cell)  # on an edge that cells share, the first of them
    return np.where(found == len(shapes), -1, found)
