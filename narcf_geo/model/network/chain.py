"""A chain of Dense layers, compiled. Imports numba: import when needed.

The rows of a block run along the fast axis, so that every vector instruction is full whatever the
width of a layer. The products are BLAS's; what is between them stays in the cache, and no Python
runs before the last row is done, so that threads do not wait for one another.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from narcf_geo.model.network.network import ACTIVATIONS

BLOCK_ROWS = 96
"""Rows that pass through all layers at once.

Two blocks of a layer of 100 fit into the first-level cache, and OpenBLAS multiplies matrices of
at most a million products where they lie, without packing them first.
"""

_RELU, _SIGMOID, _TANH = (ACTIVATIONS.index(name) for name in ("relu", "sigmoid", "tanh"))


@nb.njit(cache=True, nogil=True)
def apply_chain(x: Any, mean: Any, weights: Any, widths: Any, activations: Any, out: Any) -> None:
    """Write the outputs of features `x` into `out`.

    Parameters
    ----------
    x : numpy.ndarray
        Shape (n_rows, n_features), float32, of any order in memory; fastest where a feature is
        contiguous.
    mean : numpy.ndarray
        What is subtracted from `x`, shape (n_features,); a missing feature then counts as 0.
    weights : numpy.ndarray
        Of all layers, one after the other, each of shape (n_out, n_in + 1), the bias last; flat.
    widths : numpy.ndarray
        Number of features, then of the outputs of each layer.
    activations : numpy.ndarray
        Of each layer, its place in `narcf_geo.model.network.network.ACTIVATIONS`.
    out : numpy.ndarray
        Shape (n_rows, n_outputs), float32.
    """
    n_rows, n_features = x.shape
    buffers = np.empty((2, BLOCK_ROWS * (widths.max() + 1)), np.float32)
    for start in range(0, n_rows, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, n_rows - start)
        values = buffers[0, : (n_features + 1) * rows].reshape(n_features + 1, rows)
        for j in range(n_features):
            for i in range(rows):
                value = x[start + i, j] - mean[j]
                values[j, i] = np.float32(0) if np.isnan(value) else value
        values[n_features] = 1
        place = 0
        for layer in range(activations.size):
            n_in, n_out = widths[layer] + 1, widths[layer + 1]
            kernel = weights[place : place + n_out * n_in].reshape(n_out, n_in)
            place += n_out * n_in
            # The row of ones carries the bias into the next product.
            target = buffers[(layer + 1) % 2, : (n_out + 1) * rows].reshape(n_out + 1, rows)
            np.dot(kernel, values, target[:n_out])
            _activate(target[:n_out], activations[layer])
            target[n_out] = 1
            values = target
        out[start : start + rows] = values[:-1].T


@nb.njit(cache=True, nogil=True)
def _activate(values: Any, activation: Any) -> None:
    """Apply an activation in place; NaN stays."""
    flat = values.ravel()
    if activation == _RELU:
        for i in range(flat.size):
            flat[i] = np.float32(0) if flat[i] < 0 else flat[i]
    elif activation == _SIGMOID:
        for i in range(flat.size):
            flat[i] = 1 / (1 + np.exp(-flat[i]))
    elif activation == _TANH:
        for i in range(flat.size):
            flat[i] = np.tanh(flat[i])
