"""Stores of our own: a lost or damaged chunk is an error, one without a value is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from narcf_geo.core.datasets import write_zarr
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.stores import ABSENT, growing, opened, seal
from narcf_geo.fields.formats import Opening, open_zarr


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Three years of temperature, the second without a value, and a number."""
    temp = np.arange(36.0)[:, None, None] + np.zeros((36, 2, 3))
    temp[12:24] = np.nan
    ds = xr.Dataset(
        {"temp": (("time", "lat", "lon"), temp), "crs": ((), 7)},
        {"time": np.arange(36), "lat": [0.5, 1.5], "lon": [0.5, 1.5, 2.5]},
    )
    write_zarr(ds, tmp_path / "cube.zarr")
    return tmp_path / "cube.zarr"


def read(store: Path) -> xr.Dataset:
    return xr.open_zarr(opened(store), consolidated=False).load()


def test_what_was_never_written_is_without_a_value(store: Path) -> None:
    assert json.loads((store / "temp" / ABSENT).read_text()) == ["c/1/0/0"]
    assert not (store / "temp" / "c" / "1").exists()
    ds = read(store)
    assert int(ds["temp"].isnull().sum()) == 12 * 6
    assert int(ds["crs"]) == 7
    xr.testing.assert_identical(ds, xr.open_zarr(store, consolidated=False).load())


@pytest.mark.parametrize("name", ["temp/c/0/0/0", "temp/c/2/0/0", "crs/c", "lat/c/0"])
@pytest.mark.parametrize("how", ["lost", "cut", "altered", "empty"])
def test_a_lost_or_damaged_chunk_is_named(store: Path, name: str, how: str) -> None:
    chunk = store / name
    whole = chunk.read_bytes()
    if how == "lost":
        chunk.unlink()
    else:
        altered = bytes([whole[0] ^ 1]) + whole[1:]
        chunk.write_bytes({"cut": whole[:-5], "altered": altered, "empty": b""}[how])
    with pytest.raises(NarcfError, match=rf"cube\.zarr/{name}: expected a whole chunk, found"):
        read(store)
    with pytest.raises(NarcfError, match=rf"{name}: expected a whole chunk"):
        open_zarr(store, Opening()).load()
    chunk.write_bytes(whole)
    read(store)


def test_the_checksum_is_one_that_other_readers_know(store: Path) -> None:
    array = json.loads((store / "temp" / "zarr.json").read_text())
    assert [codec["name"] for codec in array["codecs"]] == ["bytes", "zstd", "crc32c"]
    chunk = store / "temp" / "c" / "0" / "0" / "0"
    chunk.write_bytes(bytes([chunk.read_bytes()[0] ^ 1]) + chunk.read_bytes()[1:])
    with pytest.raises(ValueError, match="checksum"):
        zarr.open_array(store, path="temp", mode="r")[:]


def test_stores_of_others_are_read_as_ever(store: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.zarr"
    read(store).drop_encoding().to_zarr(other, zarr_format=3, consolidated=False)
    (other / "temp" / "c" / "0" / "0" / "0").unlink(missing_ok=True)
    assert bool(read(other)["temp"].isnull().any())
    assert opened(other / "none.zarr") == other / "none.zarr"
    assert opened("https://example.org/cube.zarr") == "https://example.org/cube.zarr"


def test_a_damaged_list_of_absent_chunks_is_an_error(store: Path) -> None:
    (store / "temp" / ABSENT).write_text("{")
    with pytest.raises(NarcfError, match=r"temp/absent\.json: .* found no list of chunks"):
        read(store)


def test_shards_and_scalars_are_sealed(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "s.zarr", mode="w")
    array = group.create_array("a", shape=(4, 5), chunks=(1, 1), shards=(2, 3), dtype="f4")
    array[:2] = 1
    seal(tmp_path / "s.zarr")
    assert json.loads((tmp_path / "s.zarr" / "a" / ABSENT).read_text()) == ["c/1/0", "c/1/1"]
    assert (zarr.open_array(opened(tmp_path / "s.zarr"), path="a", mode="r")[:].sum()) == 10


def test_a_chunk_is_on_the_disk_when_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        "narcf_geo.core.durable.to_disk",
        lambda path: synced.append(path.relative_to(tmp_path).as_posix()),
    )
    zarr.create_array(tmp_path / "s.zarr", name="a", shape=(4, 4), chunks=(2, 2), dtype="f4")
    array = zarr.open_array(growing(tmp_path / "s.zarr"), path="a", mode="r+")
    array[2:, :2] = 1
    folders = ["s.zarr/a/c/1", "s.zarr/a/c", "s.zarr/a", "s.zarr"]
    assert synced == ["s.zarr/a/c/1/0", "s.zarr/a/c/1", *folders[1:]]
    synced.clear()
    array[2:, 2:] = 1
    assert synced == ["s.zarr/a/c/1/1", "s.zarr/a/c/1"]
    # The control: a store of Zarr's own does not wait for the disk.
    synced.clear()
    zarr.open_array(tmp_path / "s.zarr", path="a", mode="r+")[:2] = 1
    assert synced == []
