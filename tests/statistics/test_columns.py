"""Columns described by parts are described as a whole."""

from __future__ import annotations

import numpy as np
import pytest

from narcf_geo.core import slabs
from narcf_geo.statistics.columns import Columns
from narcf_geo.statistics.scores import scores


@pytest.fixture
def x() -> np.ndarray:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(1000, 4)) * [1, 1e-3, 10, 1] + [0, 300, 1e5, 0]).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    x[:400, 3] = np.nan
    return x


@pytest.mark.parametrize("size", [1, 7, 333, 1000, 5000])
def test_parts(x: np.ndarray, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slabs.slabs, "__defaults__", (size,))
    rows = np.random.default_rng(1).permutation(1000)[:800]
    for chosen, of in ((None, x), (rows, x[rows])):
        found, exact = Columns.of(x, chosen), of.astype(float)
        np.testing.assert_allclose(found.mean, np.nanmean(exact, axis=0), rtol=1e-12)
        np.testing.assert_allclose(found.variance, np.nanvar(exact, axis=0), rtol=1e-9)
        np.testing.assert_array_equal(found.low, np.nanmin(exact, axis=0))
        np.testing.assert_array_equal(found.high, np.nanmax(exact, axis=0))
        np.testing.assert_array_equal(found.count, (~np.isnan(exact)).sum(axis=0))


def test_a_column_without_values(x: np.ndarray) -> None:
    found = Columns.of(x[:400])
    assert found.count[3] == 0
    assert np.isnan([found.mean[3], found.variance[3], found.low[3], found.high[3]]).all()


@pytest.mark.parametrize("size", [1, 64, 999])
def test_scores_by_parts(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    observed, weight = rng.normal(size=1000), rng.random(1000)
    estimate = observed + 0.3 * rng.normal(size=1000) + 5
    estimate[::9] = np.nan
    whole = scores(estimate, observed, weight)
    constant = scores(np.full(1000, 0.1), observed, weight)
    monkeypatch.setattr(slabs.slabs, "__defaults__", (size,))
    assert scores(estimate, observed, weight) == pytest.approx(whole, rel=1e-12)
    again = scores(np.full(1000, 0.1), observed, weight)
    assert again == pytest.approx(constant, rel=1e-12, nan_ok=True)
    assert again["kge_alpha"] == 0
