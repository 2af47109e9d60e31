"""Climates of folds of years: of their own training months, and of no month that tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from tiny_cube import tiny_cube, tiny_settings

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.months import month_starts, with_month_axis
from narcf_geo.model import diagnostics, fit
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.fit import cross_validation, fit_bundle, tabulate
from narcf_geo.model.samples.own_climate import climate_months, own_climate
from narcf_geo.model.samples.splits import Split, final_split, splits_of
from narcf_geo.model.samples.table import Table
from narcf_geo.model.train import cross_validate
from narcf_geo.prediction import predict
from narcf_geo.project.settings import Settings

HOW = {
    "temp_mean": {"of": "temp", "climate": "annual_mean"},
    "temp_normal": {"of": "temp", "climate": "monthly_mean"},
    "temp_anomaly": {"of": "temp", "climate": "anomaly", "lag": 1},
}
YEARS = {"kind": "years"}
FORWARD = {"kind": "forward"}
PERIOD = {"start": "2007-01", "end": "2010-12"}


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    """Four years, each warmer than the one before, so that every climate is another."""
    two, rng = tiny_cube(), np.random.default_rng(5)
    months = month_starts("2007-01", "2010-12")
    four = xr.concat([two, two], "time", data_vars="minimal").drop_vars("time_bnds")
    four = with_month_axis(four.assign_coords(time=months), months)
    warmer = (
        rng.normal(0, 1, four["temp"].shape) + (four["time"].dt.year - 2007).values[:, None, None]
    )
    four["temp"] = (four["temp"] + warmer).astype("f4").assign_attrs(units="degC")
    return four


def settings_of(split: dict, *names: str, **more: object) -> Settings:
    names = names or ("temp",)
    return tiny_settings(*names, split=split, period=PERIOD, **{"features": HOW, **more})


def columns(table: Table) -> np.ndarray:
    return table.x[:, [table.features.names.index(name) for name in HOW]]


@pytest.mark.parametrize(
    ("split", "learned"),
    [
        (YEARS, [(2009, 2010), (2007, 2010), (2007, 2008), (2008, 2009)]),
        (FORWARD, [(2007,), (2007, 2008)]),
    ],
)
def test_a_fold_takes_the_means_of_its_own_training_years(
    cube: xr.Dataset, split: dict, learned: list
) -> None:
    settings = settings_of(split)
    table = tabulate(cube, settings)
    folds = splits_of(settings.split, table, 1)
    temp, year = cube["temp"].values.astype(float), cube["time"].dt.year.values
    for fold, years in zip(folds, learned, strict=True):
        own, same = own_climate(cube, table, fold)
        np.testing.assert_array_equal(same.test, fold.test)
        trained = temp[np.isin(year, years)].reshape(len(years), 12, 20)
        normal, mean = trained.mean(axis=0), trained.mean(axis=(0, 1))
        t, c = table.month, table.cell
        before = temp.reshape(48, 20)[t - 1, c] - normal[(t - 1) % 12, c]
        expected = np.column_stack([mean[c], normal[t % 12, c], before])
        rows = t > 0
        np.testing.assert_allclose(columns(own)[rows], expected[rows], atol=1e-4)
        # What is no climate is as it was, and the control: the climate of all years is another.
        np.testing.assert_array_equal(own.x[:, 0], table.x[:, 0])
        assert np.abs(columns(table)[rows] - expected[rows]).max() > 0.3


@pytest.mark.parametrize("split", [YEARS, FORWARD])
def test_no_month_that_validates_or_tests_enters_the_climate(cube: xr.Dataset, split: dict) -> None:
    settings = settings_of(split)
    table = tabulate(cube, settings)
    for fold in splits_of(settings.split, table, 1):
        own, _ = own_climate(cube, table, fold)
        years = np.unique(table.year[np.r_[fold.test, fold.validation]])
        held = np.isin(cube["time"].dt.year, years)
        absurd = cube.copy(deep=True)
        absurd["temp"][held] = 1e4
        poisoned, _ = own_climate(absurd, tabulate(absurd, settings), fold)
        # A lag of one reaches into the month before: the first month after a held year.
        clean = fold.train[~np.isin(table.month[fold.train] - 1, np.flatnonzero(held))]
        np.testing.assert_array_equal(poisoned.x[clean], own.x[clean])
        # Of the rows that test, the climate is that of training too.
        place = [own.features.names.index(name) for name in ("temp_mean", "temp_normal")]
        np.testing.assert_array_equal(poisoned.x[fold.test][:, place], own.x[fold.test][:, place])
        # The control: with the climate of all months the poison shows.
        assert not np.array_equal(tabulate(absurd, settings).x[clean], table.x[clean])


def test_the_model_that_predicts_takes_years_in_a_row(cube: xr.Dataset, tmp_path: Path) -> None:
    for split, expected in ((YEARS, ("2008-01", "2010-12")), (FORWARD, ("2007-01", "2009-12"))):
        settings = settings_of(split, model={"preset": "linear", "epochs": 2})
        folder = tmp_path / split["kind"]
        fit_bundle(cube, settings, folder, work=tmp_path / "work")
        bundle = Bundle.load(folder)
        assert bundle.features.climate == expected
        assert predict(cube, bundle)["flux"].notnull().any()
        assert fit.learns_the_same(cube, settings, folder, tmp_path / "again")
        tested = cross_validation(folder)[f"{split['kind']}_test"]
        years = tested.dropna("time", how="all")["time"].dt.year.values
        first = 2007 if split is YEARS else 2009
        assert sorted(set(years)) == list(range(first, 2011))


def is_blind(cube: xr.Dataset, split: dict) -> bool:
    """Tell whether absurd temperatures in the last year change only what tests it."""
    absurd = cube.copy(deep=True)
    absurd["temp"][36:] = 7 * absurd["temp"][36:] + 90
    settings = {"model": {"preset": "linear", "epochs": 2}}
    more = {"split": split, "features": HOW, "biome_features": "none", **settings}
    clean, poisoned = (cross_validate(c, ["temp"], **more)["flux"] for c in (cube, absurd))
    return np.array_equal(clean[:36], poisoned[:36], equal_nan=True)


def test_a_year_tested_forward_knows_nothing_of_later_years(
    cube: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_blind(cube, FORWARD)
    monkeypatch.setattr(fit, "own_climate", lambda cube, table, split, folder: (table, split))
    assert not is_blind(cube, FORWARD), "a climate of all months is caught"


def test_rows_without_a_climate_are_in_no_part(cube: xr.Dataset) -> None:
    """A cell has its first values in 2009: folds that learn from earlier years leave it out."""
    gap = cube.copy(deep=True)
    gap["temp"][:24, 2, 3] = np.nan
    settings = settings_of(FORWARD)
    table = tabulate(gap, settings)
    first, *_ = splits_of(settings.split, table, 1)
    cell = 2 * 5 + 3
    assert (table.cell[first.test] == cell).any()
    own, fold = own_climate(gap, table, first)
    assert own.x.shape == table.x.shape
    assert not (table.cell[fold.test] == cell).any()
    assert fold.test.size == (table.cell[first.test] != cell).sum()
    np.testing.assert_array_equal(own.cell, table.cell)
    assert np.isfinite(own.x[fold.test]).all()
    found = cross_validate(
        gap, ["temp"], split=FORWARD, features=HOW, biome_features="none",
        model={"preset": "linear", "epochs": 2},
    )  # fmt: skip
    assert found["flux"][24:, 2, 3].isnull()[:12].all()


def test_the_model_that_predicts_is_judged_on_its_own_rows(
    cube: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell with values in the year that validates alone has no climate, and counts nowhere."""
    gap = cube.copy(deep=True)
    gap["temp"][:36, 2, 3] = np.nan
    settings = settings_of(
        FORWARD, model={"preset": "narcf-25", "epochs": 2, "members": 2, "halves": True}
    )
    table = tabulate(gap, settings)
    cell = 2 * 5 + 3
    assert (table.cell[final_split(splits_of(settings.split, table, 1)).validation] == cell).any()
    seen: dict[str, np.ndarray] = {}
    importance, patterns = diagnostics.permutation_importance, diagnostics.error_patterns

    def of_rows(*args: Any, among: np.ndarray, **more: Any) -> Any:
        seen["importance"] = among
        return importance(*args, among=among, **more)

    def of_split(table: Table, split: Split, *args: Any) -> Any:
        seen["patterns"] = np.concatenate([split.train, split.validation])
        return patterns(table, split, *args)

    monkeypatch.setattr(diagnostics, "permutation_importance", of_rows)
    monkeypatch.setattr(diagnostics, "error_patterns", of_split)
    fit_bundle(gap, settings, tmp_path / "model")
    assert set(seen) == {"importance", "patterns"}
    for rows in seen.values():
        assert rows.size
        assert not (table.cell[rows] == cell).any()


def test_months_of_years_apart_are_runs(cube: xr.Dataset) -> None:
    settings = settings_of(YEARS)
    table = tabulate(cube, settings)
    folds = splits_of(settings.split, table, 1)
    assert [climate_months(table, fold) for fold in folds] == [
        ("2009-01", "2010-12"),
        ("2007-01", "2007-12", "2010-01", "2010-12"),
        ("2007-01", "2008-12"),
        ("2008-01", "2009-12"),
    ]
    assert climate_months(table, final_split(folds)) == ("2008-01", "2010-12")
    with pytest.raises(NarcfError, match="expected the cube of the rows, found none"):
        own_climate(None, table, folds[0])
    blocks = settings_of({"kind": "blocks", "degrees": 2, "folds": 3})
    rows = tabulate(cube, blocks)
    for split in splits_of(blocks.split, rows, 1):
        assert own_climate(None, rows, split)[0] is rows
