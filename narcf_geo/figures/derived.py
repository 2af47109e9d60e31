"""Maps of what is derived from monthly fluxes: seasons, trend, variability, class fractions.

Each returns a matplotlib Figure; `animation` returns the frames of a moving one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.constants import IGBP
from narcf_geo.errors import NarcfError
from narcf_geo.figures import style
from narcf_geo.figures.layout import (
    corner_text,
    flux_bar,
    headed_figure,
    house_style,
    plain_bar,
    synthetic_note,
)
from narcf_geo.figures.maps import draw_cells, fitted_view, flux_map
from narcf_geo.figures.totals import days_of, mean_over_months, period_text
from narcf_geo.months import days_in_month

if TYPE_CHECKING:
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

_SEASONS = {
    "December – February": (12, 1, 2),
    "March – May": (3, 4, 5),
    "June – August": (6, 7, 8),
    "September – November": (9, 10, 11),
}


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
        As for `maps.flux_map`. The totals are rates per year.

    Raises
    ------
    NarcfError
        When a season has no month.
    """
    number = flux["time"].dt.month
    fields = {}
    for name, months in _SEASONS.items():
        part = flux[number.isin(months).values]
        if part.sizes["time"] == 0:
            raise NarcfError(f"expected months of {name}, found {period_text(flux)} only")
        fields[name] = mean_over_months(part).transpose("lat", "lon")
    values = np.stack([field.values for field in fields.values()])
    limit = limit or style.flux_limit(values)
    with house_style():
        view = fitted_view(flux, projection)
        width, gap = 9.0, 0.1
        panel = (width - 0.3 - gap) / 2
        tall = panel * view.aspect
        text = period_text(flux) if subtitle is None else subtitle
        note = synthetic_note(flux, synthetic)
        fig, top = headed_figure(width, 2 * (tall + 0.3) + 1.45, title, text, note)
        total = fig.get_figheight()
        mesh: QuadMesh
        for place, (name, field) in enumerate(fields.items()):
            row, column = divmod(place, 2)
            left = (0.15 + column * (panel + gap)) / width
            bottom = top - (row + 1) * (tall + 0.3) / total
            ax = view.axes(fig, (left, bottom, panel / width, tall / total))
            ax.set_title(name, fontsize=9.5, pad=4, loc="left", fontweight="bold")
            mesh = draw_cells(ax, view, field, limit)
            corner_text(ax, view, field, area, days_of(flux), size=7.0)
        flux_bar(fig, mesh, (0.25, 0.46 / total, 0.5, 0.13 / total), values, limit)
    return fig


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
    means = annual_means(flux, 3).astype(float)
    year = means["year"] - means["year"].mean()
    trend = 10 * (means * year).sum("year", skipna=False) / (year**2).sum()
    span = f"annual means of {int(means['year'][0])}–{int(means['year'][-1])}, least squares"
    return _single(
        trend,
        title,
        span if subtitle is None else subtitle,
        synthetic_note(flux, synthetic),
        limit or style.flux_limit(trend.values),
        projection,
        label=f"trend ({style.UNITS_TEXT} per decade)",
        ends=("← more uptake", "more release →"),
        cmap=style.DIFFERENCE_CMAP,
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
    means = annual_means(flux, 3)
    spread = means.astype(float).std("year", ddof=1, skipna=False)
    span = f"standard deviation of the annual means of {int(means['year'][0])}–"
    span += str(int(means["year"][-1]))
    return _single(
        spread,
        title,
        span if subtitle is None else subtitle,
        synthetic_note(flux, synthetic),
        limit or style.flux_limit(spread.values),
        projection,
        label=f"standard deviation ({style.UNITS_TEXT})",
        cmap=style.SPREAD_CMAP,
        low=0.0,
    )


def fraction_panel(
    class_fraction: xr.DataArray,
    *,
    classes: Sequence[int] | None = None,
    title: str = "Land cover fractions",
    subtitle: str = "Share of each cell in the IGBP classes that cover most",
    projection: str = "auto",
    synthetic: str | None = None,
) -> Figure:
    """Map the fraction of each cell in up to twelve classes.

    Parameters
    ----------
    class_fraction : xarray.DataArray
        (igbp_class, lat, lon), 0 to 1. Cells that are all water are left blank.
    classes : sequence of int, optional
        By default the nine land classes that cover most cells.
    title, subtitle, projection, synthetic
        As for `maps.flux_map`.

    Raises
    ------
    NarcfError
        When no class is there, or more than twelve are asked for.
    """
    land = class_fraction.sel(igbp_class=class_fraction["igbp_class"] > 0)
    dry = land.sum("igbp_class") > 0
    cover = land.sum(["lat", "lon"]).to_series().sort_values(ascending=False)
    if classes is None:
        classes = [int(n) for n in cover[cover > 0].index[:9]]
    if not 1 <= len(classes) <= 12:
        raise NarcfError(f"expected 1 to 12 classes to draw, found {len(classes)}")
    with house_style():
        view = fitted_view(xr.where(dry, 1.0, np.nan), projection)
        columns = min(3, len(classes))
        rows = -(-len(classes) // columns)
        width, gap = 9.6, 0.08
        panel = (width - 0.3 - gap * (columns - 1)) / columns
        tall = panel * view.aspect
        note = synthetic_note(class_fraction, synthetic)
        fig, top = headed_figure(width, rows * (tall + 0.26) + 1.3, title, subtitle, note)
        total = fig.get_figheight()
        mesh: QuadMesh
        for place, number in enumerate(classes):
            row, column = divmod(place, columns)
            left = (0.15 + column * (panel + gap)) / width
            bottom = top - (row + 1) * (tall + 0.26) / total
            ax = view.axes(fig, (left, bottom, panel / width, tall / total))
            ax.set_title(IGBP[number].name, fontsize=8.5, pad=3, loc="left", fontweight="bold")
            field = class_fraction.sel(igbp_class=number).where(dry)
            mesh = draw_cells(ax, view, field, 1.0, style.FRACTION_CMAP, low=0.0)
        plain_bar(fig, mesh, total, "fraction of the cell", "neither")
    return fig


def animation(
    flux: xr.DataArray,
    *,
    title: str = "Net CO₂ flux",
    area: xr.DataArray | None = None,
    limit: float | None = None,
    projection: str = "auto",
    synthetic: str | None = None,
) -> Iterator[Figure]:
    """Yield a map a month, all on one colour scale; see `style.save_frames`.

    Parameters
    ----------
    flux : xarray.DataArray
        (time, lat, lon), umol m-2 s-1.
    title, area, limit, projection, synthetic
        As for `maps.flux_map`.
    """
    limit = limit or style.flux_limit(flux.values)
    note = synthetic if synthetic is not None else str(flux.attrs.get("synthetic", ""))
    for month in flux.transpose("time", "lat", "lon"):
        yield flux_map(
            month, title=title, area=area, limit=limit, projection=projection, synthetic=note
        )


def _single(
    field: xr.DataArray,
    title: str,
    subtitle: str,
    note: str,
    limit: float,
    projection: str,
    *,
    label: str,
    cmap: str,
    ends: tuple[str, str] = ("", ""),
    low: float | None = None,
) -> Figure:
    field = field.transpose("lat", "lon")
    with house_style():
        view = fitted_view(field, projection)
        width = 7.2
        height = min(width * 0.94 * view.aspect, 8.0)
        fig, _ = headed_figure(width, height + 1.55, title, subtitle, note)
        total = fig.get_figheight()
        ax = view.axes(fig, (0.03, 0.86 / total, 0.94, height / total))
        mesh = draw_cells(ax, view, field, limit, cmap, low)
        if low is None:
            rect = (0.2, 0.46 / total, 0.6, 0.13 / total)
            colors = ("#542788", "#b35806")
            flux_bar(fig, mesh, rect, field.values, limit, label, ends, colors)
        else:
            over = bool(np.nanmax(field.values) > limit)
            plain_bar(fig, mesh, total, label, "max" if over else "neither")
    return fig
