"""Polygons of a table as cells: holes, islands, any CRS, across the dateline and to the poles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from narcf_geo.core.errors import UsageError
from narcf_geo.grid.layouts.corners import mesh_of_rings
from narcf_geo.grid.mesh import Mesh
from narcf_geo.grid.reproject import lonlat_shapes
from narcf_geo.grid.rings import polygonal
from narcf_geo.grid.sphere import to_lonlat, to_xyz

if TYPE_CHECKING:
    import geopandas as gpd

STEP = 0.05
"""Degrees: a great circle of that length leaves a parallel by 0.3 m at most."""

_WIDEST = 10.0
"""Degrees: larger polygons are cut, so that each piece is far smaller than half a sphere."""

_VERTICES = 200
"""Pieces of more are cut: the time to divide a ring grows with the square of its length."""


def mesh_of_polygons(polygons: gpd.GeoDataFrame | gpd.GeoSeries) -> Mesh:
    """Return the mesh of a table of polygons; see `Mesh.from_polygons`."""
    shapes = _lonlat(polygons)
    pieces, owner = _pieces(_drawn(shapes))
    # The lines of the cuts are long again.
    pieces = _drawn(pieces)
    lon, lat, counts, owner = _simple(pieces, owner)
    return mesh_of_rings(lon, lat, counts, owner=owner, shape=(len(shapes),))


def _drawn(shapes: np.ndarray) -> np.ndarray:
    """Return polygons with vertices so close that great circles between them are their edges.

    An edge leaves a parallel by up to a sixteenth of its length squared (radians): no more than a
    millionth of the size of the polygon.
    """
    x0, y0, x1, y1 = np.nan_to_num(shapely.bounds(shapes)).T
    size = np.radians(np.maximum(np.maximum(x1 - x0, y1 - y0), 1e-9))
    return shapely.segmentize(shapes, np.minimum(STEP, np.degrees(4e-3 * np.sqrt(size))))


def _simple(
    pieces: np.ndarray, owner: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return corners, their number and the owner of pieces, none of which crosses itself.

    The edges of a thin piece may cross when they are drawn by great circles. On the plane that
    touches the sphere at its middle these are straight: there it is mended.
    """
    lonlat, index = shapely.get_coordinates(pieces, return_index=True)
    xyz = to_xyz(*lonlat.T)
    middle = np.stack([np.bincount(index, v, len(pieces)) for v in xyz.T], axis=-1)
    middle = middle / np.linalg.norm(middle, axis=1, keepdims=True)
    east = np.cross(middle, np.where(np.abs(middle[:, 2:]) < 0.9, [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]))
    east = east / np.linalg.norm(east, axis=1, keepdims=True)
    frame = np.stack([east, np.cross(middle, east), middle], axis=1)
    local = np.einsum("kij,kj->ki", frame[index], xyz)
    flat = shapely.polygons(shapely.linearrings(local[:, :2] / local[:, 2:], indices=index))
    keep = shapely.is_valid(flat)
    rings, owners = [lonlat[keep[index]]], [owner[keep]]
    sizes = [np.bincount(index, minlength=len(pieces))[keep]]
    for k in np.flatnonzero(~keep):
        whole, _ = _parts(np.array([polygonal(shapely.make_valid(flat[k]))]), owner[k : k + 1])
        for part in whole[shapely.get_num_interior_rings(whole) == 0]:
            plane = shapely.get_coordinates(part)
            back = np.column_stack([plane, np.ones(len(plane))]) @ frame[k]
            rings.append(np.stack(to_lonlat(back), axis=-1))
            sizes.append(np.array([len(plane)]))
            owners.append(owner[k : k + 1])
    corners, counts, cells = (np.concatenate(v) for v in (rings, sizes, owners))
    order = np.argsort(cells, kind="stable")
    start = (np.cumsum(counts) - counts)[order]
    # The last corner of a ring is its first.
    counts = counts[order] - 1
    first = np.cumsum(counts) - counts
    at = np.repeat(start - first, counts) + np.arange(counts.sum())
    return *corners[at].T, counts, cells[order]


def _lonlat(polygons: gpd.GeoDataFrame | gpd.GeoSeries) -> np.ndarray:
    """Return valid polygons in longitude and latitude."""
    from pyproj import CRS

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
    some = np.flatnonzero(~shapely.is_empty(shapes))
    flat = list(shapely.force_2d(shapes[some]))
    labels = [str(series.index[k]) for k in some]
    shapes[some] = lonlat_shapes(flat, labels, CRS(series.crs or "EPSG:4326"))
    return shapes


def _pieces(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return simple pieces of polygons, without holes and of moderate size, and whose they are."""
    done: list[tuple[np.ndarray, np.ndarray]] = []
    pieces, owner = _parts(shapes, np.arange(len(shapes)))
    while owner.size:
        x0, y0, x1, y1 = shapely.bounds(pieces).T
        holes = shapely.get_num_interior_rings(pieces)
        size = np.maximum(x1 - x0, y1 - y0)
        small = (size <= _WIDEST) & (shapely.get_num_coordinates(pieces) <= _VERTICES)
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
