"""What the page's interactive map needs, small: where each pixel's cell is, and its values."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.budget.totals import grid_area
from narcf_geo.core.constants import IGBP
from narcf_geo.core.layout import CHUNK
from narcf_geo.figures.overview import Overview, any_of, blocks_of, majority
from narcf_geo.figures.style import flux_colors, flux_limit
from narcf_geo.grid import Grid

_WIDTH = 720
_STEP = 0.005
"""Values are rounded to this, umol m-2 s-1."""
_MISSING = -32768
_MOST_VALUES = 1_400_000
"""Of all fields together: 2.5 MB of the page."""
_MOST_CELLS = 40_000
"""Two pixels each where the whole globe is drawn."""
_NO_CELL = 65535


def interactive_map(fields: Mapping[str, xr.DataArray], biome: xr.DataArray) -> dict[str, Any]:
    """Return the map as plain values for JSON: pixels, cells, months, fields, outlines.

    Drawn in the projection of the printed maps, with all months. Where that would be more than
    1,400,000 values, or 40,000 cells, the map shows area-weighted means over blocks of cells, the
    smallest that stay below both; ``resolution`` says their size.

    Parameters
    ----------
    fields : mapping of str to xarray.DataArray
        Name to flux (time, lat, lon), umol m-2 s-1, all on the grid and months of the first; lazy
        or not.
    biome : xarray.DataArray
        Majority IGBP class (lat, lon).

    Raises
    ------
    NarcfError
        When the region has no cell with a value.
    """
    from narcf_geo.figures.basemap import View, outline

    first = next(iter(fields.values()))
    grid = Grid.from_dataset(first)
    every = first.notnull().any("time").values
    factor = _factor(every, len(fields) * first.sizes["time"])
    area = grid_area(first)
    cells, known = blocks_of(grid, factor), any_of(every, factor)
    drawn = {name: _means(field, area, grid, factor) for name, field in fields.items()}
    view = View.of(cells, known)
    height = round(_WIDTH * view.aspect)
    lon, lat = (axis[known] for axis in cells.centers())
    classes = np.where(every, np.nan_to_num(biome.values, nan=-1), -1).astype("int16")
    return {
        "width": _WIDTH,
        "height": height,
        "pixels": _packed(_cell_of_pixels(view, cells, known, height).astype("<u2")),
        "months": first["time"].to_series().dt.strftime("%Y-%m").to_list(),
        "fields": [
            {"name": name, "values": _packed(_rounded(values[:, known]))}
            for name, values in drawn.items()
        ],
        "step": _STEP,
        "missing": _MISSING,
        "limit": flux_limit(np.stack([*drawn.values()])),
        "colors": flux_colors(65),
        "lon": [round(float(v), 3) for v in lon],
        "lat": [round(float(v), 3) for v in lat],
        "biome": [max(int(v), -1) for v in majority(classes, area.values, factor)[known]],
        "biomes": [cls.name for cls in IGBP],
        "outlines": {
            name: outline(view, name, _WIDTH, height)
            for name in ("land", "borders", "states", "lakes")
        },
        "resolution": _resolution(grid, factor) if factor > 1 else "",
    }


def _factor(known: np.ndarray, values: int) -> int:
    """Return how many cells a block needs along each side, each cell with that many values."""
    most = max(1, min(_MOST_CELLS, _MOST_VALUES // values))
    factor = 1
    while factor < max(known.shape) and any_of(known, factor).sum() > most:
        factor += 1
    return factor


def _means(field: xr.DataArray, area: xr.DataArray, grid: Grid, factor: int) -> np.ndarray:
    """Return the means over blocks (time, lat, lon), read a few months at a time."""
    field = field.transpose("time", "lat", "lon")
    starts = range(0, field.sizes["time"], CHUNK[0])
    months = (field[start : start + CHUNK[0]] for start in starts)
    return np.concatenate([Overview.by(m, area, grid, factor).values.values for m in months])


def _resolution(grid: Grid, factor: int) -> str:
    """Return the size of a block in degrees of latitude and longitude."""
    sizes = [factor * float(np.median(abs(np.diff(b)))) for b in (grid.lat_b, grid.lon_b)]
    return " by ".join(dict.fromkeys(f"{size:.3g}" for size in sizes)) + " degree"


def _cell_of_pixels(view: Any, grid: Grid, known: np.ndarray, height: int) -> np.ndarray:
    """Return the number of the cell (of those known) under each pixel, row by row from the top."""
    import cartopy.crs as ccrs

    left, right, bottom, top = view.window
    x = left + (np.arange(_WIDTH) + 0.5) * (right - left) / _WIDTH
    y = top - (np.arange(height) + 0.5) * (top - bottom) / height
    points = ccrs.PlateCarree().transform_points(view.projection, *np.meshgrid(x, y))
    lon_b, lat_b = grid.lon_b, grid.lat_b
    with np.errstate(invalid="ignore"):
        lon = lon_b.min() + (points[..., 0] - lon_b.min()) % 360
        inside = (
            (lon < lon_b.max()) & (points[..., 1] > lat_b.min()) & (points[..., 1] < lat_b.max())
        )
    number = np.full(known.shape, _NO_CELL)
    number[known] = np.arange(known.sum())
    cells = np.full(lon.shape, _NO_CELL)
    column = np.searchsorted(lon_b, lon[inside], side="right") - 1
    row = np.searchsorted(lat_b, points[..., 1][inside], side="right") - 1
    cells[inside] = number[row, column]
    return cells


def _rounded(values: np.ndarray) -> np.ndarray:
    whole = np.clip(np.round(values / _STEP), -32767, 32767)
    return np.where(np.isfinite(values), whole, _MISSING).astype("<i2")


def _packed(values: np.ndarray) -> str:
    # No time stamp: the same values give the same page.
    return base64.b64encode(gzip.compress(values.tobytes(), 9, mtime=0)).decode("ascii")
