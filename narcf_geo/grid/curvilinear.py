"""Grids of 2-D latitudes and longitudes: corners, four vertices a cell, or centres alone."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.grid.grid import Grid
from narcf_geo.grid.sphere import corners_from_centers, to_xyz


def four_corners(ds: xr.Dataset, lat: xr.DataArray, lon: xr.DataArray) -> Grid | None:
    """Return the grid of 2-D centres with four CF vertices a cell.

    None when there are none, or when neighbours do not share theirs.
    """
    names = [v.attrs.get("bounds") or v.encoding.get("bounds") for v in (lat, lon)]
    if not all(n in ds.variables and ds[n].ndim == 3 for n in names):
        return None
    vertex = [d for d in ds[names[0]].dims if d not in lat.dims]
    lat_v, lon_v = (ds[n].transpose(*lat.dims, *vertex).values.astype("float64") for n in names)
    if lat_v.shape != (*lat.shape, 4):
        return None
    corners = rows_and_columns(lon_v, lat_v)
    if corners is not None:
        dims = str(lat.dims[0]), str(lat.dims[1])
        return Grid.from_corners(
            *corners, lon=lon.transpose(*lat.dims).values, lat=lat.values, dims=dims
        )
    return None


def rows_and_columns(lon_v: np.ndarray, lat_v: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the corners (ny + 1, nx + 1) that cells with vertices (ny, nx, 4) share.

    None where neighbours do not join, a corner is missing, or a cell is masked by its corners.
    """
    p = to_xyz(lon_v, lat_v)
    diagonal = np.linalg.norm(p[..., 0, :] - p[..., 2, :], axis=-1)
    if not np.isfinite(p).all() or min(lon_v.shape[:2]) < 1:
        return None
    tolerance = 1e-3 * np.median(diagonal) + 1e-7
    for order in [
        (k, (k + s) % 4, (k + 2 * s) % 4, (k + 3 * s) % 4) for s in (1, -1) for k in range(4)
    ]:
        a, b, c, d = (p[..., k, :] for k in order)
        if (
            _close(a[:, 1:], b[:, :-1], tolerance)
            and _close(a[1:], d[:-1], tolerance)
            and _close(c[:-1, :-1], a[1:, 1:], tolerance)
        ):
            lon_c, lat_c = (_joined(v[..., list(order)]) for v in (lon_v, lat_v))
            return lon_c, lat_c
    return None


def _close(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    return bool((np.abs(a - b) <= tolerance).all())


def _joined(vertices: np.ndarray) -> np.ndarray:
    """Return shared corners (ny + 1, nx + 1) of cells with vertices (ny, nx, 4) in turn."""
    ny, nx = vertices.shape[:2]
    corners = np.empty((ny + 1, nx + 1))
    corners[:-1, :-1] = vertices[..., 0]
    corners[:-1, -1] = vertices[:, -1, 1]
    corners[-1, -1] = vertices[-1, -1, 2]
    corners[-1, :-1] = vertices[-1, :, 3]
    return corners


def interpolated(lat: xr.DataArray, lon: xr.DataArray) -> Grid:
    """Return the grid of 2-D centres, its corners interpolated, with a warning."""
    if min(lat.shape) < 2:
        raise NarcfError(
            f"expected at least 2 x 2 cell centres in {lat.name!r}, found shape {lat.shape}; "
            "add CF bounds with the four corners of each cell"
        )
    warnings.warn(
        f"{lat.name!r} and {lon.name!r} have no bounds and no grid mapping: cell corners are "
        "interpolated from the centres; add CF bounds or the grid mapping for exact ones",
        UserWarning,
        stacklevel=4,
    )
    lat_v, lon_v = lat.values.astype("float64"), lon.transpose(*lat.dims).values.astype("float64")
    corners = corners_from_centers(lon_v, lat_v)
    dims = str(lat.dims[0]), str(lat.dims[1])
    return Grid.from_corners(*corners, lon=lon_v, lat=lat_v, dims=dims)


def collapsed(grid: Grid) -> Grid:
    """Return the rectilinear grid when 2-D corners are meridians and parallels."""
    if grid.is_rectilinear:
        return grid
    lon_b = np.unwrap(grid.lon_b[grid.shape[0] // 2], period=360)
    lat_b = grid.lat_b[:, 0]
    off_lon = np.abs((grid.lon_b - lon_b + 180) % 360 - 180) * np.cos(np.radians(grid.lat_b))
    if off_lon.max() > 1e-5 or np.abs(grid.lat_b - lat_b[:, None]).max() > 1e-5:
        return grid
    lon = np.unwrap(grid.lon[grid.shape[0] // 2], period=360)
    return Grid.from_corners(lon_b, lat_b, lon=lon, lat=grid.lat[:, 0], dims=grid.dims)
