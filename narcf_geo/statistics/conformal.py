"""Intervals that hold what they promise: split-conformal calibration on held-out rows.

Vovk, Gammerman and Shafer (2005); Lei et al. (2018); Angelopoulos and Bates (2023).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

LEVELS = (0.5, 0.8, 0.95)
"""Shares of the observations that the intervals are to hold."""


def conformal_factors(
    observed: np.ndarray, flux: np.ndarray, std: np.ndarray
) -> dict[float, float]:
    """Return, for each of `LEVELS`, the half-width of the interval as a multiple of `std`.

    The k-th smallest of ``|observed - flux| / std``, k = ceil((n + 1) level): another row, were it
    exchangeable with these, would lie inside with a probability of at least the level.

    Parameters
    ----------
    observed, flux, std : numpy.ndarray
        Held-out rows that no fit has seen, (n_rows,), of the same unit. Rows with a NaN or without
        a positive `std` are left out.

    Returns
    -------
    dict
        Level to factor: infinite where the rows are too few for the level, NaN without rows.

    Examples
    --------
    >>> observed = np.arange(1.0, 20.0)
    >>> conformal_factors(observed, np.zeros(19), np.ones(19))
    {0.5: 10.0, 0.8: 16.0, 0.95: 19.0}
    """
    score = np.sort(_scores(observed, flux, std))
    if not score.size:
        return dict.fromkeys(LEVELS, float("nan"))
    factors = {}
    for level in LEVELS:
        # Rounding of (n + 1) level must not cost a rank.
        rank = int(np.ceil((score.size + 1) * level - 1e-9))
        factors[level] = float(score[rank - 1]) if rank <= score.size else float("inf")
    return factors


def coverage(
    observed: np.ndarray,
    flux: np.ndarray,
    std: np.ndarray,
    factors: Mapping[float, float] | Mapping[str, float],
    weight: np.ndarray,
) -> dict[str, float]:
    """Return the weighted share of `observed` within ``flux +- factor * std``, for each level.

    Parameters
    ----------
    observed, flux, std : numpy.ndarray
        (n_rows,), of the same unit. Rows with a NaN are left out; where `std` is 0 only an exact
        estimate is inside.
    factors : mapping
        Level, as a number or as its text, to factor: as `conformal_factors` gives them.
    weight : numpy.ndarray
        Non-negative, (n_rows,): the cell area.

    Returns
    -------
    dict
        Text of the level to a share in [0, 1]; NaN without rows, weight, or factor.

    Examples
    --------
    >>> coverage(np.array([0.5, 3.0]), np.zeros(2), np.ones(2), {0.8: 1.0}, np.array([3.0, 1.0]))
    {'0.8': 0.75}
    """
    *inside, total = weight_inside(observed, flux, std, factors, weight)
    return coverage_of(np.array(inside), float(total), factors)


def weight_inside(
    observed: np.ndarray,
    flux: np.ndarray,
    std: np.ndarray,
    factors: Mapping[float, float] | Mapping[str, float],
    weight: np.ndarray,
) -> np.ndarray:
    """Return the weight of the rows inside of the interval of each level, and of all, for a sum.

    Parameters
    ----------
    observed, flux, std, factors, weight
        As for `coverage`.
    """
    known = np.isfinite(observed) & np.isfinite(flux) & np.isfinite(std) & np.isfinite(weight)
    error = np.abs(observed[known].astype(np.float64) - flux[known])
    spread, w = std[known].astype(np.float64), weight[known].astype(np.float64)
    # An infinite factor holds all, of rows without spread too. A product would depend on the number
    # of threads in its last digits.
    inside = [
        w.sum(where=error <= spread * factor) if np.isfinite(factor) else w.sum()
        for factor in factors.values()
    ]
    return np.array([*inside, w.sum()])


def coverage_of(
    inside: np.ndarray, total: float, factors: Mapping[float, float] | Mapping[str, float]
) -> dict[str, float]:
    """Return the shares of `coverage` from the sums of `weight_inside`."""
    return {
        str(level): float(held / total) if total > 0 and not np.isnan(factor) else float("nan")
        for (level, factor), held in zip(factors.items(), inside, strict=True)
    }


def _scores(observed: np.ndarray, flux: np.ndarray, std: np.ndarray) -> np.ndarray:
    known = np.isfinite(observed) & np.isfinite(flux) & np.isfinite(std)
    known[known] = std[known] > 0
    return np.abs(observed[known].astype(np.float64) - flux[known]) / std[known]
