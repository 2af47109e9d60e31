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

    @property
    def usual_dims(self) -> tuple[str, str]:
        """Names of the axes where a file gives none."""
        return ("rlat", "rlon") if self.is_angular else ("y", "x")

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


def same_plane(one: Projection | None, other: Projection | None) -> bool:
    """Return whether two grids of the same cells lie in one reference system, or in none."""
    if one is None or other is None:
        return one is other
    return one.wkt == other.wkt or one.is_in(other.crs)


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
    return of_earth(crs.source_crs if crs.is_bound and crs.source_crs else crs)


def of_earth(crs: CRS) -> CRS:
    """Return a reference system of the Earth.

    Raises
    ------
    UsageError
        When its ellipsoid is that of another body.
    """
    radius = crs.ellipsoid.semi_major_metre if crs.ellipsoid else EARTH_RADIUS
    if abs(radius / EARTH_RADIUS - 1) > 0.01:
        raise UsageError(
            f"expected a coordinate reference system of the Earth, found {crs.name!r} with a "
            f"radius of {radius / 1e3:.0f} km"
        )
    return crs


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
            f"{str(given)[:80]!r} ({str(error).partition(': (Internal')[0][:200]})"
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
