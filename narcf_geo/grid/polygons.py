"""Grid cells as polygons for maps and GIS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    import geopandas as gpd

    from narcf_geo.grid.grid import Grid


def cell_polygons(grid: Grid) -> gpd.GeoDataFrame:
    """Return the cells of `grid` as a GeoDataFrame; see `Grid.cells`."""
    import geopandas as gpd

    from narcf_geo.grid.grid import quads

    lon_c, lat_c = grid.corners()
    lon, lat = quads(lon_c).reshape(-1, 4), quads(lat_c).reshape(-1, 4)
    # Each ring starts within -180..180 and goes on without a jump, also across the dateline.
    lon = np.unwrap(lon, period=360, axis=1)
    lon -= 360 * np.floor((lon.min(axis=1, keepdims=True) + 180) / 360)
    closing = lon[:, 0] - lon[:, 3]
    around_pole = np.abs(closing) > 180
    rings = np.stack([lon, lat], axis=-1)
    polygons = shapely.polygons(rings)
    for k in np.flatnonzero(around_pole):
        polygons[k] = _polar(rings[k], np.sign(-closing[k]))
    for k in np.flatnonzero((lon.max(axis=1) > 180) | around_pole):
        polygons[k] = _split(polygons[k])
    centers = grid.centers()
    return gpd.GeoDataFrame(
        {"lat": centers[1].ravel(), "lon": centers[0].ravel(), "area": grid.area.ravel()},
        geometry=polygons,
        crs="EPSG:4326",
    )


def _polar(ring: np.ndarray, direction: float) -> shapely.Polygon:
    """Return the ring that goes once round, closed along the nearer pole."""
    pole = 90.0 if ring[:, 1].mean() > 0 else -90.0
    end = ring[0] + [360 * direction, 0]
    return shapely.Polygon([*ring, end, (end[0], pole), (ring[0, 0], pole)])


def _split(polygon: shapely.Polygon) -> shapely.Geometry:
    parts = []
    for turn in (-1, 0, 1):
        moved = shapely.transform(polygon, lambda p, by=(360 * turn, 0): p + by)
        part = shapely.intersection(moved, shapely.box(-180, -90, 180, 90))
        parts += [g for g in shapely.get_parts(part) if g.area > 0]
    return shapely.union_all(parts)
