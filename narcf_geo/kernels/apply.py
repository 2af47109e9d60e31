"""Apply weights to fields, skipping missing cells. Imports numba: import it when needed only.

The sum over a target cell is taken without looking for NaN: it comes out as NaN when one of its
source cells is missing, and only then are the cells looked at one by one. Fields without gaps
never pay for the mask, and each target cell pays only for its own gaps.

Both kernels write into `values` and `fraction`, arrays (n_fields, ny, nx) of target cells. A cell
covered by less than `least` becomes NaN; `mean` divides the sum by the covered fraction. With a
negative `least` sums and fractions are written as they are, to be added up later.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np


@nb.njit(inline="always")
def _store(
    values: Any, fraction: Any, at: Any, total: float, covered: float, least: float, mean: bool
) -> None:
    if least < 0.0:
        values[at], fraction[at] = total, covered
        return
    fraction[at] = min(max(covered, 0.0), 1.0)
    if covered < least:
        values[at] = np.nan
    else:
        values[at] = total / covered if mean else total


@nb.njit(cache=True, nogil=True)
def finish(total: Any, covered: Any, values: Any, fraction: Any, least: float, mean: bool) -> None:
    """Write values and fractions from sums and covered fractions added up before."""
    for f in range(total.shape[0]):
        for y in range(total.shape[1]):
            for x in range(total.shape[2]):
                at = f, y, x
                _store(values, fraction, at, total[at], covered[at], least, mean)


@nb.njit(inline="always")
def _side_by_side(fields: Any, first: int, begin: int, end: int, buffer: Any) -> None:
    """Lay cells `begin` to `end` of 8 fields side by side, the last one again if need be.

    Written out, because the compiler makes shuffles of vectors of it: four times as fast.
    """
    last = fields.shape[0] - 1
    f0 = fields[first][begin:end]
    f1 = fields[min(first + 1, last)][begin:end]
    f2 = fields[min(first + 2, last)][begin:end]
    f3 = fields[min(first + 3, last)][begin:end]
    f4 = fields[min(first + 4, last)][begin:end]
    f5 = fields[min(first + 5, last)][begin:end]
    f6 = fields[min(first + 6, last)][begin:end]
    f7 = fields[min(first + 7, last)][begin:end]
    for j in range(end - begin):
        k = 8 * j
        buffer[k], buffer[k + 1], buffer[k + 2], buffer[k + 3] = f0[j], f1[j], f2[j], f3[j]
        buffer[k + 4], buffer[k + 5], buffer[k + 6], buffer[k + 7] = f4[j], f5[j], f6[j], f7[j]


@nb.njit(cache=True, nogil=True)
def apply_sparse(
    fields: Any,
    begin: int,
    end: int,
    indptr: Any,
    indices: Any,
    weights: Any,
    cover: Any,
    values: Any,
    fraction: Any,
    least: float,
    mean: bool,
) -> None:
    """Apply a sparse matrix to `fields` (n_fields, n_source), 8 fields at a time.

    `weights` make the sum, `cover` the covered fraction; `indices` count from cell `begin`, and
    no cell from `end` on is in use.
    """
    ny, nx = values.shape[1:]
    # Summed in the order of the gaps' branch below: a result must not depend on its neighbours.
    covered = np.zeros(indptr.size - 1)
    for t in range(covered.size):
        for k in range(indptr[t], indptr[t + 1]):
            covered[t] += cover[k]
    buffer = np.empty(8 * (end - begin), fields.dtype)
    row_s = np.empty((8, nx))
    row_c = np.empty((8, nx))
    s = np.empty(8)
    c = np.empty(8)
    for first in range(0, fields.shape[0], 8):
        _side_by_side(fields, first, begin, end, buffer)
        n = min(8, fields.shape[0] - first)
        for y in range(ny):
            for x in range(nx):
                t = y * nx + x
                s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
                for k in range(indptr[t], indptr[t + 1]):
                    w, j = weights[k], 8 * indices[k]
                    s0 += w * buffer[j]
                    s1 += w * buffer[j + 1]
                    s2 += w * buffer[j + 2]
                    s3 += w * buffer[j + 3]
                    s4 += w * buffer[j + 4]
                    s5 += w * buffer[j + 5]
                    s6 += w * buffer[j + 6]
                    s7 += w * buffer[j + 7]
                s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7] = s0, s1, s2, s3, s4, s5, s6, s7
                c[:] = covered[t]
                if np.isnan(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7):
                    s[:] = 0.0
                    c[:] = 0.0
                    for k in range(indptr[t], indptr[t + 1]):
                        w, v, j = weights[k], cover[k], 8 * indices[k]
                        for f in range(8):
                            value = buffer[j + f]
                            here = value == value
                            s[f] += w * value if here else 0.0
                            c[f] += v if here else 0.0
                row_s[:, x] = s
                row_c[:, x] = c
            for f in range(n):
                for x in range(nx):
                    at = first + f, y, x
                    _store(values, fraction, at, row_s[f, x], row_c[f, x], least, mean)


@nb.njit(cache=True, nogil=True)
def apply_sparse_single(
    fields: Any,
    begin: int,
    end: int,
    indptr: Any,
    indices: Any,
    weights: Any,
    cover: Any,
    values: Any,
    fraction: Any,
    least: float,
    mean: bool,
) -> None:
    """Do what `apply_sparse` does, one field after the other and without a copy of them."""
    nx = values.shape[2]
    for f in range(fields.shape[0]):
        field = fields[f][begin:end]
        for t in range(indptr.size - 1):
            s = c = 0.0
            for k in range(indptr[t], indptr[t + 1]):
                s += weights[k] * field[indices[k]]
                c += cover[k]
            if np.isnan(s):
                s = c = 0.0
                for k in range(indptr[t], indptr[t + 1]):
                    value = field[indices[k]]
                    if value == value:
                        s += weights[k] * value
                        c += cover[k]
            _store(values, fraction, (f, t // nx, t % nx), s, c, least, mean)


@nb.njit(cache=True, nogil=True)
def apply_separable(
    fields: Any,
    y_ptr: Any,
    y_idx: Any,
    y_weights: Any,
    y_cover: Any,
    y_covered: Any,
    x_ptr: Any,
    x_idx: Any,
    x_weights: Any,
    x_cover: Any,
    x_covered: Any,
    values: Any,
    fraction: Any,
    least: float,
    mean: bool,
) -> None:
    """Apply a y and an x matrix in turn to `fields` (n_fields, ny_source, nx_source)."""
    nx = fields.shape[2]
    row, valid = np.empty(nx), np.empty(nx)
    sums = np.empty(x_covered.size)
    for f in range(fields.shape[0]):
        for t in range(y_covered.size):
            row[:] = 0.0
            for k in range(y_ptr[t], y_ptr[t + 1]):
                w = y_weights[k]
                line = fields[f, y_idx[k]]
                for i in range(nx):
                    row[i] += w * line[i]
            gaps = False
            for u in range(x_covered.size):
                s = 0.0
                for k in range(x_ptr[u], x_ptr[u + 1]):
                    s += x_weights[k] * row[x_idx[k]]
                sums[u] = s
                gaps |= np.isnan(s)
            if gaps:
                row[:] = 0.0
                valid[:] = 0.0
                for k in range(y_ptr[t], y_ptr[t + 1]):
                    w, c = y_weights[k], y_cover[k]
                    line = fields[f, y_idx[k]]
                    for i in range(nx):
                        value = line[i]
                        here = value == value
                        row[i] += w * value if here else 0.0
                        valid[i] += c if here else 0.0
            for u in range(x_covered.size):
                s, c = sums[u], y_covered[t] * x_covered[u]
                if np.isnan(s):
                    s, c = 0.0, 0.0
                    for k in range(x_ptr[u], x_ptr[u + 1]):
                        s += x_weights[k] * row[x_idx[k]]
                        c += x_cover[k] * valid[x_idx[k]]
                _store(values, fraction, (f, t, u), s, c, least, mean)


@nb.njit(cache=True, nogil=True)
def weighted_sums(fields: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sum of each field, its cells weighted, without those that are NaN.

    Parameters
    ----------
    fields
        Shape (n, cells).
    weights
        Shape (cells,).

    Returns
    -------
    numpy.ndarray
        Shape (n,), float64.
    """
    sums = np.zeros(fields.shape[0])
    for k in range(fields.shape[0]):
        total = 0.0
        for i in range(fields.shape[1]):
            value = fields[k, i]
            if value == value:
                total += value * weights[i]
        sums[k] = total
    return sums
