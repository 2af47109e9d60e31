"""Running from Python: the work is done, results come back, and nobody is locked out."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr

from narcf_geo.core.datasets import open_zarr
from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.lock import hold
from narcf_geo.project.project import Project
from narcf_geo.workflow import Result, iter_run, locked, run

Copy = Callable[[Path], Path]


@pytest.fixture
def project(tiny_inputs: Path, copy_of: Copy) -> Path:
    return copy_of(tiny_inputs)


def refused_elsewhere(project: Path) -> bool:
    """Tell whether another process is kept out."""
    code = f"from narcf_geo.workflow import run; run({str(project)!r}, 'biomes')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "is in use by process" in done.stderr
    return done.returncode != 0


def test_run_does_the_work_and_returns_results(project: Path) -> None:
    results = run(str(project), "biomes")
    assert isinstance(results, list)
    (result,) = results
    assert (result.stage, result.outputs) == ("biomes", [project / "biomes.zarr"])
    assert result.seconds is not None
    assert (project / "biomes.zarr").exists()
    assert run(Project.open(project), "biomes") == [Result("biomes", None, result.outputs)]
    (again,) = run(project, "biomes", force=True)
    assert again.seconds is not None
    with pytest.raises(UsageError, match="no stage biome; there are: regrid"):
        run(project, "biome")


def test_an_iterator_does_nothing_before_it_is_asked(project: Path) -> None:
    stages = iter_run(project, "cube")
    assert not (project / "regridded").exists()
    assert next(stages).stage == "regrid"
    assert (project / "regridded").exists()
    assert not (project / "biomes.zarr").exists()


def test_an_iterator_left_alone_locks_nobody_out(project: Path) -> None:
    stages = iter_run(project, "cube")
    next(stages)  # held, not closed
    assert not (project / ".narcf" / "lock").exists()
    assert [result.stage for result in run(project, "biomes")] == ["biomes"]
    assert not refused_elsewhere(project)
    # It goes on, and finds what was done meanwhile.
    rest = {result.stage: result.seconds for result in stages}
    assert rest["biomes"] is None
    assert rest["cube"] is not None


def test_others_are_kept_out_of_a_locked_loop(project: Path) -> None:
    opened = Project.open(project)
    with locked(opened):
        for _ in iter_run(opened, "biomes"):
            assert refused_elsewhere(project)
            run(opened, "biomes")  # the same thread may
    assert not refused_elsewhere(project)


def test_another_thread_is_kept_out_and_told(project: Path) -> None:
    opened, errors = Project.open(project), []

    def other() -> None:
        try:
            run(opened, "biomes")
        except NarcfError as error:
            errors.append(str(error))

    with locked(opened):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(errors) == 1
    assert "which is this process" in errors[0]
    other()
    assert len(errors) == 1


def test_a_lock_is_reentrant_only_where_it_says_so(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with hold(lock, "it"):
        with hold(lock, "it", reentrant=True):
            assert lock.exists()
        assert lock.exists()
        with pytest.raises(NarcfError, match="in use"), hold(lock, "it"):
            pass
    assert not lock.exists()
    with pytest.raises(ZeroDivisionError), hold(lock, "it"), hold(lock, "it", reentrant=True):
        _ = 1 / 0
    with hold(lock, "it"):
        pass


def test_covered_fractions_are_kept_when_they_are_asked_for(project: Path) -> None:
    run(project, "regrid")
    plain = open_zarr(project / "regridded" / "ndvi.zarr", "regrid")
    assert set(plain.data_vars) == {"ndvi"}
    with (project / "narcf.yaml").open("a", encoding="utf-8") as file:
        file.write("\nvalid_fraction: true\n")
    run(project, "regrid")
    both = open_zarr(project / "regridded" / "ndvi.zarr", "regrid")
    assert set(both.data_vars) == {"ndvi", "ndvi_valid_fraction"}
    xr.testing.assert_equal(both["ndvi"].load(), plain["ndvi"].load())
    covered = both["ndvi_valid_fraction"].load()
    assert float(covered.min()) >= 0
    assert float(covered.max()) <= 1 + 1e-6
    assert (both["ndvi"].notnull() == (covered >= 0.5)).all()


def test_a_land_cover_source_without_land_cover(project: Path) -> None:
    settings = project / "narcf.yaml"
    text = settings.read_text()
    settings.write_text(text.replace("source: igbp", "source: ndvi"))
    with pytest.raises(NarcfError, match=r"source 'ndvi': expected land_cover, found ndvi"):
        run(project, "biomes")


def test_workers_write_the_same_bytes(project: Path, tiny_run: Path) -> None:
    def written(folder: Path) -> dict[str, bytes]:
        stores = ("regridded", "biomes.zarr", "cube.zarr")
        files = (p for name in stores for p in (folder / name).rglob("*") if p.is_file())
        return {str(p.relative_to(folder)): p.read_bytes() for p in files}

    run(project, "cube", workers=2)
    assert written(project) == written(tiny_run)
