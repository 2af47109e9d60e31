"""What a QGIS project shows around the data: region, coastline, borders, states."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    import geopandas as gpd

_LINES = {
    "region": ("#b2182b", 0.5),
    "regions": ("#542788", 0.5),
    "coastline": ("#1b2a33", 0.35),
    "borders": ("#1b2a33", 0.5),
    "states": ("#56656e", 0.2),
}


def write_context(
    path: Path, region: shapely.Geometry, regions: gpd.GeoDataFrame | None
) -> dict[str, tuple[str, float]]:
    """Write region, regions, coastline, borders and states; return the layers that are there."""
    import geopandas as gpd

    from narcf_geo.fields.regions import open_regions
    from narcf_geo.figures.basemap import natural_earth
    from narcf_geo.outputs.geopackage import write_geopackage

    layers: dict[str, gpd.GeoDataFrame] = {
        "region": gpd.GeoDataFrame({"name": ["region"]}, geometry=[region], crs="EPSG:4326")
    }
    if regions is not None:
        named = open_regions(regions)
        layers["regions"] = gpd.GeoDataFrame(
            {"name": named.index}, geometry=[*named], crs=named.crs
        )
    for name in ("coastline", "borders", "states"):
        scale = "10m" if name == "states" else "50m"
        shapes = shapely.intersection(np.array(natural_earth(name, scale)), region)
        shapes = shapely.get_parts(shapes[~shapely.is_empty(shapes)])
        shapes = shapes[shapely.get_dimensions(shapes) == 1]
        if shapes.size:
            layers[name] = gpd.GeoDataFrame(
                {"source": ["Natural Earth"] * shapes.size}, geometry=shapes, crs="EPSG:4326"
            )
    write_geopackage(layers, path)
    return {name: line for name, line in _LINES.items() if name in layers}
