"""The one time axis of the house: calendar months, stamped at their start, with bounds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.errors import NarcfError

FIRST_YEAR, LAST_YEAR = 1678, 2261
"""What datetime64[ns] can hold in full."""


def month_starts(first: str, last: str) -> pd.DatetimeIndex:
    """Return the starts of all months from `first` to `last`, both included.

    Examples
    --------
    >>> month_starts("2007-11", "2008-01").strftime("%Y-%m").tolist()
    ['2007-11', '2007-12', '2008-01']
    """
    return pd.date_range(
        pd.Period(first, "M").start_time, pd.Period(last, "M").start_time, freq="MS"
    )


def days_in_month(time: xr.DataArray) -> xr.DataArray:
    """Return the true length of each month in days, leap years included, as float64."""
    days = time.dt.days_in_month.astype("float64")
    days.attrs = {"units": "days", "long_name": "length of the month"}
    return days


def to_month_starts(time: xr.DataArray) -> np.ndarray:
    """Return the month start (datetime64[ns]) of each time stamp, whatever its calendar.

    Raises
    ------
    NarcfError
        When the values are no dates, are of a year that stands for none, or two time stamps fall
        into the same month.
    """
    if not hasattr(time, "dt"):
        raise NarcfError(
            f"expected dates along time, found {time.dtype} values; give the file's time variable "
            "units such as 'days since 1900-01-01', or state the month with metadata.time"
        )
    years, months = time.dt.year.values, time.dt.month.values
    if years.min() < FIRST_YEAR or years.max() > LAST_YEAR:
        raise NarcfError(
            f"expected years {FIRST_YEAR} to {LAST_YEAR}, found {years.min()} to {years.max()}; "
            "12 months that stand for every year are marked with `climatology: true` in the "
            "catalog entry"
        )
    starts = np.array(
        [np.datetime64(f"{y:04d}-{m:02d}-01", "ns") for y, m in zip(years, months, strict=True)],
        dtype="datetime64[ns]",
    )
    unique, counts = np.unique(starts, return_counts=True)
    if (counts > 1).any():
        twice = pd.Timestamp(unique[counts > 1][0]).strftime("%Y-%m")
        raise NarcfError(
            f"expected one value a month, found {counts.max()} time stamps in {twice}; "
            "average it to months with `monthly_mean: 0.9` (the share of a month that must be "
            "covered) in the catalog entry"
        )
    return starts


def with_month_axis(ds: xr.Dataset, starts: np.ndarray | pd.DatetimeIndex) -> xr.Dataset:
    """Return `ds` with its ``time`` replaced by month starts and CF ``time_bnds`` added."""
    starts = pd.DatetimeIndex(starts)
    time = xr.DataArray(
        starts.values.astype("datetime64[ns]"),
        dims="time",
        attrs={"standard_name": "time", "long_name": "start of the month", "bounds": "time_bnds"},
    )
    ds = ds.drop_vars("time_bnds", errors="ignore").assign_coords(time=time)
    ends = (starts + pd.offsets.MonthBegin(1)).values.astype("datetime64[ns]")
    bounds = np.stack([time.values, ends], axis=1)
    ds = ds.assign_coords(time_bnds=(("time", "bnds"), bounds))
    encoding = {"units": "days since 1900-01-01", "calendar": "standard", "dtype": "float64"}
    ds["time"].encoding = dict(encoding)
    ds["time_bnds"].encoding = dict(encoding)
    return ds


class Gap(NamedTuple):
    """Months in a row that are absent, from `first` to `last`, both included."""

    first: pd.Timestamp
    last: pd.Timestamp
    months: int


def gaps(present: pd.DatetimeIndex, wanted: pd.DatetimeIndex | None = None) -> list[Gap]:
    """Return the months of `wanted` that are not in `present`, those in a row as one gap.

    `wanted` is by default all months from the first to the last present.

    Examples
    --------
    >>> gaps(month_starts("2007-01", "2007-03"), month_starts("2006-12", "2007-05"))[1].months
    2
    """
    if wanted is None:
        wanted = pd.date_range(present.min(), present.max(), freq="MS")
    absent = wanted.difference(present)
    number = absent.year * 12 + absent.month
    ends = np.flatnonzero(np.diff(number) > 1)
    runs = zip([0, *(ends + 1)], [*ends, absent.size - 1], strict=True) if absent.size else []
    return [Gap(absent[a], absent[b], int(b - a + 1)) for a, b in runs]


def shared_months(months: Mapping[str, pd.DatetimeIndex]) -> pd.DatetimeIndex:
    """Return the months that all of several sources have."""
    return reduce(lambda one, other: one.intersection(other), months.values()).sort_values()
