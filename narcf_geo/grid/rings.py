"""Rings of longitudes and latitudes as polygons of the plane: across 180 degrees, round a pole."""

from __future__ import annotations

import numpy as np
import shapely

WORLD = shapely.box(-180, -90, 180, 90)

WIDEST = 90.0
"""Degrees of longitude: longer edges get vertices, so that no reader takes them the other way."""

POLE = 90.0 - 1e-9
"""Latitudes beyond are the pole, where longitude means nothing."""

_SLIVER = 1e-9
"""Part of a polygon's area that is rounding."""


def shortest(steps: np.ndarray) -> np.ndarray:
    """Return steps of longitude, degrees, the shorter way round.

    Examples
    --------
    >>> shortest(np.array([-358.0, 20.0, 270.0])).tolist()
    [2.0, 20.0, -90.0]
    """
    return steps - 360 * np.rint(steps / 360)


def open_ring(ring: np.ndarray) -> np.ndarray:
    """Return the vertices (n, 2) of a ring without those that repeat the one before."""
    keep = (ring != np.roll(ring, 1, axis=0)).any(axis=1)
    return ring[keep]


def enclosed(ring: np.ndarray, pole: float | None = None) -> shapely.Geometry:
    """Return what a ring of short edges encloses, within -180..180 degrees of longitude.

    Parameters
    ----------
    ring : numpy.ndarray
        Longitudes and latitudes (n, 2) in degrees. Each edge goes the shorter way round.
    pole : {90.0, -90.0}, optional
        The pole inside a ring that goes round the globe; by default the nearer one.

    Returns
    -------
    shapely.Geometry
        Polygon or MultiPolygon, valid. A ring round a pole is closed along that pole.

    Examples
    --------
    >>> cap = np.array([[0.0, 80.0], [120.0, 80.0], [-120.0, 80.0]])
    >>> enclosed(cap).area == 360 * 10
    True
    """
    ring = _at_poles(open_ring(ring))
    if len(ring) < 3:
        return shapely.Polygon()
    steps = shortest(np.diff(ring[:, 0], append=ring[0, 0]))
    turns = round(steps.sum() / 360)
    polar = np.abs(ring[:, 1]) >= POLE
    along_pole = np.flatnonzero(polar & np.roll(polar, -1))
    if turns and along_pole.size:
        steps[along_pole[0]] -= 360 * turns
        turns = 0
    return unrolled(ring, steps, turns, pole)


def unrolled(
    ring: np.ndarray, steps: np.ndarray, turns: int, pole: float | None = None
) -> shapely.Geometry:
    """Return what a ring encloses, given how far east each edge goes; see `enclosed`.

    Parameters
    ----------
    ring : numpy.ndarray
        Longitudes and latitudes (n, 2) in degrees.
    steps : numpy.ndarray
        Degrees of longitude (n,) from each vertex to the next.
    turns : int
        How often the ring goes round the globe, eastwards.
    pole : {90.0, -90.0}, optional
        The pole inside a ring that goes round; by default the nearer one.
    """
    lon = ring[0, 0] + np.concatenate([[0.0], np.cumsum(steps)])
    path = np.stack([lon, np.append(ring[:, 1], ring[0, 1])], axis=1)
    if turns:
        pole = pole or float(np.copysign(90.0, ring[:, 1].mean()))
        path = np.vstack([path, [path[-1, 0], pole], [path[0, 0], pole], path[0]])
    path[-1] = path[0]
    wide = np.ceil(np.abs(np.diff(path[:, 0])) / WIDEST - 1e-9).astype(int)
    return within_180(polygonal(shapely.make_valid(shapely.Polygon(subdivided(path, wide)))))


def subdivided(path: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return a path (n, 2) with its edges cut into so many equal parts each (n - 1,)."""
    parts = np.maximum(parts, 1)
    edge = np.repeat(np.arange(parts.size), parts)
    first = np.concatenate([[0], np.cumsum(parts)[:-1]])
    along = (np.arange(edge.size) - first[edge]) / parts[edge]
    points = path[edge] + along[:, None] * (path[edge + 1] - path[edge])
    return np.vstack([points, path[-1:]])


def within_180(polygon: shapely.Geometry) -> shapely.Geometry:
    """Return a polygon of any longitudes with each of its parts turned into -180..180 degrees.

    Examples
    --------
    >>> within_180(shapely.box(170, 0, 190, 10)).bounds
    (-180.0, 0.0, 180.0, 10.0)
    """
    if polygon.is_empty:
        return polygon
    west, _, east, _ = polygon.bounds
    if west >= -180 and east <= 180:
        return polygon
    parts = []
    for turn in range(int(np.floor((west + 180) / 360)), int(np.ceil((east - 180) / 360)) + 1):
        moved = shapely.transform(polygon, lambda xy, by=(360.0 * turn, 0.0): xy - by)
        part = polygonal(shapely.intersection(moved, WORLD))
        if part.area > _SLIVER * polygon.area:
            parts.append(part)
    return shapely.union_all(parts)


def polygonal(geometry: shapely.Geometry) -> shapely.Geometry:
    """Return the polygons among the parts of a geometry, as one."""
    if geometry.geom_type in ("Polygon", "MultiPolygon"):
        return geometry
    parts = shapely.get_parts(geometry)
    nested = [polygonal(p) for p in parts if p.geom_type in ("MultiPolygon", "GeometryCollection")]
    flat = [p for p in parts if p.geom_type == "Polygon"]
    return shapely.union_all([*flat, *nested]) if flat or nested else shapely.Polygon()


def _at_poles(ring: np.ndarray) -> np.ndarray:
    """Return a ring that reaches and leaves a pole along meridians."""
    polar = np.abs(ring[:, 1]) >= POLE
    if not polar.any() or polar.all():
        return ring
    start = int(np.flatnonzero(~polar)[0])
    ring, polar = np.roll(ring, -start, axis=0), np.roll(polar, -start)
    points: list[np.ndarray] = []
    for k, (point, at_pole) in enumerate(zip(ring, polar, strict=True)):
        if not at_pole:
            points.append(point)
            continue
        before, after = ring[k - 1], ring[(k + 1) % len(ring)]
        if not polar[k - 1]:
            points.append(np.array([before[0], point[1]]))
        if not polar[(k + 1) % len(ring)]:
            points.append(np.array([after[0], point[1]]))
    return np.array(points)
