"""Apply weights to fields, skipping missing cells. Imports numba: import it when needed only.

The sum over a target cell is taken without looking for NaN: it comes out as NaN when one of its
source cells is missing, and only then are the cells looked at one by one. Fields without gaps
never pay for the mask, and each target cell pays only for its own gaps.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

TILE = 256


@nb.njit(cache=True, nogil=True)
def apply_sparse(
    fields: Any,
    cells: Any,
    indptr: Any,
    indices: Any,
    weights: Any,
    cover: Any,
    covered: Any,
    lanes: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted sums and covered fractions, both (n_fields, n_target) float64.

    `fields` is (n_fields, n_source); `cells` are the source cells in use, to which `indices`
    point; `weights` make the sum, `cover` the covered fraction, `covered` is the row sum of
    `cover`. `lanes` fields are worked on together, side by side in memory.
    """
    n_fields, n_target = fields.shape[0], indptr.size - 1
    total = np.empty((n_fields, n_target))
    fraction = np.empty((n_fields, n_target))
    buffer = np.zeros((cells.size, lanes), fields.dtype)
    s = np.empty(lanes)
    c = np.empty(lanes)
    for first in range(0, n_fields, lanes):
        n = min(lanes, n_fields - first)
        for tile in range(0, cells.size, TILE):
            end = min(tile + TILE, cells.size)
            for f in range(n):
                field = fields[first + f]
                for j in range(tile, end):
                    buffer[j, f] = field[cells[j]]
        for t in range(n_target):
            s[:] = 0.0
            for k in range(indptr[t], indptr[t + 1]):
                w = weights[k]
                line = buffer[indices[k]]
                for f in range(lanes):
                    s[f] += w * line[f]
            gaps = False
            for f in range(n):
                gaps |= np.isnan(s[f])
            c[:] = covered[t]
            if gaps:
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
            for f in range(n):
                total[first + f, t] = s[f]
                fraction[first + f, t] = c[f]
    return total, fraction


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
) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted sums and covered fractions, both (n_fields, ny_target, nx_target) float64.

    `fields` is (n_fields, ny_source, nx_source); the y and x matrices are applied in turn.
    """
    n_fields, _, nx = fields.shape
    ny_target, nx_target = y_ptr.size - 1, x_ptr.size - 1
    total = np.empty((n_fields, ny_target, nx_target))
    fraction = np.empty((n_fields, ny_target, nx_target))
    row = np.empty(nx)
    valid = np.empty(nx)
    for f in range(n_fields):
        for t in range(ny_target):
            row[:] = 0.0
            for k in range(y_ptr[t], y_ptr[t + 1]):
                w = y_weights[k]
                line = fields[f, y_idx[k]]
                for i in range(nx):
                    row[i] += w * line[i]
            gaps = False
            for u in range(nx_target):
                s = 0.0
                for k in range(x_ptr[u], x_ptr[u + 1]):
                    s += x_weights[k] * row[x_idx[k]]
                total[f, t, u] = s
                fraction[f, t, u] = y_covered[t] * x_covered[u]
                gaps |= np.isnan(s)
            if not gaps:
                continue
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
            for u in range(nx_target):
                if np.isnan(total[f, t, u]):
                    s, c = 0.0, 0.0
                    for k in range(x_ptr[u], x_ptr[u + 1]):
                        s += x_weights[k] * row[x_idx[k]]
                        c += x_cover[k] * valid[x_idx[k]]
                    total[f, t, u] = s
                    fraction[f, t, u] = c
    return total, fraction


@nb.njit(cache=True, nogil=True)
def finish(total: Any, fraction: Any, least: float, mean: bool, values: Any, covered: Any) -> None:
    """Write values, NaN where `fraction` is below `least`, and fractions within 0..1.

    All arrays are 1-D of one size; `values` and `covered` are written in their own dtype.
    """
    for k in range(total.size):
        c = fraction[k]
        covered[k] = min(max(c, 0.0), 1.0)
        if c >= least:
            values[k] = total[k] / c if mean else total[k]
        else:
            values[k] = np.nan
