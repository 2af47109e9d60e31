"""A training that is killed goes on with the epoch it was at, and ends with the same model."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from tiny_cube import tiny_settings
from tiny_project import SETTINGS, write_project

from narcf_geo.model.bundle import Bundle
from narcf_geo.model.ensemble_training import EnsembleTraining
from narcf_geo.model.fit import fit_bundle, tabulate
from narcf_geo.model.samples.splits import splits_of

MODEL = {"preset": "narcf-25", "epochs": 3, "batch_size": 64, "members": 4}


def weights(directory: Path) -> list[np.ndarray]:
    networks = Bundle.load(directory).ensemble.networks
    return [layer.kernel for network in networks for layer in network.layers]


@pytest.mark.parametrize("keep", ["last", "best"])
@pytest.mark.parametrize("epoch", [1, 5])
def test_only_the_epochs_that_are_not_there_are_trained(
    cube: xr.Dataset, tmp_path: Path, keep: str, epoch: int
) -> None:
    # With all that draws at random.
    model = {**MODEL, "noise": 0.3, "dropout": 0.2, "keep": keep, "patience": 2}
    settings = tiny_settings("temp", model={**model, "epochs": 6})
    fit_bundle(cube, settings, tmp_path / "whole", lambda *_: None)
    seen: list[int] = []

    def stop(done: int, total: int, text: str) -> None:
        seen.append(done)
        if done == min(epoch, last) and seen.count(done) == 1:
            raise KeyboardInterrupt

    last = max(len(h["train"]) for h in Bundle.load(tmp_path / "whole").information["history"])
    with pytest.raises(KeyboardInterrupt):
        fit_bundle(cube, settings, tmp_path / "model", stop, tmp_path / "work")
    fit_bundle(cube, settings, tmp_path / "model", stop, tmp_path / "work")
    assert seen == list(range(1, last + 1))
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "model" / path.name).read_bytes(), path.name


def test_a_damaged_state_costs_time_alone(cube: xr.Dataset, tmp_path: Path) -> None:
    settings = tiny_settings("temp", model=MODEL)
    fit_bundle(cube, settings, tmp_path / "whole", lambda *_: None)

    def stop(done: int, total: int, text: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    for damage in (b"", b"PK", bytes(5000)):
        with pytest.raises(KeyboardInterrupt):
            fit_bundle(cube, settings, tmp_path / "model", stop, tmp_path / "work")
        (state,) = (tmp_path / "work").glob("*.npz")
        state.write_bytes(damage)
    fit_bundle(cube, settings, tmp_path / "model", lambda *_: None, tmp_path / "work")
    for first, second in zip(weights(tmp_path / "whole"), weights(tmp_path / "model"), strict=True):
        np.testing.assert_array_equal(first, second)


def test_another_recipe_other_rows_or_other_data_are_trained_anew(
    cube: xr.Dataset, tmp_path: Path
) -> None:
    def keys(cube: xr.Dataset, **changes: object) -> set[str]:
        settings = tiny_settings("temp", model={**MODEL, **changes})
        table = tabulate(cube, settings)
        training = EnsembleTraining(settings.model.recipe(), table, tmp_path)
        (split,) = splits_of(settings.split, table, 1)
        return {training._key(split, [seed, seed + 1]) for seed in range(3)}

    known = keys(cube)
    assert len(known) == 3
    assert keys(cube) == known
    assert not keys(cube, epochs=4) & known
    assert not keys(cube, members=9) & known
    moved = cube.assign(temp=(cube["temp"] + 1).assign_attrs(cube["temp"].attrs))
    assert not keys(moved) & known


def test_killed_during_an_epoch(tmp_path: Path) -> None:
    project = write_project(tmp_path / "tiny")
    settings = SETTINGS.replace("epochs: 8,", "epochs: 100,").replace("members: 2", "members: 6")
    (project / "narcf.yaml").write_text(settings)
    command = [str(Path(sys.executable).with_name("narcf-geo")), "train", "-C", str(project)]
    work = project / ".narcf" / "training"

    def epochs() -> list[int]:
        found = []
        for path in work.glob("[!.]*.npz"):
            with np.load(path) as file:
                found.append(len(json.loads(file["arr_0"].tobytes())["train"][0]))
        return found

    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not epochs() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (kept,) = epochs()
    assert 1 <= kept < 100
    assert not (project / "model").exists()

    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, **streams, text=True)
    seen: set[int] = set()
    while process.poll() is None:
        with suppress(FileNotFoundError):
            seen.update(epochs())
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert errors == ""  # TensorFlow keeps its own notes to itself
    # What was finished was not trained again.
    assert min(seen) >= kept
    bundle = Bundle.load(project / "model")
    assert len(bundle.ensemble.networks) == 6
    assert not work.exists()
    assert not [p for p in project.rglob("*partial*") if p.exists()]
