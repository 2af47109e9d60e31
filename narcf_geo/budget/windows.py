"""Fields of any size, read window by window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np
import xarray as xr

from narcf_geo.core.layout import Layout, slices

PIECE = 2**17
"""Values that are worked on at once (1 MB)."""

Place = tuple[slice, slice]
"""Rows and columns."""


class Windows:
    """Fields on one grid and the same months, and the windows in which they are read.

    Windows are the chunks of the first field that has any, else those of `Layout`.

    Parameters
    ----------
    fields : mapping of str to xarray.DataArray
        (time, lat, lon), lazy or in memory.
    """

    def __init__(self, fields: Mapping[str, xr.DataArray]) -> None:
        self.fields = {name: f.transpose("time", ...) for name, f in fields.items()}
        first = next(iter(self.fields.values()))
        self.plane = tuple(str(d) for d in first.dims[1:])
        self.shape = first.shape
        lazy = (f.chunks for f in self.fields.values())
        cut = next((chunks for chunks in lazy if chunks), None) or _chunks(first.shape)
        self.times, rows, columns = (slices([n for n in sizes if n]) for sizes in cut)
        self.places: list[Place] = list(product(rows, columns))

    def read(self, time: slice, place: Place) -> dict[str, np.ndarray]:
        """Return the values of all fields in a window (time, row, column)."""
        import dask

        at = (time, *place)
        parts = {name: field.variable[at].data for name, field in self.fields.items()}
        return dict(zip(parts, dask.compute(*parts.values()), strict=True))

    def pieces(self, time: slice, place: Place) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
        """Read a window, and yield it some months at a time: what is computed may be larger."""
        values = self.read(time, place)
        cells = next(iter(values.values()))[0].size
        step = max(PIECE // max(cells, 1), 1)
        for start in range(time.start, time.stop, step):
            months = slice(start, min(start + step, time.stop))
            of = slice(months.start - time.start, months.stop - time.start)
            yield months, {name: value[of] for name, value in values.items()}

    def known(self) -> np.ndarray:
        """Return which cells (row, column) have a value of all fields in any month."""
        known = np.zeros(self.shape[1:], dtype=bool)
        for place in self.places:
            for months in self.times:
                values = self.read(months, place).values()
                known[place] |= np.logical_and.reduce([np.isfinite(v) for v in values]).any(axis=0)
        return known

    def cells(self, place: Place) -> np.ndarray:
        """Return the numbers (row, column) of the cells of a place, in C order of the grid."""
        row, column = (np.arange(s.start, s.stop) for s in place)
        return row[:, None] * self.shape[2] + column


def _chunks(shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    t, y, x = shape
    layout = Layout.of((t, y, x))
    return tuple(
        tuple(min(step, n - start) for start in range(0, n, max(step, 1))) or (0,)
        for n, step in zip(shape, layout.chunk, strict=True)
    )
