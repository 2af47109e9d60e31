"""A grid as a small map: in characters for the terminal, or as a figure with its first field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from narcf_geo.catalog.land import is_land, land_polygons
from narcf_geo.grid import Grid
from narcf_geo.grid.sphere import to_xyz

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN = 15.0
"""Degrees of the surroundings to show."""


def sketch(grid: Grid, width: int = 72) -> str:
    """Return a map in lines of `width` characters.

    ``#`` is the grid on land, ``+`` the grid at sea, ``.`` other land.
    """
    west, south, east, north = _extent(grid)
    height = max(3, round(width * (north - south) / (east - west) / 2))
    lon = west + (np.arange(width) + 0.5) * (east - west) / width
    lat = north - (np.arange(height) + 0.5) * (north - south) / height
    places = np.meshgrid(lon, lat)
    land, inside = is_land(*places), covers(grid, *places)
    characters = np.array([[" ", "."], ["+", "#"]])[inside.astype(int), land.astype(int)]
    return "\n".join("".join(row).rstrip() for row in characters)


def covers(grid: Grid, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Return whether places (degrees, arrays of one shape) lie in a cell of `grid`.

    Exact for rectilinear grids; else nearer to a cell centre than the cell is wide.
    """
    if grid.is_rectilinear:
        west, east = grid.lon_b.min(), grid.lon_b.max()
        inside = (lat >= grid.lat_b.min()) & (lat <= grid.lat_b.max())
        return np.asarray(inside & ((lon - west) % 360 <= east - west))
    from scipy.spatial import cKDTree

    from narcf_geo.core.constants import EARTH_RADIUS

    places = to_xyz(lon, lat).reshape(-1, 3)
    away, cell = cKDTree(to_xyz(grid.lon, grid.lat).reshape(-1, 3)).query(places)
    width = np.sqrt(grid.area.ravel()[cell]) / EARTH_RADIUS
    return (away < 0.75 * width).reshape(lon.shape)


def _extent(grid: Grid) -> tuple[float, float, float, float]:
    """Return west, south, east and north of the grid and its surroundings."""
    lon_c, lat_c = grid.corners()
    south, north = max(lat_c.min() - MARGIN, -90), min(lat_c.max() + MARGIN, 90)
    around = np.sort(np.unique(np.round(lon_c % 360)))
    hole = np.diff(np.append(around, around[0] + 360))
    widest = int(hole.argmax())
    if hole[widest] < 2 * MARGIN:
        return -180.0, float(south), 180.0, float(north)
    west = around[(widest + 1) % around.size] - MARGIN
    east = west + 360 - hole[widest] + 2 * MARGIN
    return float(west), float(south), float(east), float(north)


def plot(ds: xr.Dataset, grid: Grid, name: str) -> Figure:
    """Return a map of the mean over time of the variable `name`, cells as they are, with coasts."""
    from matplotlib.figure import Figure
    from shapely import get_coordinates, get_parts

    west, south, east, north = _extent(grid)
    field = ds[name].mean("time", keep_attrs=True) if "time" in ds[name].dims else ds[name]
    lon_c, lat_c = grid.corners()
    values = field.transpose(*grid.dims).values
    figure = Figure(figsize=(9, 9 * max((north - south) / (east - west), 0.35)), layout="tight")
    axes = figure.add_subplot()
    lon_c = (lon_c - west) % 360 + west if not grid.is_rectilinear else lon_c
    for turn in (-360, 0, 360):
        split = np.abs(np.diff(lon_c, axis=1)).max(initial=0) > 180
        shown = values if not split else np.where(_torn(lon_c), np.nan, values)
        mesh = axes.pcolormesh(lon_c + turn, lat_c, shown, shading="flat", rasterized=True)
    for part in get_parts(land_polygons()):
        x, y = get_coordinates(part.exterior).T
        for turn in (-360, 0, 360):
            axes.plot(x + turn, y, color="0.2", linewidth=0.6)
    axes.set(xlim=(west, east), ylim=(south, north), xlabel="longitude", ylabel="latitude")
    axes.xaxis.set_major_formatter(lambda x, _: f"{(x + 180) % 360 - 180:g}")
    literal: dict[str, Any] = {"parse_math": False, "usetex": False}  # names from data, no formulas
    axes.set_title(str(ds.attrs.get("source", name)), fontsize=10, **literal)
    axes.set_aspect(1 / max(np.cos(np.radians((south + north) / 2)), 0.5))
    label = f"{field.attrs.get('long_name', name)} ({field.attrs.get('units', '')})"
    figure.colorbar(mesh, ax=axes, shrink=0.7).set_label(label, **literal)
    return figure


def _torn(lon_c: np.ndarray) -> np.ndarray:
    """Return the cells whose corners lie on both sides of the map's edge."""
    corners = np.stack([lon_c[:-1, :-1], lon_c[:-1, 1:], lon_c[1:, :-1], lon_c[1:, 1:]])
    return np.asarray(np.ptp(corners, axis=0) > 180)
