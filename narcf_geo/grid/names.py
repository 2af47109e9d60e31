"""Global grids by the names that CDO gives them, such as ``r360x180`` or ``n80``."""

from __future__ import annotations

import math
import re

import numpy as np

from narcf_geo.core.errors import UsageError
from narcf_geo.grid.build import require_cells
from narcf_geo.grid.grid import Grid
from narcf_geo.grid.sphere import gaussian_edges, gaussian_latitudes

KNOWN = "r360x180, global_1, n80 (or F80) and t63grid"
"""Examples of names, for messages."""

MOST_LATITUDES = 8000
"""Of a Gaussian grid: F4000, beyond any model of today."""


def named_grid(name: str) -> Grid | None:
    """Return the global grid of a name, None for what is no such name.

    Parameters
    ----------
    name : str
        ``r<NX>x<NY>``: even cells, the first centre at 0 degrees east, with rows of nodes on the
        poles where NY is odd. ``global_<D>``: cells of D degrees from 180 degrees west.
        ``n<N>``, ``F<N>``, ``gN<N>``: the full Gaussian grid of N latitudes between pole and
        equator, from north to south. ``t<T>grid``, ``tl<T>grid``: the full Gaussian grid of a
        quadratic or linear spectral truncation.

    Raises
    ------
    UsageError
        When the name is one of a grid that has no regular cells, or of no size.

    Examples
    --------
    >>> named_grid("r36x18")
    Grid(18 x 36 cells of 10 x 10 degree, latitude -90 to 90, longitude -5 to 355)
    >>> named_grid("n4").lat.round(2).tolist()
    [73.8, 52.81, 31.7, 10.57, -10.57, -31.7, -52.81, -73.8]
    >>> named_grid("era5.nc") is None
    True
    """
    if found := re.fullmatch(r"[rR](\d{1,6})x(\d{1,6})", name):
        return _regular(int(found[1]), int(found[2]))
    if found := re.fullmatch(r"global_(\d{1,3}(?:\.\d{1,9})?)", name):
        return _global(name, float(found[1]))
    if found := re.fullmatch(r"(?:[nF]|gN)(\d{1,5})", name):
        return _gaussian(name, 2 * int(found[1]))
    if found := re.fullmatch(r"[tT]([lL]?)(\d{1,5})(?:grid)", name):
        latitudes = math.ceil(((2 if found[1] else 3) * int(found[2]) + 1) / 2)
        return _gaussian(name, latitudes + latitudes % 2)
    if re.fullmatch(r"(?:N|O|hpz?|gme)\d{1,5}|tco\d{1,5}(?:grid)?", name):
        raise UsageError(
            f"expected a grid of rows and columns, found {name!r}, whose rows are of different "
            f"lengths or which has none; choose one such as {KNOWN}"
        )
    return None


def _regular(columns: int, rows: int) -> Grid:
    if columns < 1 or rows < 2:
        raise UsageError(f"expected r<NX>x<NY> of at least 1 x 2 cells, found r{columns}x{rows}")
    require_cells(columns, rows, f"r{columns}x{rows}")
    step = 360 / columns
    lon_b = step * np.arange(columns + 1) - step / 2
    if rows % 2 == 0:
        return Grid(lon_b, np.linspace(-90, 90, rows + 1))
    lat = np.linspace(-90, 90, rows)
    edges = np.concatenate([[-90], (lat[1:] + lat[:-1]) / 2, [90]])
    return Grid(lon_b, edges, (lon_b[1:] + lon_b[:-1]) / 2, lat)


def _global(name: str, step: float) -> Grid:
    rows = round(180 / step) if step > 0 else 0
    if not rows or abs(rows * step - 180) > 1e-6:
        raise UsageError(
            f"expected global_<D> with a step that divides 180 degrees, found {name!r}; its cells "
            "would leave a gap or reach beyond the pole"
        )
    return Grid.regular(-180, -90, 180, 90, 180 / rows)


def _gaussian(name: str, rows: int) -> Grid:
    if not 4 <= rows <= MOST_LATITUDES:
        raise UsageError(
            f"expected a Gaussian grid of 4 to {MOST_LATITUDES} latitudes, found {rows} for "
            f"{name!r}"
        )
    lat, step = gaussian_latitudes(rows), 180 / rows
    lon_b = step * np.arange(2 * rows + 1) - step / 2
    return Grid(lon_b, gaussian_edges(lat), (lon_b[1:] + lon_b[:-1]) / 2, lat)  # type: ignore[arg-type]
