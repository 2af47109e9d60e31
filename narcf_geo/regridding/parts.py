"""Weights between a block of source cells and a window of target cells, applied by the kernels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

BUFFER_BYTES = 2**28

Window = tuple[slice, slice]
Edges = tuple[np.ndarray, np.ndarray]
"""Where the blocks of rows and of columns begin, and where the last ones end."""
Block = tuple[int, int, int, int]
"""Row and column of a target block, row and column of a source block."""


class Part(Protocol):
    """The weights between a block of source cells and a window of target cells."""

    @property
    def window(self) -> Window:
        """Rows and columns of the target grid."""

    def apply(
        self,
        fields: np.ndarray,
        values: np.ndarray,
        fraction: np.ndarray,
        least: float,
        mean: bool,
    ) -> None:
        """Regrid fields (n, ny, nx) into `values` and `fraction`, arrays (n, *window).

        Cells covered by less than `least` become NaN; `mean` divides by the covered fraction. A
        negative `least` leaves plain sums.
        """


@dataclass(frozen=True, eq=False)
class SeparablePart:
    window: Window
    y: sparse.csr_array
    x: sparse.csr_array
    y_weights: np.ndarray
    x_weights: np.ndarray

    def apply(
        self,
        fields: np.ndarray,
        values: np.ndarray,
        fraction: np.ndarray,
        least: float,
        mean: bool,
    ) -> None:
        from narcf_geo.kernels.apply import apply_separable

        y, x = self.y, self.x
        apply_separable(
            fields,
            y.indptr,
            y.indices,
            self.y_weights,
            y.data,
            y.sum(1),
            x.indptr,
            x.indices,
            self.x_weights,
            x.data,
            x.sum(1),
            values,
            fraction,
            least,
            mean,
        )


@dataclass(frozen=True, eq=False)
class SparsePart:
    window: Window
    cover: sparse.csr_array
    weights: np.ndarray
    used: slice
    indices: np.ndarray

    def apply(
        self,
        fields: np.ndarray,
        values: np.ndarray,
        fraction: np.ndarray,
        least: float,
        mean: bool,
    ) -> None:
        from narcf_geo.kernels.apply import apply_sparse, apply_sparse_single

        flat, used, c = fields.reshape(fields.shape[0], -1), self.used, self.cover
        few = len(flat) < 4 or 8 * flat.itemsize * (used.stop - used.start) > BUFFER_BYTES
        kernel = apply_sparse_single if few else apply_sparse
        kernel(
            flat,
            used.start,
            used.stop,
            c.indptr,
            self.indices,
            self.weights,
            c.data,
            values,
            fraction,
            least,
            mean,
        )


def sparse_part(window: Window, cover: sparse.csr_array, weights: np.ndarray) -> SparsePart:
    used = slice(int(cover.indices.min()), int(cover.indices.max()) + 1)
    return SparsePart(window, cover, weights, used, (cover.indices - used.start).astype(np.uint32))


def touched(matrix: sparse.csr_array) -> slice:
    """Return the span of rows that hold entries."""
    rows = np.flatnonzero(np.diff(matrix.indptr))
    return slice(int(rows[0]), int(rows[-1]) + 1)


def block_of(edges: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the block of each index, blocks being given by their n + 1 edges."""
    return np.searchsorted(edges, index, side="right") - 1


def slice_of(edges: np.ndarray, k: int) -> slice:
    return slice(int(edges[k]), int(edges[k + 1]))


def flat(row: np.ndarray, column: np.ndarray, window: Window) -> np.ndarray:
    """Return C-order positions within a window of a grid."""
    y, x = window
    return (row - y.start) * (x.stop - x.start) + column - x.start


def cells_in(window: Window) -> int:
    return math.prod(w.stop - w.start for w in window)


def shifted(window: Window, origin: Window) -> Window:
    y, x = (slice(w.start + o.start, w.stop + o.start) for w, o in zip(window, origin, strict=True))
    return y, x


def rescaled(
    cover: sparse.csr_array, target_size: np.ndarray, source_size: np.ndarray
) -> np.ndarray:
    """Return the part of each source cell instead of the part of each target cell."""
    rows = np.repeat(np.arange(cover.shape[0]), np.diff(cover.indptr))
    return cover.data * target_size[rows] / source_size[cover.indices]
