"""Intervals that hold what they promise: split-conformal calibration on held-out rows.

Vovk, Gammerman and Shafer (2005); Lei et al. (2018); Angelopoulos and Bates (2023).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from narcf_geo.statistics.interval_scores import interval_scores, interval_sums

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
    sums = interval_sums(observed, flux, std, factors, weight)
    found: dict[str, float] = interval_scores(sums, factors)["coverage"]
    return found


def _scores(observed: np.ndarray, flux: np.ndarray, std: np.ndarray) -> np.ndarray:
    known = np.isfinite(observed) & np.isfinite(flux) & np.isfinite(std)
    known[known] = std[known] > 0
    return np.abs(observed[known].astype(np.float64) - flux[known]) / std[known]
