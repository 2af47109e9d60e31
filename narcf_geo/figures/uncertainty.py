"""Maps and a chart of how far the estimate can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.budget.totals import applicable_share, mean_over_months
from narcf_geo.core.constants import FLUX_UNITS
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.months import days_in_month
from narcf_geo.fields import in_house_order, on_month_axis, on_one_grid
from narcf_geo.fields.values import in_flux_units
from narcf_geo.figures import style
from narcf_geo.figures.layout import (
    Scale,
    blank_figure,
    heading,
    house_style,
    synthetic_note,
)
from narcf_geo.figures.overview import Overview
from narcf_geo.figures.panels import (
    SINGLE_INCHES,
    drawable,
    layers,
    single_map,
    write_in_corner,
)
from narcf_geo.figures.style import period_text

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.figure import Figure

    from narcf_geo.figures.basemap import View
    from narcf_geo.grid import Grid


def uncertainty_map(
    std: xr.DataArray,
    *,
    title: str = "Uncertainty of the monthly CO₂ flux",
    subtitle: str | None = None,
    area: xr.DataArray | None = None,
    limit: float | None = None,
    projection: str = "auto",
    synthetic: str | None = None,
) -> Figure:
    """Map the standard deviation of the estimate of a month about the flux.

    Of several months the map shows the root of the mean square, which is that of a single month
    and not of the mean: errors of months are not independent.

    Parameters
    ----------
    std : xarray.DataArray
        (lat, lon) or (time, lat, lon), umol m-2 s-1.
    title, subtitle, area, projection, synthetic
        As for `maps.flux_map`.
    limit : float, optional
        End of the colour scale; by default a round number that holds 98 % of the cells.
    """
    std = _deviation(std)
    note = synthetic_note(std, synthetic)
    if subtitle is None:
        many = "time" in std.dims and std.sizes["time"] > 1
        subtitle = f"standard deviation, {period_text(std)}".rstrip(", ")
        subtitle += ", root of the mean square over the months" if many else ""
    square = _mean_square(std)
    area = drawable(square.assign_attrs(units=FLUX_UNITS), area)[1]
    mean = Overview.of(layers(square), area, SINGLE_INCHES)
    shown = Overview(mean.values**0.5, mean.area, mean.grid)[0]
    label = f"standard deviation of a month ({style.UNITS_TEXT})"
    scale = Scale.of_amount(shown.values.values, label, limit)
    with house_style():
        view = shown.view(projection)
        fig, ax = single_map(view, shown, scale, title, subtitle, note)
        write_in_corner(ax, view, shown, _typical(shown))
    return fig


def applicability_map(
    flux: xr.DataArray,
    applicable: xr.DataArray,
    *,
    least: float = 0.5,
    title: str = "Net CO₂ flux and where the model applies",
    subtitle: str | None = None,
    area: xr.DataArray | None = None,
    limit: float | None = None,
    projection: str = "auto",
    synthetic: str | None = None,
) -> Figure:
    """Map the flux, hatched where the conditions are unlike those of the training.

    The corner says what share of area and months is applicable.

    Parameters
    ----------
    flux : xarray.DataArray
        (lat, lon) or (time, lat, lon), umol m-2 s-1.
    applicable : xarray.DataArray
        The same shape: 1 or true where the model applies; without meaning where `flux` is missing.
    least : float
        A cell is hatched when less than this share of its months is applicable.
    title, subtitle, area, limit, projection, synthetic
        As for `maps.flux_map`.

    Raises
    ------
    NarcfError
        When every flux is missing.
    """
    flux, area = drawable(flux, area)
    applicable = on_one_grid(flux, _monthly(applicable))[1]
    note = synthetic_note(flux, synthetic)
    share = applicable_share(flux, applicable).transpose("lat", "lon")
    if subtitle is None:
        rule = "hatched: not applicable"
        if "time" in flux.dims and flux.sizes["time"] > 1:
            rule += f" in more than {100 * (1 - least):g} % of the months"
        subtitle = "; ".join(part for part in (period_text(flux), rule) if part)
    field = mean_over_months(flux) if "time" in flux.dims else flux
    both = Overview.of(layers(field, share), area, SINGLE_INCHES)
    shown, share = both[0], both.values[1]
    scale = Scale.of_flux(shown.values.values, limit)
    covered = float(share.weighted(both.area[1]).mean())
    with house_style():
        view = shown.view(projection)
        fig, ax = single_map(view, shown, scale, title, subtitle, note)
        hatch_cells(ax, view, shown.grid, (share < least).values & shown.known)
        of = "area and months" if "time" in flux.dims else "the area"
        write_in_corner(ax, view, shown, f"applicable: {style.percent(covered)}\nof {of}")
    return fig


def hatch_cells(ax: GeoAxes, view: View, grid: Grid, chosen: np.ndarray) -> None:
    """Hatch the cells (lat, lon) of a grid that are `chosen`, each patch with its outline."""
    import matplotlib
    import shapely
    from cartopy.mpl.path import shapely_to_path
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    rows, columns = np.nonzero(chosen)
    if not rows.size:
        return
    corners = np.stack(view.project(*grid.corners()), axis=-1)
    turn = ((0, 0), (0, 1), (1, 1), (1, 0))
    rings = np.stack([corners[rows + i, columns + j] for i, j in turn], axis=1)
    shape = shapely.union_all(shapely.polygons(rings))
    parts = [shapely_to_path(part) for part in shapely.get_parts(shape)]
    path = Path.make_compound_path(*parts)
    # White below dark, so that it shows on every colour.
    for color, width in (("white", 1.6), (style.INK, 0.6)):
        look = {"edgecolor": color, "linewidth": width, "hatch": "/////"}
        with matplotlib.rc_context({"hatch.linewidth": width}):
            ax.add_artist(PathPatch(path, facecolor="none", zorder=3.5, **look))


def reliability(
    coverage: Mapping[str, Mapping[str, float]],
    *,
    title: str = "Do the intervals hold what they promise?",
    subtitle: str = "Share of the target's values within the interval about the estimate",
    synthetic: str = "",
) -> Figure:
    """Draw the coverage that is observed against the nominal one.

    Parameters
    ----------
    coverage : mapping of str to mapping
        Name of the part or product, at most five, to nominal (``"0.8"``) and observed coverage, 0
        to 1.
    title, subtitle, synthetic : str
        As for `maps.flux_map`.

    Raises
    ------
    NarcfError
        When there is nothing to draw, or more than five series.
    """

    if not 1 <= len(coverage) <= len(style.SERIES) or not all(coverage.values()):
        raise NarcfError(
            f"expected the coverage of 1 to {len(style.SERIES)} parts, found {len(coverage)}"
        )
    with house_style():
        width, height, side = 6.2, 5.75, 4.4
        fig = blank_figure(width, height)
        heading(fig, title, subtitle, style.synthetic_text(synthetic))
        ax = fig.add_axes((0.95 / width, 0.6 / height, side / width, side / height))
        ax.fill_between([0, 100], [0, 100], 100, color="#f1f4f5", lw=0, zorder=0)
        ax.plot([0, 100], [0, 100], color=style.MUTED, linewidth=0.9, zorder=1)
        for x, y, text in ((3, 97, "intervals too wide"), (97, 3, "intervals too narrow")):
            ax.text(
                x,
                y,
                text,
                ha="left" if x < 50 else "right",
                color=style.MUTED,
                va="top" if y > 50 else "bottom",
                fontsize=8.5,
                fontstyle="italic",
            )
        nominal: list[float] = []
        for (name, found), (color, line, marker) in zip(
            coverage.items(), style.SERIES[1:] + style.SERIES[:1], strict=False
        ):
            levels = sorted(found, key=float)
            expected = [100 * float(level) for level in levels]
            held = [100 * found[level] for level in levels]
            nominal += expected
            said = ", ".join(f"{value:.0f}" for value in held)
            ax.plot(
                expected,
                held,
                color=color,
                linestyle=line,
                linewidth=1.4,
                marker=marker,
                markersize=7,
                markerfacecolor="white",
                markeredgewidth=1.6,
                label=f"{name}: {said} %",
                clip_on=False,
                zorder=3,
            )
        ticks = sorted({0.0, *nominal})
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.grid(color="#e3e8ea", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
        ax.set_xlabel("nominal coverage (%)")
        ax.set_ylabel("observed coverage (%)")
        ax.legend(loc="lower right", bbox_to_anchor=(1, 0.06))
    return fig


def _deviation(std: xr.DataArray) -> xr.DataArray:
    """Return a standard deviation of the flux past the door; it has no sign."""
    return in_flux_units(_monthly(std), where=str(std.name or "std"), signed=False)


def _monthly(field: xr.DataArray) -> xr.DataArray:
    name = field.name if field.name is not None else "field"
    return on_month_axis(in_house_order(field.to_dataset(name=name)))[name]


def _mean_square(std: xr.DataArray) -> xr.DataArray:
    """Return (lat, lon), over the months weighted by their days."""
    square = std.astype(float) ** 2
    return (
        square.weighted(days_in_month(std["time"])).mean("time") if "time" in std.dims else square
    )


def _typical(shown: Overview) -> str:
    root = float(np.sqrt((shown.values**2).weighted(shown.area).mean()))
    return f"typical {root:.2f} {style.UNITS_TEXT}"
