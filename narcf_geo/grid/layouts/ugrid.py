"""UGRID 1.0: faces between nodes, https://ugrid-conventions.github.io/ugrid-conventions."""

from __future__ import annotations

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.grid.layouts.common import Layout, attribute, in_degrees, indices, padded, used_dims
from narcf_geo.grid.mesh import Mesh

_ROLES = (
    *("face_node_connectivity", "edge_node_connectivity", "face_edge_connectivity"),
    *("face_face_connectivity", "edge_face_connectivity", "boundary_node_connectivity"),
    *("node_coordinates", "face_coordinates", "edge_coordinates"),
)


def recognise(ds: xr.Dataset) -> Layout | None:
    """Recognise a mesh topology of two dimensions; of several the one with most fields."""
    meshes = [
        str(n)
        for n, v in ds.variables.items()
        if attribute(v, "cf_role") == "mesh_topology" and attribute(v, "face_node_connectivity")
    ]
    if not meshes:
        return None
    topology = max(meshes, key=lambda n: sum(_face_dim(ds, n) in d for d in used_dims(ds, set())))
    names = {name for mesh in meshes for name in _described(ds, mesh)}
    return Layout("UGRID", frozenset(names), lambda: _build(ds, topology, names))


def _described(ds: xr.Dataset, topology: str) -> set[str]:
    names = {topology}
    for role in _ROLES:
        for name in attribute(ds[topology], role).split():
            names.add(name)
            if name in ds.variables:
                names.add(attribute(ds[name], "bounds"))
    return names - {""}


def _face_dim(ds: xr.Dataset, topology: str) -> str:
    """Return the dimension of the faces; the first of the connectivity's where none is stated."""
    faces = ds[_faces(ds, topology)]
    stated = attribute(ds[topology], "face_dimension")
    if stated in faces.dims:
        return stated
    of_centers = [
        ds[n].dims for n in attribute(ds[topology], "face_coordinates").split() if n in ds.variables
    ]
    used = [d for dims in (*of_centers, *used_dims(ds, {str(faces.name)})) for d in dims]
    return next((str(d) for d in faces.dims if d in used), str(faces.dims[0]))


def _faces(ds: xr.Dataset, topology: str) -> str:
    name = attribute(ds[topology], "face_node_connectivity")
    if name not in ds.variables or ds[name].ndim != 2:
        raise NarcfError(
            f"expected the nodes of each face in a variable {name!r} of two dimensions, as the "
            f"mesh {topology!r} states, found none; open the file with its whole mesh"
        )
    return name


def _build(ds: xr.Dataset, topology: str, names: set[str]) -> Mesh:
    dim = _face_dim(ds, topology)
    fields = {
        attribute(v, "location") for n, v in ds.data_vars.items() if n not in names and v.ndim
    } - {""}
    if fields and not fields & {"face", "volume"}:
        raise NarcfError(
            f"expected fields on the faces of the mesh {topology!r}, found them at location "
            f"{', '.join(sorted(fields))}; only faces are cells"
        )
    lon_v, lat_v = _lonlat(ds, topology, "node_coordinates")
    faces = ds[_faces(ds, topology)].transpose(dim, ...)
    corners, counts = padded(indices(faces))
    _require_nodes(corners, lon_v.size, str(faces.name))
    centers = attribute(ds[topology], "face_coordinates").split()
    lon, lat = (
        _lonlat(ds, topology, "face_coordinates")
        if centers and all(n in ds.variables for n in centers)
        else (None, None)
    )
    owner = np.arange(counts.size)
    return Mesh(lon_v, lat_v, corners, counts, owner, lon, lat, (counts.size,), (dim,))  # type: ignore[arg-type]


def _lonlat(ds: xr.Dataset, topology: str, role: str) -> tuple[np.ndarray, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    names = attribute(ds[topology], role).split()
    for name in names:
        if name not in ds.variables:
            continue
        v = ds[name]
        said = f"{attribute(v, 'standard_name')} {attribute(v, 'units')}".lower()
        kinds = {"lat": ("latitude", "north"), "lon": ("longitude", "east")}
        kind = next((k for k, words in kinds.items() if any(w in said for w in words)), None)
        found[kind or ("lat" if "lat" in name.lower() else "lon")] = in_degrees(v)
    if set(found) != {"lat", "lon"}:
        raise NarcfError(
            f"expected longitudes and latitudes in the {role} of the mesh {topology!r}, found "
            f"{names}; only meshes on the sphere can be used"
        )
    return found["lon"], found["lat"]


def _require_nodes(corners: np.ndarray, nodes: int, name: str) -> None:
    if corners.size and corners.max() >= nodes:
        raise NarcfError(
            f"expected in {name!r} nodes 0 to {nodes - 1} after its start_index, found "
            f"{int(corners.max())}; correct the attribute start_index (0 or 1)"
        )
