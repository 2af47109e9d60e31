"""Trends and correlations of short series, with errors that know that years are not independent."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

LEVEL = 0.95
DRAWS = 1000

FEWEST = 8
"""Values from which on the test of Mann and Kendall is near enough to normal."""

FEWEST_BLOCKS = 5
"""Pairs, or blocks of them, from which on a correlation has a significance and an interval."""


class Trend(NamedTuple):
    """A trend and its significance; NaN where there are too few values to tell.

    Attributes
    ----------
    slope, lower, upper : float
        Sen's slope and its 95 % interval, unit of the values per unit of time.
    std : float
        Standard error of the slope, of a block bootstrap.
    p : float
        Two-sided, of the test of Mann and Kendall.
    n : int
        Number of values.
    """

    slope: float
    lower: float
    upper: float
    std: float
    p: float
    n: int


class Correlation(NamedTuple):
    """A correlation of two series and its significance; NaN where it cannot be told.

    Attributes
    ----------
    r, lower, upper : float
        Pearson's correlation and its 95 % interval, of a block bootstrap.
    p : float
        Two-sided, of a t test with the effective sample size.
    n : int
        Number of pairs.
    n_effective : float
        How many independent pairs would tell as much.
    """

    r: float
    lower: float
    upper: float
    p: float
    n: int
    n_effective: float


def trend(values: np.ndarray, time: np.ndarray, *, seed: int = 0) -> Trend:
    """Return the trend of a series: Sen's slope, and whether there is one.

    The slope is the median of those of all pairs (Theil 1950, Sen 1968). Significance is that of
    Mann and Kendall, and the interval that of Sen, with the variance of the statistic corrected for
    autocorrelation; see `mann_kendall`.

    Parameters
    ----------
    values, time : numpy.ndarray
        (n,), NaN where missing; times rise.
    seed : int
        Of the bootstrap.

    Examples
    --------
    >>> year = np.arange(2001.0, 2011.0)
    >>> found = trend(np.array([3.0, 3.1, 3.5, 3.4, 4.0, 3.9, 4.4, 4.3, 4.9, 5.2]), year)
    >>> round(found.slope, 3), found.p < 0.001, found.n
    (0.243, True, 10)
    """
    known = np.isfinite(values)
    y, t = np.asarray(values, float)[known], np.asarray(time, float)[known]
    nothing = np.nan
    if y.size < 3:
        return Trend(nothing, nothing, nothing, nothing, nothing, int(y.size))
    slopes = pair_slopes(y, t)
    slope = float(np.median(slopes))
    if y.size < FEWEST:
        return Trend(slope, nothing, nothing, nothing, nothing, int(y.size))
    s, variance = mann_kendall(y, t)
    low, high = _middle(slopes, variance)
    line = slope * t
    rest = y - line - np.median(y - line)
    drawn = [
        np.median(pair_slopes(line + rest[rows], t))
        for rows in block_rows(y.size, block_length(y.size), seed=seed)
    ]
    return Trend(slope, low, high, float(np.std(drawn)), _p_of(s, variance), int(y.size))


def pair_slopes(y: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return the sorted slopes of all pairs of points of different times."""
    first, second = np.triu_indices(y.size, 1)
    return np.sort((y[second] - y[first]) / (t[second] - t[first]))


def mann_kendall(y: np.ndarray, t: np.ndarray) -> tuple[float, float]:
    """Return the statistic S of Mann and Kendall and its variance, corrected for autocorrelation.

    The correction is that of Hamed and Rao (1998, doi:10.1016/S0022-1694(97)00125-X). In a series
    of 10 or 20 years an autocorrelation is hardly ever significant by itself, and as published the
    correction would then do nothing. So the ranks of the detrended series are taken for a first
    order process, whose autocorrelation at lag 1 is freed of its bias (Hamed 2009,
    doi:10.1016/j.jhydrol.2009.01.040); a negative one does not count.

    Examples
    --------
    >>> mann_kendall(np.array([1.0, 3.0, 2.0, 4.0, 5.0, 7.0, 6.0, 8.0]), np.arange(8.0))
    (24.0, 65.33333333333333)
    """
    n = y.size
    first, second = np.triu_indices(n, 1)
    s = float(np.sign(y[second] - y[first]).sum())
    _, ties = np.unique(y, return_counts=True)
    variance = n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()
    return s, float(variance / 18 * _inflation(y - np.median(pair_slopes(y, t)) * t))


def _inflation(rest: np.ndarray) -> float:
    """Return by how much the autocorrelation of ranks makes the variance of S larger, from 1."""
    from scipy import stats

    n = rest.size
    first = (n * autocorrelation(stats.rankdata(rest))[0] + 2) / (n - 4)
    lag = np.arange(1, n)
    terms = (n - lag) * (n - lag - 1) * (n - lag - 2) * np.clip(first, 0.0, 0.95) ** lag
    return 1 + 2 / (n * (n - 1) * (n - 2)) * float(terms.sum())


def autocorrelation(y: np.ndarray) -> np.ndarray:
    """Return the autocorrelation at lags 1 to n - 1; zeros of a series that is constant."""
    rest = y - y.mean()
    whole = np.correlate(rest, rest, "full")[y.size - 1 :]
    return whole[1:] / whole[0] if whole[0] > 0 else np.zeros(y.size - 1)


def _p_of(s: float, variance: float) -> float:
    from scipy import stats

    if variance <= 0:
        return 1.0
    return float(2 * stats.norm.sf(max(abs(s) - 1, 0) / np.sqrt(variance)))


def _middle(slopes: np.ndarray, variance: float) -> tuple[float, float]:
    """Return the interval of Sen (1968) about the median of sorted slopes."""
    from scipy import stats

    half = stats.norm.ppf(0.5 + LEVEL / 2) * np.sqrt(variance)
    last = slopes.size - 1
    low = np.clip(int(np.round((slopes.size - half) / 2)) - 1, 0, last)
    high = np.clip(int(np.round((slopes.size + half) / 2)), 0, last)
    return float(slopes[low]), float(slopes[high])


def correlation(
    one: np.ndarray, other: np.ndarray, *, block: int | None = None, seed: int = 0
) -> Correlation:
    """Return the correlation of two series in time, and whether it is one.

    Parameters
    ----------
    one, other : numpy.ndarray
        (n,), NaN where missing.
    block : int, optional
        Values that are drawn together: 12 of months; by default the cube root of n.
    seed : int
        Of the bootstrap.

    Notes
    -----
    Series that each follow themselves agree by chance more often: of n pairs
    n (1 - r1 r2) / (1 + r1 r2) are independent, with the autocorrelations at lag 1 (Bretherton et
    al. 1999), at most n.

    Examples
    --------
    >>> wet = np.array([1.0, -2.0, 0.5, 3.0, -1.0, 2.5, -0.5, 0.0, 1.5, -3.0])
    >>> found = correlation(wet, wet + np.array([0.5, 0.2, -1, 0.3, 0.8, -0.9, 1, 0, 0, 0.6]))
    >>> round(found.r, 2), found.p < 0.01, found.n, round(found.n_effective, 1)
    (0.94, True, 10, 7.5)
    """
    from scipy import stats

    known = np.isfinite(one) & np.isfinite(other)
    pair = np.stack([one, other])[:, known].astype(float)
    n = pair.shape[1]
    r = _r(*pair) if n >= 3 else np.nan
    if not np.isfinite(r):
        return Correlation(np.nan, np.nan, np.nan, np.nan, n, np.nan)
    product = float(np.prod([autocorrelation(values)[0] for values in pair]))
    effective = float(np.clip(n * (1 - product) / (1 + product), 0, n))
    p = np.nan
    if effective > 2 and n >= FEWEST_BLOCKS:
        strength = abs(r) * np.sqrt((effective - 2) / max(1 - r**2, 1e-15))
        p = float(2 * stats.t.sf(strength, effective - 2))
    length = min(block or block_length(n), n)
    lower = upper = np.nan
    if n // length >= FEWEST_BLOCKS:
        drawn = [_r(*pair[:, rows]) for rows in block_rows(n, length, seed=seed)]
        lower, upper = np.nanquantile(drawn, (0.5 - LEVEL / 2, 0.5 + LEVEL / 2))
    return Correlation(float(r), float(lower), float(upper), p, n, effective)


def _r(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = np.sqrt((one**2).sum() * (other**2).sum())
    return float(np.clip((one * other).sum() / size, -1, 1)) if size > 0 else np.nan


def block_length(n: int) -> int:
    """Return how many values of a series are drawn together: the cube root of their number."""
    return max(1, round(n ** (1 / 3)))


def block_rows(n: int, length: int, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """Return rows (draw, n) of a circular block bootstrap (Politis and Romano 1992).

    Examples
    --------
    >>> block_rows(5, 2, draws=1).shape
    (1, 5)
    """
    starts = np.random.default_rng(seed).integers(n, size=(draws, -(-n // length)))
    rows = (starts[:, :, None] + np.arange(length)) % n
    return rows.reshape(draws, -1)[:, :n]


def of_blocks(
    statistic: Callable[[np.ndarray], np.ndarray], sums: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ends of the 95 % interval of a statistic of sums over blocks, and its error.

    Parameters
    ----------
    statistic : callable
        Takes sums over blocks (..., draw) and returns (..., draw).
    sums : numpy.ndarray
        (..., block): whole blocks, such as of cells and years, are drawn with replacement.
    seed : int
        Of the bootstrap.

    Returns
    -------
    lower, upper, std : numpy.ndarray
        NaN of fewer than five blocks.
    """
    n = sums.shape[-1]
    if n < FEWEST_BLOCKS:
        one = np.full_like(statistic(sums.sum(axis=-1)[..., None])[..., 0], np.nan)
        return one, one, one
    drawn = statistic(sums @ np.random.default_rng(seed).multinomial(n, [1 / n] * n, DRAWS).T)
    lower, upper = np.nanquantile(drawn, (0.5 - LEVEL / 2, 0.5 + LEVEL / 2), axis=-1)
    return lower, upper, np.nanstd(drawn, axis=-1)
