"""Reduced Gaussian grids as a list of places: rows of latitude with their own numbers of cells."""

from __future__ import annotations

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.grid.layouts.common import Layout, attribute, in_degrees, used_dims
from narcf_geo.grid.layouts.corners import mesh_of_rings
from narcf_geo.grid.layouts.vertices import positions
from narcf_geo.grid.mesh import Mesh
from narcf_geo.grid.sphere import edges_from_centers, gaussian_edges

_KINDS = ("reduced_gg", "gaussian_reduced", "reduced_ll")

_STEP = 0.5
"""Degrees: longer pieces of a parallel are divided, each piece being a great circle."""

_POINTS = ("reduced_points", "GRIB_pl", "pl")


def recognise(ds: xr.Dataset) -> Layout | None:
    """Recognise what GRIB readers and CDO write of reduced grids."""
    for name, v in ds.variables.items():
        kind = attribute(v, "GRIB_gridType") or attribute(v, "CDI_grid_type")
        if kind in _KINDS:
            return Layout("reduced Gaussian", _geometry(ds), lambda n=str(name): _build(ds, n))  # type: ignore[misc]
    return None


def _geometry(ds: xr.Dataset) -> frozenset[str]:
    found = positions(ds)
    names = {n for n in (found or ()) if n}
    return frozenset(names | {n for n in _POINTS if n in ds.variables})


def _build(ds: xr.Dataset, name: str) -> Mesh:
    found = positions(ds)
    points = _row_lengths(ds, name)
    if found is not None and ds[found.lat].ndim == 1 and ds[found.lat].dims == ds[found.lon].dims:
        lat, lon = in_degrees(ds[found.lat]), in_degrees(ds[found.lon])
        return gaussian_mesh(lon, lat, points, str(ds[found.lat].dims[0]))
    axis = next((n for n in ("lat", "latitude") if n in ds.variables and ds[n].ndim == 1), None)
    if points is None or axis is None or ds[axis].size != points.size:
        raise NarcfError(
            "expected the latitude and longitude of each cell of the reduced Gaussian grid, or "
            "its latitudes with the number of cells of each row (reduced_points), found neither"
        )
    rows = in_degrees(ds[axis])
    lat = np.repeat(rows, points)
    lon = np.concatenate([np.arange(n) * (360.0 / n) for n in points])
    dims = [d for dims in used_dims(ds, set()) for d in dims if ds.sizes[d] == lat.size]
    if not dims:
        raise NarcfError(
            f"expected a dimension of {lat.size} cells, the sum of reduced_points, found "
            f"{dict(ds.sizes)}"
        )
    return gaussian_mesh(lon, lat, points, dims[0])


def _row_lengths(ds: xr.Dataset, name: str) -> np.ndarray | None:
    for key in _POINTS:
        if key in ds.variables:
            return np.asarray(ds[key].values, "int64").ravel()
        if key in ds[name].attrs:
            return np.asarray(ds[name].attrs[key], "int64").ravel()
    return None


def gaussian_mesh(
    lon: np.ndarray, lat: np.ndarray, points: np.ndarray | None = None, dim: str = "values"
) -> Mesh:
    """Return the cells of a reduced Gaussian grid.

    Edges in latitude are those of the quadrature weights for a full set of Gaussian latitudes,
    half way between rows otherwise; in longitude half way between neighbours. A parallel is drawn
    by great circles between the corners of the rows on both sides of it, half a degree at most.

    Parameters
    ----------
    lon, lat : numpy.ndarray
        Centres in degrees, row after row, shape (cells,).
    points : numpy.ndarray, optional
        Number of cells of each row; by default rows are cells of one latitude.
    dim : str
        Name of the dimension.

    Raises
    ------
    NarcfError
        When a row is not evenly spaced around the globe.
    """
    breaks = np.flatnonzero(np.abs(np.diff(lat)) > 1e-9) + 1
    start = np.concatenate([[0], breaks if points is None else np.cumsum(points)[:-1]])
    number = np.diff(np.append(start, lat.size))
    rows = lat[start]
    if points is not None and (points.sum() != lat.size or np.ptp(lat - np.repeat(rows, number))):
        raise NarcfError(
            f"expected rows of one latitude with {points[:3]}... cells and {points.sum()} in all, "
            f"found {lat.size} places"
        )
    if rows.size < 2 or (not (np.diff(rows) > 0).all() and not (np.diff(rows) < 0).all()):
        raise NarcfError("expected rows of rising or falling latitude, found others")
    row = np.repeat(np.arange(rows.size), number)
    offset = lon - lon[start][row] - (np.arange(lat.size) - start[row]) * (360.0 / number)[row]
    if np.abs((offset + 180) % 360 - 180).max() > 1e-3 * 360 / number.max():
        k = int(np.abs((offset + 180) % 360 - 180).argmax())
        raise NarcfError(
            f"expected {number[row[k]]} cells evenly around the row at {lat[k]:g} degrees, found "
            f"longitude {lon[k]:g} at place {k}; parts of a reduced grid have no cell edges of "
            "their own: regrid the whole and take a part of that"
        )
    edges = gaussian_edges(rows)
    edges = np.clip(edges_from_centers(rows), -90, 90) if edges is None else edges
    west = [lon[s] % 360 - 180 / n for s, n in zip(start, number, strict=True)]
    places = _breakpoints(west, number)
    rings = []
    for k, n in enumerate(number):
        bounds = west[k] + np.arange(n + 1) * (360.0 / n)
        low, high = (_between(places[e], bounds) for e in (k, k + 1))
        for upper, lower in zip(high, low, strict=True):
            ring_lon = np.concatenate([upper, lower[::-1]])
            ring_lat = np.repeat([edges[k + 1], edges[k]], [upper.size, lower.size])
            rings.append((ring_lon, ring_lat))
    counts = np.array([r[0].size for r in rings])
    lon_v, lat_v = (np.concatenate(v) for v in zip(*rings, strict=True))
    return mesh_of_rings(lon_v, lat_v, counts, lon=lon, lat=lat, dims=(dim,))


def _breakpoints(west: list[float], number: np.ndarray) -> list[np.ndarray]:
    """Return for each parallel the longitudes (0..360) where a cell on either side begins."""
    even = np.arange(0, 360, _STEP)
    rows = [(w + np.arange(n) * (360.0 / n)) % 360 for w, n in zip(west, number, strict=True)]
    places = []
    for k in range(len(rows) + 1):
        sides = rows[max(k - 1, 0) : k + 1]
        found = np.unique(np.round(np.concatenate([even, *sides]), 9) % 360)
        places.append(found)
    return places


def _between(places: np.ndarray, bounds: np.ndarray) -> list[np.ndarray]:
    """Return the break points from each bound to the next, both included."""
    turns = np.concatenate([places - 360, places, places + 360])
    bounds = np.round(bounds, 9)
    first = np.searchsorted(turns, bounds[:-1] + 1e-7)
    last = np.searchsorted(turns, bounds[1:] - 1e-7)
    return [
        np.concatenate([[a], turns[i:j], [b]])
        for a, b, i, j in zip(bounds[:-1], bounds[1:], first, last, strict=True)
    ]
