"""Scores of intervals: against integrals, and what they reward."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from narcf_geo.statistics.interval_scores import interval_scores, interval_sums

FACTORS = {0.5: 0.6745, 0.8: 1.2816, 0.95: 1.96}


def scored(observed: np.ndarray, flux: np.ndarray, std: np.ndarray, **more: np.ndarray) -> dict:
    weight = more.get("weight", np.ones(observed.size))
    return interval_scores(interval_sums(observed, flux, std, FACTORS, weight), FACTORS)


def test_the_continuous_score_is_the_integral() -> None:
    rng = np.random.default_rng(1)
    observed, flux, std = rng.normal(0, 2, 5), rng.normal(0, 1, 5), rng.uniform(0.3, 2, 5)
    weight = rng.uniform(1, 3, 5)

    def one(o: float, f: float, s: float) -> float:
        def square(x: float) -> float:
            return float((stats.norm.cdf(x, f, s) - (x >= o)) ** 2)

        low, high = min(o, f - 12 * s), max(o, f + 12 * s)
        parts = (integrate.quad(square, *ends, limit=200)[0] for ends in ((low, o), (o, high)))
        return float(sum(parts))

    expected = np.average(
        [one(*row) for row in zip(observed, flux, std, strict=True)], weights=weight
    )
    found = scored(observed, flux, std, weight=weight)
    assert found["crps"] == pytest.approx(expected, rel=1e-4)


def test_the_score_of_an_interval_by_hand() -> None:
    observed, flux, std = np.array([0.0, 3.0, np.nan]), np.zeros(3), np.array([1.0, 1.0, 1.0])
    found = scored(observed, flux, std, weight=np.array([1.0, 3.0, 100.0]))
    assert found["coverage"]["0.95"] == 0.25
    assert found["width"]["0.95"] == pytest.approx(3.92)
    beyond = 2 / 0.05 * (3 - 1.96)
    assert found["interval_score"]["0.95"] == pytest.approx(3.92 + 0.75 * beyond)


def test_the_right_width_scores_best() -> None:
    rng = np.random.default_rng(2)
    observed = rng.normal(0, 1, 20_000)
    by_std = {s: scored(observed, 0 * observed, np.full(observed.size, s)) for s in (0.6, 1.0, 1.6)}
    for level in ("0.5", "0.8", "0.95"):
        best = min(by_std, key=lambda s: by_std[s]["interval_score"][level])
        assert best == 1.0
    assert min(by_std, key=lambda s: by_std[s]["crps"]) == 1.0
    # The control: coverage alone would reward the widest.
    assert max(by_std, key=lambda s: by_std[s]["coverage"]["0.95"]) == 1.6


def test_sums_of_parts_are_those_of_all() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(0, 1, (2, 60))
    std, weight = rng.uniform(0.5, 2, 60), rng.uniform(1, 2, 60)
    parts = [a.reshape(3, 20) for a in (*rows, std)]
    sums = interval_sums(*parts, FACTORS, weight.reshape(3, 20))
    assert sums.shape == (3, 11)
    whole = interval_sums(*rows, std, FACTORS, weight)
    np.testing.assert_allclose(sums.sum(axis=0), whole, rtol=1e-12)
