"""Fields of any size, read window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import TypeVar

import numpy as np
import xarray as xr

from narcf_geo.core.layout import Layout, slices
from narcf_geo.core.pool import at_hand, in_order

PIECE = 2**17
"""Values that are worked on at once (1 MB)."""

T = TypeVar("T")

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

    def each(self, function: Callable[[Windows, int], T], take: Callable[[T], None]) -> None:
        """Call ``function(self, n)`` for the place of each number n, and `take` with its results.

        Places are worked on side by side, on the cluster that dask computes on or by threads;
        results are taken in the order of the places.
        """
        if len(self.places) == 1:
            take(function(self, 0))
        else:
            in_order(at_hand(), function, len(self.places), take, self)

    def total(self, function: Callable[[Windows, int], T], add: Callable[[T, T], T]) -> T:
        """Return the sum of what `each` takes, as `add` adds two."""
        found: list[T] = []

        def take(part: T) -> None:
            found[:] = [add(found[0], part)] if found else [part]

        self.each(function, take)
        return found[0]

    def read(self, time: slice, place: Place) -> dict[str, np.ndarray]:
        """Return the values of all fields in a window (time, row, column)."""
        import dask

        at = (time, *place)
        parts = {name: field.variable[at].data for name, field in self.fields.items()}
        # Where places are worked on side by side, the chunks of one are read one by one.
        how = {"scheduler": "synchronous"} if len(self.places) > 1 else {}
        return dict(zip(parts, dask.compute(*parts.values(), **how), strict=True))

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
        places = iter(self.places)

        def take(found: np.ndarray) -> None:
            known[next(places)] = found

        self.each(_known, take)
        return known

    def cells(self, place: Place) -> np.ndarray:
        """Return the numbers (row, column) of the cells of a place, in C order of the grid."""
        row, column = (np.arange(s.start, s.stop) for s in place)
        return row[:, None] * self.shape[2] + column


def _known(windows: Windows, number: int) -> np.ndarray:
    """Return which cells of a place have a value of all fields in any month."""
    place = windows.places[number]
    found = [
        np.logical_and.reduce([np.isfinite(v) for v in windows.read(months, place).values()])
        for months in windows.times
    ]
    known: np.ndarray = np.logical_or.reduce([valid.any(axis=0) for valid in found])
    return known


def _chunks(shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    t, y, x = shape
    layout = Layout.of((t, y, x))
    return tuple(
        tuple(min(step, n - start) for start in range(0, n, max(step, 1))) or (0,)
        for n, step in zip(shape, layout.chunk, strict=True)
    )
