"""What the page's interactive map needs, small: where each pixel's cell is, and its values."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import NarcfError
from narcf_geo.figures.style import flux_colors, flux_limit
from narcf_geo.grid import Grid

_WIDTH = 720
_STEP = 0.005
"""Values are rounded to this, umol m-2 s-1."""
_MISSING = -32768
_MOST_VALUES = 900_000
_NO_CELL = 65535


def interactive_map(fields: Mapping[str, xr.DataArray], biome: xr.DataArray) -> dict[str, Any]:
    """Return the map as plain values for JSON: pixels, cells, months, fields, outlines.

    Drawn in the projection of the printed maps. Where the fields hold more than 900,000 values,
    only the last months are kept.

    Parameters
    ----------
    fields : mapping of str to xarray.DataArray
        Name to flux (time, lat, lon), umol m-2 s-1, all on the grid and months of the first.
    biome : xarray.DataArray
        Majority IGBP class (lat, lon).

    Raises
    ------
    NarcfError
        When the region has no cell with a value, or more than 65,535.
    """
    from narcf_geo.figures.basemap import View, outline

    first = next(iter(fields.values()))
    known = first.notnull().any("time").values
    count = int(known.sum())
    if count >= _NO_CELL:
        raise NarcfError(
            f"expected fewer than {_NO_CELL:,} land cells for the map, found {count:,}"
        )
    grid = Grid.from_dataset(first)
    view = View.of(grid, known)
    height = round(_WIDTH * view.aspect)
    months = max(1, _MOST_VALUES // (count * len(fields)))
    stamps = first["time"].values[-months:]
    lon, lat = (axis[known] for axis in grid.centers())
    return {
        "width": _WIDTH,
        "height": height,
        "pixels": _packed(_cell_of_pixels(view, grid, known, height).astype("<u2")),
        "months": xr.DataArray(stamps, dims="time").to_series().dt.strftime("%Y-%m").to_list(),
        "fields": [
            {"name": name, "values": _packed(_rounded(field.sel(time=stamps).values[:, known]))}
            for name, field in fields.items()
        ],
        "step": _STEP,
        "missing": _MISSING,
        "limit": flux_limit(np.stack([f.sel(time=stamps).values for f in fields.values()])),
        "colors": flux_colors(65),
        "lon": [round(float(v), 3) for v in lon],
        "lat": [round(float(v), 3) for v in lat],
        "biome": [max(int(v), -1) for v in np.nan_to_num(biome.values[known], nan=-1)],
        "biomes": [cls.name for cls in IGBP],
        "outlines": {
            name: outline(view, name, _WIDTH, height)
            for name in ("land", "borders", "states", "lakes")
        },
        "cropped": months < first.sizes["time"],
    }


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
