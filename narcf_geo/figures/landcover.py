"""Maps of biomes and of class fractions; each returns a matplotlib Figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.budget.totals import grid_area
from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import NarcfError
from narcf_geo.fields import class_field, in_house_order
from narcf_geo.figures import style
from narcf_geo.figures.layout import Scale, headed_figure, house_style, synthetic_note
from narcf_geo.figures.overview import Overview
from narcf_geo.figures.panels import draw_cells, map_grid, panel_inches

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.figure import Figure

    from narcf_geo.figures.basemap import View


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
        As for `maps.flux_map`.
    """
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.patches import Patch

    note = synthetic_note(biome, synthetic)
    classes = class_field(biome).transpose("lat", "lon")
    area = grid_area(classes)
    present = [int(n) for n in np.unique(classes.values) if n > 0]
    share = [float(area.where(classes == n).sum()) for n in present]
    width, legend = 9.6, 3.35
    wide = width - legend - 0.25
    shown = Overview.of_classes(classes.where(classes > 0, -1), area, wide)
    with house_style():
        view = shown.view(projection)
        tall = wide * view.aspect
        fig, top = headed_figure(width, tall + 1.0, title, subtitle, note)
        total = fig.get_figheight()
        ax = view.axes(fig, (0.2 / width, 0.3 / total, wide / width, tall / total))
        colors = ListedColormap([cls.color for cls in IGBP])
        norm = BoundaryNorm(np.arange(len(IGBP) + 1) - 0.5, len(IGBP))
        x, y = view.project(*shown.grid.corners())
        ax.pcolormesh(
            x,
            y,
            np.ma.masked_invalid(shown.values.values),
            cmap=colors,
            norm=norm,
            rasterized=True,
            zorder=2,
        )
        _name_patches(ax, view, shown.values, present)
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
    class_fraction = in_house_order(class_fraction)
    land = class_fraction.sel(igbp_class=class_fraction["igbp_class"] > 0)
    dry = land.sum("igbp_class") > 0
    area = grid_area(class_fraction)
    cover = land.sum(["lat", "lon"]).to_series().sort_values(ascending=False)
    if classes is None:
        there = [int(n) for n in cover[cover > 0].index]
        classes, rest = there[:9], there[9:]
        if rest:
            codes = ", ".join(IGBP[number].code for number in rest)
            left = float(cover[rest].sum() / cover.sum())
            subtitle += f"; not shown: {codes}, {_percent(left)} of the land together"
    if not 1 <= len(classes) <= 12:
        raise NarcfError(f"expected 1 to 12 classes to draw, found {len(classes)}")
    scale = Scale.of_amount(cover.values, "fraction of the cell", 1.0, style.FRACTION_CMAP)
    columns = min(3, len(classes))
    drawn = class_fraction.sel(igbp_class=list(classes)).where(dry)
    shown = Overview.of(drawn, area, panel_inches(columns, 9.6))
    with house_style():
        view = shown.view(projection)
        titles = [IGBP[number].name for number in classes]
        note = synthetic_note(class_fraction, synthetic)
        fig, axes = map_grid(view, titles, columns, 9.6, title, subtitle, note, size=8.5)
        for layer, ax in enumerate(axes):
            mesh = draw_cells(ax, view, shown[layer], scale)
        total = fig.get_figheight()
        scale.bar(fig, mesh, shown.values.values[-1], (0.25, 0.46 / total, 0.5, 0.13 / total))
    return fig


def _name_patches(ax: GeoAxes, view: View, biome: xr.DataArray, present: list[int]) -> None:
    """Write each class's code in the middle of its largest patch: some colours are close."""
    from matplotlib.patheffects import withStroke
    from scipy import ndimage

    lon, lat = np.meshgrid(biome["lon"].values, biome["lat"].values)
    for number in present:
        patches, _ = ndimage.label(biome.values == number)
        sizes = np.bincount(patches.ravel())[1:]
        if sizes.max(initial=0) < 25:
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
