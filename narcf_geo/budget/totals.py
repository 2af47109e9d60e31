"""Totals and means of a flux: of cells, months, years and regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from narcf_geo.core.constants import CARBON_MOLAR_MASS, SECONDS_PER_DAY
from narcf_geo.core.errors import TimeError
from narcf_geo.core.months import days_in_month
from narcf_geo.fields import area_field, class_field, flux_field, on_one_grid
from narcf_geo.fields.values import Sign
from narcf_geo.grid import Grid

TGC_PER_UMOL = 1e-6 * CARBON_MOLAR_MASS * 1e-12


def monthly_total(
    flux: xr.DataArray,
    cell_area: xr.DataArray | None = None,
    *,
    units: str | None = None,
    sign: Sign | None = None,
) -> xr.DataArray:
    """Return the total of a region in each month.

    Parameters
    ----------
    flux : xarray.DataArray
        Monthly mean flux along time, latitude and longitude, in a unit that converts to
        umol m-2 s-1. The total is over the cells that have a value.
    cell_area : xarray.DataArray, optional
        Area of each cell, matched to `flux` by its labels; by default that of the grid's cells.
    units : str, optional
        The unit of `flux`; by default its attribute ``units``.
    sign : {"to_atmosphere", "uptake"}, optional
        What positive means in `flux`; by default by its standard name, else to the atmosphere.

    Returns
    -------
    xarray.DataArray
        (time,), TgC per month, positive to the atmosphere; NaN where no cell has a value. Its
        coordinate ``coverage`` is the share, 0 to 1, of the area of the cells that ever have a
        value: below 1 the total lacks some of them.

    Raises
    ------
    UnitError
        When a unit is missing or not of a CO2 flux or an area.
    TimeError
        When the values are not monthly.
    GridMismatchError
        When flux and areas are on different grids.

    Examples
    --------
    >>> import pandas as pd
    >>> flux = xr.DataArray(
    ...     np.ones((2, 1, 2)), dims=("time", "lat", "lon"), attrs={"units": "g C m-2 day-1"},
    ...     coords={"time": pd.date_range("2015-01", periods=2, freq="MS"),
    ...             "lat": [45.5], "lon": [-100.5, -99.5]})
    >>> area = xr.DataArray([[8.7e9, 8.7e9]], {"lat": [45.5], "lon": [-100.5, -99.5]},
    ...                     ("lat", "lon"), attrs={"units": "m2"})
    >>> monthly_total(flux, area).values.round(4).tolist()
    [0.5394, 0.4872]
    """
    from scipy import sparse

    from narcf_geo.budget.sums import PartSums

    flux, area = flux_and_area(flux, cell_area, units=units, sign=sign)
    every = sparse.csc_array(np.ones((1, area.size)))
    sums = PartSums.of({"flux": flux}, area, every).month
    total = np.where(sums.cells[0] > 0, sums.flux[0], np.nan)
    attrs = {"units": "Tg month-1", "long_name": "carbon flux of the region"}
    known = {"units": "1", "long_name": "share of the area that has a flux"}
    coords = {"time": flux["time"], "coverage": ("time", sums.coverage[0], known)}
    return xr.DataArray(total, coords, ("time",), attrs=attrs)


def flux_and_area(
    flux: xr.DataArray,
    cell_area: xr.DataArray | None = None,
    *,
    units: str | None = None,
    sign: Sign | None = None,
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return a flux (time, lat, lon) and the areas of its cells, m2, on one grid; see the door."""
    flux = flux_field(flux, units=units, sign=sign)
    if "time" not in flux.dims:
        raise TimeError(
            f"expected months along time, found a flux along {', '.join(map(str, flux.dims))}; add "
            "the month with .expand_dims(time=[...])"
        )
    if cell_area is None:
        return flux, grid_area(flux)
    flux, area = on_one_grid(flux, area_field(cell_area))
    return flux, area


def grid_area(field: xr.DataArray) -> xr.DataArray:
    """Return the area of each cell of the grid of a field, m2, with its labels."""
    grid = Grid.from_dataset(field)
    coords = {name: field[name] for name in ("lat", "lon")}
    return xr.DataArray(grid.area, coords, grid.dims, name="cell_area", attrs={"units": "m2"})


def cell_total(flux: xr.DataArray, cell_area: xr.DataArray) -> xr.DataArray:
    """Return the carbon each cell exchanges in each month.

    Parameters
    ----------
    flux : xarray.DataArray
        Mean flux (time, lat, lon), umol m-2 s-1, that has passed the door.
    cell_area : xarray.DataArray
        (lat, lon), m2, with the same labels.

    Returns
    -------
    xarray.DataArray
        TgC per month and cell, float64, of the flux's sign; NaN where the flux is.
    """
    seconds = days_in_month(flux["time"]) * SECONDS_PER_DAY
    total = flux.astype(np.float64) * cell_area * seconds * TGC_PER_UMOL
    total.attrs = {"units": "Tg month-1", "long_name": "carbon flux of the cell"}
    return total.transpose(*flux.dims)


def biome_series(
    flux: xr.DataArray, biome: xr.DataArray, cell_area: xr.DataArray | None = None
) -> dict[int, xr.DataArray]:
    """Return the monthly total of each majority class that has a flux.

    Parameters
    ----------
    flux, cell_area
        As for `monthly_total`.
    biome : xarray.DataArray
        Majority IGBP class of each cell, on the grid of the flux.

    Returns
    -------
    dict
        Class number to (time,), TgC per month.
    """
    from narcf_geo.budget.parts import class_shares
    from narcf_geo.budget.sums import PartSums

    flux, area = flux_and_area(flux, cell_area)
    flux, classes = on_one_grid(flux, class_field(biome))
    sums = PartSums.of({"flux": flux}, area, class_shares(classes)).month
    time = {"time": flux["time"]}
    return {
        n: xr.DataArray(sums.flux[n], time, ("time",), attrs={"units": "Tg month-1"})
        for n in np.flatnonzero(sums.cells.any(axis=1)).tolist()
    }


@dataclass(frozen=True)
class FluxSummary:
    """Area-weighted mean flux, umol m-2 s-1, and its total, TgC over `days` (a month or a year)."""

    mean: float
    total: float
    days: float


def summarise(
    flux: xr.DataArray, area: xr.DataArray | None = None, days: float = 365.2425
) -> FluxSummary:
    """Return the area-weighted mean and the total of a mean flux over (lat, lon).

    Parameters
    ----------
    flux : xarray.DataArray
        (lat, lon), umol m-2 s-1.
    area : xarray.DataArray, optional
        (lat, lon), m2, by default that of the cells.
    days : float
        Length of what the total is for, a month or a year; see `days_of`.
    """
    area = grid_area(flux) if area is None else area.fillna(0.0)
    weight = area.where(flux.notnull(), 0.0)
    rate = float((flux.fillna(0.0).astype(float) * weight).sum())
    covered = float(weight.sum())
    mean = rate / covered if covered else float("nan")
    return FluxSummary(mean, rate * TGC_PER_UMOL * SECONDS_PER_DAY * days, days)


def days_of(flux: xr.DataArray) -> float:
    """Return the true days of the month (scalar ``time``), or of a mean year of the months.

    The mean over the months times these days is then the mean of the yearly totals.
    """
    if "time" not in flux.coords:
        return 365.2425
    days = days_in_month(flux["time"])
    return float(days) if days.ndim == 0 else 12 * float(days.mean())


def days_of_season(time: xr.DataArray) -> float:
    """Return the days of a mean season: of each of its calendar months the mean over the years.

    Of whole years the days of all seasons add up to those of a mean year.

    Examples
    --------
    >>> import pandas as pd
    >>> time = pd.to_datetime(["2015-12-01", "2015-01-01", "2015-02-01", "2016-12-01",
    ...                        "2016-01-01", "2016-02-01"])
    >>> days_of_season(xr.DataArray(time, {"time": time}, ("time",)))
    90.5
    """
    return float(days_in_month(time).groupby("time.month").mean().sum())


def mean_over_months(flux: xr.DataArray) -> xr.DataArray:
    """Return the mean over the months present, weighted by their days."""
    with xr.set_options(keep_attrs=True):
        return flux.weighted(days_in_month(flux["time"])).mean("time")


def applicable_share(flux: xr.DataArray, applicable: xr.DataArray) -> xr.DataArray:
    """Return the share (lat, lon) of each cell's months, by their days, that are applicable.

    Of months with a flux; NaN where there is none. Without ``time`` it is 0 or 1.
    """
    known = flux.notnull()
    share = ((applicable.reindex_like(flux) > 0) & known).where(known).astype(float)
    return mean_over_months(share) if "time" in flux.dims else share
