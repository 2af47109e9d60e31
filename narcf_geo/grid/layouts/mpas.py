"""MPAS: Voronoi cells between vertices, positions in radians, counted from 1."""

from __future__ import annotations

import numpy as np
import xarray as xr

from narcf_geo.grid.layouts.common import Layout, in_degrees, indices, padded
from narcf_geo.grid.mesh import Mesh

_NAMES = frozenset(
    {
        *("lonVertex", "latVertex", "xVertex", "yVertex", "zVertex", "indexToVertexID"),
        *("lonCell", "latCell", "xCell", "yCell", "zCell", "indexToCellID", "areaCell"),
        *("verticesOnCell", "edgesOnCell", "cellsOnCell", "nEdgesOnCell", "meshDensity"),
        *("cellsOnVertex", "edgesOnVertex", "kiteAreasOnVertex", "areaTriangle"),
        *("lonEdge", "latEdge", "cellsOnEdge", "verticesOnEdge", "edgesOnEdge", "weightsOnEdge"),
    }
)


def recognise(ds: xr.Dataset) -> Layout | None:
    """Recognise the mesh variables of MPAS."""
    if not {"lonVertex", "latVertex", "verticesOnCell", "nEdgesOnCell"} <= set(ds.variables):
        return None
    return Layout("MPAS", _NAMES, lambda: _build(ds))


def _build(ds: xr.Dataset) -> Mesh:
    corners = indices(ds["verticesOnCell"].transpose("nCells", ...), start=1)
    # Beyond the edges of a cell the file may hold any vertex.
    corners[np.arange(corners.shape[1]) >= ds["nEdgesOnCell"].values[:, None]] = -1
    flat, counts = padded(corners)
    lon_v, lat_v = (_degrees(ds[n]) for n in ("lonVertex", "latVertex"))
    have_centers = {"lonCell", "latCell"} <= set(ds.variables)
    lon, lat = (_degrees(ds[n]) if have_centers else None for n in ("lonCell", "latCell"))
    owner = np.arange(counts.size)
    return Mesh(lon_v, lat_v, flat, counts, owner, lon, lat, (counts.size,), ("nCells",))  # type: ignore[arg-type]


def _degrees(variable: xr.DataArray) -> np.ndarray:
    """Return degrees: MPAS writes radians, in older files without saying so."""
    return in_degrees(variable, "radian")
