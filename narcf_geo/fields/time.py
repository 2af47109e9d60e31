"""Time on the month axis: month starts with true bounds, or a refusal that says why not."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.errors import NarcfError, TimeError, prefix
from narcf_geo.core.months import to_month_starts, with_month_axis
from narcf_geo.fields.averages import middle_of_bounds, monthly_mean, time_bounds
from narcf_geo.fields.dates import dated

SHORTEST_MONTH, LONGEST_MONTH = 27.0, 32.0
"""Days: bounds within are those of a month of any calendar."""

_STATED = {
    "years": re.compile(r"(?i)(yr|year|annual|dec|P\d+Y|P12M)"),
    "seasons": re.compile(r"(?i)(sem|season|P3M)"),
    "days": re.compile(r"(?i)(day|daily|P1D)"),
    "hours": re.compile(r"(?i)(\d*hr|hour|subhr|PT\d+[HM])"),
}
"""Steps other than months in ``frequency`` (CMIP) or ``time_coverage_resolution`` (ACDD)."""


def on_month_axis(ds: xr.Dataset, *, where: str = "", average: float | None = None) -> xr.Dataset:
    """Return a dataset with ``time`` at month starts and ``time_bnds``, sorted.

    The interval that a value stands for is read from its bounds, else from the spacing of the
    stamps, which may lie anywhere in their month. A single stamp without bounds is that of a month
    unless the unit of time, ``frequency`` or ``time_coverage_resolution`` say otherwise.

    Parameters
    ----------
    ds : xarray.Dataset
        ``time`` of any calendar, as a dimension or a scalar. Without ``time``: returned as it is.
    where : str
        What the data are, for an error.
    average : float, optional
        Average finer steps to months of which at least this share, in (0, 1], is covered. Without
        it finer steps are refused.

    Raises
    ------
    TimeError
        When the values are not those of months, or time holds no dates.

    Examples
    --------
    >>> stamps = pd.to_datetime(["2014-01-16", "2014-02-15"])
    >>> ds = xr.Dataset({"flux": ("time", [1.0, 2.0])}, {"time": stamps})
    >>> on_month_axis(ds)["time"].dt.strftime("%Y-%m-%d").values.tolist()
    ['2014-01-01', '2014-02-01']
    """
    if "time" not in ds.coords:
        if "time" in ds.dims:
            raise TimeError(f"{prefix(where)}expected dates along time, found none")
        return ds
    if not ds["time"].size:
        raise TimeError(f"{prefix(where)}expected a month at least, found no step along time")
    if ds["time"].ndim == 0:
        axis = on_month_axis(_axis_of_one(ds), where=where)["time"]
        return ds.drop_vars("time_bnds", errors="ignore").assign_coords(time=axis.values[0])
    try:
        stated = _stated_step(ds)
        ds = dated(ds)
        if _is_month_axis(ds):
            bounded = "time_bnds" in ds.variables
            return ds.set_coords("time_bnds") if bounded else with_month_axis(ds, ds["time"].values)
        days = _days_of_steps(ds)
        if days is None and stated:
            raise TimeError(
                f"expected a value a month, found a single one without time bounds in a file of "
                f"{stated}; if it is that of a month, give it time bounds"
            )
        if days is not None and days < SHORTEST_MONTH and average is not None:
            ds = monthly_mean(ds, average)
        elif days is not None and not SHORTEST_MONTH <= days <= LONGEST_MONTH:
            raise TimeError(_other_steps(days))
        ds = middle_of_bounds(ds)
        starts = pd.DatetimeIndex(to_month_starts(ds["time"]))
    except NarcfError as error:
        raise TimeError(f"{prefix(where)}{error}") from None
    if not starts.is_monotonic_increasing:
        order = np.argsort(starts.values, kind="stable")
        ds, starts = ds.isel(time=order), starts[order]
    return with_month_axis(ds, starts)


def _axis_of_one(ds: xr.Dataset) -> xr.Dataset:
    """Return the time of a scalar coordinate as an axis of one step, with its bounds."""
    bounds = str(ds["time"].attrs.get("bounds") or ds["time"].encoding.get("bounds", "time_bnds"))
    kept = [n for n in ("time", bounds, "time_bounds") if n in ds.variables and ds[n].size <= 2]
    axis = xr.Dataset(coords={n: ds[n].variable for n in kept}, attrs=ds.attrs)
    return axis.expand_dims("time").assign_coords(
        {n: ds[n].variable.expand_dims("time") for n in kept}
    )


def _stated_step(ds: xr.Dataset) -> str | None:
    """Return the steps that a file says it has, None for months and where it says nothing."""
    units = str(ds["time"].attrs.get("units", ""))
    if re.match(r"(?i)\s*(common_)?(years?|yr)\b", units) and _are_whole(ds["time"]):
        return "years"
    for key in ("frequency", "time_coverage_resolution"):
        said = str(ds.attrs.get(key, "")).strip()
        for step, pattern in _STATED.items():
            if pattern.match(said):
                return step
    return None


def _are_whole(time: xr.DataArray) -> bool:
    return time.dtype.kind in "iu" or bool((time.values == np.floor(time.values)).all())


def _is_month_axis(ds: xr.Dataset) -> bool:
    """Tell months in a row, stamped at their start, with their own bounds or none."""
    stamps = ds["time"].values
    if stamps.dtype.kind != "M" or stamps.size < 2:
        return False
    months = stamps.astype("datetime64[M]")
    if (months != stamps).any() or (np.diff(months.astype(int)) != 1).any():
        return False
    if "time_bnds" not in ds.variables:
        return time_bounds(ds) is None
    bounds = ds["time_bnds"].values
    whole = np.stack([months, months + np.timedelta64(1, "M")], axis=1)
    return (
        bounds.shape == whole.shape and bounds.dtype.kind == "M" and bool((bounds == whole).all())
    )


def _days_of_steps(ds: xr.Dataset) -> float | None:
    """Return the days that each value stands for, the least where they differ; None: unknown."""
    bounds = time_bounds(ds)
    if bounds is not None:
        vertex = next(d for d in bounds.dims if d != "time")
        length = _days(bounds.isel({vertex: 1}).values - bounds.isel({vertex: 0}).values)
        odd = length[(length < SHORTEST_MONTH) | (length > LONGEST_MONTH)]
        return float(odd.min() if odd.size else length.min())
    if ds.sizes["time"] < 2 or not hasattr(ds["time"], "dt"):
        return None
    steps = _days(np.diff(np.sort(ds["time"].values)))
    if steps.min() == 0:
        twice = str(np.sort(ds["time"].values)[int(steps.argmin())])[:19]
        raise TimeError(f"expected each time once, found {twice} twice; drop what is repeated")
    if steps.min() < SHORTEST_MONTH:
        return float(steps.min())
    year, month = ds["time"].dt.year.values, ds["time"].dt.month.values
    apart = np.diff(np.sort(12 * year + month))
    # Months of which some are absent are not evenly apart; seasons and years are.
    if apart.size and apart.min() == apart.max() > 1 and apart[0] % 3 == 0:
        return float(np.median(steps))
    return 30.0


def _days(spans: np.ndarray) -> np.ndarray:
    if spans.dtype.kind == "m":
        return spans / np.timedelta64(1, "D")
    return np.array([span.total_seconds() / 86400 for span in spans.ravel()]).reshape(spans.shape)


def _other_steps(days: float) -> str:
    if days > LONGEST_MONTH:
        return (
            f"expected a value a month, found one for {days:.4g} days; a month cannot be made of "
            "it. Where these are single months, give them time bounds"
        )
    step = f"{days:.4g} days" if days >= 1 else f"{24 * days:.4g} hours"
    return (
        f"expected a value a month, found one for {step}; average it to months first "
        "(`monthly_mean: 0.9` in a catalog entry, `average=0.9` of ng.open_fields)"
    )
