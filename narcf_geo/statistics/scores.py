"""Scores of an estimate, as pure functions of numpy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

NAMES = ("r", "rmse", "bias", "mae", "ubrmse", "nse", "kge", "kge_alpha", "kge_beta", "slope")
"""The scores, in the order in which they are given."""

ROUNDING = 1e-13
"""Differences below this part of the largest value are those of summation, not of the data."""

TAYLOR = ("std_estimate", "std_observed", "std_ratio", "r", "centred_rmse")
"""The statistics of a Taylor diagram."""


def scores(estimate: np.ndarray, observed: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Return weighted scores of `estimate` against `observed`.

    Parameters
    ----------
    estimate, observed : numpy.ndarray
        Of the same shape and unit. Pairs with a NaN, or without weight, are left out.
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
    e, o, w = _pairs(estimate, observed, weight)
    if e.size == 0:
        return {**dict.fromkeys(NAMES, np.nan), "n": 0}
    mean_e, mean_o = float(w @ e), float(w @ o)
    std_e, std_o, covariance = _moments(e, o, w)
    square, bias = float(w @ (e - o) ** 2), float(w @ (e - o))
    r = _correlation(covariance, std_e, std_o)
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
        "n": e.size,
    }


def taylor(estimate: np.ndarray, observed: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Return what a Taylor diagram shows (Taylor 2001, doi:10.1029/2000JD900719), weighted.

    Parameters
    ----------
    estimate, observed, weight
        As for `scores`.

    Returns
    -------
    dict
        ``std_estimate`` and ``std_observed`` in the unit of the data, ``std_ratio`` of the first to
        the second, ``r`` in [-1, 1], and ``centred_rmse``, the root-mean-square error without the
        bias: its square is ``std_estimate**2 + std_observed**2 - 2 r std_estimate std_observed``.
        NaN where not defined.

    Examples
    --------
    >>> point = taylor(np.array([1.0, 3.0, 5.0]), np.array([0.0, 1.0, 2.0]), np.ones(3))
    >>> round(point["std_ratio"], 9), round(point["r"], 9)
    (2.0, 1.0)
    """
    e, o, w = _pairs(estimate, observed, weight)
    if e.size == 0:
        return dict.fromkeys(TAYLOR, np.nan)
    std_e, std_o, covariance = _moments(e, o, w)
    difference = e - o
    values = (
        std_e,
        std_o,
        _ratio(std_e, std_o),
        _correlation(covariance, std_e, std_o),
        float(np.sqrt(w @ (difference - w @ difference) ** 2)),
    )
    return dict(zip(TAYLOR, values, strict=True))


def _pairs(
    estimate: np.ndarray, observed: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the complete pairs and their weights, which sum to 1."""
    pair = np.isfinite(estimate) & np.isfinite(observed) & (weight > 0)
    w = weight[pair].astype(np.float64)
    return estimate[pair].astype(np.float64), observed[pair].astype(np.float64), w / (w.sum() or 1)


def _moments(e: np.ndarray, o: np.ndarray, w: np.ndarray) -> tuple[float, float, float]:
    """Return the standard deviations and the covariance."""
    centred = [_centred(values, w) for values in (e, o)]
    std_e, std_o = (float(np.sqrt(w @ values**2)) for values in centred)
    return std_e, std_o, float(w @ (centred[0] * centred[1]))


def _centred(values: np.ndarray, w: np.ndarray) -> np.ndarray:
    # The rounding of a mean must not pass for variance.
    if np.ptp(values) <= ROUNDING * np.abs(values).max():
        return np.zeros_like(values)
    return values - w @ values


def _correlation(covariance: float, std_e: float, std_o: float) -> float:
    # Rounding leaves 1 + 2e-16, whose arc cosine is NaN.
    return float(np.clip(_ratio(covariance, std_e * std_o), -1.0, 1.0))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")


def for_json(value: Any) -> Any:
    """Return nested scores with None, which JSON can hold, for what is not finite.

    Examples
    --------
    >>> for_json({"r": float("nan"), "period": ["2014-01"]})
    {'r': None, 'period': ['2014-01']}
    """
    if isinstance(value, dict):
        return {k: for_json(v) for k, v in value.items()}
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else None
    return value
