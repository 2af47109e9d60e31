"""Trends and correlations against scipy, published code and simulated series."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from narcf_geo.statistics.trends import (
    autocorrelation,
    block_rows,
    correlation,
    mann_kendall,
    of_blocks,
    pair_slopes,
    trend,
)

PERSISTENT = [
    0.0, 0.38, 0.1, -0.7, -0.79, -1.37, -0.7, 1.08, 0.51, 0.01, 0.79, 1.23, 1.31, 0.36, 0.61,
    1.54, 0.17, 0.13, -1.32, -1.7, -2.5, -1.42, -1.68, -0.3, 0.58, 0.88, -1.22, -0.69, 0.2, 1.0,
]  # fmt: skip
RISING = [
    -1.5, -0.4, -0.9, -0.6, 1.3, -0.5, 0.3, 1.3, -0.1, 0.4, 0.7, 0.7, -0.5, 0.9, 2.2,
    -0.6, 1.8, 1.1, 0.4, 3.1, 2.0, 0.1, 1.4, 2.0, 1.3,
]  # fmt: skip


def persistent(rng: np.random.Generator, n: int, r: float) -> np.ndarray:
    """A series that follows itself, without a trend."""
    noise = rng.normal(size=n)
    values = np.empty(n)
    values[0] = noise[0]
    for t in range(1, n):
        values[t] = r * values[t - 1] + np.sqrt(1 - r**2) * noise[t]
    return values


@pytest.mark.parametrize(
    ("values", "s", "variance"),
    # As pymannkendall 1.4.3 gives them without a correction; the second has ties.
    [(PERSISTENT, -10.0, 3140.6666666666665), (RISING, 140.0, 1824.6666666666667)],
)
def test_the_statistic_is_that_of_published_code(
    values: list[float], s: float, variance: float
) -> None:
    y, t = np.array(values), np.arange(len(values), dtype=float)
    found, corrected = mann_kendall(y, t)
    assert found == s
    # The first follows itself, and its variance is at least doubled; the second hardly does.
    follows = values is PERSISTENT
    assert (corrected > 2 * variance) == follows
    if not follows:
        assert corrected == pytest.approx(variance, rel=0.2)
    assert trend(y, t).slope == pytest.approx(stats.theilslopes(y, t).slope, rel=1e-12)


def test_a_series_that_does_not_follow_itself_has_the_interval_of_scipy() -> None:
    t = np.array([0, 1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13], dtype=float)
    y = 0.3 * t + np.array([1, -1, 0.5, -0.7, 0.9, -0.4, 0.2, -1.1, 0.8, -0.3, 0.67, -0.93])
    wanted = stats.theilslopes(y, t)
    found = trend(y, t)
    assert (found.slope, found.lower, found.upper) == pytest.approx(
        (wanted.slope, wanted.low_slope, wanted.high_slope), rel=1e-12
    )
    s, variance = mann_kendall(y, t)
    assert s == pytest.approx(stats.kendalltau(t, y).statistic * 66)
    assert variance == pytest.approx(12 * 11 * 29 / 18)
    assert found.p == pytest.approx(2 * stats.norm.sf((s - 1) / np.sqrt(variance)))
    assert trend(-y, t).slope == pytest.approx(-found.slope)


def test_missing_years_are_left_out_by_their_time() -> None:
    t = np.arange(2001.0, 2013.0)
    y = 5 - 2 * (t - 2001)
    y[[3, 7]] = np.nan
    found = trend(y, t)
    assert (found.slope, found.lower, found.upper, found.n) == (-2.0, -2.0, -2.0, 10)
    assert found.p < 0.01
    assert trend(y[:2], t[:2]).n == 2
    assert np.isnan(trend(y[:2], t[:2]).slope)
    few = trend(y[:6], t[:6])
    assert few.slope == -2.0
    assert np.isnan(few.p)


def test_persistence_is_not_taken_for_a_trend() -> None:
    rng = np.random.default_rng(11)
    t = np.arange(40.0)
    naive = corrected = 0
    for _ in range(200):
        y = persistent(rng, t.size, 0.6)
        naive += stats.kendalltau(t, y).pvalue < 0.05
        corrected += p_of(y, t) < 0.05
    # The control: without the correction a quarter of series without a trend have one.
    assert naive > 0.25 * 200
    assert corrected < 0.15 * 200
    # What is there is found: a rise of 2.5 standard deviations over 20 independent years.
    t = np.arange(20.0)
    found = [p_of(rng.normal(size=20) + 0.125 * t, t) < 0.05 for _ in range(100)]
    assert np.mean(found) > 0.6


def p_of(y: np.ndarray, t: np.ndarray) -> float:
    s, variance = mann_kendall(y, t)
    return float(2 * stats.norm.sf((abs(s) - 1) / np.sqrt(variance)))


def test_the_error_of_a_slope_is_that_of_many_series() -> None:
    rng = np.random.default_rng(5)
    t = np.arange(24.0)
    for r, least in ((0.0, 0.75), (0.5, 0.6)):
        series = [0.2 * t + persistent(rng, t.size, r) for _ in range(40)]
        true = np.std([np.median(pair_slopes(y, t)) for y in series])
        told = np.mean([trend(y, t).std for y in series[:12]])
        assert least * true < told < 1.3 * true


def test_a_correlation_of_series_that_follow_themselves_is_less_sure() -> None:
    rng = np.random.default_rng(2)
    one, other = persistent(rng, 80, 0.9), persistent(rng, 80, 0.9)
    found, plain = correlation(one, other), stats.pearsonr(one, other)
    assert found.r == pytest.approx(plain.statistic)
    product = autocorrelation(one)[0] * autocorrelation(other)[0]
    assert found.n_effective == pytest.approx(80 * (1 - product) / (1 + product))
    assert found.n_effective < 40
    assert found.p > plain.pvalue
    assert found.lower < found.r < found.upper


def test_a_correlation_is_that_of_numpy_and_counts_pairs() -> None:
    one = np.array([1.0, -2.0, 0.5, 3.0, -1.0, 2.5, -0.5, 0.0, 1.5, -3.0])
    other = one + np.array([0.5, 0.2, -1.0, 0.3, 0.8, -0.9, 1.1, -0.2, 0.0, 0.6])
    found = correlation(one, other)
    assert found.r == pytest.approx(np.corrcoef(one, other)[0, 1])
    assert found.p == pytest.approx(0.001226, rel=1e-3)
    assert stats.pearsonr(one, other).pvalue < found.p / 10
    gone = correlation(np.where(np.arange(10) == 4, np.nan, one), other)
    kept = np.arange(10) != 4
    assert (gone.r, gone.n) == (pytest.approx(np.corrcoef(one[kept], other[kept])[0, 1]), 9)
    assert np.isnan(correlation(np.ones(10), other).r)
    # Three or four years agree by chance: r is told, and no significance.
    few = correlation(one[:4], other[:4])
    assert np.isfinite(few.r)
    assert np.isnan([few.p, few.lower, few.upper]).all()
    months = correlation(*np.random.default_rng(0).normal(size=(2, 48)), block=12)
    assert np.isnan(months.lower)
    assert np.isfinite(months.p)


def test_blocks_are_drawn_whole() -> None:
    rows = block_rows(12, 4, draws=50, seed=1)
    assert rows.shape == (50, 12)
    assert ((np.diff(rows.reshape(50, 3, 4)) % 12) == 1).all()
    assert set(np.unique(rows)) == set(range(12))


def test_the_error_of_a_mean_of_blocks_is_that_of_their_means() -> None:
    rng = np.random.default_rng(9)
    means = rng.normal(3, 2, 40)
    sums = np.stack([means * 7, np.full(40, 7.0)])
    lower, upper, std = of_blocks(lambda s: s[0] / s[1], sums)
    assert std == pytest.approx(means.std() / np.sqrt(40), rel=0.1)
    assert lower < means.mean() < upper
    # The control: 7 values of each block, taken as independent, would be surer.
    assert std > 2 * means.std() / np.sqrt(40 * 7)
    assert np.isnan(of_blocks(lambda s: s[0] / s[1], sums[:, :4])).all()
