"""Cells that are in a source twice: the one that holds a value stands for both."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.grid import Cells


def joined_copies(ds: xr.Dataset, cells: Cells, names: list[str]) -> xr.Dataset:
    """Return fields in which a cell without a value has that of its copy.

    Of cells that lie on each other only the first takes part in regridding; halos are masked in
    some files, and may come first.

    Parameters
    ----------
    ds : xarray.Dataset
        Fields, the last two of whose dimensions are those of `cells`.
    cells : Grid or Mesh
        Of two dimensions.
    names : list of str
        The fields.
    """
    if cells.is_rectilinear:
        return ds
    from narcf_geo.kernels.doubled import doubled_cells

    try:
        found = doubled_cells(cells)
    except NarcfError:
        # Cells that cannot be used are refused by the weights that need them.
        return ds
    if not found.copies.size:
        return ds
    fields = {}
    for name in names:
        variable = ds[name].variable
        if variable.dtype.kind == "f":
            variable = variable.transpose(..., *cells.dims)
            fields[name] = variable.copy(data=_joined(variable.data, found))
    return ds.assign(fields)


def _joined(data: Any, found: Any) -> Any:
    if isinstance(data, np.ndarray):
        return _first_values(data, found.originals, found.copies)
    import dask.array as da

    whole = data.rechunk({data.ndim - 2: -1, data.ndim - 1: -1})
    return da.map_blocks(
        _first_values, whole, found.originals, found.copies, dtype=data.dtype, meta=whole._meta
    )


def _first_values(block: np.ndarray, originals: np.ndarray, copies: np.ndarray) -> np.ndarray:
    flat = block.reshape(*block.shape[:-2], -1).copy()
    order = np.argsort(originals, kind="stable")
    # The first copies of all cells, then the second ones of those that have more.
    start = np.r_[True, np.diff(originals[order]) != 0]
    rank = np.arange(order.size) - np.maximum.accumulate(np.where(start, np.arange(order.size), 0))
    for turn in range(int(rank.max(initial=-1)) + 1):
        some = order[rank == turn]
        here, there = flat[..., originals[some]], flat[..., copies[some]]
        flat[..., originals[some]] = np.where(np.isnan(here), there, here)
    return flat.reshape(block.shape)
