"""Meshes of cells given by their corners."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from narcf_geo.core.errors import NarcfError
from narcf_geo.grid.connectivity import filled, merged
from narcf_geo.grid.coordinates import quads
from narcf_geo.grid.mesh import Mesh

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def mesh_of_vertices(
    lon_v: ArrayLike,
    lat_v: ArrayLike,
    *,
    lon: ArrayLike | None,
    lat: ArrayLike | None,
    dims: tuple[str, ...],
    padded: bool,
    mask: ArrayLike | None,
) -> Mesh:
    """Return the mesh of cells with corners (..., k); see `Mesh.from_vertices`."""
    x, y = (filled(v) for v in (lon_v, lat_v))
    if x.shape != y.shape or x.ndim < 2 or x.shape[-1] < 3:
        raise NarcfError(
            "expected longitudes and latitudes of at least 3 corners a cell, in arrays of one "
            f"shape (..., corners), found shapes {x.shape} and {y.shape}"
        )
    shape = x.shape[:-1]
    x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
    finite = np.isfinite(x) & np.isfinite(y)
    counts = finite.sum(axis=1)
    if not finite.all():
        leading = finite.argmin(axis=1) if padded else np.zeros(len(x), int)
        leading[finite.all(axis=1)] = x.shape[1]
        counts[(counts != leading) | (counts < 3)] = 0
    if mask is not None:
        counts[np.asarray(mask).reshape(-1) == 0] = 0
    taken = np.arange(x.shape[1]) < counts[:, None]
    return mesh_of_rings(x[taken], y[taken], counts, lon=lon, lat=lat, shape=shape, dims=dims)


def mesh_of_rings(
    lon_v: np.ndarray,
    lat_v: np.ndarray,
    counts: np.ndarray,
    *,
    owner: np.ndarray | None = None,
    lon: ArrayLike | None = None,
    lat: ArrayLike | None = None,
    shape: tuple[int, ...] = (),
    dims: tuple[str, ...] = (),
) -> Mesh:
    """Return the mesh of polygons given by their corners, one polygon after the other.

    Corners at the same place become one vertex. The rest is as in `Mesh`.
    """
    vertex, first = merged(lon_v, lat_v)
    return Mesh(
        lon_v[first],
        lat_v[first],
        vertex,
        counts,
        np.arange(counts.size) if owner is None else owner,
        None if lon is None else filled(lon),  # type: ignore[arg-type]
        None if lat is None else filled(lat),  # type: ignore[arg-type]
        shape,
        dims,
    )


def mesh_of_corners(
    lon_c: ArrayLike,
    lat_c: ArrayLike,
    lon: ArrayLike | None,
    lat: ArrayLike | None,
    dims: tuple[str, ...],
) -> Mesh:
    """Return rows and columns of cells; see `Mesh.from_corners`."""
    x, y = filled(lon_c), filled(lat_c)
    if x.shape != y.shape or x.ndim != 2 or min(x.shape) < 2:
        raise NarcfError(
            f"expected corners in two arrays of one shape (ny + 1, nx + 1), found {x.shape} "
            f"and {y.shape}"
        )
    corners = quads(np.arange(x.size, dtype="int32").reshape(x.shape))
    shape = corners.shape[:2]
    counts = np.full(math.prod(shape), 4)
    at: Any = {
        "lon": lon if lon is None else filled(lon),
        "lat": lat if lat is None else filled(lat),
    }
    return Mesh(x, y, corners, counts, shape=shape, dims=dims, **at)
