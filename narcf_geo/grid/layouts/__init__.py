"""Layouts of files whose cells are no rows and columns: each module knows one kind.

A layout is recognised by names and attributes alone; its arrays are read when the mesh is built.
"""

from __future__ import annotations

import xarray as xr

from narcf_geo.grid.layouts import cubed, gaussian, healpix, mpas, scrip, ugrid, vertices
from narcf_geo.grid.layouts.common import Layout
from narcf_geo.grid.layouts.rest import at_rest
from narcf_geo.grid.layouts.vertices import positions

_RECOGNISERS = (
    healpix.recognise,
    ugrid.recognise,
    mpas.recognise,
    scrip.recognise_scrip,
    scrip.recognise_esmf,
    gaussian.recognise,
    cubed.recognise,
    vertices.recognise,
)


def layout_of(ds: xr.Dataset) -> Layout | None:
    """Return the layout of `ds`, None when it is none of a mesh."""
    for recognise in _RECOGNISERS:
        layout = recognise(ds)
        if layout is not None:
            return layout
    return None


def geometry_names(ds: xr.Dataset) -> set[str]:
    """Return the names of the variables that describe the cells of a mesh, not fields on it."""
    ds = at_rest(ds)
    layout = layout_of(ds)
    if layout is not None:
        return {n for n in layout.variables if n in ds.variables}
    return {n for n in positions(ds) or () if n is not None and n in ds.data_vars}


__all__ = ["Layout", "geometry_names", "layout_of"]
