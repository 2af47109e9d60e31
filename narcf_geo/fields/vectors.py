"""Files of polygons through GDAL, each by the driver of its suffix; none leads elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from narcf_geo.core.errors import UsageError
from narcf_geo.core.ordinary import require_ordinary

_FORMATS: dict[str, tuple[tuple[str, ...], tuple[bytes, ...]]] = {
    ".gpkg": (("GPKG",), (b"SQLite format 3\0",)),
    ".shp": (("ESRI Shapefile",), (b"\0\0\x27\x0a",)),
    ".geojson": (("GeoJSON", "TopoJSON", "ESRIJSON"), (b"{",)),
    ".json": (("GeoJSON", "TopoJSON", "ESRIJSON"), (b"{",)),
    ".fgb": (("FlatGeobuf",), (b"fgb",)),
    ".gml": (("GML",), (b"<",)),
    ".kml": (("LIBKML", "KML"), (b"<",)),
    ".zip": (("ESRI Shapefile",), (b"PK",)),
    ".gdb": (("OpenFileGDB",), ()),
}
"""Drivers and first bytes of each format, by its suffix; a geodatabase is a folder."""

_BESIDE = (".shx", ".dbf", ".prj", ".cpg", ".gfs", ".xsd")
_HEAD = 100_000
_CLOSED = {
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{none}",
    "GML_DOWNLOAD_SCHEMA": "NO",
    "GML_SKIP_RESOLVE_ELEMS": "ALL",
    "OGR_SQLITE_LOAD_EXTENSIONS": None,
    "OGR_SQLITE_ALLOW_EXTERNAL_ACCESS": "NO",
}


@contextmanager
def plain_vector(path: Path) -> Iterator[None]:
    """Let GDAL open a file of polygons by its own driver, and ask no other computer meanwhile.

    Raises
    ------
    UsageError
        When the file is of another format than its suffix says.
    """
    import pyogrio

    drivers = _require_plain(path)
    before = {name: pyogrio.get_gdal_config_option(name) for name in _CLOSED}
    pyogrio.set_gdal_config_options(_CLOSED)
    try:
        if (found := _driver(path)) not in drivers:
            raise UsageError(f"{path}: expected {' or '.join(drivers)}, found {found}")
        yield
    finally:
        pyogrio.set_gdal_config_options(before)


def _driver(path: Path) -> str:
    import pyogrio

    layer = pyogrio.list_layers(path)[0, 0]
    return str(pyogrio.read_info(path, layer=layer)["driver"])


def _require_plain(path: Path) -> tuple[str, ...]:
    """Return the drivers for a file, by its suffix and its first bytes."""
    require_ordinary(path, UsageError)
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise UsageError(
            f"{path}: expected a file of polygons: {', '.join(_FORMATS)}, .parquet; convert it "
            "first, as with ogr2ogr"
        )
    for beside in _BESIDE:
        require_ordinary(path.with_suffix(beside), UsageError)
    drivers, begins = _FORMATS[suffix]
    if path.is_dir():
        if suffix != ".gdb":
            raise UsageError(f"{path}: expected a file of polygons, found a folder")
        return drivers
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise UsageError(f"{path}: expected polygons, found an empty file")
    first = (
        head.removeprefix(b"\xef\xbb\xbf").lstrip() if begins[:1] in ((b"{",), (b"<",)) else head
    )
    if not first.startswith(begins) or b"<OGRVRT" in head:
        raise UsageError(
            f"{path}: expected a file of polygons that begins as {suffix} does, found "
            f"{first[:16]!r}; correct its suffix, or convert it with ogr2ogr"
        )
    return drivers
