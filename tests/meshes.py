"""Meshes of every kind, and their overlaps worked out by other means than the library's."""

from __future__ import annotations

import numpy as np
import shapely
import xarray as xr
from scipy.spatial import ConvexHull, SphericalVoronoi

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.grid import Mesh

R2 = EARTH_RADIUS**2


def xyz_of(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 3)."""
    a, b = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(b) * np.cos(a), np.cos(b) * np.sin(a), np.sin(b)], -1)


def lonlat_of(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes in degrees."""
    return np.degrees(np.arctan2(p[..., 1], p[..., 0])), np.degrees(
        np.arctan2(p[..., 2], np.hypot(p[..., 0], p[..., 1]))
    )


def fibonacci(n: int) -> np.ndarray:
    """`n` points spread evenly over the sphere, none at a pole."""
    k = np.arange(n) + 0.5
    lat = np.arcsin(1 - 2 * k / n)
    lon = np.pi * (1 + 5**0.5) * k
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], -1)


def triangles(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertex longitudes, latitudes and corners (m, 3) of a global mesh of triangles, as ICON's."""
    p = fibonacci(n)
    return *lonlat_of(p), ConvexHull(p).simplices


def voronoi(n: int) -> tuple[np.ndarray, np.ndarray, list[list[int]], np.ndarray]:
    """Vertices, the corners of each cell around it, and the centres of a mesh like MPAS'."""
    p = fibonacci(n)
    found = SphericalVoronoi(p)
    found.sort_vertices_of_regions()
    return *lonlat_of(found.vertices), found.regions, p


def padded(regions: list[list[int]], fill: int = -1, start: int = 0) -> np.ndarray:
    """Rows of vertices, padded."""
    table = np.full((len(regions), max(map(len, regions))), fill)
    for row, region in zip(table, regions, strict=True):
        row[: len(region)] = np.array(region) + start
    return table


def tripolar(nx: int = 36, ny: int = 18) -> tuple[np.ndarray, np.ndarray]:
    """Corners (ny + 1, nx + 1) of an ocean grid from 78 S, its last row folded on itself."""
    theta = np.linspace(-180.0, 180.0, nx + 1)
    south = np.linspace(-78.0, 66.0, ny - 4)
    lon, lat = np.meshgrid(theta, south)
    radius = np.tan(np.radians((90 - 66.0) / 2))
    rows = []
    for s in np.linspace(0, 1, 6)[1:]:
        x = radius * (1 - 0.3 * s) * np.cos(np.radians(theta))
        y = radius * (1 - s) * np.sin(np.radians(theta))
        rows.append((np.degrees(np.arctan2(y, x)), 90 - 2 * np.degrees(np.arctan(np.hypot(x, y)))))
    fold_lon, fold_lat = (np.stack([row[k] for row in rows]) for k in (0, 1))
    return np.vstack([lon, fold_lon]), np.vstack([lat, fold_lat])


def four(corners: np.ndarray) -> np.ndarray:
    """The four vertices of each cell in turn."""
    c = corners
    return np.stack([c[:-1, :-1], c[:-1, 1:], c[1:, 1:], c[1:, :-1]], -1)


def ocean(nx: int = 36, ny: int = 18, halo: bool = True) -> tuple[xr.Dataset, np.ndarray]:
    """A field on a tripolar grid, and which of its cells are no copies.

    With a halo: the last column before the first, the first after the last, and above the last
    row itself the other way round.
    """
    lon_v, lat_v = (four(c) for c in tripolar(nx, ny))
    value = np.arange(ny * nx).reshape(ny, nx) % 17 + np.linspace(0, 3, ny)[:, None]
    single = np.ones((ny, nx), bool)
    if halo:
        wrap = lambda a: np.concatenate([a[:, -1:], a, a[:, :1]], 1)  # noqa: E731
        fold = lambda a: np.concatenate([a, a[-1:, ::-1]])  # noqa: E731
        turn = [2, 3, 0, 1]
        lon_v, lat_v = (np.concatenate([v, v[-1:, ::-1][..., turn]]) for v in (lon_v, lat_v))
        value, single = fold(value), np.concatenate([single, np.zeros((1, nx), bool)])
        lon_v, lat_v, value = wrap(lon_v), wrap(lat_v), wrap(value)
        single = np.pad(single, ((0, 0), (1, 1)))
    p = xyz_of(lon_v, lat_v).sum(-2)
    lon, lat = lonlat_of(p)
    ds = xr.Dataset(
        {"v": (("j", "i"), value), "w": (("j", "i", "k"), lon_v), "s": (("j", "i", "k"), lat_v)},
        coords={
            "lat": (("j", "i"), lat, {"standard_name": "latitude", "bounds": "s"}),
            "lon": (("j", "i"), lon, {"standard_name": "longitude", "bounds": "w"}),
        },
    ).rename(w="vertices_longitude", s="vertices_latitude")
    ds.lat.attrs["bounds"], ds.lon.attrs["bounds"] = "vertices_latitude", "vertices_longitude"
    return ds, single


def swath(lines: int = 30, pixels: int = 20) -> xr.Dataset:
    """Footprints of an imager over the dateline, each with corners of its own, as TROPOMI's."""
    along, across = np.meshgrid(np.arange(lines + 1.0), np.arange(pixels + 1.0), indexing="ij")
    lat = 20 + 0.8 * along + 0.12 * across
    lon = 172 + 0.9 * across * (1 + 0.01 * across) - 0.15 * along
    lon_v, lat_v = four(lon), four(lat)
    inwards = 0.04  # gaps between footprints
    lon_v = lon_v + inwards * (lon_v.mean(-1, keepdims=True) - lon_v)
    lat_v = lat_v + inwards * (lat_v.mean(-1, keepdims=True) - lat_v)
    dims = ("time", "scanline", "ground_pixel")
    corner = (*dims, "corner")
    value = np.random.default_rng(5).normal(2, 1, (1, lines, pixels))
    group = "/PRODUCT/SUPPORT_DATA/GEOLOCATIONS"
    wrap = lambda v: ((v + 180) % 360 - 180)[None]  # noqa: E731
    return xr.Dataset(
        {
            "xco": (dims, value, {"units": "mol m-2"}),
            "latitude_bounds": (corner, lat_v[None]),
            "longitude_bounds": (corner, wrap(lon_v)),
        },
        coords={
            "latitude": (
                dims,
                lat_v.mean(-1)[None],
                {"units": "degrees_north", "bounds": f"{group}/latitude_bounds"},
            ),
            "longitude": (
                dims,
                wrap(lon_v.mean(-1)),
                {"units": "degrees_east", "bounds": f"{group}/longitude_bounds"},
            ),
        },
    )


def girard(ring: np.ndarray) -> float:
    """Area of a convex spherical polygon (n, 3) by the sum of its angles."""
    n = len(ring)
    angles = 0.0
    for k in range(n):
        here, before, after = ring[k], ring[k - 1], ring[(k + 1) % n]
        u, v = np.cross(here, before), np.cross(here, after)
        angles += np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v)
    return float(angles - (n - 2) * np.pi)


def common_area(one: np.ndarray, two: np.ndarray) -> float:
    """Area (unit sphere) common to two polygons (n, 3), of which the second is convex.

    On the plane that touches the sphere at the middle of the second, great circles are straight.
    """
    middle = two.sum(0) / np.linalg.norm(two.sum(0))
    if (one @ middle).min() < 0.2 or (two @ middle).min() < 0.2:
        return 0.0
    east = np.cross([0.3, -0.5, 0.81], middle)
    east /= np.linalg.norm(east)
    frame = np.stack([east, np.cross(middle, east), middle])
    shapes = []
    for ring in (one, two):
        flat = ring @ frame.T
        shapes.append(shapely.Polygon(flat[:, :2] / flat[:, 2:]))
    total = 0.0
    for part in shapely.get_parts(shapely.intersection(*shapes)):
        if part.geom_type != "Polygon" or part.area < 1e-14:
            continue
        for piece in shapely.get_parts(shapely.constrained_delaunay_triangles(part)):
            flat = shapely.get_coordinates(piece)[:3]
            xyz = np.column_stack([flat, np.ones(3)]) @ frame
            total += girard(xyz / np.linalg.norm(xyz, axis=1, keepdims=True))
    return total


def rings_of(mesh: Mesh) -> list[np.ndarray]:
    """The polygons of a mesh as unit vectors, one a cell."""
    p = xyz_of(*mesh.corner_positions())
    return np.split(p, np.cumsum(mesh.counts)[:-1])
