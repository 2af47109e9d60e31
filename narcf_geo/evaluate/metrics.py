"""Scores of an estimate, as pure functions of numpy arrays."""

from __future__ import annotations

import numpy as np


def scores(estimate: np.ndarray, observed: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Return the weighted correlation, root-mean-square error and mean bias.

    Parameters
    ----------
    estimate, observed : numpy.ndarray
        Of the same shape and unit. Pairs with a NaN are left out.
    weight : numpy.ndarray
        Non-negative, of the same shape: the cell area.

    Returns
    -------
    dict
        ``r`` in [-1, 1] (Pearson; NaN where either has no variance), ``rmse`` >= 0, ``bias``
        (estimate minus observed) and the number of pairs ``n``. Without pairs all are NaN.

    Examples
    --------
    >>> scores(np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0, 3.0]), np.ones(3))
    {'r': 1.0, 'rmse': 1.0, 'bias': 1.0, 'n': 3}
    """
    pair = np.isfinite(estimate) & np.isfinite(observed)
    n = int(pair.sum())
    if n == 0:
        return {"r": np.nan, "rmse": np.nan, "bias": np.nan, "n": 0}
    e, o = estimate[pair].astype(np.float64), observed[pair].astype(np.float64)
    w = weight[pair] / weight[pair].sum()
    difference = e - o
    e, o = e - w @ e, o - w @ o
    variance = (w @ e**2) * (w @ o**2)
    return {
        "r": float((w @ (e * o)) / np.sqrt(variance)) if variance > 0 else np.nan,
        "rmse": float(np.sqrt(w @ difference**2)),
        "bias": float(w @ difference),
        "n": n,
    }
