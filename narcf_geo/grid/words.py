"""A grid in words: its text and what a notebook shows of it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from narcf_geo.grid.grid import Grid


def cell_size(grid: Grid) -> str:
    """Return the size of a cell in words; see `Grid.cell_size`."""
    plane = grid.projection
    if plane is not None:
        return f"{_step(plane.y_b)} x {_step(plane.x_b)} {plane.units}"
    if grid.is_rectilinear:
        return f"{_step(grid.lat_b)} x {_step(grid.lon_b)} degree"
    return f"about {np.sqrt(grid.area.mean()) / 1000:.3g} km, curvilinear"


def described(grid: Grid) -> str:
    """Return the text of a grid: cells, their size, reference system and extent."""
    ny, nx = grid.shape
    return (
        f"Grid({ny} x {nx} cells of {grid.cell_size}"
        + (f" in {grid.projection.name}" if grid.projection else "")
        + "".join(f", {name} {low} to {high}" for name, (low, high) in _extent(grid).items())
        + ")"
    )


def table(grid: Grid) -> str:
    """Return a small HTML table: cells, size, reference system, extent and area; see `Grid`."""
    rows, columns = grid.shape
    content = {
        "cells": f"{rows:,} x {columns:,} = {rows * columns:,} ({' x '.join(grid.dims)})",
        "size": grid.cell_size,
        **({"CRS": grid.projection.name} if grid.projection else {}),
        **{name: f"{low} to {high}" for name, (low, high) in _extent(grid).items()},
        "area": f"{grid.area.sum() / 1e12:.6g} million km2",
    }
    lines = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(value)}</td></tr>"
        for name, value in content.items()
    )
    return f"<table><caption>narcf_geo.Grid</caption><tbody>{lines}</tbody></table>"


def _extent(grid: Grid) -> dict[str, tuple[str, str]]:
    """Return the ends of each axis: x and y of a projection, latitude and longitude."""
    plane = {"x": grid.projection.x_b, "y": grid.projection.y_b} if grid.projection else {}
    found = {name: (f"{edges[0]:.10g}", f"{edges[-1]:.10g}") for name, edges in plane.items()}
    for name, edges in (("latitude", grid.lat_b), ("longitude", grid.lon_b)):
        ends = (edges[0], edges[-1]) if grid.is_rectilinear else (edges.min(), edges.max())
        found[name] = f"{ends[0]:.6g}", f"{ends[1]:.6g}"
    return found


def _step(edges: np.ndarray) -> str:
    steps = np.abs(np.diff(edges))
    inner = steps[1:-1] if steps.size > 2 else steps
    if np.ptp(inner) <= 1e-3 * inner.mean():
        return f"{inner.mean():.6g}"
    return f"{steps.min():.4g}..{steps.max():.4g}"
