"""Charts of seasons and biomes; each returns a matplotlib Figure."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.budget.tables import complete_years
from narcf_geo.core.constants import FLUX_UNITS, IGBP
from narcf_geo.core.errors import NoValueError
from narcf_geo.figures import style
from narcf_geo.figures.layout import blank_figure, few, heading, house_style, synthetic_note

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAR_COLORS = {"uptake": "#35978f", "release": "#bf812d"}


def seasonal_cycle(
    series: Mapping[str, xr.DataArray | pd.Series],
    *,
    interval: tuple[xr.DataArray, xr.DataArray] | None = None,
    title: str = "Seasonal cycle",
    subtitle: str = "",
    units: str | None = None,
    synthetic: str | None = None,
) -> Figure:
    """Draw the mean of each calendar month; a band shows how sure the first series is.

    Parameters
    ----------
    series : mapping of str to xarray.DataArray or pandas.Series
        Name to a monthly series over ``time`` (a Series by a DatetimeIndex). At most five.
    interval : tuple of xarray.DataArray, optional
        Lower and upper end of the 95 % interval of the first series, (time,): the band is their
        mean over the years, for an error that is the same in each. By default the band goes from
        the lowest to the highest year.
    units : str, optional
        By default the ``units`` of the first array, else umol m-2 s-1.
    title, subtitle, synthetic : str
        As for `maps.flux_map`.

    Raises
    ------
    NarcfError
        When there is no series, or more than five.
    """

    few(series)
    main, first = next(iter(series.items()))
    units = units or str(getattr(first, "attrs", {}).get("units", FLUX_UNITS))
    with house_style():
        fig = blank_figure(7.2, 4.5)
        ax = fig.add_axes((0.12, 0.09, 0.86, 0.74))
        band = ""
        for (name, values), (color, line, marker) in zip(
            series.items(), style.SERIES, strict=False
        ):
            months = _by_month(values)
            ax.plot(
                months.index,
                months["mean"],
                color=color,
                linestyle=line,
                marker=marker,
                markersize=4 if name == main else 7,
                markerfacecolor=color if name == main else "none",
                linewidth=1.6,
                label=name,
            )
            if name == main and (interval is not None or (months["count"] > 1).any()):
                low, high = months["min"], months["max"]
                band = f"band: lowest to highest year of {main}"
                if interval is not None:
                    low, high = (_by_month(end)["mean"] for end in interval)
                    band = f"band: 95 % interval of {main}"
                ax.fill_between(low.index, low, high, color=color, alpha=0.18, linewidth=0)
        ax.set_xlim(0.7, 12.3)
        ax.set_xticks(range(1, 13), [calendar.month_abbr[m] for m in range(1, 13)])
        ax.set_ylabel(f"net CO₂ flux ({style.pretty_units(units)})")
        ax.margins(y=0.12)
        _mark_sides(ax)
        ax.legend(loc="lower left")
        subtitle = "; ".join(part for part in (subtitle, band) if part)
        heading(fig, title, subtitle, synthetic_note(first, synthetic))
    return fig


def biome_bars(
    table: pd.DataFrame,
    *,
    title: str = "Net CO₂ flux by biome",
    subtitle: str | None = None,
    synthetic: str | None = None,
    reference_label: str = "reference",
) -> Figure:
    """Draw the mean yearly flux of each biome with its interval, and the reference.

    Without intervals in the table the whiskers go from the lowest to the highest year.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows per biome and year with the columns of ``biome_budget.csv``: ``biome``, ``name``,
        ``year``, ``months``, ``flux_TgC`` and ``reference_TgC``, optionally ``flux_TgC_lower`` and
        ``flux_TgC_upper``. The total (``biome`` = ``all``) is left out, and years that are not
        complete where some are. Intervals are means over
        the years: the error is taken to be the same in each.
    title, subtitle, synthetic : str
        As for `maps.flux_map`.
    reference_label : str
        Name of the reference.

    Raises
    ------
    NarcfError
        When the table has no biome.
    """

    table = complete_years(table)
    rows = table[table["biome"].astype(str) != "all"]
    if rows.empty:
        raise NoValueError("expected a row per biome and year, found none")
    groups = rows.groupby("name")
    yearly = groups["flux_TgC"].agg(["mean", "min", "max"]).sort_values("mean")
    known = "flux_TgC_lower" in rows
    if known:
        for name, end in (("min", "flux_TgC_lower"), ("max", "flux_TgC_upper")):
            yearly[name] = groups[end].mean()
    reference = rows.groupby("name")["reference_TgC"].mean().reindex(yearly.index)
    years = sorted(rows["year"].astype(int).unique())
    if subtitle is None:
        span = f"{years[0]}–{years[-1]}" if len(years) > 1 else str(years[0])
        whisker = "95 % interval" if known else "lowest to highest year"
        subtitle = f"{span}; bar: mean of the years, whisker: {whisker}"
    codes = {cls.name: cls.code for cls in IGBP}
    with house_style():
        height = 1.45 + 0.3 * len(yearly)
        fig = blank_figure(7.2, height)
        heading(
            fig, title, subtitle, str(synthetic_note(xr.DataArray(attrs=table.attrs), synthetic))
        )
        ax = fig.add_axes((0.36, 0.5 / height, 0.61, (height - 1.4) / height))
        position = np.arange(len(yearly))
        mean = yearly["mean"].to_numpy()
        kinds = np.where(mean < 0, "uptake", "release")
        whiskers = np.stack([mean - yearly["min"], yearly["max"] - mean])
        ax.barh(
            position,
            mean,
            height=0.68,
            color=[_BAR_COLORS[kind] for kind in kinds],
            xerr=whiskers if known or len(years) > 1 else None,
            error_kw={"ecolor": style.INK, "elinewidth": 0.8, "capsize": 2},
        )
        if reference.notna().any():
            ax.plot(
                reference,
                position,
                linestyle="none",
                marker="D",
                markersize=4.5,
                markerfacecolor="white",
                markeredgecolor=style.INK,
                label=reference_label,
            )
            ax.legend(
                loc="lower left", bbox_to_anchor=(-0.02, 1), borderaxespad=0, handletextpad=0.3
            )
        ax.axvline(0, color=style.INK, linewidth=0.8)
        low, high = ax.get_xlim()
        # Room for the two words beside zero.
        ax.set_xlim(min(low, -0.2 * (high - low)), max(high, 0.2 * (high - low)))
        ax.set_yticks(position, [f"{name}  {codes.get(name, '')}".strip() for name in yearly.index])
        ax.tick_params(axis="y", length=0, labelcolor=style.INK)
        ax.spines["left"].set_visible(False)
        ax.grid(axis="x", color="#e3e8ea", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.set_ylim(-0.6, len(yearly) - 0.4)
        ax.set_xlabel("net CO₂ flux (TgC yr⁻¹)")
        for text, align, color in (
            ("← uptake  ", "right", style.UPTAKE),
            ("  release →", "left", style.RELEASE),
        ):
            ax.text(
                0,
                1.005,
                text,
                transform=ax.get_xaxis_transform(),
                ha=align,
                va="bottom",
                fontsize=8.5,
                fontweight="bold",
                color=color,
            )
    return fig


def _by_month(values: xr.DataArray | pd.Series) -> pd.DataFrame:
    if isinstance(values, xr.DataArray):
        values = pd.Series(values.values, index=pd.DatetimeIndex(values["time"].values))
    return values.dropna().groupby(values.dropna().index.month).agg(["mean", "min", "max", "count"])


def _mark_sides(ax: Axes) -> None:
    ax.axhline(0, color=style.INK, linewidth=0.8, zorder=1)
    for y, text, color, va in (
        (1.0, "release to the atmosphere ↑", style.RELEASE, "top"),
        (0.0, "uptake by the land ↓", style.UPTAKE, "bottom"),
    ):
        ax.text(
            0.99,
            y,
            text,
            transform=ax.transAxes,
            ha="right",
            va=va,
            fontsize=8,
            color=color,
            fontweight="bold",
        )
