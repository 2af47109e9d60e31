"""A training that is killed goes on with the member it was at, and ends with the same model."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from tiny_cube import tiny_settings
from tiny_project import SETTINGS, write_project

from narcf_geo.model.bundle import Bundle
from narcf_geo.model.ensemble_training import EnsembleTraining
from narcf_geo.model.fit import fit_bundle, tabulate
from narcf_geo.model.network.training import Fit, Trainer
from narcf_geo.model.samples.splits import splits_of

MODEL = {"preset": "narcf-25", "epochs": 3, "batch_size": 64, "members": 4}


def weights(directory: Path) -> list[np.ndarray]:
    networks = Bundle.load(directory).ensemble.networks
    return [layer.kernel for network in networks for layer in network.layers]


def test_only_the_members_that_are_not_there_are_trained(
    cube: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With all that draws at random.
    settings = tiny_settings("temp", model={**MODEL, "noise": 0.3, "dropout": 0.2})
    fit_bundle(cube, settings, tmp_path / "whole", lambda *_: None)
    seeds: list[int] = []
    learn = Trainer.fit

    def until_the_third(
        self: Trainer, train: np.ndarray, validation: np.ndarray, seed: int, *rest: object
    ) -> Fit:
        seeds.append(seed)
        if len(seeds) == 3:
            raise KeyboardInterrupt
        return learn(self, train, validation, seed, *rest)

    monkeypatch.setattr(Trainer, "fit", until_the_third)
    with pytest.raises(KeyboardInterrupt):
        fit_bundle(cube, settings, tmp_path / "model", lambda *_: None, tmp_path / "work")
    fit_bundle(cube, settings, tmp_path / "model", lambda *_: None, tmp_path / "work")
    first = settings.seed
    assert seeds == [first, first + 1, first + 2, first + 2, first + 3]
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "model" / path.name).read_bytes(), path.name


def test_another_recipe_other_rows_or_other_data_are_trained_anew(
    cube: xr.Dataset, tmp_path: Path
) -> None:
    def keys(cube: xr.Dataset, **changes: object) -> set[str]:
        settings = tiny_settings("temp", model={**MODEL, **changes})
        table = tabulate(cube, settings)
        training = EnsembleTraining(settings.model.recipe(), table, tmp_path)
        (split,) = splits_of(settings.split, table, 1)
        return {training._key(split, seed) for seed in range(3)}

    known = keys(cube)
    assert len(known) == 3
    assert keys(cube, members=9) == known
    assert not keys(cube, epochs=4) & known
    moved = cube.assign(temp=(cube["temp"] + 1).assign_attrs(cube["temp"].attrs))
    assert not keys(moved) & known


def test_killed_during_a_member(tmp_path: Path) -> None:
    project = write_project(tmp_path / "tiny")
    settings = SETTINGS.replace("epochs: 8,", "epochs: 60, members: 5,")
    (project / "narcf.yaml").write_text(settings)
    command = [str(Path(sys.executable).with_name("narcf-geo")), "train", "-C", str(project)]
    work = project / ".narcf" / "training"

    def finished() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in work.glob("[!.]*.keras")}

    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while len(finished()) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = finished()
    assert 2 <= len(kept) < 5
    assert not (project / "model").exists()

    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, **streams, text=True)
    while len(finished()) < len(kept) + 1 and process.poll() is None:
        time.sleep(0.02)
    now = finished()
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert errors == ""  # TensorFlow keeps its own notes to itself
    # What was finished was not trained again.
    assert kept.items() <= now.items()
    bundle = Bundle.load(project / "model")
    assert len(bundle.ensemble.networks) == 5
    assert not work.exists()
    assert not [p for p in project.rglob("*partial*") if p.exists()]
