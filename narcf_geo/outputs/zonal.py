"""Tables of zonal statistics as files: CSV, Parquet, and GeoPackage for QGIS."""

from __future__ import annotations

import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from narcf_geo.budget.polygons import zonal
from narcf_geo.core.errors import UsageError
from narcf_geo.core.files import atomic_path, require_replaceable
from narcf_geo.core.lock import hold_output
from narcf_geo.core.progress import Progress, silent
from narcf_geo.fields.formats import need
from narcf_geo.fields.regions import labels_of, open_regions, polygons_of
from narcf_geo.fields.series import files_of_series
from narcf_geo.outputs.geopackage import write_geopackage
from narcf_geo.outputs.tables import write_csv

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

SUFFIXES = (".csv", ".gpkg", ".parquet")

POLYGONS, STATISTICS = "polygons", "statistics"
"""Layers of a GeoPackage: the regions once, and a table of a row for each region and step."""


def zonal_file(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    polygons: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    name: str | None = None,
    layer: str | None = None,
    progress: Progress = silent,
    **options: Any,
) -> pd.DataFrame:
    """Write area-weighted statistics of rasters in polygons to a file.

    Parameters
    ----------
    sources : path, pattern, or several
        Rasters; see `narcf_geo.fields.series.open_series`.
    polygons : path
        See `narcf_geo.fields.regions.open_regions`.
    output : path
        ``.csv``; ``.parquet`` (needs pyarrow); or ``.gpkg``, with the layers ``polygons`` (each
        region once, with the attributes of the input), ``statistics`` (the table) and, for each
        variable, its rows with the shapes: a view of the two, so that shapes are stored once.
    name, layer
        The column that names the polygons, and the layer they are in.
    progress : callable, optional
        Told how much is done.
    **options
        As for `narcf_geo.zonal`.

    Returns
    -------
    pandas.DataFrame
        What was written, as `narcf_geo.zonal` returns it.

    Raises
    ------
    UsageError
        When the output is none of these, or one of the inputs.
    NarcfError
        As for `narcf_geo.zonal`.
    """
    output = Path(output)
    suffix = output.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"expected an output ending in {', '.join(SUFFIXES)}, found {output.name}")
    if suffix == ".parquet":
        need("pyarrow", output, "parquet")
    files = files_of_series(sources)
    require_replaceable(output, [*files, polygons], store=False)
    table = zonal(files, polygons, name=name, layer=layer, progress=progress, **options)
    table.attrs["notes"] += _without_crs(files[0]) + _of_one_name(polygons, name, layer)
    with hold_output(output):
        if suffix == ".gpkg":
            _write_geopackage(table, _with_attributes(polygons, name, layer, table), output)
        elif suffix == ".csv":
            write_csv(table, output)
        else:
            plain = table.copy(deep=False)
            plain.attrs = {}
            with atomic_path(output) as temporary:
                plain.to_parquet(temporary, index=False, engine="pyarrow")
    return table


def _without_crs(path: Path) -> list[str]:
    """Say that a raster without a CRS was taken to be in degrees."""
    if path.suffix.lower() not in (".tif", ".tiff", ".img", ".bil", ".vrt"):
        return []
    from narcf_geo.fields.rasters import opened_raster

    with opened_raster(path) as raster:
        if raster.crs is not None:
            return []
    return [f"{path.name} states no CRS: its cells were taken as degrees east and north"]


def _of_one_name(path: str | os.PathLike[str], name: str | None, layer: str | None) -> list[str]:
    """Say which polygons were taken as one region."""
    rows, where = polygons_of(path, layer)
    labels = labels_of(rows, name, where)
    many = {label: n for label, n in Counter(labels).items() if n > 1}
    if not many:
        return []
    some = ", ".join(f"{n} named {label!r}" for label, n in list(many.items())[:3])
    more = " and others" if len(many) > 3 else ""
    return [f"polygons of one name are one region: {some}{more}"]


def _with_attributes(
    path: str | os.PathLike[str], name: str | None, layer: str | None, table: pd.DataFrame
) -> gpd.GeoDataFrame:
    """Return the regions once each, with the attributes that all their rows share."""
    import geopandas as gpd
    import shapely

    rows, where = polygons_of(path, layer)
    labels = labels_of(rows, name, where)
    attributes = rows.drop(columns=rows.geometry.name)
    groups = attributes.groupby(labels, sort=False)
    shared = groups.first().where(groups.nunique(dropna=False) == 1)
    first = open_regions(path, name, layer).index
    shapes: dict[str, list[Any]] = {label: [] for label in first}
    for label, shape in zip(labels, rows.geometry, strict=True):
        shapes[label].append(shape)
    geometry = [
        s[0] if len(s) == 1 else shapely.union_all(shapely.make_valid(s)) for s in shapes.values()
    ]
    shared = shared.loc[list(first)].rename(columns=str)
    taken = {"region", "fid", "geom", "geometry"}
    shared = shared.rename(columns={c: f"{c}_" for c in shared if c.lower() in taken})
    shared.insert(0, "region", list(first))
    return gpd.GeoDataFrame(shared.reset_index(drop=True), geometry=geometry, crs=rows.crs)


def _write_geopackage(table: pd.DataFrame, regions: gpd.GeoDataFrame, path: Path) -> None:
    """Write the regions, the table, and for each variable a view of both."""
    import pyogrio

    with atomic_path(path) as temporary:
        write_geopackage({POLYGONS: regions}, temporary)
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2000-01-01T00:00:00Z"})
        try:
            pyogrio.write_dataframe(
                _flat(table), temporary, layer=STATISTICS, driver="GPKG", append=True
            )
        finally:
            pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
        with closing(sqlite3.connect(temporary)) as file, file:
            file.execute(f"CREATE INDEX polygons_region ON {POLYGONS}(region)")
            for variable in table["variable"].unique():
                _add_view(file, table, str(variable))


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of types that GeoPackage has."""
    plain = table.copy(deep=False)
    plain.attrs = {}
    for column in plain.columns:
        if plain[column].dtype == object:
            plain[column] = plain[column].where(plain[column].isna(), plain[column].astype(str))
    return plain


def _add_view(file: sqlite3.Connection, table: pd.DataFrame, variable: str) -> None:
    """Register the rows of a variable with their shapes as a layer."""
    rows = table[table["variable"] == variable]
    columns = [c for c in rows.columns if not rows[c].isna().all() and c != "variable"]
    taken = {name.lower() for (name,) in file.execute("SELECT table_name FROM gpkg_contents")}
    view = re.sub(r"\W", "_", variable)
    while view.lower() in taken:
        view += "_"
    chosen = ", ".join(f"s.{_quoted(c)} AS {_quoted(c)}" for c in columns)
    text = variable.replace("'", "''")
    # A view takes no parameters: names are quoted, and so is the one text.
    file.execute(
        f"CREATE VIEW {_quoted(view)} AS SELECT s.fid AS OGC_FID, p.geom AS geom, {chosen} "  # noqa: S608 # nosec B608
        f"FROM {STATISTICS} s JOIN {POLYGONS} p ON s.region = p.region "
        f"WHERE s.variable = '{text}'"
    )
    file.execute(
        "INSERT INTO gpkg_contents (table_name, identifier, data_type, description, last_change, "
        "min_x, min_y, max_x, max_y, srs_id) SELECT ?, ?, 'features', ?, last_change, min_x, "
        "min_y, max_x, max_y, srs_id FROM gpkg_contents WHERE table_name = ?",
        (view, view, f"{variable} in each of the {POLYGONS}", POLYGONS),
    )
    file.execute(
        "INSERT INTO gpkg_geometry_columns SELECT ?, column_name, geometry_type_name, srs_id, z, m "
        "FROM gpkg_geometry_columns WHERE table_name = ?",
        (view, POLYGONS),
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
