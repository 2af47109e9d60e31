"""A cube on disk, predicted piece by piece, is the cube predicted at once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from narcf_geo.core import files
from narcf_geo.core.datasets import write_zarr
from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.files import remove
from narcf_geo.core.lock import hold_output
from narcf_geo.core.pool import Threads
from narcf_geo.model.bundle import Bundle
from narcf_geo.prediction import predict, predict_file
from narcf_geo.prediction.block import Predictor
from narcf_geo.prediction.store import describe

Contents = Callable[[Path], dict[str, bytes]]


def predicted(*arguments: Any, **options: Any) -> Path:
    return predict_file(*arguments, **options).path


@pytest.fixture(scope="module")
def expected(fine_cube: xr.Dataset, bundle_folder: Path) -> xr.Dataset:
    return predict(fine_cube, Bundle.load(bundle_folder))


def assert_same(store: Path, expected: xr.Dataset) -> None:
    found = xr.open_zarr(store, consolidated=False).load()
    assert set(found.data_vars) == set(expected.data_vars)
    for name in expected.data_vars:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=2e-6, err_msg=name)


def test_it_is_what_is_predicted_in_memory(
    fine_cube: xr.Dataset, expected: xr.Dataset, stored: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    path = predicted(
        stored,
        tmp_path / "out.zarr",
        bundle_folder,
        attrs={"title": "Flux of a test"},
        progress=lambda done, total, text: seen.append((done, total)),
    )
    assert_same(path, expected)
    found = xr.open_zarr(path, consolidated=False)
    for name in expected.data_vars:
        assert found[name].attrs == expected[name].attrs
    assert len(found.data_vars) == 12
    assert found.coords.keys() == expected.coords.keys()
    assert found.attrs == {"title": "Flux of a test"}
    assert seen[0] == (0, 18)
    assert seen[-1] == (18, 18)
    assert [p.name for p in (tmp_path / ".out.zarr").iterdir()] == ["record.json"]
    # Sea, lakes and cells that lack what they must have are empty, and nothing else is.
    land = (fine_cube["biome"] > 0).values
    before = fine_cube["temp"].rolling(time=2, min_periods=2).mean().shift(time=1)
    known = land & np.isfinite(fine_cube["temp"].values) & np.isfinite(before.values)
    np.testing.assert_array_equal(np.isfinite(found["flux"].values), known)
    assert 0 < found["applicable"].mean() < 1


@pytest.mark.parametrize(
    "chunks", [(26, 60, 70), (1, 60, 70), (7, 13, 11)], ids=["whole", "months", "odd"]
)
def test_the_chunks_of_the_input_do_not_matter(
    fine_cube: xr.Dataset,
    expected: xr.Dataset,
    stored: Path,
    bundle_folder: Path,
    tmp_path: Path,
    contents: Contents,
    chunks: tuple[int, int, int],
) -> None:
    path = tmp_path / "other.zarr"
    by_dim = dict(zip(("time", "lat", "lon"), chunks, strict=True))
    fine_cube.chunk(by_dim).drop_encoding().to_zarr(path, consolidated=False)
    assert_same(predicted(path, tmp_path / "a.zarr", bundle_folder), expected)
    predicted(stored, tmp_path / "b.zarr", bundle_folder)
    assert contents(tmp_path / "a.zarr") == contents(tmp_path / "b.zarr")


def test_memory_and_threads_do_not_matter(
    stored: Path, bundle_folder: Path, tmp_path: Path, contents: Contents
) -> None:
    one = predicted(stored, tmp_path / "1.zarr", bundle_folder, pool=Threads(1))
    many = predicted(stored, tmp_path / "4.zarr", bundle_folder, pool=Threads(4), memory="1GB")
    assert contents(one) == contents(many)
    with pytest.raises(UsageError, match="1 GB is not enough for a thread"):
        predicted(stored, tmp_path / "5.zarr", bundle_folder, memory="100MB")


def test_files_of_months_are_one_cube(
    fine_cube: xr.Dataset, stored: Path, bundle_folder: Path, tmp_path: Path, contents: Contents
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    maps = [name for name in fine_cube.data_vars if "time" not in fine_cube[name].dims]
    fine_cube.drop_dims("time").to_netcdf(folder / "maps.nc")
    for start in range(0, 26, 5):
        part = fine_cube.drop_vars(maps).isel(time=slice(start, start + 5))
        part[["temp"]].to_netcdf(folder / f"temp_{start:02}.nc")
    for start in range(0, 26, 13):
        part = fine_cube.drop_vars(maps).isel(time=slice(start, start + 13))
        part[["sif"]].to_netcdf(folder / f"sif_{start:02}.nc")
    found = predicted(str(folder / "*.nc"), tmp_path / "a.zarr", bundle_folder)
    whole = predicted(stored, tmp_path / "b.zarr", bundle_folder)
    differ = {n for n, c in contents(whole).items() if contents(found).get(n) != c}
    assert differ <= {"zarr.json"}  # the files have no title
    (folder / "temp_15.nc").unlink()
    with pytest.raises(NarcfError, match=r"'temp'.*found none for 2008-04"):
        predicted(str(folder / "*.nc"), tmp_path / "c.zarr", bundle_folder)


def test_a_remote_store_is_read_where_it_is(
    stored: Path, bundle_folder: Path, tmp_path: Path, contents: Contents
) -> None:
    import fsspec

    fsspec.filesystem("memory").put(str(stored), "/bucket/cube.zarr", recursive=True)
    found = predicted("memory://bucket/cube.zarr", tmp_path / "a.zarr", bundle_folder)
    assert contents(found) == contents(predicted(stored, tmp_path / "b.zarr", bundle_folder))


def test_what_is_wrong_with_the_input_is_said_at_once(
    fine_cube: xr.Dataset, stored: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.zarr"
    with pytest.raises(UsageError, match="no such file"):
        predicted(tmp_path / "none.zarr", out, bundle_folder)
    with pytest.raises(UsageError, match="matches"):
        predicted(str(tmp_path / "*.none"), out, bundle_folder)
    with pytest.raises(NarcfError, match="narcf-geo train"):
        predicted(stored, out, tmp_path / "no_model")
    (tmp_path / "text.nc").write_text("no NetCDF")
    with pytest.raises(NarcfError, match=r"text\.nc: expected a Zarr store or a NetCDF file"):
        predicted(tmp_path / "text.nc", out, bundle_folder)
    for changed, message in (
        (fine_cube.drop_vars("sif"), "'sif'"),
        (fine_cube.drop_vars("biome"), "'biome'.*narcf-geo biomes"),
        (fine_cube.assign(height=fine_cube["height"].assign_attrs(units="hPa")), "'hPa'"),
    ):
        changed.to_netcdf(tmp_path / "cube.nc")
        with pytest.raises(NarcfError, match=message):
            predicted(tmp_path / "cube.nc", out, bundle_folder)
        (tmp_path / "cube.nc").unlink()
    assert not out.exists()


def test_attributes_are_on_the_disk_before_they_replace_others(
    stored: Path, bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = predicted(stored, tmp_path / "out.zarr", bundle_folder)
    synced: list[str] = []

    def to_disk(path: Path) -> None:
        synced.extend([path.read_text()] if path.is_file() else [])

    monkeypatch.setattr(files, "to_disk", to_disk)
    describe(out, {"title": "Another", "levels": np.array([1, 2])})
    assert json.loads(synced[0])["attributes"]["title"] == "Another"
    with xr.open_zarr(out, consolidated=False) as ds:
        assert ds.attrs == {"title": "Another", "levels": [1, 2]}
        assert ds["time"].attrs["bounds"] in ds


def test_an_unreadable_chunk_leaves_what_is_finished(
    expected: xr.Dataset, stored: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    chunk = stored / "sif" / "c" / "4" / "2" / "0"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "out.zarr"
    with pytest.raises(NarcfError, match=r"cube\.zarr: variable 'sif'.*reading failed"):
        predicted(stored, out, bundle_folder, pool=Threads(2))
    assert not out.exists()
    chunk.write_bytes(whole)
    left: list[int] = []
    predicted(stored, out, bundle_folder, progress=lambda done, *_: left.append(done))
    assert left[0] > 0
    assert_same(out, expected)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_leaves_what_is_finished(
    stored: Path, bundle_folder: Path, tmp_path: Path, small_disk: Path, contents: Contents
) -> None:
    out = small_disk / "out.zarr"
    with pytest.raises(NarcfError, match=r"writing failed .*No space left on device.* make room"):
        predicted(stored, out, bundle_folder, pool=Threads(2))
    assert not out.exists()
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    seen: list[int] = []
    predicted(stored, out, bundle_folder, progress=lambda done, *_: seen.append(done))
    assert seen[0] > 0
    assert contents(out) == contents(predicted(stored, tmp_path / "b.zarr", bundle_folder))
    assert [path.name for path in (small_disk / ".out.zarr").iterdir()] == ["record.json"]


def test_a_model_without_the_factor_of_the_level_has_no_interval_of_the_flux(
    bundle_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "model"))
    assert "flux_std" in Predictor(Bundle.load(folder)).fields
    content = json.loads((folder / "bundle.json").read_text())
    content["flux_error"]["factors"] = {"0.5": 1.0}
    (folder / "bundle.json").write_text(json.dumps(content))
    known = Predictor(Bundle.load(folder))
    assert "flux_std" not in known.fields
    x = np.zeros((3, len(known.bundle.features.names)), np.float32)
    assert len(known._rows(x)) == len(known.fields)


def test_only_what_changed_is_computed_again(
    fine_cube: xr.Dataset, stored: Path, bundle_folder: Path, tmp_path: Path, contents: Contents
) -> None:
    out = predicted(stored, tmp_path / "out.zarr", bundle_folder)
    before = contents(out)
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("c/*/*/*")}
    calls: list[int] = []

    def again() -> None:
        calls.clear()
        predicted(stored, out, bundle_folder, progress=lambda done, *_: calls.append(done))

    again()
    assert not calls
    # The chunk of months 15 to 19 and rows 22 to 43 touches two chunks of rows.
    piece = fine_cube["sif"].isel(time=slice(15, 20), lat=slice(22, 44)) + np.float32(1)
    piece.drop_vars(["lat_bnds", "lon_bnds", "time_bnds"], errors="ignore").drop_vars(
        list(piece.coords)
    ).to_dataset(name="sif").to_zarr(
        stored,
        consolidated=False,
        region={"time": slice(15, 20), "lat": slice(22, 44), "lon": slice(0, 70)},
    )
    again()
    assert calls[0] == 18 - 6
    changed = {str(p.relative_to(out)) for p in stamps if p.stat().st_mtime_ns != stamps[p]}
    fields = {name.split("/")[0] for name in changed}
    assert {name.split("/c/")[1] for name in changed} <= {
        f"1/{y}/{x}" for y in (0, 1) for x in (0, 1, 2)
    }
    assert len(fields) == 9
    after = contents(out)
    assert after != before
    fresh = predicted(stored, tmp_path / "fresh.zarr", bundle_folder)
    assert contents(fresh) == after


def test_months_that_are_added_or_left_out_are_all_that_is_computed(
    fine_cube: xr.Dataset, bundle_folder: Path, tmp_path: Path, contents: Contents
) -> None:
    cube, out = tmp_path / "cube.zarr", tmp_path / "out.zarr"
    several = {"time": 12, "lat": 32, "lon": 32}
    for n_months, kept in ((25, 0), (26, 12), (24, 12), (12, 6), (26, 6)):
        write_zarr(fine_cube.isel(time=slice(n_months)).chunk(several), cube)
        seen: list[int] = []
        predicted(cube, out, bundle_folder, progress=lambda done, *_, seen=seen: seen.append(done))
        # A month before is read too, so that all of a chunk is kept or nothing.
        assert (seen or [6 * n_months // 12])[0] == kept
        fresh = predicted(cube, tmp_path / "fresh.zarr", bundle_folder, force=True)
        assert contents(out) == contents(fresh)
        assert xr.open_zarr(out, consolidated=False).sizes["time"] == n_months


@pytest.mark.parametrize("at", [".partial.zarr", "job.json"])
def test_stopped_while_the_store_is_moved(
    at: str,
    fine_cube: xr.Dataset,
    bundle_folder: Path,
    tmp_path: Path,
    contents: Contents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cube, out = tmp_path / "cube", tmp_path / "out.zarr"
    cube.mkdir()
    fine_cube.drop_vars("sif").to_netcdf(cube / "rest.nc")
    for number in (0, 1):
        months = slice(13 * number, 13 * (number + 1))
        fine_cube[["sif"]].isel(time=months).to_netcdf(cube / f"sif_{number}.nc")
    predicted(str(cube / "*.nc"), out, bundle_folder)
    # The second year changes; the run that brings it in stops at its very end.
    changed = fine_cube[["sif"]].isel(time=slice(13, 26)) + np.float32(1)
    changed["sif"].attrs = fine_cube["sif"].attrs
    changed.to_netcdf(cube / "sif_1.nc")

    def stop(path: Path) -> None:
        if path.name.endswith(at):
            raise KeyboardInterrupt
        remove(path)

    with monkeypatch.context() as patch:
        patch.setattr("narcf_geo.core.journal.remove", stop)
        patch.setattr("narcf_geo.core.files.remove", stop)
        with pytest.raises(KeyboardInterrupt):
            predicted(str(cube / "*.nc"), out, bundle_folder)
    predicted(str(cube / "*.nc"), out, bundle_folder)
    assert [path.name for path in (tmp_path / ".out.zarr").iterdir()] == ["record.json"]
    fresh = predicted(str(cube / "*.nc"), tmp_path / "fresh.zarr", bundle_folder)
    assert contents(out) == contents(fresh)


def test_another_bundle_computes_all_again(
    stored: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    out = predicted(stored, tmp_path / "out.zarr", bundle_folder)
    other = Path(shutil.copytree(bundle_folder, tmp_path / "other"))
    (other / "applicability.npz").unlink()
    calls: list[int] = []
    predicted(stored, out, other, progress=lambda done, *_: calls.append(done))
    assert calls[0] == 0
    assert "applicability" not in xr.open_zarr(out, consolidated=False)


@pytest.mark.parametrize("name", ["member_2.keras", "applicability.npz"])
def test_a_damaged_bundle_is_refused_before_anything_is_written(
    stored: Path, bundle_folder: Path, tmp_path: Path, name: str
) -> None:
    model = Path(shutil.copytree(bundle_folder, tmp_path / "model"))
    (model / name).write_bytes((model / name).read_bytes()[:-100])
    content = json.loads((model / "bundle.json").read_text())
    digest = hashlib.sha256((model / name).read_bytes()).hexdigest()
    content["members" if name.endswith(".keras") else "files"][name] = digest
    (model / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(NarcfError, match=rf"{name}: expected .* found"):
        predicted(stored, tmp_path / "out.zarr", model)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cube.zarr", "model"]


def test_a_store_that_someone_else_writes(
    stored: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    lock = tmp_path / ".out.zarr.lock"
    with (
        hold_output(tmp_path / "out.zarr"),
        ThreadPoolExecutor(1) as other,
        pytest.raises(NarcfError, match=rf"in use by process {os.getpid()} on .* since"),
    ):
        other.submit(predicted, stored, tmp_path / "out.zarr", bundle_folder).result()
    predicted(stored, tmp_path / "out.zarr", bundle_folder)
    assert not lock.exists()
