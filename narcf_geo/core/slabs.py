"""Long arrays a part at a time, so that what is computed of them takes bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

SLAB_ROWS = 2**18
"""Rows of a part."""


def slabs(n_rows: int, size: int = SLAB_ROWS) -> Iterator[slice]:
    """Yield slices of at most `size` rows that cover `n_rows`, in order.

    Examples
    --------
    >>> list(slabs(5, 3))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))
