"""Maps of how a flux changes from year to year; each returns a matplotlib Figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.months import days_in_month
from narcf_geo.figures import style
from narcf_geo.figures.layout import Scale, house_style, synthetic_note
from narcf_geo.figures.overview import Overview
from narcf_geo.figures.panels import SINGLE_INCHES, drawable, layers, single_map
from narcf_geo.figures.style import period_text

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes
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
    both = Overview.of(layers(trend, _probability(means, year)), area, SINGLE_INCHES)
    shown, significant = both[0], _discoveries(both.values.values[1])
    span = f"annual means of {int(means['year'][0])}–{int(means['year'][-1])}, least squares; "
    span += "dots: significant, " if significant.any() else "nowhere significant, "
    span += f"false discovery rate {_FALSE:.0%}"
    fig = _annual_map(
        shown,
        Scale.of_change(shown.values.values, f"trend ({style.UNITS_TEXT} per decade)", limit),
        title,
        span if subtitle is None else subtitle,
        synthetic_note(flux, synthetic),
        projection,
    )
    _stipple(fig.axes[0], shown, significant, projection)
    return fig


_FALSE = 0.1
"""Share of the dots that may be there by chance (Benjamini and Hochberg 1995; Wilks 2016)."""

_MOST_DOTS = 70
"""Along the longer side of a map."""


def _probability(means: xr.DataArray, year: xr.DataArray) -> xr.DataArray:
    """Return the probability of a slope at least as steep by chance; the years independent."""
    from scipy import stats

    free = means.sizes["year"] - 2
    slope = (means * year).sum("year", skipna=False) / (year**2).sum()
    rest = means - means.mean("year", skipna=False) - slope * year
    error = ((rest**2).sum("year", skipna=False) / free / (year**2).sum()) ** 0.5
    steep = abs(slope) / error.where(error > 0)
    # Without any scatter a slope is sure, and no slope is none.
    steep = steep.where(error > 0, xr.where(abs(slope) > 0, np.inf, 0.0))
    chance = xr.apply_ufunc(lambda t: 2 * stats.t.sf(t, free), steep, dask="parallelized")
    return chance.where(slope.notnull())


def _discoveries(chance: np.ndarray) -> np.ndarray:
    """Return where a probability is small enough among all of them.

    Examples
    --------
    >>> _discoveries(np.array([[0.001, 0.2], [0.04, np.nan]])).tolist()
    [[True, False], [True, False]]
    """
    known = np.sort(chance[np.isfinite(chance)])
    small = known[known <= _FALSE * np.arange(1, known.size + 1) / max(known.size, 1)]
    return np.asarray(chance <= (small[-1] if small.size else -1.0))


def _stipple(ax: GeoAxes, shown: Overview, where: np.ndarray, projection: str) -> None:
    step = max(1, round(max(where.shape) / _MOST_DOTS))
    every = np.zeros(where.shape, bool)
    every[step // 2 :: step, step // 2 :: step] = True
    lon, lat = (c[where & every] for c in shown.grid.centers())
    x, y = shown.view(projection).project(lon, lat)
    ax.scatter(x, y, s=1.6, c=style.INK, linewidths=0, zorder=5)


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
