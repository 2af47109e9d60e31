"""The passes over memory between two matrix products, fused. Imports numba: import when needed.

numpy takes one pass for the bias and one, slow, for ``maximum``: together a quarter of the time of
a small network.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def centre(x: Any, mean: Any, out: Any) -> None:
    """Write ``x - mean`` into `out`, 0 where `x` is missing; `x` and `out` (n_rows, n_features)."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            value = x[i, j] - mean[j]
            out[i, j] = np.float32(0) if np.isnan(value) else value


@nb.njit(cache=True, nogil=True)
def add(values: Any, bias: Any) -> None:
    """Add `bias`, shape (n,), to each row of `values`, shape (n_rows, n), in place."""
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            values[i, j] += bias[j]


@nb.njit(cache=True, nogil=True)
def add_relu(values: Any, bias: Any) -> None:
    """Add `bias` as `add` does, and put 0 for what is negative; NaN stays."""
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            value = values[i, j] + bias[j]
            values[i, j] = np.float32(0) if value < 0 else value
