"""How stores are cut into chunks: all of them alike, and by their shape alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, product

Shape = tuple[int, int, int]
"""Along time, lat and lon."""

CHUNK: Shape = (12, 256, 256)
"""The largest chunk: a map is read from few of them, and so is the series of a cell. Its edges are
those at which many stores are cut, so that theirs are decoded once."""


def slices(sizes: Sequence[int]) -> list[slice]:
    """Return what chunks of these sizes cover along an axis.

    Examples
    --------
    >>> slices((12, 5))
    [slice(0, 12, None), slice(12, 17, None)]
    """
    return [slice(end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True)]


@dataclass(frozen=True)
class Layout:
    """A store of `shape` in chunks of shape `chunk`; those at the end may be smaller.

    Each chunk is computed by itself and in the same way, so that the bytes of a store depend
    neither on memory nor on the scheduler.
    """

    shape: Shape
    chunk: Shape

    @classmethod
    def of(cls, shape: Shape) -> Layout:
        """Choose the chunks from the shape alone.

        Examples
        --------
        >>> Layout.of((40, 1400, 2400)).chunk
        (12, 256, 256)
        >>> Layout.of((108, 60, 120)).chunk
        (12, 60, 120)
        """
        t, y, x = (min(n, c) for n, c in zip(shape, CHUNK, strict=True))
        return cls(shape, (t, y, x))

    @property
    def counts(self) -> Shape:
        """Number of chunks along each axis."""
        t, y, x = (math.ceil(n / c) for n, c in zip(self.shape, self.chunk, strict=True))
        return t, y, x

    def chunks(self) -> Iterator[Shape]:
        """Yield the numbers of all chunks, in order of time."""
        nt, ny, nx = self.counts
        yield from product(range(nt), range(ny), range(nx))

    def slices(self, first: Shape, last: Shape) -> tuple[slice, slice, slice]:
        """Return what the chunks from `first` to `last`, both included, cover."""
        t, y, x = (
            slice(a * c, min((b + 1) * c, n))
            for a, b, c, n in zip(first, last, self.chunk, self.shape, strict=True)
        )
        return t, y, x

    def windows(self) -> Iterator[tuple[slice, slice, slice]]:
        """Yield what each chunk covers, in order of time."""
        for chunk in self.chunks():
            yield self.slices(chunk, chunk)
