"""Fluxes for each area of land as fluxes for each area of the cell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.core.errors import FieldError, NarcfError
from narcf_geo.core.units import linear

if TYPE_CHECKING:
    from narcf_geo.catalog.schema import VariableEntry

_WHERE_LAND = re.compile(r"area:\s*(?:mean|sum)\s+where\s+(?:land|vegetation|land_use|unfrozen)")


def is_per_land(array: xr.DataArray) -> bool:
    """Tell whether values are means over the land of each cell alone, by ``cell_methods``.

    Examples
    --------
    >>> field = xr.DataArray(1.0, attrs={"cell_methods": "area: mean where land time: mean"})
    >>> is_per_land(field)
    True
    """
    return bool(_WHERE_LAND.search(str(array.attrs.get("cell_methods", ""))))


def for_area_of_cell(
    array: xr.DataArray, native: xr.Dataset, variable: VariableEntry, where: str
) -> xr.DataArray:
    """Return a flux for each area of its cell, lazily.

    Parameters
    ----------
    array : xarray.DataArray
        The flux, with the attributes of the file.
    native : xarray.Dataset
        The files of the entry, which hold the share of land.
    variable : VariableEntry
        What the entry says of the flux; ``land_fraction`` names the share of land.
    where : str
        File and variable, for an error.

    Raises
    ------
    FieldError
        When the flux is for each area of land and the share of land is not stated, not there, or
        no share.
    """
    name = variable.land_fraction
    if name is None:
        if not is_per_land(array):
            return array
        raise FieldError(
            f"{where}: expected a flux for each area of the cell, found one for each area of land "
            f"(cell_methods {array.attrs['cell_methods']!r}); name the share of land in the cell "
            "with `land_fraction: NAME` under this variable (in CMIP6 sftlf, whose file goes into "
            "urlpath too), or take the values as they are with `land_fraction: 1`"
        )
    if name == 1:
        return array
    if name not in native:
        raise FieldError(
            f"{where}: land_fraction: {name!r} is not in the files; they have: "
            f"{', '.join(sorted(map(str, native.data_vars)))}. Add its file to urlpath, or correct "
            "the name"
        )
    share = native[str(name)]
    stated = str(share.attrs.get("units", "1"))
    try:
        scale, _ = linear(stated, "1")
    except NarcfError as error:
        raise FieldError(f"{where}: land_fraction: {name!r}: {error}") from None
    share = share.squeeze(drop=True) * scale
    low, high = float(share.min()), float(share.max())
    if not (np.isfinite([low, high]).all() and low >= 0 and high <= 1.001):
        raise FieldError(
            f"{where}: expected shares of land from 0 to 1 in {name!r}, found {low:g} to {high:g} "
            f"with the unit {stated!r}"
        )
    return (array * share).transpose(*array.dims).assign_attrs(array.attrs)
