"""Meshes among grids: seen as rows and columns, so that all that regrids knows two dimensions."""

from __future__ import annotations

import math
from typing import Any

import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.grid import Cells, Grid, Mesh
from narcf_geo.regridding.copies import joined_copies

ROWS = "mesh_rows"
"""Dimension that takes the place of all but the last dimension of a mesh."""


def as_rows(cells: Cells) -> Cells:
    """Return cells of two dimensions: a mesh of one becomes a single row."""
    if isinstance(cells, Grid) or len(cells.shape) == 2:
        return cells
    *lead, last = cells.shape
    shape = math.prod(lead), last
    return Mesh(
        cells.lon_v,
        cells.lat_v,
        cells.connectivity,
        cells.counts,
        cells.owner,
        cells.lon.reshape(shape),
        cells.lat.reshape(shape),
        shape,
        (ROWS, cells.dims[-1]),
    )


def fields_as_rows(ds: xr.Dataset, cells: Cells) -> tuple[xr.Dataset, Cells]:
    """Return fields and their cells with two dimensions; other variables of the mesh are dropped.

    Parameters
    ----------
    ds : xarray.Dataset
        Fields with the dimensions of `cells`.
    cells : Grid or Mesh
        Where they lie.
    """
    rows = as_rows(cells)
    whole = [str(n) for n in ds.data_vars if set(cells.dims) <= set(ds[n].dims)]
    if rows is cells:
        return joined_copies(ds, rows, whole), rows
    if not whole:
        return ds, rows
    found = tuple(ds.sizes.get(d, n) for d, n in zip(cells.dims, cells.shape, strict=True))
    if found != cells.shape:
        raise NarcfError(
            f"expected {cells.shape} cells along {cells.dims} as in {cells}, found {found}"
        )
    last = cells.dims[-1]
    on_mesh = {n for n, v in ds.variables.items() if set(cells.dims) & set(v.dims)}
    out = ds.drop_vars(on_mesh)
    fields = {}
    for name in whole:
        variable = ds[name].variable.transpose(..., *cells.dims)
        before = variable.dims[: -len(cells.dims)]
        shape = variable.shape[: len(before)] + rows.shape
        data = variable.data.reshape(shape)
        fields[name] = xr.Variable((*before, ROWS, last), data, variable.attrs, variable.encoding)
    return joined_copies(out.assign(fields), rows, whole), rows


def without_rows(out: xr.Dataset, cells: Cells) -> xr.Dataset:
    """Return a result on `as_rows(cells)` with the dimensions of `cells`."""
    if isinstance(cells, Grid) or len(cells.shape) == 2 or ROWS not in out.dims:
        return out
    if len(cells.shape) == 1:
        return out.isel({ROWS: 0}, drop=True)
    variables = {}
    for name, variable in out.variables.items():
        if ROWS in variable.dims:
            k = variable.dims.index(ROWS)
            shape = variable.shape[:k] + cells.shape + variable.shape[k + 2 :]
            dims = variable.dims[:k] + cells.dims + variable.dims[k + 2 :]
            data = variable.data.reshape(shape)
            variables[name] = xr.Variable(dims, data, variable.attrs, variable.encoding)
    coords = [n for n in variables if n in out.coords]
    return out.drop_vars(list(variables)).assign(variables).set_coords(coords)


def labelled(out: xr.Dataset, target: Any) -> xr.Dataset:
    """Return a result on polygons with the index of their table as coordinate ``cell``."""
    index = getattr(target, "index", None)
    if not hasattr(target, "geometry") or index is None or out.sizes.get("cell") != len(index):
        return out
    return out.assign_coords(cell=("cell", index.values))
