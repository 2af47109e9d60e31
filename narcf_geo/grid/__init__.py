"""Grids: one immutable value that holds the cells of a structured grid."""

from __future__ import annotations

from narcf_geo.grid.grid import Grid

__all__ = ["Grid"]
