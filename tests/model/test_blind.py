"""Nothing that is fitted sees what tests it; a leak planted in any place is caught."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from tiny_cube import tiny_settings

from narcf_geo.model import fit
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.ensemble_training import EnsembleTraining
from narcf_geo.model.fit import fit_bundle
from narcf_geo.model.network.training import Trainer
from narcf_geo.model.samples.splits import Split
from narcf_geo.project.settings import Settings

MODEL = {"preset": "narcf-25", "epochs": 4, "batch_size": 64, "members": 1, "unbiased": True}
FITTED = ("noise", "calibration", "training_range", "history", "samples")


def fitted(cube: xr.Dataset, directory: Path, settings: Settings) -> dict[str, Any]:
    """Return all that a training gives: weights, normalisation, calibration, best epoch."""
    fit_bundle(cube, settings, directory, lambda *_: None)
    bundle = Bundle.load(directory)
    found = {key: bundle.information[key] for key in FITTED}
    for number, layer in enumerate(bundle.ensemble.networks[0].layers):
        found[f"kernel {number}"], found[f"bias {number}"] = layer.kernel, layer.bias
    found["mean"] = bundle.ensemble.networks[0].mean
    return found


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Tell whether two trainings gave just the same."""
    return all(
        np.array_equal(a, b) if isinstance(a, np.ndarray) else json.dumps(a) == json.dumps(b)
        for a, b in zip(first.values(), second.values(), strict=True)
    )


def poisoned(cube: xr.Dataset, start: str, end: str) -> xr.Dataset:
    """Return the cube with absurd predictors and target from `start` to `end`."""
    inside = (cube["time"] >= np.datetime64(start)) & (cube["time"] <= np.datetime64(end))
    names = ("temp", "sif", "flux_target")
    return cube.assign({n: cube[n].where(~inside, 7 * cube[n] + 90) for n in names})


@pytest.fixture
def settings() -> Settings:
    return tiny_settings("temp", "sif", missing="mask", model=MODEL)


def is_blind(cube: xr.Dataset, settings: Settings, folder: Path) -> bool:
    """Tell whether absurd values in the test months change nothing of what is fitted."""
    absurd = poisoned(cube, "2008-07", "2008-12-31")
    return same(fitted(cube, folder / "a", settings), fitted(absurd, folder / "b", settings))


def test_nothing_fitted_sees_the_test_months(
    cube: xr.Dataset, settings: Settings, tmp_path: Path
) -> None:
    assert is_blind(cube, settings, tmp_path)


def test_weights_do_not_see_the_validation_months_where_the_last_are_kept(
    cube: xr.Dataset, tmp_path: Path
) -> None:
    settings = tiny_settings("temp", "sif", missing="mask", model={**MODEL, "keep": "last"})
    absurd = poisoned(cube, "2008-01", "2008-06-30")
    first, second = (fitted(c, tmp_path / n, settings) for c, n in ((cube, "a"), (absurd, "b")))
    assert not same(first, second)
    for key in ("noise", "calibration", "history"):
        first.pop(key), second.pop(key)
    assert same(first, second)


def leak_into_normalisation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        EnsembleTraining, "normalisation_rows", lambda self, split: np.arange(self.table.y.size)
    )


def leak_into_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    remove = Trainer._remove_bias
    monkeypatch.setattr(
        Trainer,
        "_remove_bias",
        lambda self, members, table, rows, own: remove(
            self,
            members,
            table,
            *(lambda every: (every, [every] * len(own)))(np.arange(len(self._x))),
        ),
    )


def leak_into_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    learn = Trainer.fit
    monkeypatch.setattr(
        Trainer,
        "fit",
        lambda self, train, *rest: learn(self, np.arange(len(self._x)), *rest),
    )


def leak_into_early_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    work = EnsembleTraining.fit

    def on_test(self: EnsembleTraining, split: Split, seed: int, progress: Any) -> Any:
        return work(
            self, replace(split, validation=split.test, test=split.validation), seed, progress
        )

    monkeypatch.setattr(EnsembleTraining, "fit", on_test)


def leak_into_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    of = fit.splits_of

    def on_test(*args: Any) -> list[Split]:
        (split,) = of(*args)
        return [replace(split, validation=split.test, test=split.validation)]

    monkeypatch.setattr(fit, "splits_of", on_test)


@pytest.mark.parametrize(
    "plant",
    [
        leak_into_normalisation,
        leak_into_bias,
        leak_into_weights,
        leak_into_early_stopping,
        leak_into_calibration,
    ],
)
def test_a_planted_leak_is_caught(
    plant: Any,
    cube: xr.Dataset,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch)
    assert not is_blind(cube, settings, tmp_path)
