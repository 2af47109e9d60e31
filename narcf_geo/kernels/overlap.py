"""Conservative weights: overlap areas of great-circle polygons on the sphere.

Only imported when weights are computed: it imports numba.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import numba as nb
import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from narcf_geo.core.errors import UsageError
from narcf_geo.grid import Mesh
from narcf_geo.kernels.polygons import (
    FANOUT,
    ROUNDING,
    Floats,
    Polygons,
    bounding_box,
    extent,
    load,
    polygon_area,
    unit_vectors,
)
from narcf_geo.kernels.triangulate import polygons

if TYPE_CHECKING:
    from narcf_geo.grid import Cells

Normalisation = Literal["conservative", "conservative_normed"]


@nb.njit(cache=True, nogil=True, inline="always")
def _side(buffers: Any, at: int, k: int, edges: Any, e: int) -> float:
    """How far inside the plane of an edge a corner is; 0 within rounding of the plane.

    The difference to a point of the plane keeps the sign exact near the edge.
    """
    s = (
        edges[e, 3] * (buffers[at, k, 0] - edges[e, 0])
        + edges[e, 4] * (buffers[at, k, 1] - edges[e, 1])
        + edges[e, 5] * (buffers[at, k, 2] - edges[e, 2])
    )
    return s if abs(s) > edges[e, 6] else 0.0


@nb.njit(cache=True, nogil=True)
def _clip(buffers: Any, n: int, edges: Any, n_edges: int, side: Any) -> tuple[int, int]:
    """Sutherland-Hodgman: the part of the convex polygon `buffers[0]` inside all of `edges`.

    Returns the number of corners left and which of the two buffers holds them.
    """
    crossed = 0
    for e in range(n_edges):
        inside, outside = 0, 0
        for k in range(n):
            s = _side(buffers, 0, k, edges, e)
            inside += s > 0.0
            outside += s < 0.0
        if inside == 0:
            return 0, 0
        if outside > 0:
            crossed |= 1 << e
    at = 0
    for e in range(n_edges):
        if not crossed >> e & 1:
            continue
        inside = 0
        for k in range(n):
            side[k] = _side(buffers, at, k, edges, e)
            inside += side[k] > 0.0
        if inside == 0:
            return 0, at
        to = 1 - at
        m = 0
        x0, y0, z0 = buffers[at, n - 1, 0], buffers[at, n - 1, 1], buffers[at, n - 1, 2]
        s0 = side[n - 1]
        for k in range(n):
            x1, y1, z1, s1 = buffers[at, k, 0], buffers[at, k, 1], buffers[at, k, 2], side[k]
            if s0 * s1 < 0.0:
                t = s0 / (s0 - s1)
                x, y, z = x0 + t * (x1 - x0), y0 + t * (y1 - y0), z0 + t * (z1 - z0)
                scale = 1.0 / np.sqrt(x * x + y * y + z * z)
                buffers[to, m, 0] = x * scale
                buffers[to, m, 1] = y * scale
                buffers[to, m, 2] = z * scale
                m += 1
            if s1 >= 0.0:
                buffers[to, m, 0], buffers[to, m, 1], buffers[to, m, 2] = x1, y1, z1
                m += 1
            x0, y0, z0, s0 = x1, y1, z1, s1
        at, n = to, m
    return n, at


@nb.njit(cache=True, nogil=True)
def _edge_planes(polygon: Any, n: int, edges: Any) -> None:
    """A point of each edge, the inward normal of its plane, and the rounding along that."""
    for k in range(n):
        m = (k + 1) % n
        px, py, pz = polygon[k, 0], polygon[k, 1], polygon[k, 2]
        dx, dy, dz = polygon[m, 0] - px, polygon[m, 1] - py, polygon[m, 2] - pz
        edges[k, 0], edges[k, 1], edges[k, 2] = px, py, pz
        nx, ny, nz = py * dz - pz * dy, pz * dx - px * dz, px * dy - py * dx
        edges[k, 3], edges[k, 4], edges[k, 5] = nx, ny, nz
        edges[k, 6] = 4e-16 * np.sqrt(nx * nx + ny * ny + nz * nz)


@nb.njit(cache=True, nogil=True)
def _beyond_an_edge(boxes: Any, b: int, edges: Any, n_edges: int) -> bool:
    """Is a box wholly outside the plane of one of the edges."""
    x, y, z = boxes[b, 0] + boxes[b, 3], boxes[b, 1] + boxes[b, 4], boxes[b, 2] + boxes[b, 5]
    dx, dy, dz = boxes[b, 3] - boxes[b, 0], boxes[b, 4] - boxes[b, 1], boxes[b, 5] - boxes[b, 2]
    for e in range(n_edges):
        nx, ny, nz = edges[e, 3], edges[e, 4], edges[e, 5]
        if nx * x + ny * y + nz * z + abs(nx) * dx + abs(ny) * dy + abs(nz) * dz < 0.0:
            return True
    return False


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
    levels = starts.shape[0] - 1
    stack_level = np.empty(FANOUT * levels + 1, np.int64)
    stack_node = np.empty(FANOUT * levels + 1, np.int64)
    found = 0
    for i in range(n_target):
        n_corners = load(target_vertices, target_parts, i, target)
        bounding_box(target, n_corners, box)
        _edge_planes(target, n_corners, edges)
        before = found
        depth = 1
        stack_level[0], stack_node[0] = levels - 1, 0
        while depth > 0:
            depth -= 1
            level, node = stack_level[depth], stack_node[depth]
            b = starts[level] + node
            if (
                boxes[b, 0] > box[3]
                or boxes[b, 1] > box[4]
                or boxes[b, 2] > box[5]
                or boxes[b, 3] < box[0]
                or boxes[b, 4] < box[1]
                or boxes[b, 5] < box[2]
                or _beyond_an_edge(boxes, b, edges, n_corners)
            ):
                continue
            if level > 0:
                last = min((node + 1) * FANOUT, starts[level] - starts[level - 1])
                for child in range(node * FANOUT, last):
                    stack_level[depth], stack_node[depth] = level - 1, child
                    depth += 1
                continue
            for j in range(node * FANOUT, min((node + 1) * FANOUT, parts.shape[0])):
                n = load(vertices, parts, j, source)
                n, at = _clip(buffers, n, edges, n_corners, side)
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


def areas(cells: Polygons) -> Floats:
    """Area of each cell on the unit sphere, shape (size,); 0 where masked or degenerate."""
    part_areas = _part_areas(cells.vertices, cells.parts)
    return np.bincount(cells.owner, part_areas, minlength=cells.size).astype(np.float64)


def overlap_areas(source: Polygons, target: Polygons) -> sparse.csr_array:
    """Area on the unit sphere common to each target and source cell, (target, source).

    Rows are independent of each other and computed in threads (as many as
    ``NUMBA_NUM_THREADS``): their number never changes the result.
    """
    shape = (target.size, source.size)
    if not len(source.parts) or not len(target.parts):
        return sparse.csr_array(shape, dtype=np.float64)
    tree = source.tree
    threads: int = nb.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]

    def rows(parts: Any) -> Any:
        return _overlap_rows(
            target.vertices, parts, source.vertices, tree.parts, tree.owner, tree.boxes, tree.starts
        )

    blocks = np.array_split(target.parts, min(8 * threads, len(target.parts)))
    if threads == 1:
        done = [rows(block) for block in blocks]
    else:
        with ThreadPoolExecutor(threads) as pool:
            done = list(pool.map(rows, blocks))
    count, column, area = (np.concatenate(pieces) for pieces in zip(*done, strict=True))
    per_cell = np.bincount(target.owner, count, minlength=target.size).astype(np.int64)
    pointer = np.concatenate([[0], np.cumsum(per_cell)])
    overlap = sparse.csr_array((area, column, pointer), shape=shape)
    overlap.sum_duplicates()
    return overlap


def normalise(
    overlap: sparse.csr_array, target: Polygons, normalisation: Normalisation
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


def polygons_of(cells: Cells, mask: ArrayLike | None = None) -> Polygons:
    """Return the cells of a grid or mesh, those left out where `mask` is 0."""
    if isinstance(cells, Mesh):
        return polygons(
            unit_vectors(cells.lon_v, cells.lat_v),
            cells.connectivity,
            cells.counts,
            mask,
            owner=cells.owner,
            shape=cells.shape,
        )
    return Polygons.from_corners(*cells.corners(), mask=mask)


def _masked(cells: Cells, mask: ArrayLike | None, which: str) -> Polygons:
    if mask is not None and np.shape(mask) != cells.shape:
        raise UsageError(
            f"{which}_mask has shape {np.shape(mask)}, but the {which} grid has {cells.shape}: "
            "give one value a cell, 0 for a cell to leave out"
        )
    return polygons_of(cells, mask)


def conservative_weights(
    source: Cells,
    target: Cells,
    *,
    normalisation: Normalisation = "conservative",
    source_mask: ArrayLike | None = None,
    target_mask: ArrayLike | None = None,
) -> sparse.csr_array:
    """First-order conservative weights between any two grids or meshes.

    Cell edges are great circles, as in ESMF, whose weights these are (to about 1e-12).

    Parameters
    ----------
    source, target
        A `Grid` or `Mesh` in any orientation, longitude range and place, poles included.
    normalisation
        "conservative" divides an overlap by the target cell's area: a row sums to the covered
        fraction. "conservative_normed" divides by the covered area: a row sums to 1.
    source_mask, target_mask
        Shape of their grid; a cell with 0 (or False) takes no part.

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
        A mask's shape is not its grid's, or the normalisation is unknown.
    """
    cells = _masked(source, source_mask, "source"), _masked(target, target_mask, "target")
    return normalise(overlap_areas(*cells), cells[1], normalisation)
