"""A grid or mesh in words: its text and what a notebook shows of it."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from narcf_geo.grid.grid import Grid
    from narcf_geo.grid.mesh import Mesh


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


def cells_in_words(mesh: Mesh) -> str:
    """Return number of corners and size of the cells of a mesh; see `Mesh.cell_size`."""
    if not mesh.counts.size:
        return "none of which takes part"
    few, many = int(mesh.counts.min()), int(mesh.counts.max())
    corners = f"{few} corners" if few == many else f"{few} to {many} corners"
    area = mesh.area[mesh.area > 0]
    if not area.size:
        return f"{corners}, without an area"
    return f"{corners}, about {np.sqrt(area.mean()) / 1000:.3g} km"


def mesh_in_words(mesh: Mesh) -> str:
    """Return the text of a mesh: cells, their size and extent."""
    south, north, west, east = mesh.extent
    return (
        f"Mesh({' x '.join(map(str, mesh.shape))} cells of {mesh.cell_size}"
        + (f" in {mesh.projection.name}" if mesh.projection else "")
        + f", latitude {south:.6g} to {north:.6g}, longitude {west:.6g} to {east:.6g})"
    )


def table(grid: Grid | Mesh) -> str:
    """Return a small HTML table: cells, size, reference system, extent and area; see `Grid`."""
    from narcf_geo.grid.grid import Grid

    shape = " x ".join(f"{n:,}" for n in grid.shape)
    number = f"{shape} = {math.prod(grid.shape):,}" if len(grid.shape) > 1 else shape
    content = {"cells": f"{number} ({' x '.join(grid.dims)})", "size": grid.cell_size}
    if isinstance(grid, Grid):
        content |= {"CRS": grid.projection.name} if grid.projection else {}
        content |= {name: f"{low} to {high}" for name, (low, high) in _extent(grid).items()}
    else:
        south, north, west, east = grid.extent
        content["latitude"] = f"{south:.6g} to {north:.6g}"
        content["longitude"] = f"{west:.6g} to {east:.6g}"
    content["area"] = f"{grid.area.sum() / 1e12:.6g} million km2"
    lines = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(value)}</td></tr>"
        for name, value in content.items()
    )
    return (
        f"<table><caption>narcf_geo.{type(grid).__name__}</caption><tbody>{lines}</tbody></table>"
    )


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
