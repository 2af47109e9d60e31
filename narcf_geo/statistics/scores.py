"""Scores of an estimate, as pure functions of numpy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from narcf_geo.core.slabs import slabs

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
    arrays = [np.ravel(values) for values in (estimate, observed, weight)]
    n, total = 0, 0.0
    low, high = np.full((2, 2), [[np.inf], [-np.inf]])
    for e, o, w in _parts(arrays):
        n, total = n + e.size, total + float(w.sum())
        low, high = np.fmin(low, [e.min(), o.min()]), np.fmax(high, [e.max(), o.max()])
    if n == 0:
        return {**dict.fromkeys(NAMES, np.nan), "n": 0}
    mean_e = float(sum(w @ e for e, _, w in _parts(arrays, total)))
    mean_o = float(sum(w @ o for _, o, w in _parts(arrays, total)))
    # The rounding of a mean must not pass for variance.
    varies = high - low > ROUNDING * np.maximum(np.abs(low), np.abs(high))
    sums = np.zeros(6)
    for e, o, w in _parts(arrays, total):
        error = e - o
        centred_e, centred_o = (e - mean_e) * varies[0], (o - mean_o) * varies[1]
        sums += [
            w @ centred_e**2,
            w @ centred_o**2,
            w @ (centred_e * centred_o),
            w @ error**2,
            w @ error,
            w @ np.abs(error),
        ]
    var_e, var_o, covariance, square, bias, mae = map(float, sums)
    std_e, std_o = np.sqrt(var_e), np.sqrt(var_o)
    r = _correlation(covariance, std_e, std_o)
    alpha, beta = _ratio(std_e, std_o), _ratio(mean_e, mean_o)
    return {
        "r": r,
        "rmse": float(np.sqrt(square)),
        "bias": bias,
        "mae": mae,
        "ubrmse": float(np.sqrt(max(square - bias**2, 0.0))),
        "nse": 1.0 - _ratio(square, std_o**2),
        "kge": float(1.0 - np.sqrt((r - 1) ** 2 + (alpha - 1) ** 2 + (beta - 1) ** 2)),
        "kge_alpha": alpha,
        "kge_beta": beta,
        "slope": _ratio(covariance, std_o**2),
        "n": n,
    }


def _parts(arrays: Sequence[np.ndarray], total: float = 1.0) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the complete pairs and their weights over `total`, in double precision, by parts."""
    for slab in slabs(len(arrays[0])):
        e, o, w = _pairs(*(values[slab] for values in arrays))
        if e.size:
            yield e, o, w / total


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
    w = w / w.sum()
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
    """Return the complete pairs and their weights, in double precision."""
    pair = np.isfinite(estimate) & np.isfinite(observed) & (weight > 0)
    e, o, w = (values[pair].astype(np.float64) for values in (estimate, observed, weight))
    return e, o, w


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
