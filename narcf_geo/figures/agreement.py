"""Charts of how products and variables agree; each returns a matplotlib Figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError, NoValueError
from narcf_geo.evaluation.comparison import Pair, sums_of
from narcf_geo.evaluation.density import density
from narcf_geo.fields import on_one_grid
from narcf_geo.figures import style
from narcf_geo.figures.layout import blank_figure, few, heading, house_style, synthetic_note

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_POLAR_TICKS = (0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 1)


def scatter(
    estimate: xr.DataArray,
    observed: xr.DataArray,
    *,
    metrics: Mapping[str, float],
    area: xr.DataArray | None = None,
    labels: tuple[str, str] = ("Estimate", "Inversion"),
    title: str | None = None,
    subtitle: str = "",
    synthetic: str | None = None,
) -> Figure:
    """Draw the density of estimated against observed monthly fluxes, the 1:1 line and a fit.

    Parameters
    ----------
    estimate, observed : xarray.DataArray
        Same dimensions, umol m-2 s-1; pairs with a missing value are left out.
    metrics : mapping
        ``r``, ``rmse`` and ``bias`` (umol m-2 s-1), ``n`` and optionally ``bias_TgC_per_year``, as
        evaluated elsewhere: the figure repeats them and computes none.
    area : xarray.DataArray, optional
        (lat, lon), m2: weights of the fit by least squares.
    labels : tuple of str
        Names of the two.
    title, subtitle, synthetic : str
        As for `maps.flux_map`.

    Raises
    ------
    NarcfError
        When no pair is complete.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import LogFormatter

    pairs = density(estimate, observed, area)
    if pairs is None:
        raise NoValueError("expected pairs of estimate and observation to draw, found none")
    low, high = pairs.low, pairs.high
    pad = 0.04 * (high - low)
    low, high = low - pad, high + pad
    width, height, side = 6.2, 5.75, 4.4
    with house_style():
        fig = blank_figure(width, height)
        heading(
            fig,
            title or f"{labels[0]} against {labels[1].lower()}",
            subtitle,
            synthetic_note(observed, synthetic) or synthetic_note(estimate, synthetic),
        )
        ax = fig.add_axes((0.72 / width, 0.6 / height, side / width, side / height))
        bins = ax.hexbin(
            pairs.observed,
            pairs.estimate,
            C=pairs.number,
            reduce_C_function=np.sum,
            gridsize=70,
            extent=(low, high, low, high),
            norm=LogNorm(),
            cmap="viridis_r",
            linewidths=0.1,
            rasterized=True,
        )
        ax.plot([low, high], [low, high], color=style.INK, linewidth=0.9, label="1:1")
        if np.isfinite(pairs.slope):
            slope, offset = pairs.slope, pairs.offset
            ends = np.array(pairs.span)
            label = f"fit: slope {slope:.2f}, offset {style.signed(offset, 2)}"
            ax.plot(ends, slope * ends + offset, color="#d55e00", lw=1.4, ls="--", label=label)
        ax.axhline(0, color=style.MUTED, linewidth=0.5, zorder=0)
        ax.axvline(0, color=style.MUTED, linewidth=0.5, zorder=0)
        ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
        ax.set_xlabel(f"{labels[1]} ({style.UNITS_TEXT};  ← uptake   release →)")
        ax.set_ylabel(f"{labels[0]} ({style.UNITS_TEXT};  ← uptake   release →)")
        cax = fig.add_axes((5.3 / width, 1.2 / height, 0.14 / width, 3.2 / height))
        bar = fig.colorbar(bins, cax=cax, format=LogFormatter())
        cax.yaxis.set_minor_formatter(LogFormatter())
        bar.set_label("cells and months in the bin")
        bar.outline.set_linewidth(0.5)
        ax.text(
            0.03,
            0.97,
            _skill_text(metrics),
            transform=ax.transAxes,
            va="top",
            fontsize=9,
            linespacing=1.5,
            bbox={"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": style.MUTED},
        )
        ax.legend(loc="lower right")
    return fig


def taylor(
    products: Mapping[str, xr.DataArray],
    observed: xr.DataArray,
    *,
    area: xr.DataArray | None = None,
    label: str = "Inversion",
    title: str = "Taylor diagram",
    subtitle: str = "",
    synthetic: str | None = None,
) -> Figure:
    """Draw correlation and standard deviation of products against an observed flux.

    After Taylor (2001, doi:10.1029/2000JD900719): the angle is the correlation, the radius the
    standard deviation over that of the observed, and the distance from the observed the centred
    RMSE. Statistics are over all cells and months that both have, weighted by `area`.

    Parameters
    ----------
    products : mapping of str to xarray.DataArray
        Name to flux (time, lat, lon). At most five.
    observed : xarray.DataArray
        The same, on the same grid.
    area : xarray.DataArray, optional
        (lat, lon), m2.
    label, title, subtitle, synthetic : str
        Name of the observed; the others as for `maps.flux_map`.

    Raises
    ------
    NarcfError
        When there is no product, one has no pair with the observed, or that does not vary.
    """
    from matplotlib.projections.polar import PolarAxes

    few(products)
    points = {name: _taylor_point(flux, observed, area) for name, flux in products.items()}
    reach = max(1.25, 1.15 * max(radius for _, radius in points.values()))
    negative = min(r for r, _ in points.values()) < 0
    with house_style():
        fig = blank_figure(7.0, 5.6)
        heading(fig, title, subtitle, synthetic_note(observed, synthetic))
        ax = cast(PolarAxes, fig.add_axes((0.08, 0.1, 0.71, 0.75), projection="polar"))
        ax.set_thetamin(0)
        ax.set_thetamax(180 if negative else 90)
        ax.set_ylim(0, reach)
        ticks = [-t for t in _POLAR_TICKS[:0:-1] if negative] + list(_POLAR_TICKS)
        ax.set_xticks(np.arccos(ticks), [f"{t:g}".replace("-", "−") for t in ticks])
        ax.grid(color="#d8e0e4", linewidth=0.5)
        angles = np.linspace(0, np.pi if negative else np.pi / 2, 200)
        ax.plot(angles, np.ones(200), color=style.MUTED, linewidth=0.9, linestyle="--")
        radii, turns = np.meshgrid(np.linspace(0, reach, 120), angles)
        error = np.sqrt(1 + radii**2 - 2 * radii * np.cos(turns))
        rings = ax.contour(
            turns, radii, error, levels=[0.25, 0.5, 0.75, 1.0], colors="#009e73", linewidths=0.6
        )
        # Along a line from the observed that stays clear of the axes.
        places = [1 + d * np.exp(2.1j) for d in rings.levels]
        spots = [(np.angle(p), np.abs(p)) for p in places if np.abs(p) < reach]
        ax.clabel(rings, fontsize=7, manual=spots)
        ax.plot(
            0,
            1,
            marker="*",
            markersize=13,
            color=style.INK,
            clip_on=False,
            label=label,
            linestyle="none",
        )
        for (name, (r, radius)), (color, _, marker) in zip(
            points.items(), style.SERIES[1:] + style.SERIES[:1], strict=False
        ):
            text = f"{name}: r {r:.3f}, std {radius:.2f}" if radius else f"{name}: std 0"
            ax.plot(
                np.arccos(r),
                radius,
                marker=marker,
                markersize=8,
                color=color,
                label=text,
                linestyle="none",
            )
        ax.text(np.pi / 4, 1.13 * reach, "correlation", rotation=-45, ha="center", va="center")
        ax.set_xlabel(f"standard deviation over that of {label}", labelpad=16)
        ax.tick_params(axis="y", labelsize=8, labelcolor=style.MUTED)
        ax.legend(loc="upper right", bbox_to_anchor=(1.28, 1.08))
    return fig


def pairplot(
    variables: Mapping[str, xr.DataArray],
    *,
    title: str = "Variables against each other",
    subtitle: str = "",
    synthetic: str | None = None,
) -> Figure:
    """Draw the density of each pair of variables, and of each its distribution.

    Parameters
    ----------
    variables : mapping of str to xarray.DataArray
        Name to fields on one grid, paired by label; 2 to 7. Units come from the attributes.
    title, subtitle, synthetic : str
        As for `maps.flux_map`.

    Raises
    ------
    NarcfError
        When there are fewer than two variables or more than seven, or no complete sample.
    """
    from matplotlib.colors import LogNorm

    if not 2 <= len(variables) <= 7:
        raise NarcfError(f"expected 2 to 7 variables, found {len(variables)}")
    first, *others = variables.values()
    arrays = xr.align(*on_one_grid(first, *others), join="inner")
    samples = np.stack([a.transpose(*arrays[0].dims).values.ravel() for a in arrays])
    samples = samples[:, np.isfinite(samples).all(axis=0)]
    if samples.shape[1] == 0:
        raise NarcfError("expected samples that all variables have, found none")
    units = [style.pretty_units(str(a.attrs.get("units", "1"))) for a in arrays]
    names = [
        name if unit == "1" else f"{name}\n({unit})"
        for name, unit in zip(variables, units, strict=True)
    ]
    count, side = len(names), 1.55
    with house_style():
        width, height = 0.8 + side * count, 1.4 + side * count
        fig = blank_figure(width, height)
        heading(fig, title, subtitle, synthetic_note(arrays[0], synthetic))
        axes = fig.subplots(
            count,
            count,
            squeeze=False,
            gridspec_kw={
                "left": 0.75 / width,
                "right": 0.98,
                "bottom": 0.6 / height,
                "top": 1 - 0.72 / height,
                "hspace": 0.1,
                "wspace": 0.1,
            },
        )
        for i in range(count):
            for j in range(count):
                ax = axes[i, j]
                ax.tick_params(labelsize=6, labelleft=j == 0 and i > 0, labelbottom=i == count - 1)
                if i == j:
                    ax.hist(samples[i], bins=40, color="#35978f")
                    ax.set_yticks([])
                elif j < i:
                    ax.hexbin(
                        samples[j],
                        samples[i],
                        gridsize=30,
                        norm=LogNorm(),
                        mincnt=1,
                        cmap="viridis_r",
                        linewidths=0.1,
                        rasterized=True,
                    )
                else:
                    ax.axis("off")
                    r = np.corrcoef(samples[i], samples[j])[0, 1]
                    ax.text(
                        0.5,
                        0.5,
                        f"r = {r:.2f}".replace("-", "−"),
                        transform=ax.transAxes,
                        ha="center",
                        va="center",
                        fontsize=8 + 4 * abs(r),
                    )
                if i == count - 1:
                    ax.set_xlabel(names[j], fontsize=7.5)
                if j == 0:
                    ax.set_ylabel(names[i], fontsize=7.5)
    return fig


def _skill_text(metrics: Mapping[str, float]) -> str:
    r = metrics["r"]
    lines = [
        "r not defined" if r is None or not np.isfinite(r) else f"r = {r:.3f}",
        f"RMSE = {metrics['rmse']:.3f} {style.UNITS_TEXT}",
        f"bias = {style.signed(metrics['bias'])} {style.UNITS_TEXT}",
    ]
    if "bias_TgC_per_year" in metrics:
        lines.append(f"bias = {style.signed(metrics['bias_TgC_per_year'])} TgC yr⁻¹")
    lines.append(f"n = {metrics['n']:,}".replace(",", " "))
    return "\n".join(lines)


def _taylor_point(
    flux: xr.DataArray, observed: xr.DataArray, area: xr.DataArray | None
) -> tuple[float, float]:
    """Return the correlation and the ratio of standard deviations, weighted by area."""
    pair = Pair.of(flux, observed, area)
    if area is None:
        pair = pair._replace(area=xr.ones_like(pair.area))
    point = sums_of(pair).whole.merged().taylor()
    if np.isnan(point["centred_rmse"]):
        raise NoValueError("expected pairs of product and observation to compare, found none")
    if point["std_observed"] == 0:
        raise NarcfError("expected an observed flux that varies, found one value everywhere")
    # What does not vary lies at the centre, whatever its angle.
    return (point["r"], point["std_ratio"]) if point["std_estimate"] else (0.0, 0.0)
