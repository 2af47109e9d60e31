"""Regions of work: chunks that are read at once, as many as the memory is enough for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

from narcf_geo.core.layout import Layout, Shape

OFTEN = 1.5
"""Times that the inputs may be decoded, on average."""


@dataclass(frozen=True)
class Region:
    """Chunks that are read at once, from `first` to `last`, both included."""

    first: Shape
    last: Shape

    def chunks(self) -> Iterator[Shape]:
        """Yield the numbers of the chunks."""
        yield from product(*(range(a, b + 1) for a, b in zip(self.first, self.last, strict=True)))


@dataclass(frozen=True)
class Need:
    """What reading and predicting a region takes.

    Attributes
    ----------
    inputs : sequence of tuple
        Shape of the chunks of each input with a time axis, on disk.
    halo : int
        Months before the first that are read too.
    maps, predictors, fields, features : int
        Numbers of inputs without time, of predictors with the derived ones, of fields predicted
        and of features.
    slab : int
        Rows whose features are laid out at once.
    """

    inputs: Sequence[Shape]
    halo: int
    maps: int
    predictors: int
    fields: int
    features: int
    slab: int

    def bytes(self, layout: Layout, counts: Shape) -> int:
        """Return the memory of a region of `counts` chunks, bytes."""
        t, y, x = (
            min(n * c, s) for n, c, s in zip(counts, layout.chunk, layout.shape, strict=True)
        )
        read = y * x * ((t + self.halo) * len(self.inputs) + self.maps)
        # Of a chunk, predictors are derived and gathered, and fields are gathered and laid out.
        chunk = math.prod(layout.chunk) * (2 * self.predictors + 2 * self.fields + 6)
        decoded = 2 * max((math.prod(c) for c in self.inputs), default=0)
        return 4 * (read + chunk + decoded + self.slab * (3 * self.features + 300))

    def amplification(self, layout: Layout, counts: Shape) -> float:
        """Return how often a value of the inputs is decoded, on average over inputs and regions."""
        total = 0.0
        for chunk in self.inputs:
            axes = zip(counts, layout.chunk, layout.shape, chunk, (self.halo, 0, 0), strict=True)
            total += math.prod(_decodings(size, n * c, stored, h) for n, c, size, stored, h in axes)
        return total / max(len(self.inputs), 1)


@cache
def _decodings(size: int, step: int, stored: int, halo: int) -> float:
    """Return how often a chunk of `stored` is touched when an axis is read in steps."""
    touched = sum(
        (min(start + step, size) - 1) // stored - max(start - halo, 0) // stored + 1
        for start in range(0, size, step)
    )
    return touched / math.ceil(size / stored)


def regions(layout: Layout, need: Need, memory: float, slots: int) -> list[Region]:
    """Cut a store into regions, in order of time.

    Of those that fit into `memory` (bytes), the region is taken with which the inputs are decoded
    least often; of several, the smallest. While `slots` regions can be worked on at once, there are
    eight for each where the store has as many chunks, since land is not spread evenly; down to two
    where the inputs would be decoded more than `OFTEN` times.
    """
    counts = layout.counts
    sizes: list[Shape] = [(t, y, x) for t, y, x in product(*(range(1, n + 1) for n in counts))]
    fitting = [size for size in sizes if need.bytes(layout, size) <= memory]
    best = 1, 1, 1
    for regions_a_slot in (8, 4, 2):
        most = max(1, math.prod(counts) // (regions_a_slot * slots))
        best = min(
            (size for size in fitting if math.prod(size) <= most),
            key=lambda size: (round(need.amplification(layout, size), 2), math.prod(size), size),
            default=best,
        )
        if need.amplification(layout, best) <= OFTEN:
            break
    t, y, x = best
    return [
        Region((i, j, k), (min(i + t, nt) - 1, min(j + y, ny) - 1, min(k + x, nx) - 1))
        for nt, ny, nx in [counts]
        for i, j, k in product(range(0, nt, t), range(0, ny, y), range(0, nx, x))
    ]
