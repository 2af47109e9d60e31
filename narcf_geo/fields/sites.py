"""Monthly fluxes of towers from a table, in the terms of the house."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.constants import FLUX_UNITS, IGBP
from narcf_geo.core.errors import FieldError, MissingFileError, TimeError, UnitError, UsageError
from narcf_geo.core.ordinary import require_ordinary
from narcf_geo.core.units import is_convertible, is_per_cell, linear, parse
from narcf_geo.fields.packed import unpacked
from narcf_geo.fields.reading import named, reading
from narcf_geo.fields.tables import cut_short, ends_with_a_line
from narcf_geo.fields.values import NODATA, UPTAKE_VARIABLES, Sign, in_flux_units, sign_of

NAMES = {
    "site": ("site", "site_id", "siteid", "tower", "station"),
    "lat": ("lat", "latitude", "location_lat"),
    "lon": ("lon", "long", "longitude", "location_long", "location_lon"),
    "time": ("time", "date", "month", "yearmonth", "yyyymm", "timestamp"),
    "quality": ("share_good", "quality", "qc"),
    "igbp": ("igbp", "igbp_class", "biome"),
}
"""Names of columns, in small letters. Time may also be in the columns year and month."""

FLUXES = ("flux", "nee", *UPTAKE_VARIABLES)
"""Names of the flux, in small letters, a unit after it left out."""

MISSING = -9999.0
"""What FLUXNET writes for a value that is missing."""

_CODES = {c.code: number for number, c in enumerate(IGBP)}
_IN_BRACKETS = re.compile(r"(?P<name>.*?)\s*[(\[](?P<units>[^()\[\]]+(?:\([^()]*\))?)[)\]]\s*")
_DIVISORS = {"m2": "m-2", **{t: f"{t}-1" for t in ("s", "h", "d", "day", "month", "yr", "year")}}
_MONTH = re.compile(r"\d{4}(-?)(0[1-9]|1[0-2])(\1(0[1-9]|[12]\d|3[01])(\D.*)?)?")


class Sites(NamedTuple):
    """Monthly fluxes of towers.

    Attributes
    ----------
    table : pandas.DataFrame
        A row for each tower and month: ``site``, ``lat`` and ``lon`` (degrees), ``time`` (start of
        the month), ``flux`` (umol m-2 s-1, positive to the atmosphere, NaN where missing), and
        where the source has them ``quality`` (0 to 1) and ``igbp`` (class number, -1 not known).
    name : str
        What the source is called.
    variable, units : str
        The column of the flux, and the unit it was given in.
    sign : {"to_atmosphere", "uptake"}
        What positive meant in it.
    """

    table: pd.DataFrame
    name: str
    variable: str
    units: str
    sign: Sign


def open_sites(
    source: str | os.PathLike[str] | pd.DataFrame,
    variable: str | None = None,
    *,
    units: str | None = None,
    sign: Sign | None = None,
) -> Sites:
    """Open a table of monthly fluxes at places, one row for each tower and month.

    Parameters
    ----------
    source : path or pandas.DataFrame
        A CSV file, or one packed as ``.csv.gz``, with columns of site, latitude, longitude and
        month (``2011-07``, ``201107``, a date, or ``year`` and ``month``), a flux, and where there
        are any a quality share (0 to 1) and the IGBP class (code or number); see `NAMES`.
    variable : str, optional
        The column of the flux, with or without its unit; by default the one called flux, nee, nep
        or nbp, else the only one that states a unit of a CO2 flux.
    units : str, optional
        The unit of the flux where its column does not say it, as ``nee_umol_m2_s`` and
        ``NEE (g C m-2 day-1)`` do.
    sign : {"to_atmosphere", "uptake"}, optional
        What positive means; by default to the atmosphere, of nep and nbp uptake.

    Raises
    ------
    UsageError
        When there is no such file or column, or several could be meant.
    FieldError
        When a row is not what it must be: place, month, number, class; when a site has two places,
        or a month twice.
    UnitError
        When the unit is not known, or not of a CO2 flux.

    Examples
    --------
    >>> rows = pd.DataFrame({"site": ["US-Ne1", "US-Ne1"], "latitude": [41.165, 41.165],
    ...                      "longitude": [263.523, 263.523], "month": ["2007-06", "2007-07"],
    ...                      "NEE (g C m-2 day-1)": [-5.189, -9999]})
    >>> sites = open_sites(rows)
    >>> sites.table["flux"].round(3).tolist(), sites.units
    ([-5.0, nan], 'g C m-2 day-1')
    """
    if isinstance(source, pd.DataFrame):
        raw, where = source.astype(object), "the table"
    else:
        raw, where = _read(Path(source)), str(source)
    if raw.empty:
        raise FieldError(f"{where}: expected rows, found none")
    raw = raw.rename(columns=lambda name: str(name).strip())
    found = _columns(raw, where)
    column, name, stated = _flux_column(raw, [c for c in found.values() if c], variable, where)
    table = pd.DataFrame({"site": _texts(raw[found["site"]], where)})
    for axis, most in (("lat", 90.0), ("lon", 360.0)):
        table[axis] = _positions(raw[found[axis]], most, table["site"], where)
    table["time"] = _months(raw, found["time"], where)
    values = _numbers(raw[column], where)
    table["flux"] = values.where(values != MISSING)
    if quality := found["quality"] or next(
        (c for c in raw if str(c).lower() == f"{column.lower()}_qc"), None
    ):
        table["quality"] = _shares(raw[quality], where)
    if found["igbp"]:
        table["igbp"] = _classes(raw[found["igbp"]], where)
    _require_sites(table, where)
    given = _units(units, stated, column, where)
    flux = xr.DataArray(
        table["flux"].to_numpy(np.float64),
        {"time": table["time"].to_numpy()},
        ("time",),
        name=name,
    )
    sign = sign or sign_of(flux)
    with named(where):
        flux = in_flux_units(flux, units=given, sign=sign, where=f"{where}: column {column!r}")
    table["flux"] = flux.values
    return Sites(table, Path(where).name, column, given, sign)


def is_table(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path is one of a table that `open_sites` reads, by its suffix."""
    return str(path).lower().endswith((".csv", ".csv.gz"))


def _read(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise MissingFileError(f"{path}: no such file")
    if not is_table(path):
        raise UsageError(f"{path}: expected a table of towers as .csv or .csv.gz")
    require_ordinary(path)
    with reading(path):
        text = unpacked(path) if path.suffix.lower() == ".gz" else path
        raw = pd.read_csv(text, dtype=str, skipinitialspace=True)
    if len(raw) and raw.iloc[-1].isna().iloc[-1] and not ends_with_a_line(text):
        raise cut_short(path, "whose last line lacks a value")
    return raw


def _columns(raw: pd.DataFrame, where: str) -> dict[str, str]:
    """Return the column of each role, "" without one; that of time where year and month are two."""
    found = {}
    for role, names in NAMES.items():
        fit = [str(c) for c in raw if str(c).lower() in names]
        if role == "time" and _column(raw, "year"):
            fit = [c for c in fit if c.lower() == "month"]
        if len(fit) > 1:
            raise UsageError(
                f"{where}: expected one column of {role}, found {', '.join(fit)}; rename or remove "
                "the other"
            )
        found[role] = fit[0] if fit else ""
    absent = [role for role in ("site", "lat", "lon", "time") if not found[role]]
    if absent:
        expected = "; ".join(f"{role}: {', '.join(NAMES[role])}" for role in absent)
        raise UsageError(
            f"{where}: expected a column of {' and of '.join(absent)} ({expected}), found "
            f"{', '.join(map(str, raw.columns))}"
        )
    return found


def _column(raw: pd.DataFrame, name: str) -> str:
    return next((str(c) for c in raw if str(c).lower() == name), "")


def with_units(column: str) -> tuple[str, str]:
    """Return the name of a column and the unit of a CO2 flux that it states, "" without one.

    Examples
    --------
    >>> with_units("nee_umol_m2_s"), with_units("NEE [gC m-2 d-1]"), with_units("nee_qc")
    (('nee', 'umol m-2 s-1'), ('NEE', 'gC m-2 d-1'), ('nee_qc', ''))
    """
    if match := _IN_BRACKETS.fullmatch(column):
        return match["name"], match["units"].strip()
    words = column.split("_")
    for first in range(1, len(words)):
        units = " ".join(_DIVISORS.get(word, word) for word in words[first:])
        if is_convertible(units, FLUX_UNITS, "carbon"):
            return "_".join(words[:first]), units
    return column, ""


def _flux_column(
    raw: pd.DataFrame, taken: list[str], variable: str | None, where: str
) -> tuple[str, str, str]:
    """Return the column of the flux, its name without the unit, and the unit."""
    known = {str(c): with_units(str(c)) for c in raw if str(c) not in taken}
    if variable is not None:
        wanted = variable.lower()
        fit = [c for c, (name, _) in known.items() if wanted in (c.lower(), name.lower())]
    else:
        fit = [c for c, (name, _) in known.items() if name.lower() in FLUXES]
        fit = fit or [
            c for c, (_, unit) in known.items() if is_convertible(unit, FLUX_UNITS, "carbon")
        ]
    if len(fit) != 1:
        raise UsageError(
            f"{where}: expected one column of the flux, {repr(variable) if variable else 'nee'}, "
            f"found {', '.join(fit or known) or 'no other column'}; name the column of the flux"
        )
    return fit[0], *known[fit[0]]


def _units(given: str | None, stated: str, column: str, where: str) -> str:
    at = f"{where}: column {column!r}"
    units = given or stated
    if not units:
        raise UnitError(
            f"{at}: expected its unit, found none; name the column such as "
            f"'{column} (g C m-2 day-1)', or state units"
        )
    if is_per_cell(units):
        raise UnitError(f"{at}: expected a flux for an area, found {units!r}; a tower has no cell")
    if given and stated and given != stated and _factor(given) != _factor(stated):
        raise UnitError(
            f"{at}: expected one unit, found {stated!r} in its name and {given!r} as stated; "
            "correct one of them"
        )
    return units


def _factor(units: str) -> tuple[float, bool]:
    per_month = parse(units).per_month
    try:
        return linear(units, FLUX_UNITS, "carbon")[0], per_month
    except UnitError:
        return np.nan, per_month


def _texts(column: pd.Series, where: str) -> pd.Series:
    texts = column.astype("string").str.strip()
    _require(texts.notna() & (texts != ""), column, "the name of a site", where)
    return texts.astype(str)


def _numbers(column: pd.Series, where: str) -> pd.Series:
    """Return numbers, NaN where there is none."""
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    _require((numbers.notna() | column.isna()) & ~np.isinf(numbers), column, "a number", where)
    return numbers


def _positions(column: pd.Series, most: float, site: pd.Series, where: str) -> pd.Series:
    numbers = _numbers(column, where)
    least = -90.0 if most == 90 else -180.0
    hint = "; are latitude and longitude exchanged?" if most == 90 else ""
    what = f"degrees from {least:g} to {most:g}"
    _require((numbers >= least) & (numbers <= most), column, what, where, hint)
    moved = numbers.groupby(site).nunique()
    if (moved > 1).any():
        raise FieldError(
            f"{where}: expected one place of each site, found {moved.max()} in {column.name} of "
            f"{moved.idxmax()}; give a site that was moved two names"
        )
    return numbers


def _months(raw: pd.DataFrame, column: str, where: str) -> pd.Series:
    if year := _column(raw, "year"):
        years, months = _numbers(raw[year], where), _numbers(raw[column], where)
        _require(years.between(1678, 2261) & (years % 1 == 0), raw[year], "a year", where)
        _require(months.isin(range(1, 13)), raw[column], "a month from 1 to 12", where)
        texts = years.astype(int).astype(str) + "-" + months.astype(int).astype(str).str.zfill(2)
    else:
        texts = raw[column].astype("string").str.strip().str.removesuffix(".0").fillna("")
        known = texts.map(lambda text: _MONTH.fullmatch(text) is not None)
        _require(known, raw[column], "a month such as 2011-07", where)
        texts = texts.str.replace("-", "").str[:6].map(lambda text: f"{text[:4]}-{text[4:]}")
    try:
        return pd.to_datetime(texts.astype(str), format="%Y-%m")
    except ValueError as error:
        raise TimeError(f"{where}: expected months such as 2011-07 ({error})") from None


def _shares(column: pd.Series, where: str) -> pd.Series:
    shares = _numbers(column, where)
    shares = shares.where(shares != MISSING)
    hint = "; divide percentages by 100"
    _require(shares.isna() | shares.between(0, 1), column, "a share from 0 to 1", where, hint)
    return shares


def _classes(column: pd.Series, where: str) -> pd.Series:
    texts = column.astype("string").str.strip().str.upper().str.removesuffix(".0").fillna("")
    numbers = {str(number): number for number in range(NODATA, len(IGBP))}
    classes = texts.map({**_CODES, **numbers, "": NODATA})
    codes = ", ".join(_CODES)
    _require(classes.notna(), column, f"an IGBP class ({codes}, or 0 to 17)", where)
    return classes.astype(int)


def _require(
    right: pd.Series, column: pd.Series, expected: str, where: str, hint: str = ""
) -> None:
    if not right.all():
        row = int(np.flatnonzero(~right.to_numpy(bool))[0])
        raise FieldError(
            f"{where}: column {str(column.name)!r}: expected {expected}, found "
            f"{column.iloc[row]!r} in data row {row + 1}{hint}"
        )


def _require_sites(table: pd.DataFrame, where: str) -> None:
    twice = table.duplicated(["site", "time"])
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise FieldError(
            f"{where}: expected one row for each site and month, found {table['site'].iloc[row]} "
            f"in {table['time'].iloc[row]:%Y-%m} again in data row {row + 1} ({twice.sum():,} rows "
            "in all); average finer steps to months, or remove the repeated rows"
        )
    if "igbp" in table:
        several = table.groupby("site")["igbp"].nunique()
        if (several > 1).any():
            raise FieldError(
                f"{where}: expected one IGBP class of each site, found {several.max()} of "
                f"{several.idxmax()}; give it one"
            )
