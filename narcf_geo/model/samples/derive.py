"""Features made of predictors, and the coordinates where someone asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.model.samples.climate import Months, climate_of, compared
from narcf_geo.project.settings import DerivedFeature

# Odd functions: noise about zero keeps its sign instead of becoming missing.
_TRANSFORMS: dict[str, Callable] = {
    "log1p": lambda x: np.sign(x) * np.log1p(np.abs(x)),
    "sqrt": lambda x: np.sign(x) * np.sqrt(np.abs(x)),
    "cbrt": np.cbrt,
}

NO_CLIMATE = xr.Dataset()

COORDINATE_COLUMNS = {
    "lat": ("latitude",),
    "lon": ("longitude",),
    "month": ("month_sin", "month_cos"),
    "year": ("year",),
}
"""The features that each name under ``coordinates:`` stands for."""


def derive(
    cube: xr.Dataset,
    features: Mapping[str, DerivedFeature],
    coordinates: Sequence[str],
    climate: xr.Dataset = NO_CLIMATE,
) -> xr.Dataset:
    """Return `cube` with the features added, lazily where the cube is.

    Transforms are odd: of a negative value, minus that of its magnitude. A mean and a lag count
    calendar months: where one of their months is absent, or before the beginning, the feature is
    NaN.

    Parameters
    ----------
    cube : xarray.Dataset
        Predictors (time, lat, lon) or (lat, lon) with ``units``, months in order.
    features : mapping
        Name of each new feature, and how it is made.
    coordinates : sequence of str
        Of ``lat``, ``lon``, ``month`` and ``year``.
    climate : xarray.Dataset, optional
        As from `climates`, of the same cells; needed where a feature takes one.

    Raises
    ------
    NarcfError
        When a predictor is absent, or a static one would be averaged or delayed in time.

    Examples
    --------
    >>> rain = xr.Dataset({"p": ("time", [1.0, 2.0, 6.0], {"units": "mm"})})
    >>> how = DerivedFeature(of="p", mean=2, lag=1)
    >>> derive(rain, {"before": how}, [])["before"].values
    array([nan, nan, 1.5], dtype=float32)
    """
    added = {name: _derived(cube, name, how, climate) for name, how in features.items()}
    for name in coordinates:
        added.update(_coordinate(cube, name))
    return cube.assign(added)


def bases(cube: xr.Dataset, features: Mapping[str, DerivedFeature]) -> xr.Dataset:
    """Return what the features take a climate of: predictors, transformed."""
    return xr.Dataset(
        {how.base: _base(cube, name, how) for name, how in features.items() if how.climate}
    )


def climates(
    cube: xr.Dataset, features: Mapping[str, DerivedFeature], months: Months
) -> xr.Dataset:
    """Return the climate of all `bases` (month, lat, lon), lazily where the cube is."""
    return bases(cube, features).map(climate_of, months=months)


def _base(cube: xr.Dataset, name: str, how: DerivedFeature) -> xr.DataArray:
    """Return the predictor of a feature, transformed."""
    if how.of not in cube:
        raise NarcfError(
            f"feature {name!r} is made of the predictor {how.of!r}, which the cube has not; it "
            f"has: {', '.join(map(str, cube.data_vars))}"
        )
    values = cube[how.of]
    if "time" not in values.dims and (how.climate or how.mean > 1 or how.lag):
        raise NarcfError(
            f"feature {name!r}: {how.of!r} is the same in every month; remove climate, mean and lag"
        )
    if not how.transform:
        return values
    attrs = {"units": f"{how.transform}({values.attrs['units']})"}
    transform = _TRANSFORMS[how.transform]
    return xr.apply_ufunc(transform, values, dask="parallelized").assign_attrs(attrs)


def _derived(cube: xr.Dataset, name: str, how: DerivedFeature, climate: xr.Dataset) -> xr.DataArray:
    values = _base(cube, name, how)
    units = values.attrs["units"]
    months = values.indexes.get("time")
    if how.climate:
        values = compared(values, climate[how.base], how.climate)
    every = _every_month(months) if how.mean > 1 or how.lag else None
    if every is not None:
        values = values.reindex(time=every)
    if how.mean > 1:
        values = values.rolling(time=how.mean, min_periods=how.mean).mean()
    if how.lag:
        values = values.shift(time=how.lag)
    if every is not None:
        values = values.sel(time=months)
    values.attrs = {"units": units, "long_name": f"{name}, made of {how.of}"}
    return values.astype(np.float32)


def _every_month(months: pd.Index | None) -> pd.DatetimeIndex | None:
    """Return all months from the first to the last; None where none is absent."""
    if not isinstance(months, pd.DatetimeIndex):
        return None
    every = pd.date_range(months[0], months[-1], freq="MS")
    return None if every.size == months.size else every


def _coordinate(cube: xr.Dataset, name: str) -> dict[str, xr.DataArray]:
    if name in ("lat", "lon"):
        values = cube[name].astype(np.float32)
        grid = values.broadcast_like(cube["cell_area"]).transpose("lat", "lon")
        units = {"units": "degrees_north" if name == "lat" else "degrees_east"}
        return {COORDINATE_COLUMNS[name][0]: grid.drop_attrs().assign_attrs(units)}
    if name == "year":
        year = cube["time"].dt.year.astype(np.float32)
        return {"year": _everywhere(year, cube)}
    angle = 2 * np.pi * (cube["time"].dt.month - 1) / 12
    waves = {"month_sin": np.sin, "month_cos": np.cos}
    return {
        column: _everywhere(xr.apply_ufunc(wave, angle).astype(np.float32), cube)
        for column, wave in waves.items()
    }


def _everywhere(series: xr.DataArray, cube: xr.Dataset) -> xr.DataArray:
    values = series.broadcast_like(cube["cell_area"]).transpose("time", "lat", "lon")
    return values.drop_attrs().assign_attrs(units="1")
