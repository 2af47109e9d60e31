"""Units of axes: latitudes and longitudes in degrees, x and y in those of the reference system."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.core.errors import FieldError, UnitError
from narcf_geo.grid.projection import UNITS

if TYPE_CHECKING:
    from pyproj import CRS

UNSAID = ("", "1", "none", "unknown")
"""Unit strings that tell nothing."""

GLOBE = 1.4, 5.9
"""Radians that latitudes of a globe exceed on either side, and that its longitudes span."""

SLACK = 1e-3
"""Radians: rounding of the ends of a globe."""

SMALLEST_ORBIT = 1.0
"""Radians beyond which no scan angle of a geostationary satellite lies."""


def degrees_per(units: str, where: str) -> float:
    """Return degrees in one unit of a latitude or longitude.

    Parameters
    ----------
    units : str
        As the coordinate says; without one, degrees.
    where : str
        The coordinate, for the error.

    Raises
    ------
    FieldError
        When the unit is not one of an angle, or counts to the south or to the west.

    Examples
    --------
    >>> degrees_per("degrees_north", "lat"), round(degrees_per("radian", "lat"), 6)
    (1.0, 57.29578)
    """
    text = units.strip().lower()
    if re.fullmatch(r"deg(?:ree)?s?(?:_?(?:w|west|south)|_s)", text):
        raise FieldError(
            f"expected degrees to the north and to the east in {where!r}, found {units!r}; change "
            "the sign of the values and the attribute units"
        )
    if text in UNSAID or text.startswith("deg"):
        return 1.0
    return _scale(text, "degree", where, "degrees or radians")


def require_degrees(lat: xr.DataArray, lon: xr.DataArray) -> None:
    """Refuse a globe in radians that does not say so: its numbers would be a few degrees."""
    stated = (str(axis.attrs.get("units", "")).strip().lower() for axis in (lat, lon))
    if any(unit not in UNSAID for unit in stated):
        return
    south, north, west, east = (f(a.values) for a in (lat, lon) for f in (np.nanmin, np.nanmax))
    poles = -np.pi / 2 - SLACK <= south < -GLOBE[0] and GLOBE[0] < north <= np.pi / 2 + SLACK
    if poles and GLOBE[1] < east - west <= 2 * np.pi + SLACK:
        raise FieldError(
            f"expected units for {lat.name!r} and {lon.name!r}, found none and values from "
            f"{south:g} to {north:g} and from {west:g} to {east:g}, which look like the whole "
            "globe in radians; give them units 'radian', or degrees_north and degrees_east"
        )


def may_be_angle(units: str) -> bool:
    """Return whether a unit in small letters is an angle, or tells nothing, by its first look."""
    return units.strip() in UNSAID or units.strip().startswith("deg") or "rad" in units


def metres_per(units: str, where: str, crs: CRS) -> float:
    """Return the units of a reference system in one unit of an x or y axis.

    Parameters
    ----------
    units : str
        As the axis says; without one, that of `crs`. Angles on the axis of a projected system are
        scan angles of a geostationary satellite.
    where : str
        The axis, for the error.
    crs : pyproj.CRS
        Of the axis.

    Raises
    ------
    FieldError
        When the unit is not understood, or neither a length nor an angle where one is wanted.
    """
    own, name = crs.axis_info[0].unit_conversion_factor, crs.axis_info[0].unit_name
    text = units.strip()
    if text.lower() in UNSAID or text in (name, UNITS.get(name)):
        return 1.0
    if crs.is_geographic:
        return degrees_per(text, where)
    height = satellite_height(crs)
    if height is not None and _is_angle(text):
        return _scale(text, "radian", where, "a scan angle") * height / own
    wanted = "a length" if height is None else "a length or a scan angle"
    return _scale(text, "m", where, wanted) / own


def satellite_height(crs: CRS) -> float | None:
    """Return the height in m of a geostationary satellite, None for other projections."""
    operation = crs.coordinate_operation
    if operation is None or "geostationary" not in operation.method_name.lower():
        return None
    return next(float(p.value) for p in operation.params if p.name.lower() == "satellite height")


def require_stated(axis: xr.DataArray, crs: CRS) -> None:
    """Refuse scan angles that do not say so: their numbers are no metres."""
    stated = str(axis.attrs.get("units", "")).strip().lower() not in UNSAID
    if stated or satellite_height(crs) is None or np.abs(axis.values).max() > SMALLEST_ORBIT:
        return
    raise FieldError(
        f"expected a unit for {axis.name!r} of a geostationary projection, found none and values "
        f"up to {np.abs(axis.values).max():g}; give it units 'radian' if it is a scan angle"
    )


def _is_angle(units: str) -> bool:
    from narcf_geo.core.units import is_convertible

    return is_convertible(units, "radian") and not is_convertible(units, "m")


def _scale(units: str, target: str, where: str, wanted: str) -> float:
    from narcf_geo.core.units import linear

    try:
        scale, offset = linear(units, target)
    except UnitError as error:
        raise FieldError(
            f"expected {wanted} as the unit of {where!r}, found {units!r} ({error}); correct the "
            "attribute units"
        ) from None
    if offset:
        raise FieldError(f"expected {wanted} as the unit of {where!r}, found {units!r}")
    return scale


def in_degrees(ds: xr.Dataset, axes: list[xr.DataArray], named: dict[str, str]) -> xr.Dataset:
    """Return a dataset with latitudes, longitudes and their bounds in degrees.

    Parameters
    ----------
    ds : xarray.Dataset
        The dataset.
    axes : list of xarray.DataArray
        Its latitude and its longitude.
    named : dict of str
        The unit that each of `axes` is to have, by the name of the axis.
    """
    for axis in axes:
        name = str(axis.name)
        scale = degrees_per(str(axis.attrs.get("units", "")), name)
        if scale == 1.0:
            continue
        bounds = str(axis.attrs.get("bounds") or axis.encoding.get("bounds"))
        for one in {name, bounds, f"{name}_b"} & set(map(str, ds.variables)):
            variable = ds[one].variable
            own = variable.attrs.get("units")
            factor = scale if own is None else degrees_per(str(own), one)
            values = variable.astype("float64") * factor
            values.attrs = variable.attrs | ({"units": named[name]} if own is not None else {})
            values.encoding = {k: v for k, v in variable.encoding.items() if k == "bounds"}
            change = ds.assign_coords if one in ds.coords else ds.assign
            ds = change({one: values})
    return ds
