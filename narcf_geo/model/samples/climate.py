"""The climate of a place: the mean of a predictor in each calendar month, over stated months."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.errors import TimeError
from narcf_geo.core.months import month_starts
from narcf_geo.project.settings import TrainingSettings
from narcf_geo.project.split_settings import FoldSplit, PeriodSplit
from narcf_geo.statistics.climatology import Climatology

YEAR = 0
"""Stands for the whole year along ``month``, beside the months 1 to 12."""

Months = tuple[str, ...]
"""The first and the last, YYYY-MM; of several runs of months, those of each."""


def months_of_climate(settings: TrainingSettings, time: pd.DatetimeIndex) -> Months | None:
    """Return the months over which the features of `settings` take a climate; None if none does.

    They are the training months of the split, as far as the cube has them; all months of the cube
    where the split does not part months. Where folds differ in their training months, each then
    takes its own: see `own_climate`.
    """
    if not any(how.climate for how in settings.features.values()):
        return None
    first, last = f"{time[0]:%Y-%m}", f"{time[-1]:%Y-%m}"
    split = settings.split
    period = split.period if isinstance(split, FoldSplit) else None
    if isinstance(split, PeriodSplit):
        period = split
    if period is None:
        return first, last
    train = period.train
    within = max(first, train.start), min(last, train.end)
    return within if within[0] <= within[1] else (train.start, train.end)


def runs_of(months: Months) -> list[tuple[str, str]]:
    """Return the first and the last month of each run."""
    return list(zip(months[::2], months[1::2], strict=True))


def at_months(time: pd.DatetimeIndex, months: Months, where: str = "the cube") -> slice:
    """Return where the months of a climate, in one run, are on a time axis.

    Raises
    ------
    TimeError
        When one of them is absent.
    """
    first, last = months
    wanted = month_starts(first, last)
    if absent := [f"{month:%Y-%m}" for month in wanted if month not in time]:
        raise TimeError(
            f"{where}: expected every month from {first} to {last}, over which the model "
            f"takes the climate of each cell, found {len(absent)} of them absent (the first is "
            f"{absent[0]}) in {time[0]:%Y-%m} to {time[-1]:%Y-%m}; add these months of the "
            "predictors"
        )
    start = int(time.get_loc(wanted[0]))
    return slice(start, start + wanted.size)


def climate_of(values: xr.DataArray, months: Months) -> xr.DataArray:
    """Return the climate of a predictor (month, lat, lon), lazily where it is lazy.

    Parameters
    ----------
    values : xarray.DataArray
        Along time, months in order.
    months : tuple of str
        Over which the means are taken.

    Returns
    -------
    xarray.DataArray
        ``month`` is 1 to 12, and `YEAR` for the mean of the twelve; float32.

    Raises
    ------
    TimeError
        When a month is absent.

    Examples
    --------
    >>> time = pd.date_range("2001-01", periods=24, freq="MS")
    >>> temp = xr.DataArray([*range(12), *range(10, 22)], {"time": time}, ("time",))
    >>> climate_of(temp, ("2001-01", "2002-12")).values.tolist()[:3]
    [10.5, 5.0, 6.0]
    """
    chosen = values.isel(time=at_months(pd.DatetimeIndex(values["time"].values), months))
    found: xr.DataArray = xr.apply_ufunc(
        _means,
        chosen,
        kwargs={"month": chosen["time"].dt.month.values},
        input_core_dims=[["time"]],
        output_core_dims=[["month"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": {"month": 13}, "allow_rechunk": True},
    )
    return found.transpose("month", ...).assign_coords(month=np.arange(13))


def _means(values: np.ndarray, month: np.ndarray) -> np.ndarray:
    climatology = Climatology(*values.shape[:-1])
    climatology.add(np.moveaxis(values, -1, 0), month)
    return np.moveaxis(_of_year_and_months(climatology), 0, -1)


def _of_year_and_months(climatology: Climatology) -> np.ndarray:
    """Return means in the order of ``month``, float32 (13, ...)."""
    mean, of_months = climatology.mean_and_months()
    return np.concatenate([mean[None], of_months]).astype(np.float32)


def climate_of_slabs(slabs: Iterable[xr.Dataset]) -> xr.Dataset:
    """Return the climate of variables that come a few months at a time, all in order.

    As `climate_of`, to the byte, of months that need not be in memory together.
    """
    sums: dict[str, Climatology] = {}
    for slab in slabs:
        month = slab["time"].dt.month.values
        for name, array in slab.data_vars.items():
            array = array.transpose("time", "lat", "lon")
            sums.setdefault(str(name), Climatology(*array.shape[1:])).add(array.values, month)
    means = {name: _of_year_and_months(climatology) for name, climatology in sums.items()}
    return on_cells(means, slab["lat"], slab["lon"])


def on_cells(means: Mapping[str, np.ndarray], lat: xr.DataArray, lon: xr.DataArray) -> xr.Dataset:
    """Return means (13, lat, lon) by the names of what they are of, with their axes."""
    coords = {"month": np.arange(13), "lat": lat, "lon": lon}
    return xr.Dataset({n: (("month", "lat", "lon"), m) for n, m in means.items()}, coords)


def compared(values: xr.DataArray, climate: xr.DataArray, part: str) -> xr.DataArray:
    """Return what a feature takes of the climate: see `DerivedFeature.climate`."""
    if part == "annual_mean":
        return climate.sel(month=YEAR, drop=True)
    normal = climate.sel(month=values["time"].dt.month).drop_vars("month")
    if part == "monthly_mean":
        return normal.transpose(*values.dims)
    with xr.set_options(arithmetic_join="exact"):
        return values - normal
