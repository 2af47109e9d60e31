"""Sums over months of values times the days they stand for, in one pass over an array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BYTES = 8 * 2**20
"""What is read at a time, where the chunks of a file are smaller."""

_CELLS = 16384
"""Cells summed at a time, so that their sums stay in the cache."""


@dataclass(frozen=True)
class Shares:
    """The days that time steps contribute to months: one row for each pair, sorted by step."""

    step: NDArray[np.int64]
    month: NDArray[np.int64]
    days: Floats

    def where(self, chosen: NDArray[np.bool_] | slice) -> Shares:
        return Shares(self.step[chosen], self.month[chosen], self.days[chosen])

    def by_month(self) -> Iterator[tuple[int, Shares]]:
        for month in np.unique(self.month):
            yield int(month), self.where(self.month == month)


def shares_of_months(start: Floats, end: Floats, edges: Floats) -> Shares:
    first = np.searchsorted(edges, start, "right") - 1
    last = np.minimum(np.searchsorted(edges, end, "left") - 1, edges.size - 2)
    first = np.clip(first, 0, last)
    number = last - first + 1
    step = np.repeat(np.arange(start.size), number)
    month = np.arange(step.size) + np.repeat(first - np.cumsum(number) + number, number)
    days = np.minimum(end[step], edges[month + 1]) - np.maximum(start[step], edges[month])
    return Shares(step, month, days).where(days > 0)


@dataclass(frozen=True)
class Rule:
    """Months of `days` days have a mean where values cover the share `least` of them."""

    days: Floats
    least: float

    def mean(self, total: Floats, covered: Floats, months: slice) -> Floats:
        """Return means (month, cell) from sums of value times days and the days covered."""
        enough = (covered > 0) & (covered >= (self.least - 1e-9) * self.days[months, None])
        return np.divide(total, covered, out=np.full(total.shape, np.nan), where=enough)


def read_mean(variable: xr.Variable, axis: int, shares: Shares, rule: Rule) -> Floats:
    """Average in one pass over slabs of time: an array in memory or a file opened without dask."""
    months, shape = rule.days.size, _without(variable.shape, axis)
    means = np.full((months, prod(shape)), np.nan)
    last = {month: share.step[-1] for month, share in shares.by_month()}
    sums: dict[int, tuple[Floats, Floats]] = {}
    length = _slab(variable, axis)
    for first in range(0, variable.shape[axis], length):
        after = first + length
        rows = _rows(variable.isel(time=slice(first, after)).values, axis)
        low, high = np.searchsorted(shares.step, [first, after])
        for month, share in shares.where(slice(low, high)).by_month():
            if month not in sums:
                sums[month] = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
            total, covered = sums[month]
            _add(total, covered, [rows[i] for i in share.step - first], share.days)
        for month in [m for m in sums if last[m] < after]:
            total, covered = sums.pop(month)
            only = slice(month, month + 1)
            means[only] = rule.mean(total[None], covered[None], only)
    return np.moveaxis(means.reshape(months, *shape), 0, axis)


def _slab(variable: xr.Variable, axis: int) -> int:
    """Return how many steps to read at a time: whole chunks of the file."""
    native = variable.encoding.get("chunksizes") or variable.encoding.get("chunks")
    steps = native[axis] if native and len(native) == variable.ndim else 1
    a_step = prod(_without(variable.shape, axis)) * variable.dtype.itemsize
    return steps * max(1, _BYTES // max(steps * a_step, 1))


def lazy_mean(variable: xr.Variable, axis: int, shares: Shares, rule: Rule) -> Any:
    """Return the means as a dask array, each chunk of which adds up chunks of steps in a row.

    A chunk holds about as many months as a chunk of steps does, and at least one. Small chunks of
    steps are added several at a time.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    data = variable.data
    ends = np.cumsum(data.chunks[axis])
    begins = np.append(0, ends[:-1])
    block = np.searchsorted(ends, shares.step, "right")
    months = rule.days.size
    size = max(1, months * max(data.chunks[axis]) // max(data.shape[axis], 1))
    at_once = max(1, _BYTES // max(prod(data.chunksize) * data.dtype.itemsize, 1))
    sizes = tuple(min(size, months - first) for first in range(0, months, size))
    name = f"monthly-mean-{tokenize(data.name, axis, shares, rule)}"
    cells = list(product(*(range(len(c)) for c in _without(data.chunks, axis))))
    layer: dict[Any, Any] = {}
    for column, number in enumerate(sizes):
        span = slice(column * size, column * size + number)
        inside = np.flatnonzero((shares.month >= span.start) & (shares.month < span.stop))
        blocks = np.unique(block[inside]).tolist()
        parts = {}
        for b in blocks:
            part = shares.where(inside[block[inside] == b])
            parts[b] = Shares(part.step - begins[b], part.month - span.start, part.days)
        for cell in cells:
            sums = None
            for first in range(0, len(blocks), at_once):
                some = blocks[first : first + at_once]
                keys = [(data.name, *_with(cell, axis, b)) for b in some]
                task = partial(_sums, [parts[b] for b in some], axis, number)
                key = (f"{name}-sums", column, first, *cell)
                layer[key] = (task, sums, keys)
                sums = key
            lengths = [c[i] for c, i in zip(_without(data.chunks, axis), cell, strict=True)]
            finish = partial(_finished, rule, span, lengths, axis)
            layer[name, *_with(cell, axis, column)] = (finish, sums)
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[data])
    chunks = _with(_without(data.chunks, axis), axis, sizes)
    return da.Array(graph, name, chunks, dtype="float64")


def _sums(
    parts: list[Shares],
    axis: int,
    months: int,
    before: tuple[Floats, Floats] | None,
    blocks: list[np.ndarray],
) -> tuple[Floats, Floats]:
    """Return sums and days covered (month, cell): those of the chunks before, and of `blocks`."""
    rows = [_rows(block, axis) for block in blocks]
    if before is None:
        total, covered = np.zeros((2, months, rows[0].shape[1]))
    else:
        # Not in place: a scheduler may run a task again on what the one before returned.
        total, covered = before[0].copy(), before[1].copy()
    for month in range(months):
        chosen = [share.where(share.month == month) for share in parts]
        some = [steps[i] for steps, share in zip(rows, chosen, strict=True) for i in share.step]
        _add(total[month], covered[month], some, np.concatenate([s.days for s in chosen]))
    return total, covered


def _finished(
    rule: Rule,
    months: slice,
    lengths: list[int],
    axis: int,
    sums: tuple[Floats, Floats] | None,
) -> Floats:
    number = months.stop - months.start
    # None: a gap in the series
    means = np.full((number, prod(lengths)), np.nan) if sums is None else rule.mean(*sums, months)
    return np.moveaxis(means.reshape(number, *lengths), 0, axis)


def _rows(block: np.ndarray, axis: int) -> np.ndarray:
    """Return values as (step, cell), without a copy where time is the first dimension."""
    block = np.moveaxis(np.asarray(block), axis, 0)
    return block.reshape(block.shape[0], prod(block.shape[1:]))


def _add(total: Floats, covered: Floats, rows: Sequence[np.ndarray], days: Floats) -> None:
    """Add the value times days, and the days, of steps with a value; `rows` are steps (cell,).

    The sums are taken without looking for NaN. Cells where they come out as NaN, which are those
    with a missing step, are added again with a look at each value.
    """
    buffer_ = np.empty(min(_CELLS, total.size))
    for first in range(0, total.size if len(rows) else 0, _CELLS):
        piece = slice(first, first + _CELLS)
        sums, held = np.zeros(total[piece].size), np.full(total[piece].size, days.sum())
        buffer = buffer_[: sums.size]
        with np.errstate(invalid="ignore"):
            for row, weight in zip(rows, days, strict=True):
                np.multiply(row[piece], weight, out=buffer, dtype="float64")
                sums += buffer
            unknown = np.flatnonzero(np.isnan(sums))
            if unknown.size:
                some = [row[piece][unknown] for row in rows]
                sums[unknown], held[unknown] = _without_missing(some, days)
            total[piece] += sums
        covered[piece] += held


def _without_missing(rows: Sequence[np.ndarray], days: Floats) -> tuple[Floats, Floats]:
    total, covered = np.zeros((2, rows[0].size))
    for row, weight in zip(rows, days, strict=True):
        valid = ~np.isnan(row)
        if valid.any():
            np.add(total, row * weight, out=total, where=valid)
            np.add(covered, weight, out=covered, where=valid)
    return total, covered


def _with(items: Sequence[Any], position: int, item: Any) -> tuple[Any, ...]:
    return (*items[:position], item, *items[position:])


def _without(items: Sequence[Any], position: int) -> tuple[Any, ...]:
    return (*items[:position], *items[position + 1 :])
