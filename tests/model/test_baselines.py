"""Baselines against what they are by definition, and against rows they must not see."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from narcf_geo.core.months import month_starts
from narcf_geo.model.baselines import BASELINES, climatology, fit_baseline
from narcf_geo.model.samples.features import Features
from narcf_geo.model.samples.splits import Split
from narcf_geo.model.samples.table import Cells, Table


@pytest.fixture(scope="module")
def table() -> Table:
    """Three years of 40 cells; the flux follows the first feature, missing here and there."""
    rng = np.random.default_rng(3)
    month, cell = (a.ravel() for a in np.indices((36, 40)))
    x = rng.normal(size=(month.size, 3)).astype(np.float32)
    y = 2 * x[:, 0] - 1 + 0.1 * rng.normal(size=month.size)
    x[::17, 0] = np.nan
    place = np.arange(40)
    return Table(
        features=Features(("a", "b"), ("1", "1"), ("a",), "none"),
        x=np.column_stack([x[:, :2], np.isfinite(x[:, 0])]).astype(np.float32),
        y=y.astype(np.float32),
        month=month,
        cell=cell,
        cells=Cells(40.0 + place, -100.0 + place, 1e9 + 1e7 * place, np.where(place < 20, 5, 12)),
        time=month_starts("2007-01", "2009-12"),
        missing={},
    )


@pytest.fixture(scope="module")
def split(table: Table) -> Split:
    rows = [np.flatnonzero((table.month // 12) == year) for year in range(3)]
    return Split(rows[0], rows[1], rows[2])


def test_climatology_is_the_mean_of_the_cell_and_calendar_month(table: Table) -> None:
    parts = Split(np.flatnonzero(table.month < 24), np.array([36 * 40 - 1]), np.array([], int))
    flux = climatology(table, parts)
    same = (table.cell == 7) & (table.month % 12 == 4)
    expected = table.y[same & (table.month < 24)].mean()
    assert same.sum() == 3
    np.testing.assert_allclose(flux[same], expected, rtol=1e-6)


def test_climatology_falls_back_on_the_biome(table: Table) -> None:
    train = np.flatnonzero((table.month < 12) & (table.cell != 7))
    flux = climatology(table, Split(train, np.array([], int), np.array([], int)))
    row = np.flatnonzero((table.cell == 7) & (table.month == 4))
    same = train[(table.biome[train] == 5) & (table.month[train] == 4)]
    expected = np.average(table.y[same], weights=table.area[same])
    np.testing.assert_allclose(flux[row], expected, rtol=1e-5)
    nowhere = np.flatnonzero(table.month[train] != 4)
    flux = climatology(table, Split(train[nowhere], np.array([], int), np.array([], int)))
    expected = np.average(table.y[train[nowhere]], weights=table.area[train[nowhere]])
    np.testing.assert_allclose(flux[row], expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["ridge", "boosting"])
def test_learned_baselines_learn_and_take_what_is_missing(
    table: Table, split: Split, name: str
) -> None:
    flux = BASELINES[name](table, split, 1)
    assert flux.shape == table.y.shape
    assert np.isfinite(flux).all()
    there = split.test[np.isfinite(table.x[split.test, 0])]
    assert np.corrcoef(flux[there], table.y[there])[0, 1] > 0.97


def test_ridge_agrees_with_scikit_learn(table: Table, split: Split) -> None:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(SimpleImputer(), LinearRegression())
    model.fit(table.x[split.train], table.y[split.train])
    flux = BASELINES["ridge"](table, split, 1)
    np.testing.assert_allclose(flux, model.predict(table.x), atol=0.05)


@pytest.mark.parametrize("name", BASELINES)
def test_no_baseline_sees_the_test_rows(table: Table, split: Split, name: str) -> None:
    x, y = table.x.copy(), table.y.copy()
    x[split.test[::2]] += 50
    y[split.test] = 1e3
    planted = dataclasses.replace(table, x=x, y=y)
    rows = np.concatenate([split.train, split.validation, split.test[1::2]])
    first, second = (fit_baseline(name, t, split, 1) for t in (table, planted))
    np.testing.assert_array_equal(first.flux[rows], second.flux[rows])
    seen = Split(np.concatenate([split.train, split.test]), split.validation, np.array([], int))
    assert not np.allclose(fit_baseline(name, planted, seen, 1).flux[rows], first.flux[rows])


def test_noise_is_the_error_of_validation_rows(table: Table, split: Split) -> None:
    estimate = fit_baseline("climatology", table, split, 1)
    error = estimate.flux[split.validation] - table.y[split.validation]
    expected = np.sqrt(np.average(error**2, weights=table.area[split.validation]))
    np.testing.assert_allclose(estimate.noise, expected, rtol=1e-5)
    assert not estimate.spread.any()
