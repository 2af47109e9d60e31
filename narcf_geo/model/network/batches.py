"""Batches of rows in random order, normalised, out of a table that may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numba as nb
import numpy as np

WINDOW_ROWS = 2**20
"""Rows that are shuffled at once. Of a longer table blocks are drawn at random, and the rows of as
many as fill a window are shuffled: a file is then read by blocks instead of by single rows."""

BLOCK_ROWS = 256

T = TypeVar("T")


@dataclass(frozen=True)
class Standardised:
    """A table with its features less `mean`, over `std`, 0 where missing; computed when read."""

    x: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the features of `rows`, an array of row numbers, shape (*rows.shape, n)."""
        out = np.empty((rows.size, self.mean.size), np.float32)
        _read(self.x, rows.ravel(), self.mean, self.std, out)
        return out.reshape(*rows.shape, -1)


@nb.njit(cache=True, nogil=True)
def _read(x: Any, rows: Any, mean: Any, std: Any, out: Any) -> None:
    for i in range(rows.size):
        for j in range(mean.size):
            value = (np.float64(x[rows[i], j]) - mean[j]) / std[j]
            out[i, j] = 0.0 if np.isnan(value) else value


def shuffled(rows: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield `rows` in random order, each once, a window at a time."""
    if len(rows) <= WINDOW_ROWS:
        yield rng.permutation(rows)
        return
    blocks = rng.permutation(-(-len(rows) // BLOCK_ROWS))
    step = WINDOW_ROWS // BLOCK_ROWS
    for start in range(0, len(blocks), step):
        drawn = (rows[b * BLOCK_ROWS : (b + 1) * BLOCK_ROWS] for b in blocks[start : start + step])
        yield rng.permutation(np.concatenate(list(drawn)))


def batches(
    rows: Sequence[np.ndarray], rngs: Sequence[np.random.Generator], size: int, count: int
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield an epoch of batches for several members, each in an order of its own.

    Parameters
    ----------
    rows : sequence of numpy.ndarray
        Row numbers of each member. The epoch is as long as the most rows have full batches; one
        with fewer goes through its rows again.
    rngs : sequence of numpy.random.Generator
        One for each member.
    size, count : int
        Rows of a batch, and batches that are yielded at once.

    Yields
    ------
    numpy.ndarray
        Row numbers, shape (count, n_members, size).
    int
        How many of the `count` are batches; the others are there for the shape alone.
    """
    total = max(map(len, rows)) // size
    members = [
        _pieces(_rounds(own, rng, total * size), size * count)
        for own, rng in zip(rows, rngs, strict=True)
    ]
    for start in range(0, total, count):
        full = min(count, total - start)
        found = np.zeros((count, len(rngs), size), rows[0].dtype)
        for member, pieces in enumerate(members):
            found[:full, member] = next(pieces)[: full * size].reshape(full, size)
        yield found, full


def _rounds(rows: np.ndarray, rng: np.random.Generator, least: int) -> Iterator[np.ndarray]:
    """Yield `rows` in random order, again and again until there are at `least` so many."""
    for _ in range(-(-least // len(rows))):
        yield from shuffled(rows, rng)


def _pieces(arrays: Iterator[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Yield the values of `arrays` anew, `size` at a time, and at the end what is left."""
    left = next(arrays)
    for array in arrays:
        while len(left) >= size:
            yield left[:size]
            left = left[size:]
        left = np.concatenate([left, array])
    for start in range(0, len(left), size):
        yield left[start : start + size]


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield `items`, each made while the one before is used."""
    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(next, items, None)
        while (item := future.result()) is not None:
            future = thread.submit(next, items, None)
            yield item
