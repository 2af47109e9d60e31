"""Charts of how fluxes go through time and space.

Each returns a matplotlib Figure. Fluxes are positive to the atmosphere.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import NarcfError, NoValueError
from narcf_geo.evaluation.variability import decompose
from narcf_geo.figures import style
from narcf_geo.figures.layout import Scale, blank_figure, few, heading, house_style, synthetic_note
from narcf_geo.figures.style import period_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def time_series(
    series: Mapping[str, xr.DataArray],
    *,
    interval: tuple[xr.DataArray, xr.DataArray] | None = None,
    year_interval: tuple[xr.DataArray, xr.DataArray] | None = None,
    title: str = "Net CO₂ flux of the region",
    subtitle: str | None = None,
    synthetic: str | None = None,
) -> Figure:
    """Draw monthly series above and their yearly totals below.

    A year is drawn when a series has all its twelve months.

    Parameters
    ----------
    series : mapping of str to xarray.DataArray
        Name to a series (time,), Tg month-1, as `monthly_total` returns it. At most five.
    interval, year_interval : tuple of xarray.DataArray, optional
        Lower and upper end of the 95 % interval of the first series: (time,), Tg month-1, and
        (year,), Tg year-1.
    title, subtitle, synthetic : str
        As for `charts.seasonal_cycle`.

    Raises
    ------
    NarcfError
        When there is no series, or more than five.
    """
    from matplotlib.ticker import MaxNLocator

    few(series)
    first = next(iter(series.values()))
    note = synthetic_note(first, synthetic)
    with house_style():
        fig = blank_figure(8.4, 5.4)
        text = period_text(first) if subtitle is None else subtitle
        if interval is not None or year_interval is not None:
            text += f"; band and whiskers: 95 % interval of {next(iter(series))}"
        heading(fig, title, text, note)
        upper = fig.add_axes((0.095, 0.5, 0.885, 0.36))
        lower = fig.add_axes((0.095, 0.09, 0.885, 0.3))
        width = 0.8 / len(series)
        for number, ((name, values), (color, line, _)) in enumerate(
            zip(series.items(), style.SERIES, strict=False)
        ):
            monthly = values.to_series().dropna()
            upper.plot(monthly.index, monthly, color=color, linestyle=line, linewidth=1.1)
            years = monthly.groupby(monthly.index.year).agg(["sum", "count"])
            whole = years[years["count"] == 12]["sum"]
            place = whole.index + (number - (len(series) - 1) / 2) * width
            lower.bar(place, whole, width=0.9 * width, color=color, label=name)
            if number == 0 and year_interval is not None:
                low, high = (end.to_series().reindex(whole.index) for end in year_interval)
                # In a colour that shows on the bar as well as beside it.
                lower.errorbar(
                    place,
                    whole,
                    [whole - low, high - whole],
                    fmt="none",
                    ecolor="#8a979e",
                    elinewidth=1.3,
                    capsize=3,
                )
        if interval is not None:
            ends = [end.to_series() for end in interval]
            upper.fill_between(ends[0].index, *ends, color=style.INK, alpha=0.18, linewidth=0)
        upper.set_ylabel("TgC per month")
        lower.set_ylabel("TgC per year")
        lower.xaxis.set_major_locator(MaxNLocator(integer=True))
        for ax in (upper, lower):
            ax.axhline(0, color=style.INK, linewidth=0.8, zorder=1)
            ax.margins(x=0.01)
        lower.legend(loc="upper left", bbox_to_anchor=(0, 1.22), ncols=5, borderaxespad=0)
    return fig


def anomalies(
    series: Mapping[str, xr.DataArray],
    *,
    title: str = "Anomalies from the mean seasonal cycle",
    subtitle: str | None = None,
    synthetic: str | None = None,
) -> Figure:
    """Draw how far each month departs from the mean of its calendar month, and each whole year.

    The means of each series are over the months that all of them have.

    Parameters
    ----------
    series, title, subtitle, synthetic
        As for `time_series`.

    Raises
    ------
    NarcfError
        When there is no series, more than five, or no calendar month that all have in two years.
    """
    few(series)
    aligned = dict(zip(series, xr.align(*series.values(), join="inner"), strict=True))
    common = np.logical_and.reduce([values.notnull().values for values in aligned.values()])
    departures = {name: _departures(values.where(common)) for name, values in aligned.items()}
    if all(bool(values.isnull().all()) for values in departures.values()):
        raise NoValueError(
            "expected a calendar month that all series have in two years, found none; anomalies "
            "need at least two years"
        )
    return time_series(departures, title=title, subtitle=subtitle, synthetic=synthetic)


def biome_seasons(
    series: Mapping[str, Mapping[int, xr.DataArray]],
    *,
    title: str = "Seasonal cycle of each biome",
    subtitle: str | None = None,
    most: int = 9,
    synthetic: str | None = None,
) -> Figure:
    """Draw the mean of each calendar month, a panel for each of the biomes of the largest cycles.

    Parameters
    ----------
    series : mapping
        Name of a product to its series (time,), Tg month-1, by IGBP class, as
        `budget.biome_series` returns them.
    most : int
        How many biomes to draw.
    title, subtitle, synthetic : str
        As for `charts.seasonal_cycle`.

    Raises
    ------
    NarcfError
        When there is no product, no biome, or more than five products.
    """

    few(series)
    main = next(iter(series.values()))
    if not main:
        raise NarcfError("expected a series of at least one biome, found none")
    cycles = {
        name: {n: values.groupby("time.month").mean() for n, values in biomes.items()}
        for name, biomes in series.items()
    }
    swing = {n: float(np.ptp(c.values)) for n, c in next(iter(cycles.values())).items()}
    chosen = sorted(swing, key=lambda n: -swing[n])[:most]
    first = main[chosen[0]]
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    with house_style():
        height = 1.2 + 1.75 * rows
        fig = blank_figure(8.4, height)
        text = (
            f"{period_text(first)}; mean of each calendar month" if subtitle is None else subtitle
        )
        heading(fig, title, text, synthetic_note(first, synthetic))
        grid = fig.add_gridspec(
            rows,
            columns,
            left=0.075,
            right=0.985,
            top=1 - 0.9 / height,
            bottom=0.62 / height,
            hspace=0.42,
            wspace=0.24,
        )
        lines = []
        for place, number in enumerate(chosen):
            ax = fig.add_subplot(grid[divmod(place, columns)])
            ax.set_title(IGBP[number].name, fontsize=8.5, loc="left", fontweight="bold", pad=3)
            ax.axhline(0, color=style.INK, linewidth=0.7)
            lines = [
                ax.plot(c[number]["month"], c[number], color=color, linestyle=line, linewidth=1.4)[
                    0
                ]
                for c, (color, line, _) in zip(cycles.values(), style.SERIES, strict=False)
                if number in c
            ]
            ax.set_xticks([1, 4, 7, 10], [calendar.month_abbr[m] for m in (1, 4, 7, 10)])
            if place % columns == 0:
                ax.set_ylabel("TgC per month", fontsize=8)
        fig.legend(lines, list(series), loc="lower center", ncols=5, borderaxespad=0.3)
    return fig


def hovmoeller(
    flux: xr.DataArray,
    *,
    title: str = "Net CO₂ flux by latitude and month",
    subtitle: str | None = None,
    limit: float | None = None,
    synthetic: str | None = None,
) -> Figure:
    """Draw the zonal mean flux over time and latitude.

    Parameters
    ----------
    flux : xarray.DataArray
        (time, lat, lon), umol m-2 s-1, on a regular grid: cells of a row have one area.
    title, subtitle, limit, synthetic
        As for `maps.flux_map`.
    """

    zonal = flux.transpose("time", "lat", "lon").mean("lon").dropna("lat", how="all")
    scale = Scale.of_flux(zonal.values, limit or style.flux_limit(zonal.values, 0.99))
    with house_style():
        fig = blank_figure(8.4, 4.6)
        text = period_text(flux) if subtitle is None else subtitle
        heading(fig, title, text, synthetic_note(flux, synthetic))
        ax = fig.add_axes((0.085, 0.26, 0.895, 0.57))
        mesh = ax.pcolormesh(
            zonal["time"].values,
            zonal["lat"].values,
            np.ma.masked_invalid(zonal.values.T),
            cmap=scale.cmap,
            vmin=scale.low,
            vmax=scale.limit,
            shading="nearest",
            rasterized=True,
        )
        ax.set_ylabel("latitude (°N)")
        scale.bar(fig, mesh, zonal.values, (0.25, 0.115, 0.5, 0.03))
    return fig


def _departures(values: xr.DataArray) -> xr.DataArray:
    month = values["time"].dt.month.values
    return values.copy(data=decompose(values.values, month).anomalies)
