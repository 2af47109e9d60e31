"""The work of regridding a file in pieces: each is read, regridded and written by itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Protocol

import numpy as np

from narcf_geo.core.errors import UsageError
from narcf_geo.core.pool import LIBRARIES, Pool, Threads
from narcf_geo.regridding.packing import Packing

STORED_BYTES = 4 * 2**20
"""Size of a chunk of the result, at most, where nothing else is asked for."""

STORED_EDGE = 512
"""Cells along the edge of a chunk of a plane that is larger."""

MEMORY = 2e9
"""What this process may take with several threads unless it is told, bytes."""

Piece = tuple[int, tuple[slice, ...]]
"""The number of a field, and where along its dimensions before the plane."""


class Place(Protocol):
    """Where blocks of a variable are written."""

    def __setitem__(self, at: tuple[slice, ...], block: np.ndarray) -> None:
        """Write a block."""


@dataclass(frozen=True)
class Layer:
    """A variable of the result.

    Attributes
    ----------
    name : str
    data : dask.array.Array
        Shape (..., rows, columns).
    chunks : tuple of int
        In which it is stored.
    packing : Packing
    plane : int
        Dimensions of the plane, the last of `data`.
    """

    name: str
    data: Any
    chunks: tuple[int, ...]
    packing: Packing
    plane: int = 2


@dataclass(frozen=True)
class Field:
    """What is computed together from one variable of the source.

    Attributes
    ----------
    layers : tuple of Layer
        The values, and the valid fraction where it is written.
    sums : dict
        Lazy arrays along the dimensions before the plane, for the summary.
    ends : bool
        Whether the smallest and the largest value are asked for.
    block : int
        Bytes of a block of the source.
    """

    layers: tuple[Layer, ...]
    sums: Mapping[str, Any] = field(default_factory=dict)
    ends: bool = False
    block: int = 0

    @property
    def lead(self) -> tuple[int, ...]:
        """The shape before the plane."""
        return tuple(self.layers[0].data.shape[: -self.layers[0].plane])

    @property
    def steps(self) -> tuple[int, ...]:
        """How much of each dimension before the plane a piece takes.

        Pieces hold whole chunks of what is stored, and whole blocks of the source where they can.
        """
        layer = self.layers[0]
        k = len(self.lead)
        chunks = zip(self.lead, layer.data.chunks[:k], layer.chunks[:k], strict=True)
        return tuple(min(n, math.lcm(max(read), stored)) for n, read, stored in chunks)

    def pieces(self) -> Iterator[tuple[slice, ...]]:
        """Yield where the pieces lie."""
        ranges = zip(self.lead, self.steps, strict=True)
        along = [[slice(i, min(i + s, n)) for i in range(0, n, s)] for n, s in ranges]
        yield from product(*along)

    @property
    def need(self) -> float:
        """Memory for one piece at a time, bytes."""
        rows = math.prod(self.layers[0].data.shape[len(self.lead) :]) * math.prod(self.steps)
        return 4 * self.block + 40 * rows


@dataclass(frozen=True)
class Plan:
    """All pieces of a file, and where they are written.

    Attributes
    ----------
    fields : tuple of Field
    places : dict
        For each layer by name.
    threads : int
        In which each piece is computed.
    """

    fields: tuple[Field, ...]
    places: Mapping[str, Place]
    threads: int = 1

    def pieces(self) -> list[Piece]:
        """Return all pieces, in the order of the fields and of their dimensions."""
        return [(k, at) for k, f in enumerate(self.fields) for at in f.pieces()]


def work(plan: Plan, number: int, piece: Piece) -> tuple[int, dict[str, float]]:
    """Compute and write a piece; return its number, and its part of the sums."""
    import dask
    import dask.array as da

    which, lead = piece
    field = plan.fields[which]
    arrays: list[Any] = []
    places: list[Any] = []
    regions = []
    for layer in field.layers:
        edges = [_multiple(n, layer.plane) for n in layer.chunks[len(lead) :]]
        step = (*(s.stop - s.start for s in lead), *edges)
        part = layer.data[lead]
        arrays.append(part.rechunk(tuple(min(s, n) for s, n in zip(step, part.shape, strict=True))))
        places.append(plan.places[layer.name])
        regions.append((*lead, *(slice(0, n) for n in part.shape[len(lead) :])))
    stored = da.store(arrays, places, regions=regions, lock=False, compute=False)
    sums = {name: array[lead].sum() for name, array in field.sums.items()}
    if field.ends:
        values = field.layers[0].data[lead]
        sums |= {"low": da.nanmin(values), "high": da.nanmax(values)}
    if plan.threads == 1:
        _, found = dask.compute(stored, sums, scheduler="sync")
    else:
        # Threads of its own have ended when an error is raised: none writes on into a closed file.
        with ThreadPoolExecutor(plan.threads) as pool:
            _, found = dask.compute(stored, sums, scheduler="threads", pool=pool)
    return number, {name: float(value) for name, value in found.items()}


def _multiple(edge: int, plane: int) -> int:
    """Return how many cells along an edge are written at once: whole chunks, about a million."""
    return max(1, (2**20 if plane == 1 else 2**10) // edge) * edge


def stored_chunks(
    shape: tuple[int, ...], read: tuple[int, ...], plane: int, itemsize: int
) -> tuple[int, ...]:
    """Return the chunks of a variable of the result.

    Parameters
    ----------
    shape : tuple of int
        Of the variable, the plane last.
    read : tuple of int
        How much of the dimensions before the plane comes from one block of the source.
    plane : int
        Dimensions of the plane.
    itemsize : int
        Bytes of a value.

    Examples
    --------
    >>> stored_chunks((736, 75, 120), (86,), 2, 4)
    (86, 75, 120)
    >>> stored_chunks((736, 3600, 7200), (1,), 2, 4)
    (1, 512, 512)
    """
    cells = shape[len(read) :]
    size = math.prod(cells) * itemsize
    if size > STORED_BYTES:
        edge = STORED_EDGE**2 if plane == 1 else STORED_EDGE
        return (*(1 for _ in read), *(min(n, edge) for n in cells))
    left = max(1, STORED_BYTES // max(size, 1))
    chunks = []
    for n in reversed(read):
        # Of the divisors of what is read at once, so that a piece is one block of the source.
        fit = max(d for d in range(1, n + 1) if n % d == 0 and d <= left)
        chunks.append(fit)
        left //= fit
    return (*reversed(chunks), *cells)


def run(
    plan: Plan,
    pool: Pool,
    todo: list[int],
    done: Any,
    memory: float | None = None,
) -> None:
    """Have the pieces numbered `todo` computed; `done` is called with the result of `work`.

    Raises
    ------
    UsageError
        When `memory`, bytes for each process, is not enough.
    """
    if not todo:
        return
    need = max((field.need for field in plan.fields), default=0.0)
    pool = _fitting(pool, need, memory)
    # Where there are fewer pieces than threads, each is computed by several.
    plan = Plan(plan.fields, plan.places, pool.threads if len(todo) < pool.threads else 1)
    pieces = plan.pieces()
    pool.run(work, [(k, pieces[k]) for k in todo], done, shared=plan)


def _fitting(pool: Pool, need: float, memory: float | None) -> Pool:
    """Return as many threads as `memory` is enough for; refuse what is not enough for one."""
    least = LIBRARIES + need * (1 if isinstance(pool, Threads) else pool.threads)
    if memory is not None and memory < least:
        raise UsageError(
            f"memory: {memory / 1e9:.2g} GB is not enough for a piece of this file, which takes "
            f"{least / 1e9:.2g} GB; give more"
        )
    if isinstance(pool, Threads):
        limit = MEMORY if memory is None else memory
        return Threads(max(1, min(pool.slots, int((limit - LIBRARIES) // max(need, 1)))))
    return pool
