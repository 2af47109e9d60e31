"""Conservative weights: overlap areas of great-circle polygons on the sphere.

Only imported when weights are computed: it imports numba.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numba as nb
import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid.sphere import EdgeKind, require_edges
from narcf_geo.kernels.clip import clip, edge_planes, near
from narcf_geo.kernels.parallels import RectilinearCells, overlap_rows
from narcf_geo.kernels.polygons import (
    FANOUT,
    ROUNDING,
    Floats,
    Integers,
    Polygons,
    bounding_box,
    extent,
    load,
    polygon_area,
)
from narcf_geo.kernels.rectilinear import axis_matrices

if TYPE_CHECKING:
    from narcf_geo.grid import Grid

Normalisation = Literal["conservative", "conservative_normed"]
Cells = Polygons | RectilinearCells
"""Of one grid or mesh: edges of great circles, or a longitude-latitude grid between parallels."""


@nb.njit(cache=True, nogil=True)
def _overlap_rows(
    target_vertices: Any,
    target_parts: Any,
    vertices: Any,
    parts: Any,
    owner: Any,
    boxes: Any,
    starts: Any,
) -> Any:
    """Overlaps of some target parts with all source parts: count a part, source cells, areas."""
    n_target = target_parts.shape[0]
    count = np.zeros(n_target, np.int64)
    capacity = 8 * n_target + 64
    column = np.empty(capacity, np.int64)
    area = np.empty(capacity)
    target, buffers = np.empty((4, 3)), np.empty((2, 32, 3))
    source, clipped = buffers[0], buffers[1]
    edges, side, box = np.empty((4, 7)), np.empty(32), np.empty(6)
    stack = np.empty((FANOUT * starts.shape[0], 2), np.int64)
    leaves = np.empty(starts[1], np.int32)
    found = 0
    for i in range(n_target):
        n_corners = load(target_vertices, target_parts, i, target)
        bounding_box(target, n_corners, box)
        edge_planes(target, n_corners, edges)
        before = found
        n_leaves = near(boxes, starts, box, edges, n_corners, stack, leaves)
        for node in leaves[:n_leaves]:
            for j in range(node * FANOUT, min((node + 1) * FANOUT, parts.shape[0])):
                n = load(vertices, parts, j, source)
                n, at = clip(buffers, n, edges, n_corners, side)
                if n < 3:
                    continue
                polygon = clipped if at else source
                overlap = polygon_area(polygon, n)
                if overlap <= ROUNDING * extent(polygon, n):
                    continue
                if found == capacity:
                    capacity *= 2
                    longer = np.empty(capacity, np.int64)
                    longer[:found] = column
                    column = longer
                    wider = np.empty(capacity)
                    wider[:found] = area
                    area = wider
                column[found] = owner[j]
                area[found] = overlap
                found += 1
        count[i] = found - before
    return count, column[:found].copy(), area[:found].copy()


@nb.njit(cache=True, nogil=True)
def _part_areas(vertices: Any, parts: Any) -> Any:
    areas = np.empty(parts.shape[0])
    polygon = np.empty((4, 3))
    for i in range(parts.shape[0]):
        areas[i] = polygon_area(polygon, load(vertices, parts, i, polygon))
    return areas


def areas(cells: Cells) -> Floats:
    """Area of each cell on the unit sphere, shape (size,); 0 where masked or degenerate."""
    if isinstance(cells, RectilinearCells):
        return cells.areas
    part_areas = _part_areas(cells.vertices, cells.parts)
    return np.bincount(cells.owner, part_areas, minlength=cells.size).astype(np.float64)


def overlaps(
    source: Polygons, target: Cells, threads: int | None = None
) -> tuple[Integers, Integers, Floats]:
    """Return all overlaps of two sets of cells: how many of each target part, source cells, areas.

    Target parts are independent of each other and worked on in threads, as many as
    ``NUMBA_NUM_THREADS`` by default: their number never changes the result.
    """
    n_parts = len(target.owner)
    if not len(source.parts) or not n_parts:
        return np.zeros(n_parts, np.int64), np.empty(0, np.int64), np.empty(0)
    tree = source.tree
    index = source.vertices, tree.parts, tree.owner, tree.boxes, tree.starts

    def rows(some: slice) -> Any:
        if isinstance(target, RectilinearCells):
            rows, columns = (target.rows, target.row), (target.columns, target.column)
            pieces = np.arange(some.start, some.stop)
            return overlap_rows(pieces, *rows, *columns, target.shape[1], target.mask, *index)
        return _overlap_rows(target.vertices, target.parts[some], *index)

    threads = threads or int(nb.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    ends = np.linspace(0, n_parts, min(8 * threads, n_parts) + 1).astype(int)
    blocks = [slice(*pair) for pair in pairwise(ends.tolist())]
    if threads == 1:
        done = [rows(block) for block in blocks]
    else:
        with ThreadPoolExecutor(threads) as pool:
            done = list(pool.map(rows, blocks))
    count, column, area = (np.concatenate(found) for found in zip(*done, strict=True))
    return count, column, area


def overlap_areas(source: Cells, target: Cells) -> sparse.csr_array:
    """Area on the unit sphere common to each target and source cell, (target, source).

    At least one of the two are `Polygons`.
    """
    if isinstance(source, RectilinearCells):
        if isinstance(target, RectilinearCells):
            raise TypeError("rectilinear cells overlap along each axis: see kernels.rectilinear")
        return sparse.csr_array(overlap_areas(target, source).T)
    count, column, area = overlaps(source, target)
    per_cell = np.bincount(target.owner, count, minlength=target.size).astype(np.int64)
    pointer = np.concatenate([[0], np.cumsum(per_cell)])
    overlap = sparse.csr_array((area, column, pointer), shape=(target.size, source.size))
    overlap.sum_duplicates()
    return overlap


def normalise(
    overlap: sparse.csr_array, target: Cells, normalisation: Normalisation
) -> sparse.csr_array:
    """Weights from overlap areas: divided by the target cell's area or by its covered area."""
    if normalisation == "conservative":
        divisor = areas(target)
    elif normalisation == "conservative_normed":
        divisor = overlap.sum(axis=1)
    else:
        raise UsageError(
            f"normalisation {normalisation!r} is unknown: choose 'conservative' (target area) "
            "or 'conservative_normed' (covered area)"
        )
    overlap.data /= np.repeat(divisor, np.diff(overlap.indptr))
    return overlap


def _cells(grid: Grid, mask: ArrayLike | None, which: str, edges: EdgeKind) -> Cells:
    if mask is not None and np.shape(mask) != grid.shape:
        raise UsageError(
            f"{which}_mask has shape {np.shape(mask)}, but the {which} grid has {grid.shape}: "
            "give one value a cell, 0 for a cell to leave out"
        )
    if grid.is_rectilinear:
        if edges == "parallels":
            return RectilinearCells.from_edges(grid.lon_b, grid.lat_b, mask)
        widest = float(np.abs(np.diff(grid.lon_b)).max())
        if widest >= 180.0:
            raise NarcfError(
                f"expected cells less than 180 degrees wide where edges are great circles, found "
                f"{widest:g} in the {which} grid: the great circle runs the other way round; "
                "take edges='parallels', or narrower cells"
            )
    return Polygons.from_corners(*grid.corners(), mask=mask)


def conservative_weights(
    source: Grid,
    target: Grid,
    *,
    normalisation: Normalisation = "conservative",
    source_mask: ArrayLike | None = None,
    target_mask: ArrayLike | None = None,
    edges: EdgeKind = "great_circles",
) -> sparse.csr_array:
    """First-order conservative weights between any two structured grids.

    With great circles as edges they are the weights of ESMF, to about 1e-12.

    Parameters
    ----------
    source, target
        Grids in any orientation, longitude range and place, poles included.
    normalisation
        "conservative" divides an overlap by the target cell's area: a row sums to the covered
        fraction. "conservative_normed" divides by the covered area: a row sums to 1.
    source_mask, target_mask
        Shape of their grid; a cell with 0 (or False) takes no part.
    edges
        On what the cells of a rectilinear grid end in the north and in the south: "great_circles"
        between their corners as in ESMF, or "parallels", exact, as in CDO. The edges of all
        other grids are great circles.

    Returns
    -------
    scipy.sparse.csr_array
        Shape (n_target, n_source), cells in C order, indices sorted; the weighted mean of a
        field is ``weights @ field.ravel()``. A target cell without overlap has an empty row.

    Raises
    ------
    NarcfError
        A cell has crossing edges, a corner that is not finite, or exceeds half a sphere.
    UsageError
        A mask's shape is not its grid's, or the normalisation or the kind of edges is unknown.
    """
    require_edges(edges)
    ours, theirs = (
        _cells(grid, mask, which, edges)
        for grid, mask, which in (
            (source, source_mask, "source"),
            (target, target_mask, "target"),
        )
    )
    if isinstance(ours, RectilinearCells) and isinstance(theirs, RectilinearCells):
        y, x = axis_matrices(source, target)
        kept = ours.areas > 0
        overlap = sparse.csr_array(
            sparse.diags_array(theirs.areas) @ sparse.kron(y, x) @ sparse.diags_array(1.0 * kept)
        )
        overlap.eliminate_zeros()
    else:
        overlap = overlap_areas(ours, theirs)
    return normalise(overlap, theirs, normalisation)
