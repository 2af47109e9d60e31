"""Cells of a longitude-latitude grid, between meridians and parallels.

Only imported when weights are computed: it imports numba.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narcf_geo.grid.sphere import band
from narcf_geo.kernels.polygons import Floats, Integers, unit_vectors

WIDEST = 90.0
"""Degrees of longitude; wider cells are cut in pieces, so that two meridians bound each."""


@dataclass(frozen=True)
class RectilinearCells:
    """Cells of a longitude-latitude grid, in C order, with parallels as edges.

    Attributes
    ----------
    rows
        Of each row: sine and squared cosine of its southern and of its northern parallel, and the
        smallest and the largest cosine, shape (ny, 6). A sine of 2 or -2 is a pole, no edge.
    row
        Number of each row, ascending.
    columns
        Of each piece of a column: cosine and sine of its western and of its eastern meridian, and
        the range of each, shape (n_pieces, 8).
    column
        Number of the column of each piece, ascending.
    area
        Of the cells on the unit sphere, as a factor a row and a factor a column.
    mask
        Shape (size,), False leaves a cell out; empty when all take part.
    """

    shape: tuple[int, int]
    rows: Floats
    row: Integers
    columns: Floats
    column: Integers
    area: tuple[Floats, Floats]
    mask: NDArray[np.bool_]

    @classmethod
    def from_edges(
        cls, lon_b: ArrayLike, lat_b: ArrayLike, mask: ArrayLike | None = None
    ) -> RectilinearCells:
        """Cells between edges in degrees, of shapes (nx + 1,) and (ny + 1,), in either direction.

        `mask` of shape (ny, nx) is 0 for cells to leave out.
        """
        lon_b, lat_b = np.asarray(lon_b, np.float64), np.asarray(lat_b, np.float64)
        west, east = np.minimum(lon_b[1:], lon_b[:-1]), np.maximum(lon_b[1:], lon_b[:-1])
        south, north = np.minimum(lat_b[1:], lat_b[:-1]), np.maximum(lat_b[1:], lat_b[:-1])
        pieces = np.ceil((east - west) / WIDEST - 1e-9).astype(np.int64)
        column = np.repeat(np.arange(west.size), pieces)
        step = np.arange(column.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        low, high = (
            west[column] + (east - west)[column] * (step + k) / pieces[column] for k in (0, 1)
        )
        # The edges themselves are not computed: those of other cells coincide with them.
        high = np.where(step + 1 == pieces[column], east[column], high)
        return cls(
            (south.size, west.size),
            _rows(south, north),
            np.arange(south.size),
            _columns(low, high),
            column,
            (band(north, south), np.radians(east - west)),
            np.empty(0, bool) if mask is None else np.asarray(mask).reshape(-1) != 0,
        )

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.shape[0] * self.shape[1]

    @property
    def owner(self) -> Integers:
        """Cell of each piece, ascending."""
        nx = self.shape[1]
        return np.add.outer(self.row * nx, self.column).ravel()

    @property
    def areas(self) -> Floats:
        """Area of each cell on the unit sphere, shape (size,); 0 where masked."""
        areas = np.multiply.outer(*self.area).ravel()
        if self.mask.size:
            areas[~self.mask] = 0.0
        return areas

    @property
    def box(self) -> Floats:
        """Box (minimum x, y, z, maximum x, y, z) around all cells, at least one."""
        near, far = self.rows[:, 4].min(), self.rows[:, 5].max()
        box = np.empty(6)
        for axis in range(2):
            low, high = self.columns[:, 4 + 2 * axis].min(), self.columns[:, 5 + 2 * axis].max()
            box[axis] = low * (far if low < 0 else near) - 4e-15
            box[3 + axis] = high * (far if high > 0 else near) + 4e-15
        box[2], box[5] = self.rows[:, 0].min() - 4e-15, self.rows[:, 2].max() + 4e-15
        return box

    def touching(self, box: Floats) -> RectilinearCells:
        """Return the cells that may touch a box of six numbers, which keep theirs."""
        rows = (self.rows[:, 0] <= box[5]) & (self.rows[:, 2] >= box[2])
        if not rows.any():
            return replace(self, rows=self.rows[:0], row=self.row[:0])
        near, far = self.rows[rows, 4].min(), self.rows[rows, 5].max()
        columns = np.ones(len(self.columns), bool)
        for axis in range(2):
            low, high = self.columns[:, 4 + 2 * axis], self.columns[:, 5 + 2 * axis]
            columns &= np.where(low < 0, low * far, low * near) <= box[3 + axis]
            columns &= np.where(high > 0, high * far, high * near) >= box[axis]
        return replace(
            self,
            rows=self.rows[rows],
            row=self.row[rows],
            columns=self.columns[columns],
            column=self.column[columns],
        )


def _rows(south: Floats, north: Floats) -> Floats:
    rows = np.empty((south.size, 6))
    for k, lat in enumerate((south, north)):
        xyz = unit_vectors(0.0, lat)
        rows[:, 2 * k] = np.where(np.abs(lat) == 90.0, 2.0 * np.sign(lat), xyz[:, 2])
        rows[:, 2 * k + 1] = xyz[:, 0] ** 2
    cosines = np.sqrt(rows[:, 1]), np.sqrt(rows[:, 3])
    rows[:, 4] = np.minimum(*cosines)
    rows[:, 5] = np.where((south < 0) & (north > 0), 1.0, np.maximum(*cosines))
    return rows


def _columns(west: Floats, east: Floats) -> Floats:
    columns = np.empty((west.size, 8))
    columns[:, 0:2] = unit_vectors(west, 0.0)[:, :2]
    columns[:, 2:4] = unit_vectors(east, 0.0)[:, :2]

    def holds(angle: float) -> NDArray[np.bool_]:
        held = np.floor((east - angle) / 360.0) >= np.ceil((west - angle) / 360.0)
        return np.asarray(held)

    for k, top in enumerate((0.0, 90.0)):
        ends = columns[:, k], columns[:, 2 + k]
        columns[:, 4 + 2 * k] = np.where(holds(top + 180.0), -1.0, np.minimum(*ends))
        columns[:, 5 + 2 * k] = np.where(holds(top), 1.0, np.maximum(*ends))
    return columns
