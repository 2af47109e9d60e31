"""What is done again, and what is not: by content, not by times, names or words."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import xarray as xr
from pydantic import BaseModel
from shapely.geometry import box

from narcf_geo.core.provenance import VERSION
from narcf_geo.project.project import Project, open_prediction
from narcf_geo.project.settings import Settings
from narcf_geo.workflow import STAGES, plan, run
from narcf_geo.workflow.state import State

Copy = Callable[[Path], Path]


def edit(project: Path, before: str, after: str, name: str = "narcf.yaml") -> None:
    path = project / name
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def ran(project: Path, *stages: str) -> dict[str, str]:
    """Return the stages that were not up to date, and why."""
    done = run(Project.open(project), *stages)
    return {r.stage: r.why for r in done if r.seconds is not None}


def stale(project: Path) -> set[str]:
    """Return the steps that are not up to date, as their inputs are now."""
    opened = Project.open(project)
    state = State.open(opened)
    return {
        step.name
        for stage in STAGES.values()
        for step in stage.steps(opened)
        if state.changes(stage, step, state.inputs(stage, step)) is not None or state.damage(step)
    }


def change(file: Path, by: Callable[[xr.Dataset], xr.Dataset]) -> None:
    ds = by(xr.load_dataset(file)).drop_encoding()
    file.unlink()
    ds.to_netcdf(file)


def test_a_copy_with_other_times_in_another_place_is_up_to_date(
    tiny_run: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "project.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in tiny_run.rglob("*"):
            # As an archive of what can be seen, without .narcf.
            if not path.relative_to(tiny_run).parts[0].startswith("."):
                zipped.write(path, path.relative_to(tiny_run))
    copy = tmp_path / "far" / "away" / "copy"
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(copy)
    manifest = (copy / "manifest.json").read_bytes()
    assert ran(copy) == {}
    assert (copy / "manifest.json").read_bytes() == manifest
    # The control: one byte more in a source.
    with (copy / "data" / "NEE_2009.nc").open("ab") as file:
        file.write(b"\0")
    assert stale(copy) == {"regrid fluxcom"}


def test_another_content_of_the_same_size_and_time_is_seen(tiny_run: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_run)
    assert stale(project) == set()
    raster = project / "data" / "igbp.tif"
    times, content = raster.stat(), bytearray(raster.read_bytes())
    content[-1] ^= 1
    raster.write_bytes(content)
    os.utime(raster, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert stale(project) == {"biomes"}


def test_one_changed_source_is_regridded_alone_and_reasons_are_said(
    tiny_run: Path, copy_of: Copy, in_process: Callable
) -> None:
    project = copy_of(tiny_run)
    before = {p.name: p.stat().st_mtime_ns for p in (project / "regridded").iterdir()}
    change(project / "data" / "ndvi.nc", lambda ds: ds * 0.9)
    shown = in_process("regrid", "-C", project).stdout
    assert "(changed: data/ndvi.nc)" in shown
    after = {p.name: p.stat().st_mtime_ns for p in (project / "regridded").iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"ndvi.zarr"}
    assert "cube" in stale(project)


def test_an_input_written_again_with_the_same_content_changes_nothing(
    tiny_run: Path, copy_of: Copy
) -> None:
    project = copy_of(tiny_run)
    for file in (project / "data").iterdir():
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content)
    assert ran(project) == {}


def test_what_comes_out_the_same_is_read_by_nobody_again(tiny_run: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_run)
    # Bytes that no reader looks at: the stage is done again, those after it are not.
    with (project / "data" / "NEE_2009.nc").open("ab") as file:
        file.write(b"\0" * 8)
    assert set(ran(project)) == {"regrid"}


@pytest.mark.parametrize(
    ("name", "before", "after", "expected"),
    [
        ("narcf.yaml", "source: igbp}", "source: igbp, min_land: 0.6}", {"biomes", "report"}),
        ("narcf.yaml", "epochs: 8", "epochs: 3", {"train"}),
        ("narcf.yaml", "[ndvi]", "[ndvi]\nbiome_features: majority", {"train", "report"}),
        ("narcf.yaml", "end: 2009-12}\nland", "end: 2009-12} # why\nland", set()),
        ("narcf.yaml", "title: A tiny", "title: Another", {"predict", "report"}),
        ("narcf.yaml", "title:", "license: CC0\ntitle:", {"predict"}),
        ("narcf.yaml", "title:", "creator: A. Author\ntitle:", {"predict"}),
        ("narcf.yaml", "source: fluxcom}", "source: fluxcom, label: F}", {"cube", "report"}),
        ("narcf.yaml", "name: Tiny", "name: Small", {"biomes", "cube", "evaluate", "report"}),
        ("data_catalog.yaml", "A climatology of NDVI", "NDVI", {"report"}),
        ("data_catalog.yaml", "climatology: true,", "climatology: true, doi: 10.1/x,",
         {"cube", "report"}),
        ("data_catalog.yaml", "climatology: true,", "climatology: true, url: 'http://a.b/c',",
         set()),
        ("data_catalog.yaml", "sign: uptake", "sign: to_atmosphere", {"regrid inversion"}),
    ],
)  # fmt: skip
def test_a_setting_makes_stale_what_reads_it(
    tiny_run: Path, copy_of: Copy, name: str, before: str, after: str, expected: set[str]
) -> None:
    project = copy_of(tiny_run)
    edit(project, before, after, name)
    assert stale(project) == expected


def test_labels_and_citations_train_nothing(tiny_run: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_run)
    edit(project, "source: inversion}", "source: inversion, label: The inversion}")
    edit(project, "name: Tiny", "name: Small")
    edit(
        project, "sign: uptake", "sign: uptake\n      citation: Someone (2001)", "data_catalog.yaml"
    )
    assert set(ran(project, "train")) == {"biomes", "cube"}
    product = xr.open_zarr(project / "cube.zarr", consolidated=False)["flux_target"].attrs
    assert product["product"] == "The inversion"
    # The control: a value of the cube.
    change(project / "data" / "inversion.nc", lambda ds: ds * 1.01)
    assert set(ran(project, "cube")) == {"regrid", "cube"}
    assert "train" in stale(project)


@pytest.mark.slow
def test_settings_that_a_step_reads_are_known_to_it(
    tiny_inputs: Path, copy_of: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_of(tiny_inputs)
    edit(project, "epochs: 8", "epochs: 1")
    read: set[str] = set()
    get = BaseModel.__getattribute__

    def watched(self: Settings, name: str) -> Any:
        if name in Settings.model_fields:
            read.add(name)
        return get(self, name)

    # Where files are, and what is written into a model beside its training.
    beside = {"catalog", "catalog_parameters", "regions", "land_cover", "predictors"}
    found = {}
    opened = Project.open(project)
    for stage in STAGES.values():
        for step in stage.steps(opened):
            inputs = State.open(opened).inputs(stage, step)
            with monkeypatch.context() as patch:
                patch.setattr(Settings, "__getattribute__", watched)
                read.clear()
                paths = step.run(opened, lambda *a: None, plan.Options())
            State.open(opened).record(stage, step, inputs, paths, 0)
            known = set(step.options) | beside
            if stage.name == "regrid":
                known |= {"target", "reference", "truth", "split"}  # of which each knows its part
            if stage.name == "train":
                found[step.name] = read - known - {"period"}  # bounds the split when it is read
                continue
            found[step.name] = read - known
    assert found == {name: set() for name in found}
    assert len(found) == 11


def test_polygons_and_their_side_files_are_read(tiny_run: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_run)

    def write(name: str) -> None:
        shape = [box(-99, 41, -95, 49)]
        table = geopandas.GeoDataFrame({"name": [name]}, geometry=shape, crs=4326)
        table.to_file(project / "parts.shp")

    write("west")
    edit(project, "title:", "regions: parts.shp\ntitle:")
    assert {"predict", "evaluate", "report"} <= stale(project)
    run(Project.open(project), "predict")
    assert "predict" not in stale(project)
    shapes = (project / "parts.shp").read_bytes()
    write("left")  # only the table beside the shapes has changed
    assert (project / "parts.shp").read_bytes() == shapes
    assert "predict" in stale(project)


def test_a_store_rewritten_in_place_is_read_again(tiny_inputs: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_inputs)
    file = project / "data" / "weather.nc"
    ds = xr.load_dataset(file).drop_encoding()
    ds.to_zarr(file.with_suffix(".zarr"), zarr_format=2, consolidated=True)
    edit(project, "netcdf\n    args: {urlpath: \"{{ data }}/weather.nc\"}",
         "zarr\n    args: {urlpath: \"{{ data }}/weather.zarr\"}", "data_catalog.yaml")  # fmt: skip
    assert set(ran(project, "regrid")) == {"regrid"}
    assert ran(project, "regrid") == {}
    warmer = (ds[["air"]] + 10).drop_vars(["time", "lat", "lon"])
    warmer.to_zarr(file.with_suffix(".zarr"), mode="r+")
    assert stale(project) >= {"regrid weather"}
    assert "regrid ndvi" not in stale(project)


def test_another_version_does_again_only_what_it_writes_otherwise(
    tiny_run: Path, copy_of: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_of(tiny_run)
    edit(project, f'"narcf-geo": "{VERSION}"', '"narcf-geo": "0.0.9"', "manifest.json")
    assert stale(project) == set()
    map_stage = STAGES["map"]
    monkeypatch.setitem(STAGES, "map", replace(map_stage, format=map_stage.format + 1))
    assert ran(project) == {"map": "of an earlier version"}


@pytest.mark.parametrize(
    "damage",
    [b"[]", b"{", b"\x00\xff\xfe", b'{"manifest": 1, "steps": []}', b'{"manifest": 9}', b""],
)
def test_a_damaged_manifest_begins_anew_and_says_so(
    tiny_inputs: Path, copy_of: Copy, in_process: Callable, damage: bytes
) -> None:
    project = copy_of(tiny_inputs)
    assert in_process("biomes", "-C", project).returncode == 0
    (project / "manifest.json").write_bytes(damage)
    done = in_process("biomes", "-C", project)
    assert done.returncode == 0, done.stderr
    assert "manifest.json: expected the record of what was done" in done.stdout
    assert "all is done anew" in done.stdout
    assert in_process("biomes", "-C", project).stdout.count("up to date") == 1


@pytest.mark.parametrize("damage", [b"[]", b"{", b'{"data/igbp.tif": 3}', b"\xff", b"[" * 100000])
def test_damaged_hashes_cost_time_alone(tiny_run: Path, copy_of: Copy, damage: bytes) -> None:
    project = copy_of(tiny_run)
    (project / ".narcf" / "hashes.json").write_bytes(damage)
    assert stale(project) == set()
    assert ran(project, "biomes") == {}
    known = json.loads((project / ".narcf" / "hashes.json").read_text())
    assert len(known["data/igbp.tif"][1]) == 64


def test_a_manifest_cannot_name_files_of_others(tiny_run: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_run)
    other = project.parent / "other.png"
    other.write_bytes(b"mine")
    for name in (
        "../other.png",
        "/other.png",
        "data/ndvi.nc",
        "narcf.yaml",
        "maps/../../other.png",
    ):
        text = (tiny_run / "manifest.json").read_text()
        (project / "manifest.json").write_text(text.replace('"maps/biomes.png"', f'"{name}"', 1))
        assert State.open(Project.open(project)).manifest.steps == {}
    assert other.exists()


def test_lost_chunks_and_changed_bytes_are_made_again(tiny_run: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_run)
    whole = {p: p.read_bytes() for p in (project / "cube.zarr").rglob("*") if p.is_file()}
    (project / "cube.zarr" / "temp" / "c" / "1" / "0" / "0").unlink()
    assert ran(project) == {"cube": "changed: cube.zarr"}
    assert {p: p.read_bytes() for p in whole} == whole
    shutil.copy(project / "maps" / "biomes.png", project / "maps" / "trend.png")
    assert ran(project) == {"map": "changed: maps/trend.png"}
    assert np.isfinite(xr.open_zarr(project / "cube.zarr", consolidated=False)["temp"]).all()


def test_months_that_are_added_train_nothing_again(tiny_run: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_run)
    edit(project, "end: 2009-12}\nland", "end: 2009-11}\nland")
    edit(project, "test: {start: 2009-01, end: 2009-12}", "test: {start: 2009-01, end: 2009-10}")
    assert "train" in ran(project, "predict")
    model = {p.name: p.read_bytes() for p in (project / "model").iterdir()}
    edit(project, "end: 2009-11}\nland", "end: 2009-12}\nland")
    assert set(ran(project, "predict")) == {"regrid", "cube", "predict"}
    assert {p.name: p.read_bytes() for p in (project / "model").iterdir()} == model
    assert open_prediction(project).sizes["time"] == 36
    assert ran(project, "predict") == {}
    # What it learned from has changed: months before the last of the split.
    change(project / "data" / "ndvi.nc", lambda ds: ds * 0.9)
    assert "train" in ran(project, "train")
