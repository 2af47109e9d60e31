"""Cells: `Grid` for rows and columns, `Mesh` for any other shape; found from any dataset."""

from __future__ import annotations

from typing import TypeAlias

from narcf_geo.grid.detect import cells_of
from narcf_geo.grid.grid import Grid
from narcf_geo.grid.mesh import Mesh

Cells: TypeAlias = Grid | Mesh

__all__ = ["Cells", "Grid", "Mesh", "cells_of"]
