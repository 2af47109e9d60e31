"""Monthly means of finer time steps, weighted by the time that each of them stands for."""

from __future__ import annotations

from itertools import pairwise

import cftime
import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.months import FIRST_YEAR, LAST_YEAR

_UNITS = "days since 1900-01-01"
_DAY = np.timedelta64(1, "D")


def middle_of_bounds(ds: xr.Dataset) -> xr.Dataset:
    """Return `ds` with each time stamp in the middle of its bounds, where it has bounds.

    Files stamped at the end of an interval would otherwise count for the month after.
    """
    bounds = time_bounds(ds)
    if bounds is None:
        return ds
    vertex = next(d for d in bounds.dims if d != "time")
    start, end = bounds.isel({vertex: 0}).values, bounds.isel({vertex: 1}).values
    middle = xr.DataArray(start + (end - start) / 2, dims="time", attrs=ds["time"].attrs)
    return ds.assign_coords(time=middle)


def time_bounds(ds: xr.Dataset) -> xr.DataArray | None:
    """Return the decoded bounds (time, 2) of the time axis."""
    time = ds["time"]
    name = time.attrs.get("bounds") or time.encoding.get("bounds")
    if name not in ds.variables or ds[name].shape != (time.size, 2):
        return None
    return ds[name] if np.issubdtype(ds[name].dtype, np.datetime64) or _dates(ds[name]) else None


def _dates(array: xr.DataArray) -> bool:
    return array.dtype == object and isinstance(array.values.flat[0], cftime.datetime)


def monthly_mean(ds: xr.Dataset, min_coverage: float) -> xr.Dataset:
    """Return the monthly means of a dataset with finer time steps, lazily.

    Each value stands for the interval of its time bounds; without bounds, for one time step from
    its stamp on, or from the start of its day where steps are whole days. An interval across two
    months counts for both, by the time in each.

    Parameters
    ----------
    ds : xarray.Dataset
        Variables with dimension ``time``, of any calendar, sorted or not; others stay as they are.
    min_coverage : float
        Share of a month, in (0, 1], that valid values must stand for; below it the mean is NaN.

    Returns
    -------
    xarray.Dataset
        On month starts (datetime64[ns]).

    Raises
    ------
    NarcfError
        When the time axis holds no dates, a single one without bounds, or one of them twice.
    """
    start, end, calendar = _intervals(ds.sortby("time"))
    ds = ds.sortby("time")
    bounds = time_bounds(ds)
    varying = [
        name
        for name, array in ds.data_vars.items()
        if "time" in array.dims and (bounds is None or name != bounds.name)
    ]
    if bounds is not None:
        ds = ds.drop_vars(str(bounds.name))
    months = _months(start[0], end[-1], calendar)
    means = []
    for first, last in months:
        inside = np.flatnonzero((end > first) & (start < last))
        part = ds[varying].isel(time=slice(inside[0], inside[-1] + 1)) if inside.size else None
        if part is None:
            means.append(xr.full_like(ds[varying].isel(time=0, drop=True), np.nan, "float64"))
            continue
        span = slice(inside[0], inside[-1] + 1)
        weight = np.minimum(end[span], last) - np.maximum(start[span], first)
        weights = xr.DataArray(weight.clip(0), dims="time")
        valid = part.notnull()
        total = (part.fillna(0.0).astype("float64") * weights).sum("time")
        covered = (valid * weights).sum("time")
        enough = (covered > 0) & (covered >= (min_coverage - 1e-9) * (last - first))
        means.append((total / covered.where(covered > 0)).where(enough))
    labels = cftime.num2date([first for first, _ in months], _UNITS, calendar)
    starts = [np.datetime64(f"{d.year:04d}-{d.month:02d}-01", "ns") for d in labels]
    result = xr.concat(means, pd.Index(starts, name="time"))
    fixed = ds.drop_vars([*varying, *(c for c in ds.coords if "time" in ds[c].dims)])
    result = result.assign_coords(fixed.coords).assign(fixed.data_vars)
    for name in varying:
        result[name] = result[name].transpose(*ds[name].dims)
        result[name].attrs = {**ds[name].attrs, "cell_methods": "time: mean"}
        result[name].encoding = ds[name].encoding
    return result


def _intervals(ds: xr.Dataset) -> tuple[np.ndarray, np.ndarray, str]:
    """Return start and end of each time step in days since 1900 of its own calendar."""
    time = ds["time"]
    if not (np.issubdtype(time.dtype, np.datetime64) or _dates(time)):
        raise NarcfError(
            f"expected dates along time to average to months, found {time.dtype} values; give the "
            "file's time variable units such as 'hours since 1900-01-01'"
        )
    years = time.dt.year.values
    if years.min() < FIRST_YEAR or years.max() > LAST_YEAR:
        raise NarcfError(
            f"expected years {FIRST_YEAR} to {LAST_YEAR} to average to months, found "
            f"{years.min()} to {years.max()}"
        )
    calendar = str(time.dt.calendar)
    bounds = time_bounds(ds)
    if bounds is not None:
        start, end = (_days(bounds.values[:, k], calendar) for k in (0, 1))
        if (end <= start).any():
            raise NarcfError("expected time bounds that end after they start, found others")
        return start, end, calendar
    stamps = _days(time.values, calendar)
    if stamps.size < 2:
        raise NarcfError(
            "expected time bounds or several time steps to average to months, found a single "
            "stamp without bounds; state the month with metadata.time instead"
        )
    if (np.diff(stamps) <= 0).any():
        raise NarcfError("expected each time once, found one twice; remove the repeated files")
    step = float(np.median(np.diff(stamps)))
    if abs(step - round(step)) < 1e-6:
        step, stamps = float(round(step)), np.floor(stamps + 1e-6)
    return stamps, stamps + step, calendar


def _days(values: np.ndarray, calendar: str) -> np.ndarray:
    if np.issubdtype(values.dtype, np.datetime64):
        return (values - np.datetime64("1900-01-01", "ns")) / _DAY
    return np.asarray(cftime.date2num(values, _UNITS, calendar), "float64")


def _months(first: float, last: float, calendar: str) -> list[tuple[float, float]]:
    """Return start and end of every month that touches the days from `first` to `last`."""
    date = cftime.num2date(first, _UNITS, calendar)
    year, month = date.year, date.month
    edges = [_month_start(year, month, calendar)]
    while edges[-1] < last - 1e-9:
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        edges.append(_month_start(year, month, calendar))
    return list(pairwise(edges))


def _month_start(year: int, month: int, calendar: str) -> float:
    date = cftime.datetime(year, month, 1, calendar=calendar)
    return float(cftime.date2num(date, _UNITS, calendar))
