"""The grid of x and y axes and a grid mapping: their units, edges and centres."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.grid.build import in_plane
from narcf_geo.grid.globe import placed
from narcf_geo.grid.grid import Grid
from narcf_geo.grid.layouts.edge import cells_on_globe
from narcf_geo.grid.mesh import Mesh
from narcf_geo.grid.projection import Projection
from narcf_geo.grid.sphere import edges_from_centers
from narcf_geo.grid.units import metres_per, require_stated

if TYPE_CHECKING:
    from pyproj import CRS


FARTHEST = 1e8
"""Metres from the origin that no false easting reaches."""


def projected_cells(ds: xr.Dataset, x: xr.DataArray, y: xr.DataArray, crs: CRS) -> Grid | Mesh:
    """Return the cells between two axes of `ds` in a reference system, in the order of the axes."""
    u, v = plane_values(x, crs), plane_values(y, crs)
    edges = plane_edges(ds, x, crs), plane_edges(ds, y, crs)
    return cells_in_plane(Projection(crs.to_wkt(), *edges, u, v), (str(y.dims[0]), str(x.dims[0])))


def cells_in_plane(plane: Projection, dims: tuple[str, str] | None = None) -> Grid | Mesh:
    """Return the cells of a projection.

    They are a mesh where corners are off the globe, as of full disks, of maps of the world and of
    tiles at their rim: such cells take no part.
    """
    where = placed(plane)
    if np.isfinite(where.lon_b).all() and np.isfinite(where.lat_b).all():
        return in_plane(plane, where, dims)
    return replace(cells_on_globe(where, dims or plane.usual_dims), projection=plane)


def plane_values(axis: xr.DataArray, crs: CRS) -> np.ndarray:
    """Return the values of an x or y axis in units of the reference system."""
    require_stated(axis, crs)
    scale = metres_per(str(axis.attrs.get("units", "")), str(axis.name), crs)
    return axis.values.astype("float64") * scale


def false_origin(mapping: dict[str, Any], x: xr.DataArray, y: xr.DataArray) -> dict[str, float]:
    """Return the false easting and northing of CF attributes in metres, as pyproj takes them.

    CF has them in the unit of the axes. Where that puts the origin beyond any place on Earth, as
    for axes that were turned into km by hand, they are metres already.
    """
    from narcf_geo.core.units import is_convertible, linear

    found: dict[str, float] = {}
    if "crs_wkt" in mapping or "spatial_ref" in mapping:
        return found
    for key, axis in (("false_easting", x), ("false_northing", y)):
        units, given = str(axis.attrs.get("units", "")), mapping.get(key, 0.0)
        if given and units != "m" and is_convertible(units, "m"):
            metres = float(given) * linear(units, "m")[0]
            found[key] = metres if abs(metres) < FARTHEST else float(given)
    return found


def plane_edges(ds: xr.Dataset, axis: xr.DataArray, crs: CRS) -> np.ndarray:
    """Return the edges of cells along an x or y axis in units of the reference system."""
    return _axis_edges(ds, axis, plane_values(axis, crs), crs)


def _axis_edges(ds: xr.Dataset, axis: xr.DataArray, centers: np.ndarray, crs: CRS) -> np.ndarray:
    bounds = axis.attrs.get("bounds") or axis.encoding.get("bounds")
    if bounds in ds.variables and ds[bounds].shape == (axis.size, 2):
        own = {"units": ds[bounds].attrs.get("units", axis.attrs.get("units", ""))}
        values = plane_values(ds[bounds].assign_attrs(own), crs)
        return edges_of_bounds(values, centers, axis, limit=np.inf)
    if centers.size < 2:
        edges = _of_transform(ds, axis, centers[0])
        if edges is None:
            raise NarcfError(
                f"expected at least two values along {axis.name!r}, found one; add bounds to the "
                "axis"
            )
        return edges
    return _evened(edges_from_centers(centers), axis.dtype)


def _of_transform(ds: xr.Dataset, axis: xr.DataArray, center: float) -> np.ndarray | None:
    """Return the edges of a single pixel by the GeoTransform of a raster."""
    texts = [v.attrs["GeoTransform"] for v in ds.variables.values() if "GeoTransform" in v.attrs]
    if not texts:
        return None
    numbers = [float(n) for n in str(texts[0]).split()]
    size = numbers[1] if str(axis.name) == "x" else numbers[5]
    return np.array([center - size / 2, center + size / 2])


def _evened(edges: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Undo the rounding of an even axis, single precision most of all."""
    even = np.linspace(edges[0], edges[-1], edges.size)
    eps = np.finfo(dtype).eps if dtype.kind == "f" else np.finfo("float64").eps
    return even if np.abs(even - edges).max() <= 4 * eps * np.abs(edges).max() else edges


def edges_of_bounds(
    bounds: np.ndarray, centers: np.ndarray, axis: xr.DataArray, limit: float | None
) -> np.ndarray:
    """Return the n + 1 edges of cells with bounds (n, 2).

    Parameters
    ----------
    bounds, centers : numpy.ndarray
        Of the cells, in the same unit.
    axis : xarray.DataArray
        The axis, for the error.
    limit : float, optional
        Largest edge; None for longitudes, which are brought to the turn of `centers`.

    Raises
    ------
    NarcfError
        When the bounds leave gaps, or lie elsewhere than the centres.
    """
    if limit is None:
        bounds = centers[:, None] + (bounds - centers[:, None] + 180) % 360 - 180
        # A cell of more than half the globe, or bounds exactly 180 degrees off, has no unique side.
        bounds[:, 1][bounds[:, 1] == bounds[:, 0]] += 360
    else:
        bounds = np.clip(bounds, -limit, limit)
    rising = centers.size < 2 or centers[-1] > centers[0]
    low, high = bounds.min(1), bounds.max(1)
    _require_within(low, high, centers, axis)
    first, second = (low, high) if rising else (high, low)
    gap = np.abs(first[1:] - second[:-1])
    if gap.size and gap.max() > 1e-3 * np.median(high - low):
        k = int(gap.argmax())
        raise NarcfError(
            f"expected the bounds of {axis.name!r} to join, found cell {k} ending at "
            f"{second[k]:g} and cell {k + 1} starting at {first[k + 1]:g}; correct the bounds or "
            "drop them to take the edges half way between the centres"
        )
    return np.concatenate([first, second[-1:]])


def _require_within(
    low: np.ndarray, high: np.ndarray, centers: np.ndarray, axis: xr.DataArray
) -> None:
    off = np.maximum(low - centers, centers - high)
    if off.max() > 0.01 * np.median(high - low):
        k = int(off.argmax())
        raise NarcfError(
            f"expected each value of {axis.name!r} within its bounds, found {centers[k]:g} for the "
            f"cell from {low[k]:g} to {high[k]:g}; correct the bounds or drop them to take the "
            "edges half way between the centres"
        )
