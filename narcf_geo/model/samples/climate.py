"""The climate of a place: the mean of a predictor in each calendar month, over stated months."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.errors import TimeError
from narcf_geo.core.months import month_starts
from narcf_geo.project.settings import FoldSplit, PeriodSplit, TrainingSettings

YEAR = 0
"""Stands for the whole year along ``month``, beside the months 1 to 12."""

Months = tuple[str, str]
"""The first and the last, YYYY-MM."""


class Means:
    """Means of each calendar month and of the year, months added in order.

    The sums are those of one month after the other in double precision: the same however many
    months or cells are added at once.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._total = np.zeros((12, *shape))
        self._count = np.zeros((12, *shape), np.int16)

    def add(self, values: np.ndarray, month: np.ndarray) -> None:
        """Add months: values (time, ...), NaN where missing, and calendar months 1 to 12."""
        for field, number in zip(values, month, strict=True):
            there = ~np.isnan(field)
            self._total[number - 1] += np.where(there, field, 0)
            self._count[number - 1] += there

    def means(self) -> np.ndarray:
        """Return the year's mean, and those of the months, float32 (13, ...).

        In the mean of the year each calendar month that has a value counts once; NaN without any.
        """
        with np.errstate(invalid="ignore"):
            of_month = self._total / self._count
            total, known = np.zeros_like(of_month[0]), np.zeros(of_month[0].shape)
            for mean in of_month:
                there = ~np.isnan(mean)
                total += np.where(there, mean, 0)
                known += there
            return np.concatenate([[total / known], of_month]).astype(np.float32)


def months_of_climate(settings: TrainingSettings, time: pd.DatetimeIndex) -> Months | None:
    """Return the months over which the features of `settings` take a climate; None if none does.

    They are the training months of the split, as far as the cube has them; all months of the cube
    where the split does not part months.
    """
    if not any(how.climate for how in settings.features.values()):
        return None
    first, last = f"{time[0]:%Y-%m}", f"{time[-1]:%Y-%m}"
    split = settings.split
    period = split.period if isinstance(split, FoldSplit) else None
    if isinstance(split, PeriodSplit):
        period = split
    if period is not None:
        first, last = max(first, period.train.start), min(last, period.train.end)
    return first, last


def at_months(time: pd.DatetimeIndex, months: Months, where: str = "the cube") -> slice:
    """Return where the months of the climate are on a time axis.

    Raises
    ------
    TimeError
        When one of them is absent.
    """
    wanted = month_starts(*months)
    if absent := [f"{month:%Y-%m}" for month in wanted if month not in time]:
        raise TimeError(
            f"{where}: expected every month from {months[0]} to {months[1]}, over which the model "
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
    means = Means(values.shape[:-1])
    means.add(np.moveaxis(values, -1, 0), month)
    return np.moveaxis(means.means(), 0, -1)


def climate_of_slabs(slabs: Iterable[xr.Dataset]) -> xr.Dataset:
    """Return the climate of variables that come a few months at a time, all in order.

    As `climate_of`, to the byte, of months that need not be in memory together.
    """
    means: dict[str, Means] = {}
    for slab in slabs:
        month = slab["time"].dt.month.values
        for name, array in slab.data_vars.items():
            array = array.transpose("time", "lat", "lon")
            means.setdefault(str(name), Means(array.shape[1:])).add(array.values, month)
    return on_cells({n: m.means() for n, m in means.items()}, slab["lat"], slab["lon"])


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
