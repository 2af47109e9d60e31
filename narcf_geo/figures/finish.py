"""A finished figure as a journal wants it: its width, font and colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from narcf_geo.core.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

_MM = 25.4
_LEAST_MM, _MOST_MM = 40.0, 1200.0
_TICKS = {"length": 3.5, "pad": 3.5, "width": 0.8}


@dataclass(frozen=True)
class Finish:
    """What a journal asks of a figure; None leaves it as it is.

    Attributes
    ----------
    size : float, optional
        Width in mm; text and lines are scaled with it.
    dpi : int
        Pixels to the inch of a PNG, and of the cells in a PDF or SVG.
    font : str, optional
        A family of this computer.
    cmap : str, optional
        A colour map of matplotlib for the values of the first map, and those on its scale.
    """

    size: float | None = None
    dpi: int = 200
    font: str | None = None
    cmap: str | None = None

    def __post_init__(self) -> None:
        if self.size is not None and not _LEAST_MM <= self.size <= _MOST_MM:
            raise UsageError(
                f"expected a width of {_LEAST_MM:g} to {_MOST_MM:g} mm, found {self.size:g}"
            )
        if not 50 <= self.dpi <= 1200:
            raise UsageError(f"expected 50 to 1200 pixels to the inch, found {self.dpi}")

    def apply(self, fig: Figure) -> Figure:
        """Change a figure.

        Raises
        ------
        UsageError
            When there is no such font or colour map.

        Examples
        --------
        >>> from matplotlib.figure import Figure
        >>> fig = Figure(figsize=(8, 4))
        >>> text = fig.text(0, 0, "flux", fontsize=12)
        >>> Finish(size=101.6).apply(fig).get_size_inches().tolist(), text.get_fontsize()
        ([4.0, 2.0], 6.0)
        """
        if self.cmap:
            _recolor(fig, _colormap(self.cmap))
        if self.font:
            _reletter(fig, self.font)
        if self.size:
            _rescale(fig, self.size / _MM / fig.get_figwidth())
        return fig


def _colormap(name: str) -> Colormap:
    import matplotlib

    if name not in matplotlib.colormaps:
        raise UsageError(
            f"expected the name of a colour map of matplotlib, such as RdBu_r or vik, found "
            f"{name!r}; see matplotlib.org/stable/gallery/color/colormap_reference.html"
        )
    return matplotlib.colormaps[name]


def _recolor(fig: Figure, cmap: Colormap) -> None:
    from matplotlib.collections import QuadMesh
    from matplotlib.text import Text

    from narcf_geo.figures.style import RELEASE, UPTAKE

    meshes = fig.findobj(QuadMesh)
    scaled = [mesh for mesh in meshes if mesh.colorbar]
    if not scaled:
        raise UsageError("expected a map of values for these colours, found one of classes")
    first = scaled[0].get_cmap().name
    for mesh in (m for m in meshes if m.get_cmap().name == first):
        bar = mesh.colorbar
        ticks = bar and (list(bar.get_ticks()), [t.get_text() for t in bar.ax.get_xticklabels()])
        mesh.set_cmap(cmap)
        if bar and ticks:  # a bar forgets its labels
            bar.set_ticks(ticks[0], labels=ticks[1])
    for text in fig.findobj(Text):
        for word, share in ((UPTAKE, 0.05), (RELEASE, 0.95)):
            if text.get_color() == word:
                text.set_color(cmap(share))


def _reletter(fig: Figure, family: str) -> None:
    from matplotlib.font_manager import fontManager
    from matplotlib.text import Text

    if family not in (known := set(fontManager.get_font_names())):
        some = ", ".join(sorted(known)[:8])
        raise UsageError(
            f"expected a font of this computer, such as {some}; found {family!r}; install it, or "
            "name another"
        )
    for text in fig.findobj(Text):
        text.set_fontfamily(family)


def _rescale(fig: Figure, factor: float) -> None:
    """Make all of a figure larger or smaller, which its size alone does not."""
    from matplotlib.collections import Collection
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.text import Text

    fig.set_size_inches(*(factor * fig.get_size_inches()))
    for artist in fig.findobj():
        if isinstance(artist, Text):
            artist.set_fontsize(factor * float(artist.get_fontsize()))
        elif isinstance(artist, Line2D | Patch):
            artist.set_linewidth(factor * artist.get_linewidth())
            if isinstance(artist, Line2D):
                artist.set_markersize(factor * artist.get_markersize())
        elif isinstance(artist, Collection):
            artist.set_linewidth((factor * np.asarray(artist.get_linewidth())).tolist())
    for ax in fig.axes:
        for axis in (ax.xaxis, ax.yaxis):
            said = axis.get_tick_params()
            sizes = {name: said.get(name, usual) for name, usual in _TICKS.items()}
            axis.set_tick_params(**{name: factor * size for name, size in sizes.items()})
            axis.labelpad *= factor
