"""Totals and means of a flux: of cells, months, years and regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.core.constants import CARBON_MOLAR_MASS, IGBP, SECONDS_PER_DAY
from narcf_geo.core.months import days_in_month
from narcf_geo.grid import Grid

if TYPE_CHECKING:
    pass

from dataclasses import dataclass

TGC_PER_UMOL = 1e-6 * CARBON_MOLAR_MASS * 1e-12


def cell_total(flux: xr.DataArray, cell_area: xr.DataArray) -> xr.DataArray:
    """Return the carbon each cell exchanges in each month.

    Parameters
    ----------
    flux : xarray.DataArray
        Mean flux (time, lat, lon), umol m-2 s-1.
    cell_area : xarray.DataArray
        (lat, lon), m2.

    Returns
    -------
    xarray.DataArray
        TgC per month and cell, float64, of the flux's sign; NaN where the flux is.
    """
    seconds = days_in_month(flux["time"]) * SECONDS_PER_DAY
    total = flux.astype(np.float64) * cell_area * seconds * TGC_PER_UMOL
    total.attrs = {"units": "Tg month-1", "long_name": "carbon flux of the cell"}
    return total.transpose(*flux.dims)


def monthly_total(flux: xr.DataArray, cell_area: xr.DataArray) -> xr.DataArray:
    """Return the total of the region in TgC per month, shape (time,); NaN without any flux."""
    total = cell_total(flux, cell_area).sum(["lat", "lon"], min_count=1)
    total.attrs = {"units": "Tg month-1", "long_name": "carbon flux of the region"}
    return total


def biome_series(
    flux: xr.DataArray, biome: xr.DataArray, cell_area: xr.DataArray
) -> dict[int, xr.DataArray]:
    """Return the monthly total (time,), TgC, of each majority class that has a flux."""
    total = cell_total(flux, cell_area)
    known = flux.notnull().any("time")
    present = [n for n in range(len(IGBP)) if bool((known & (biome == n)).any())]
    return {
        n: total.where(biome == n).sum(["lat", "lon"]).assign_attrs(units="Tg month-1")
        for n in present
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
    area = cell_area(flux, area)
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


def cell_area(flux: xr.DataArray, area: xr.DataArray | None = None) -> xr.DataArray:
    """Return `area`, or by default the area of each cell of the grid, m2, (lat, lon)."""
    if area is not None:
        return area.transpose("lat", "lon").fillna(0.0)
    return xr.DataArray(
        Grid.from_dataset(flux).area,
        coords={"lat": flux["lat"], "lon": flux["lon"]},
        dims=("lat", "lon"),
    )


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
