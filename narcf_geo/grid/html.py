"""What a notebook shows of a grid."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from narcf_geo.grid.grid import Grid


def table(grid: Grid) -> str:
    """Return a small HTML table: cells, size, extent and area; see `Grid`."""
    rows, columns = grid.shape
    south, north, west, east = (
        float(f) for f in (grid.lat_b.min(), grid.lat_b.max(), grid.lon_b.min(), grid.lon_b.max())
    )
    content = {
        "cells": f"{rows:,} x {columns:,} = {rows * columns:,} ({' x '.join(grid.dims)})",
        "size": grid.cell_size,
        "latitude": f"{south:.6g} to {north:.6g}",
        "longitude": f"{west:.6g} to {east:.6g}",
        "area": f"{grid.area.sum() / 1e12:.6g} million km2",
    }
    lines = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(value)}</td></tr>"
        for name, value in content.items()
    )
    return f"<table><caption>narcf_geo.Grid</caption><tbody>{lines}</tbody></table>"
