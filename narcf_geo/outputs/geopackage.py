"""GeoPackages with several layers, the same bytes for the same content."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from narcf_geo.core.files import atomic_path

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
            for name, frame in layers.items():
                frame.to_file(temporary, layer=name, driver="GPKG", engine="pyogrio", VERSION="1.2")
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    return path
