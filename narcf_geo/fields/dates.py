"""Dates along time, read from what a file says: units, numbers that spell dates, texts."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.errors import TimeError
from narcf_geo.core.months import FIRST_YEAR, LAST_YEAR

_SINCE = re.compile(r"(?i)\s*(month|year|yr|common_year)s?\s+since\s+(-?\d{1,4})-(\d{1,2})")
_FIRST, _LAST = 1500, 2500
"""Years between which a bare number may be one."""


def dated(ds: xr.Dataset) -> xr.Dataset:
    """Return `ds` with dates along ``time`` where what the file says of it can be read.

    Understood are CF units, ``months since`` and ``years since``, the numbers YYYYMM, YYYYMMDD and
    decimal years, and texts such as those of WRF. What says nothing stays as it is.

    Parameters
    ----------
    ds : xarray.Dataset
        With a coordinate ``time``, a scalar or along ``time``.

    Raises
    ------
    TimeError
        When a date is missing (NaT), or the units of time cannot be read.

    Examples
    --------
    >>> time = xr.DataArray([0.5, 1.5], dims="time", attrs={"units": "months since 2000-07-01"})
    >>> dated(xr.Dataset(coords={"time": time}))["time"].dt.strftime("%Y-%m").values.tolist()
    ['2000-07', '2000-08']
    >>> dated(xr.Dataset(coords={"time": ("time", [200107, 200108])}))["time"].dt.month.values
    array([7, 8])
    """
    time = ds["time"]
    units = str(time.attrs.get("units", "")).strip()
    if time.dtype.kind in "fiu":
        if month := _SINCE.match(units):
            return _replaced(ds, _counted(time, month), _counted_bounds(ds, month))
        if " since " in f" {units} ".lower():
            return _decoded(ds)
        stamps = _spelled(time, units)
        return ds if stamps is None else _replaced(ds, stamps)
    if time.dtype.kind in "SU" or (time.dtype == object and _is_text(time)):
        return _replaced(ds, _texts(time))
    if time.dtype.kind == "M" and np.isnat(time.values).any():
        raise TimeError("expected a date for each step, found NaT (no date) along time")
    return ds


def _decoded(ds: xr.Dataset) -> xr.Dataset:
    if not np.isfinite(ds["time"].values.astype("float64")).all():
        raise TimeError("expected a date for each step, found NaN along time")
    import cftime

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=xr.SerializationWarning)
            # Of a year 0, which the calendar has not: its months would be one too late.
            warnings.filterwarnings("error", category=cftime.CFWarning)
            return xr.decode_cf(ds, decode_coords=False, decode_timedelta=False)
    except (ValueError, OverflowError, cftime.CFWarning):
        attrs = ds["time"].attrs
        said = ", ".join(f"{k} {attrs[k]!r:.80}" for k in ("units", "calendar") if k in attrs)
        values = ds["time"].values
        raise TimeError(
            f"expected a time axis of dates, found numbers {values.min():g} to {values.max():g} "
            f"that cannot be dates by its {said}; correct these attributes"
        ) from None


def _counted(time: xr.DataArray, since: re.Match[str]) -> np.ndarray:
    """Return month starts of months or years counted from a date; a fraction is within one."""
    per = 1 if since[1].lower() == "month" else 12
    first = 12 * int(since[2]) + int(since[3]) - 1
    number = first + np.floor(time.values.astype("float64") * per + 1e-6)
    return _of_numbers(number)


def _counted_bounds(ds: xr.Dataset, since: re.Match[str]) -> xr.Variable | None:
    """Return bounds counted as the stamps are, as dates."""
    name = ds["time"].attrs.get("bounds", "time_bnds")
    if name not in ds.variables or ds[name].dtype.kind not in "fiu":
        return None
    return xr.Variable(ds[name].dims, _counted(ds[name], since))


def _spelled(time: xr.DataArray, units: str) -> np.ndarray | None:
    """Return the dates of numbers that spell them; None where they do not."""
    values = np.atleast_1d(time.values).astype("float64")
    if not values.size or not np.isfinite(values).all():
        return None
    whole = np.floor(values)
    if _are(whole // 100, whole % 100) and (values == whole).all():
        return _shaped(_of_numbers(12 * (whole // 100) + whole % 100 - 1), time)
    year, month, day = whole // 10000, whole // 100 % 100, whole % 100
    if _are(year, month) and ((day >= 1) & (day <= 31)).all():
        return _shaped(_days(year, month, day, values - whole), time)
    within = ((values >= _FIRST) & (values < _LAST)).all()
    decimal = (values != whole).any() or re.search(r"(?i)\b(decimal|fractional)\b", units)
    if within and decimal:
        return _shaped(_of_numbers(12 * whole + np.floor((values - whole) * 12 + 1e-3)), time)
    if within and re.fullmatch(r"(?i)(calendar )?years?( [A-Z]+)?", units):
        return _shaped(_of_numbers(12 * whole), time)
    return None


def _are(year: np.ndarray, month: np.ndarray) -> bool:
    """Tell whether all numbers are a year and a month."""
    years = (year >= _FIRST) & (year < _LAST)
    return bool((years & (month >= 1) & (month <= 12)).all())


def _of_numbers(number: np.ndarray) -> np.ndarray:
    """Return the month starts of months counted from January of the year 0."""
    year = np.asarray(number) // 12
    if year.min() < FIRST_YEAR or year.max() > LAST_YEAR:
        raise TimeError(
            f"expected years {FIRST_YEAR} to {LAST_YEAR}, found {int(year.min())} to "
            f"{int(year.max())}"
        )
    months = np.asarray(number, "int64") - 12 * 1970
    return months.astype("datetime64[M]").astype("datetime64[ns]")


def _days(year: np.ndarray, month: np.ndarray, day: np.ndarray, rest: np.ndarray) -> np.ndarray:
    starts = _of_numbers(12 * year + month - 1)
    hours = np.rint(rest * 86400).astype("timedelta64[s]")
    return starts + (day - 1).astype("timedelta64[D]") + hours


def _shaped(stamps: np.ndarray, time: xr.DataArray) -> np.ndarray:
    return stamps.reshape(time.shape)


def _is_text(time: xr.DataArray) -> bool:
    return time.size > 0 and isinstance(time.values.flat[0], str | bytes)


def _texts(time: xr.DataArray) -> np.ndarray:
    values = [v.decode() if isinstance(v, bytes) else str(v) for v in time.values.ravel()]
    texts = [value.strip().replace("_", "T", 1) for value in values]
    texts = [f"{t[:4]}-{t[4:]}" if re.fullmatch(r"\d{6}", t) else t for t in texts]
    try:
        stamps = pd.to_datetime(texts, format="ISO8601")
    except ValueError:
        raise TimeError(
            f"expected dates along time, found {values[0]!r}; write them as 2001-07-16"
        ) from None
    return stamps.values.astype("datetime64[ns]").reshape(time.shape)


def _replaced(ds: xr.Dataset, stamps: np.ndarray, bounds: xr.Variable | None = None) -> xr.Dataset:
    """Return `ds` with dates along time, and `bounds` of dates in place of those that were not."""
    kept = {k: v for k, v in ds["time"].attrs.items() if k not in ("units", "calendar", "bounds")}
    named = str(ds["time"].attrs.get("bounds", "time_bnds"))
    ds = ds.drop_vars({named, "time_bnds"} & set(ds.variables))
    ds = ds.assign_coords(time=(ds["time"].dims, stamps, kept))
    return ds if bounds is None else ds.assign_coords(time_bnds=bounds)
