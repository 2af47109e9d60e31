"""A grid in words: its text and what a notebook shows of it."""

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


def table(grid: Grid | Mesh) -> str:
    """Return a small HTML table: cells, size, reference system, extent and area."""
    shape = " x ".join(f"{n:,}" for n in grid.shape)
    total = f" = {math.prod(grid.shape):,}" if len(grid.shape) > 1 else ""
    plane = getattr(grid, "projection", None)
    content = {
        "cells": f"{shape}{total} ({' x '.join(grid.dims)})",
        "size": grid.cell_size,
        **({"CRS": plane.name} if plane else {}),
        **{name: f"{low} to {high}" for name, (low, high) in _extent(grid).items()},
        "area": f"{grid.area.sum() / 1e12:.6g} million km2",
    }
    lines = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(value)}</td></tr>"
        for name, value in content.items()
    )
    name = type(grid).__name__
    return f"<table><caption>narcf_geo.{name}</caption><tbody>{lines}</tbody></table>"


def described_mesh(mesh: Mesh) -> str:
    """Return the text of a mesh: cells, their corners and size, and the extent."""
    extent = "".join(f", {name} {low} to {high}" for name, (low, high) in _extent(mesh).items())
    return f"Mesh({' x '.join(map(str, mesh.shape))} cells of {mesh.cell_size}{extent})"


def mesh_size(mesh: Mesh) -> str:
    """Return the size of a cell in words; see `Mesh.cell_size`."""
    if not mesh.counts.size:
        return "none of which takes part"
    few, many = int(mesh.counts.min()), int(mesh.counts.max())
    corners = f"{few} corners" if few == many else f"{few} to {many} corners"
    area = mesh.area
    return f"{corners}, about {np.sqrt(area[area > 0].mean()) / 1000:.3g} km"


def _extent(grid: Grid | Mesh) -> dict[str, tuple[str, str]]:
    """Return the ends of each axis: x and y of a projection, latitude and longitude."""
    from narcf_geo.grid.mesh import Mesh

    if isinstance(grid, Mesh):
        south, north, west, east = (f"{end:.6g}" for end in grid.extent)
        return {"latitude": (south, north), "longitude": (west, east)}
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
