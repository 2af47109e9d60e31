"""Grid files of SCRIP and mesh files of ESMF."""

from __future__ import annotations

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.grid.grid import Grid
from narcf_geo.grid.layouts.common import Layout, in_degrees, indices, used_dims
from narcf_geo.grid.layouts.vertices import cells_of_vertices
from narcf_geo.grid.mesh import Mesh

_SCRIP = frozenset(
    {
        *("grid_corner_lat", "grid_corner_lon", "grid_center_lat", "grid_center_lon"),
        *("grid_dims", "grid_imask", "grid_area"),
    }
)
_ESMF = frozenset(
    {
        *("nodeCoords", "elementConn", "numElementConn", "centerCoords", "elementArea"),
        *("elementMask", "origGridDims"),
    }
)
_BREAK = -8
"""ESMF's mark between two polygons of one element."""


def recognise_scrip(ds: xr.Dataset) -> Layout | None:
    """Recognise the corners of a SCRIP grid file."""
    if not {"grid_corner_lat", "grid_corner_lon"} <= set(ds.variables):
        return None
    return Layout("SCRIP", _SCRIP, lambda: _scrip(ds))


def _scrip(ds: xr.Dataset) -> Grid | Mesh:
    lat_v, lon_v = (in_degrees(ds[f"grid_corner_{n}"]) for n in ("lat", "lon"))
    size, k = lat_v.shape
    dim = str(ds["grid_corner_lat"].dims[0])
    if {"grid_center_lat", "grid_center_lon"} <= set(ds.variables):
        lat, lon = (in_degrees(ds[f"grid_center_{n}"]) for n in ("lat", "lon"))
    else:
        mesh = Mesh.from_vertices(lon_v, lat_v)
        lon, lat = mesh.lon, mesh.lat
    mask = ds["grid_imask"].values if "grid_imask" in ds.variables else np.ones(size)
    shape = tuple(int(n) for n in ds["grid_dims"].values[::-1]) if "grid_dims" in ds else (size,)
    if len(shape) == 1 or any(dim in dims for dims in used_dims(ds, set(_SCRIP))):
        return Mesh.from_vertices(lon_v, lat_v, lon=lon, lat=lat, dims=(dim,), mask=mask)
    if np.prod(shape) != size:
        raise NarcfError(
            f"expected grid_dims whose product is the number of cells, {size}, found {shape[::-1]}"
        )
    lon_v, lat_v = lon_v.reshape(*shape, k), lat_v.reshape(*shape, k)
    lon, lat, mask = lon.reshape(shape), lat.reshape(shape), mask.reshape(shape)
    dims = ("y", "x") if len(shape) == 2 else tuple(f"dim_{n}" for n in range(len(shape)))
    if mask.all():
        return cells_of_vertices(lon_v, lat_v, lon, lat, dims)
    return Mesh.from_vertices(lon_v, lat_v, lon=lon, lat=lat, dims=dims, mask=mask)


def recognise_esmf(ds: xr.Dataset) -> Layout | None:
    """Recognise the nodes and elements of an ESMF mesh file."""
    if not {"nodeCoords", "elementConn"} <= set(ds.variables):
        return None
    return Layout("ESMF mesh", _ESMF, lambda: _esmf(ds))


def _esmf(ds: xr.Dataset) -> Mesh:
    lon_v, lat_v = in_degrees(ds["nodeCoords"]).T
    conn = ds["elementConn"]
    start = int(conn.attrs.get("start_index", 1))
    number = ds["numElementConn"].values.astype("int64") if "numElementConn" in ds else None
    if conn.ndim == 1:
        if number is None:
            raise NarcfError("expected numElementConn beside elementConn of one dimension")
        owner, flat = np.repeat(np.arange(number.size), number), conn.values.astype("int64")
        size, dim = number.size, str(ds["numElementConn"].dims[0])
    else:
        table = conn.values.astype("int64") if conn.dtype.kind in "iu" else indices(conn, 0)
        taken = indices(conn, 0) >= 0
        taken |= table == int(conn.attrs.get("polygon_break_value", _BREAK))
        if number is not None:
            taken &= np.arange(table.shape[1]) < number[:, None]
        size, dim = len(table), str(conn.dims[0])
        owner, flat = np.repeat(np.arange(size), taken.sum(axis=1)), table[taken]
    broken = flat == int(conn.attrs.get("polygon_break_value", _BREAK))
    polygon = np.cumsum(broken | (np.diff(owner, prepend=-1) != 0))[~broken]
    _, first, counts = np.unique(polygon, return_index=True, return_counts=True)
    flat, owner = flat[~broken] - start, owner[~broken][first]
    if "elementMask" in ds:
        kept = ds["elementMask"].values[owner] != 0
        flat, counts, owner = flat[np.repeat(kept, counts)], counts[kept], owner[kept]
    lon, lat = in_degrees(ds["centerCoords"]).T if "centerCoords" in ds else (None, None)
    return Mesh(lon_v, lat_v, flat, counts, owner, lon, lat, (size,), (dim,))  # type: ignore[arg-type]
