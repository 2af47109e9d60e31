"""The numbers in the corner of a map: means over months and area, totals in mass of carbon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.budget import TGC_PER_UMOL
from narcf_geo.constants import SECONDS_PER_DAY
from narcf_geo.errors import NarcfError
from narcf_geo.figures.style import UNITS_TEXT, signed
from narcf_geo.grid import Grid
from narcf_geo.months import days_in_month


@dataclass(frozen=True)
class FluxSummary:
    """Area-weighted mean flux, umol m-2 s-1, and its total, TgC over `days` (a month or a year)."""

    mean: float
    total: float
    days: float

    def lines(self) -> tuple[str, str]:
        """Return the two lines of text: the mean and the total, with sign and unit."""
        if self.days <= 31:
            total = f"{signed(self.total)} TgC month⁻¹"
        elif abs(self.total) >= 100:
            total = f"{signed(self.total / 1000)} PgC yr⁻¹"
        else:
            total = f"{signed(self.total)} TgC yr⁻¹"
        return f"{signed(self.mean)} {UNITS_TEXT}", total


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


def period_text(flux: xr.DataArray) -> str:
    """Return the months of `flux` in words: ``July 2014``, ``2007–2015``, ``May 2014 – July 2015``.

    Raises
    ------
    NarcfError
        When `flux` has no month.
    """
    if "time" not in flux.coords:
        return ""
    months = pd.DatetimeIndex(np.atleast_1d(flux["time"].values))
    if months.empty:
        raise NarcfError("expected at least one month to draw, found none; check the period")
    first, last = months.min(), months.max()
    if first.month == 1 and last.month == 12:
        return str(first.year) if first.year == last.year else f"{first.year}–{last.year}"
    first, last = first.strftime("%B %Y"), last.strftime("%B %Y")
    return first if first == last else f"{first} – {last}"


def applicable_share(flux: xr.DataArray, applicable: xr.DataArray) -> xr.DataArray:
    """Return the share (lat, lon) of each cell's months, by their days, that are applicable.

    Of months with a flux; NaN where there is none. Without ``time`` it is 0 or 1.
    """
    known = flux.notnull()
    share = ((applicable.reindex_like(flux) > 0) & known).where(known).astype(float)
    return mean_over_months(share) if "time" in flux.dims else share
