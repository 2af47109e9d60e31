"""Whole or not there: files and folders, with and without a failure on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    left = tmp_path / ".a.partial.zarr"
    left.mkdir()
    (left / "stale").write_text("x")
    with atomic_path(tmp_path / "a.zarr") as temporary:
        assert temporary == left
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
