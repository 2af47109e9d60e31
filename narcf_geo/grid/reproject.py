"""Polygons of any CRS as polygons of longitude and latitude, edges kept straight in their own."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import shapely

from narcf_geo.core.errors import UsageError
from narcf_geo.grid.projection import of_earth
from narcf_geo.grid.rings import (
    POLE,
    WIDEST,
    enclosed,
    open_ring,
    polygonal,
    shortest,
    unrolled,
    within_180,
)

if TYPE_CHECKING:
    from pyproj import CRS, Transformer

COURSE = 1e-6
"""Degrees (0.1 m): how far a drawn edge may lie beside its true course."""

JUMP = 270.0
"""Degrees of longitude: an edge over more, but not the whole circle, crosses 180 degrees."""

FRAME = 0.01
"""Degrees: a ring of which all vertices are so near one meridian is the frame of a world map."""

_CIRCLE = 360 - 1e-6
_ROUNDS = 20


def lonlat_shapes(
    shapes: list[shapely.Geometry], labels: list[str], crs: CRS
) -> list[shapely.Geometry]:
    """Return polygons in longitude and latitude (EPSG:4326) within -180..180 degrees, valid.

    Parameters
    ----------
    shapes : list of shapely.Polygon or shapely.MultiPolygon
        In `crs`.
    labels : list of str
        What to call each of them in an error.
    crs : pyproj.CRS
        Edges are straight lines in this CRS. Where it is one of longitudes and latitudes they may
        be those of any turn. In any CRS an edge over more than 270 degrees of longitude crosses
        180 degrees (or 0, where longitudes run to 360) unless it spans the whole circle.

    Returns
    -------
    list of shapely.Geometry
        Polygons and MultiPolygons. One that crosses 180 degrees has a part on either side; one
        around a pole is closed along it.

    Raises
    ------
    UsageError
        When coordinates are out of range, or an edge over 180 to 270 degrees of longitude could
        go either way.

    Warns
    -----
    UserWarning
        Names the polygons of which an edge was taken to cross 180 degrees.
    """
    from pyproj import Transformer

    transformer = Transformer.from_crs(of_earth(crs), "EPSG:4326", always_xy=True)
    greenwich = crs.prime_meridian is not None and crs.prime_meridian.longitude == 0
    degrees = {axis.unit_name for axis in crs.axis_info[:2]} == {"degree"}
    if not (crs.is_geographic and not crs.is_derived and greenwich and degrees):
        poles = _poles(transformer)
        drawn = [
            _reprojected(s, n, transformer, poles) for s, n in zip(shapes, labels, strict=True)
        ]
        _warn_of_jumps([label for label, (_, jumped) in zip(labels, drawn, strict=True) if jumped])
        return [shape for shape, _ in drawn]
    same = crs.equals("EPSG:4326") or crs.equals("OGC:CRS84")
    found, jumps = [], []
    for shape, label in zip(shapes, labels, strict=True):
        drawn, jumped = _as_drawn(shape, label)
        jumps += [label] * jumped
        found.append(drawn if same else _shifted(drawn, transformer))
    _warn_of_jumps(jumps)
    return found


def _warn_of_jumps(labels: list[str]) -> None:
    if labels:
        more = " and others" if len(labels) > 5 else ""
        warnings.warn(
            f"regions {', '.join(map(repr, labels[:5]))}{more}: an edge over more than "
            f"{JUMP:g} degrees of longitude was taken to cross 180 degrees; if it goes the long "
            "way round, add vertices along it",
            UserWarning,
            stacklevel=5,
        )


def _as_drawn(shape: shapely.Geometry, label: str) -> tuple[shapely.Geometry, bool]:
    """Return a polygon of any longitudes, and whether an edge of it was taken to jump."""
    lon, lat = shapely.get_coordinates(shape).T
    if not (np.isfinite(lon).all() and np.abs(lat).max() <= 90 + 1e-6 and np.abs(lon).max() <= 540):
        raise UsageError(
            f"region {label!r}: expected longitudes and latitudes in degrees, found "
            f"{lon.min():g} to {lon.max():g} and {lat.min():g} to {lat.max():g}; check its CRS, "
            "and whether longitude comes first"
        )
    widest = max(np.abs(np.diff(xy[:, 0])).max() for xy in _rings(shape))
    if np.abs(lon).max() <= 180 and widest <= WIDEST:
        return polygonal(shapely.make_valid(shape)), False
    polygons, jumped = [], False
    for polygon in shapely.get_parts(shape):
        rings = [_ring_as_drawn(open_ring(xy), label) for xy in _rings(polygon)]
        jumped |= any(jump for _, jump in rings)
        polygons.append(_without_holes([area for area, _ in rings]))
    return polygonal(shapely.union_all(polygons)), jumped


def _rings(shape: shapely.Geometry) -> list[np.ndarray]:
    return [shapely.get_coordinates(ring) for ring in shapely.get_rings(shapely.get_parts(shape))]


def _without_holes(rings: list[shapely.Geometry]) -> shapely.Geometry:
    shell, *holes = rings
    return polygonal(shapely.difference(shell, shapely.union_all(holes))) if holes else shell


def _ring_as_drawn(ring: np.ndarray, label: str) -> tuple[shapely.Geometry, bool]:
    """Return what a ring of straight edges in longitude and latitude encloses."""
    if len(ring) < 3:
        return shapely.Polygon(), False
    steps = np.diff(ring[:, 0], append=ring[0, 0])
    polar = np.abs(ring[:, 1]) >= POLE
    along_pole = polar & np.roll(polar, -1)
    wide = np.where(along_pole, 0.0, np.abs(steps))
    circle = np.abs(steps) >= _CIRCLE
    unclear = (wide > 180 + 1e-9) & (wide <= JUMP)
    unclear |= wide > 360 + 1e-6
    if unclear.any():
        first = int(np.flatnonzero(unclear)[0])
        west, east = sorted((ring[first, 0], ring[first, 0] + steps[first]))
        raise UsageError(
            f"region {label!r}: expected edges over less than 180 degrees of longitude, found one "
            f"from {west:g} to {east:g} degrees, which could go either way; add a vertex half way "
            "along it"
        )
    jump = (wide > JUMP) & ~circle
    # A box round the globe has two edges over the whole circle; one alone closes a ring round a
    # pole.
    if circle.sum() == 1:
        jump |= circle & ~along_pole
    if jump.any() and _is_frame(ring):
        jump[:] = False
    steps = np.where(jump, shortest(steps), steps)
    turns = round(steps.sum() / 360)
    if turns and polar.any():
        return enclosed(ring), True
    return unrolled(ring, steps, turns), bool((jump & ~circle).any())


def _is_frame(ring: np.ndarray) -> bool:
    """Say whether all vertices lie near one meridian, as those of a map of the world do."""
    return bool(np.abs(shortest(ring[:, 0] - ring[0, 0])).max() < FRAME)


def _shifted(shape: shapely.Geometry, transformer: Transformer) -> shapely.Geometry:
    """Return a polygon of another datum, its longitudes of the same turn."""

    def shift(xy: np.ndarray) -> np.ndarray:
        lon, lat = transformer.transform(xy[:, 0], xy[:, 1])
        return np.stack([xy[:, 0] + shortest(lon - xy[:, 0]), lat], axis=1)

    moved = shapely.transform(shape, shift)
    return within_180(polygonal(shapely.make_valid(moved)))


def _poles(transformer: Transformer) -> dict[float, shapely.Point]:
    """Return where the poles lie in the CRS of the polygons, those that have a place there."""
    found = {}
    for pole in (90.0, -90.0):
        xy = transformer.transform(0.0, pole, direction="INVERSE")
        if np.isfinite(xy).all():
            found[pole] = shapely.Point(xy)
    return found


def _reprojected(
    shape: shapely.Geometry, label: str, transformer: Transformer, poles: dict[float, shapely.Point]
) -> tuple[shapely.Geometry, bool]:
    """Return a polygon of a projected CRS, and whether an edge of it was taken to jump."""
    polygons, jumped = [], False
    for polygon in shapely.get_parts(polygonal(shapely.make_valid(shape))):
        rings = []
        for path in _rings(polygon):
            course, jump = _without_jumps(*_on_course(path, transformer, label))
            jumped |= jump
            inside = [p for p, xy in poles.items() if shapely.Polygon(path).contains(xy)]
            rings.append(enclosed(course[:-1], inside[0] if len(inside) == 1 else None))
        polygons.append(_without_holes(rings))
    return polygonal(shapely.union_all(polygons)), jumped


def _without_jumps(course: np.ndarray, edge: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return a path without the inner points of edges across nearly a whole map of the world."""
    width = np.abs(np.bincount(edge, shortest(np.diff(course[:, 0]))))
    jump = (width > JUMP) & (width < _CIRCLE)
    if not jump.any() or _is_frame(course[:-1][np.append(True, edge[1:] != edge[:-1])]):
        return course, False
    inner = np.append(False, edge[1:] == edge[:-1]) & jump[edge]
    return course[~np.append(inner, False)], True


def _on_course(
    path: np.ndarray, transformer: Transformer, label: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return longitudes and latitudes (m, 2) of a path, and the edge (m - 1,) of each step.

    Each edge is cut in three until its inner points lie where straight lines in longitude and
    latitude would put them; thirds show what a midpoint would miss of a curve shaped like an S.
    """
    lonlat = _transformed(path, transformer, label)
    active = np.ones(len(path) - 1, bool)
    origin = np.arange(len(path) - 1)
    for _ in range(_ROUNDS):
        edge = np.flatnonzero(active)
        if not edge.size:
            break
        span = path[edge + 1] - path[edge]
        inner = np.stack([path[edge] + span * t for t in (1 / 3, 2 / 3)], axis=1)
        inner_lonlat = _transformed(inner.reshape(-1, 2), transformer, label).reshape(inner.shape)
        off = _off_course(lonlat[edge], lonlat[edge + 1], inner_lonlat)
        bent = edge[off]
        path = np.insert(path, np.repeat(bent + 1, 2), inner[off].reshape(-1, 2), axis=0)
        lonlat = np.insert(lonlat, np.repeat(bent + 1, 2), inner_lonlat[off].reshape(-1, 2), axis=0)
        counts = np.ones(active.size, int)
        counts[bent] = 3
        active = np.repeat(counts == 3, counts)
        origin = np.repeat(origin, counts)
    return lonlat, origin


def _transformed(xy: np.ndarray, transformer: Transformer, label: str) -> np.ndarray:
    lonlat = np.stack(transformer.transform(xy[:, 0], xy[:, 1]), axis=1)
    if not np.isfinite(lonlat).all():
        raise UsageError(
            f"region {label!r}: expected edges within the domain of its CRS, found points that "
            "have no longitude and latitude; check the CRS"
        )
    return lonlat


def _off_course(start: np.ndarray, end: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Say which straight edges (n,) in longitude and latitude miss two inner points (n, 2, 2)."""
    at_start, at_end = (np.abs(p[:, 1]) >= POLE for p in (start, end))
    lon0 = np.where(at_start, end[:, 0], start[:, 0])
    lon1 = np.where(at_end, start[:, 0], end[:, 0])
    scale = np.cos(np.deg2rad(inner[..., 1]))
    east = shortest(inner[..., 0] - lon0[:, None]) * scale
    north = inner[..., 1] - start[:, 1:]
    whole_east = shortest(lon1 - lon0)[:, None] * scale
    whole_north = (end[:, 1] - start[:, 1])[:, None]
    length = np.maximum(np.hypot(whole_east, whole_north), 1e-300)
    beside = np.abs(east * whole_north - north * whole_east) / length
    along = (east * whole_east + north * whole_north) / length
    # Points beyond the ends belong to an edge that goes the long way round.
    ahead = (along[:, 0] >= -COURSE) & (along[:, 1] >= along[:, 0] - COURSE)
    within = ahead & (np.hypot(east, north) <= length + 2 * COURSE).all(axis=1)
    return (beside > COURSE).any(axis=1) | ~within
