"""What the layouts share: positions in degrees, and which variables are fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError

if TYPE_CHECKING:
    from narcf_geo.grid.grid import Grid
    from narcf_geo.grid.mesh import Mesh

KINDS = ("latitude", "longitude")


@dataclass(frozen=True)
class Layout:
    """Where the cells of a file stand.

    Attributes
    ----------
    name : str
        Of the layout, for people.
    variables : frozenset of str
        Those that describe the cells.
    build : callable
        Reads them and returns the cells.
    """

    name: str
    variables: frozenset[str]
    build: Callable[[], Grid | Mesh]


def in_degrees(variable: xr.DataArray, units: str | None = None) -> np.ndarray:
    """Return longitudes or latitudes in degrees, converted when their units are radians.

    `units` are those of the coordinate whose bounds these are, where bounds have none.
    """
    unit = str(variable.attrs.get("units") or units or "degrees").lower()
    values = np.asarray(variable.values, "float64")
    if unit.startswith("rad"):
        return np.degrees(values)
    if unit.startswith("deg"):
        return values
    raise NarcfError(
        f"expected {variable.name!r} in degrees or radians, found units {unit!r}; correct the "
        "attribute units"
    )


def attribute(variable: xr.DataArray | xr.Variable, name: str) -> str:
    """Return a text attribute, also where xarray has moved it to the encoding."""
    return str(variable.attrs.get(name) or variable.encoding.get(name) or "")


def used_dims(ds: xr.Dataset, besides: set[str]) -> list[tuple[str, ...]]:
    """Return the dimensions of the numeric data variables that do not describe cells."""
    return [
        tuple(map(str, v.dims))
        for n, v in ds.data_vars.items()
        if n not in besides and v.dtype.kind in "fiub" and v.ndim
    ]


def indices(variable: xr.DataArray, start: int | None = None) -> np.ndarray:
    """Return connectivity as integers counted from 0, -1 where there is no entry."""
    fill = [
        variable.attrs.get(k, variable.encoding.get(k)) for k in ("_FillValue", "missing_value")
    ]
    values: Any = variable.values
    given = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
    for value in (f for f in fill if f is not None):
        given &= values != value
    whole = np.where(given, values, 0).astype("int64")
    if start is None:
        start = int(variable.attrs.get("start_index", 0))
    return np.where(given & (whole >= start), whole - start, -1)


def padded(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return flat connectivity and counts from rows of vertices padded with -1."""
    return corners[corners >= 0], (corners >= 0).sum(axis=1)
