"""GeoPackages with several layers, the same bytes for the same content."""

from __future__ import annotations

import filecmp
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.files import atomic_path, partial_path, remove

if TYPE_CHECKING:
    import geopandas as gpd


def write_geopackage(layers: Mapping[str, gpd.GeoDataFrame], path: str | PathLike[str]) -> Path:
    """Write each frame as the layer of its name into one ``.gpkg``, whole or not at all."""
    import pyogrio

    path = Path(path)
    # GDAL stamps each layer with the time of writing unless told a time.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2000-01-01T00:00:00Z"})
    try:
        with atomic_path(path) as temporary:
            _write(layers, temporary)
            _require_whole(temporary, path, {name: len(frame) for name, frame in layers.items()})
            _require_the_same_again(layers, temporary, path)
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    return path


def _write(layers: Mapping[str, gpd.GeoDataFrame], file: Path) -> None:
    for name, frame in layers.items():
        frame.to_file(file, layer=name, driver="GPKG", engine="pyogrio", VERSION="1.2")


def _require_the_same_again(layers: Mapping[str, gpd.GeoDataFrame], file: Path, path: Path) -> None:
    """Refuse a file that lost what is no row, of an index or an extent: a second one shows it."""
    again = partial_path(path)
    try:
        _write(layers, again)
        if not filecmp.cmp(file, again, shallow=False):
            raise NarcfError(
                f"{path}: cannot be written (written twice, the bytes differ); see to the disk, "
                "and run again"
            )
    finally:
        remove(again)


def _require_whole(file: Path, path: Path, rows: Mapping[str, int]) -> None:
    """Refuse a file that lacks what was written: GDAL keeps a failed write at closing to itself."""
    with closing(sqlite3.connect(file)) as database:
        for layer, expected in rows.items():
            name = layer.replace('"', '""')
            ((found,),) = database.execute(f'SELECT count(*) FROM "{name}"')  # noqa: S608
            if found != expected:
                raise NarcfError(
                    f"{path}: cannot be written (layer {layer!r} has {found} of {expected} rows); "
                    "see to the disk, and run again"
                )
        ((state,),) = database.execute("PRAGMA quick_check(1)")
    if state != "ok":
        raise NarcfError(f"{path}: cannot be written ({state}); see to the disk, and run again")
