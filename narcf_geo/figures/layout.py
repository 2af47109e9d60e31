"""What all figures share: style, heading with its note, colour bars, the text in a corner."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.figures import style
from narcf_geo.figures.totals import summarise
from narcf_geo.grid import Grid

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from narcf_geo.figures.basemap import View


def house_style() -> AbstractContextManager[None]:
    """Return the context in which a figure is built in the house style."""
    import matplotlib

    return matplotlib.rc_context(style.RC)


def synthetic_note(data: xr.DataArray, synthetic: str | None) -> str:
    """Return what a figure must say of synthetic data, or an empty text for real data."""
    kind = synthetic if synthetic is not None else str(data.attrs.get("synthetic", ""))
    return style.synthetic_text(kind)


def headed_figure(
    width: float, height: float, title: str, subtitle: str, note: str
) -> tuple[Figure, float]:
    """Return a figure with its heading, and the figure fraction where the content may begin."""
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height))
    heading(fig, title, subtitle, note)
    return fig, 1 - 0.62 / height


def heading(fig: Figure, title: str, subtitle: str, note: str) -> None:
    """Write the title, the subtitle and the note on synthetic data at the top of a figure."""
    width, height = fig.get_size_inches()
    left, right = 0.2 / width, 1 - 0.22 / width
    room = right - left
    if note:
        box = fig.text(
            right,
            1 - 0.2 / height,
            note,
            va="top",
            ha="right",
            fontsize=8.5,
            fontweight="bold",
            color="#5c4800",
            bbox={
                "boxstyle": "round,pad=0.35",
                "facecolor": style.SYNTHETIC_FACE,
                "edgecolor": style.SYNTHETIC_EDGE,
                "linewidth": 0.8,
            },
        )
        room -= _share(fig, box) + 0.2 / width
    text = fig.text(left, 1 - 0.16 / height, title, va="top", fontsize=12.5, fontweight="bold")
    text.set_fontsize(12.5 * min(1.0, room / _share(fig, text)))
    if subtitle:
        text = fig.text(left, 1 - 0.41 / height, subtitle, va="top", fontsize=9, color=style.MUTED)
        text.set_fontsize(9 * min(1.0, (right - left) / _share(fig, text)))


def flux_bar(
    fig: Figure,
    mesh: QuadMesh,
    rect: tuple[float, float, float, float],
    values: np.ndarray,
    limit: float,
    label: str = f"net CO₂ flux ({style.UNITS_TEXT})",
    ends: tuple[str, str] = ("← uptake", "release →"),
    colors: tuple[str, str] = (style.UPTAKE, style.RELEASE),
) -> None:
    """Draw a horizontal colour bar at `rect`, with the two directions at its ends."""
    beyond = (bool(np.nanmin(values) < -limit), bool(np.nanmax(values) > limit))
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max"}
    cax = fig.add_axes(rect)
    bar = fig.colorbar(
        mesh, cax=cax, orientation="horizontal", extend=extend.get(beyond, "both"), extendfrac=0.04
    )
    bar.outline.set_linewidth(0.5)
    ticks = [-limit, -limit / 2, 0.0, limit / 2, limit]
    labels = [f"{tick:+g}".replace("-", "−") if tick else "0" for tick in ticks]
    bar.set_ticks(ticks, labels=labels)
    bar.ax.tick_params(length=2.5, width=0.5)
    bar.set_label(label, fontsize=8.5, labelpad=2)
    for x, text, align, color in (
        (0, ends[0], "left", colors[0]),
        (1, ends[1], "right", colors[1]),
    ):
        cax.text(
            x,
            1.25,
            text,
            transform=cax.transAxes,
            ha=align,
            va="bottom",
            fontsize=8,
            color=color,
            fontweight="bold",
        )


def plain_bar(fig: Figure, mesh: QuadMesh, total: float, label: str, extend: str) -> None:
    """Draw the colour bar of what has no sign, under a map in a figure `total` inches high."""
    cax = fig.add_axes((0.25, 0.46 / total, 0.5, 0.13 / total))
    bar = fig.colorbar(mesh, cax=cax, orientation="horizontal", extend=extend, extendfrac=0.04)
    bar.outline.set_linewidth(0.5)
    bar.ax.tick_params(length=2.5, width=0.5)
    bar.set_label(label, fontsize=8.5, labelpad=2)


def corner_text(
    ax: GeoAxes,
    view: View,
    field: xr.DataArray,
    area: xr.DataArray | None,
    days: float,
    size: float = 8.0,
) -> None:
    """Write mean and total into the corner of the map that hides the fewest cells."""
    mean, total = summarise(field, area, days).lines()
    write_in_corner(ax, view, field, f"mean {mean}\ntotal {total}", size)


def write_in_corner(
    ax: GeoAxes, view: View, field: xr.DataArray, text: str, size: float = 8.0
) -> None:
    """Write into the corner of the map that hides the fewest cells with a value."""
    lon, lat = Grid.from_dataset(field).centers()
    known = field.notnull().values
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


def _share(fig: Figure, text: Text) -> float:
    """Return the width of a text as a fraction of the width of the figure."""
    return text.get_window_extent().width / fig.bbox.width
