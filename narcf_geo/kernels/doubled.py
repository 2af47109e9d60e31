"""Cells that lie on each other: halo rows, the fold of a tripolar grid, overlapping footprints.

Only imported when weights are computed: it imports numba.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from narcf_geo.grid import Grid
from narcf_geo.kernels.blocks import LARGE, Side, overlaps_with_tiles, tiles_of
from narcf_geo.kernels.overlap import areas, n_threads, overlap_areas, polygons_of
from narcf_geo.kernels.polygons import Integers, Polygons

if TYPE_CHECKING:
    from narcf_geo.grid import Cells

SAME = 0.99
"""Two cells that share this part of both are one cell that is there twice."""

TOUCHING = 0.01
"""Neighbours whose corners are rounded share less than this part of the smaller."""


@dataclass(frozen=True)
class Doubled:
    """What lies on what among the cells of a source.

    Attributes
    ----------
    copies
        Cells that are there already under a lower number, ascending.
    originals
        The first of each of `copies`.
    partly
        Cells that overlap others in part, ascending, without `copies`.
    """

    copies: Integers
    originals: Integers
    partly: Integers


@nb.njit(cache=True, nogil=True)
def _lonely(parts: Any, n_vertices: int) -> Any:
    """Which parts have an edge that is not shared by just one other part on its other side."""
    n = parts.shape[0]
    begin = np.zeros(n_vertices + 1, np.int64)
    for i in range(n):
        for k in range(4):
            if parts[i, k] != parts[i, (k + 1) % 4]:
                begin[parts[i, k] + 1] += 1
    for v in range(n_vertices):
        begin[v + 1] += begin[v]
    to = np.empty(begin[-1], np.int32)
    filled = begin[:-1].copy()
    for i in range(n):
        for k in range(4):
            u, v = parts[i, k], parts[i, (k + 1) % 4]
            if u != v:
                to[filled[u]] = v
                filled[u] += 1
    lonely = np.zeros(n, np.bool_)
    for i in range(n):
        for k in range(4):
            u, v = parts[i, k], parts[i, (k + 1) % 4]
            if u == v:
                continue
            same, back = 0, 0
            for m in range(begin[u], begin[u + 1]):
                same += to[m] == v
            for m in range(begin[v], begin[v + 1]):
                back += to[m] == u
            lonely[i] |= same != 1 or back != 1
    return lonely


def doubled(cells: Polygons) -> Doubled:
    """Find cells that lie on each other.

    Two cells can only do so where an edge has not just one cell on either side: at the rim of the
    grid, where it folds back, or where neighbours do not share their corners. Only if a cell there
    overlaps another are all cells compared with each other.

    Parameters
    ----------
    cells
        Of one grid or mesh.
    """
    nothing = np.empty(0, np.int64)
    suspects = cells.owner[_lonely(cells.parts, len(cells.vertices))]
    if not suspects.size:
        return Doubled(nothing, nothing, nothing)
    chosen = np.isin(cells.owner, suspects)
    size = areas(cells)
    first, second, shared = _pairs(_some(cells, chosen), cells, size)
    if not first.size:
        return Doubled(nothing, nothing, nothing)
    first, second, shared = _pairs(cells, cells, size)
    upper = first < second
    first, second, shared = first[upper], second[upper], shared[upper]
    same = shared >= SAME * np.maximum(size[first], size[second])
    copies, at = np.unique(second[same], return_index=True)
    originals = first[same][at]
    rest = ~same & ~np.isin(first, copies) & ~np.isin(second, copies)
    return Doubled(copies, originals, np.union1d(first[rest], second[rest]))


def _some(cells: Polygons, chosen: Any) -> Polygons:
    return replace(cells, parts=cells.parts[chosen], owner=cells.owner[chosen], columns=0)


def _pairs(some: Polygons, cells: Polygons, size: Any) -> tuple[Integers, Integers, Any]:
    """Return pairs of different cells that overlap by more than rounding, and by how much."""
    overlap = overlap_areas(cells, some).tocoo()
    first, second = (c.astype(np.int64) for c in overlap.coords)
    real = (first != second) & (overlap.data > TOUCHING * np.minimum(size[first], size[second]))
    return first[real], second[real], overlap.data[real]


@lru_cache(maxsize=8)
def doubled_cells(cells: Cells) -> Doubled:
    """Return what lies on what among the cells of a grid or mesh; see `doubled`."""
    if isinstance(cells, Grid) and math.prod(cells.shape) > LARGE and not _rim_overlaps(cells):
        nothing = np.empty(0, np.int64)
        return Doubled(nothing, nothing, nothing)
    return doubled(polygons_of(cells))


def _rim_overlaps(grid: Grid) -> bool:
    """Tell whether a cell at the rim of a grid lies on another, tile by tile of a large grid."""
    ny, nx = grid.shape
    side = Side.of(grid, None, "great_circles", "source")
    tiles = tiles_of(side)
    inner = slice(1, ny - 1)
    ends = [(slice(k, k + 1), slice(0, nx)) for k in (0, ny - 1)]
    ends += [(inner, slice(k, k + 1)) for k in (0, nx - 1)]
    for rows, columns in ends:
        cells = side.polygons(rows, columns)
        row, other, area = overlaps_with_tiles(side, tiles, cells, n_threads())
        y, x = np.divmod(row, columns.stop - columns.start)
        own = (rows.start + y) * nx + columns.start + x
        if ((own != other) & (area > TOUCHING * areas(cells)[row])).any():
            return True
    return False


def single_cells(cells: Cells) -> tuple[NDArray[np.bool_] | None, int]:
    """Return which cells of a grid or mesh are there for the first time.

    Parameters
    ----------
    cells
        Any grid or mesh.

    Returns
    -------
    tuple of numpy.ndarray and int
        A mask of the shape of the cells, None where no cell is there twice, and the number of
        cells that overlap others in part.
    """
    if cells.is_rectilinear:
        return None, 0
    found = doubled_cells(cells)
    if not found.copies.size:
        return None, int(found.partly.size)
    mask = np.ones(math.prod(cells.shape), bool)
    mask[found.copies] = False
    return mask.reshape(cells.shape), int(found.partly.size)
