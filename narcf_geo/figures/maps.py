"""Maps of flux and biomes; each returns a matplotlib Figure and draws without a network.

Fluxes are umol m-2 s-1, positive to the atmosphere. The colour scale is symmetric about zero. The
corner of a map gives the area-weighted mean and the total over the cells drawn.
"""

from __future__ import annotations

import calendar
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
    synthetic_note,
)
from narcf_geo.figures.totals import cell_area, days_of, mean_over_months, period_text, summarise
from narcf_geo.grid import Grid
from narcf_geo.months import days_in_month

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

    from narcf_geo.figures.basemap import View


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
    note = synthetic_note(flux, synthetic)
    period = period_text(flux)
    field = mean_over_months(flux) if "time" in flux.dims else flux
    field, days = field.transpose("lat", "lon"), days_of(flux)
    limit = limit or style.flux_limit(field.values)
    with house_style():
        view = fitted_view(field, projection)
        width = 7.2
        height = min(width * 0.94 * view.aspect, 8.0)
        fig, _ = headed_figure(width, height + 1.55, title, subtitle or period, note)
        total = fig.get_figheight()
        ax = view.axes(fig, (0.03, 0.86 / total, 0.94, height / total))
        mesh = draw_cells(ax, view, field, limit)
        corner_text(ax, view, field, area, days)
        flux_bar(fig, mesh, (0.2, 0.46 / total, 0.6, 0.13 / total), field.values, limit)
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
    note = synthetic_note(flux, synthetic)
    years = np.unique(flux["time"].dt.year.values)
    flux = flux.transpose("time", "lat", "lon")
    months = {int(number): group for number, group in flux.groupby("time.month")}
    fields = {number: mean_over_months(group) for number, group in months.items()}
    values = np.stack([field.values for field in fields.values()])
    limit = limit or style.flux_limit(values)
    if subtitle is None:
        subtitle = period_text(flux) + (", mean over the years" if len(years) > 1 else "")
        subtitle += f"; above each map: area-weighted mean ({style.UNITS_TEXT}) and monthly total"
    area = cell_area(flux, area)
    with house_style():
        view = fitted_view(flux, projection)
        width, columns, rows, gap = 9.6, 4, 3, 0.08
        panel = (width - 0.3 - gap * (columns - 1)) / columns
        tall = panel * view.aspect
        fig, top = headed_figure(width, rows * (tall + 0.24) + 1.45, title, subtitle, note)
        total = fig.get_figheight()
        meshes = []
        for month, name in enumerate(calendar.month_name[1:], start=1):
            row, column = divmod(month - 1, columns)
            left = (0.15 + column * (panel + gap)) / width
            bottom = top - (row + 1) * (tall + 0.24) / total
            ax = view.axes(fig, (left, bottom, panel / width, tall / total))
            ax.set_title(name, fontsize=9, pad=3, loc="left", fontweight="bold")
            if month in fields:
                meshes.append(draw_cells(ax, view, fields[month], limit))
                days = float(days_in_month(months[month]["time"]).mean())
                summary = summarise(fields[month], area, days)
                text = f"mean {style.signed(summary.mean)}, {style.signed(summary.total)} TgC"
                ax.set_title(text, fontsize=6.8, pad=3, loc="right")
            else:
                ax.text(0.5, 0.5, "no data", transform=ax.transAxes, ha="center", color=style.MUTED)
        flux_bar(fig, meshes[0], (0.27, 0.46 / total, 0.46, 0.13 / total), values, limit)
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
    estimate, reference = _common(estimate, reference)
    period, days = period_text(estimate), days_of(estimate)
    if "time" in estimate.dims:
        estimate, reference = mean_over_months(estimate), mean_over_months(reference)
    fields = [f.transpose("lat", "lon") for f in (estimate, reference, estimate - reference)]
    limit = limit or style.flux_limit(np.stack([f.values for f in fields[:2]]))
    spread = style.flux_limit(fields[2].values)
    names = (*labels, f"{labels[0]} − {labels[1]}")
    with house_style():
        view = fitted_view(fields[0], projection)
        width, gap = 10.8, 0.12
        panel = (width - 0.3 - 2 * gap) / 3
        tall = panel * view.aspect
        title = title or f"{labels[0]} and {labels[1]}"
        fig, _ = headed_figure(width, tall + 1.75, title, subtitle or period, note)
        total = fig.get_figheight()
        area = cell_area(fields[0], area)
        meshes = []
        for column, (field, name) in enumerate(zip(fields, names, strict=True)):
            left = (0.15 + column * (panel + gap)) / width
            ax = view.axes(fig, (left, 0.8 / total, panel / width, tall / total))
            ax.set_title(name, fontsize=9.5, pad=4, loc="left", fontweight="bold")
            if column < 2:
                meshes.append(draw_cells(ax, view, field, limit))
            else:
                meshes.append(draw_cells(ax, view, field, spread, style.DIFFERENCE_CMAP))
            corner_text(ax, view, field, area, days, size=7.0)
        bottom, thick = 0.47 / total, 0.12 / total
        both = np.stack([f.values for f in fields[:2]])
        flux_bar(fig, meshes[0], (0.12, bottom, 0.42, thick), both, limit)
        right = (0.15 + 2 * (panel + gap)) / width
        flux_bar(
            fig,
            meshes[2],
            (right + 0.02, bottom, panel / width - 0.04, thick),
            fields[2].values,
            spread,
            f"difference ({style.UNITS_TEXT})",
            ("← more uptake", "more release →"),
            ("#542788", "#b35806"),
        )
    return fig


def biome_map(
    biome: xr.DataArray,
    *,
    title: str = "Biomes",
    subtitle: str = "Majority IGBP land cover class of each cell",
    projection: str = "auto",
    synthetic: str | None = None,
) -> Figure:
    """Map the IGBP classes that are present, with their share of the land in the legend.

    Parameters
    ----------
    biome : xarray.DataArray
        (lat, lon), class 0-17; negative or NaN is missing. Water (0) is drawn as sea.
    title, subtitle, projection, synthetic
        As for `flux_map`.
    """
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.patches import Patch

    biome = biome.transpose("lat", "lon").where(lambda b: b > 0)
    with house_style():
        view = fitted_view(biome, projection)
        present = [int(n) for n in np.unique(biome.values[np.isfinite(biome.values)])]
        width, legend = 9.6, 3.35
        wide = width - legend - 0.25
        tall = wide * view.aspect
        note = synthetic_note(biome, synthetic)
        fig, top = headed_figure(width, tall + 0.85, title, subtitle, note)
        total = fig.get_figheight()
        ax = view.axes(fig, (0.2 / width, 0.15 / total, wide / width, tall / total))
        colors = ListedColormap([cls.color for cls in IGBP])
        norm = BoundaryNorm(np.arange(len(IGBP) + 1) - 0.5, len(IGBP))
        x, y = view.project(*Grid.from_dataset(biome).corners())
        ax.pcolormesh(x, y, _masked(biome), cmap=colors, norm=norm, rasterized=True, zorder=2)
        _name_patches(ax, view, biome, present)
        area = cell_area(biome)
        share = [float(area.where(biome == n).sum()) for n in present]
        handles = [
            Patch(
                facecolor=IGBP[n].color,
                edgecolor=style.MUTED,
                linewidth=0.5,
                label=f"{IGBP[n].code}  {IGBP[n].name}, {_percent(s / sum(share))}",
            )
            for n, s in zip(present, share, strict=True)
        ]
        fig.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=((0.3 + wide) / width, top),
            title="IGBP class, share of the land",
            title_fontproperties={"weight": "bold", "size": 8.5},
            alignment="left",
            fontsize=8,
            labelspacing=0.55,
            handlelength=1.4,
            borderaxespad=0,
        )
    return fig


def fitted_view(field: xr.DataArray, projection: str = "auto") -> View:
    """Return the view of all cells of a field that have a value, at any time."""
    from narcf_geo.figures.basemap import View

    known = field.notnull()
    if "time" in known.dims:
        known = known.any("time")
    return View.of(Grid.from_dataset(field), known.values, projection)


def draw_cells(
    ax: GeoAxes,
    view: View,
    field: xr.DataArray,
    limit: float,
    cmap: str = style.FLUX_CMAP,
    low: float | None = None,
) -> QuadMesh:
    """Draw the cells from -`limit`, or `low`, to `limit`."""
    x, y = view.project(*Grid.from_dataset(field).corners())
    return ax.pcolormesh(
        x,
        y,
        _masked(field),
        cmap=cmap,
        vmin=-limit if low is None else low,
        vmax=limit,
        rasterized=True,
        zorder=2,
    )


def _masked(field: xr.DataArray) -> np.ma.MaskedArray:
    return np.ma.masked_invalid(field.values)


def _common(estimate: xr.DataArray, reference: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    if not Grid.from_dataset(estimate) == Grid.from_dataset(reference):
        raise NarcfError(
            "expected estimate and reference on the same grid, found "
            f"{dict(estimate.sizes)} and {dict(reference.sizes)} cells; regrid one to the other"
        )
    with xr.set_options(keep_attrs=True):
        if "time" in estimate.dims and "time" in reference.dims:
            months = np.intersect1d(estimate["time"].values, reference["time"].values)
            if months.size == 0:
                raise NarcfError(
                    f"expected months in common, found {period_text(estimate)} and "
                    f"{period_text(reference)}"
                )
            estimate, reference = estimate.sel(time=months), reference.sel(time=months)
        both = estimate.notnull() & reference.notnull()
        if not bool(both.any()):
            raise NarcfError("expected cells that both have, found none in common")
        return estimate.where(both), reference.where(both)


def _name_patches(ax: GeoAxes, view: View, biome: xr.DataArray, present: list[int]) -> None:
    """Write each class's code in the middle of its largest patch: some colours are close."""
    from matplotlib.patheffects import withStroke
    from scipy import ndimage

    lon, lat = np.meshgrid(biome["lon"].values, biome["lat"].values)
    for number in present:
        patches, _ = ndimage.label(biome.values == number)
        sizes = np.bincount(patches.ravel())[1:]
        if sizes.max() < 25:
            continue
        depth = ndimage.distance_transform_edt(np.pad(patches == sizes.argmax() + 1, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(depth.argmax(), depth.shape)
        x, y = view.project(lon[row, column : column + 1], lat[row, column : column + 1])
        ax.text(
            x[0],
            y[0],
            IGBP[number].code,
            ha="center",
            va="center",
            fontsize=7,
            fontweight="bold",
            zorder=6,
            path_effects=[withStroke(linewidth=1.8, foreground="white")],
        )


def _percent(share: float) -> str:
    return "< 0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"
