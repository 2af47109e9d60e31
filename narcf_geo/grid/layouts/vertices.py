"""The corners of each cell beside its centre: CF bounds, ICON, ocean grids, level-2 footprints."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from narcf_geo.grid.curvilinear import collapsed, rows_and_columns
from narcf_geo.grid.grid import Grid
from narcf_geo.grid.layouts.common import KINDS, Layout, attribute, in_degrees, used_dims
from narcf_geo.grid.mesh import Mesh
from narcf_geo.grid.sphere import to_xyz
from narcf_geo.grid.units import require_degrees

_NAMES = {
    "latitude": (
        *("lat", "latitude", "nav_lat", "clat", "tlat", "geolat", "geolat_t", "grid_center_lat"),
        *("lats", "xlat", "lat_center", "latitude_center"),
    ),
    "longitude": (
        *("lon", "longitude", "nav_lon", "clon", "tlon", "tlong", "geolon", "geolon_t"),
        *("grid_center_lon", "lons", "xlong", "lon_center", "longitude_center"),
    ),
}
_VERTICES = (
    *("{name}_vertices", "{name}_bnds", "{name}_bounds", "{name}_v", "{name}_corners"),
    *("vertex_{name}", "vertices_{name}", "bounds_{name}", "corner_{name}", "{name}_corner"),
    *("{name}b", "vertex_{kind}", "vertices_{kind}", "{kind}_bounds", "{kind}_vertices"),
)
_FAR = 3.0
"""Times the width of the other corners: beyond, a corner at exactly 0 N 0 E is a masked one."""


class Positions(NamedTuple):
    """Names of the coordinates of the cells, and of their vertices where there are any."""

    lat: str
    lon: str
    lat_v: str | None
    lon_v: str | None


def positions(ds: xr.Dataset) -> Positions | None:
    """Return the positions on which most fields of `ds` lie, best those with vertices."""
    bounds = {
        attribute(v, k).rsplit("/")[-1]
        for v in ds.variables.values()
        for k in ("bounds", "climatology")
    }
    found = {kind: [n for n in candidates(ds, kind) if n not in bounds] for kind in KINDS}
    pairs = []
    for lat in found["latitude"]:
        for lon in found["longitude"]:
            if ds[lat].dims != ds[lon].dims or not ds[lat].ndim:
                continue
            vertices = vertices_of(ds, lat, "latitude"), vertices_of(ds, lon, "longitude")
            complete = None not in vertices and ds[vertices[0]].dims == ds[vertices[1]].dims
            pairs.append(Positions(lat, lon, *(vertices if complete else (None, None))))
    geometry = {str(n) for pair in pairs for n in pair if n}
    used = used_dims(ds, geometry)

    def rank(pair: Positions) -> tuple[int, bool, bool, bool]:
        dims = set(map(str, ds[pair.lat].dims))
        standard = attribute(ds[pair.lat], "standard_name") == "latitude"
        alike = pair.lat.lower().replace("lat", "lon").rstrip("g") in pair.lon.lower()
        return sum(dims <= set(d) for d in used), pair.lat_v is not None, standard, alike

    return max(pairs, key=rank) if pairs else None


def candidates(ds: xr.Dataset, kind: str) -> list[str]:
    """Return the variables that are latitudes or longitudes by standard name, units or name."""
    units = "deg"
    found = []
    for name, v in ds.variables.items():
        if v.dtype.kind not in "fiu":
            continue
        standard = str(v.attrs.get("standard_name", "")).lower() == kind
        unit = str(v.attrs.get("units", "")).lower()
        direction = "_n" if kind == "latitude" else "_e"
        by_unit = unit.startswith(units) and direction in unit
        if standard or by_unit or str(name).lower() in _NAMES[kind]:
            found.append(str(name))
    return found


def vertices_of(ds: xr.Dataset, name: str, kind: str) -> str | None:
    """Return the variable with the corners of the cells at a coordinate, stated or usual."""
    stated = attribute(ds[name], "bounds").rsplit("/")[-1]
    usual = [pattern.format(name=name, kind=kind) for pattern in _VERTICES]
    for candidate in (stated, *usual):
        if candidate in ds.variables:
            extra = [d for d in ds[candidate].dims if d not in ds[name].dims]
            whole = set(ds[name].dims) <= set(ds[candidate].dims)
            if whole and len(extra) == 1 and ds.sizes[extra[0]] >= 3:
                return candidate
    return None


def recognise(ds: xr.Dataset) -> Layout | None:
    """Recognise cells that have their corners beside them, but for 2-D ones along x and y."""
    found = positions(ds)
    if found is None or found.lat_v is None:
        return None
    names = frozenset(n for n in found if n)
    return Layout("vertices of each cell", names, lambda: _build(ds, found))


def _build(ds: xr.Dataset, at: Positions) -> Grid | Mesh:
    require_degrees(ds[at.lat], ds[at.lon])
    dims = ds[at.lat].dims
    extra = [d for d in ds[at.lat_v].dims if d not in dims]
    units = [attribute(ds[n], "units") or None for n in (at.lat, at.lon)]
    lat, lon = (in_degrees(ds[n].transpose(*dims)) for n in (at.lat, at.lon))
    lat_v, lon_v = (
        in_degrees(ds[n].transpose(*dims, *extra), unit)
        for n, unit in zip((at.lat_v, at.lon_v), units, strict=True)
    )
    return cells_of_vertices(lon_v, lat_v, lon, lat, tuple(map(str, dims)))


def cells_of_vertices(
    lon_v: np.ndarray, lat_v: np.ndarray, lon: np.ndarray, lat: np.ndarray, dims: tuple[str, ...]
) -> Grid | Mesh:
    """Return a grid where cells of four corners join to rows and columns, otherwise a mesh.

    Parameters
    ----------
    lon_v, lat_v
        Corners (*shape, k) in degrees.
    lon, lat
        Centres of shape `shape`.
    dims
        Names of the dimensions of the cells.
    """
    if lon.ndim == 2 and lon_v.shape[-1] == 4:
        corners = rows_and_columns(lon_v, lat_v)
        if corners is not None:
            return collapsed(Grid.from_corners(*corners, lon=lon, lat=lat, dims=dims))  # type: ignore[arg-type]
    masked = _masked_corners(lon_v, lat_v)
    return Mesh.from_vertices(
        lon_v, lat_v, lon=lon, lat=lat, dims=dims, padded=lon.ndim == 1, mask=~masked
    )


def _masked_corners(lon_v: np.ndarray, lat_v: np.ndarray) -> np.ndarray:
    """Return which cells have a corner written as 0 N 0 E because it is masked.

    A true corner there is as near to the others as they are to each other.
    """
    zero = (lon_v == 0) & (lat_v == 0)
    masked = zero.all(axis=-1)
    some = np.flatnonzero(zero.any(axis=-1) & ~masked)
    k = lon_v.shape[-1]
    flat = masked.reshape(-1)
    for cell in some:
        lost = zero.reshape(-1, k)[cell]
        if lon_v.ndim == 3 and k == 4 and lost.sum() > 1:
            flat[cell] = True
            continue
        corners = to_xyz(lon_v.reshape(-1, k)[cell][~lost], lat_v.reshape(-1, k)[cell][~lost])
        middle = corners.mean(axis=0)
        spread = 2 * np.linalg.norm(corners - middle, axis=-1).max()
        away = np.linalg.norm(middle - np.array([1.0, 0.0, 0.0]))
        flat[cell] = bool(away > _FAR * spread)
    return flat.reshape(masked.shape)
