"""Bad input of each kind, through the real command: exit code, words, and nothing left behind."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from catalog.test_broken_catalogs import BROKEN as CATALOGS
from catalog.test_broken_catalogs import GOOD as CATALOG
from model.test_bundle_files import FIELDS as BUNDLES
from model.test_bundle_files import at
from refusals import contents, refused, said
from reliability import damage, fields, good, options, polygons, settings

REGRID = "regrid {} out.nc --grid 2"
ZONAL = "zonal {} regions.geojson out.csv"
IN_POLYGONS = "zonal field.nc {} out.csv"
EVALUATE = "evaluate {} new.zarr --out out.json"
MAP = "map {} out.png"
EXPORT = "export {} products"
PREDICT = "predict cube.nc out.nc --model {}"


class Row(NamedTuple):
    """A good file, what is done to it, the command, and its exit code and words.

    The files that a command names are there; `change` gets the path of the damaged one.
    """

    kind: str
    defect: str
    change: Callable[[Path], object]
    command: str
    code: int
    words: str

    @property
    def name(self) -> str:
        return f"{self.kind}: {self.defect}: {self.command.split()[0]}"


def _replaced(before: str, after: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))

    return change


def _field_of_bundle(key: str, value: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = json.loads(path.read_text())
        at(content, key, value)
        path.write_text(json.dumps(content))

    return change


def rows() -> list[Row]:
    """Return the whole table."""
    table: list[Row] = []
    for kind in good.FIELDS:
        for defect, change in damage.ANY_FILE.items():
            code, words = damage.expected(kind, defect)
            table += [Row(kind, defect, change, c, code, words) for c in (REGRID, ZONAL)]
    for kind in good.POLYGONS:
        for defect, change in damage.ANY_FILE.items():
            table.append(Row(kind, defect, change, IN_POLYGONS, *damage.expected(kind, defect)))
    for kind, command, defects in (
        ("field.nc", REGRID, fields.PLACES | fields.VALUES | fields.PACKED),
        ("field.nc", ZONAL, fields.PLACES | fields.VALUES | fields.PACKED | fields.DATES),
        ("old.zarr", REGRID, fields.PLACES | fields.VALUES),
        ("field.nc", EVALUATE, fields.UNITS | fields.ALONE),
        ("field.nc", MAP, fields.UNITS | fields.MONTHS),
        ("field.nc", EXPORT, fields.UNITS | fields.ALONE),
    ):
        code = 2 if command == EVALUATE else 1
        for defect, (change, words) in defects.items():
            table.append(Row(kind, defect, change, command, code, words))
    for kind, texts in (("field.asc", fields.ASCII_GRID), ("field.csv", fields.TABLE)):
        for defect, (before, after, words) in texts.items():
            table.append(Row(kind, defect, _replaced(before, after), REGRID, 1, words))
    for defect, (change, words) in polygons.GEOJSON.items():
        table.append(Row("regions.geojson", defect, change, IN_POLYGONS, 2, words))
    for defect, (change, words) in polygons.SHAPEFILE.items():
        table.append(Row("regions.shp", defect, change, IN_POLYGONS, 2, words))
    for before, after, words in settings.BROKEN:
        defect = f"{before} -> {after}".replace("\n", " ")
        change = _replaced(before, after)
        table.append(Row("project/narcf.yaml", defect, change, "run -C project", 2, words))
    for number, (before, after, _line, told) in enumerate(CATALOGS):
        defect = f"{number}: {before} -> {after}".replace("\n", " ")[:80]
        words = ".*".join(re.escape(word) for word in told[:1])
        change = _replaced(before, after)
        table.append(Row("catalog.yaml", defect, change, "catalog list --catalog {}", 2, words))
    for defect, (key, value, told) in BUNDLES.items():
        if told is not None:
            change = _field_of_bundle(key, value)
            words = rf"bundle\.json.*{re.escape(told)}"
            table.append(Row("model/bundle.json", defect, change, PREDICT, 1, words))
    for defect, change in damage.ANY_FILE.items():
        for kind in ("model/bundle.json", "model/member_0.keras"):
            table.append(Row(kind, defect, change, PREDICT, *damage.expected(kind, defect)))
    for command, code, words in options.WRONG:
        table.append(Row("command line", command, lambda path: None, command, code, words))
    return table


ROWS = rows()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, tiny_inputs: Path) -> Path:
    """Return a folder with every good file."""
    folder = tmp_path_factory.mktemp("good")
    good.write_all(folder, tiny_inputs)
    (folder / "catalog.yaml").write_text(CATALOG)
    return folder


def _prepared(row: Row, files: Path, folder: Path) -> list[str]:
    """Copy the files that a command names, damage one, and return the command."""
    place, _, inner = row.kind.partition("/")
    command = row.command.format(place).split()
    for name in dict.fromkeys([place, *command]):
        good.taken(files, name, folder)
    row.change(folder / place / inner if inner else folder / place)
    return command


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_bad_input(
    row: Row, files: Path, tmp_path: Path, in_process: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = _prepared(row, files, tmp_path)
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    message = refused(in_process(*command), row.code)
    assert re.search(row.words, said(message)), message
    if row.kind != "command line":
        assert Path(row.kind).name in message
    assert contents(tmp_path) == before


def test_the_table_is_whole() -> None:
    assert len(ROWS) >= 400
    again = [name for name, n in Counter((*row[:2], row.command) for row in ROWS).items() if n > 1]
    assert not again


GOOD = [
    *(c.format(kind) for kind in good.FIELDS for c in (REGRID, ZONAL)),
    *(IN_POLYGONS.format(kind) for kind in good.POLYGONS),
    *(command.format("field.nc") for command in (EVALUATE, MAP, EXPORT)),
    "catalog list --catalog catalog.yaml",
    "catalog check -C project",
    PREDICT.format("model"),
]


@pytest.mark.parametrize("command", GOOD)
def test_good_input(
    command: str, files: Path, tmp_path: Path, in_process: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Row(".", "none", lambda path: None, command, 0, "")
    _prepared(row, files, tmp_path)
    monkeypatch.chdir(tmp_path)
    done = in_process(*command.split())
    assert done.returncode == 0, done.stderr
