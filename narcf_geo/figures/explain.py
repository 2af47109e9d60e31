"""Charts of what the estimate rests on: importance, partial dependence, correlation."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from narcf_geo.core.errors import NarcfError
from narcf_geo.figures import style
from narcf_geo.figures.layout import blank_figure, heading, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAR = "#0072b2"
_CORRELATION_CMAP = "RdBu_r"
_MOST_CURVES = 12
_MOST_NUMBERS = 16


def importance_bars(
    importance: pd.DataFrame,
    *,
    title: str = "Importance of the predictors",
    subtitle: str | None = None,
    synthetic: str = "",
) -> Figure:
    """Draw by how much the error grows when a group of predictors is shuffled.

    Parameters
    ----------
    importance : pandas.DataFrame
        By group, from `evaluate.importance.permutation_importance`: ``rmse_increase`` and
        ``rmse_increase_std``, umol m-2 s-1. The greatest is drawn on top.
    title, subtitle, synthetic : str
        As for `maps.flux_map`.

    Raises
    ------
    NarcfError
        When there is no group.
    """

    if importance.empty:
        raise NarcfError("expected the importance of at least one group, found none")
    table = importance.sort_values("rmse_increase", kind="stable")
    if subtitle is None:
        subtitle = "Growth of the error when a group is shuffled"
        if "rmse" in importance.attrs:
            subtitle += f" (unshuffled: {importance.attrs['rmse']:.3f} {style.UNITS_TEXT})"
        subtitle += "; whisker: standard deviation of the repeats"
    labels = ["\n".join(textwrap.wrap(str(name), 34)) for name in table.index]
    rows = np.array([1 + 0.55 * label.count("\n") for label in labels])
    position = np.cumsum(rows) - rows / 2
    with house_style():
        height = 1.35 + 0.33 * rows.sum()
        fig = blank_figure(7.2, height)
        heading(fig, title, subtitle, style.synthetic_text(synthetic))
        ax = fig.add_axes((0.36, 0.55 / height, 0.57, (height - 1.3) / height))
        width, spread = table["rmse_increase"].to_numpy(), table["rmse_increase_std"].to_numpy()
        ax.barh(
            position,
            width,
            height=0.62,
            color=_BAR,
            xerr=spread,
            error_kw={"ecolor": style.INK, "elinewidth": 0.9, "capsize": 2.5},
        )
        for y, value, error in zip(position, width, spread, strict=True):
            ax.annotate(
                style.signed(value, 2),
                (max(value + error, 0), y),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=style.MUTED,
            )
        ax.axvline(0, color=style.INK, linewidth=0.8)
        ax.set_yticks(position, labels)
        ax.tick_params(axis="y", length=0, labelcolor=style.INK)
        ax.spines["left"].set_visible(False)
        ax.grid(axis="x", color="#e3e8ea", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.set_ylim(0, rows.sum())
        ax.margins(x=0.1)
        ax.set_xlabel(f"increase of the RMSE ({style.UNITS_TEXT})")
    return fig


def dependence_panel(
    curves: Mapping[str, pd.DataFrame],
    *,
    data: Mapping[str, np.ndarray] | None = None,
    units: Mapping[str, str] | None = None,
    title: str = "Response of the flux to each predictor",
    subtitle: str | None = None,
    synthetic: str = "",
) -> Figure:
    """Draw partial dependence on one scale of flux, with the distribution of each predictor.

    Parameters
    ----------
    curves : mapping of str to pandas.DataFrame
        Name to what `evaluate.importance.partial_dependence` returned, umol m-2 s-1; 1 to 12.
    data : mapping of str to numpy.ndarray, optional
        Values of the predictors to draw the distribution of.
    units : mapping of str to str, optional
        Of the predictors.
    title, subtitle, synthetic : str
        As for `maps.flux_map`.

    Raises
    ------
    NarcfError
        When there is no curve, or more than twelve.
    """

    if not 1 <= len(curves) <= _MOST_CURVES:
        raise NarcfError(f"expected 1 to {_MOST_CURVES} curves, found {len(curves)}")
    data, units = data or {}, units or {}
    if subtitle is None:
        low, high = next(iter(curves.values())).attrs.get("quantiles", (0.0, 1.0))
        subtitle = "Mean estimate at each value, all else as it is; "
        subtitle += f"band: {100 * low:g} to {100 * high:g} % of the rows"
        subtitle += "; grey: where the data are" if data else ""
    columns = min(4 if len(curves) > 6 else 3, len(curves))
    rows = -(-len(curves) // columns)
    low = min(float(curve["low"].min()) for curve in curves.values())
    high = max(float(curve["high"].max()) for curve in curves.values())
    # The distributions stand below the lowest band.
    reach = max(high - low, 1e-9)
    floor, ceiling = low - (0.3 if data else 0.06) * reach, high + 0.06 * reach
    with house_style():
        width, height = max(2.4 * columns + 0.7, 7.2), 1.1 + max(2.15 * rows, 2.6)
        fig = blank_figure(width, height)
        heading(fig, title, subtitle, style.synthetic_text(synthetic))
        axes = fig.subplots(
            rows,
            columns,
            sharey=True,
            squeeze=False,
            gridspec_kw={
                "left": 0.86 / width,
                "right": 1 - 0.2 / width,
                "bottom": 0.52 / height,
                "top": 1 - 0.85 / height,
                "hspace": 0.42,
                "wspace": 0.1,
            },
        )
        for ax in axes.ravel()[len(curves) :]:
            ax.set_visible(False)
        for place, (name, curve) in enumerate(curves.items()):
            ax = axes.ravel()[place]
            ax.axhline(0, color=style.MUTED, linewidth=0.6, zorder=1)
            value = curve.index.to_numpy(float)
            ax.fill_between(value, curve["low"], curve["high"], color=_BAR, alpha=0.18, lw=0)
            ax.plot(value, curve["mean"], color=_BAR, linewidth=1.8)
            ax.set_ylim(floor, ceiling)
            ax.set_yticks([tick for tick in ax.get_yticks() if low <= tick <= ceiling])
            if value.size > 1:
                ax.set_xlim(value[0], value[-1])
            if name in data:
                _distribution(ax, np.asarray(data[name]), 0.18)
            unit = units.get(name, "1")
            ax.set_xlabel(
                name if unit == "1" else f"{name} ({style.pretty_units(unit)})",
                fontsize=8.5,
                labelpad=2,
            )
            ax.tick_params(labelsize=7.5)
            ax.locator_params(axis="x", nbins=5)
        middle = (0.52 + height - 0.85) / 2 / height
        fig.text(
            0.26 / width,
            middle,
            f"net CO₂ flux ({style.UNITS_TEXT})\n← uptake   release →",
            rotation=90,
            ha="center",
            va="center",
            linespacing=1.4,
        )
    return fig


def correlation_matrix(
    correlation: pd.DataFrame,
    *,
    title: str = "Correlation of the predictors",
    subtitle: str = "Rank correlation (Spearman) of every two",
    synthetic: str = "",
) -> Figure:
    """Draw the lower half of a table of correlations, with the numbers where there is room.

    Parameters
    ----------
    correlation : pandas.DataFrame
        Names by names, -1 to 1, from `evaluate.importance.correlations`; NaN is left blank.
    title, subtitle, synthetic : str
        As for `maps.flux_map`.

    Raises
    ------
    NarcfError
        When there are fewer than two names.
    """

    count = len(correlation)
    if count < 2:
        raise NarcfError(f"expected at least two variables to correlate, found {count}")
    values = correlation.to_numpy(float)
    half = np.ma.masked_invalid(np.where(np.tri(count, k=-1, dtype=bool), values, np.nan))[1:, :-1]
    names = [str(name) for name in correlation.index]
    side = float(np.clip(5.4 / (count - 1), 0.26, 0.55)) * (count - 1)
    longest = 0.075 * max(len(name) for name in names) + 0.2
    with house_style():
        width, height = max(side + longest + 0.4, 4.6), side + longest + 0.95
        fig = blank_figure(width, height)
        heading(fig, title, subtitle, style.synthetic_text(synthetic))
        ax = fig.add_axes((longest / width, longest / height, side / width, side / height))
        image = ax.imshow(half, cmap=_CORRELATION_CMAP, vmin=-1, vmax=1, aspect="auto")
        ax.set_xticks(range(count - 1), names[:-1], rotation=90)
        ax.set_yticks(range(count - 1), names[1:])
        ax.tick_params(length=0, labelcolor=style.INK)
        for spine in ax.spines.values():
            spine.set_visible(False)
        if count <= _MOST_NUMBERS:
            size = float(np.clip(15.5 * side / (count - 1), 4.2, 8.0))
            for (i, j), r in np.ndenumerate(half.filled(np.nan)):
                if np.isfinite(r):
                    text = f"{r + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "−")
                    color = "white" if abs(r) > 0.6 else style.INK
                    ax.text(
                        j,
                        i,
                        text.replace("0.", "."),
                        ha="center",
                        va="center",
                        fontsize=size,
                        color=color,
                    )
        # The upper half is empty: room for the scale.
        cax = ax.inset_axes((0.62, 0.9, 0.36, 0.025))
        bar = fig.colorbar(image, cax=cax, orientation="horizontal", ticks=[-1, -0.5, 0, 0.5, 1])
        bar.ax.set_xticklabels(["−1", "−0.5", "0", "0.5", "1"], fontsize=7)
        bar.ax.tick_params(length=2, width=0.5)
        bar.outline.set_linewidth(0.5)
    return fig


def _distribution(ax: Axes, values: np.ndarray, share: float) -> None:
    """Draw a histogram into the lowest `share` of the axes."""
    left, right = ax.get_xlim()
    values = values[np.isfinite(values) & (values >= left) & (values <= right)]
    below = ax.inset_axes((0, 0, 1, share))
    below.hist(values, bins=30, range=(left, right), color="#9aa7ae")
    below.set_xlim(left, right)
    below.axis("off")
