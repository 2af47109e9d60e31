"""What a notebook shows of a grid or mesh."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from narcf_geo.grid.grid import Grid
    from narcf_geo.grid.mesh import Mesh


def table(grid: Grid | Mesh) -> str:
    """Return a small HTML table: cells, size, extent and area; see `Grid`."""
    shape = " x ".join(f"{n:,}" for n in grid.shape)
    number = f"{shape} = {math.prod(grid.shape):,}" if len(grid.shape) > 1 else shape
    south, north, west, east = grid.extent
    content = {
        "cells": f"{number} ({' x '.join(grid.dims)})",
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
    return (
        f"<table><caption>narcf_geo.{type(grid).__name__}</caption><tbody>{lines}</tbody></table>"
    )
