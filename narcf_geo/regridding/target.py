"""What may stand for a target grid: a grid, a resolution, another dataset, or a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import xarray as xr

from narcf_geo.core.errors import MissingFileError, NarcfError, UsageError
from narcf_geo.fields.formats import Opening, open_format
from narcf_geo.grid import Cells, Grid, Mesh, cells_of

Box: TypeAlias = tuple[float, float, float, float]
"""West, south, east and north in degrees."""

Target: TypeAlias = (
    Grid | Mesh | float | Sequence[float] | xr.Dataset | xr.DataArray | str | os.PathLike[str] | Any
)
"""A grid or mesh, or a resolution in degrees (one, or longitude and latitude), a dataset, a
GeoDataFrame or a path."""


def target_grid(target: Target, source: Cells, bounds: Box | None = None) -> Cells:
    """Return the grid or mesh that `target` stands for.

    Parameters
    ----------
    target : Grid, Mesh, float, pair of float, xarray.Dataset, GeoDataFrame or path
        A resolution in degrees, for both directions or (longitude, latitude), fills `bounds`; of a
        dataset or a file the grid is taken, of a GeoDataFrame the polygons.
    source : Grid or Mesh
        Where the data come from.
    bounds : tuple of float, optional
        West, south, east and north in degrees, for a resolution; by default the extent of `source`,
        moved outwards to whole cells.

    Raises
    ------
    UsageError
        When `target` is none of these, a resolution is not positive, or bounds stand beside a whole
        grid.
    MissingFileError
        When there is no such file.

    Examples
    --------
    >>> target_grid((5, 2.5), Grid.regular(-101, 41, -89, 49, 1))
    Grid(4 x 4 cells of 2.5 x 5 degree, latitude 40 to 50, longitude -105 to -85)
    """
    steps = _resolution(target)
    if steps is not None:
        dlon, dlat = steps
        return Grid.regular(*(bounds or _extent(source, dlon, dlat)), (dlon, dlat))
    if bounds is not None:
        raise UsageError("expected bounds only beside a resolution, found them beside a whole grid")
    if isinstance(target, Grid | Mesh):
        return target
    if isinstance(target, xr.Dataset | xr.DataArray):
        return cells_of(target)
    if hasattr(target, "geometry"):
        return Mesh.from_polygons(target)
    if isinstance(target, str | os.PathLike):
        return grid_of_file(Path(target))
    raise UsageError(
        "expected a Grid or Mesh to regrid to, a resolution in degrees, a dataset, a GeoDataFrame "
        f"or a path, found {type(target).__name__}"
    )


def grid_of_file(path: Path) -> Cells:
    """Return the cells of the fields in a file."""
    if not path.exists():
        raise MissingFileError(f"{path}: no such file")
    with open_format(path, how=Opening(decode_times=False)) as ds:
        return cells_of(ds)


def _resolution(target: Target) -> tuple[float, float] | None:
    """Return longitude and latitude steps; None for what is no number or pair of numbers."""
    taken = str | os.PathLike | Grid | Mesh | xr.Dataset | xr.DataArray
    if isinstance(target, taken) or hasattr(target, "geometry"):
        return None
    try:
        steps = np.asarray(target, "float64")
    except (TypeError, ValueError):
        return None
    if steps.shape not in ((), (1,), (2,)):
        return None
    if not (np.isfinite(steps).all() and (steps > 0).all()):
        raise UsageError(f"expected a positive resolution in degrees, found {target}")
    dlon, dlat = np.broadcast_to(steps, 2).tolist()
    return dlon, dlat


def _extent(source: Cells, dlon: float, dlat: float) -> Box:
    """Return the box of whole cells around `source`; all longitudes when it crosses 180 degrees."""

    def outward(low: float, high: float, step: float, limit: float) -> tuple[float, float]:
        low = np.floor(low / step + 1e-6) * step
        high = np.ceil(high / step - 1e-6) * step
        return max(low, -limit), min(high, limit)

    south, north, west, east = source.extent
    if isinstance(source, Mesh):
        south, north, west, east = _around(source)
    elif not source.is_rectilinear and np.abs(np.diff(source.lon_b)).max() > 180:
        west, east = -180.0, 180.0
    south, north = outward(south, north, dlat, 90.0)
    if west >= 180:
        west, east = west - 360, east - 360
    if west < -180 or east > 180:
        west, east = -180.0, 180.0
    west, east = outward(west, east, dlon, 180.0)
    return west, south, east, north


def _around(mesh: Mesh) -> tuple[float, float, float, float]:
    """Return south, north, west and east of a mesh, with the poles that its cells hold."""
    south, north, west, east = mesh.extent
    lon, lat = mesh.corner_positions()
    if not lon.size:
        raise NarcfError(f"expected cells that take part, found {mesh}")
    last = np.cumsum(mesh.counts) - 1
    after = np.arange(lon.size) + 1
    after[last] = last - mesh.counts + 1
    steps = lon[after] - lon
    turns = (steps + 180) % 360 - 180
    if np.abs(steps).max() > 180:
        west, east = -180.0, 180.0
    first = last - mesh.counts + 1
    around = np.abs(np.add.reduceat(turns, first)) > 180
    if around.any():
        middle = np.add.reduceat(lat, first)[around]
        north = 90.0 if (middle > 0).any() else north
        south = -90.0 if (middle < 0).any() else south
    return south, north, west, east
