"""Killed at random times, run again: the same bytes, nothing finished done twice, nothing left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from narcf_geo.prediction import predict_file

CHUNK = (3, 20, 24)
N_CHUNKS = 9 * 3 * 3

_COMMAND = f"""
import sys
from narcf_geo.core import layout
layout.CHUNK = {CHUNK}
from narcf_geo.cli import main
sys.argv = ["narcf-geo", "predict", *sys.argv[1:]]
main()
"""


class Run:
    """``narcf-geo predict`` in a process of its own, and what it has finished so far."""

    def __init__(self, source: Path, out: Path, model: Path, *options: str) -> None:
        self.out, self.state = out, out.with_name(f".{out.name}")
        command = [sys.executable, "-c", _COMMAND, source, out, "--model", model, *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def finished(self) -> set[str]:
        """Return the chunks said to be finished, as a path in the store."""
        marks = self.state.glob("*/done/*-*")
        return {mark.name.partition("-")[0].replace(".", "/") for mark in marks}

    def stamps(self) -> dict[str, int]:
        """Return when each finished chunk was written; one of sea alone has no file."""
        found = {}
        for chunk in self.finished():
            for path in self.state.glob(f"*/store.zarr/*/c/{chunk}"):
                found["/".join(path.parts[-5:])] = path.stat().st_mtime_ns
        return found

    def wait_until(self, finished: int) -> bool:
        """Wait for so many chunks; tell whether the process still runs."""
        while self.process.poll() is None and len(self.finished()) < finished:
            time.sleep(0.002)
        return self.process.poll() is None

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]

    def kill(self) -> None:
        workers = self.workers()
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()
        _, alive = psutil.wait_procs(workers, timeout=30)
        assert not alive  # a worker does not outlive who started it

    def end(self) -> None:
        _, errors = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, errors


@pytest.fixture(scope="module")
def reference(
    fine_cube: object, bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The cube on disk, and its prediction by a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("reference")
    chunks = {"time": 5, "lat": 22, "lon": 70, "igbp_class": 18}
    fine_cube.chunk(chunks).drop_encoding().to_zarr(  # type: ignore[attr-defined]
        folder / "cube.zarr", consolidated=False
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("narcf_geo.core.layout.CHUNK", CHUNK)
        predict_file(folder / "cube.zarr", folder / "out.zarr", bundle_folder)
    return folder / "cube.zarr", folder / "out.zarr"


def disturb(
    reference: tuple[Path, Path],
    model: Path,
    out: Path,
    contents: Callable,
    ways: list[str],
    seed: int,
) -> None:
    """Run until all is finished, and kill the main process or a worker once for each of `ways`."""
    rng = random.Random(seed)
    source, expected = reference
    stamps: dict[str, int] = {}
    for number, way in enumerate(ways):
        run = Run(source, out, model, *(["--workers", "2"] if "worker" in way else []))
        # From the first moment to the last: before the first chunk, and when all are there.
        target = rng.randint(0, N_CHUNKS * (number + 1) // len(ways))
        alive = run.wait_until(target)
        time.sleep(rng.uniform(0, 0.05))
        if way == "a worker" and alive and (workers := run.workers()):
            rng.choice(workers).kill()
            run.wait_until(min(N_CHUNKS, target + 10))
        stamps |= run.stamps()
        run.kill()
    before = len(Run.finished(run))
    last = Run(source, out, model)
    last.end()
    assert contents(out) == contents(expected)
    again = {name: (out / name).stat().st_mtime_ns for name in stamps}
    assert stamps
    assert again == stamps  # what was finished was not written again
    assert [path.name for path in last.state.iterdir()] == ["record.json"]
    assert {path.name for path in out.parent.iterdir()} == {out.name, last.state.name}
    assert before or len(ways) < 3


def test_killed_and_run_again(
    reference: tuple, bundle_folder: Path, tmp_path: Path, contents: Callable
) -> None:
    disturb(reference, bundle_folder, tmp_path / "out.zarr", contents, ["threads"] * 2, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["threads", "main of workers", "a worker"])
def test_killed_twenty_times(
    way: str, reference: tuple, bundle_folder: Path, tmp_path: Path, contents: Callable
) -> None:
    disturb(reference, bundle_folder, tmp_path / "out.zarr", contents, [way] * 20, seed=2)


@pytest.mark.slow
def test_workers_killed_again_and_again_in_one_run(
    reference: tuple, bundle_folder: Path, tmp_path: Path, contents: Callable
) -> None:
    source, expected = reference
    run = Run(source, tmp_path / "out.zarr", bundle_folder, "--workers", "2")
    rng = random.Random(3)
    killed = 0
    for target in sorted(rng.sample(range(1, N_CHUNKS - 20), 6)):
        if run.wait_until(target) and (workers := run.workers()):
            os.kill(rng.choice(workers).pid, signal.SIGKILL)
            killed += 1
    run.end()
    assert killed >= 3
    assert contents(tmp_path / "out.zarr") == contents(expected)
