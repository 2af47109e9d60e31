"""Maps of a flux; each returns a matplotlib Figure and draws without a network.

Fluxes are umol m-2 s-1, positive to the atmosphere. The colour scale is symmetric about zero. The
corner of a map gives the area-weighted mean and the total over the cells drawn. What is lazy is
read block by block, and cells finer than the pixels of a map are drawn as their mean.
"""

from __future__ import annotations

import calendar
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.budget.totals import days_of, days_of_season, mean_over_months, summarise
from narcf_geo.core.errors import NarcfError, NoValueError
from narcf_geo.core.months import days_in_month
from narcf_geo.fields import on_one_grid
from narcf_geo.figures import style
from narcf_geo.figures.layout import Scale, house_style, synthetic_note
from narcf_geo.figures.overview import Overview
from narcf_geo.figures.panels import (
    SINGLE_INCHES,
    corner_text,
    draw_cells,
    drawable,
    layers,
    map_grid,
    panel_inches,
    single_map,
    write_in_corner,
)
from narcf_geo.figures.style import period_text, season_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SEASONS = {
    "December – February": (12, 1, 2),
    "March – May": (3, 4, 5),
    "June – August": (6, 7, 8),
    "September – November": (9, 10, 11),
}


def flux_map(
    flux: xr.DataArray,
    *,
    title: str = "Net CO₂ flux",
    subtitle: str | None = None,
    area: xr.DataArray | None = None,
    limit: float | None = None,
    projection: str = "auto",
    synthetic: str | None = None,
) -> Figure:
    """Map one month, or the day-weighted mean over all months of `flux`.

    Parameters
    ----------
    flux : xarray.DataArray
        (lat, lon) with a scalar ``time``, or (time, lat, lon).
    title, subtitle : str
        By default the subtitle is the period.
    area : xarray.DataArray, optional
        (lat, lon), m2, for mean and total; by default that of the cells.
    limit : float, optional
        End of the colour scale; by default a round number that holds 98 % of the cells.
    projection : str
        A name of `basemap.PROJECTIONS`, or ``EPSG:<code>`` of a projected CRS.
    synthetic : str, optional
        What kind of synthetic data this is; by default ``flux.attrs["synthetic"]``.

    Raises
    ------
    NarcfError
        When every value is missing.
    """
    flux, area = drawable(flux, area)
    note = synthetic_note(flux, synthetic)
    period = period_text(flux)
    field = mean_over_months(flux) if "time" in flux.dims else flux
    shown = Overview.of(field, area, SINGLE_INCHES)
    scale = Scale.of_flux(shown.values.values, limit)
    with house_style():
        view = shown.view(projection)
        fig, ax = single_map(view, shown, scale, title, subtitle or period, note)
        corner_text(ax, view, shown, days_of(flux))
    return fig


def month_panel(
    flux: xr.DataArray,
    *,
    title: str = "Net CO₂ flux by month",
    subtitle: str | None = None,
    area: xr.DataArray | None = None,
    limit: float | None = None,
    projection: str = "auto",
    synthetic: str | None = None,
) -> Figure:
    """Map the twelve calendar months on one colour scale.

    Of several years each panel shows the mean over the years. A month without data is left blank.

    Parameters
    ----------
    flux : xarray.DataArray
        (time, lat, lon).
    title, subtitle, area, limit, projection, synthetic
        As for `flux_map`.
    """
    flux, area = drawable(flux, area)
    note = synthetic_note(flux, synthetic)
    years = np.unique(flux["time"].dt.year.values)
    months = {int(number): group for number, group in flux.groupby("time.month")}
    means = layers(*(mean_over_months(group) for group in months.values()))
    shown = Overview.of(means, area, panel_inches(4, 9.6))
    fields = {number: shown[layer] for layer, number in enumerate(months)}
    values = shown.values.values
    # The months of most uptake are few: more of the extremes than in a single map.
    scale = Scale.of_flux(values, limit or style.flux_limit(values, 0.99))
    if subtitle is None:
        subtitle = period_text(flux) + (", mean over the years" if len(years) > 1 else "")
        subtitle += f"; above each map: area-weighted mean ({style.UNITS_TEXT}) and monthly total"
    with house_style():
        view = shown.view(projection)
        names = calendar.month_name[1:]
        fig, axes = map_grid(view, names, 4, 9.6, title, subtitle, note, size=9.0)
        for month, ax in enumerate(axes, start=1):
            if month not in fields:
                ax.text(0.5, 0.5, "no data", transform=ax.transAxes, ha="center", color=style.MUTED)
                continue
            mesh = draw_cells(ax, view, fields[month], scale)
            days = float(days_in_month(months[month]["time"]).mean())
            summary = summarise(fields[month].values, fields[month].area, days)
            text = f"mean {style.signed(summary.mean)}, {style.signed(summary.total)} TgC"
            ax.set_title(text, fontsize=6.8, pad=3, loc="right")
        total = fig.get_figheight()
        scale.bar(fig, mesh, values, (0.27, 0.46 / total, 0.46, 0.13 / total))
    return fig


def season_panel(
    flux: xr.DataArray,
    *,
    title: str = "Net CO₂ flux by season",
    subtitle: str | None = None,
    area: xr.DataArray | None = None,
    limit: float | None = None,
    projection: str = "auto",
    synthetic: str | None = None,
) -> Figure:
    """Map the mean of the four seasons on one colour scale.

    Parameters
    ----------
    flux : xarray.DataArray
        (time, lat, lon), umol m-2 s-1.
    title, subtitle, area, limit, projection, synthetic
        As for `flux_map`. Each map gives the total of its season and, beside it, the rate a year;
        the totals of four whole seasons add up to that of a mean year.

    Raises
    ------
    NarcfError
        When a season has no month.
    """
    flux, area = drawable(flux, area)
    number = flux["time"].dt.month
    parts = []
    for name, months in _SEASONS.items():
        parts.append(flux[number.isin(months).values])
        if parts[-1].sizes["time"] == 0:
            raise NarcfError(f"expected months of {name}, found {period_text(flux)} only")
    means = [mean_over_months(part) for part in parts]
    shown = Overview.of(layers(*means), area, panel_inches(2, 9.0))
    values = shown.values.values
    scale = Scale.of_flux(values, limit)
    with house_style():
        view = shown.view(projection)
        text = period_text(flux) if subtitle is None else subtitle
        note = synthetic_note(flux, synthetic)
        fig, axes = map_grid(view, list(_SEASONS), 2, 9.0, title, text, note)
        for layer, (ax, part) in enumerate(zip(axes, parts, strict=True)):
            mesh = draw_cells(ax, view, shown[layer], scale)
            days = days_of_season(part["time"])
            summary = summarise(shown[layer].values, shown[layer].area, days)
            text = season_text(summary, days_of(part))
            write_in_corner(ax, view, shown[layer], text, size=7.0)
        total = fig.get_figheight()
        scale.bar(fig, mesh, values, (0.25, 0.46 / total, 0.5, 0.13 / total))
    return fig


def comparison(
    estimate: xr.DataArray,
    reference: xr.DataArray,
    *,
    labels: tuple[str, str] = ("Estimate", "Reference"),
    title: str | None = None,
    subtitle: str | None = None,
    area: xr.DataArray | None = None,
    limit: float | None = None,
    projection: str = "auto",
    synthetic: str | None = None,
) -> Figure:
    """Map estimate, reference and their difference over their common months and cells.

    Months are matched by time stamp; a cell counts in a month when both have it.

    Parameters
    ----------
    estimate, reference : xarray.DataArray
        (time, lat, lon) on the same grid, or both (lat, lon).
    labels : tuple of str
        Names of the two.
    title, subtitle, area, limit, projection, synthetic
        As for `flux_map`.

    Raises
    ------
    NarcfError
        When the grids differ, or no month or no cell is common.
    """
    note = synthetic_note(estimate, synthetic) or synthetic_note(reference, None)
    estimate, area = drawable(estimate, area)
    estimate, reference = _common(*on_one_grid(estimate, drawable(reference)[0]))
    period, days = period_text(estimate), days_of(estimate)
    if "time" in estimate.dims:
        estimate, reference = mean_over_months(estimate), mean_over_months(reference)
    pair = Overview.of(layers(estimate, reference), area, panel_inches(3, 10.8))
    if not pair.known.any():
        raise NoValueError("expected cells that both have, found none in common")
    both, gap = pair.values.values, pair.values[0] - pair.values[1]
    scale = Scale.of_flux(both, limit)
    change = Scale.of_change(gap.values, f"difference ({style.UNITS_TEXT})")
    fields = (pair[0], pair[1], Overview(gap, pair.area[0], pair.grid))
    names = (*labels, f"{labels[0]} − {labels[1]}")
    with house_style():
        view = pair.view(projection)
        title = title or f"{labels[0]} and {labels[1]}"
        fig, axes = map_grid(view, names, 3, 10.8, title, subtitle or period, note)
        meshes = []
        for ax, field, its_scale in zip(axes, fields, (scale, scale, change), strict=True):
            meshes.append(draw_cells(ax, view, field, its_scale))
            corner_text(ax, view, field, days, size=7.0)
        bottom, thick = 0.46 / fig.get_figheight(), 0.12 / fig.get_figheight()
        scale.bar(fig, meshes[0], both, (0.12, bottom, 0.42, thick))
        last = axes[2].get_position()
        rect = (last.x0 + 0.02, bottom, last.width - 0.04, thick)
        change.bar(fig, meshes[2], gap.values, rect)
    return fig


def _common(estimate: xr.DataArray, reference: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    fields = (estimate, reference)
    if all("time" in f.coords for f in fields):
        months = np.intersect1d(estimate["time"].values, reference["time"].values)
        if months.size == 0:
            raise NarcfError(
                f"expected months in common, found {period_text(estimate)} and "
                f"{period_text(reference)}"
            )
        if any("time" in f.dims for f in fields):
            along = (f if "time" in f.dims else f.expand_dims("time") for f in fields)
            estimate, reference = (f.sel(time=months) for f in along)
    elif any("time" in f.dims for f in fields):
        raise NarcfError(
            "expected months in both, or a mean in both, found one along time and one without"
        )
    both = estimate.notnull() & reference.notnull()
    return estimate.where(both), reference.where(both)
