"""Maps of how a flux changes from year to year; each returns a matplotlib Figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.months import days_in_month
from narcf_geo.figures import style
from narcf_geo.figures.layout import Scale, house_style, synthetic_note
from narcf_geo.figures.overview import Overview
from narcf_geo.figures.panels import SINGLE_INCHES, drawable, single_map
from narcf_geo.figures.style import period_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def annual_means(flux: xr.DataArray, least: int) -> xr.DataArray:
    """Return the day-weighted mean (year, lat, lon) of each year that has all twelve months.

    Raises
    ------
    NarcfError
        When fewer than `least` years are whole.
    """
    days = days_in_month(flux["time"])
    years = {
        int(year): (part.weighted(days.sel(time=part["time"])).mean("time", skipna=False))
        for year, part in flux.groupby("time.year")
        if part.sizes["time"] == 12
    }
    if len(years) < least:
        raise NarcfError(
            f"expected at least {least} whole years, found {len(years)} in {period_text(flux)}"
        )
    means = xr.concat(years.values(), dim=xr.DataArray(list(years), dims="year", name="year"))
    return means.transpose("year", "lat", "lon")


def trend_map(
    flux: xr.DataArray,
    *,
    title: str = "Trend of the net CO₂ flux",
    subtitle: str | None = None,
    limit: float | None = None,
    projection: str = "auto",
    synthetic: str | None = None,
) -> Figure:
    """Map the least-squares trend of the annual means, per decade; at least three whole years.

    Parameters
    ----------
    flux : xarray.DataArray
        (time, lat, lon), umol m-2 s-1.
    title, subtitle, limit, projection, synthetic
        As for `maps.flux_map`.

    Raises
    ------
    NarcfError
        When fewer than three years are whole.
    """
    flux, area = drawable(flux)
    means = annual_means(flux, 3).astype(float)
    year = means["year"] - means["year"].mean()
    trend = 10 * (means * year).sum("year", skipna=False) / (year**2).sum()
    shown = Overview.of(trend, area, SINGLE_INCHES)
    span = f"annual means of {int(means['year'][0])}–{int(means['year'][-1])}, least squares"
    return _annual_map(
        shown,
        Scale.of_change(shown.values.values, f"trend ({style.UNITS_TEXT} per decade)", limit),
        title,
        span if subtitle is None else subtitle,
        synthetic_note(flux, synthetic),
        projection,
    )


def variability_map(
    flux: xr.DataArray,
    *,
    title: str = "Interannual variability of the net CO₂ flux",
    subtitle: str | None = None,
    limit: float | None = None,
    projection: str = "auto",
    synthetic: str | None = None,
) -> Figure:
    """Map the standard deviation of the annual means (n - 1); at least three whole years.

    Parameters
    ----------
    flux : xarray.DataArray
        (time, lat, lon), umol m-2 s-1.
    title, subtitle, limit, projection, synthetic
        As for `maps.flux_map`.

    Raises
    ------
    NarcfError
        When fewer than three years are whole.
    """
    flux, area = drawable(flux)
    means = annual_means(flux, 3)
    spread = means.astype(float).std("year", ddof=1, skipna=False)
    shown = Overview.of(spread, area, SINGLE_INCHES)
    span = f"standard deviation of the annual means of {int(means['year'][0])}–"
    span += str(int(means["year"][-1]))
    return _annual_map(
        shown,
        Scale.of_amount(shown.values.values, f"standard deviation ({style.UNITS_TEXT})", limit),
        title,
        span if subtitle is None else subtitle,
        synthetic_note(flux, synthetic),
        projection,
    )


def _annual_map(
    shown: Overview, scale: Scale, title: str, subtitle: str, note: str, projection: str
) -> Figure:
    with house_style():
        view = shown.view(projection)
        fig, _ = single_map(view, shown, scale, title, subtitle, note)
    return fig
