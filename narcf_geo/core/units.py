"""Unit conversion with pint, made explicit where a unit string leaves the substance unsaid."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.core.constants import CARBON_MOLAR_MASS
from narcf_geo.core.errors import NarcfError

_SPELLINGS = {
    "degrees_celsius": "degC",
    "degrees celsius": "degC",
    "celsius": "degC",
    "deg_c": "degC",
    "deg c": "degC",
    "c": "degC",
    "degk": "K",
    "deg k": "K",
    "fraction": "1",
    "-": "1",
    "unitless": "1",
    "percent": "%",
    "mb": "hPa",
    "millibar": "hPa",
    "millibars": "hPa",
}
_CARBON = re.compile(r"\b([kMGTPmu]?g)\s?C\b")
_CO2 = re.compile(r"\(?\bCO2\b\)?")


@cache
def _registry() -> Any:
    import cf_xarray.units

    return cf_xarray.units.units


@cache
def linear(source: str, target: str, substance: str | None = None) -> tuple[float, float]:
    """Return ``(scale, offset)`` with ``target_value = source_value * scale + offset``.

    Parameters
    ----------
    source, target : str
        Unit strings in UDUNITS spelling, such as ``"kg m-2 day-1"``.
    substance : {"carbon", "water"}, optional
        What a mass is a mass of. Carbon: ``g C`` (written so, since a bare ``g`` could be grams of
        CO2) and mol of CO2 convert by 12.011 g mol-1. Water: kg m-2 and mm convert by 1000 kg m-3.

    Raises
    ------
    NarcfError
        When a unit is unknown, or the two do not convert.

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
    import pint

    registry = _registry()
    units = _parse(source, registry)
    wanted = _parse(target, registry)
    try:
        if substance == "carbon" and units.is_compatible_with("kg m-2 s-1"):
            if not _CARBON.search(source):
                raise NarcfError(
                    f"{source!r} does not say of what: write the mass of carbon as "
                    f"'g C m-2 day-1', or the amount of CO2 as {target!r}"
                )
            units = units / registry.Unit("g") * registry.Unit("mol")
            factor = 1.0 / CARBON_MOLAR_MASS
        elif substance == "water" and units.is_compatible_with(wanted * registry.Unit("m3 kg-1")):
            units = units * registry.Unit("kg m-3")
            factor = 1000.0
        else:
            factor = 1.0
        zero, one = (registry.Quantity(v, units).to(wanted).magnitude for v in (0.0, 1.0))
    except pint.DimensionalityError:
        raise NarcfError(f"unit {source!r} does not convert to {target!r}") from None
    return float(f"{(one - zero) * factor:.14g}"), float(zero)


def _parse(text: str, registry: Any) -> Any:
    plain = _CO2.sub("", _CARBON.sub(r"\1", text.replace("µ", "u").replace("μ", "u"))).strip()
    plain = _SPELLINGS.get(plain.lower(), plain)
    try:
        unit = registry.Unit(plain)
    except Exception as error:  # pint raises many kinds, tokenizer errors among them
        raise NarcfError(f"unit {text!r} is not understood ({error})") from None
    # A mean month would put up to 8 % of false seasonality into a flux.
    if "month" in unit._units:
        raise NarcfError(
            f"unit {text!r}: a month has no fixed length; divide by the days of each month first"
        )
    return unit


def convert(
    array: xr.DataArray, units: str, *, where: str, substance: str | None = None
) -> xr.DataArray:
    """Return `array` in `units` as float32, lazily; `where` (file and variable) is for the error.

    Raises
    ------
    NarcfError
        When the array states no unit, or one that does not convert.
    """
    stated = str(array.attrs.get("units", "")).strip()
    if not stated:
        raise NarcfError(
            f"{where}: expected a unit that converts to {units!r}, found none; state it in the "
            "catalog entry with `units:` under this variable"
        )
    try:
        scale, offset = linear(stated, units, substance)
    except NarcfError as error:
        raise NarcfError(
            f"{where}: {error}; expected a unit that converts to {units!r}. If the file is wrong, "
            "state the true unit in the catalog entry with `units:`"
        ) from None
    attrs = {**array.attrs, "units": units}
    if (scale, offset) != (1.0, 0.0):
        array = array.astype("float64") * scale + offset
    result = array.astype(np.float32)
    result.attrs = attrs
    return result
