"""The house look that maps, charts and QGIS styles share. Imports matplotlib only when used."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.errors import NarcfError, NoValueError, UsageError
from narcf_geo.core.files import atomic_path
from narcf_geo.core.lock import hold_output
from narcf_geo.core.plain import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

    from narcf_geo.budget.totals import FluxSummary

FLUX_CMAP = "BrBG_r"
"""Green is uptake, brown is release; distinguishable with red-green blindness."""

DIFFERENCE_CMAP = "PuOr_r"
"""Purple is more uptake than the reference, orange is more release."""

SPREAD_CMAP = "YlOrBr"
"""From no spread to much."""

FRACTION_CMAP = "YlGn"
"""From none of the cell to all of it."""

UNITS_TEXT = "µmol m⁻² s⁻¹"

INK = "#1b2a33"
MUTED = "#56656e"
SEA = "#e9f0f4"
BARE_LAND = "#d5d7d6"
UPTAKE = "#01665e"
RELEASE = "#8c510a"
SYNTHETIC_FACE, SYNTHETIC_EDGE = "#fff3cd", "#8a6d00"

SERIES = (
    ("#1b2a33", "-", "o"),
    ("#0072b2", "--", "s"),
    ("#d55e00", "-.", "^"),
    ("#009e73", ":", "D"),
    ("#cc79a7", (0, (5, 1, 1, 1)), "v"),
)
"""Colour, line and marker of each series: told apart in grey print too (Okabe and Ito)."""

RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # Names from data are shown as they are: a $ in one begins no formula.
    "text.parse_math": False,
    "text.usetex": False,
}


NO_VALUE = (
    "expected at least one finite value to scale the colours by, found none; check that the grid, "
    "the period and the land mask overlap"
)


def flux_limit(values: np.ndarray, quantile: float = 0.98) -> float:
    """Return a round limit of a colour scale symmetric about zero.

    The smallest of 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10 times a power of ten that holds `quantile` of
    the magnitudes, so that a few extreme cells do not wash out the rest.

    Raises
    ------
    NarcfError
        When no value is finite.

    Examples
    --------
    >>> flux_limit(np.array([-2.7, 0.3, np.nan]))
    3.0
    """
    magnitude = np.abs(values[np.isfinite(values)])
    if magnitude.size == 0:
        raise NoValueError(NO_VALUE)
    return round_limit(float(np.quantile(magnitude.astype(float), quantile)))


def round_limit(reach: float) -> float:
    """Return the smallest of the round limits of `flux_limit` that holds `reach`.

    Examples
    --------
    >>> round_limit(0.26), round_limit(3.0), round_limit(0.0)
    (0.3, 3.0, 1.0)
    """
    if reach == 0.0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(reach))
    steps = np.array([1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0])
    return float(f"{steps[np.searchsorted(steps, reach / power * (1 - 1e-9))] * power:.3g}")


def flux_colors(count: int) -> list[str]:
    """Return `count` colours (``#rrggbb``) evenly along the flux colour map, uptake first."""
    return _colors(FLUX_CMAP, count)


def fraction_colors(count: int) -> list[str]:
    """Return `count` colours (``#rrggbb``) from 0 to 1 of a class fraction, light to dark."""
    return _colors(FRACTION_CMAP, count)


def amount_colors(count: int) -> list[str]:
    """Return `count` colours (``#rrggbb``) of an amount such as a standard deviation, from 0 up."""
    return _colors(SPREAD_CMAP, count)


def _colors(name: str, count: int) -> list[str]:
    import matplotlib
    from matplotlib.colors import to_hex

    return [to_hex(color) for color in matplotlib.colormaps[name](np.linspace(0, 1, count))]


def synthetic_text(kind: str) -> str:
    """Return what must be said of synthetic data of this kind; empty for real data.

    Examples
    --------
    >>> synthetic_text("twin experiment")
    'synthetic twin experiment'
    """
    return kind if not kind or kind.startswith("synthetic") else f"synthetic {kind}"


def signed(value: float, digits: int = 3) -> str:
    """Format a number with its sign and a true minus.

    To `digits` significant digits, but not beyond the fourth decimal.

    Examples
    --------
    >>> signed(-0.0853), signed(12.0), signed(-1234.6), signed(4e-8)
    ('−0.0853', '+12.0', '−1235', '0')
    """
    if not np.isfinite(value):
        return "n/a"
    if abs(value) < 5e-5:
        return "0"
    decimals = min(max(digits - 1 - int(np.floor(np.log10(abs(value)))), 0), 4)
    return f"{value:+.{decimals}f}".replace("-", "−")


def percent(share: float) -> str:
    """Return a share as a percentage, which is 100 % only when it is whole.

    Examples
    --------
    >>> percent(0.99995), percent(1.0)
    ('99.9 %', '100 %')
    """
    return f"{100 * share:.0f} %" if share in (0.0, 1.0) else f"{np.floor(1000 * share) / 10:g} %"


def pretty_units(units: str) -> str:
    """Return a unit as it is written on a figure.

    Examples
    --------
    >>> pretty_units("umol m-2 s-1"), pretty_units("degC")
    ('µmol m⁻² s⁻¹', '°C')
    """
    for plain, text in (("umol", "µmol"), ("-1", "⁻¹"), ("-2", "⁻²"), ("-3", "⁻³")):
        units = units.replace(plain, text)
    return units.replace("degC", "°C")


_WITHOUT_DATE = {
    ".png": {"Software": None},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}


def save_figure(fig: Figure, path: str | PathLike[str], dpi: int = 200) -> Path:
    """Write a figure as PNG, SVG or PDF, whole or not at all, with the same bytes on every run.

    Raises
    ------
    UsageError
        When the suffix is none of the three.
    """
    from matplotlib.text import Text

    path = Path(path)
    if path.suffix not in _WITHOUT_DATE:
        raise UsageError(
            f"expected a figure file ending in {', '.join(_WITHOUT_DATE)}, found {path.name!r}"
        )
    for text in fig.findobj(Text):
        text.set_text(visible(text.get_text()))  # control characters would break an SVG
    with hold_output(path), atomic_path(path) as temporary:
        fig.savefig(temporary, dpi=dpi, metadata=_WITHOUT_DATE[path.suffix])
    return path


def in_256_colors(image: Image) -> Image:
    """Return an RGB image with a palette: a third of the bytes, colours off by 1 of 255.

    The palette covers all colours evenly. One of the frequent colours, which is the default of
    Pillow, would turn the few cells of a strong flux into those of a weaker one.
    """
    from PIL.Image import Dither, Quantize

    small = image.quantize(256, method=Quantize.MAXCOVERAGE, dither=Dither.NONE)
    # Each colour becomes the mean of its pixels, so that wide areas keep theirs.
    number = np.asarray(small).ravel()
    count = np.maximum(np.bincount(number, minlength=256), 1)
    channels = np.asarray(image).reshape(-1, 3).T
    means = [np.bincount(number, weights=channel, minlength=256) / count for channel in channels]
    small.putpalette(np.round(means).T.astype("uint8").ravel().tolist())
    return small


def period_text(flux: xr.DataArray) -> str:
    """Return the months of `flux` in words: ``July 2014``, ``2007–2015``, ``May 2014 – July 2015``.

    Raises
    ------
    NarcfError
        When `flux` has no month.
    """
    if "time" not in flux.coords:
        return ""
    months = pd.DatetimeIndex(np.atleast_1d(flux["time"].values))
    if months.empty:
        raise NarcfError("expected at least one month to draw, found none; check the period")
    first, last = months.min(), months.max()
    if first.month == 1 and last.month == 12:
        return str(first.year) if first.year == last.year else f"{first.year}–{last.year}"
    first, last = first.strftime("%B %Y"), last.strftime("%B %Y")
    return first if first == last else f"{first} – {last}"


def summary_lines(summary: FluxSummary) -> tuple[str, str]:
    """Return the mean and the total of a flux as two lines, with sign and unit."""
    if summary.days <= 31:
        total = f"{signed(summary.total)} TgC month⁻¹"
    else:
        total = f"{_carbon(summary.total)} yr⁻¹"
    return f"{signed(summary.mean)} {UNITS_TEXT}", total


def season_text(summary: FluxSummary, year: float) -> str:
    """Return the mean, the total of a season and its rate a year, of so many days, as lines."""
    rate = summary.total * year / summary.days
    mean = f"mean {signed(summary.mean)} {UNITS_TEXT}"
    return f"{mean}\ntotal of the season {_carbon(summary.total)}\nrate {_carbon(rate)} yr⁻¹"


def _carbon(total: float) -> str:
    """Return TgC with its sign and unit, PgC from 100 TgC up."""
    if abs(total) >= 100:
        return f"{signed(total / 1000)} PgC"
    return f"{signed(total)} TgC"
