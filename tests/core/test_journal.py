"""The record of finished pieces: what is damaged is done again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from narcf_geo.core import files
from narcf_geo.core.journal import Journal
from narcf_geo.prediction import journal as prediction


def begun(folder: Path, kind: type[Journal] = Journal) -> Journal:
    found = kind(folder / ".out", folder / "out.zarr", "0123456789abcdef")
    found.begin("{}", lambda path: path.mkdir())
    return found


@pytest.mark.parametrize("damage", [b"", b"[]", b"{", b"\xff\x00", b'{"sum": []}', b"[" * 10**5])
def test_a_damaged_mark_is_a_piece_to_do(tmp_path: Path, damage: bytes) -> None:
    journal = begun(tmp_path)
    journal.mark(3, {"sum": 1.5})
    journal.mark(4, {})
    done = journal.work / "done"
    (done / "5").write_bytes(damage)
    (done / ".DS_Store").write_bytes(b"x")
    (done / "6").mkdir()
    assert journal.marks() == {3: {"sum": 1.5}, 4: {}}


def test_a_store_is_on_the_disk_before_it_can_be_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "state", tmp_path / "out.zarr", "0123456789abcdef")
    synced: list[Path] = []

    def to_disk(path: Path) -> None:
        if not journal.job.exists():
            synced.append(path)

    monkeypatch.setattr(files, "to_disk", to_disk)

    def template(store: Path) -> None:
        (store / "flux").mkdir(parents=True)
        (store / "zarr.json").write_text("{}")
        (store / "flux" / "zarr.json").write_text("{}")

    journal.begin("job", template)
    assert {journal.work, *journal.work.rglob("*")} - {journal.job} <= set(synced)


def test_a_lost_folder_begins_anew(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    journal.mark(3, {"sum": 1.5})
    (journal.store / "kept").touch()
    begun(tmp_path)
    assert (journal.store / "kept").exists()
    (journal.work / "done" / "3").unlink()
    (journal.work / "done").rmdir()
    begun(tmp_path)
    assert journal.marks() == {}
    assert not (journal.store / "kept").exists()


@pytest.mark.parametrize(
    "damage",
    [b"", b"[]", b"{}", b"\xff", b'{"key": "0123456789abcdef", "stamp": [], "chunks": 3}',
     b'{"key": "0123456789abcdef", "stamp": [], "chunks": {"0.0": "ab"}}'],
)  # fmt: skip
def test_a_damaged_record_of_a_prediction_is_none(tmp_path: Path, damage: bytes) -> None:
    journal = begun(tmp_path, prediction.Journal)
    assert isinstance(journal, prediction.Journal)
    journal = replace(journal, common=journal.key)
    record = journal.folder / "record.json"
    record.write_text('{"key": "0123456789abcdef", "stamp": [], "chunks": {"0.0.1": "ab"}}')
    assert journal.current() == {(0, 0, 1): "ab"}
    record.write_bytes(damage)
    assert journal.current() is None


def test_marks_of_others_are_no_chunks(tmp_path: Path) -> None:
    journal = begun(tmp_path, prediction.Journal)
    assert isinstance(journal, prediction.Journal)
    journal.mark_chunk((0, 1, 2), "ab")
    for name in (".DS_Store", "0.1-ab", "a.b.c-d"):
        (journal.work / "done" / name).touch()
    assert journal.finished() == {(0, 1, 2): "ab"}
    journal.discard({(0, 1, 2)}, ("flux",))
    assert journal.finished() == {}
