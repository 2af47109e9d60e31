"""What all figures share: style, heading with its note, scale of colours with its bar."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.figures import style

if TYPE_CHECKING:
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure
    from matplotlib.text import Text


_SIZE = 12.5
"""Points of a title."""

_LINE = 0.21
"""Inches of a line of it."""


def house_style() -> AbstractContextManager[None]:
    """Return the context in which a figure is built in the house style."""
    import matplotlib

    return matplotlib.rc_context(style.RC)


def blank_figure(width: float, height: float) -> Figure:
    """Return an empty figure, inches, that a notebook shows without pyplot."""
    figure: Figure = _figure_class()(figsize=(width, height))
    return figure


@cache
def _figure_class() -> type[Figure]:
    from matplotlib.figure import Figure

    class NotebookFigure(Figure):
        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=110)
            return buffer.getvalue()

    return NotebookFigure


def few(series: Mapping[str, object]) -> None:
    """Raise NarcfError unless there are 1 to 5 series, which a reader can tell apart."""
    if not 1 <= len(series) <= len(style.SERIES):
        raise NarcfError(
            f"expected 1 to {len(style.SERIES)} series to tell apart, found {len(series)}"
        )


def synthetic_note(data: xr.DataArray, synthetic: str | None) -> str:
    """Return what a figure must say of synthetic data, or an empty text for real data."""
    kind = synthetic if synthetic is not None else str(data.attrs.get("synthetic", ""))
    return style.synthetic_text(kind)


def headed_figure(
    width: float, height: float, title: str, subtitle: str, note: str
) -> tuple[Figure, float]:
    """Return a figure of maps with its heading, and the figure fraction where they may begin.

    It is higher than `height` where the title takes more than a line.
    """
    fig = blank_figure(width, height)
    title = _wrapped(fig, title, note)
    head = 0.62 + title.count("\n") * _LINE
    fig.set_size_inches(width, height + head - 0.62)
    heading(fig, title, subtitle, note)
    height = fig.get_figheight()
    note = "grey: land without a value"
    fig.text(0.2 / width, 0.1 / height, note, fontsize=7.5, color=style.MUTED)
    return fig, 1 - head / height


def heading(fig: Figure, title: str, subtitle: str, note: str) -> None:
    """Write the title, the subtitle and the note on synthetic data at the top of a figure.

    A title too long for a line becomes two small ones in the same place.
    """
    width, height = fig.get_size_inches()
    left, right = 0.2 / width, 1 - 0.22 / width
    room = right - left
    if note:
        room -= _share(fig, _boxed(fig, note)) + 0.2 / width
    lines = title.count("\n")
    text = fig.text(left, 1 - 0.16 / height, title, va="top", fontsize=_SIZE, fontweight="bold")
    if not lines and _share(fig, text) > room / 0.7:
        text.set_text(fill(title, len(title) // 2 + 5))
        text.set_y(1 - 0.1 / height)
        text.set_fontsize(0.7 * _SIZE)
    size = text.get_fontsize()
    text.set_fontsize(size * min(1.0, room / _share(fig, text)))
    if subtitle:
        top = 1 - (0.41 + lines * _LINE) / height
        text = fig.text(left, top, subtitle, va="top", fontsize=9, color=style.MUTED)
        text.set_fontsize(9 * min(1.0, (right - left) / _share(fig, text)))


def _wrapped(fig: Figure, title: str, note: str) -> str:
    """Return a title in as many lines as it needs beside the note."""
    room = 1 - 0.42 / fig.get_figwidth()
    texts = [fig.text(0, 0, title, fontsize=_SIZE, fontweight="bold")]
    if note:
        texts.append(_boxed(fig, note))
        room -= _share(fig, texts[1]) + 0.2 / fig.get_figwidth()
    share = _share(fig, texts[0])
    for text in texts:
        text.remove()
    # A little smaller is better than a second line.
    return title if share <= room / 0.8 else fill(title, max(12, int(len(title) * room / share)))


def _boxed(fig: Figure, note: str) -> Text:
    """Write the note on synthetic data into the upper right corner."""
    width, height = fig.get_size_inches()
    return fig.text(
        1 - 0.22 / width,
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


@dataclass(frozen=True)
class Scale:
    """How values become colours, and what the bar says of them.

    Attributes
    ----------
    limit : float
        Its upper end.
    label : str
        What the values are, with their unit.
    cmap : str
        A colour map of matplotlib.
    signed : bool
        From -`limit` to `limit`, or from 0.
    ends, colors : tuple of str
        What the two directions of a signed scale mean, and the colours of these words.
    """

    limit: float
    label: str = f"net CO₂ flux ({style.UNITS_TEXT})"
    cmap: str = style.FLUX_CMAP
    signed: bool = True
    ends: tuple[str, str] = ("← uptake", "release →")
    colors: tuple[str, str] = (style.UPTAKE, style.RELEASE)

    @classmethod
    def of_flux(cls, values: np.ndarray, limit: float | None = None) -> Scale:
        """Return the scale of a flux, symmetric about zero."""
        return cls(limit or style.flux_limit(values))

    @classmethod
    def of_change(cls, values: np.ndarray, label: str, limit: float | None = None) -> Scale:
        """Return the scale of a difference or a trend, in other colours than a flux."""
        ends = ("← more uptake", "more release →")
        limit = limit or style.flux_limit(values)
        return cls(limit, label, style.DIFFERENCE_CMAP, ends=ends, colors=("#542788", "#b35806"))

    @classmethod
    def of_amount(
        cls,
        values: np.ndarray,
        label: str,
        limit: float | None = None,
        cmap: str = style.SPREAD_CMAP,
    ) -> Scale:
        """Return the scale of what has no sign, from 0."""
        return cls(limit or style.flux_limit(values), label, cmap, signed=False)

    @property
    def low(self) -> float:
        """Its lower end."""
        return -self.limit if self.signed else 0.0

    def bar(
        self,
        fig: Figure,
        mesh: QuadMesh,
        values: np.ndarray,
        rect: tuple[float, float, float, float],
    ) -> None:
        """Draw the horizontal bar at `rect`, pointed at an end that some of `values` exceed."""
        beyond = (bool(np.nanmin(values) < self.low), bool(np.nanmax(values) > self.limit))
        extend = {(False, False): "neither", (True, False): "min", (False, True): "max"}
        cax = fig.add_axes(rect)
        bar = fig.colorbar(
            mesh,
            cax=cax,
            orientation="horizontal",
            extend=extend.get(beyond, "both"),
            extendfrac=0.04,
        )
        bar.outline.set_linewidth(0.5)
        bar.ax.tick_params(length=2.5, width=0.5)
        bar.set_label(self.label, fontsize=8.5, labelpad=2)
        if not self.signed:
            return
        ticks = [-self.limit, -self.limit / 2, 0.0, self.limit / 2, self.limit]
        labels = [f"{tick:+g}".replace("-", "−") if tick else "0" for tick in ticks]
        bar.set_ticks(ticks, labels=labels)
        for x, text, color in zip((0, 1), self.ends, self.colors, strict=True):
            cax.text(
                x,
                1.25,
                text,
                transform=cax.transAxes,
                ha="right" if x else "left",
                va="bottom",
                fontsize=8,
                color=color,
                fontweight="bold",
            )


def _share(fig: Figure, text: Text) -> float:
    """Return the width of a text as a fraction of the width of the figure."""
    return text.get_window_extent().width / fig.bbox.width
