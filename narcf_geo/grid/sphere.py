"""Points, distances and polygon areas on the sphere, and cell edges from cell centres."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.core.errors import UsageError

EdgeKind = Literal["parallels", "great_circles"]
"""On what the cells of a rectilinear grid end in the north and in the south."""


def require_edges(edges: str) -> None:
    """Refuse a name that is no kind of edges."""
    if edges not in get_args(EdgeKind):
        raise UsageError(
            f"expected edges 'parallels' or 'great_circles', found {edges!r}; parallels are the "
            "edges of longitude-latitude cells, great circles those of ESMF and xESMF"
        )


def row_blocks(shape: tuple[int, ...], values: int = 2**20) -> Iterator[slice]:
    """Yield slices of rows of about so many values, for work whose temporaries are large."""
    step = max(1, values // max(1, math.prod(shape[1:])))
    for first in range(0, shape[0], step):
        yield slice(first, min(first + step, shape[0]))


def to_xyz(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Return unit vectors of shape (..., 3) for longitudes and latitudes in degrees."""
    lam, phi = np.radians(lon), np.radians(lat)
    cos_phi = np.cos(phi)
    return np.stack([cos_phi * np.cos(lam), cos_phi * np.sin(lam), np.sin(phi)], axis=-1)


def to_lonlat(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return longitude (-180..180) and latitude in degrees of vectors of any length > 0."""
    x, y, z = np.moveaxis(xyz, -1, 0)
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the great-circle distance in m between unit vectors of shape (..., 3)."""
    chord = np.linalg.norm(a - b, axis=-1)
    return 2 * EARTH_RADIUS * np.arcsin(np.clip(chord / 2, 0, 1))


def excess(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return the areas of spherical triangles of unit vectors (..., 3), positive to the left.

    The spherical excess after Van Oosterom and Strackee (1983), in units of the radius squared.
    """
    # Differences first: the plain triple product loses half its digits on small cells.
    triple = np.sum(a * np.cross(b - a, c - a), axis=-1)
    dots = np.sum(a * b, axis=-1) + np.sum(b * c, axis=-1) + np.sum(c * a, axis=-1)
    return 2 * np.arctan2(triple, 1 + dots)


def band(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Return the difference of the sines of two latitudes in degrees, exact near the poles too."""
    upper, lower = np.radians(upper), np.radians(lower)
    return 2 * np.cos((upper + lower) / 2) * np.sin((upper - lower) / 2)


def great_circle_area(lon_c: np.ndarray, lat_c: np.ndarray) -> np.ndarray:
    """Return the area in m2 of cells whose edges are great circles.

    Parameters
    ----------
    lon_c, lat_c
        Corners in degrees, shape (ny + 1, nx + 1).

    Returns
    -------
    numpy.ndarray
        Shape (ny, nx), positive, on the sphere of 6371007.2 m.
    """
    area = np.empty((lat_c.shape[0] - 1, lat_c.shape[1] - 1))
    for rows in row_blocks(area.shape):
        corners = slice(rows.start, rows.stop + 1)
        p = to_xyz(lon_c[corners], lat_c[corners])
        a, b, c, d = p[:-1, :-1], p[:-1, 1:], p[1:, 1:], p[1:, :-1]
        area[rows] = np.abs(excess(a, b, c) + excess(a, c, d)) * EARTH_RADIUS**2
    return area


def corners_from_centers(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate the corners of curvilinear cells from their centres.

    Each inner corner is the normalised mean of the four centres around it, taken in 3-D so that
    poles and the dateline need no care; the rim is extrapolated linearly.

    Parameters
    ----------
    lon, lat
        Centres in degrees, shape (ny, nx), both at least 2.

    Returns
    -------
    tuple of numpy.ndarray
        Corner longitudes and latitudes, shape (ny + 1, nx + 1).
    """
    xyz = to_xyz(lon, lat)
    for axis in (0, 1):
        first, second = np.take(xyz, [0], axis), np.take(xyz, [1], axis)
        last, before = np.take(xyz, [-1], axis), np.take(xyz, [-2], axis)
        xyz = np.concatenate([2 * first - second, xyz, 2 * last - before], axis)
    return to_lonlat(xyz[:-1, :-1] + xyz[1:, :-1] + xyz[:-1, 1:] + xyz[1:, 1:])


def places_differ(one: np.ndarray, other: np.ndarray, tolerance: float = 1e-6) -> bool:
    """Return whether the positions of cells are apart, or of another number.

    Parameters
    ----------
    one, other : numpy.ndarray
        Longitudes of any turn or latitudes, degrees, 1-D or 2-D.
    tolerance : float
        Share of a cell. The rounding of the coordinates' own type is allowed for.

    Examples
    --------
    >>> places_differ(np.array([0.5, 1.5]), np.array([0.5, 1.5 + 1e-13]))
    False
    >>> places_differ(np.array([0.5, 1.5]), np.array([0.5, 1.5001]))
    True
    """
    if one.shape != other.shape:
        return True
    a, b = one.astype("float64"), other.astype("float64")
    steps = [np.median(np.abs(np.diff(a, axis=k))) for k in range(a.ndim) if a.shape[k] > 1]
    eps = max(np.finfo(v.dtype).eps if v.dtype.kind == "f" else 0.0 for v in (one, other))
    # 360 is the largest coordinate; half a unit in the last place each, and as much for arithmetic.
    allowed = max(tolerance * max(steps, default=1.0), 360 * eps)
    return bool((np.abs((a - b + 180) % 360 - 180) > allowed).any())


def edges_from_centers(centers: np.ndarray) -> np.ndarray:
    """Return n + 1 edges half way between n >= 2 centres, the outer ones extrapolated."""
    middle = (centers[1:] + centers[:-1]) / 2
    return np.concatenate([[2 * centers[0] - middle[0]], middle, [2 * centers[-1] - middle[-1]]])


def gaussian_latitudes(n: int) -> np.ndarray:
    """Return the n latitudes of a full Gaussian grid in degrees, from north to south."""
    from scipy.special import roots_legendre

    return np.degrees(np.arcsin(roots_legendre(n)[0]))[::-1]


def gaussian_edges(lat: np.ndarray) -> np.ndarray | None:
    """Return the cell edges of a full Gaussian latitude axis, None when `lat` is not one.

    The edges are the latitudes between which a band has the area of its quadrature weight.
    """
    n = lat.size
    tolerance = min(0.01, 0.02 * 180 / n)
    # The outermost node is close to the first zero of the Bessel function J0: a quick test.
    outermost = 90 - np.degrees(2.404825557695773 / (n + 0.5))
    close = max(tolerance, 2 / n**2)
    if n < 4 or n % 2 or abs(max(lat[0], lat[-1]) - outermost) > close:
        return None
    from scipy.special import roots_legendre

    nodes, weights = roots_legendre(n)
    if lat[0] > lat[-1]:
        nodes = -nodes
    if np.abs(np.degrees(np.arcsin(nodes)) - lat).max() > tolerance:
        return None
    edges = np.degrees(np.arcsin(np.clip(np.concatenate([[-1], -1 + np.cumsum(weights)]), -1, 1)))
    edges[-1] = 90.0
    return edges if lat[0] < lat[-1] else -edges
