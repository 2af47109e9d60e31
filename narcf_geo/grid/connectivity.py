"""How the polygons of a mesh hang together: corners, vertices, cells, on plain arrays."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.grid.coordinates import LAT_ATTRS, LON_ATTRS
from narcf_geo.grid.sphere import excess, to_lonlat, to_xyz

if TYPE_CHECKING:
    from narcf_geo.grid.mesh import Mesh

LARGE = 1e-4
"""Area on the unit sphere (60 km x 60 km on Earth) from which a polygon is no small one."""

MOST_CORNERS = 64
"""Cells of more corners are written without bounds, which would be padded to the longest."""


def frozen(value: np.ndarray) -> np.ndarray:
    """Return an array that nobody can write to."""
    value = np.ascontiguousarray(value)
    value.flags.writeable = False
    return value


def filled(values: Any) -> np.ndarray:
    """Return numbers in double precision, NaN where they are masked."""
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype("float64"), np.nan)
    return np.asarray(values, "float64")


def finite_or_nan(values: Any) -> np.ndarray:
    """Return a copy of numbers in double precision, NaN for infinite ones."""
    values = np.array(values, "float64")
    values[np.isinf(values)] = np.nan
    return values


def require_connected(
    lon_v: np.ndarray,
    lat_v: np.ndarray,
    connectivity: np.ndarray,
    counts: np.ndarray,
    owner: np.ndarray,
    size: int,
) -> None:
    """Refuse polygons whose corners, vertices and cells do not fit together."""
    if lon_v.shape != lat_v.shape:
        raise NarcfError(
            f"expected as many longitudes as latitudes of vertices, found {lon_v.size} and "
            f"{lat_v.size}"
        )
    if counts.sum() != connectivity.size or (counts < 0).any():
        raise NarcfError(
            f"expected a vertex for each of the {counts.sum()} corners of {counts.size} polygons, "
            f"found {connectivity.size}"
        )
    if connectivity.size and not 0 <= connectivity.min() <= connectivity.max() < lon_v.size:
        raise NarcfError(
            f"expected corners among vertices 0 to {lon_v.size - 1}, found "
            f"{connectivity.min()} to {connectivity.max()}; do they count from 1?"
        )
    if owner.shape != counts.shape or (np.diff(owner) < 0).any():
        raise NarcfError("expected the cell of each polygon, ascending")
    if owner.size and not 0 <= owner[0] <= owner[-1] < size:
        raise NarcfError(f"expected polygons of {size} cells, found cell {owner[-1]}")
    beyond = np.abs(lat_v) > 90 + 1e-6
    if beyond.any():
        raise NarcfError(
            f"expected latitudes of vertices within -90..90 degrees, found "
            f"{lat_v[beyond][0]:g}; are longitude and latitude swapped?"
        )


def taking_part(
    lon_v: np.ndarray,
    lat_v: np.ndarray,
    connectivity: np.ndarray,
    counts: np.ndarray,
    owner: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Leave out polygons of fewer than 3 corners, and cells with a corner that is not finite."""
    keep = counts >= 3
    finite = np.isfinite(lon_v) & np.isfinite(lat_v)
    if not finite.all():
        polygon = np.repeat(np.arange(counts.size), counts)
        lost = owner[polygon[~finite[connectivity]]]
        keep &= ~np.isin(owner, lost)
    if keep.all():
        return connectivity, counts, owner
    return connectivity[np.repeat(keep, counts)], counts[keep], owner[keep]


def merged(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the vertex of each corner, and the first corner of each vertex.

    Corners are one vertex when they agree to 1e-9 degree; longitudes of any turn, and of any
    value at a pole.
    """
    import pandas as pd

    x = np.rint((lon % 360) * 1e9).astype("int64")
    x[x == 360 * 10**9] = 0
    y = np.rint(lat * 1e9).astype("int64")
    x[np.abs(y) == 90 * 10**9] = 0
    # 39 bits of longitude and 38 of latitude do not fit into one word: mixed by an odd factor.
    key = x.view("uint64") * np.uint64(0x9E3779B97F4A7C15) + y.view("uint64")
    code, _ = pd.factorize(key)
    first = np.full(int(code.max(initial=-1)) + 1, -1, "int64")
    first[code[::-1]] = np.arange(code.size)[::-1]
    if np.array_equal(x[first[code]], x) and np.array_equal(y[first[code]], y):
        return code.astype("int32"), first
    return np.arange(lon.size, dtype="int32"), np.arange(lon.size)


def fans(mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the vertices of the triangles of a fan in each polygon, and their polygon."""
    counts = mesh.counts
    start = np.cumsum(counts) - counts
    polygon = np.repeat(np.arange(counts.size), counts - 2)
    begin = np.cumsum(counts - 2) - (counts - 2)
    at = start[polygon] + np.arange(polygon.size) - begin[polygon] + 1
    corner = mesh.connectivity
    return corner[start[polygon]], corner[at], corner[at + 1], polygon


def centroids(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Return the centroids of the cells, NaN where a cell has no area."""
    first, second, third, polygon = fans(mesh)
    xyz = to_xyz(mesh.lon_v, mesh.lat_v)
    a, b, c = xyz[first], xyz[second], xyz[third]
    signed = excess(a, b, c)
    area = np.bincount(polygon, signed, minlength=mesh.counts.size)
    # The middle of small triangles; of large polygons the integral over their edges, which loses
    # its digits where edges are short.
    moment = _sums(polygon, signed[:, None] * (a + b + c) / 3, area.size)
    large = np.abs(area) > LARGE
    if large.any():
        moment[large] = _edge_moments(mesh, xyz)[large]
    middle = _sums(mesh.owner, moment * np.sign(area)[:, None], math.prod(mesh.shape))
    middle[(middle == 0).all(axis=1)] = np.nan
    lon, lat = to_lonlat(middle)
    return lon.reshape(mesh.shape), lat.reshape(mesh.shape)


def _sums(index: np.ndarray, vectors: np.ndarray, size: int) -> np.ndarray:
    return np.stack([np.bincount(index, v, minlength=size) for v in vectors.T], axis=-1)


def _edge_moments(mesh: Mesh, xyz: np.ndarray) -> np.ndarray:
    """Return the integral of position over each polygon: half the normals of its edges by angle."""
    corner = xyz[mesh.connectivity]
    last = np.cumsum(mesh.counts) - 1
    after = np.arange(len(corner)) + 1
    after[last] = last - mesh.counts + 1
    normal = np.cross(corner, corner[after])
    size = np.linalg.norm(normal, axis=-1)
    angle = np.arctan2(size, np.sum(corner * corner[after], axis=-1))
    normal *= np.divide(angle, 2 * size, out=np.zeros_like(size), where=size > 0)[:, None]
    return _sums(np.repeat(np.arange(mesh.counts.size), mesh.counts), normal, mesh.counts.size)


def padded_corners(mesh: Mesh) -> tuple[np.ndarray, np.ndarray] | None:
    """Return corner longitudes and latitudes (*shape, k); see `Mesh.vertices`."""
    if mesh.owner.size > np.unique(mesh.owner).size:
        return None
    k = int(mesh.counts.max(initial=3))
    start = np.cumsum(mesh.counts) - mesh.counts
    at = start[:, None] + np.minimum(np.arange(k), mesh.counts[:, None] - 1)
    both = []
    for value in mesh.corner_positions():
        corners = np.full((math.prod(mesh.shape), k), np.nan)
        corners[mesh.owner] = value[at]
        both.append(corners.reshape(*mesh.shape, k))
    return both[0], both[1]


def cf_coords(mesh: Mesh) -> dict[str, xr.DataArray]:
    """Return the CF coordinates of a mesh; see `Mesh.coords`."""
    attrs = [{k: v for k, v in a.items() if k != "axis"} for a in (LAT_ATTRS, LON_ATTRS)]
    vertices = padded_corners(mesh) if mesh.counts.max(initial=3) <= MOST_CORNERS else None
    plane, (rows, columns) = mesh.projection, (*mesh.dims, "", "")[:2]
    coords = {} if plane is None else plane.coords((rows, columns))
    for name, value, about in zip(("lat", "lon"), (mesh.lat, mesh.lon), attrs, strict=True):
        bounds = {} if vertices is None else {"bounds": f"{name}_bnds"}
        coords[name] = xr.DataArray(value, dims=mesh.dims, attrs=about | bounds)
    if vertices is not None:
        for name, value in zip(("lon_bnds", "lat_bnds"), vertices, strict=True):
            coords[name] = xr.DataArray(value, dims=(*mesh.dims, "nv"))
    for coord in coords.values():
        coord.encoding["_FillValue"] = None
    return coords


def digest_of(mesh: Mesh) -> str:
    """Return what tells a mesh from others; see `Mesh.digest`."""
    sha = hashlib.sha256(str(("Mesh", mesh.shape)).encode())
    sha.update(mesh.counts.tobytes())
    sha.update(mesh.owner.tobytes())
    for value in (*mesh.corner_positions(), mesh.lon, mesh.lat):
        # Adding 0 turns -0 into 0; NaN has many forms.
        rounded = np.round(value, 9) + 0.0
        sha.update(np.where(np.isnan(rounded), np.nan, rounded).tobytes())
    return sha.hexdigest()


def cell_areas(mesh: Mesh) -> np.ndarray:
    """Return the areas of cells between great circles, of a sphere of radius 1."""
    first, second, third, polygon = fans(mesh)
    xyz = to_xyz(mesh.lon_v, mesh.lat_v)
    signed = np.bincount(
        polygon, excess(xyz[first], xyz[second], xyz[third]), minlength=mesh.counts.size
    )
    return np.bincount(mesh.owner, np.abs(signed), minlength=math.prod(mesh.shape)).reshape(
        mesh.shape
    )


def same_cells(mesh: Mesh, other: Mesh, tolerance: float) -> bool:
    """Return whether two meshes have the same cells; see `Mesh.matches`."""
    same = [np.array_equal(getattr(mesh, n), getattr(other, n)) for n in ("counts", "owner")]
    if mesh.shape != other.shape or not all(same):
        return False
    one, two = (to_xyz(*m.corner_positions()) for m in (mesh, other))
    cell = np.sqrt(cell_areas(mesh).mean()) or 1.0
    return bool(np.abs(one - two).max(initial=0.0) <= tolerance * cell)
