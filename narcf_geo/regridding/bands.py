"""The target in bands of rows, each with the source cells that it needs.

Work that needs all values of a target cell at once goes band by band: of a dask array each block
gives each band the cells that it needs, and memory is bounded by the bands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
from scipy import sparse

from narcf_geo.grid import Grid
from narcf_geo.regridding.interpolation import closed_poles, is_periodic
from narcf_geo.regridding.weights import SeparableWeights, SparseWeights, Weights

BAND_CELLS = 2**20
"""Overlaps of a band, and values of its source cells, at most (a row of the target at least)."""

Blocks = tuple[np.ndarray, np.ndarray]
"""Where the blocks of rows and of columns of the source begin, and where the last ones end."""

Piece = tuple[tuple[int, int], tuple[Any, Any]]
"""Row and column of a source block, and the rows and columns of its cells: slices, or indices."""


@dataclass(frozen=True, eq=False)
class BoxBand:
    """Some rows of a rectilinear target and a box of the source.

    Attributes
    ----------
    weights : SeparableWeights
    rows : slice
        Of the target.
    box : tuple of slice
        Rows and columns of the source.
    """

    weights: SeparableWeights
    rows: slice
    box: tuple[slice, slice]

    @property
    def cells(self) -> int:
        """How many target cells there are in it."""
        return (self.rows.stop - self.rows.start) * self.weights.target.shape[1]

    @property
    def size(self) -> int:
        """How many source cells it needs."""
        return math.prod(s.stop - s.start for s in self.box)

    def numbers(self) -> np.ndarray:
        """Return the numbers, in C order, of the source cells it needs, rising."""
        y, x = self.box
        nx = self.weights.source.shape[1]
        return np.add.outer(nx * np.arange(y.start, y.stop), np.arange(x.start, x.stop)).ravel()

    def matrix(self) -> sparse.csr_array:
        """Return the share of each target cell that each of these source cells covers."""
        y, x = self.box
        rows, columns = self.weights.y[self.rows, y], self.weights.x[:, x]
        return sparse.csr_array(sparse.kron(rows, columns, format="csr"))

    def gathered(self, fields: np.ndarray) -> np.ndarray:
        """Return the values (n, size) of its source cells from fields (n, ny, nx)."""
        return fields[(slice(None), *self.box)].reshape(len(fields), -1)

    def pieces(self, blocks: Blocks) -> list[Piece]:
        """Return the source blocks it needs, and which cells of each."""
        along: list[list[tuple[int, slice]]] = []
        for edges, span in zip(blocks, self.box, strict=True):
            inside = [
                (k, slice(max(span.start, b) - b, min(span.stop, e) - b))
                for k, (b, e) in enumerate(pairwise(edges.tolist()))
                if b < span.stop and e > span.start
            ]
            along.append(inside)
        return [((sy, sx), (y, x)) for (sy, y), (sx, x) in product(*along)]

    def joined(self, pieces: list[np.ndarray], blocks: Blocks) -> np.ndarray:
        """Return values (n, size) from those of its pieces, in their order."""
        rows: dict[int, list[np.ndarray]] = {}
        for ((sy, _), _), piece in zip(self.pieces(blocks), pieces, strict=True):
            rows.setdefault(sy, []).append(piece)
        box = np.concatenate([np.concatenate(row, axis=-1) for row in rows.values()], axis=-2)
        return box.reshape(-1, self.size)


@dataclass(frozen=True, eq=False)
class CellBand:
    """Some rows of any target and the source cells that they need, one by one.

    Attributes
    ----------
    part : scipy.sparse.csr_array
        Rows of the weights, columns in the order of `wanted`.
    target_shape, source_shape : tuple of int
    rows : slice
        Of the target.
    wanted : numpy.ndarray
        Numbers of the source cells, in C order, rising.
    """

    part: sparse.csr_array
    source_shape: tuple[int, ...]
    rows: slice
    wanted: np.ndarray

    @property
    def cells(self) -> int:
        """How many target cells there are in it."""
        return int(self.part.shape[0])

    @property
    def size(self) -> int:
        """How many source cells it needs."""
        return self.wanted.size

    def numbers(self) -> np.ndarray:
        """Return the numbers, in C order, of the source cells it needs, rising."""
        return self.wanted

    def matrix(self) -> sparse.csr_array:
        """Return the share of each target cell that each of these source cells covers."""
        return self.part

    def gathered(self, fields: np.ndarray) -> np.ndarray:
        """Return the values (n, size) of its source cells from fields (n, ny, nx)."""
        return fields.reshape(len(fields), -1)[:, self.wanted]

    def pieces(self, blocks: Blocks) -> list[Piece]:
        """Return the source blocks it needs, and which cells of each."""
        row, column = np.divmod(self.wanted, self.source_shape[1])
        found = []
        for number, order in self._by_block(row, column, blocks):
            sy, sx = divmod(number, blocks[1].size)
            found.append(((sy, sx), (row[order] - blocks[0][sy], column[order] - blocks[1][sx])))
        return found

    def joined(self, pieces: list[np.ndarray], blocks: Blocks) -> np.ndarray:
        """Return values (n, size) from those of its pieces, in their order."""
        row, column = np.divmod(self.wanted, self.source_shape[1])
        values = np.empty((math.prod(pieces[0].shape[:-1]), self.size), pieces[0].dtype)
        for (_, order), piece in zip(self._by_block(row, column, blocks), pieces, strict=True):
            values[:, order] = piece.reshape(len(values), -1)
        return values

    @staticmethod
    def _by_block(
        row: np.ndarray, column: np.ndarray, blocks: Blocks
    ) -> list[tuple[int, np.ndarray]]:
        """Return the number of each block and which of the cells lie in it."""
        sy, sx = (
            np.searchsorted(edges, place, side="right") - 1
            for edges, place in zip(blocks, (row, column), strict=True)
        )
        number = sy * blocks[1].size + sx
        order = np.argsort(number, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
        return [(int(number[group[0]]), group) for group in groups]


Band = BoxBand | CellBand


def box_neighbours(grid: Grid, box: tuple[slice, slice]) -> np.ndarray:
    """Return what `neighbours` does for the cells of a box, as positions in the box.

    Examples
    --------
    >>> box_neighbours(Grid.regular(0, 0, 9, 9, 1), (slice(3, 5), slice(4, 6))).tolist()
    [[-1, 1, 2, -1], [-1, -1, 3, 0], [0, 3, -1, -1], [1, -1, -1, 2]]
    """
    ny, nx = grid.shape
    y, x = box
    shape = y.stop - y.start, x.stop - x.start
    cell = np.arange(math.prod(shape)).reshape(shape)
    around = np.full((*shape, 4), -1)
    around[1:, :, 0], around[:-1, :, 2] = cell[:-1], cell[1:]
    around[:, :-1, 1], around[:, 1:, 3] = cell[:, 1:], cell[:, :-1]
    if shape[1] == nx and is_periodic(grid):
        around[:, -1, 1], around[:, 0, 3] = cell[:, 0], cell[:, -1]
        poles = closed_poles(grid)
        if nx % 2 == 0 and poles[0] and y.start == 0:
            around[0, :, 0] = np.roll(cell[0], nx // 2)
        if nx % 2 == 0 and poles[1] and y.stop == ny:
            around[-1, :, 2] = np.roll(cell[-1], nx // 2)
    return around.reshape(-1, 4)


def bands(weights: Weights, fields: int = 1, halo: bool = False) -> list[Band]:
    """Return the target in bands of about `BAND_CELLS` overlaps for all of `fields` together.

    With `halo` the source cells are those that overlap and their neighbours.
    """
    ny, nx = weights.target.shape
    if isinstance(weights, SeparableWeights):
        per_row = np.diff(weights.y.indptr).astype(float) * weights.x.nnz
    else:
        per_row = np.diff(weights.csr.indptr[::nx]).astype(float)
    limit = max(BAND_CELLS / max(fields, 1), 1)
    cuts, held = [0], 0.0
    for row, more in enumerate(per_row):
        if held and held + more > limit:
            cuts.append(row)
            held = 0.0
        held += more
    cuts.append(ny)
    found: list[Band | None] = []
    for start, stop in pairwise(cuts):
        rows = slice(start, stop)
        if isinstance(weights, SeparableWeights):
            found.append(_box_band(weights, rows, halo))
        else:
            found.append(_cell_band(weights, rows, halo))
    return [band for band in found if band is not None]


def _box_band(weights: SeparableWeights, rows: slice, halo: bool) -> BoxBand | None:
    used = weights.y[rows].indices, weights.x.indices
    if not (used[0].size and used[1].size):
        return None
    (top, bottom), (left, right) = ((int(u.min()), int(u.max()) + 1) for u in used)
    ny, nx = weights.source.shape
    if halo:
        top, bottom, left, right = max(top - 1, 0), min(bottom + 1, ny), left - 1, right + 1
        # The neighbours of a rim lie on the other side of the globe.
        poles = closed_poles(weights.source)
        over = (poles[0] and top == 0) or (poles[1] and bottom == ny)
        if is_periodic(weights.source) and (left < 0 or right > nx or over):
            left, right = 0, nx
        left, right = max(left, 0), min(right, nx)
    return BoxBand(weights, rows, (slice(top, bottom), slice(left, right)))


def _cell_band(weights: SparseWeights, rows: slice, halo: bool) -> CellBand | None:
    nx = weights.target.shape[1]
    part = weights.csr[rows.start * nx : rows.stop * nx]
    if not part.nnz:
        return None
    wanted = np.unique(part.indices)
    if halo and isinstance(weights.source, Grid):
        around = neighbours(weights.source, wanted)
        wanted = np.union1d(wanted, around[around >= 0])
    local = np.searchsorted(wanted, part.indices)
    shape = part.shape[0], wanted.size
    part = sparse.csr_array((part.data, local, part.indptr), shape=shape)
    return CellBand(part, weights.source.shape, rows, wanted)


def neighbours(grid: Grid, cells: np.ndarray) -> np.ndarray:
    """Return the numbers of the cells that share an edge with each, shape (n, 4), -1 for none.

    A globe is closed across its seam and, where it has an even number of columns, across its poles.

    Examples
    --------
    >>> neighbours(Grid.regular(-180, -90, 180, 90, 90), np.array([0])).tolist()
    [[2, 1, 4, 3]]
    """
    ny, nx = grid.shape
    row, column = np.divmod(cells, nx)
    periodic, poles = is_periodic(grid), closed_poles(grid)
    found = []
    for dy, dx in ((-1, 0), (0, 1), (1, 0), (0, -1)):
        y, x = row + dy, column + dx
        for over, back, closed in ((y < 0, 0, poles[0]), (y >= ny, ny - 1, poles[1])):
            if periodic and closed and nx % 2 == 0:
                y, x = np.where(over, back, y), np.where(over, x + nx // 2, x)
        if periodic:
            x = x % nx
        inside = (y >= 0) & (y < ny) & (x >= 0) & (x < nx)
        found.append(np.where(inside, y * nx + x, -1))
    return np.stack(found, axis=1)
