"""Monthly means of finer time steps, weighted by the time that each of them stands for."""

from __future__ import annotations

import re

import cftime
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.months import FIRST_YEAR, LAST_YEAR
from narcf_geo.fields.month_sums import Rule, Shares, lazy_mean, read_mean, shares_of_months

Floats = NDArray[np.float64]

_UNITS = "days since 1900-01-01"
_DAY = np.timedelta64(1, "D")
_ROUNDING = 1e-6
"""Days (0.1 s) by which a stamp may miss the edge of its step."""

_BOUNDS_NAMES = ("time_bnds", "time_bounds")

_SPAN = r"(?:\w+[- ]){0,3}(?:step|interval|period|average|mean|hour|day)"
_AT_END = re.compile(rf"\bend(?:ing)? of {_SPAN}|\b{_SPAN}[- ]end(?:ing)?\b", re.IGNORECASE)
_MIDDLE = r"(?:mid|middle|midpoint|center|centre)"
_AT_MIDDLE = re.compile(rf"\b{_MIDDLE} of {_SPAN}|\b{_SPAN}[- ]{_MIDDLE}\b", re.IGNORECASE)

_TIME_METHOD = re.compile(r"\btime: (?!\w+:)\w+(?: (?:within|over) \w+)*(?: \([^)]*\))?")


def middle_of_bounds(ds: xr.Dataset) -> xr.Dataset:
    """Return `ds` with each time stamp in the middle of its bounds, where it has bounds.

    Files stamped at the end of an interval would otherwise count for the month after.

    Examples
    --------
    >>> edges = pd.to_datetime(["2001-01-01", "2001-01-03"]).values
    >>> ds = xr.Dataset({"time_bnds": (("time", "nv"), edges[None])}, {"time": edges[1:]})
    >>> middle_of_bounds(ds)["time"].dt.strftime("%Y-%m-%d").values.tolist()
    ['2001-01-02']
    """
    bounds = time_bounds(ds)
    if bounds is None:
        return ds
    start, end = _edges_of(bounds)
    middle = xr.DataArray(start + (end - start) / 2, dims="time", attrs=ds["time"].attrs)
    return ds.assign_coords(time=middle)


def time_bounds(ds: xr.Dataset) -> xr.DataArray | None:
    """Return the decoded bounds (time, 2) of the time axis, or None where it has none.

    They are those that ``time`` names, else ``time_bnds`` or ``time_bounds``. Numbers are in the
    units of the time axis, as CF has it.

    Examples
    --------
    >>> edges = pd.to_datetime(["2001-01-01", "2001-01-03"]).values
    >>> ds = xr.Dataset({"time_bnds": (("time", "nv"), edges[None])}, {"time": edges[1:]})
    >>> time_bounds(ds).name
    'time_bnds'
    >>> time_bounds(ds.drop_vars("time_bnds")) is None
    True
    """
    time = ds["time"]
    named = time.attrs.get("bounds") or time.encoding.get("bounds")
    for name in (named, *_BOUNDS_NAMES):
        if name not in ds.variables or ds[name].shape != (time.size, 2):
            continue
        bounds = ds[name]
        if bounds.dtype.kind in "fiu" and "since" in str(time.encoding.get("units", "")):
            attrs = {k: time.encoding[k] for k in ("units", "calendar") if k in time.encoding}
            raw = xr.Dataset({"bounds": (bounds.dims, bounds.values, attrs)})
            dates = xr.decode_cf(raw, decode_timedelta=False)["bounds"]
            bounds = bounds.copy(data=dates.values)
        if _holds_dates(bounds):
            return bounds
    return None


def _edges_of(bounds: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    vertex = next(d for d in bounds.dims if d != "time")
    values = bounds.transpose("time", vertex).values
    return values[:, 0], values[:, 1]


def _holds_dates(array: xr.DataArray) -> bool:
    if array.dtype != object:
        return array.dtype.kind == "M"
    first = array[(slice(1),) * array.ndim].values
    return bool(first.size) and isinstance(first.flat[0], cftime.datetime)


def monthly_mean(ds: xr.Dataset, min_coverage: float) -> xr.Dataset:
    """Return the monthly means of a dataset with finer time steps.

    Each value stands for the interval of its time bounds. Without bounds, steps that divide a day
    are those of the clock, and a stamp stands for the step it lies in: three-hourly stamps at 00:00
    or 01:30 for 00:00 to 03:00, daily ones at any hour for their day. Steps of an odd number of
    days stamped at noon are centred; other steps begin at their stamp, or with its day.

    Stamps at the end of a step cannot be told from stamps at the start of the next without bounds.
    They are taken as ends only where the attributes of the time axis or ``cell_methods`` say so
    ("end of interval"), or the ``GRIB_stepType`` of all variables is accumulated, averaged or
    extreme and steps are shorter than a day.

    An interval across two months counts for both, by the time in each. Lazy variables stay lazy:
    the sums over a month take one chunk at a time, in float64. Coordinates of the steps, and
    variables of text along time, are left out.

    Parameters
    ----------
    ds : xarray.Dataset
        Variables with dimension ``time``, of any calendar, sorted or not; others stay as they are.
    min_coverage : float
        Share of a month, in (0, 1], that valid values must stand for; below it the mean is NaN.

    Returns
    -------
    xarray.Dataset
        On month starts (datetime64[ns]), means as float64.

    Raises
    ------
    NarcfError
        When the time axis holds no dates, a single one without bounds, or one of them twice; when
        a variable along time holds no numbers.

    Examples
    --------
    >>> time = pd.date_range("2001-01-01", "2001-02-28")
    >>> ds = xr.Dataset({"flux": ("time", time.day.values)}, {"time": time})
    >>> monthly_mean(ds, 0.9)["flux"].values.tolist()
    [16.0, 14.5]
    """
    bounds = time_bounds(ds)
    start, end, calendar = _intervals(ds, bounds)
    edges = _month_edges(start.min(), end.max(), calendar)
    shares = shares_of_months(start, end, edges)
    along = [name for name in ds.variables if "time" in ds[name].dims]
    varying = [n for n in along if n in ds.data_vars and (bounds is None or n != bounds.name)]
    labels = cftime.num2date(edges[:-1], _UNITS, calendar)
    starts = [np.datetime64(f"{d.year:04d}-{d.month:02d}-01", "ns") for d in labels]
    rule = Rule(np.diff(edges), min_coverage)
    fields = {
        name: _mean_of(array.variable, shares, rule) if name in varying else array.variable
        for name, array in ds.data_vars.items()
        if name not in along or (name in varying and _are_numbers(array))
    }
    empty = ds.drop_vars([*ds.data_vars, *(n for n in along if n not in ds.data_vars)])
    return empty.assign_coords(time=pd.Index(starts, name="time")).assign(fields)


def _are_numbers(array: xr.DataArray) -> bool:
    """Tell numbers from text that describes a step; refuse other fields."""
    if array.dtype.kind in "biuf":
        return True
    if array.dtype.kind in "SU" or array.ndim == 1:
        return False
    raise NarcfError(
        f"expected numbers to average to months, found {array.dtype} values in {array.name!r}; "
        "drop the variable, or open the file with decode_timedelta=False where these are durations"
    )


def _intervals(ds: xr.Dataset, bounds: xr.DataArray | None) -> tuple[Floats, Floats, str]:
    """Return start and end of each time step in days since 1900 of its own calendar."""
    time = ds["time"]
    if not _holds_dates(time):
        raise NarcfError(
            f"expected dates along time to average to months, found {time.dtype} values; give the "
            "file's time variable units such as 'hours since 1900-01-01'"
        )
    dates = [time.values] if bounds is None else [time.values, *_edges_of(bounds)]
    if any(pd.isnull(values).any() for values in dates):
        raise NarcfError(
            "expected a date for each time step to average to months, found NaT; drop the steps "
            "without a date"
        )
    years = time.dt.year.values
    if years.min() < FIRST_YEAR or years.max() > LAST_YEAR:
        raise NarcfError(
            f"expected years {FIRST_YEAR} to {LAST_YEAR} to average to months, found "
            f"{years.min()} to {years.max()}"
        )
    calendar = str(time.dt.calendar)
    if bounds is not None:
        start, end = (_days(values, calendar) for values in dates[1:])
        if (end <= start).any():
            raise NarcfError("expected time bounds that end after they start, found others")
        if np.unique(np.stack([start, end]), axis=1).shape[1] < start.size:
            raise NarcfError("expected each time once, found one twice; remove the repeated files")
        return start, end, calendar
    stamps = _days(time.values, calendar)
    if stamps.size < 2:
        raise NarcfError(
            "expected time bounds or several time steps to average to months, found a single "
            "stamp without bounds; state the month with metadata.time instead"
        )
    order = np.argsort(stamps, kind="stable")
    if (np.diff(stamps[order]) <= 0).any():
        raise NarcfError("expected each time once, found one twice; remove the repeated files")
    start, end = np.empty_like(stamps), np.empty_like(stamps)
    start[order], end[order] = _steps(stamps[order], _place_of_stamps(ds))
    return start, end, calendar


def _place_of_stamps(ds: xr.Dataset) -> str:
    """Return where in their step the attributes say that the stamps are; "" if they do not."""
    fields = [a for a in ds.data_vars.values() if "time" in a.dims and a.dtype.kind in "biuf"]
    said = [str(ds["time"].attrs.get(key, "")) for key in ("long_name", "comment", "description")]
    said += [str(array.attrs.get("cell_methods", "")) for array in fields]
    kinds = {array.attrs.get("GRIB_stepType") for array in fields}
    if any(map(_AT_END.search, said)):
        return "end"
    if any(map(_AT_MIDDLE.search, said)):
        return "middle"
    # Daily statistics keep the attribute, and are stamped at the start of their day.
    return "end of short steps" if kinds and kinds <= {"accum", "avg", "max", "min"} else ""


def _steps(stamps: Floats, place: str) -> tuple[Floats, Floats]:
    """Return start and end, in days, of the steps that sorted stamps in days stand for."""
    step = float(np.median(np.diff(stamps)))
    a_day = max(round(1 / step), 1)
    days = round(step)
    divides = abs(step * a_day - 1) < 1e-3
    whole = divides or (days > 0 and abs(step / days - 1) < 1e-3)
    if whole:
        step = 1 / a_day if divides else float(days)
    if place == "middle":
        start = stamps - step / 2
    elif place == "end" or (place == "end of short steps" and step < 1):
        end = np.ceil((stamps - _ROUNDING) * a_day) / a_day if whole else stamps
        if (np.diff(end) <= 0).any():
            end = stamps
        return np.maximum(end - step, np.append(-np.inf, end[:-1])), end
    elif not whole:
        start = stamps
    else:
        start = np.floor((stamps + _ROUNDING) * a_day) / a_day
        if (np.diff(start) <= 0).any():  # finer steps among them
            start = stamps
        elif not divides and days % 2 and (abs(stamps % 1 - 0.5) < _ROUNDING).all():
            start = start - (days - 1) / 2
    # A short step, such as the last 8 days of a year, ends where the next one begins.
    return start, np.minimum(start + step, np.append(start[1:], np.inf))


def _days(values: np.ndarray, calendar: str) -> Floats:
    if np.issubdtype(values.dtype, np.datetime64):
        return (values - np.datetime64("1900-01-01", "ns")) / _DAY
    return np.asarray(cftime.date2num(values, _UNITS, calendar), "float64")


def _month_edges(first: float, last: float, calendar: str) -> Floats:
    """Return the starts of all months that touch the days from `first` to `last`, and the end."""
    date = cftime.num2date(first + 1e-9, _UNITS, calendar)
    year, month = date.year, date.month
    edges = [_month_start(year, month, calendar)]
    while edges[-1] < last - 1e-9:
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        edges.append(_month_start(year, month, calendar))
    return np.array(edges)


def _month_start(year: int, month: int, calendar: str) -> float:
    date = cftime.datetime(year, month, 1, calendar=calendar)
    return float(cftime.date2num(date, _UNITS, calendar))


def _mean_of(variable: xr.Variable, shares: Shares, rule: Rule) -> xr.Variable:
    axis = variable.get_axis_num("time")
    means = (lazy_mean if variable.chunks else read_mean)(variable, axis, shares, rule)
    others = _TIME_METHOD.sub("", str(variable.attrs.get("cell_methods", "")))
    attrs = {**variable.attrs, "cell_methods": " ".join([*others.split(), "time: mean"])}
    return xr.Variable(variable.dims, means, attrs, variable.encoding)
