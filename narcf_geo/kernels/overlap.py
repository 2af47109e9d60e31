"""Overlap areas of cells on the sphere.

Only imported when weights are computed: it imports numba.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numba as nb
import numpy as np
from scipy import sparse

from narcf_geo.core.errors import UsageError
from narcf_geo.grid import Mesh
from narcf_geo.kernels.clip import clip, edge_planes, grown, near
from narcf_geo.kernels.lonlat import RectilinearCells
from narcf_geo.kernels.parallels import overlap_rows
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
    unit_vectors,
)
from narcf_geo.kernels.triangulate import polygons

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

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
    column, area = np.empty(8 * n_target + 64, np.int64), np.empty(8 * n_target + 64)
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
                if found == column.size:
                    column, area = grown(column, area)
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


def n_threads() -> int:
    """Return how many threads to work in, ``NUMBA_NUM_THREADS``."""
    return int(nb.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]


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

    threads = threads or n_threads()
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


def polygons_of(cells: Grid | Mesh, mask: ArrayLike | None = None) -> Polygons:
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
