"""The plane a grid is even or straight in: its coordinate reference system, edges and centres."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.core.errors import NarcfError, UsageError

if TYPE_CHECKING:
    from pyproj import CRS

UNITS = {"metre": "m", "foot": "ft", "US survey foot": "US_survey_foot", "degree": "degrees"}
"""Names of units in WKT, and how UDUNITS spells them."""

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


@dataclass(frozen=True, eq=False, repr=False)
class Projection:
    """The axes of a grid in its coordinate reference system; immutable.

    Attributes
    ----------
    wkt : str
        The coordinate reference system, WKT 2.
    x_b, y_b : numpy.ndarray
        Cell edges (nx + 1,) and (ny + 1,), rising or falling, in units of the reference system.
    x, y : numpy.ndarray
        Cell centres (nx,) and (ny,).
    """

    wkt: str
    x_b: np.ndarray
    y_b: np.ndarray
    x: np.ndarray = field(default=None)  # type: ignore[arg-type]
    y: np.ndarray = field(default=None)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        for name in "xy":
            edges = np.array(getattr(self, f"{name}_b"), "float64")
            steps = np.diff(edges)
            if edges.ndim != 1 or edges.size < 2 or not ((steps > 0).all() or (steps < 0).all()):
                raise NarcfError(
                    f"expected at least two {name} edges that rise or fall throughout, found "
                    f"{edges.ravel()[:4].tolist()}... of shape {edges.shape}"
                )
            given = getattr(self, name)
            centers = (edges[1:] + edges[:-1]) / 2 if given is None else np.array(given, "float64")
            if centers.shape != steps.shape:
                raise NarcfError(
                    f"expected {steps.size} {name} centres between {edges.size} edges, found "
                    f"{centers.size}"
                )
            for key, value in ((name, centers), (f"{name}_b", edges)):
                value.flags.writeable = False
                object.__setattr__(self, key, value)

    @property
    def crs(self) -> CRS:
        """The coordinate reference system as pyproj knows it."""
        return parsed_crs(self.wkt)

    @cached_property
    def name(self) -> str:
        """``EPSG:3035`` where the system has a code, otherwise what it is called."""
        return crs_name(self.crs)

    @property
    def units(self) -> str:
        """Unit of x and y as UDUNITS spells it."""
        return crs_units(self.crs)

    @property
    def is_angular(self) -> bool:
        """True where x and y are longitude and latitude of a rotated pole."""
        return bool(self.crs.is_geographic)

    def is_in(self, crs: CRS) -> bool:
        """Return whether a coordinate reference system is that of the grid."""
        return bool(self.crs.equals(crs, ignore_axis_order=True))

    def coords(self, dims: tuple[str, str]) -> dict[str, xr.DataArray]:
        """Return x and y as CF coordinates, with bounds.

        Parameters
        ----------
        dims : tuple of str
            Names of the axes, y first.
        """
        coords: dict[str, xr.DataArray] = {}
        for dim, kind in zip(dims, "yx", strict=True):
            attrs = {
                "standard_name": f"projection_{kind}_coordinate",
                "long_name": f"{kind} coordinate of projection",
                "units": self.units,
                "axis": kind.upper(),
                "bounds": f"{dim}_bnds",
            }
            if self.is_angular:
                where = {"x": "longitude", "y": "latitude"}[kind]
                attrs["standard_name"] = f"grid_{where}"
                attrs["long_name"] = f"{where} in rotated pole grid"
            edges = getattr(self, f"{kind}_b")
            coords[dim] = xr.DataArray(getattr(self, kind), dims=dim, attrs=attrs)
            pairs = np.stack([edges[:-1], edges[1:]], axis=1)
            coords[f"{dim}_bnds"] = xr.DataArray(pairs, dims=(dim, "bnds"))
        return coords

    def __repr__(self) -> str:
        parts = [f"{k} {e[0]:.10g} to {e[-1]:.10g}" for k, e in (("x", self.x_b), ("y", self.y_b))]
        return f"Projection({self.name}, {', '.join(parts)} {self.units})"

    def __reduce__(self) -> tuple[type[Projection], tuple]:
        return Projection, (self.wkt, self.x_b, self.y_b, self.x, self.y)


def crs_name(crs: CRS) -> str:
    """Return the code of a reference system, else its name or the name of its method."""
    code = known_code(crs)
    if code:
        return code
    operation = crs.coordinate_operation
    unnamed = crs.name.lower() in ("unknown", "undefined", "unnamed")
    return str(operation.method_name) if unnamed and operation else str(crs.name)


def crs_units(crs: CRS) -> str:
    """Return the unit of the axes of a reference system as UDUNITS spells it."""
    name = str(crs.axis_info[0].unit_name)
    return UNITS.get(name, name)


def known_code(crs: CRS) -> str | None:
    """Return the code of a reference system, such as ``EPSG:3035``; None where it has none.

    A system given by CF attributes alone is known by its parameters and its ellipsoid.

    Examples
    --------
    >>> from pyproj import CRS
    >>> attrs = CRS("EPSG:3035").to_cf()
    >>> del attrs["crs_wkt"]
    >>> known_code(CRS.from_cf(attrs)), known_code(CRS("+proj=laea +R=6371200"))
    ('EPSG:3035', None)
    """
    stated = crs.to_json_dict().get("id")
    if stated:
        return f"{stated['authority']}:{stated['code']}"
    found = crs.to_epsg(20)
    return (
        f"EPSG:{found}"
        if found and _numbers(parsed_crs(f"EPSG:{found}")) == _numbers(crs)
        else None
    )


def cf_attributes(crs: CRS) -> dict[str, Any]:
    """Return the CF attributes of a reference system, its WKT alone where CF cannot say it all."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return crs.to_cf()
        except UserWarning:
            return {"crs_wkt": crs.to_wkt()}


def _numbers(crs: CRS) -> tuple[str, dict[str, tuple[float, ...]]]:
    """Return the method of a reference system, and its parameters to ten digits."""
    attrs = cf_attributes(crs)
    method = str(attrs.get("grid_mapping_name", ""))
    numbers = {
        key: tuple(sorted(float(f"{v:.9e}") for v in np.atleast_1d(value)))
        for key, value in attrs.items()
        if not isinstance(value, str)
    }
    return method or crs.to_wkt(), numbers


@lru_cache
def parsed_crs(text: str) -> CRS:
    """Return the horizontal reference system of a WKT or PROJ text, or of a code."""
    from pyproj import CRS

    crs = CRS.from_user_input(text)
    if crs.is_compound:
        crs = crs.sub_crs_list[0]
    return crs.source_crs if crs.is_bound and crs.source_crs else crs


def checked_crs(given: Any) -> CRS:
    """Return the reference system that a user names.

    Parameters
    ----------
    given : str, int or pyproj.CRS
        A code such as ``EPSG:3035``, an EPSG number, WKT or PROJ text.

    Raises
    ------
    UsageError
        When there is no such system, or it is not one of a plane or of longitude and latitude.
    """
    from pyproj.exceptions import CRSError

    try:
        text = given.to_wkt() if hasattr(given, "to_wkt") else str(given)
        crs = parsed_crs(f"EPSG:{text}" if text.isdigit() else text)
    except CRSError as error:
        raise UsageError(
            f"expected a coordinate reference system, such as EPSG:3035 or a WKT text, found "
            f"{str(given)[:80]!r} ({str(error)[:200]})"
        ) from None
    if not (crs.is_projected or crs.is_geographic):
        raise UsageError(
            f"expected a projected or geographic coordinate reference system, found {given} "
            f"({crs.type_name})"
        )
    return crs


def is_lonlat(crs: CRS) -> bool:
    """Return whether a system is longitude and latitude themselves, no pole turned."""
    return bool(crs.is_geographic and not crs.is_derived)


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
