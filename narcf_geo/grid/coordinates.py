"""The cells of a grid as CF coordinates, bounds and grid mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from narcf_geo.grid.grid import Grid
    from narcf_geo.grid.projection import Projection

LAT_ATTRS = {
    "standard_name": "latitude",
    "long_name": "latitude",
    "units": "degrees_north",
    "axis": "Y",
}
LON_ATTRS = {
    "standard_name": "longitude",
    "long_name": "longitude",
    "units": "degrees_east",
    "axis": "X",
}


CELL_EDGES = "cell_edges"
"""Attribute of an axis of a single cell: its two edges, degrees.

One centre has no spacing, and a DataArray cannot hold the bounds of its axes.
"""

MOST_VERTICES = 1_000_000
"""Cells of a projected grid that are given with their vertices, 64 bytes each.

CDO and xESMF need them for conservative regridding; x, y and the grid mapping say the same.
"""


def cf_coords(grid: Grid) -> dict[str, xr.DataArray]:
    """Return the coordinates of a grid; see `Grid.coords`."""
    if grid.projection is not None:
        few = grid.shape[0] * grid.shape[1] <= MOST_VERTICES
        coords = grid.projection.coords(grid.dims) | _positions(grid, few)
    elif grid.is_rectilinear:
        coords = _axes(grid)
    else:
        coords = _positions(grid, True)
    for coord in coords.values():
        coord.encoding["_FillValue"] = None
    return coords


def _axes(grid: Grid) -> dict[str, xr.DataArray]:
    coords = {}
    named: dict[str, Any]
    for dim, centers, edges, attrs in zip(
        grid.dims,
        (grid.lat, grid.lon),
        (grid.lat_b, grid.lon_b),
        (LAT_ATTRS, LON_ATTRS),
        strict=True,
    ):
        named = attrs | {"bounds": f"{dim}_bnds"}
        if centers.size == 1:
            named[CELL_EDGES] = edges.tolist()
        coords[dim] = xr.DataArray(centers, dims=dim, attrs=named)
        pairs = np.stack([edges[:-1], edges[1:]], axis=1)
        coords[f"{dim}_bnds"] = xr.DataArray(pairs, dims=(dim, "bnds"))
    return coords


def _positions(grid: Grid, vertices: bool) -> dict[str, xr.DataArray]:
    """Return 2-D latitudes and longitudes, and the four vertices of each cell."""
    coords = {}
    for center, corner, attrs in zip(
        grid.centers(), grid.corners(), (LON_ATTRS, LAT_ATTRS), strict=True
    ):
        name = attrs["standard_name"] if attrs["standard_name"][:3] in grid.dims else ""
        name = name or attrs["standard_name"][:3]
        kept = {k: v for k, v in attrs.items() if k != "axis"}
        if vertices:
            kept["bounds"] = f"{name}_bnds"
            coords[f"{name}_bnds"] = xr.DataArray(quads(corner), dims=(*grid.dims, "nv"))
        coords[name] = xr.DataArray(center, dims=grid.dims, attrs=kept)
    return coords


def mapping_attributes(projection: Projection | None) -> dict[str, Any]:
    """Return the attributes of a grid mapping variable; see `Grid.grid_mapping`."""
    from narcf_geo.grid.projection import cf_attributes, parsed_crs

    crs = parsed_crs("EPSG:4326") if projection is None else projection.crs
    attrs = cf_attributes(crs)
    # GDAL and rioxarray look for spatial_ref.
    return {"long_name": "coordinate reference system", **attrs, "spatial_ref": attrs["crs_wkt"]}


def quads(corners: np.ndarray) -> np.ndarray:
    """Return the four corners of each cell in turn, shape (ny, nx, 4)."""
    return np.stack(
        [corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]], axis=-1
    )
