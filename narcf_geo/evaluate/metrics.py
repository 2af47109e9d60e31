"""Scores of an estimate, as pure functions of numpy arrays."""

from __future__ import annotations

import numpy as np

NAMES = (
    "r", "rmse", "bias", "mae", "ubrmse", "nse", "kge", "kge_alpha", "kge_beta", "slope"
)  # fmt: skip
"""The scores, in the order in which they are given."""


def scores(estimate: np.ndarray, observed: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Return weighted scores of `estimate` against `observed`.

    Parameters
    ----------
    estimate, observed : numpy.ndarray
        Of the same shape and unit. Pairs with a NaN are left out.
    weight : numpy.ndarray
        Non-negative, of the same shape: the cell area.

    Returns
    -------
    dict
        In the unit of the data: ``rmse`` >= 0, ``bias`` (estimate minus observed), ``mae`` >= 0 and
        ``ubrmse``, the root-mean-square error without the bias. Without unit: ``r`` in [-1, 1]
        (Pearson); ``nse`` <= 1 (Nash and Sutcliffe 1970, 0 is as good as the mean observed);
        ``kge`` <= 1 (Gupta et al. 2009) and its parts ``kge_alpha``, the ratio of the standard
        deviations, and ``kge_beta``, that of the means (the third is ``r``); ``slope`` of the
        least-squares line of estimate on observed. ``n`` is the number of pairs. What is not
        defined is NaN: all without pairs, most without variance.

    Examples
    --------
    >>> found = scores(np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0, 3.0]), np.ones(3))
    >>> found["r"], found["rmse"], found["bias"], found["ubrmse"], found["n"]
    (1.0, 1.0, 1.0, 0.0, 3)
    """
    pair = np.isfinite(estimate) & np.isfinite(observed)
    n = int(pair.sum())
    if n == 0:
        return {**dict.fromkeys(NAMES, np.nan), "n": 0}
    e, o = estimate[pair].astype(np.float64), observed[pair].astype(np.float64)
    w = weight[pair] / weight[pair].sum()
    mean_e, mean_o = float(w @ e), float(w @ o)
    # The rounding of a mean must not pass for variance.
    std_e = float(np.sqrt(w @ (e - mean_e) ** 2)) if np.ptp(e) > 0 else 0.0
    std_o = float(np.sqrt(w @ (o - mean_o) ** 2)) if np.ptp(o) > 0 else 0.0
    covariance = float(w @ ((e - mean_e) * (o - mean_o)))
    square, bias = float(w @ (e - o) ** 2), float(w @ (e - o))
    r = _ratio(covariance, std_e * std_o)
    alpha, beta = _ratio(std_e, std_o), _ratio(mean_e, mean_o)
    return {
        "r": r,
        "rmse": float(np.sqrt(square)),
        "bias": bias,
        "mae": float(w @ np.abs(e - o)),
        "ubrmse": float(np.sqrt(max(square - bias**2, 0.0))),
        "nse": 1.0 - _ratio(square, std_o**2),
        "kge": float(1.0 - np.sqrt((r - 1) ** 2 + (alpha - 1) ** 2 + (beta - 1) ** 2)),
        "kge_alpha": alpha,
        "kge_beta": beta,
        "slope": _ratio(covariance, std_o**2),
        "n": n,
    }


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")
