"""What a run would do is said before it does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from narcf_geo.core.errors import NarcfError
from narcf_geo.project.project import Project
from narcf_geo.workflow import forecast, run
from narcf_geo.workflow.forecast import Size, require_room

Copy = Callable[[Path], Path]


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def fates(project: Path, *stages: str, force: bool = False) -> dict[str, str]:
    return {f.step: f.does for f in forecast(Project.open(project), *stages, force=force)}


def edit(project: Path, before: str, after: str) -> None:
    path = project / "narcf.yaml"
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")


def test_a_new_project_runs_all_and_nothing_is_written(tiny_inputs: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_inputs)
    before = files(project)
    found = forecast(Project.open(project))
    assert {f.does for f in found} == {"runs"}
    assert {f.why for f in found} == {"never done"}
    assert all(f.cost and f.cost.seconds > 0 and f.cost.memory > 1e8 for f in found)
    assert files(project) == before


def test_it_says_what_the_run_then_does(tiny_run: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_run)
    assert set(fates(project).values()) == {"is up to date"}
    edit(project, "title: ", "title: Another ")
    said = fates(project, "predict")
    does = {r.stage for r in run(project, "predict") if r.seconds is not None}
    assert {n for n, fate in said.items() if fate == "runs"} <= does
    assert does <= {n for n, fate in said.items() if fate != "is up to date"}
    assert said["train"] == "is up to date"
    assert set(fates(project, "predict").values()) == {"is up to date"}


def test_what_follows_a_changed_source_may_run(tiny_run: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_run)
    (project / "regridded" / "ndvi.zarr" / "ndvi" / "zarr.json").unlink()
    found = {f.step: f for f in forecast(Project.open(project), "cube")}
    assert found["regrid ndvi"].does == "runs"
    assert found["regrid ndvi"].why == "changed: regridded/ndvi.zarr"
    assert found["regrid weather"].does == "is up to date"
    assert (found["cube"].does, found["cube"].why) == ("may run", "if regrid gives another result")
    assert fates(project, "cube", force=True)["cube"] == "runs"


def test_the_land_is_that_of_the_biomes_or_about_that(tiny_run: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_run)
    known = Size.of(Project.open(project)).land
    run(project, "biomes", force=True)
    assert Size.of(Project.open(project)).land == known
    for path in (project / "biomes.zarr", project / "manifest.json"):
        path.rename(path.with_name(f"old {path.name}"))
    assert Size.of(Project.open(project)).land == pytest.approx(known, rel=0.5)


def test_what_cannot_fit_is_refused_before_it_starts(
    tiny_inputs: Path, copy_of: Copy, in_process: Callable
) -> None:
    project = copy_of(tiny_inputs)
    require_room(Project.open(project))
    edit(project, "land_cover: ", "resolution: 0.0005\nland_cover: ")
    with pytest.raises(NarcfError, match=r"expected about [\d.]+ GB of (disk|memory)|needs about"):
        require_room(Project.open(project))
    for command in (("run",), ("run", "--dry-run")):
        done = in_process(*command, "-C", project)
        assert done.returncode == 1
        assert "choose a coarser resolution" in " ".join(done.stderr.split())
    assert not (project / "regridded").exists()


def test_the_command_shows_a_table(tiny_run: Path, copy_of: Copy, in_process: Callable) -> None:
    project = copy_of(tiny_run)
    assert "All is up to date." in in_process("run", "-C", project, "--dry-run").stdout
    edit(project, "model: ", "seed: 1\nmodel: ")
    done = in_process("run", "-C", project, "--dry-run")
    assert done.returncode == 0
    assert "changed: seed" in done.stdout
    assert "may run" in done.stdout
    assert "in all; nothing was run." in done.stdout
