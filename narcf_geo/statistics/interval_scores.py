"""What intervals are worth: how much they hold, how wide they are, and both in one number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Factors = Mapping[Any, float]
"""Level, a number or its text, to half the width of the interval as a multiple of the std."""

CENTRAL = 0.8
"""Level of the interval by which the normal distribution of a continuous score is scaled."""


def interval_sums(
    observed: np.ndarray,
    flux: np.ndarray,
    std: np.ndarray,
    factors: Factors,
    weight: np.ndarray,
) -> np.ndarray:
    """Return the sums over the last axis of which `interval_scores` are made.

    Parameters
    ----------
    observed, flux, std : numpy.ndarray
        (..., n), of the same unit. What has a NaN is left out.
    factors : mapping
        Of each level.
    weight : numpy.ndarray
        Non-negative, such as areas, (..., n).

    Returns
    -------
    numpy.ndarray
        (..., 3 n_levels + 2): for each level the weight inside, then weighted widths, then weighted
        interval scores; the weighted continuous ranked probability scores; and all weight.
    """
    known = np.isfinite(observed) & np.isfinite(flux) & np.isfinite(std) & np.isfinite(weight)
    error = np.where(known, np.abs(np.asarray(observed, np.float64) - flux), 0.0)
    spread = np.where(known, std, 0.0).astype(np.float64)
    w = np.where(known, weight, 0.0).astype(np.float64)
    held, widths, scores = [], [], []
    for level, factor in factors.items():
        # An infinite factor holds all, of rows without spread too.
        half = spread * factor if np.isfinite(factor) else np.full_like(spread, factor)
        outside = error > half
        held.append((w * ~outside).sum(axis=-1))
        with np.errstate(invalid="ignore"):
            width = np.where(w > 0, 2 * half * w, 0.0)
            beyond = 2 / (1 - float(level)) * np.where(outside, error - half, 0.0) * w
        widths.append(width.sum(axis=-1))
        scores.append((width + beyond).sum(axis=-1))
    scale = _scale(factors)
    crps = w * (_crps(error, spread * scale) if np.isfinite(scale) else np.nan)
    return np.stack([*held, *widths, *scores, crps.sum(axis=-1), w.sum(axis=-1)], axis=-1)


def interval_scores(sums: np.ndarray, factors: Factors) -> dict[str, Any]:
    """Return the scores that sums of `interval_sums`, of one or of many rows together, give.

    Parameters
    ----------
    sums : numpy.ndarray
        (3 n_levels + 2,).
    factors : mapping
        Of each level.

    Returns
    -------
    dict
        ``coverage``, the share of the weight inside, ``width`` and ``interval_score`` (Gneiting and
        Raftery 2007: the width, and 2 / (1 - level) times what a value lies outside; smaller is
        better), each by the text of the level; ``crps``, the continuous ranked probability score of
        the normal distribution with the same interval of 80 %, in closed form (Gneiting et al.
        2005). All but the first in the unit of the flux; NaN without rows.

    Examples
    --------
    >>> observed, factors = np.array([0.5, 3.0]), {0.8: 1.0}
    >>> sums = interval_sums(observed, np.zeros(2), np.ones(2), factors, np.array([3.0, 1.0]))
    >>> found = interval_scores(sums, factors)
    >>> found["coverage"], found["width"], round(found["interval_score"]["0.8"], 3)
    ({'0.8': 0.75}, {'0.8': 2.0}, 7.0)
    """
    total, levels = float(sums[-1]), [str(level) for level in factors]
    parts = np.split(sums[:-2], 3)
    nothing = [np.isnan(factor) or total <= 0 for factor in factors.values()]

    def by_level(values: np.ndarray) -> dict[str, float]:
        return {
            level: float("nan") if absent else float(value / total)
            for level, value, absent in zip(levels, values, nothing, strict=True)
        }

    names = ("coverage", "width", "interval_score")
    scores: dict[str, Any] = {n: by_level(v) for n, v in zip(names, parts, strict=True)}
    return {**scores, "crps": float(sums[-2] / total) if total > 0 else float("nan")}


def _scale(factors: Factors) -> float:
    """Return by what a std is multiplied for the normal distribution with the central interval."""
    from scipy.special import ndtri

    known = {float(level): factor for level, factor in factors.items()}
    level = CENTRAL if CENTRAL in known else min(known, key=lambda one: abs(one - CENTRAL))
    return float(known[level] / ndtri(0.5 + level / 2))


def _crps(error: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return the score of normal distributions, of those without width the error."""
    from scipy.special import ndtr

    with np.errstate(divide="ignore", invalid="ignore"):
        z = error / std
        density = np.exp(-np.square(z) / 2) / np.sqrt(2 * np.pi)
        score = std * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))
    return np.where(std > 0, score, error)
