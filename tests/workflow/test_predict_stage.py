"""The stage ``predict``: resumed within, attributes, force; and one process at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.lock import hold
from narcf_geo.project.project import Project
from narcf_geo.workflow import run

Copy = Callable[[Path], Path]


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class Stopped(Exception):
    pass


def test_a_stopped_stage_goes_on(tiny_run: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_run)
    seen: list[int] = []

    def stop(done: int, total: int, text: str) -> None:
        if "chunks" in text and done:
            raise Stopped

    # Small regions: one chunk, the first of three, is finished.
    with pytest.raises(Stopped):
        run(Project.open(project), "predict", force=True, progress=stop)
    assert files(project / "prediction.zarr") == files(tiny_run / "prediction.zarr")
    assert (project / ".narcf" / "prediction").exists()

    def watch(done: int, total: int, text: str) -> None:
        if "chunks" in text:
            seen.append(done)

    results = {r.stage: r for r in run(Project.open(project), "predict", progress=watch)}
    assert results["predict"].seconds is not None
    assert seen[0] > 0
    assert seen[-1] == 3
    assert files(project / "prediction.zarr") == files(tiny_run / "prediction.zarr")
    left = [path.name for path in (project / ".narcf" / "prediction").iterdir()]
    assert left == ["record.json"]


def test_title_and_license_are_of_the_settings(tiny_run: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_run)
    settings = project / "narcf.yaml"
    text = settings.read_text()

    def attrs() -> dict[str, str]:
        calls: list[str] = []
        run(Project.open(project), "predict", progress=lambda d, t, text: calls.append(text))
        assert not [call for call in calls if "chunks" in call]  # nothing is predicted again
        return xr.open_zarr(project / "prediction.zarr", consolidated=False).attrs

    said = {"license": "CC-BY-4.0", "institution": "An institute", "creator": "A. Author"}
    said |= {"summary": "What it is.", "doi": "10.5281/zenodo.1"}
    settings.write_text(text + "".join(f"\n{name}: {value}" for name, value in said.items()))
    found = attrs()
    assert [
        found[name] for name in ("license", "institution", "creator_name", "summary", "doi")
    ] == [*said.values()]
    assert attrs()["title"] == "A tiny region"
    settings.write_text(text)
    assert not {"license", "institution", "doi"} & attrs().keys()
    assert files(project / "prediction.zarr") == files(tiny_run / "prediction.zarr")


def test_two_processes_on_one_project(tiny_run: Path, copy_of: Copy, in_process: Callable) -> None:
    project = copy_of(tiny_run)
    lock = project / ".narcf" / "lock"
    code = f"""
import sys, time
from pathlib import Path
from narcf_geo.core.lock import hold
with hold(Path({str(lock)!r}), "the project"):
    print("held", flush=True)
    time.sleep(600)
"""
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    for command in ("run", "predict"):
        done = in_process(command, "-C", project)
        assert done.returncode == 1
        assert f"the project {project} is in use by process {other.pid} on " in done.stderr
        assert "wait until it has ended, or stop it" in done.stderr
    # What a killed process leaves keeps nobody out.
    other.send_signal(signal.SIGKILL)
    other.communicate()
    assert lock.exists()
    assert in_process("run", "-C", project).returncode == 0
    assert not lock.exists()


def test_the_lock_is_free_after_an_error(tiny_run: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_run)
    (project / "data" / "ndvi.nc").write_bytes(b"no data")
    with pytest.raises(NarcfError, match=r"ndvi\.nc"):
        run(Project.open(project), "predict", force=True)
    with hold(project / ".narcf" / "lock", "the project"):
        pass
