"""Charts of how fluxes go through time and space, and of how products agree.

Each returns a matplotlib Figure. Fluxes are positive to the atmosphere.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import numpy as np
import xarray as xr

from narcf_geo.constants import IGBP
from narcf_geo.errors import NarcfError
from narcf_geo.evaluate.components import decompose
from narcf_geo.evaluate.metrics import taylor as taylor_statistics
from narcf_geo.figures import style
from narcf_geo.figures.layout import Scale, heading, house_style, synthetic_note
from narcf_geo.figures.totals import period_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_POLAR_TICKS = (0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 1)


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
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    _few(series)
    first = next(iter(series.values()))
    note = synthetic_note(first, synthetic)
    with house_style():
        fig = Figure(figsize=(8.4, 5.4))
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
                lower.errorbar(place, whole, [whole - low, high - whole], fmt="none",
                               ecolor="#8a979e", elinewidth=1.3, capsize=3)  # fmt: skip
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
    _few(series)
    aligned = dict(zip(series, xr.align(*series.values(), join="inner"), strict=True))
    common = np.logical_and.reduce([values.notnull().values for values in aligned.values()])
    departures = {name: _departures(values.where(common)) for name, values in aligned.items()}
    if all(bool(values.isnull().all()) for values in departures.values()):
        raise NarcfError(
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
    from matplotlib.figure import Figure

    _few(series)
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
        fig = Figure(figsize=(8.4, height))
        text = (
            f"{period_text(first)}; mean of each calendar month" if subtitle is None else subtitle
        )
        heading(fig, title, text, synthetic_note(first, synthetic))
        grid = fig.add_gridspec(
            rows, columns, left=0.075, right=0.985, top=1 - 0.9 / height, bottom=0.62 / height,
            hspace=0.42, wspace=0.24,
        )  # fmt: skip
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
    from matplotlib.figure import Figure

    zonal = flux.transpose("time", "lat", "lon").mean("lon").dropna("lat", how="all")
    scale = Scale.of_flux(zonal.values, limit or style.flux_limit(zonal.values, 0.99))
    with house_style():
        fig = Figure(figsize=(8.4, 4.6))
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


def taylor(
    products: Mapping[str, xr.DataArray],
    observed: xr.DataArray,
    *,
    area: xr.DataArray | None = None,
    label: str = "Inversion",
    title: str = "Taylor diagram",
    subtitle: str = "",
    synthetic: str | None = None,
) -> Figure:
    """Draw correlation and standard deviation of products against an observed flux.

    After Taylor (2001, doi:10.1029/2000JD900719): the angle is the correlation, the radius the
    standard deviation over that of the observed, and the distance from the observed the centred
    RMSE. Statistics are over all cells and months that both have, weighted by `area`.

    Parameters
    ----------
    products : mapping of str to xarray.DataArray
        Name to flux (time, lat, lon). At most five.
    observed : xarray.DataArray
        The same, on the same grid.
    area : xarray.DataArray, optional
        (lat, lon), m2.
    label, title, subtitle, synthetic : str
        Name of the observed; the others as for `maps.flux_map`.

    Raises
    ------
    NarcfError
        When there is no product, one has no pair with the observed, or that does not vary.
    """
    from matplotlib.figure import Figure
    from matplotlib.projections.polar import PolarAxes

    _few(products)
    points = {name: _taylor_point(flux, observed, area) for name, flux in products.items()}
    reach = max(1.25, 1.15 * max(radius for _, radius in points.values()))
    negative = min(r for r, _ in points.values()) < 0
    with house_style():
        fig = Figure(figsize=(7.0, 5.6))
        heading(fig, title, subtitle, synthetic_note(observed, synthetic))
        ax = cast(PolarAxes, fig.add_axes((0.08, 0.1, 0.71, 0.75), projection="polar"))
        ax.set_thetamin(0)
        ax.set_thetamax(180 if negative else 90)
        ax.set_ylim(0, reach)
        ticks = [-t for t in _POLAR_TICKS[:0:-1] if negative] + list(_POLAR_TICKS)
        ax.set_xticks(np.arccos(ticks), [f"{t:g}".replace("-", "−") for t in ticks])
        ax.grid(color="#d8e0e4", linewidth=0.5)
        angles = np.linspace(0, np.pi if negative else np.pi / 2, 200)
        ax.plot(angles, np.ones(200), color=style.MUTED, linewidth=0.9, linestyle="--")
        radii, turns = np.meshgrid(np.linspace(0, reach, 120), angles)
        error = np.sqrt(1 + radii**2 - 2 * radii * np.cos(turns))
        rings = ax.contour(
            turns, radii, error, levels=[0.25, 0.5, 0.75, 1.0], colors="#009e73", linewidths=0.6
        )
        # Along a line from the observed that stays clear of the axes.
        places = [1 + d * np.exp(2.1j) for d in rings.levels]
        spots = [(np.angle(p), np.abs(p)) for p in places if np.abs(p) < reach]
        ax.clabel(rings, fontsize=7, manual=spots)
        ax.plot(0, 1, marker="*", markersize=13, color=style.INK, clip_on=False, label=label,
                linestyle="none")  # fmt: skip
        for (name, (r, radius)), (color, _, marker) in zip(
            points.items(), style.SERIES[1:] + style.SERIES[:1], strict=False
        ):
            text = f"{name}: r {r:.3f}, std {radius:.2f}" if radius else f"{name}: std 0"
            ax.plot(np.arccos(r), radius, marker=marker, markersize=8, color=color, label=text,
                    linestyle="none")  # fmt: skip
        ax.text(np.pi / 4, 1.13 * reach, "correlation", rotation=-45, ha="center", va="center")
        ax.set_xlabel(f"standard deviation over that of {label}", labelpad=16)
        ax.tick_params(axis="y", labelsize=8, labelcolor=style.MUTED)
        ax.legend(loc="upper right", bbox_to_anchor=(1.28, 1.08))
    return fig


def pairplot(
    variables: Mapping[str, xr.DataArray],
    *,
    title: str = "Variables against each other",
    subtitle: str = "",
    synthetic: str | None = None,
) -> Figure:
    """Draw the density of each pair of variables, and of each its distribution.

    Parameters
    ----------
    variables : mapping of str to xarray.DataArray
        Name to values over the same dimensions; 2 to 7. Units come from the attributes.
    title, subtitle, synthetic : str
        As for `maps.flux_map`.

    Raises
    ------
    NarcfError
        When there are fewer than two variables or more than seven, or no complete sample.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    if not 2 <= len(variables) <= 7:
        raise NarcfError(f"expected 2 to 7 variables, found {len(variables)}")
    arrays = xr.align(*variables.values(), join="inner")
    samples = np.stack([a.transpose(*arrays[0].dims).values.ravel() for a in arrays])
    samples = samples[:, np.isfinite(samples).all(axis=0)]
    if samples.shape[1] == 0:
        raise NarcfError("expected samples that all variables have, found none")
    units = [style.pretty_units(str(a.attrs.get("units", "1"))) for a in arrays]
    names = [
        name if unit == "1" else f"{name}\n({unit})"
        for name, unit in zip(variables, units, strict=True)
    ]
    count, side = len(names), 1.55
    with house_style():
        width, height = 0.8 + side * count, 1.4 + side * count
        fig = Figure(figsize=(width, height))
        heading(fig, title, subtitle, synthetic_note(arrays[0], synthetic))
        axes = fig.subplots(
            count, count, squeeze=False,
            gridspec_kw={"left": 0.75 / width, "right": 0.98, "bottom": 0.6 / height,
                         "top": 1 - 0.72 / height, "hspace": 0.1, "wspace": 0.1},
        )  # fmt: skip
        for i in range(count):
            for j in range(count):
                ax = axes[i, j]
                ax.tick_params(labelsize=6, labelleft=j == 0 and i > 0, labelbottom=i == count - 1)
                if i == j:
                    ax.hist(samples[i], bins=40, color="#35978f")
                    ax.set_yticks([])
                elif j < i:
                    ax.hexbin(samples[j], samples[i], gridsize=30, norm=LogNorm(), mincnt=1,
                              cmap="viridis_r", linewidths=0.1, rasterized=True)  # fmt: skip
                else:
                    ax.axis("off")
                    r = np.corrcoef(samples[i], samples[j])[0, 1]
                    ax.text(0.5, 0.5, f"r = {r:.2f}".replace("-", "−"), transform=ax.transAxes,
                            ha="center", va="center", fontsize=8 + 4 * abs(r))  # fmt: skip
                if i == count - 1:
                    ax.set_xlabel(names[j], fontsize=7.5)
                if j == 0:
                    ax.set_ylabel(names[i], fontsize=7.5)
    return fig


def _departures(values: xr.DataArray) -> xr.DataArray:
    month = values["time"].dt.month.values
    return values.copy(data=decompose(values.values, month).anomalies)


def _few(series: Mapping[str, object]) -> None:
    if not 1 <= len(series) <= len(style.SERIES):
        raise NarcfError(
            f"expected 1 to {len(style.SERIES)} series to tell apart, found {len(series)}"
        )


def _taylor_point(
    flux: xr.DataArray, observed: xr.DataArray, area: xr.DataArray | None
) -> tuple[float, float]:
    """Return the correlation and the ratio of standard deviations, weighted by area."""
    x, y = xr.align(flux, observed, join="inner")
    weight = (xr.ones_like(x, float) if area is None else xr.ones_like(x, float) * area).values
    point = taylor_statistics(x.values, y.transpose(*x.dims).values, weight)
    if np.isnan(point["centred_rmse"]):
        raise NarcfError("expected pairs of product and observation to compare, found none")
    if point["std_observed"] == 0:
        raise NarcfError("expected an observed flux that varies, found one value everywhere")
    # What does not vary lies at the centre, whatever its angle.
    return (point["r"], point["std_ratio"]) if point["std_estimate"] else (0.0, 0.0)
