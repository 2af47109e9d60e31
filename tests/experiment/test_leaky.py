"""Each leak leaks, on tables made so that it must show; without it nothing does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from narcf_geo.core.months import month_starts
from narcf_geo.experiment.leaky import LeakyTraining, leaky_split, shuffled, zero_for_missing
from narcf_geo.model.baselines import boosting
from narcf_geo.model.ensemble_training import EnsembleTraining
from narcf_geo.model.samples.features import Features
from narcf_geo.model.samples.splits import Split
from narcf_geo.model.samples.table import Cells, Table
from narcf_geo.project.presets import Recipe


def cells(n: int) -> Cells:
    place = np.arange(n)
    return Cells(40.0 + place, -100.0 + place, np.full(n, 1e10), np.full(n, 5))


@pytest.fixture
def table() -> Table:
    """36 months of 30 cells: the flux is a number of the month, which the features tell apart."""
    rng = np.random.default_rng(5)
    month, cell = (a.ravel() for a in np.indices((36, 30)))
    flux = rng.normal(size=36)[month]
    x = np.column_stack([month + 0.01 * rng.normal(size=month.size), rng.normal(size=month.size)])
    return Table(
        features=Features(("a", "b"), ("1", "1"), (), "none"),
        x=x.astype(np.float32),
        y=flux.astype(np.float32),
        month=month,
        cell=cell,
        cells=cells(30),
        time=month_starts("2007-01", "2009-12"),
        missing={},
    )


@pytest.fixture
def split(table: Table) -> Split:
    parts = [np.flatnonzero(np.isin(table.month // 12, year)) for year in range(3)]
    return Split(*parts, apart={"month": table.month})


def r(table: Table, flux: np.ndarray, rows: np.ndarray) -> float:
    return float(np.corrcoef(flux[rows], table.y[rows])[0, 1])


def test_rows_at_random_tell_of_the_months_they_share(table: Table, split: Split) -> None:
    leaky = leaky_split(split, ["random"], 1)
    for part in ("train", "validation", "test"):
        assert getattr(leaky, part).size == getattr(split, part).size
    assert np.intersect1d(leaky.train, leaky.test).size == 0
    assert r(table, boosting(table, leaky, 1), leaky.test) > 0.9
    honest = boosting(table, split, 1)[split.test]
    assert np.std(honest) < 1e-6 or abs(np.corrcoef(honest, table.y[split.test])[0, 1]) < 0.3


def test_the_test_rows_choose_the_epoch(table: Table, split: Split, tmp_path: Path) -> None:
    leaky = leaky_split(split, ["validation"], 1)
    np.testing.assert_array_equal(leaky.validation, split.test)
    np.testing.assert_array_equal(leaky.train, split.train)
    plan = Recipe(hidden=(8,), epochs=12, batch_size=32, learning_rate=0.05)
    errors = {}
    for name, parts in (("honest", split), ("leaky", leaky)):
        fitted = EnsembleTraining(plan, table, tmp_path / name).fit(parts, 3, lambda *_: None)
        flux = fitted.ensemble.estimate(table.x).flux[split.test]
        errors[name] = np.abs(flux - table.y[split.test]).mean()
    assert errors["leaky"] < errors["honest"]


def test_the_scaler_sees_the_test_rows(table: Table, split: Split, tmp_path: Path) -> None:
    plan = Recipe(hidden=(4,), epochs=1, batch_size=32)
    means = {}
    for training in (EnsembleTraining, LeakyTraining):
        directory = tmp_path / training.__name__
        fitted = training(plan, table, directory).fit(split, 3, lambda *_: None)
        means[training] = fitted.ensemble.networks[0].mean[0]
    assert means[EnsembleTraining] == pytest.approx(table.x[split.train, 0].mean(), rel=1e-4)
    assert means[LeakyTraining] == pytest.approx(table.x[:, 0].mean(), rel=1e-4)


def test_missing_becomes_zero() -> None:
    cube = xr.Dataset({"a": ("x", [np.nan, 2.0]), "b": ("x", [np.nan, 1.0])})
    zeros = zero_for_missing(cube, ["a"])
    assert zeros["a"].values.tolist() == [0.0, 2.0]
    assert np.isnan(zeros["b"].values[0])
    assert np.isnan(cube["a"].values[0])


def test_the_control_finds_nothing_unless_a_leak_is_planted(table: Table, split: Split) -> None:
    rng = np.random.default_rng(2)
    month, cell = (a.ravel() for a in np.indices((36, 400)))
    wide = Table(
        features=table.features,
        x=rng.normal(size=(month.size, 2)).astype(np.float32),
        y=rng.normal(size=month.size).astype(np.float32),
        month=month,
        cell=cell,
        cells=cells(400),
        time=table.time,
        missing={},
    )
    control = shuffled(wide, 4)
    assert sorted(control.y) == sorted(wide.y)
    parts = [np.flatnonzero(month // 12 == year) for year in range(3)]
    honest = Split(*parts)
    assert abs(r(control, boosting(control, honest, 1), honest.test)) < 0.05
    planted = Split(honest.test, honest.validation[:0], honest.validation[:0])
    object.__setattr__(planted, "validation", honest.test)
    assert r(control, boosting(control, planted, 1), honest.test) > 0.2


def test_leaky_code_is_used_by_the_experiment_alone() -> None:
    root = Path(__file__).parents[2]
    users = [
        path.relative_to(root).as_posix()
        for folder in ("narcf_geo", "cli")
        for path in (root / folder).rglob("*.py")
        if "leaky" in path.read_text(encoding="utf-8").lower()
    ]
    assert users
    assert all("experiment" in path for path in users)
    assert "bundle" not in json.dumps(
        [
            line
            for path in (root / "narcf_geo/experiment").glob("*.py")
            for line in path.read_text(encoding="utf-8").splitlines()
            if "import" in line
        ]
    )
