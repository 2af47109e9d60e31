"""Grid and period of each source, kept until its entry or its files change."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr
from tiny_project import write_project

from narcf_geo import NarcfError, Project
from narcf_geo.catalog import describe
from narcf_geo.catalog.entry import Entry
from narcf_geo.catalog.glance import GLANCES_FILE, Glance, glances


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "tiny")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the entries that are opened, as they are opened."""
    names: list[str] = []
    real = describe.peek

    def peek(entry: Entry) -> Glance:
        names.append(entry.name)
        return real(entry)

    monkeypatch.setattr(describe, "peek", peek)
    return names


def look(project: Path) -> dict[str, Glance]:
    catalog = Project.open(project).catalog()
    return glances([catalog[name] for name in catalog], project / GLANCES_FILE)


def test_a_second_look_opens_nothing(project: Path, opened: list[str]) -> None:
    first = look(project)
    assert set(opened) == set(first)
    opened.clear()
    assert look(project) == first
    assert not opened


def test_changed_files_are_opened_again(project: Path, opened: list[str]) -> None:
    before = look(project)
    path = next((project / "data").glob("inversion*.nc"))
    with xr.open_dataset(path) as ds:
        half = ds.isel(time=slice(12)).load()
    half.to_netcdf(path)
    opened.clear()
    after = look(project)
    assert opened == ["inversion"]
    assert after["inversion"] != before["inversion"]
    assert after["inversion"][1].startswith(before["inversion"][1][:7])


def test_a_changed_entry_is_opened_again(project: Path, opened: list[str]) -> None:
    look(project)
    catalog = project / "data_catalog.yaml"
    text = catalog.read_text(encoding="utf-8")
    catalog.write_text(text.replace("role: target", "role: reference"), encoding="utf-8")
    opened.clear()
    look(project)
    assert opened == ["inversion"]


@pytest.mark.parametrize("record", ["", "[1]", '{"inversion": 3}', '{"inversion": ["a", "b"]}'])
def test_a_damaged_record_is_made_anew(project: Path, opened: list[str], record: str) -> None:
    first = look(project)
    (project / GLANCES_FILE).write_text(record, encoding="utf-8")
    assert look(project) == first
    opened.clear()
    look(project)
    assert not opened


def test_what_cannot_be_read_is_tried_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(entry: Entry) -> xr.Dataset:
        raise NarcfError("file.nc: damaged")

    with monkeypatch.context() as broken:
        broken.setattr(Entry, "read", read)
        assert set(look(project).values()) == {("cannot be read", "damaged")}
    assert all(grid != "cannot be read" for grid, _ in look(project).values())


def test_a_project_that_cannot_be_written_is_listed(project: Path) -> None:
    (project / ".narcf").write_text("a file where the folder should be")
    assert look(project)
