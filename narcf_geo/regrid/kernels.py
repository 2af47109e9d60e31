"""Apply weights to fields, skipping missing cells. Imports numba: import it when needed only.

The sum over a target cell is taken without looking for NaN: it comes out as NaN when one of its
source cells is missing, and only then are the cells looked at one by one. Fields without gaps
never pay for the mask, and each target cell pays only for its own gaps.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def apply_sparse(
    fields: Any, indptr: Any, indices: Any, weights: Any, cover: Any, covered: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted sums and covered fractions, both (n_fields, n_target) float64.

    `fields` is (n_fields, n_source); `weights` make the sum, `cover` the covered fraction,
    `covered` is the row sum of `cover`.
    """
    n_fields, n_target = fields.shape[0], indptr.size - 1
    total = np.empty((n_fields, n_target))
    fraction = np.empty((n_fields, n_target))
    for f in range(n_fields):
        field = fields[f]
        for t in range(n_target):
            s = 0.0
            for k in range(indptr[t], indptr[t + 1]):
                s += weights[k] * field[indices[k]]
            c = covered[t]
            if np.isnan(s):
                s, c = 0.0, 0.0
                for k in range(indptr[t], indptr[t + 1]):
                    value = field[indices[k]]
                    if not np.isnan(value):
                        s += weights[k] * value
                        c += cover[k]
            total[f, t] = s
            fraction[f, t] = c
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
