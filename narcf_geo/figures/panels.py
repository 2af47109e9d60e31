"""What all map figures are made of: one map with its bar, or several on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.budget.totals import grid_area, summarise
from narcf_geo.core.errors import FieldError
from narcf_geo.fields import area_field, flux_field, on_one_grid
from narcf_geo.figures.layout import Scale, headed_figure
from narcf_geo.figures.overview import Overview
from narcf_geo.figures.style import summary_lines

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

    from narcf_geo.figures.basemap import View


_GAP = 0.1
"""Inches between maps."""


def drawable(
    flux: xr.DataArray, area: xr.DataArray | None = None
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return a flux past the door, and the areas of its cells, m2, 0 where there is none.

    Raises
    ------
    FieldError
        When the cells are not along latitudes and longitudes, and as `flux_field`.
    """
    flux = flux_field(flux)
    if flux["lat"].ndim != 1:
        raise FieldError(
            "expected a flux on a grid of latitudes and longitudes to draw, found a curvilinear "
            "grid; regrid it first, with ng.regrid or `narcf-geo regrid`"
        )
    if area is None:
        return flux, grid_area(flux)
    return flux, on_one_grid(flux, area_field(area))[1].fillna(0.0)


SINGLE_INCHES = 0.94 * 7.2
"""Width of a map that stands alone."""


def layers(*fields: xr.DataArray) -> xr.DataArray:
    """Return fields (lat, lon) along a first dimension, to be read together."""
    plain = [field.reset_coords(drop=True).transpose("lat", "lon") for field in fields]
    return xr.concat(plain, "layer", coords="minimal", compat="override", join="exact")


def panel_inches(columns: int, width: float) -> float:
    """Return the width of a map of `map_grid`."""
    return (width - 0.3 - _GAP * (columns - 1)) / columns


def single_map(
    view: View, shown: Overview, scale: Scale, title: str, subtitle: str, note: str
) -> tuple[Figure, GeoAxes]:
    """Return a figure of one map of a field (lat, lon) with its bar, and the axes of the map."""
    width = 7.2
    height = min(SINGLE_INCHES * view.aspect, 8.0)
    fig, _ = headed_figure(width, height + 1.55, title, subtitle, note)
    total = fig.get_figheight()
    ax = view.axes(fig, (0.03, 0.86 / total, 0.94, height / total))
    mesh = draw_cells(ax, view, shown, scale)
    scale.bar(fig, mesh, shown.values.values, (0.2, 0.46 / total, 0.6, 0.13 / total))
    return fig, ax


def map_grid(
    view: View,
    names: Sequence[str],
    columns: int,
    width: float,
    title: str,
    subtitle: str,
    note: str,
    size: float = 9.5,
) -> tuple[Figure, list[GeoAxes]]:
    """Return a figure with a map for each name, row by row and still empty, room for a bar below.

    The bar goes to 0.46 inches above the lower edge.
    """
    rows, gap, head = -(-len(names) // columns), _GAP, 0.28
    panel = panel_inches(columns, width)
    tall = panel * view.aspect
    fig, top = headed_figure(width, rows * (tall + head) + 1.48, title, subtitle, note)
    total = fig.get_figheight()
    axes = []
    for place, name in enumerate(names):
        row, column = divmod(place, columns)
        left = (0.15 + column * (panel + gap)) / width
        bottom = top - (row + 1) * (tall + head) / total
        ax = view.axes(fig, (left, bottom, panel / width, tall / total))
        ax.set_title(name, fontsize=size, pad=3, loc="left", fontweight="bold")
        axes.append(ax)
    return fig, axes


def draw_cells(ax: GeoAxes, view: View, shown: Overview, scale: Scale) -> QuadMesh:
    """Draw the cells of a field (lat, lon)."""
    x, y = view.project(*shown.grid.corners())
    return ax.pcolormesh(
        x,
        y,
        np.ma.masked_invalid(shown.values.values),
        cmap=scale.cmap,
        vmin=scale.low,
        vmax=scale.limit,
        rasterized=True,
        zorder=2,
    )


def corner_text(
    ax: GeoAxes,
    view: View,
    shown: Overview,
    days: float,
    size: float = 8.0,
) -> None:
    """Write mean and total into the corner of the map that hides the fewest cells."""
    mean, total = summary_lines(summarise(shown.values, shown.area, days))
    write_in_corner(ax, view, shown, f"mean {mean}\ntotal {total}", size)


def write_in_corner(ax: GeoAxes, view: View, shown: Overview, text: str, size: float = 8.0) -> None:
    """Write into the corner of the map that hides the fewest cells with a value."""
    lon, lat = shown.grid.centers()
    known = shown.known
    x, y = view.project(lon[known], lat[known])
    left, right, bottom, top = view.window
    x, y = (x - left) / (right - left), (y - bottom) / (top - bottom)
    corners = [(0, 0), (1, 0), (0, 1), (1, 1)]
    hidden = [int(((abs(x - i) < 0.3) & (abs(y - j) < 0.14)).sum()) for i, j in corners]
    i, j = corners[int(np.argmin(hidden))]
    ax.text(
        0.02 + 0.96 * i,
        0.025 + 0.95 * j,
        text,
        transform=ax.transAxes,
        ha="right" if i else "left",
        va="top" if j else "bottom",
        fontsize=size,
        linespacing=1.35,
        zorder=6,
        bbox={
            "boxstyle": "round,pad=0.3",
            "facecolor": "white",
            "edgecolor": "none",
            "alpha": 0.85,
        },
    )
