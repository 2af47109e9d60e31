"""Statistics of the source cells in each target cell, for numpy and dask arrays.

A statistic needs all values of a target cell at once. The target is worked on in bands of rows;
of a dask array each block is read once and gives each band the cells that it needs, so that memory
is bounded by the bands and not by the source.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from narcf_geo.regridding.apply import Rule, native, require_overlap
from narcf_geo.regridding.bands import BAND_CELLS, Band, bands

if TYPE_CHECKING:
    import dask.array as da

    from narcf_geo.regridding.weights import Weights


class BandReducer(Protocol):
    """Makes values of the target cells of a band from those of its source cells."""

    def reduce(
        self, fields: np.ndarray, band: Band, rule: Rule, values: np.ndarray, fraction: np.ndarray
    ) -> None:
        """Write into `values` (n, layers, cells) and `fraction` (n, cells) from fields (n, m)."""


class Reducer(Protocol):
    """Makes values of target cells from those of source cells."""

    @property
    def layers(self) -> int:
        """How many values a target cell has."""

    @property
    def halo(self) -> bool:
        """Whether it needs the neighbours of the source cells too."""

    def on(self, band: Band) -> BandReducer:
        """Return what works on a band."""


@dataclass(frozen=True)
class Statistic:
    """One number a target cell; see `narcf_geo.kernels.statistics.reduce_cells`.

    Attributes
    ----------
    name : str
        ``min``, ``max``, ``std``, ``percentile``, ``majority`` or ``circular_mean``.
    q : float
        The percentile, 0..100, or the full circle in the unit of directions.
    """

    name: str
    q: float = 0.0
    layers: int = 1
    halo: bool = False

    def on(self, band: Band) -> Statistic:
        """Return what works on a band."""
        return self

    def reduce(
        self, fields: np.ndarray, band: Band, rule: Rule, values: np.ndarray, fraction: np.ndarray
    ) -> None:
        """Write values and covered fractions; see `Reducer`."""
        from narcf_geo.kernels import statistics

        kind = {
            "min": statistics.MIN,
            "max": statistics.MAX,
            "std": statistics.STD,
            "percentile": statistics.PERCENTILE,
            "majority": statistics.MAJORITY,
            "circular_mean": statistics.CIRCULAR,
        }[self.name]
        m = band.matrix()
        statistics.reduce_cells(
            fields, m.indptr, m.indices, m.data, kind, self.q, rule.least, values[:, 0], fraction
        )


@dataclass(frozen=True)
class Shares:
    """The share of each class in the covered part of a target cell.

    Attributes
    ----------
    classes : tuple of float
        In rising order.
    """

    classes: tuple[float, ...]
    halo: bool = False

    @property
    def layers(self) -> int:
        """The number of classes."""
        return len(self.classes)

    def on(self, band: Band) -> Shares:
        """Return what works on a band."""
        return self

    def reduce(
        self, fields: np.ndarray, band: Band, rule: Rule, values: np.ndarray, fraction: np.ndarray
    ) -> None:
        """Write shares and covered fractions; see `Reducer`."""
        from narcf_geo.kernels.statistics import class_shares

        m, classes = band.matrix(), np.array(self.classes, "float64")
        class_shares(fields, m.indptr, m.indices, m.data, classes, rule.least, values, fraction)


def reduce_eager(
    fields: np.ndarray, weights: Weights, rule: Rule, reducer: Reducer
) -> tuple[np.ndarray, np.ndarray]:
    """Return values (..., layers, ny, nx) and covered fractions (..., ny, nx) of an array."""
    *lead, ny, nx = fields.shape
    rows, columns = weights.target.shape
    fields = fields.reshape(-1, ny, nx)
    found = bands(weights, 1, reducer.halo)
    require_overlap(bool(found), weights)
    values = np.full((len(fields), reducer.layers, rows, columns), np.nan, rule.fraction_dtype)
    fraction = np.zeros((len(fields), rows, columns), rule.fraction_dtype)

    def work(band: Band) -> None:
        step = max(1, BAND_CELLS // band.size)
        for first in range(0, len(fields), step):
            some = slice(first, first + step)
            block = native(band.gathered(fields[some]))
            made = _reduced(block, band, rule, reducer.on(band), reducer.layers)
            shape = (len(block), -1, band.rows.stop - band.rows.start, columns)
            values[some, :, band.rows] = made[:, :-1].reshape(shape)
            fraction[some, band.rows] = made[:, -1].reshape((shape[0], *shape[2:]))

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(work, found))
    return (
        values.reshape(*lead, reducer.layers, rows, columns).astype(rule.dtype, copy=False),
        fraction.reshape(*lead, rows, columns),
    )


def reduce_lazy(
    fields: da.Array, weights: Weights, rule: Rule, reducer: Reducer
) -> tuple[da.Array, da.Array]:
    """Return what `reduce_eager` does of a dask array, not computed."""
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    lead_chunks, source_chunks = fields.chunks[:-2], fields.chunks[-2:]
    y_edges, x_edges = (np.cumsum([0, *chunks]) for chunks in source_chunks)
    found = bands(weights, math.prod(max(c) for c in lead_chunks), reducer.halo)
    require_overlap(bool(found), weights)
    token = tokenize(fields.name, weights.identity, rule, reducer)
    name, pick, band_name, work = (f"{n}-{token}" for n in ("reduce", "cells", "band", "work"))
    rows, columns = weights.target.shape
    starts = sorted({0, rows, *(b.rows.start for b in found), *(b.rows.stop for b in found)})
    of_start = {band.rows.start: band for band in found}
    graph: dict[Any, Any] = {}
    for b, start in enumerate(starts[:-1]):
        if start in of_start:
            graph[band_name, b] = of_start[start]
            graph[work, b] = reducer.on(of_start[start])
    for lead in product(*(range(len(c)) for c in lead_chunks)):
        shape = tuple(c[k] for c, k in zip(lead_chunks, lead, strict=True))
        for b, (start, stop) in enumerate(pairwise(starts)):
            band = of_start.get(start)
            block = (reducer.layers + 1, *shape, stop - start, columns)
            key = (name, 0, *lead, b, 0)
            if band is None:
                graph[key] = (_nothing, block, rule)
                continue
            keys = []
            for (sy, sx), where in band.pieces((y_edges, x_edges)):
                keys.append((pick, *lead, b, sy, sx))
                graph[keys[-1]] = (_picked, (fields.name, *lead, sy, sx), where)
            edges = y_edges, x_edges
            graph[key] = (_joined, keys, (band_name, b), edges, rule, (work, b), block)
    both = da.Array(
        HighLevelGraph.from_collections(name, graph, [fields]),  # type: ignore[list-item]
        name,
        chunks=((reducer.layers + 1,), *lead_chunks, tuple(np.diff(starts).tolist()), (columns,)),
        dtype=rule.fraction_dtype,
    )
    values = da.moveaxis(both[: reducer.layers], 0, -3)
    return values.astype(rule.dtype), both[reducer.layers]


def _picked(block: np.ndarray, where: tuple[Any, Any]) -> np.ndarray:
    """Return the cells that a band needs, a copy, so that the block may be let go."""
    return np.array(block[(..., *where)])


def _joined(
    pieces: list[np.ndarray],
    band: Band,
    edges: tuple[np.ndarray, np.ndarray],
    rule: Rule,
    reducer: BandReducer,
    shape: tuple[int, ...],
) -> np.ndarray:
    made = _reduced(native(band.joined(pieces, edges)), band, rule, reducer, shape[0] - 1)
    return np.moveaxis(made, 1, 0).reshape(shape)


def _reduced(
    fields: np.ndarray, band: Band, rule: Rule, reducer: BandReducer, layers: int
) -> np.ndarray:
    """Return values and, as the last layer, covered fractions (n, layers + 1, cells)."""
    made = np.empty((len(fields), layers + 1, band.cells), rule.fraction_dtype)
    reducer.reduce(fields, band, rule, made[:, :-1], made[:, -1])
    return made


def _nothing(shape: tuple[int, ...], rule: Rule) -> np.ndarray:
    both = np.full(shape, np.nan, rule.fraction_dtype)
    both[-1] = 0.0
    return both
