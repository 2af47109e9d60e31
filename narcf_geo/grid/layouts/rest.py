"""Positions that are written for each time step, as WRF and level-2 files do."""

from __future__ import annotations

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.grid.layouts.common import KINDS, attribute
from narcf_geo.grid.layouts.vertices import candidates, vertices_of


def at_rest(ds: xr.Dataset) -> xr.Dataset:
    """Return `ds` with the positions of cells that repeat along time taken once.

    Raises
    ------
    NarcfError
        When cells move with time.
    """
    for kind in KINDS:
        for name in candidates(ds, kind):
            time = [d for d in ds[name].dims if _is_time(ds, d)]
            if not time or ds[name].ndim < 2:
                continue
            vertices = vertices_of(ds, name, kind)
            for one in (name, vertices):
                if one is not None:
                    ds = _first(ds, one, [d for d in time if d in ds[one].dims])
    return ds


def _is_time(ds: xr.Dataset, dim: object) -> bool:
    if str(dim).lower() in ("time", "t", "times", "date"):
        return True
    return dim in ds.variables and (
        ds[dim].dtype.kind == "M" or attribute(ds[dim], "standard_name") == "time"
    )


def _first(ds: xr.Dataset, name: str, time: list) -> xr.Dataset:
    variable = ds[name].variable
    first = variable.isel(dict.fromkeys(time, 0))
    same = np.asarray(variable == first) | np.asarray(variable.isnull() & first.isnull())
    if not same.all():
        raise NarcfError(
            f"expected {name!r} to stay the same along {', '.join(map(str, time))}, found cells "
            "that move; select one step, as with ds.isel(...), and regrid step by step"
        )
    change = ds.assign_coords if name in ds.coords else ds.assign
    return change({name: first})
