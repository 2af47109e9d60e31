"""Grids and weights exchanged with xESMF."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import sparse

from narcf_geo.grid import Cells, Grid
from narcf_geo.regridding.weights import SparseWeights


def weights_of_xesmf(regridder: object, source: Cells, target: Cells) -> SparseWeights:
    """Return the weights of an `xesmf.Regridder` made for these two grids."""
    coo = regridder.weights.data  # type: ignore[attr-defined]
    csr = sparse.csr_array((coo.data, (coo.coords[0], coo.coords[1])), shape=coo.shape)
    csr.data[np.isnan(csr.data)] = 0.0
    csr.eliminate_zeros()
    return SparseWeights(source, target, csr, regridder.method)  # type: ignore[attr-defined]


def xesmf_grid(grid: Grid) -> xr.Dataset:
    """Return `grid` as the dataset of centres and corners that xESMF takes."""
    lon, lat = grid.centers()
    lon_b, lat_b = grid.corners()
    corner_dims = tuple(f"{d}_b" for d in grid.dims)
    return xr.Dataset(
        coords={
            "lon": (grid.dims, lon, {"standard_name": "longitude"}),
            "lat": (grid.dims, lat, {"standard_name": "latitude"}),
            "lon_b": (corner_dims, lon_b),
            "lat_b": (corner_dims, lat_b),
        }
    )
