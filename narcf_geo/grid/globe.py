"""Where places on the plane of a reference system lie on the globe, and back."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.grid.projection import Projection, parsed_crs

if TYPE_CHECKING:
    from pyproj import CRS

WGS84_AXIS = 6378137.0
"""Metres. Of WGS 84 and of GRS 80: ETRS89, NAD83 and others agree with WGS 84 within 2 m."""

SAMPLE = 65
"""Rows and columns at which a grid is projected back to see whether it is on the globe."""

FOLD = 10.0
"""Metres that a place may be off when it is projected back; PROJ's own series are good to 0.1 m."""

RIM = 1e-9
"""Share of the way to the middle of a grid that a corner on the rim of the globe is moved."""

FLAT = 1e-9
"""Degrees to which longitudes of a column, or latitudes of a row, are one."""


@lru_cache
def _transformer(wkt: str) -> Any:
    """Return what turns x and y into longitude and latitude, and back."""
    from pyproj import Transformer
    from pyproj.transformer import AreaOfInterest, TransformerGroup

    crs = parsed_crs(wkt)
    if crs.is_geographic:
        return Transformer.from_crs(crs, crs.source_crs or crs, always_xy=True)
    geodetic: Any = crs.geodetic_crs
    usual = geodetic.axis_info[0].unit_name == "degree" and geodetic.prime_meridian.longitude == 0
    own = geodetic if usual else "EPSG:4326"
    near = abs(geodetic.ellipsoid.semi_major_metre - WGS84_AXIS) < 1e-3
    if geodetic.to_json_dict().get("id") is None or (usual and near):
        return Transformer.from_crs(crs, own, always_xy=True)
    # A datum of its own lies up to some 100 m, in places 500 m, off WGS 84. One operation for all
    # cells: PROJ's choice for each point by itself would tear them apart at its borders.
    use = crs.area_of_use
    area = AreaOfInterest(use.west, use.south, use.east, use.north) if use else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Best transformation is not available")
        group = TransformerGroup(crs, "EPSG:4326", always_xy=True, area_of_interest=area)
    known = [t for t in group.transformers if "Ballpark" not in t.description]
    return known[0] if known else Transformer.from_crs(crs, own, always_xy=True)


def to_plane(crs: CRS, lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of places, infinite where the projection has none."""
    x, y = _transformer(crs.to_wkt()).transform(lon, lat, direction="INVERSE")
    return np.asarray(x), np.asarray(y)


def to_globe(crs: CRS, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return longitude and latitude in degrees, infinite where there is no such place."""
    lon, lat = _transformer(crs.to_wkt()).transform(x, y)
    return np.asarray(lon), np.asarray(lat)


@dataclass(frozen=True)
class Placed:
    """Corners and centres of a projected grid on the globe, as `Grid` takes them.

    Attributes
    ----------
    lon_b, lat_b, lon, lat : numpy.ndarray
        Degrees; 1-D where the projection is cylindrical, 2-D otherwise. Infinite where x and y are
        off the globe.
    """

    lon_b: np.ndarray
    lat_b: np.ndarray
    lon: np.ndarray
    lat: np.ndarray


def placed(projection: Projection) -> Placed:
    """Return where the cells of a projected grid lie on the globe."""
    crs, (x, y) = projection.crs, (projection.x, projection.y)
    straight = _straight(crs, projection.x_b, projection.y_b)
    if straight is not None:
        lon_b, lat_b = straight
        x0, y0 = np.full(y.size, x[0]), np.full(x.size, y[0])
        lon, lat = to_globe(crs, x, y0)[0], to_globe(crs, x0, y)[1]
        lon = lon + 360 * np.round(((lon_b[1:] + lon_b[:-1]) / 2 - lon) / 360)
        return Placed(lon_b, lat_b, lon, lat)
    return Placed(*_places(crs, projection.x_b, projection.y_b), *_places(crs, x, y))


def _straight(crs: CRS, x_b: np.ndarray, y_b: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return edges in longitude and latitude where meridians and parallels lie along x and y."""
    # Uneven shares: the middle and the ends of a symmetric grid may agree by chance.
    shares = np.array([0.0, 0.31, 0.72, 1.0])
    xs, ys = (e[0] + (e[-1] - e[0]) * shares for e in (x_b, y_b))
    # Quarters of cells: consecutive longitudes are then less than half a turn apart.
    fine = np.interp(np.arange(4 * x_b.size - 3) / 4, np.arange(x_b.size), x_b)
    lon = to_globe(crs, *np.meshgrid(fine, ys))[0]
    lat = to_globe(crs, *np.meshgrid(xs, y_b))[1]
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return None
    lon = np.unwrap(lon, period=360)
    apart = (lon - lon[:1] + 180) % 360 - 180
    if np.abs(apart).max() > FLAT or np.abs(lat - lat[:, :1]).max() > FLAT:
        return None
    return lon[0, ::4], lat[:, 0]


def _places(crs: CRS, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where all pairs of x and y lie, infinite where that is off the globe."""
    xs, ys = np.meshgrid(x, y)
    lon, lat = to_globe(crs, xs, ys)
    rows, columns = (np.unique(np.linspace(0, v.size - 1, SAMPLE).astype(int)) for v in (y, x))
    some = np.ix_(rows, columns)
    if not _elsewhere(crs, xs[some], ys[some], lon[some], lat[some]).any():
        return lon, lat
    wrong = _elsewhere(crs, xs, ys, lon, lat)
    # Just inside the rim of the globe, where 180 E and 180 W are two places on the map.
    middle = xs.mean(), ys.mean()
    u, v = (p[wrong] + (m - p[wrong]) * RIM for p, m in zip((xs, ys), middle, strict=True))
    places = to_globe(crs, u, v)
    off = _elsewhere(crs, u, v, *places)
    lon[wrong], lat[wrong] = (np.where(off, np.inf, place) for place in places)
    return lon, lat


def _elsewhere(
    crs: CRS, x: np.ndarray, y: np.ndarray, lon: np.ndarray, lat: np.ndarray
) -> np.ndarray:
    """Return whether places project back to other x and y: there the projection has folded."""
    u, v = to_plane(crs, lon, lat)
    with np.errstate(invalid="ignore"):
        apart = np.stack([u - x, v - y])
        if crs.is_geographic:
            apart = (apart + 180) % 360 - 180
        metres = EARTH_RADIUS if crs.is_geographic else 1.0
        allowed = FOLD / metres / crs.axis_info[0].unit_conversion_factor
        return ~(np.abs(apart).max(axis=0) <= allowed)


def area_of_use(crs: CRS) -> tuple[float, float, float, float] | None:
    """Return west, south, east and north of the area a system is made for, in its own units."""
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    area = crs.area_of_use
    if area is None or crs.is_geographic:
        return None
    to = Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True)
    try:
        box = to.transform_bounds(*area.bounds)
    except ProjError:
        return None
    return box if np.isfinite(box).all() else None
