"""The part of each cell's area that lies in a polygon, on the sphere."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.grid.polygons import cell_shapes
from narcf_geo.grid.rings import polygonal, subdivided

if TYPE_CHECKING:
    import scipy.sparse as sp

    from narcf_geo.grid.grid import Grid

STEP = 0.02
"""Degrees of latitude in which a slanted edge is drawn: 0.1 m beside its true course."""

_WHOLE = 1 - 1e-12
_NOTHING = 1e-9
"""Parts of a cell, or of a polygon, that are rounding."""

_VERTICES = 200
"""A polygon of more is cut before it meets cells one by one."""

_EDGE_PARTS = 8
"""Pieces in which the great circles of curvilinear cells are drawn."""

M2 = EARTH_RADIUS**2 * np.deg2rad(1.0) ** 2
"""m2 of a unit of area of the plane of `equal_area`."""


def equal_area(shapes: np.ndarray) -> np.ndarray:
    """Return shapes on the plane of longitude and sine of latitude, which keeps areas.

    Parameters
    ----------
    shapes : numpy.ndarray
        Polygons in longitude and latitude, edges straight there.

    Returns
    -------
    numpy.ndarray
        Valid polygons, x in degrees, y in degrees at the equator; `M2` turns their area into m2.
    """
    return valid(np.array([_drawn(shape) for shape in shapes], dtype=object))


def valid(shapes: np.ndarray) -> np.ndarray:
    for k in np.flatnonzero(~shapely.is_valid(shapes)):
        shapes[k] = polygonal(shapely.make_valid(shapes[k]))
    return shapes


def sphere_area(shapes: np.ndarray) -> np.ndarray:
    """Return the area of polygons in longitude and latitude, m2, on the sphere of 6371007.2 m.

    Examples
    --------
    >>> octant = sphere_area(np.array([shapely.box(0, 0, 90, 90)]))[0]
    >>> float(round(octant / (4 * np.pi * EARTH_RADIUS**2), 12))
    0.125
    """
    return shapely.area(equal_area(shapes)) * M2


def cell_shares(grid: Grid, shapes: np.ndarray) -> sp.csr_array:
    """Return the part of each cell's area inside each polygon, on the sphere.

    Parameters
    ----------
    grid : Grid
        Of any convention of longitude.
    shapes : numpy.ndarray
        Polygons (n,) in longitude and latitude within -180..180.

    Returns
    -------
    scipy.sparse.csr_array
        (n, cells), 0 to 1, cells in C order. Exact along parallels and meridians; slanted edges
        within 0.1 m. Curvilinear cells are drawn within 1e-4 of their area.

    Examples
    --------
    >>> from narcf_geo.grid import Grid
    >>> grid = Grid.regular(250, 30, 260, 32, 2)
    >>> cell_shares(grid, np.array([shapely.box(-110, 30, -107, 32)])).toarray().round(6).tolist()
    [[1.0, 0.5, 0.0, 0.0, 0.0]]
    """
    return shares_on_plane(grid, equal_area(shapes))


def shares_on_plane(grid: Grid, plane: np.ndarray) -> sp.csr_array:
    """Return `cell_shares` of polygons that `equal_area` has drawn."""
    import scipy.sparse as sp

    owner, cell, share = shared_cells(grid, plane)
    size = grid.shape[0] * grid.shape[1]
    result = sp.csr_array((share, (owner, cell)), shape=(len(plane), size))
    result.sum_duplicates()
    result.data = np.minimum(result.data, 1.0)
    return result


def shared_cells(grid: Grid, plane: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return numbers of polygon and cell, and the part of the cell inside, of each overlap.

    A polygon has a cell across 180 degrees twice, once for each side.
    """
    find = _in_rectangles if grid.is_rectilinear else _in_quads
    owner, cell, share, area = find(grid, plane)
    kept = is_overlap(owner, share, area, shapely.area(plane))
    return owner[kept], cell[kept], share[kept]


def is_overlap(
    owner: np.ndarray, share: np.ndarray, area: np.ndarray, shape_area: np.ndarray
) -> np.ndarray:
    """Tell what is more than the rounding of cells and shapes that touch."""
    # A polygon smaller than a cell is measured by its own area.
    least = np.minimum(area / np.maximum(share, 1e-300), shape_area[owner])
    return area > _NOTHING * least


Found = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Polygon, cell, share of the cell, and area of the overlap in the plane."""


def _drawn(shape: shapely.Geometry) -> shapely.Geometry:
    """Return a shape on the equal-area plane, with slanted edges drawn in short pieces."""
    bounds = shape.bounds
    if shape.is_empty or bounds[3] - bounds[1] <= STEP:
        return shapely.transform(shape, _sine)
    polygons = []
    for polygon in shapely.get_parts(shape):
        shell, *holes = [_fine(ring) for ring in shapely.get_rings(polygon)]
        polygons.append(shapely.Polygon(shell, holes))
    return shapely.multipolygons(polygons)


def _fine(ring: shapely.LinearRing) -> np.ndarray:
    path = shapely.get_coordinates(ring)
    along, up = np.abs(np.diff(path, axis=0)).T
    return _sine(subdivided(path, np.where(along > 0, np.ceil(up / STEP), 1).astype(int)))


def _sine(xy: np.ndarray) -> np.ndarray:
    return np.stack([xy[:, 0], np.rad2deg(np.sin(np.deg2rad(xy[:, 1])))], axis=1)


def _in_rectangles(grid: Grid, shapes: np.ndarray) -> Found:
    x, columns = rising(grid.lon_b)
    y, rows = rising(_sines(grid.lat_b))
    number, row, column, area, _ = covered_cells(x, y, *_turned(shapes, x))
    size = (x[column + 1] - x[column]) * (y[row + 1] - y[row])
    share = area / size
    share[share > _WHOLE] = 1.0
    return number, rows[row] * columns.size + columns[column], share, area


def covered_cells(
    x: np.ndarray, y: np.ndarray, shapes: np.ndarray, owner: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return what polygons share with the rectangles between edges.

    Parameters
    ----------
    x, y : numpy.ndarray
        Edges, rising.
    shapes : numpy.ndarray
        Valid polygons (m,).
    owner : numpy.ndarray
        The number (m,) to report for each.

    Returns
    -------
    tuple of numpy.ndarray
        Number, row, column, area and centroid (n, 2) of each overlap.
    """
    from narcf_geo.grid.coverage import covered_moments

    none = np.zeros(0, dtype=int)
    found = [(none, none, none, np.zeros(0), np.zeros((0, 2)))]
    for number, shape, block in zip(owner, shapes, _blocks_around(shapes, x, y), strict=True):
        bottom, top, left, right = (int(v) for v in block)
        if bottom >= top or left >= right:
            continue
        x_b, y_b = x[left : right + 1], y[bottom : top + 1]
        area, along, up = covered_moments(x_b, y_b, shape)
        row, column = np.nonzero(area > 0)
        area = area[row, column]
        # The centroid of a sliver is rounding, but lies in the cell.
        low = np.stack([x_b[column], y_b[row]], axis=1)
        high = np.stack([x_b[column + 1], y_b[row + 1]], axis=1)
        center = np.stack([along[row, column], up[row, column]], axis=1) / area[:, None]
        center = np.clip(center, low, high)
        found.append((np.full(row.size, number), row + bottom, column + left, area, center))
    return tuple(np.concatenate(v) for v in zip(*found, strict=True))


def _sines(latitude: np.ndarray) -> np.ndarray:
    return np.rad2deg(np.sin(np.deg2rad(latitude)))


def _turned(shapes: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return shapes in each turn of longitude that edges along x reach, and their numbers."""
    turns = np.arange(np.floor((x[0] + 180) / 360), np.ceil((x[-1] - 180) / 360) + 1)
    moved = [shapely.transform(shapes, lambda p, by=(360 * t, 0): p + by) for t in turns]
    return np.concatenate(moved), np.tile(np.arange(len(shapes)), turns.size)


def window_of(grid: Grid, plane: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of a grid that polygons drawn by `equal_area` may touch."""
    if not grid.is_rectilinear:
        return slice(0, grid.shape[0]), slice(0, grid.shape[1])
    turned, _ = _turned(plane, rising(grid.lon_b)[0])
    return window(grid.lon_b, _sines(grid.lat_b), turned)


def window(x_b: np.ndarray, y_b: np.ndarray, shapes: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns between edges, rising or falling, that shapes may touch."""
    (x, columns), (y, rows) = rising(x_b), rising(y_b)
    block = _blocks_around(shapes, x, y)
    block = block[(block[:, 0] < block[:, 1]) & (block[:, 2] < block[:, 3])]
    if not block.size:
        return slice(0, 0), slice(0, 0)
    found = []
    for number, first, last in ((rows, 0, 1), (columns, 2, 3)):
        ends = number[[block[:, first].min(), block[:, last].max() - 1]]
        found.append(slice(int(ends.min()), int(ends.max()) + 1))
    return found[0], found[1]


class Overlaps(NamedTuple):
    """What shapes share with rectangles.

    Attributes
    ----------
    whole : numpy.ndarray
        Shape, row and column (3, n) of rectangles inside a shape.
    edge : numpy.ndarray
        The same of rectangles that a shape holds in part.
    piece : numpy.ndarray
        This part of each of the latter, polygons.
    """

    whole: np.ndarray
    edge: np.ndarray
    piece: np.ndarray


def overlaps(x: np.ndarray, y: np.ndarray, shapes: np.ndarray, owner: np.ndarray) -> Overlaps:
    """Return what shapes share with the rectangles between edges along x and y.

    Blocks of cells are halved until each lies inside, outside, or is one cell: the cost grows with
    the cells on the edges of the shapes, not with cells times vertices.

    Parameters
    ----------
    x, y : numpy.ndarray
        Edges, rising.
    shapes : numpy.ndarray
        Valid polygons (m,).
    owner : numpy.ndarray
        The number (m,) to report for each.
    """
    block = _blocks_around(shapes, x, y)
    met = (block[:, 0] < block[:, 1]) & (block[:, 2] < block[:, 3])
    owner, block = owner[met], block[met]
    piece = _clipped(shapes[met], block, x, y)
    whole, edge = [np.zeros((3, 0), dtype=int)], [np.zeros((3, 0), dtype=int)]
    pieces = [piece[:0]]
    while owner.size:
        area = shapely.area(piece)
        size = (x[block[:, 3]] - x[block[:, 2]]) * (y[block[:, 1]] - y[block[:, 0]])
        single = (block[:, 1] - block[:, 0] == 1) & (block[:, 3] - block[:, 2] == 1)
        full = area >= _WHOLE * size
        one = single & (area > 0)
        edge.append(np.stack([owner[one], block[one, 0], block[one, 2]]))
        pieces.append(piece[one])
        whole.append(_every_cell(owner[full & ~single], block[full & ~single]))
        divide = (area > 0) & ~full & ~single
        owner, piece = (np.concatenate([v[divide]] * 2) for v in (owner, piece))
        block = np.concatenate(_halves(block[divide]))
        piece = _clipped(piece, block, x, y)
    return Overlaps(
        np.concatenate(whole, axis=1), np.concatenate(edge, axis=1), np.concatenate(pieces)
    )


def _blocks_around(shapes: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the block of cells (n, 4) in the bounds of each shape: rows and columns, from, to."""
    west, south, east, north = np.nan_to_num(shapely.bounds(shapes)).T
    ends = [
        (edges.searchsorted(low, "right") - 1, edges.searchsorted(high))
        for edges, low, high in ((y, south, north), (x, west, east))
    ]
    (row, last_row), (column, last_column) = ends
    return np.stack(
        [
            row.clip(0),
            last_row.clip(max=y.size - 1),
            column.clip(0),
            last_column.clip(max=x.size - 1),
        ],
        axis=1,
    )


def rising(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return edges in rising order and the number of the cell between each two of them."""
    number = np.arange(edges.size - 1)
    return (edges, number) if edges[0] < edges[-1] else (edges[::-1], number[::-1])


def _clipped(piece: np.ndarray, block: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    boxes = shapely.box(x[block[:, 2]], y[block[:, 0]], x[block[:, 3]], y[block[:, 1]])
    return _polygons(shapely.intersection(piece, boxes))


def _polygons(shapes: np.ndarray) -> np.ndarray:
    for k in np.flatnonzero(shapely.get_type_id(shapes) == 7):
        shapes[k] = polygonal(shapes[k])
    return shapes


def _halves(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tall = block[:, 1] - block[:, 0] >= block[:, 3] - block[:, 2]
    first, second = block.copy(), block.copy()
    for axis, chosen in ((0, tall), (2, ~tall)):
        middle = (block[chosen, axis] + block[chosen, axis + 1]) // 2
        first[chosen, axis + 1] = second[chosen, axis] = middle
    return first, second


def _every_cell(owner: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Return owner, row and column (3, n) of all cells of blocks."""
    high, wide = block[:, 1] - block[:, 0], block[:, 3] - block[:, 2]
    which = np.repeat(np.arange(owner.size), high * wide)
    first = np.concatenate([[0], np.cumsum(high * wide)])[which]
    along = np.arange(which.size) - first
    row = block[which, 0] + along // wide[which]
    column = block[which, 2] + along % wide[which]
    return np.stack([owner[which], row, column])


def _in_quads(grid: Grid, shapes: np.ndarray) -> Found:
    """Intersect the cells of a curvilinear grid with the pieces of each polygon they meet."""
    cells = valid(shapely.transform(cell_shapes(grid, _EDGE_PARTS), _sine))
    tree = shapely.STRtree(cells)
    size = shapely.area(cells)
    pieces, owner = _cut(shapes)
    shapely.prepare(pieces)
    part, cell = tree.query(pieces, predicate="intersects")
    inside = shapely.covers(pieces[part], cells[cell])
    area = np.where(inside, size[cell], 0.0)
    edge = ~inside
    area[edge] = shapely.area(shapely.intersection(cells[cell[edge]], pieces[part[edge]]))
    return owner[part], cell, area / size[cell], area


def _cut(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pieces of few vertices, and the number of the shape of each."""
    done: list[tuple[np.ndarray, np.ndarray]] = []
    owner = np.arange(len(shapes))
    while owner.size:
        few = shapely.get_num_coordinates(shapes) <= _VERTICES
        done.append((shapes[few], owner[few]))
        shapes, owner = shapes[~few], owner[~few]
        x0, y0, x1, y1 = shapely.bounds(shapes).T
        wide = x1 - x0 > y1 - y0
        xm, ym = np.where(wide, (x0 + x1) / 2, x1), np.where(wide, y1, (y0 + y1) / 2)
        low = shapely.box(x0, y0, xm, ym)
        high = shapely.box(np.where(wide, xm, x0), np.where(wide, y0, ym), x1, y1)
        halves = _polygons(shapely.intersection(np.tile(shapes, 2), np.concatenate([low, high])))
        kept = shapely.area(halves) > 0
        shapes, owner = halves[kept], np.tile(owner, 2)[kept]
    pieces, owners = zip(*done, strict=True)
    return np.concatenate(pieces), np.concatenate(owners)
