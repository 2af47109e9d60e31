"""Chunks of another size, or that are no files of the store, each beside an honest twin."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from narcf_geo.core.datasets import open_zarr
from narcf_geo.core.errors import NarcfError, UnreadableError
from narcf_geo.fields.formats import Opening, open_format
from narcf_geo.fields.reading import reading

VALUES = np.arange(1.0, 65.0).reshape(8, 8)
BOMB = bytes(2**25)
HONEST = VALUES[:4].tobytes()

V2 = [
    (None, lambda raw: raw),
    (numcodecs.Zstd(), numcodecs.Zstd().encode),
    (numcodecs.Blosc(), numcodecs.Blosc().encode),
    (numcodecs.LZ4(), numcodecs.LZ4().encode),
    (numcodecs.GZip(), gzip.compress),
    (numcodecs.Zlib(), zlib.compress),
    (numcodecs.BZ2(), bz2.compress),
    (numcodecs.LZMA(), lzma.compress),
]
V3 = [
    (None, lambda raw: raw),
    (ZstdCodec(), numcodecs.Zstd().encode),
    (BloscCodec(), numcodecs.Blosc().encode),
    (GzipCodec(), gzip.compress),
]
CODECS = [(2, *v) for v in V2] + [(3, *v) for v in V3]
NAMES = [f"{version}-{type(codec).__name__}" for version, codec, _ in CODECS]

PEAK = """
import json, sys, tracemalloc
from pathlib import Path
from narcf_geo.core import chunk_sizes
chunk_sizes.SMALL, chunk_sizes.memory = 2**14, lambda: 2**16
described, content = (Path(name).read_bytes() for name in sys.argv[1:])
size = chunk_sizes.ChunkSize.of(json.loads(described))
tracemalloc.start()
assert size.problem(content)
print(tracemalloc.get_traced_memory()[1])
"""
"""Prints what finding out the size of a chunk takes, in a process without threads of Zarr."""


def store(path: Path, zarr_format: int = 3, codec: Any = None, **options: Any) -> Path:
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    array = group.create_array(
        "temp", shape=(8, 8), chunks=(4, 8), dtype="f8", compressors=codec, fill_value=0,
        **({"dimension_names": ("lat", "lon")} if zarr_format == 3 else {}), **options,
    )  # fmt: skip
    array.attrs["_ARRAY_DIMENSIONS"] = ["lat", "lon"]
    array[:] = VALUES
    return path


def chunk(path: Path, zarr_format: int) -> Path:
    return path / ("temp/c/1/0" if zarr_format == 3 else "temp/1.0")


def load(path: Path) -> np.ndarray:
    return open_format(path, how=Opening())["temp"].load().values


@pytest.mark.parametrize(("version", "codec", "encode"), CODECS, ids=NAMES)
def test_a_chunk_of_another_size_is_refused(
    tmp_path: Path,
    version: int,
    codec: Any,
    encode: Callable[[bytes], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = store(tmp_path / "in.zarr", version, codec)
    np.testing.assert_array_equal(load(path), VALUES)
    file = chunk(path, version)
    file.write_bytes(encode(HONEST))
    np.testing.assert_array_equal(load(path)[4:], VALUES[:4])
    monkeypatch.setattr("narcf_geo.core.chunk_sizes.SMALL", 2**14)
    monkeypatch.setattr("narcf_geo.core.chunk_sizes.memory", lambda: 2**16)
    bomb = encode(BOMB)
    for content in (bomb, encode(HONEST + HONEST), encode(HONEST[:-8])):
        file.write_bytes(content)
        with pytest.raises(NarcfError, match=r"in\.zarr/temp/.*1.0: expected a whole chunk"):
            load(path)
    if codec is not None:
        file.write_bytes(bomb)
        described = path / "temp" / ("zarr.json" if version == 3 else ".zarray")
        command = [sys.executable, "-c", PEAK, described, file]
        assert int(subprocess.check_output(command)) < 2**25


def test_a_gzip_chunk_that_lies_of_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store(tmp_path / "in.zarr", 3, GzipCodec())
    content = gzip.compress(BOMB)[:-4] + len(HONEST).to_bytes(4, "little")
    chunk(path, 3).write_bytes(content)
    monkeypatch.setattr("narcf_geo.core.chunk_sizes.SMALL", 2**20)
    monkeypatch.setattr("narcf_geo.core.chunk_sizes.memory", lambda: 2**22)
    with pytest.raises(NarcfError, match="expected a whole chunk, found more than"):
        load(path)


@pytest.mark.parametrize("place", ["start", "end"])
def test_a_chunk_in_a_shard_of_another_size_is_refused(tmp_path: Path, place: str) -> None:
    shards = {"shape": (8, 8), "index_location": place}
    path = store(tmp_path / "in.zarr", 3, ZstdCodec(), shards=shards)
    np.testing.assert_array_equal(load(path), VALUES)
    np.testing.assert_array_equal(open_format(path)["temp"][5].load(), VALUES[5])
    file = path / "temp/c/0/0"
    content = bytearray(file.read_bytes())
    frame = content.index(b"\x28\xb5\x2f\xfd")
    assert content[frame + 4] >> 5 == 0b011  # two bytes of size, one segment
    content[frame + 5 : frame + 7] = b"\xff\xff"
    file.write_bytes(content)
    lazy = open_format(path, how=Opening(chunks="none"))["temp"]
    for part in (lazy, lazy[:2]):
        words = r"temp/c/0/0: expected a whole chunk, found"
        with pytest.raises(NarcfError, match=words), reading(path):
            part.load()


def test_values_of_any_length_and_filters_are_read(tmp_path: Path) -> None:
    names = np.array(["a", "bb" * 100, "", "d"], object)
    ds = xr.Dataset({"temp": (("x",), np.arange(4.0))}, {"name": ("x", names)})
    filters = {"filters": [numcodecs.Delta("f8")], "compressors": numcodecs.Zstd()}
    ds.to_zarr(tmp_path / "a.zarr", zarr_format=2, encoding={"temp": filters})
    ds.to_zarr(tmp_path / "b.zarr", zarr_format=3, consolidated=False)
    for name in ("a.zarr", "b.zarr"):
        found = open_format(tmp_path / name).load()
        assert found["name"].values.tolist() == names.tolist()
        assert found["temp"].values.tolist() == [0, 1, 2, 3]


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def device(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


def other_file(file: Path) -> None:
    file.rename(file.parents[4] / "secret")
    file.symlink_to(file.parents[4] / "secret")


def other_folder(file: Path) -> None:
    folder = file.parent.parent
    folder.rename(file.parents[4] / "away")
    folder.symlink_to(file.parents[4] / "away")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
@pytest.mark.parametrize("change", [pipe, device, other_file, other_folder])
@pytest.mark.parametrize("opener", [load, lambda p: open_zarr(p, "regrid").load()])
def test_what_is_no_file_of_the_store_is_refused(
    tmp_path: Path, change: Callable[[Path], None], opener: Callable[[Path], Any]
) -> None:
    path = store(tmp_path / "in.zarr")
    (tmp_path / "link.zarr").symlink_to(path)
    opener(tmp_path / "link.zarr")
    within = path / "temp" / "c" / "copy"
    shutil.copy(chunk(path, 3), within)
    chunk(path, 3).unlink()
    chunk(path, 3).symlink_to(within)
    opener(path)
    within.replace(chunk(path, 3))
    change(chunk(path, 3))
    with pytest.raises(UnreadableError, match=r"temp/c.*: expected a (file|part)"):
        opener(path)


def test_arrays_in_groups_of_groups_are_looked_at(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "in.zarr", mode="w", zarr_format=2)
    inner = group.create_group("a").create_group("b")
    array = inner.create_array("temp", shape=4, dtype="f8", compressors=numcodecs.Zlib())
    array.attrs["_ARRAY_DIMENSIONS"] = ["x"]
    how = Opening(xarray_kwargs={"group": "a/b", "consolidated": False})
    assert "temp" in open_format(tmp_path / "in.zarr", how=how)
    described = tmp_path / "in.zarr/a/b/temp/.zarray"
    described.write_text(described.read_text().replace('"zlib"', '"pickle"'))
    with pytest.raises(UnreadableError, match="pickle"):
        open_format(tmp_path / "in.zarr", how=how)
