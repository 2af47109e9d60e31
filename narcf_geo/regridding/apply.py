"""Apply weights to numpy and dask arrays, block by block."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from narcf_geo.core.errors import NarcfError

if TYPE_CHECKING:
    import dask.array as da

    from narcf_geo.regridding.parts import Part, Window
    from narcf_geo.regridding.weights import Weights

BLOCK_BYTES = 64 * 2**20
TARGET_BLOCK_CELLS = 2**20
ROUNDING = 1e-9
SLIVER = 1e-12


@dataclass(frozen=True)
class Rule:
    """What becomes of weighted sums and covered fractions.

    Attributes
    ----------
    quantity : str
        ``mean``: the mean over the covered part; ``total``: the total in the covered part.
    min_coverage : float
        Covered fraction below which a target cell is missing.
    dtype : numpy.dtype
        Of the result.
    """

    quantity: str
    min_coverage: float
    dtype: np.dtype

    @property
    def fraction_dtype(self) -> np.dtype:
        """Dtype of the covered fraction: that of the result, float32 at least."""
        return np.promote_types(self.dtype, np.float32)

    @property
    def least(self) -> float:
        """Smallest covered fraction of a valid cell, free of rounding; never just 0."""
        return max(self.min_coverage - ROUNDING, SLIVER)


def result_dtype(dtype: np.dtype) -> np.dtype:
    """Return the dtype of regridded values: floats keep theirs, integers become floats."""
    if dtype.kind == "f":
        return np.dtype("float64") if dtype.itemsize > 8 else dtype.newbyteorder("=")
    return np.dtype("float32") if dtype.itemsize <= 2 else np.dtype("float64")


def apply_eager(fields: np.ndarray, weights: Weights, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """Return regridded values and covered fractions of an array (..., ny, nx) in memory.

    Blocks of fields and of target rows are worked on in threads; a target cell is always summed
    in the same order, whatever the blocks.
    """
    *lead, ny, nx = fields.shape
    rows, columns = weights.target.shape
    fields = fields.reshape(-1, ny, nx)
    n = fields.shape[0]
    threads = os.cpu_count() or 1
    step = max(1, min(BLOCK_BYTES // max(1, fields[:1].nbytes), -(-n // threads)))
    bands = max(-(-rows * columns // TARGET_BLOCK_CELLS), 1 if n > step else 2 * threads)
    target = np.linspace(0, rows, min(bands, rows) + 1).astype(int), np.array([0, columns])
    source = np.array([0, ny]), np.array([0, nx])
    parts = list(weights.parts(source, target, rule.quantity).values())
    require_overlap(bool(parts), weights)
    # One piece of memory for both: large pieces are far cheaper to get from the system.
    values, fraction = np.empty((2, n, rows, columns), rule.fraction_dtype)
    reached = sum(math.prod(w.stop - w.start for w in part.window) for part in parts)
    if reached < rows * columns:
        values[:], fraction[:] = np.nan, 0.0

    def work(job: tuple[int, Part]) -> None:
        first, part = job
        here = (slice(first, first + step), *part.window)
        block = native(fields[first : first + step])
        part.apply(block, values[here], fraction[here], rule.least, rule.quantity == "mean")

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, product(range(0, n, step), parts)))
    shape = (*lead, rows, columns)
    return values.reshape(shape).astype(rule.dtype, copy=False), fraction.reshape(shape)


def apply_lazy(fields: da.Array, weights: Weights, rule: Rule) -> tuple[da.Array, da.Array]:
    """Return regridded values and covered fractions of a dask array (..., ny, nx), not computed.

    Each source block is read once and adds its sums to the target blocks it touches, so that a
    field larger than memory passes through block by block.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    lead_chunks, source_chunks = fields.chunks[:-2], fields.chunks[-2:]
    target_chunks = _target_chunks(weights.target.shape)
    source, target = (
        (np.cumsum([0, *y]), np.cumsum([0, *x])) for y, x in (source_chunks, target_chunks)
    )
    parts = weights.parts(source, target, rule.quantity)
    require_overlap(bool(parts), weights)
    of_weights = tokenize(weights.identity, source_chunks, target_chunks, rule.quantity)
    of_fields = tokenize(fields.name, of_weights, rule)
    part_name, sum_name = f"regrid-weights-{of_weights}", f"regrid-sums-{of_fields}"
    name = f"regrid-{of_fields}"

    graph: dict[Any, Any] = {}
    windows: dict[tuple[int, ...], list[tuple[tuple[int, ...], Window]]] = {}
    for (ty, tx, sy, sx), part in sorted(parts.items()):
        graph[part_name, ty, tx, sy, sx] = part
        y, x = part.window
        top, left = target[0][ty], target[1][tx]
        window = slice(y.start - top, y.stop - top), slice(x.start - left, x.stop - left)
        windows.setdefault((ty, tx), []).append(((sy, sx), window))
    for lead in product(*(range(len(c)) for c in lead_chunks)):
        shape = [c[k] for c, k in zip(lead_chunks, lead, strict=True)]
        for ty, tx in product(*(range(len(c)) for c in target_chunks)):
            keys = []
            for (sy, sx), _ in windows.get((ty, tx), []):
                key = (sum_name, *lead, ty, tx, sy, sx)
                graph[key] = (_sums, (fields.name, *lead, sy, sx), (part_name, ty, tx, sy, sx))
                keys.append(key)
            block = (*shape, target_chunks[0][ty], target_chunks[1][tx])
            where = [w for _, w in windows.get((ty, tx), [])]
            graph[(name, 0, *lead, ty, tx)] = (_joined, keys, where, block, rule)
    both = da.Array(
        HighLevelGraph.from_collections(name, graph, [fields]),  # type: ignore[list-item]
        name,
        chunks=((2,), *lead_chunks, *target_chunks),
        dtype=rule.fraction_dtype,
    )
    return both[0].astype(rule.dtype), both[1]


def native(fields: np.ndarray) -> np.ndarray:
    """Return fields in a layout and dtype that the kernels take, float32 where that is exact."""
    wide = fields.dtype.itemsize > (4 if fields.dtype.kind == "f" else 2)
    return np.ascontiguousarray(fields, np.float64 if wide else np.float32)


def _sums(fields: np.ndarray, part: Part) -> np.ndarray:
    """Return weighted sums and covered fractions (2, n_fields, ny, nx) in the window of `part`."""
    block = native(fields.reshape(-1, *fields.shape[-2:]))
    sums = np.empty((2, block.shape[0], *(w.stop - w.start for w in part.window)))
    part.apply(block, sums[0], sums[1], -1.0, False)
    return sums


def _joined(
    sums: list[np.ndarray], windows: list[Window], shape: tuple[int, ...], rule: Rule
) -> np.ndarray:
    from narcf_geo.kernels.apply import finish

    joined = np.zeros((2, math.prod(shape[:-2]), *shape[-2:]))
    for part, window in zip(sums, windows, strict=True):
        joined[(..., *window)] += part
    both = np.empty(joined.shape, rule.fraction_dtype)
    finish(joined[0], joined[1], both[0], both[1], rule.least, rule.quantity == "mean")
    return both.reshape(2, *shape)


def _target_chunks(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return chunks of about 1000 x 1000 cells, a small target being one chunk."""
    blocks = (
        [1, 1] if math.prod(shape) <= 4 * TARGET_BLOCK_CELLS else [-(-n // 1024) for n in shape]
    )
    y, x = (
        tuple(np.diff(np.linspace(0, n, b + 1).astype(int)).tolist())
        for n, b in zip(shape, blocks, strict=True)
    )
    return y, x


def require_overlap(overlap: bool, weights: Weights) -> None:
    if not overlap:
        raise NarcfError(
            f"expected a target grid that the source touches, found the source {weights.source} "
            f"and the target {weights.target}; check the bounds and the sign of longitudes"
        )
