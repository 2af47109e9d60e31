"""What may be wrong with a file, whatever is in it: each function damages the one at a path."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Damage the bytes of a file, of every file of a store."""

    def damage(path: Path) -> None:
        for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
            file.write_bytes(change(file.read_bytes()))

    return damage


def _removed(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _replaced(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        _removed(path)
        make(path)

    return damage


def _noise(size: int) -> bytes:
    return np.random.default_rng(4).integers(0, 256, size, "uint8").tobytes()


ANY_FILE: dict[str, Callable[[Path], None]] = {
    "absent": _removed,
    "empty": _bytes(lambda data: b""),
    "cut in its head": _bytes(lambda data: data[:7]),
    "cut in the middle": _bytes(lambda data: data[: len(data) * 4 // 7]),
    "zeros": _bytes(lambda data: bytes(len(data))),
    "noise": _bytes(lambda data: _noise(len(data))),
    "noise in its head": _bytes(lambda data: _noise(16) + data[16:]),
    "a page of the web": _replaced(lambda path: path.write_text("<html>404 Not Found</html>\n")),
    "a picture": _replaced(lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + _noise(200))),
    "an empty folder": _replaced(lambda path: path.mkdir()),
    "a folder of something else": _replaced(
        lambda path: (path.mkdir(), (path / "readme.txt").write_text("hello"))[0]
    ),
    "a link to itself": _replaced(lambda path: path.symlink_to(path.name)),
    "a link to nothing": _replaced(lambda path: path.symlink_to("nowhere")),
    "a pipe": _replaced(lambda path: os.mkfifo(path)),
}
"""Defects by what they are called in the table."""

_UNREADABLE = {
    ".nc": "cannot be opened as netcdf",
    ".zarr": "cannot be opened as zarr",
    ".tif": "expected a GeoTIFF, .*, found a file that begins",
    ".asc": "cannot be opened as ascii",
    ".csv": "cannot be opened as csv|expected columns of longitude",
    ".geojson": "expected a file of polygons that begins as .geojson does",
    ".gpkg": "expected a file of polygons that begins as .gpkg does",
    ".shp": "expected a file of polygons that begins as .shp does",
    ".json": "cannot be read as JSON|no such file",
    ".keras": "no such file|was changed after training|expected a regular file",
}
"""Words for bytes that are of no such file, by its suffix."""

_WORDS = {
    "absent": "no such file",
    "a link to itself": "no such file",
    "a link to nothing": "no such file",
    "empty": "found an empty file",
    "an empty folder": "found a folder",
    "a folder of something else": "found a folder",
    "a pipe": "found a pipe",
}

_OTHER_WORDS = {
    ("classic.nc", "cut in the middle"): "expected a file of at least 23,744 bytes, found",
    ("offset.nc", "cut in the middle"): "expected a file of at least 23,760 bytes, found",
    ("field.tif", "cut in its head"): "cannot be opened as rasterio",
    ("field.tif", "cut in the middle"): "its values cannot be read",
    ("field.asc", "cut in the middle"): "expected 10 rows of 12 columns",
    ("field.csv", "cut in the middle"): "is the file cut short",
    ("regions.geojson", "cut in its head"): "expected a file of polygons",
    ("regions.geojson", "cut in the middle"): "expected a file of polygons",
    ("regions.gpkg", "cut in the middle"): "expected a file of polygons",
    ("regions.shp", "cut in its head"): "expected a file of polygons",
    ("regions.shp", "cut in the middle"): "expected a polygon, found an empty geometry",
}


def expected(kind: str, defect: str) -> tuple[int, str]:
    """Return the exit code and the words for a good file that was damaged."""
    suffix = Path(kind).suffix
    if suffix == ".zarr" and defect == "empty":  # the files of the store
        return 1, _UNREADABLE[suffix]
    if suffix in (".json", ".keras"):
        return 1, _UNREADABLE[suffix]
    words = _OTHER_WORDS.get((kind, defect)) or _WORDS.get(defect) or _UNREADABLE[suffix]
    named = suffix in (".geojson", ".gpkg", ".shp") or words == "no such file"
    return 2 if named else 1, words
