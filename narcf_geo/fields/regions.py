"""The door for polygons that a user names: ecoregions, states, catchments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from narcf_geo.core.errors import MissingFileError, NarcfError, UsageError
from narcf_geo.core.ordinary import require_ordinary
from narcf_geo.fields.formats import need
from narcf_geo.fields.reading import named
from narcf_geo.fields.vectors import plain_vector
from narcf_geo.grid import Grid

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import scipy.sparse as sp

SLIVER = 1e-3
"""Part of the smaller of two regions that both may cover and still be neighbours."""


def open_regions(
    source: str | os.PathLike[str] | gpd.GeoDataFrame | gpd.GeoSeries,
    name: str | None = None,
    layer: str | None = None,
) -> gpd.GeoSeries:
    """Open a file, or take an object, as named regions in longitude and latitude.

    Parameters
    ----------
    source : path, geopandas.GeoDataFrame or geopandas.GeoSeries
        Polygons in any CRS: a GeoPackage, Shapefile, GeoJSON or other file that GDAL reads, or an
        object. Edges are straight in this CRS. Longitudes may be those of any turn, such as 0 to
        360, and polygons may cross 180 degrees or lie around a pole. An edge over more than 270
        degrees of longitude, such as one from 179 to -179, crosses 180 degrees (with a warning)
        unless it spans the whole circle.
    name : str, optional
        The column that names them; by default the one called ``name`` in small or capital letters,
        else the first column of text, else they are numbered from 1. A GeoSeries is named by its
        index where that is not a plain count.
    layer : str, optional
        The layer of a file that has several with polygons.

    Returns
    -------
    geopandas.GeoSeries
        Polygons and MultiPolygons in EPSG:4326 within -180..180 degrees, valid, by their names as
        text, in order of first appearance. Those of one name are one region.

    Raises
    ------
    UsageError
        When there is no such file (also a FileNotFoundError), it is not one of polygons, there is
        no CRS or no such column, a name is missing, or a region has no area.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely import box
    >>> fiji = gpd.GeoDataFrame({"NAME": ["Fiji"]}, geometry=[box(177, -19, 182, -16)],
    ...                         crs="EPSG:4326")
    >>> regions = open_regions(fiji)
    >>> regions.index.tolist(), [part.bounds for part in regions["Fiji"].geoms]
    (['Fiji'], [(-180.0, -19.0, -178.0, -16.0), (177.0, -19.0, 180.0, -16.0)])
    """
    import geopandas as gpd
    import shapely

    from narcf_geo.grid.reproject import lonlat_shapes

    regions, where = polygons_of(source, layer)
    if regions.crs is None:
        raise UsageError(
            f"{where}expected regions with a CRS, found none; set it with GeoDataFrame.set_crs, "
            "such as set_crs('EPSG:4326') for longitudes and latitudes"
        )
    labels = labels_of(regions, name, where)
    shapes = [_with_area(g, n, where) for g, n in zip(regions.geometry, labels, strict=True)]
    with named(where.removesuffix(": ")):
        found = lonlat_shapes(shapes, labels, regions.crs)
    parts: dict[str, list[Any]] = {}
    for label, shape in zip(labels, found, strict=True):
        parts.setdefault(label, []).append(shape)
    names = list(parts)
    unions = [p[0] if len(p) == 1 else shapely.union_all(p) for p in parts.values()]
    if flat := [n for n, union in zip(names, unions, strict=True) if not union.area > 0]:
        raise UsageError(f"{where}region {flat[0]!r}: expected a polygon, found one without area")
    return gpd.GeoSeries(unions, index=names, crs="EPSG:4326")


def region_shares(grid: Grid, regions: gpd.GeoSeries) -> sp.csr_array:
    """Return the part of each cell's area, on the sphere, in each region, as a sparse matrix.

    Parameters
    ----------
    grid : Grid
        Of any convention of longitude.
    regions : geopandas.GeoSeries
        As of `open_regions`.

    Returns
    -------
    scipy.sparse.csr_array
        (region, cell), 0 to 1, cells in C order; see `inside` for an example.
    """
    from narcf_geo.grid.shares import cell_shares

    return cell_shares(grid, regions.to_numpy())


def inside(grid: Grid, regions: gpd.GeoSeries) -> np.ndarray:
    """Return the part of each cell's area, on the sphere, in each region.

    Parameters
    ----------
    grid : Grid
        Of any convention of longitude.
    regions : geopandas.GeoSeries
        As of `open_regions`.

    Returns
    -------
    numpy.ndarray
        (region, lat, lon), 0 to 1.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely import box
    >>> regions = open_regions(gpd.GeoSeries([box(-109.5, 30, -108, 31)], crs="EPSG:4326"))
    >>> inside(Grid.regular(250, 30, 253, 31, 1), regions).round(9).tolist()
    [[[0.5, 1.0, 0.0]]]
    """
    return region_shares(grid, regions).toarray().reshape(len(regions), *grid.shape)


def region_areas(regions: gpd.GeoSeries) -> pd.Series:
    """Return the area of each region, m2, on the sphere of 6371007.2 m, on the grid or not."""
    import pandas as pd

    from narcf_geo.grid.shares import sphere_area

    return pd.Series(sphere_area(regions.to_numpy()), index=regions.index)


def off_grid(grid: Grid, regions: gpd.GeoSeries) -> list[str]:
    """Return the names of the regions of which no part lies on the grid.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely import box
    >>> regions = gpd.GeoSeries({"Spain": box(-9, 36, 3, 43), "Ohio": box(-85, 38, -80, 42)},
    ...                         crs="EPSG:4326")
    >>> off_grid(Grid.regular(-100, 30, -60, 50, 1), open_regions(regions))
    ['Spain']
    """
    touched = np.diff(region_shares(grid, regions).indptr) > 0
    return [str(n) for n, on_it in zip(regions.index, touched, strict=True) if not on_it]


def without_overlap(regions: gpd.GeoSeries, tolerance: float = SLIVER) -> gpd.GeoSeries:
    """Return regions that share no area; a sliver between neighbours goes to the first of them.

    Parameters
    ----------
    regions : geopandas.GeoSeries
        As of `open_regions`.
    tolerance : float
        Part of the smaller region, by area on the sphere, that two regions may share.

    Returns
    -------
    geopandas.GeoSeries
        The same regions, whose areas add up to that of their union.

    Raises
    ------
    UsageError
        When two regions share more; the message names both.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely import box
    >>> shapes = {"Iowa": box(-110, 30, -105, 40), "Ohio": box(-105.001, 30, -100, 40)}
    >>> apart = without_overlap(open_regions(gpd.GeoSeries(shapes, crs="EPSG:4326")))
    >>> apart["Iowa"].bounds, apart["Ohio"].bounds
    ((-110.0, 30.0, -105.0, 40.0), (-105.0, 30.0, -100.0, 40.0))
    """
    import geopandas as gpd
    import shapely

    from narcf_geo.grid.rings import polygonal
    from narcf_geo.grid.shares import sphere_area

    shapes = regions.to_numpy().copy()
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    one, other = one[one < other], other[one < other]
    shared = np.array([polygonal(g) for g in shapely.intersection(shapes[one], shapes[other])])
    shared_area, area = sphere_area(shared), sphere_area(shapes)
    part = shared_area / np.minimum(area[one], area[other])
    if (part > tolerance).any():
        pairs = [
            f"{regions.index[one[k]]!r} and {regions.index[other[k]]!r} share "
            f"{shared_area[k] / 1e6:.6g} km2 ({part[k]:.3g} of the smaller)"
            for k in np.argsort(-part)[:3]
            if part[k] > tolerance
        ]
        raise UsageError(
            f"expected regions that do not overlap, found that {'; '.join(pairs)}; cut one of "
            f"them, or give them one name. Up to {tolerance:g} of the smaller is allowed for"
        )
    for k in np.lexsort((one, other)):
        if shared_area[k] > 0:
            shapes[other[k]] = polygonal(shapely.difference(shapes[other[k]], shapes[one[k]]))
    return gpd.GeoSeries(shapes, index=regions.index, crs=regions.crs)


def read_regions(path: str | os.PathLike[str], layer: str | None = None) -> gpd.GeoDataFrame:
    """Read a file of polygons as it is; `open_regions` makes named regions of it.

    Raises
    ------
    UsageError
        When there is no such file or layer, it is no file of polygons, or it has several layers of
        polygons and none is named.
    """
    import geopandas as gpd

    if not Path(path).exists():
        raise MissingFileError(f"{path}: no such file")
    try:
        if Path(path).suffix.lower() in (".parquet", ".geoparquet"):
            require_ordinary(path, UsageError)
            regions = _read_parquet(Path(path))
        else:
            with plain_vector(Path(path)):
                regions = gpd.read_file(path, layer=_layer_of(path, layer))
    except NarcfError:
        raise
    except Exception as error:  # pyogrio raises its own kinds for what is no vector file
        raise UsageError(f"{path}: expected a file of polygons: {error}") from None
    if not isinstance(regions, gpd.GeoDataFrame) or regions.empty:
        found = "no polygon" if len(regions) == 0 else "a table without geometry"
        raise UsageError(f"{path}: expected a file of polygons, found {found}")
    return regions


def _read_parquet(path: Path) -> gpd.GeoDataFrame:
    import geopandas as gpd

    need("pyarrow", path, "parquet")
    return gpd.read_parquet(path)


def _layer_of(path: str | os.PathLike[str], layer: str | None) -> str | None:
    """Return the layer to read: the one named, or the only one of polygons."""
    import pyogrio

    layers = pyogrio.list_layers(path)
    names = [str(name) for name in layers[:, 0]]
    if layer is not None:
        if layer not in names:
            raise UsageError(f"{path}: expected the layer {layer!r}, found {', '.join(names)}")
        return layer
    # Shapefiles and GeoJSON may not say what their geometries are.
    found = [str(n) for n, kind in layers if kind and ("Polygon" in kind or "Unknown" in kind)]
    if len(found) > 1:
        raise UsageError(
            f"{path}: expected one layer of polygons, found {', '.join(found)}; choose one with "
            "layer (--layer)"
        )
    return found[0] if found else names[0]


def polygons_of(source: Any, layer: str | None = None) -> tuple[gpd.GeoDataFrame, str]:
    """Return polygons as a table, and what to call it in an error."""
    import geopandas as gpd
    import pandas as pd

    if isinstance(source, str | os.PathLike):
        return read_regions(source, layer), f"{source}: "
    if isinstance(source, gpd.GeoSeries):
        if isinstance(source.index, pd.RangeIndex):
            return source.to_frame("geometry"), ""
        table = {"name": source.index.to_numpy()}
        return gpd.GeoDataFrame(table, geometry=source.to_numpy(), crs=source.crs), ""
    if not isinstance(source, gpd.GeoDataFrame):
        raise UsageError(
            "expected regions as a path, a geopandas.GeoDataFrame or GeoSeries, found "
            f"{type(source).__name__}"
        )
    if source._geometry_column_name not in source.columns:
        raise UsageError(
            f"expected regions with a geometry column, found {sorted(map(str, source.columns))}; "
            "set it with GeoDataFrame.set_geometry"
        )
    if source.empty:
        raise UsageError("expected regions, found a table without rows")
    return source, ""


def labels_of(regions: gpd.GeoDataFrame, name: str | None, where: str) -> list[str]:
    """Return the name of each row of polygons, see `open_regions`."""
    column = _name_column(regions, name, where)
    if column is None:
        return [str(n) for n in range(1, len(regions) + 1)]
    values = regions[column]
    texts = [
        None if missing else _text(v) for v, missing in zip(values, values.isna(), strict=True)
    ]
    nameless = [row for row, text in enumerate(texts, 1) if not text]
    if nameless:
        rows = ", ".join(map(str, nameless[:10])) + (" ..." if len(nameless) > 10 else "")
        raise UsageError(
            f"{where}expected a name of each region in the column {column!r}, found none in row "
            f"{rows} of {len(texts)}; name or drop these polygons, or choose another column"
        )
    return [text for text in texts if text]


def _text(value: Any) -> str:
    """Return a name as text; numbers that a file holds as floats lose their point."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value).strip()


def _name_column(regions: gpd.GeoDataFrame, name: str | None, where: str) -> Any:
    import pandas as pd

    columns = [c for c in regions.columns if c != regions.geometry.name]
    wanted = "name" if name is None else str(name)
    exact = [c for c in columns if str(c) == wanted]
    called = [c for c in columns if str(c).lower() == wanted.lower()]
    if name is not None and not called:
        raise UsageError(
            f"{where}expected the column {name!r} in the regions, found {sorted(map(str, columns))}"
        )
    texts = [c for c in columns if pd.api.types.is_string_dtype(regions[c])]
    return next(iter([*exact, *called, *texts]), None)


def _with_area(geometry: Any, label: str, where: str) -> Any:
    """Return the polygons of a geometry, refusing what has none."""
    import shapely

    from narcf_geo.grid.rings import polygonal

    if geometry is None or geometry.is_empty:
        raise UsageError(
            f"{where}region {label!r}: expected a polygon, found an empty geometry; drop the row"
        )
    flat = shapely.force_2d(geometry)
    if flat.geom_type not in ("Polygon", "MultiPolygon", "GeometryCollection"):
        raise UsageError(f"{where}region {label!r}: expected a polygon, found a {flat.geom_type}")
    if flat.geom_type == "GeometryCollection":
        flat = polygonal(flat)
    if flat.is_empty:
        raise UsageError(f"{where}region {label!r}: expected a polygon, found points or lines")
    return flat
