"""Fluxes in one unit and sign, areas in m2, classes as integers."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from narcf_geo.core.constants import FLUX_SIGN, FLUX_UNITS, IGBP
from narcf_geo.core.errors import FieldError, NarcfError, UnitError, UsageError
from narcf_geo.core.units import convert, is_per_cell, linear, substance_of
from narcf_geo.fields.axes import in_house_order
from narcf_geo.fields.stored import PACKING, unpacked, valid_only
from narcf_geo.fields.time import on_month_axis
from narcf_geo.grid import Grid

Sign = Literal["to_atmosphere", "uptake"]

ACCEPTED_FLUX_UNITS = ("umol m-2 s-1", "mol m-2 s-1", "g C m-2 day-1", "kg C m-2 s-1")
"""Examples of what converts, for errors."""

UPTAKE_NAMES = (
    "downward",
    "net_ecosystem_production",
    "net_biome_production",
    "net_primary_productivity",
    "gross_primary_productivity",
)
"""What a CF standard name of a flux that counts uptake as positive has in it."""

UPTAKE_VARIABLES = ("nbp", "nep", "netatmoslandco2flux")
"""Names of variables that count uptake as positive by their definition, in small letters."""

NODATA = -1
"""The class of what is not mapped."""


def flux_field(
    flux: xr.DataArray,
    *,
    units: str | None = None,
    sign: Sign | None = None,
    monthly: bool = True,
    where: str = "",
) -> xr.DataArray:
    """Return a CO2 flux in the house's terms.

    Parameters
    ----------
    flux : xarray.DataArray
        With latitude and longitude, and time where it has any.
    units : str, optional
        The unit of the values; by default that of its attribute ``units``.
    sign : {"to_atmosphere", "uptake"}, optional
        What positive means; by default see `sign_of`.
    monthly : bool
        Put time on the month axis; see `narcf_geo.fields.time.on_month_axis`.
    where : str
        What the data are, for an error.

    Returns
    -------
    xarray.DataArray
        (time, lat, lon) or (lat, lon), umol m-2 s-1, positive to the atmosphere, NaN where missing.

    Raises
    ------
    FieldError
        When it has other dimensions, no unit, one that is not of a carbon flux, or is not monthly.

    Examples
    --------
    >>> nbp = xr.DataArray([[1.0378, -2.0756]], dims=("lat", "lon"), name="nbp",
    ...                    coords={"lat": [50.5], "lon": [0.5, 1.5]},
    ...                    attrs={"units": "g C m-2 day-1"})
    >>> flux_field(nbp, sign="uptake").values.round(3).tolist()
    [[-1.0, 2.0]]
    """
    flux = _labelled(flux, where or "flux")
    where = where or (f"{flux.name!r}" if flux.name is not None else "flux")
    flux = in_house_order(flux, where)
    if extra := [str(d) for d in flux.dims if d not in ("time", *plane_of(flux))]:
        raise FieldError(
            f"{where}: expected a flux along time, latitude and longitude, found it along "
            f"{', '.join(extra)} too; choose one with .isel or .sel"
        )
    if monthly and ("time" in flux.coords or "time" in flux.dims):
        flux = on_month_axis(flux.to_dataset(name="flux"), where=where)["flux"].rename(flux.name)
    return in_flux_units(flux, units=units, sign=sign, where=where)


def in_flux_units(
    flux: xr.DataArray,
    *,
    units: str | None = None,
    sign: Sign | None = None,
    where: str = "flux",
    signed: bool = True,
) -> xr.DataArray:
    """Return a flux in umol m-2 s-1, positive to the atmosphere; see `flux_field`.

    What has no sign, such as a standard deviation, keeps it with ``signed=False``.
    """
    stated = str(units or flux.attrs.get("units", "")).strip()
    if not stated:
        raise UnitError(
            f"{where}: expected a unit of a CO2 flux, such as {', '.join(ACCEPTED_FLUX_UNITS)}, "
            "found none; pass units=, or set attrs['units']"
        )
    flux = flux.copy(deep=False)
    flux.attrs = {**flux.attrs, "units": stated}
    name = str(flux.attrs.get("standard_name", ""))
    area = None
    if is_per_cell(stated):
        area = xr.DataArray(Grid.from_dataset(flux).area, dims=plane_of(flux))
    try:
        result = convert(
            flux,
            FLUX_UNITS,
            where=where,
            kind="carbon",
            of=substance_of(name),
            area=area,
            dtype=None,
        )
    except UnitError as error:
        raise UnitError(
            f"{error} Units of a CO2 flux are {', '.join(ACCEPTED_FLUX_UNITS)} and the like"
        ) from None
    if signed:
        if sign not in (None, "to_atmosphere", "uptake"):
            raise UsageError(f"expected sign 'to_atmosphere' or 'uptake', found {sign!r}")
        attrs = {**result.attrs, "sign": FLUX_SIGN}
        if sign_of(flux) == "uptake":
            attrs.pop("standard_name", None)
        if (sign or sign_of(flux)) == "uptake":
            result = -result
        result.attrs = attrs  # assign_attrs would leave the standard name of the other sign
    return result


def sign_of(flux: xr.DataArray) -> Sign:
    """Return what positive means in a flux that comes from outside.

    By its standard name; without one that says so, a variable named ``nbp`` or ``nep`` counts
    uptake by definition, and every other one release to the atmosphere. What has come in by the
    door says so in its attribute ``sign``.

    Examples
    --------
    >>> sign_of(xr.DataArray(1.0, name="NEP")), sign_of(xr.DataArray(1.0, name="NEE"))
    ('uptake', 'to_atmosphere')
    """
    if flux.attrs.get("sign") == FLUX_SIGN:
        return "to_atmosphere"
    standard = str(flux.attrs.get("standard_name", ""))
    named = str(flux.name).lower() in UPTAKE_VARIABLES and "upward" not in standard
    return "uptake" if named or any(part in standard for part in UPTAKE_NAMES) else "to_atmosphere"


def area_field(area: xr.DataArray, where: str = "cell_area") -> xr.DataArray:
    """Return cell areas (lat, lon) in m2.

    Parameters
    ----------
    area : xarray.DataArray
        In a unit of area. Without a unit it is taken as m2 if that can be.
    where : str
        What the data are, for an error.

    Raises
    ------
    UnitError
        When the unit is not of an area, or values without one cannot be m2.
    """
    area = in_house_order(_labelled(area, where), where)
    if set(area.dims) != set(plane_of(area)):
        raise FieldError(f"{where}: expected areas along lat and lon, found {area.dims}")
    stated = str(area.attrs.get("units", "")).strip()
    if not stated:
        _require_m2(area, where)
        return area.assign_attrs(units="m2")
    try:
        scale, _ = linear(stated, "m2")
    except NarcfError as error:
        raise UnitError(f"{where}: {error}; expected a unit of area, such as m2") from None
    return (area if scale == 1.0 else area * scale).assign_attrs({**area.attrs, "units": "m2"})


def _require_m2(area: xr.DataArray, where: str) -> None:
    if min(area.shape) < 2:
        return
    expected = float(np.median(Grid.from_dataset(area).area))
    found = float(area.median())
    if not 1e-3 < found / expected < 1e3:
        raise UnitError(
            f"{where}: expected areas in m2, such as {expected:.4g}, found {found:.4g} without a "
            "unit; set attrs['units']"
        )


def class_field(classes: xr.DataArray, where: str = "biome") -> xr.DataArray:
    """Return IGBP classes (lat, lon) as integers 0 to 17, -1 where nothing is known.

    Raises
    ------
    FieldError
        When a value is no IGBP class.
    """
    classes = in_house_order(_labelled(classes, where), where)
    if set(classes.dims) != set(plane_of(classes)):
        raise FieldError(f"{where}: expected classes along lat and lon, found {classes.dims}")
    values = whole_classes(classes.values, where)
    return classes if values is classes.values else classes.copy(data=values)


def whole_classes(values: np.ndarray, where: str = "biome") -> np.ndarray:
    """Return IGBP classes as integers 0 to 17, -1 where there is none; see `class_field`.

    Examples
    --------
    >>> whole_classes(np.array([12.0, np.nan]))
    array([12, -1], dtype=int16)
    """
    filled = np.where(np.isnan(values), NODATA, values) if values.dtype.kind == "f" else values
    wrong = (filled != np.floor(filled)) | (filled < NODATA) | (filled >= len(IGBP))
    if wrong.any():
        raise FieldError(
            f"{where}: expected IGBP classes 0 to {len(IGBP) - 1}, and {NODATA} for nodata, found "
            f"{filled[wrong].flat[0]:g}"
        )
    return filled.astype(np.int16) if values.dtype.kind == "f" else values


def _labelled(field: object, where: str) -> xr.DataArray:
    if isinstance(field, xr.DataArray):
        if not any(key in PACKING or str(key).startswith("valid_") for key in field.attrs):
            return field
        name = field.name if field.name is not None else "field"
        return valid_only(unpacked(field.to_dataset(name=name)))[name].rename(field.name)
    hint = "; choose a variable of it" if isinstance(field, xr.Dataset) else ""
    raise UsageError(f"{where}: expected an xarray.DataArray, found {type(field).__name__}{hint}")


def plane_of(field: xr.DataArray) -> tuple[str, ...]:
    """Return the horizontal dimensions of a field in house order."""
    lat, lon = field["lat"], field["lon"]
    return (*map(str, lat.dims), *(str(d) for d in lon.dims if d not in lat.dims))
