"""What may be wrong within a file of polygons."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

SQUARE = [[-108, 42], [-104, 42], [-104, 48], [-108, 48], [-108, 42]]


def _features(change: Callable[[list[Any]], Any]) -> Callable[[Path], None]:
    """Change the list of features of a GeoJSON file, or replace it by what is returned."""

    def rewrite(path: Path) -> None:
        content = json.loads(path.read_text())
        content["features"] = change(content["features"])
        path.write_text(json.dumps(content))

    return rewrite


def _geometry(kind: str, coordinates: Any) -> Callable[[Path], None]:
    geometry = None if coordinates is None else {"type": kind, "coordinates": coordinates}
    return _features(lambda found: [{**found[0], "geometry": geometry}, found[1]])


def _without(suffix: str) -> Callable[[Path], None]:
    return lambda path: path.with_suffix(suffix).unlink()


GEOJSON: dict[str, tuple[Callable[[Path], None], str]] = {
    "no feature": (_features(lambda found: []), "polygon"),
    "features are no list": (_features(lambda found: 7), "polygon"),
    "no geometry": (_geometry("Polygon", None), "'west'"),
    "an empty polygon": (_geometry("Polygon", []), "'west'"),
    "a point": (_geometry("Point", [-104, 45]), "Point"),
    "a line": (_geometry("LineString", SQUARE[:3]), "LineString"),
    "a line closed to no area": (_geometry("Polygon", [[SQUARE[0]] * 4]), "'west'"),
    "a corner as text": (_geometry("Polygon", [[["a", "b"], *SQUARE]]), "polygon"),
    "a corner of 1e30": (_geometry("Polygon", [[[1e30, 42], *SQUARE[1:], [1e30, 42]]]), "degrees"),
    "beyond the pole": (_geometry("Polygon", [[[x, y + 60] for x, y in SQUARE]]), "polygon|lat"),
    "a list": (lambda path: path.write_text("[]"), "polygon"),
    "a number": (lambda path: path.write_text("7"), "polygon"),
    "text of another kind": (lambda path: path.write_text("name,area\nwest,3\n"), "polygon"),
}  # fmt: skip
"""Defects of a GeoJSON file, and words of the message."""

SHAPEFILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "without its index": (_without(".shx"), "shx"),
    "another in its reference system": (
        lambda path: path.with_suffix(".prj").write_text("NOWHERE"),
        "CRS",
    ),
}
"""Files that belong to a shapefile and are not there."""
