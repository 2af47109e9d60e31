"""Polygons that a user names: ecoregions, states, catchments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from narcf_geo.errors import UsageError

if TYPE_CHECKING:
    import geopandas as gpd


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
