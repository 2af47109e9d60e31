"""Conformal intervals: what they promise, by counting, and what they cannot."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from narcf_geo.statistics.conformal import LEVELS, conformal_factors, coverage
from narcf_geo.statistics.interval_scores import interval_sums


def sample(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of uneven spread with skewed errors, nothing like normal ones."""
    flux, std = rng.normal(0, 2, n), rng.uniform(0.1, 1.5, n)
    return flux + std * (rng.exponential(1.0, n) - 0.4), flux, std


@settings(deadline=None, max_examples=30)
@given(st.integers(3, 60), st.integers(0, 10_000))
def test_each_row_against_the_others_is_inside_as_often_as_promised(n: int, seed: int) -> None:
    observed, flux, std = sample(np.random.default_rng(seed), n)
    inside = dict.fromkeys(LEVELS, 0)
    for left in range(n):
        rest = np.arange(n) != left
        factors = conformal_factors(observed[rest], flux[rest], std[rest])
        for level, factor in factors.items():
            inside[level] += abs(observed[left] - flux[left]) <= factor * std[left]
    for level, count in inside.items():
        # Without ties exactly the smallest count that keeps the promise.
        assert count == np.ceil(n * level - 1e-9)


def test_new_rows_are_covered_and_the_shares_agree_with_a_count() -> None:
    rng = np.random.default_rng(3)
    factors = conformal_factors(*sample(rng, 4000))
    observed, flux, std = sample(rng, 20_000)
    found = coverage(observed, flux, std, factors, np.ones(20_000))
    for level in LEVELS:
        # Binomial noise of both samples, three standard deviations.
        noise = 3 * np.sqrt(level * (1 - level) * (1 / 4000 + 1 / 20_000))
        assert found[str(level)] == pytest.approx(level, abs=noise)
    # The control: what normal errors would need, and factors learned from another distribution.
    normal = coverage(observed, flux, std, {0.5: 0.674, 0.8: 1.282, 0.95: 1.960}, np.ones(20_000))
    assert abs(normal["0.5"] - 0.5) > 0.1
    wide = flux + 3 * (observed - flux)
    missed = coverage(wide, flux, std, factors, np.ones(20_000))
    assert all(missed[str(level)] < level - 0.15 for level in LEVELS[:2])
    assert missed["0.95"] < 0.85


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 200), st.floats(0.01, 100), st.integers(0, 1000))
def test_units_do_not_matter_and_std_only_scales(n: int, unit: float, seed: int) -> None:
    observed, flux, std = sample(np.random.default_rng(seed), n)
    factors = conformal_factors(observed, flux, std)
    assert conformal_factors(unit * observed, unit * flux, unit * std) == pytest.approx(factors)
    halves = conformal_factors(observed, flux, unit * std)
    assert {k: unit * v for k, v in halves.items()} == pytest.approx(factors)
    assert list(factors.values()) == sorted(factors.values())
    order = np.random.default_rng(seed).permutation(n)
    assert conformal_factors(observed[order], flux[order], std[order]) == factors


@pytest.mark.parametrize(("n", "finite"), [(0, 0), (1, 1), (3, 1), (4, 2), (18, 2), (19, 3)])
def test_too_few_rows_promise_nothing(n: int, finite: int) -> None:
    factors = conformal_factors(np.arange(float(n)), np.zeros(n), np.ones(n))
    assert sum(np.isfinite(f) for f in factors.values()) == finite
    if n:
        assert all(f == np.inf for f in list(factors.values())[finite:])
    else:
        assert all(np.isnan(f) for f in factors.values())


def test_area_counts() -> None:
    observed, area = np.array([0.5, 1.5, 2.5]), np.array([6.0, 3.0, 1.0])
    found = coverage(observed, np.zeros(3), np.ones(3), {0.5: 1.0, 0.8: 2.0}, area)
    assert found == {"0.5": pytest.approx(0.6), "0.8": pytest.approx(0.9)}
    # As read back from JSON.
    assert coverage(observed, np.zeros(3), np.ones(3), {"0.5": 1.0}, area) == {
        "0.5": pytest.approx(0.6)
    }


def test_what_is_not_defined_is_said_without_warnings() -> None:
    nan, one = np.array([np.nan, 1.0, 2.0]), np.ones(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert conformal_factors(nan, np.zeros(3), one)[0.5] == 2.0
        # A std of zero says nothing of a multiple; such a row is inside only when exact.
        still = np.array([0.0, 1.0, 1.0])
        assert conformal_factors(np.array([9.0, 1.0, 2.0]), np.zeros(3), still)[0.5] == 2.0
        found = coverage(np.array([0.0, 9.0, 1.0]), np.zeros(3), np.zeros(3), {0.5: 1.0}, one)
        assert found["0.5"] == pytest.approx(1 / 3)
        assert coverage(nan, np.zeros(3), 0 * one, {0.95: np.inf}, one) == {"0.95": 1.0}
        empty = np.empty(0)
        assert np.isnan(coverage(empty, empty, empty, {0.5: 1.0}, empty)["0.5"])
        assert np.isnan(coverage(one, one, one, {0.5: 1.0}, 0 * one)["0.5"])
        assert np.isnan(coverage(one, one, one, {0.5: np.nan}, one)["0.5"])
        assert np.isnan(conformal_factors(one, one, 0 * one)[0.8])


@pytest.mark.parametrize("gap", [0, 1, 2, 3])
def test_a_row_with_a_gap_is_left_out(gap: int) -> None:
    """The last of four rows has a gap in what is observed, estimated, its spread or its area."""
    rows = [np.array([0.5, 1.5, 2.5, 9.0]), np.zeros(4), np.ones(4), np.array([4.0, 3.0, 1.0, 2])]
    rows[gap][3] = np.nan
    observed, flux, std, area = rows
    assert coverage(observed, flux, std, {0.8: 2.0}, area) == {"0.8": pytest.approx(7 / 8)}
    if gap < 3:
        assert conformal_factors(observed, flux, std)[0.5] == 1.5


def test_a_little_weight_and_a_little_spread_count() -> None:
    tiny = np.full(3, 1e-3)
    error = np.array([1.0, 2.0, 4.0])
    assert coverage(error, 0 * error, error, {0.5: 1.0}, tiny) == {"0.5": 1.0}
    assert conformal_factors(error, 0 * error, tiny)[0.5] == pytest.approx(2000)
    # On the edge is inside, and just beyond it is not.
    assert coverage(error, 0 * error, 1 + tiny, {0.5: 2 / 1.001}, tiny)["0.5"] < 1
    assert coverage(error, 0 * error, 1 + 0 * tiny, {0.5: 2.0}, tiny) == {
        "0.5": pytest.approx(2 / 3)
    }


def test_sums_of_weights_are_the_same_on_any_number_of_threads() -> None:
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((2, 300_000))
    std, weight = rng.uniform(0.5, 2, (2, 300_000))

    def found(threads: int) -> list[float]:
        with threadpool_limits(threads):
            return interval_sums(*rows, std, {0.5: 0.7, 0.8: 1.3}, weight).tolist()

    assert found(1) == found(2)
