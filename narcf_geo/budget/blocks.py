"""Fields read block by block, each chunk of a file once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from narcf_geo.budget.cells import Block

BLOCK = 2**22
"""Values of cells that are worked on at once (32 MB)."""

_MOST_CELLS = 2**21
"""Cells of a block of which the weights are held at once."""


def blocks_of(window: Block, array: xr.DataArray) -> Iterator[Block]:
    """Yield blocks of whole chunks that cover a window of the cells."""
    chunks = array.chunks
    down, along = (
        _ends(chunks[k] if chunks else None, s) for k, s in ((-2, window[0]), (-1, window[1]))
    )
    deep = np.prod([c[0] for c in chunks[:-2]], dtype=int) if chunks else 1
    most = max(min(_MOST_CELLS, BLOCK // max(int(deep), 1)), 1)
    wide = window[1].stop - window[1].start
    high = max(np.diff(down), default=1)
    if high * wide <= most or not chunks:
        columns = [window[1]] if wide else []
        rows = _grouped(down, most // max(wide, 1))
    else:
        columns, rows = _grouped(along, most // int(high)), _grouped(down, 1)
    for row in rows:
        for column in columns:
            yield row, column


def _ends(chunks: tuple[int, ...] | None, window: slice) -> np.ndarray:
    """Return the window's ends and those of chunks between them; of all rows without chunks."""
    if chunks is None:
        return np.arange(window.start, window.stop + 1)
    ends = np.cumsum([0, *chunks])
    inner = ends[(ends > window.start) & (ends < window.stop)]
    return np.concatenate([[window.start], inner, [window.stop]])


def _grouped(ends: np.ndarray, most: int) -> list[slice]:
    """Return slices from end to end, each of at most so many, or of one step."""
    slices, start = [], 0
    while start < len(ends) - 1:
        stop = max(int(np.searchsorted(ends, ends[start] + most, "right")) - 1, start + 1)
        slices.append(slice(int(ends[start]), int(ends[stop])))
        start = stop
    return [s for s in slices if s.stop > s.start]


def values_of(
    array: xr.DataArray, block: Block, number: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield labels and values (cell, n) of the cells of a block that polygons touch, float64."""
    if array.ndim == 2:
        array = array.expand_dims("one")
    first, *others = array.dims[:-2]
    array = array.isel(dict(zip(array.dims[-2:], block, strict=True)))
    each = int(np.prod([array.sizes[d] for d in others], dtype=int))
    cells = array.sizes[array.dims[-1]] * array.sizes[array.dims[-2]]
    step = max(BLOCK // max(cells * each, 1), 1)
    stored = array.chunks[0][0] if array.chunks else 1
    step = step // stored * stored if step >= stored else min(stored, 8 * step)
    for start in range(0, array.sizes[first], step):
        part = array.isel({first: slice(start, start + step)}).values
        flat = part.reshape(-1, cells)
        values = np.ascontiguousarray(flat[:, number].T, dtype=np.float64)
        yield slice(start * each, start * each + len(flat)), values
