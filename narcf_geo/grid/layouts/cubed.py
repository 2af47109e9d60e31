"""Cubed spheres: faces of rows and columns stacked along a third dimension, with their corners."""

from __future__ import annotations

import numpy as np
import xarray as xr

from narcf_geo.grid.coordinates import quads
from narcf_geo.grid.layouts.common import KINDS, Layout, attribute, in_degrees
from narcf_geo.grid.layouts.vertices import positions
from narcf_geo.grid.mesh import Mesh


def recognise(ds: xr.Dataset) -> Layout | None:
    """Recognise centres (face, y, x) with corners (face, y + 1, x + 1)."""
    found = positions(ds)
    if found is None or ds[found.lat].ndim != 3 or found.lat_v is not None:
        return None
    faces, ny, nx = ds[found.lat].shape
    corners = {
        kind: [
            str(n)
            for n, v in ds.variables.items()
            if v.shape == (faces, ny + 1, nx + 1) and kind[:3] in _said(n, v)
        ]
        for kind in KINDS
    }
    if not all(corners.values()):
        return None
    lat_c, lon_c = (corners[kind][0] for kind in KINDS)
    names = frozenset({found.lat, found.lon, lat_c, lon_c})
    return Layout("cubed sphere", names, lambda: _build(ds, found.lat, found.lon, lat_c, lon_c))


def _said(name: object, variable: xr.Variable) -> str:
    words = str(name), attribute(variable, "standard_name"), attribute(variable, "long_name")
    return " ".join(words).lower()


def _build(ds: xr.Dataset, lat: str, lon: str, lat_c: str, lon_c: str) -> Mesh:
    vertices = []
    for corner, center in ((lon_c, lon), (lat_c, lat)):
        values = in_degrees(ds[corner], attribute(ds[center], "units") or None)
        vertices.append(np.stack([quads(face) for face in values]))
    dims = tuple(map(str, ds[lat].dims))
    return Mesh.from_vertices(
        *vertices, lon=in_degrees(ds[lon]), lat=in_degrees(ds[lat]), dims=dims, padded=False
    )
