"""Whole or not there: files and folders, with and without a failure on the way."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pyogrio.errors import DataSourceError, FeatureError

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.files import atomic_path, remove


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_and_a_folder_replace_what_stood_there(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with atomic_path(tmp_path / "deep" / "a.csv") as temporary:
            temporary.write_text(text)
        with atomic_path(tmp_path / "deep" / "a.zarr") as temporary:
            temporary.mkdir()
            (temporary / text).write_text(text)
    assert names(tmp_path / "deep") == ["a.csv", "a.zarr"]
    assert (tmp_path / "deep" / "a.csv").read_text() == "second"
    assert names(tmp_path / "deep" / "a.zarr") == ["second"]


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
def test_a_failure_leaves_what_stood_there(tmp_path: Path, kind: type[BaseException]) -> None:
    (tmp_path / "a.csv").write_text("old")

    def write() -> None:
        with atomic_path(tmp_path / "a.csv") as temporary:
            temporary.write_text("half")
            raise kind

    with pytest.raises(kind):
        write()
    assert names(tmp_path) == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "old"


def test_what_a_killed_run_left_is_not_mixed_in(tmp_path: Path) -> None:
    code = """
import os, sys
from narcf_geo.core.files import atomic_path
with atomic_path(sys.argv[1]) as temporary:
    temporary.mkdir()
    (temporary / "stale").write_text("x")
    os._exit(9)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.zarr")], check=False)
    (left,) = tmp_path.iterdir()
    assert (left / "stale").exists()
    with atomic_path(tmp_path / "a.zarr") as temporary:
        assert not left.exists()
        temporary.mkdir()
        (temporary / "fresh").write_text("y")
    assert names(tmp_path) == ["a.zarr"]
    assert names(tmp_path / "a.zarr") == ["fresh"]


def test_the_temporary_keeps_the_ending_and_the_folder(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "flux_2007.tif") as temporary:
        assert temporary.suffix == ".tif"
        assert temporary.parent == tmp_path
        temporary.touch()


def test_removing_a_link_spares_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "kept").touch()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    remove(tmp_path / "link")
    remove(tmp_path / "absent")
    assert names(tmp_path) == ["data"]
    assert names(tmp_path / "data") == ["kept"]


def test_those_who_write_the_same_do_not_meet(tmp_path: Path) -> None:
    both_inside = threading.Barrier(4)
    found = []

    def write(name: str, text: str) -> None:
        with atomic_path(tmp_path / name) as temporary:
            both_inside.wait()
            if name.endswith(".zarr"):
                temporary.mkdir()
                (temporary / text).write_text(text)
            else:
                temporary.write_text(text)
            both_inside.wait()
            found.append(temporary)

    writers = [
        threading.Thread(target=write, args=(name, text))
        for name in ("a.csv", "a.zarr")
        for text in ("one", "other")
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len({*found}) == 4
    assert names(tmp_path) == ["a.csv", "a.zarr"]
    assert (tmp_path / "a.csv").read_text() in ("one", "other")
    assert names(tmp_path / "a.zarr") in (["one"], ["other"])


def test_a_living_writer_keeps_its_file(tmp_path: Path) -> None:
    code = """
import sys
from narcf_geo.core.files import atomic_path
with atomic_path(sys.argv[1]) as temporary:
    temporary.write_text("slow")
    print("writing", flush=True)
    sys.stdin.read()
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    slow = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a.csv")], **pipes)
    assert slow.stdout.readline() == "writing\n"
    with atomic_path(tmp_path / "a.csv") as temporary:
        temporary.write_text("quick")
    slow.communicate("")
    assert slow.returncode == 0
    assert (tmp_path / "a.csv").read_text() == "slow"
    assert names(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_is_named(tmp_path: Path, code: int) -> None:
    (tmp_path / "a.csv").write_text("before")

    def fill() -> None:
        with atomic_path(tmp_path / "a.csv") as temporary:
            temporary.write_text("half")
            raise OSError(code, "what the system says")

    with pytest.raises(NarcfError, match=r"a\.csv: cannot be written \(.*run again"):
        fill()
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "before"


def test_a_file_is_on_the_disk_before_it_is_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append("sync"), fsync(fd))[1])
    monkeypatch.setattr(Path, "replace", lambda *a: (done.append("move"), replace(*a))[1])
    with atomic_path(tmp_path / "a.csv") as temporary:
        temporary.write_text("whole")
    assert done == ["sync", "move", "sync"]  # the file, its place, the folder


@pytest.mark.parametrize(
    "error",
    [
        FeatureError("Could not add feature to layer at index 0: database or disk is full"),
        DataSourceError("sqlite3_open() failed"),
        RuntimeError("NetCDF: HDF error"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_a_full_disk_is_said_in_words_whoever_meets_it(tmp_path: Path, error: Exception) -> None:
    def write(error: Exception) -> None:
        with atomic_path(tmp_path / "out.gpkg") as temporary:
            temporary.touch()
            raise error

    with pytest.raises(NarcfError, match=r"out\.gpkg: cannot be written .*run again"):
        write(error)
    assert not list(tmp_path.iterdir())
    # Control: what is wrong with the data is not taken for the disk.
    with pytest.raises(FeatureError):
        write(FeatureError("field 'name' cannot hold a list"))
