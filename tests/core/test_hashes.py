"""Hashes of files and folders, kept and damaged."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.hashes import Hashes, total


def test_the_hash_of_a_folder_is_that_of_the_list_of_sha256sum(tmp_path: Path) -> None:
    folder = tmp_path / "a.zarr"
    for name in ("c/0/1", "c/0/0", "zarr.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    names = ["c/0/0", "c/0/1", "zarr.json"]
    listed = subprocess.run(["sha256sum", *names], cwd=folder, capture_output=True, check=True)
    assert total(Hashes().parts(folder)) == hashlib.sha256(listed.stdout).hexdigest()
    os.mkfifo(folder / "pipe")  # is not waited for
    assert list(Hashes().parts(folder)) == names


def test_a_file_is_read_again_only_where_size_or_times_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, record = tmp_path / "a", tmp_path / "hashes.json"
    file.write_text("one")
    hashes = Hashes(record, tmp_path)
    first = hashes.parts(file)
    hashes.save()
    read: list[str] = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda f, n: read.append(f.name) or digest(f, n))
    assert Hashes(record, tmp_path).parts(file) == first
    assert read == []
    times = file.stat()
    file.write_text("two")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert Hashes(record, tmp_path).parts(file) != first
    assert read == [str(file)]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(NarcfError, match=r"absent\.nc: no such file"):
        Hashes().parts(tmp_path / "absent.nc")


def test_folders_that_are_links_are_read_once(tmp_path: Path) -> None:
    store, away = tmp_path / "store", tmp_path / "away"
    store.mkdir()
    away.mkdir()
    (away / "chunk").write_text("one")
    (store / "linked").symlink_to(away)
    (store / "loop").symlink_to(store)
    before = Hashes().parts(store)
    assert set(before) == {"linked/chunk"}
    (away / "chunk").write_text("two")
    assert Hashes().parts(store) != before
