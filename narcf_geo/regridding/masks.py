"""Masks in the order of the cells of a grid."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import xarray as xr

from narcf_geo.core.errors import GridMismatchError, MissingFileError, NarcfError, UsageError
from narcf_geo.fields.formats import Opening, open_format
from narcf_geo.grid import Cells, Grid, Mesh
from narcf_geo.regridding.meshes import ROWS


def on_grid(mask: xr.DataArray | np.ndarray | None, grid: Cells, which: str) -> np.ndarray | None:
    """Return which cells of a grid take part, shape of the grid; None for a mask of None.

    Parameters
    ----------
    mask : xarray.DataArray or numpy.ndarray
        0, False and NaN leave a cell out. An array with coordinates is laid on the grid by them,
        in whatever order its axes run; one without has to have the shape of the grid.
    grid : Grid or Mesh
    which : str
        What the mask is called, for an error.

    Raises
    ------
    UsageError
        When it has another shape, or leaves no cell.
    GridMismatchError
        When it lies on another grid.

    Examples
    --------
    >>> grid = Grid.regular(0, 0, 2, 2, 1)
    >>> land = xr.DataArray([[1, 0], [1, 1]], {"lat": [1.5, 0.5], "lon": [0.5, 1.5]},
    ...                     ("lat", "lon"))
    >>> on_grid(land, grid, "source_mask").tolist()
    [[True, True], [True, False]]
    """
    if mask is None:
        return None
    if isinstance(grid, Mesh):
        values = _of_mesh(mask, grid)
    else:
        values = _laid(mask, grid, which) if isinstance(mask, xr.DataArray) else np.asarray(mask)
    if values.shape != grid.shape:
        raise UsageError(
            f"{which}: expected one value for each cell of {grid}, found the shape {values.shape}"
        )
    if values.dtype.kind not in "fiub":
        raise UsageError(f"{which}: expected numbers, found dtype {values.dtype}")
    keep = (values != 0) & (values == values)
    if not keep.any():
        raise UsageError(f"{which}: expected at least one cell to take part, found none of {grid}")
    return keep


def read_mask(text: str) -> xr.DataArray:
    """Return the mask that ``FILE:VARIABLE``, or ``FILE`` with one variable, stands for.

    Raises
    ------
    UsageError
        When the file has no such variable, or several and none is named.
    MissingFileError
        When there is no such file.
    """
    path, variable = Path(text), ""
    if not path.exists():
        name, _, variable = text.rpartition(":")
        path = Path(name)
        if not name or not path.exists():
            raise MissingFileError(f"{name or text}: no such file")
    ds = open_format(path, how=Opening(decode_times=False))
    fields = [str(n) for n, v in ds.data_vars.items() if v.ndim >= 2]
    if variable not in ds.variables and (variable or len(fields) != 1):
        found = f"found no {variable!r}" if variable else "found several"
        raise UsageError(
            f"{path}: expected the name of a mask as FILE:VARIABLE, {found}; choose from "
            f"{', '.join(fields)}"
        )
    return ds[variable or fields[0]].squeeze(drop=True).compute()


def _of_mesh(mask: xr.DataArray | np.ndarray, mesh: Mesh) -> np.ndarray:
    """Return a mask in the order of the cells of a mesh, which is that of its dimensions."""
    if isinstance(mask, xr.DataArray) and set(mesh.dims) == set(mask.dims):
        mask = mask.transpose(*mesh.dims)
    values = np.asarray(mask)
    in_rows = ROWS in mesh.dims and values.size == math.prod(mesh.shape)
    return values.reshape(mesh.shape) if in_rows else values


def _laid(mask: xr.DataArray, grid: Grid, which: str) -> np.ndarray:
    mask = mask.squeeze([d for d in mask.dims if mask.sizes[d] == 1 and d not in grid.dims])
    if mask.ndim != 2:
        raise UsageError(f"{which}: expected two dimensions, found {mask.dims}")
    try:
        own = Grid.from_dataset(mask.to_dataset(name="mask"))
    except NarcfError:
        # Without coordinates, or with some that make no grid, there is only the shape.
        return mask.values
    if set(own.dims) == set(mask.dims):
        mask = mask.transpose(*own.dims)
    if not (own.is_rectilinear and grid.is_rectilinear):
        if own.matches(grid):
            return mask.values
    else:
        index = [
            _positions(theirs, ours)
            for theirs, ours in ((own.lat, grid.lat), (own.lon % 360, grid.lon % 360))
        ]
        if index[0] is not None and index[1] is not None:
            return mask.values[np.ix_(*index)]
    raise GridMismatchError(f"{which}: expected a mask on {grid}, found one on {own}")


def _positions(places: np.ndarray, wanted: np.ndarray) -> np.ndarray | None:
    """Return where each of `wanted` stands among `places`; None where one is missing."""
    apart = np.abs((wanted[:, None] - places[None, :] + 180) % 360 - 180)
    index = apart.argmin(axis=1)
    step = np.median(np.abs(np.diff(np.sort(wanted)))) if wanted.size > 1 else 1.0
    found = apart[np.arange(wanted.size), index] <= 1e-4 * step
    return index if found.all() else None
