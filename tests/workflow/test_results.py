"""The commands ``verify`` and ``clean``, and what ``manifest.json`` says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from narcf_geo.core.datasets import open_zarr
from narcf_geo.core.errors import NarcfError
from narcf_geo.project.project import Project
from narcf_geo.workflow import run
from narcf_geo.workflow.verify import verify

Copy = Callable[[Path], Path]


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)


def test_the_manifest_says_what_was_read_and_written(tiny_run: Path) -> None:
    manifest = json.loads((tiny_run / "manifest.json").read_text(encoding="utf-8"))
    steps = manifest["steps"]
    assert list(steps) == [
        *(f"regrid {name}" for name in ("weather", "ndvi", "inversion", "fluxcom")),
        *("biomes", "cube", "train", "predict", "evaluate", "map", "report"),
    ]
    step = steps["regrid fluxcom"]
    assert list(step["inputs"]) == ["data/NEE_2008.nc", "data/NEE_2009.nc"]
    file = (tiny_run / "data" / "NEE_2008.nc").read_bytes()
    said = step["inputs"]["data/NEE_2008.nc"]
    assert said == {"sha256": hashlib.sha256(file).hexdigest(), "bytes": len(file)}
    assert step["options"]["source"]["variables"] == {"flux": {"name": "NEE"}} or "NEE" in str(step)
    assert step["seconds"] > 0
    assert step["versions"]["narcf-geo"]
    assert step["made"].endswith("Z")
    chunk = (tiny_run / "cube.zarr" / "temp" / "c" / "1" / "0" / "0").read_bytes()
    listed = steps["cube"]["outputs"]["cube.zarr"]["files"]
    assert listed["temp/c/1/0/0"] == hashlib.sha256(chunk).hexdigest()
    written = {path for s in steps.values() for path in s["outputs"]}
    assert {"prediction.zarr", "products/flux.nc", "report/index.html", "model"} <= written


def test_verify_names_every_file_that_differs(
    tiny_run: Path, copy_of: Copy, in_process: Callable
) -> None:
    project = copy_of(tiny_run)
    before = files(project)
    done = in_process("verify", "-C", project, "--inputs")
    assert done.returncode == 0, done.stdout
    assert "differ" not in done.stdout
    assert files(project) == before
    flip(project / "prediction.zarr" / "flux" / "c" / "1" / "0" / "0")
    (project / "cube.zarr" / "temp" / "c" / "0" / "0" / "0").unlink()
    (project / "model" / "note.txt").write_text("mine")
    (project / "maps" / "trend.png").unlink()
    flip(project / "products" / "flux_2008.tif")
    flip(project / "data" / "ndvi.nc")
    done = in_process("verify", "-C", project)
    assert done.returncode == 1
    for line in (
        "prediction.zarr/flux/c/1/0/0: changed (predict)",
        "cube.zarr/temp/c/0/0/0: missing (cube)",
        "model/note.txt: not in the manifest (train)",
        "maps/trend.png: missing (map)",
        "products/flux_2008.tif: changed (predict)",
    ):
        assert line in done.stdout
    assert "ndvi" not in done.stdout.partition("differ")[2].partition("prediction.zarr")[2]
    assert "data/ndvi.nc: changed (regrid ndvi, input)" in in_process(
        "verify", "-C", project, "--inputs"
    ).stdout  # fmt: skip


def test_verify_needs_a_manifest(tiny_run: Path, copy_of: Copy, in_process: Callable) -> None:
    project = copy_of(tiny_run)
    (project / "manifest.json").write_text("{}")
    done = in_process("verify", "-C", project)
    assert done.returncode == 1
    assert "manifest.json: expected the record of what was done, found" in done.stderr
    (project / "manifest.json").unlink()
    with pytest.raises(NarcfError, match=r"manifest\.json: expected the record of a run"):
        verify(Project.open(project))


def test_clean_removes_intermediates_alone_and_they_come_back_the_same(
    tiny_run: Path, copy_of: Copy, in_process: Callable
) -> None:
    project = copy_of(tiny_run)
    mine = project / "regridded" / "mine.nc"
    mine.write_bytes(b"mine")
    before = files(project)
    done = in_process("clean", "-C", project, "--yes")
    assert done.returncode == 0, done.stderr
    assert "regridded/ndvi.zarr" in done.stdout
    gone = {name.split("/")[0] for name in before if name not in files(project)}
    assert gone == {"regridded", "biomes.zarr", "cube.zarr", ".narcf"}
    assert mine.read_bytes() == b"mine"
    stages = {r.stage for r in run(Project.open(project)) if r.seconds is not None}
    assert stages == {"regrid", "biomes", "cube"}
    after = files(project)
    assert {n for n in before if n[0] != "." and before[n] != after.get(n)} == {"manifest.json"}


def test_clean_all_leaves_what_a_run_reads(
    tiny_run: Path, copy_of: Copy, tiny_inputs: Path, in_process: Callable
) -> None:
    project = copy_of(tiny_run)
    (project / "maps" / "mine.png").write_bytes(b"mine")
    done = in_process("clean", "-C", project, "--all", "--yes")
    assert done.returncode == 0, done.stderr
    assert files(project) == {**files(tiny_inputs), "maps/mine.png": b"mine"}
    assert "nothing to remove" in in_process("clean", "-C", project, "--all").stdout


def test_clean_asks_and_spares_inputs(
    tiny_run: Path, copy_of: Copy, cli: Callable, tmp_path: Path
) -> None:
    project = copy_of(tiny_run)
    before = files(project)
    assert "Nothing was removed" in cli("clean", "-C", project, input="n\n").stdout
    done = cli("clean", "-C", project, "--all", input="")
    assert done.returncode == 2
    assert "give --yes" in done.stderr
    assert files(project) == before
    # A source in the folder of results, and a folder of results that leads elsewhere.
    (project / "maps" / "trend.png").rename(tmp_path / "far.png")
    (project / "data" / "ndvi.nc").rename(project / "regridded" / "ndvi.nc")
    catalog = project / "data_catalog.yaml"
    text = catalog.read_text()
    catalog.write_text(text.replace("{{ data }}/ndvi.nc", "{{ CATALOG_DIR }}/regridded/ndvi.nc"))
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "scatter.png").write_bytes(b"mine")
    for file in (project / "evaluation").iterdir():
        file.unlink()
    (project / "evaluation").rmdir()
    (project / "evaluation").symlink_to(tmp_path / "far")
    assert cli("clean", "-C", project, "--all", "--yes").returncode == 0
    assert (project / "regridded" / "ndvi.nc").exists()
    assert (tmp_path / "far" / "scatter.png").read_bytes() == b"mine"
    assert not (project / "cube.zarr").exists()


@pytest.mark.parametrize("lost", [False, True])
def test_a_damaged_prediction_is_predicted_again(tiny_run: Path, copy_of: Copy, lost: bool) -> None:
    project = copy_of(tiny_run)
    chunk = project / "prediction.zarr" / "flux" / "c" / "1" / "0" / "0"
    if lost:
        chunk.unlink()
    else:
        flip(chunk)
    done = {r.stage: r for r in run(Project.open(project))}
    assert done["predict"].why.endswith(": prediction.zarr")
    assert [name for name, result in done.items() if result.seconds is not None] == ["predict"]
    assert files(project / "prediction.zarr") == files(tiny_run / "prediction.zarr")


@pytest.mark.parametrize("store", ["cube", "prediction"])
def test_damage_to_a_store_is_an_error_that_names_the_chunk(
    tiny_run: Path, copy_of: Copy, in_process: Callable, store: str, tmp_path: Path
) -> None:
    project = copy_of(tiny_run)
    name = {"cube": "temp", "prediction": "flux"}[store]
    path = project / f"{store}.zarr"
    chunk = path / name / "c" / "1" / "0" / "0"
    reader = {
        "cube": ("predict", path, tmp_path / "out.zarr", "--model", project / "model"),
        "prediction": ("export", path, tmp_path / "out"),
    }[store]
    whole = chunk.read_bytes()
    flip(chunk)
    for found in ("another checksum", "no such file"):
        done = in_process(*reader)
        assert done.returncode == 1
        assert f"{store}.zarr/{name}/c/1/0/0: expected a whole chunk, found {found}" in done.stderr
        chunk.unlink(missing_ok=True)
    chunk.write_bytes(whole)
    assert in_process(*reader).returncode == 0
    # Other readers read the store as any other.
    ds = xr.open_zarr(path, consolidated=False)
    assert np.isfinite(ds[name]).any()


@pytest.mark.parametrize(
    "chunk", ["regridded/weather.zarr/temp/c/1/0/0", "biomes.zarr/class_fraction/c/0/0/0"]
)
def test_damage_to_what_was_regridded_is_noticed_when_it_is_read(
    tiny_run: Path, copy_of: Copy, chunk: str
) -> None:
    project = copy_of(tiny_run)
    flip(project / chunk)
    store, name = chunk.split(".zarr/")
    with pytest.raises(NarcfError, match=f"{chunk}: expected a whole chunk"):
        open_zarr(project / f"{store}.zarr", "regrid")[name.split("/")[0]].load()
