"""Polygons that a user names: ecoregions, states, catchments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from narcf_geo.core.errors import UsageError
from narcf_geo.grid import Grid

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd


def read_regions(path: str | Path) -> gpd.GeoDataFrame:
    """Read a GeoPackage, Shapefile or GeoJSON file.

    Raises
    ------
    UsageError
        When there is no such file, or it is no file of polygons.
    """
    import geopandas as gpd

    if not Path(path).exists():
        raise UsageError(f"{path}: no such file")
    try:
        return gpd.read_file(path)
    except Exception as error:  # pyogrio raises its own kinds for what is no vector file
        raise UsageError(f"{path}: expected a file of polygons: {error}") from None


def named_regions(regions: gpd.GeoDataFrame, name: str | None = None) -> gpd.GeoSeries:
    """Return the polygons by their names, in EPSG:4326; those of one name are one region.

    Parameters
    ----------
    regions : geopandas.GeoDataFrame
        Polygons in any CRS.
    name : str, optional
        The column that names them; by default the one called ``name`` in small or capital letters,
        else the first column of texts, else they are numbered from 1.

    Raises
    ------
    UsageError
        When there is no such column, or no CRS.
    """
    import geopandas as gpd

    if regions.crs is None:
        raise UsageError(
            "expected regions with a CRS, found none; set it with GeoDataFrame.set_crs"
        )
    labels = _labels(regions, name)
    valid = regions.to_crs("EPSG:4326").geometry.make_valid()
    unions = {k: valid[(labels == k).to_numpy()].union_all() for k in labels.unique()}
    return gpd.GeoSeries(unions, crs="EPSG:4326")


def inside(grid: Grid, polygons: gpd.GeoSeries) -> np.ndarray:
    """Return the part of each cell's area, on the sphere, in each polygon: (polygon, lat, lon)."""
    import shapely

    # Longitude and sine of latitude keep areas.
    def equal_area(xy: np.ndarray) -> np.ndarray:
        return np.stack([xy[:, 0], np.rad2deg(np.sin(np.deg2rad(xy[:, 1])))], axis=1)

    fine = shapely.segmentize(shapely.make_valid(polygons.to_numpy()), 0.5)
    shapes = shapely.transform(fine, equal_area)
    cells = shapely.transform(grid.cells().geometry.to_numpy(), equal_area)
    tree = shapely.STRtree(cells)
    share = np.zeros((len(shapes), cells.size))
    for number, shape in enumerate(shapes):
        near = tree.query(shape)
        overlap = shapely.area(shapely.intersection(cells[near], shape))
        share[number, near] = overlap / shapely.area(cells[near])
    return share.reshape(len(shapes), *grid.shape)


def _labels(regions: gpd.GeoDataFrame, name: str | None) -> pd.Series:
    import pandas as pd

    columns = [str(c) for c in regions.columns if c != regions.geometry.name]
    if name is not None and name not in columns:
        raise UsageError(f"expected the column {name!r} in the regions, found {sorted(columns)}")
    texts = [c for c in columns if pd.api.types.is_string_dtype(regions[c])]
    called = [c for c in columns if c.lower() == "name"]
    column = next(iter([name] if name else [*called, *texts]), None)
    if column is None:
        return pd.Series([str(n) for n in range(1, len(regions) + 1)], index=regions.index)
    return regions[column].astype(str)
