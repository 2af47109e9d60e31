"""Unit conversion with pint, made explicit where a unit string leaves the substance unsaid."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr

from narcf_geo.core.constants import CARBON_MOLAR_MASS, CO2_MOLAR_MASS
from narcf_geo.core.errors import NarcfError, UnitError

Substance = Literal["C", "CO2"]

MEAN_MONTH_DAYS = np.array([31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
"""Days of the twelve months of a mean year."""

MAX_LENGTH = 100
"""Characters of a unit; longer ones are not parsed."""

_WORDS = {
    "kelvin": "K",
    "kelvins": "K",
    "celsius": "degC",
    "°c": "degC",
    "watt": "W",
    "watts": "W",
    "joule": "J",
    "joules": "J",
    "kg": "kg",
    "kgs": "kg",
    "grams": "g",
    "tonne": "t",
    "tonnes": "t",
    "tons": "t",
    "days": "day",
    "d": "day",
    "hr": "hour",
    "hrs": "hour",
    "sec": "s",
    "secs": "s",
    "yr": "year",
    "yrs": "year",
    "a": "year",
    "mon": "month",
    "months": "month",
    "gridcell": "cell",
    "grid_cell": "cell",
    "gridbox": "cell",
    "mb": "hPa",
    "mbar": "hPa",
    "millibar": "hPa",
    "millibars": "hPa",
    "percent": "%",
    **dict.fromkeys(("meter", "meters", "metre", "metres"), "m"),
    **dict.fromkeys(("kilometer", "kilometers", "kilometre", "kilometres"), "km"),
    "ftus": "survey_foot",
    **dict.fromkeys(("radian", "radians"), "rad"),
}
"""Spellings of a word of a unit, in small letters."""

MOST_POWER = 30
"""Largest power of a part of a unit."""

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_BEFORE_POWER = r"(?<=[A-Za-z])(?<!\d[eE])(?=-?\d)"
_EXPONENT = re.compile(
    r"\s*(?:[-+]?(?:\d{1,2}|\d?\.\d{1,3})|\([-+]?\d{1,2}(?:/\d{1,2})?\))(?![\d.(eE])"
)
_POWER_WORDS = re.compile(r"(?i)\b(?:square|cubic|sq|squared|cubed)\b")

_WHOLE = {"fraction": "1", "-": "1", "unitless": "1", "dimensionless": "1", "c": "degC", "": "1"}
_PREFIXED = r"(?:micro|milli|nano|kilo|mega|giga|tera|peta|[umnkMGTP])?"
_MASS = rf"{_PREFIXED}(?:[Kk]?g|grams?|t|tonnes?|mole?s?)"
_CARBON_WORDS = r"(?:C[-_]CO2|CO2[-_]C|C)"
_OF_CARBON = re.compile(
    rf"(?<![A-Za-z])({_MASS})[\s_]?[(\[{{]?{_CARBON_WORDS}[)\]}}]?(?![A-Za-z\d])"
)
_OF_CO2 = re.compile(r"[\s_]?[(\[{]?CO_?2[)\]}]?")


class Unit(NamedTuple):
    """A unit as pint understands it, and what it says beside.

    Attributes
    ----------
    unit : pint.Unit
        Without the substance, the month and the cell.
    substance : {"C", "CO2"}, optional
        What a mass or an amount is of, where the text says so.
    per_month, per_cell : bool
        Whether it is for each month, for each grid cell.
    """

    unit: Any
    substance: Substance | None
    per_month: bool
    per_cell: bool


@cache
def _registry() -> Any:
    import cf_xarray.units

    return cf_xarray.units.units


@cache
def parse(text: str) -> Unit:
    """Read a unit string, such as ``"kg C m-2 s-1"`` or ``"mm/month"``.

    Parameters
    ----------
    text : str
        In the spelling of UDUNITS or as it is written in the field.

    Raises
    ------
    UnitError
        When it is not understood.

    Examples
    --------
    >>> parse("umolCO2 m-2 s-1").substance, parse("g C m-2 month-1").per_month
    ('CO2', True)
    """
    if len(text) > MAX_LENGTH or "\0" in text:
        raise UnitError(
            f"unit {text[:40]!r}... is not understood: expected at most {MAX_LENGTH} printable "
            f"characters, found {len(text)}"
        )
    plain, substance = _without_substance(text)
    plain = _WHOLE.get(plain.lower(), plain)
    plain = re.sub(r"(?i)\bdeg(?:rees?)?[ _]?(?:celsius|c)\b", "degC", plain)
    plain = re.sub(r"(?i)\bdeg(?:rees?)?[ _]?(?:kelvin|k)\b", "K", plain)
    plain = re.sub(r"(?i)\bus[ _-]survey[ _-]f(?:oo|ee)?t\b", "survey_foot", plain)
    if substance or plain != "kt":  # alone it is a knot
        plain = re.sub(r"\bkt\b", "kilotonne", plain)
    plain = re.sub(r"°?[A-Za-z_°]+", lambda word: _WORDS.get(word[0].lower(), word[0]), plain)
    counted = []
    for name in ("month", "cell"):
        shorter = re.sub(rf"/\s*{name}\b|\b{name}\s*(?:\^|\*\*)?\s*-\s*1\b", " ", plain, count=1)
        counted.append(shorter != plain)
        plain = shorter
    plain = re.sub(r"^\s*/", "1/", plain.strip().strip("*.")) or "1"
    if _is_towering(plain):
        raise UnitError(
            f"unit {text!r} is not understood: expected powers of one or two digits, found others"
        )
    try:
        unit = _registry().Unit(plain)
    except Exception as error:  # pint raises many kinds, tokenizer errors among them
        raise UnitError(f"unit {text!r} is not understood ({error})") from None
    if any(abs(power) > MOST_POWER for power in unit._units.values()):
        raise UnitError(f"unit {text!r} is not understood: expected powers up to {MOST_POWER}")
    if "month" in unit._units:
        raise UnitError(f"unit {text!r} is not understood: a month has no fixed length")
    return Unit(unit, substance, *counted)


def _is_towering(plain: str) -> bool:
    """Tell whether a unit has a power that may take hours to compute, as ``9**9**9`` does."""
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda found: f"**{found[0].translate(_SUPERSCRIPTS)}", plain)
    base, *rest = re.split(r"\*\*|\^", re.sub(_BEFORE_POWER, "**", text))
    of_numbers = of_brackets = 0
    for following in rest:
        end = base.rstrip()[-1:]
        of_numbers += not (end.isalpha() or end in "%°)")
        of_brackets += end == ")"
        if not _EXPONENT.match(following):
            return True
        base = following
    return of_numbers > 0 or of_brackets > 1 or len(_POWER_WORDS.findall(plain)) > 2


def _without_substance(text: str) -> tuple[str, Substance | None]:
    plain = text.replace("µ", "u").replace("μ", "u").replace("−", "-").strip()
    carbon = _OF_CARBON.sub(r"\1", plain)
    if carbon != plain:
        return carbon, "C"
    without = _OF_CO2.sub(" ", plain)
    return without.strip(), ("CO2" if without != plain else None)


@cache
def linear(
    source: str, target: str, kind: str | None = None, of: Substance | None = None
) -> tuple[float, float]:
    """Return ``(scale, offset)`` with ``target_value = source_value * scale + offset``.

    Parameters
    ----------
    source, target : str
        Unit strings, such as ``"kg C m-2 s-1"``. A unit for each month or cell has no fixed factor:
        see `convert`.
    kind : {"carbon", "water"}, optional
        What is converted. Carbon: a mass of C (12.011 g mol-1) or of CO2 (44.009 g mol-1) and an
        amount of either convert into each other. Water: kg m-2 and mm convert by 1000 kg m-3.
    of : {"C", "CO2"}, optional
        What a mass is of, where its unit does not say.

    Raises
    ------
    UnitError
        When a unit is not understood, a mass of carbon does not say of what, or the two do not
        convert.

    Examples
    --------
    >>> scale, offset = linear("g C m-2 day-1", "umol m-2 s-1", "carbon")
    >>> round(1 / scale, 4)
    1.0378
    >>> linear("K", "degC")
    (1.0, -273.15)
    >>> linear("mm/day", "kg m-2 day-1", "water")
    (1.0, 0.0)
    """
    given, wanted = parse(source), parse(target)
    if (given.per_month, given.per_cell) != (wanted.per_month, wanted.per_cell):
        what = "a month has no fixed length" if given.per_month else "a cell has no fixed area"
        raise UnitError(f"unit {source!r}: {what}; divide by that of each first")
    return _linear(given, wanted, kind, of, source, target)


def _linear(
    given: Unit, wanted: Unit, kind: str | None, of: Substance | None, source: str, target: str
) -> tuple[float, float]:
    import pint

    registry = _registry()
    unit, factor = given.unit, 1.0
    if kind == "carbon" and unit.dimensionality.get("[mass]") == 1:
        substance = given.substance or of
        if substance is None:
            raise UnitError(
                f"{source!r} does not say of what: write the mass of carbon as 'g C m-2 day-1', "
                "that of CO2 as 'g CO2 m-2 day-1', or in a catalog entry `of: C` or `of: CO2`"
            )
        unit = unit / registry.Unit("g") * registry.Unit("mol")
        factor = 1.0 / (CARBON_MOLAR_MASS if substance == "C" else CO2_MOLAR_MASS)
    elif kind == "water" and unit.is_compatible_with(wanted.unit * registry.Unit("m3 kg-1")):
        unit, factor = unit * registry.Unit("kg m-3"), 1000.0
    try:
        zero, one = (registry.Quantity(v, unit).to(wanted.unit).magnitude for v in (0.0, 1.0))
    except (pint.DimensionalityError, ArithmeticError):
        raise UnitError(f"unit {source!r} does not convert to {target!r}") from None
    if not (np.isfinite([zero, one]).all() and one != zero):
        raise UnitError(f"unit {source!r} does not convert to {target!r} in numbers of this size")
    return float(f"{(one - zero) * factor:.14g}"), float(zero)


def convert(
    array: xr.DataArray,
    units: str,
    *,
    where: str,
    kind: str | None = None,
    of: Substance | None = None,
    area: xr.DataArray | None = None,
    dtype: type | None = np.float32,
) -> xr.DataArray:
    """Return an array in another unit, lazily.

    Parameters
    ----------
    array : xarray.DataArray
        With attribute ``units``. Amounts for each month are divided by the true days of the months
        along ``time``, or of a mean year where these are numbered 1 to 12.
    units : str
        The unit wanted.
    where : str
        File and variable, for an error.
    kind, of
        As for `linear`.
    area : xarray.DataArray, optional
        Of each cell, m2: totals of a cell are divided by it.
    dtype : type, optional
        Of the result; None keeps that of the array where nothing is converted, else float64.

    Returns
    -------
    xarray.DataArray
        Attributes kept, ``units`` set.

    Raises
    ------
    UnitError
        When the array states no unit, or one that does not convert.

    Examples
    --------
    >>> import pandas as pd
    >>> rain = xr.DataArray([62.0, 56.0], dims="time", attrs={"units": "mm/month"},
    ...                     coords={"time": pd.date_range("2015-01", periods=2, freq="MS")})
    >>> convert(rain, "kg m-2 day-1", where="rain.nc", kind="water").values.tolist()
    [2.0, 2.0]
    """
    stated = str(array.attrs.get("units", "")).strip()
    if not stated:
        raise UnitError(
            f"{where}: expected a unit that converts to {units!r}, found none; state it in the "
            "catalog entry with `units:` under this variable"
        )
    try:
        given, wanted = parse(stated), parse(units)
        divisors: list[xr.DataArray] = []
        if given.per_month and not wanted.per_month:
            divisors.append(_days_of_months(array, stated))
        if given.per_cell and not wanted.per_cell:
            if area is None:
                raise UnitError(f"unit {stated!r}: the area of the cells is not known here")
            divisors.append(area)
        scale, offset = _linear(_divided(given, wanted), wanted, kind, of, stated, units)
    except NarcfError as error:
        raise UnitError(
            f"{where}: {error}; expected a unit that converts to {units!r}. If the file is wrong, "
            "state the true unit in the catalog entry with `units:`"
        ) from None
    attrs = {**array.attrs, "units": units}
    dims = array.dims
    for divisor in divisors:
        array = array.astype("float64") / divisor
    if (scale, offset) != (1.0, 0.0):
        array = array.astype("float64") * scale + offset
    result = array.transpose(*dims)
    result = result if dtype is None else result.astype(dtype)
    result.attrs = attrs
    return result


def _divided(given: Unit, wanted: Unit) -> Unit:
    """Return a unit with days for months, and m2 for cells, where the wanted one has none."""
    unit = given.unit
    if given.per_month and not wanted.per_month:
        unit = unit / _registry().Unit("day")
    if given.per_cell and not wanted.per_cell:
        unit = unit / _registry().Unit("m2")
    return given._replace(unit=unit)


def is_convertible(
    source: str, target: str, kind: str | None = None, of: Substance | None = None
) -> bool:
    """Tell whether `convert` takes a unit, where the months and the cells are known.

    Parameters
    ----------
    source, target, kind, of
        As for `linear`.

    Examples
    --------
    >>> is_convertible("Tg C month-1 cell-1", "umol m-2 s-1", "carbon")
    True
    >>> is_convertible("Tg month-1 cell-1", "umol m-2 s-1", "carbon")  # of what?
    False
    """
    try:
        given, wanted = parse(source), parse(target)
        _linear(_divided(given, wanted), wanted, kind, of, source, target)
    except UnitError:
        return False
    return True


def is_per_cell(text: str) -> bool:
    """Tell whether a unit is for each grid cell; False where it is not understood.

    Examples
    --------
    >>> is_per_cell("Pg C yr-1 cell-1"), is_per_cell("kg m-2")
    (True, False)
    """
    try:
        return parse(text).per_cell
    except UnitError:
        return False


def substance_of(standard_name: str) -> Substance | None:
    """Return what a mass is of, by its CF standard name, where that says so.

    Examples
    --------
    >>> substance_of("surface_upward_mass_flux_of_carbon_dioxide_expressed_as_carbon_due_to_fires")
    'C'
    """
    if "expressed_as_carbon" in standard_name:
        return "C"
    return "CO2" if "mass_flux_of_carbon_dioxide" in standard_name else None


def _days_of_months(array: xr.DataArray, stated: str) -> xr.DataArray:
    """Return the days of each month along ``time``, float64."""
    if "time" not in array.coords:
        raise UnitError(f"unit {stated!r}: a month has no fixed length, and there is no time axis")
    time = array["time"]
    if np.issubdtype(time.dtype, np.integer):
        return xr.DataArray(MEAN_MONTH_DAYS[time.values - 1], {"time": time}, time.dims)
    days = time.dt.days_in_month.astype("float64")
    return days.drop_attrs()
