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

TILE = 1024


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


@nb.njit(cache=True, nogil=True)
def apply_sparse(
    fields: Any,
    cells: Any,
    indptr: Any,
    indices: Any,
    weights: Any,
    cover: Any,
    lanes: int,
    values: Any,
    fraction: Any,
    least: float,
    mean: bool,
) -> None:
    """Apply a sparse matrix.

    `fields` is (n_fields, n_source); `cells` are the source cells in use, to which `indices`
    point; `weights` make the sum, `cover` the covered fraction. `lanes` fields are worked on
    together, side by side in memory.
    """
    n_fields = fields.shape[0]
    # Summed in the order of the gaps' branch below: a result must not depend on its neighbours.
    covered = np.zeros(indptr.size - 1)
    for t in range(covered.size):
        for k in range(indptr[t], indptr[t + 1]):
            covered[t] += cover[k]
    ny, nx = values.shape[1:]
    buffer = np.empty((cells.size, lanes), fields.dtype)
    s = np.empty(lanes)
    c = np.empty(lanes)
    row_s = np.empty((lanes, nx))
    row_c = np.empty((lanes, nx))
    for first in range(0, n_fields, lanes):
        n = min(lanes, n_fields - first)
        for tile in range(0, cells.size, TILE):
            end = min(tile + TILE, cells.size)
            for f in range(n):
                field = fields[first + f]
                for j in range(tile, end):
                    buffer[j, f] = field[cells[j]]
        for y in range(ny):
            for x in range(nx):
                t = y * nx + x
                s[:] = 0.0
                c[:] = covered[t]
                for k in range(indptr[t], indptr[t + 1]):
                    w = weights[k]
                    line = buffer[indices[k]]
                    for f in range(lanes):
                        s[f] += w * line[f]
                gaps = 0
                for f in range(lanes):
                    gaps += s[f] != s[f]
                if gaps > 0:
                    s[:] = 0.0
                    c[:] = 0.0
                    for k in range(indptr[t], indptr[t + 1]):
                        w, v = weights[k], cover[k]
                        line = buffer[indices[k]]
                        for f in range(lanes):
                            value = line[f]
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
