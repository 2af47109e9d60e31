"""Polygons of a table as cells: holes, islands, any CRS, across the dateline and to the poles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from narcf_geo.core.errors import UsageError
from narcf_geo.grid.layouts.corners import mesh_of_rings
from narcf_geo.grid.mesh import Mesh
from narcf_geo.grid.rings import enclosed, polygonal

if TYPE_CHECKING:
    import geopandas as gpd

STEP = 0.05
"""Degrees: a great circle of that length leaves a parallel by 0.3 m at most."""

_METRES = 5000.0
"""The same in a projected CRS."""

_WIDEST = 30.0
"""Degrees: larger polygons are cut, so that each piece is far smaller than half a sphere."""

_VERTICES = 400
"""Pieces of more are cut: the time to divide a ring grows with the square of its length."""


def mesh_of_polygons(polygons: gpd.GeoDataFrame | gpd.GeoSeries) -> Mesh:
    """Return the mesh of a table of polygons; see `Mesh.from_polygons`."""
    shapes = _lonlat(polygons)
    pieces, owner = _pieces(shapes)
    pieces = shapely.segmentize(pieces, STEP)
    counts = shapely.get_num_coordinates(pieces) - 1
    lonlat = shapely.get_coordinates(pieces)
    closing = np.cumsum(counts + 1) - 1
    lon, lat = np.delete(lonlat, closing, axis=0).T
    return mesh_of_rings(lon, lat, counts, owner=owner, shape=(len(shapes),))


def _lonlat(polygons: gpd.GeoDataFrame | gpd.GeoSeries) -> np.ndarray:
    """Return valid polygons in longitude and latitude."""
    series = polygons.geometry
    shapes = np.array(series.values, dtype=object)
    shapes[[s is None for s in shapes]] = shapely.Polygon()
    wrong = ~np.isin(shapely.get_type_id(shapes), (3, 6))
    if wrong.any():
        first = int(wrong.argmax())
        raise UsageError(
            f"expected polygons, found {shapes[first].geom_type} at {series.index[first]!r}; "
            "drop it, or give it an area with buffer"
        )
    for k in np.flatnonzero(~shapely.is_valid(shapes)):
        shapes[k] = polygonal(shapely.make_valid(shapes[k]))
    if series.crs is None or (series.crs.is_geographic and not series.crs.is_derived):
        if series.crs is not None and series.crs.to_epsg() != 4326:
            shapes = np.array(series.set_axis(range(len(shapes))).to_crs(4326).values, dtype=object)
        return shapes
    from pyproj import Transformer

    step = _METRES / series.crs.axis_info[0].unit_conversion_factor
    transform = Transformer.from_crs(series.crs, 4326, always_xy=True).transform
    fine = shapely.segmentize(shapely.force_2d(shapes), step)
    return np.array([_turned(shape, transform) for shape in fine], dtype=object)


def _turned(shape: shapely.Geometry, transform) -> shapely.Geometry:  # type: ignore[no-untyped-def]
    """Return a projected polygon in longitude and latitude, each edge the shorter way round."""
    parts = []
    for part in shapely.get_parts(shape):
        rings = [
            enclosed(np.column_stack(transform(*shapely.get_coordinates(r).T)))
            for r in (part.exterior, *part.interiors)
        ]
        parts.append(polygonal(rings[0].difference(shapely.union_all(rings[1:]))))
    return shapely.union_all(parts) if parts else shapely.Polygon()


def _pieces(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return simple pieces of polygons, without holes and of moderate size, and whose they are."""
    done: list[tuple[np.ndarray, np.ndarray]] = []
    pieces, owner = _parts(shapely.force_2d(shapes), np.arange(len(shapes)))
    while owner.size:
        x0, y0, x1, y1 = shapely.bounds(pieces).T
        holes = shapely.get_num_interior_rings(pieces)
        size = np.maximum(x1 - x0, y1 - y0)
        small = (size <= _WIDEST) & (shapely.get_num_coordinates(pieces) <= _VERTICES)
        # Far from the equator a wide piece is one of many short edges.
        good = (holes == 0) & (small | (size < STEP))
        done.append((pieces[good], owner[good]))
        pieces, owner, holes = pieces[~good], owner[~good], holes[~good]
        x0, y0, x1, y1 = (v[~good] for v in (x0, y0, x1, y1))
        wide = x1 - x0 > y1 - y0
        xm, ym = (x0 + x1) / 2, (y0 + y1) / 2
        holed = np.flatnonzero(holes)
        if holed.size:
            hole = shapely.bounds(shapely.get_interior_ring(pieces[holed], 0))
            xm[holed], ym[holed] = hole[:, [0, 2]].mean(axis=1), hole[:, [1, 3]].mean(axis=1)
        low = shapely.box(x0, y0, np.where(wide, xm, x1), np.where(wide, y1, ym))
        high = shapely.box(np.where(wide, xm, x0), np.where(wide, y0, ym), x1, y1)
        halves = shapely.intersection(np.tile(pieces, 2), np.concatenate([low, high]))
        pieces, owner = _parts(halves, np.tile(owner, 2))
    if not done:
        return np.empty(0, object), np.empty(0, "int64")
    pieces, owner = (np.concatenate(v) for v in zip(*done, strict=True))
    order = np.argsort(owner, kind="stable")
    return pieces[order], owner[order]


def _parts(shapes: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the single polygons of geometries and whose they are."""
    for k in np.flatnonzero(shapely.get_type_id(shapes) == 7):
        shapes[k] = polygonal(shapes[k])
    parts, index = shapely.get_parts(shapes, return_index=True)
    kept = (shapely.get_type_id(parts) == 3) & (shapely.area(parts) > 0)
    return parts[kept], owner[index][kept]
