"""ERA5 and ERA5-Land, monthly means from the Climate Data Store (CDS)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from narcf_geo.catalog.readers import derived
from narcf_geo.catalog.readers.canonical import canonical
from narcf_geo.catalog.readers.native import open_native
from narcf_geo.core.errors import UnitError
from narcf_geo.core.months import to_month_starts
from narcf_geo.fields.series import along_time

if TYPE_CHECKING:
    from narcf_geo.catalog.entry import Entry

# Monthly means of accumulated quantities are means of daily totals, which their unit leaves out.
_UNITS = {
    "precip": {"m": "m day-1"},
    "R_sw": {"J m**-2": "J m-2 day-1", "J m-2": "J m-2 day-1"},
}
_OF_HOURS = ("accum", "instant")
"""``GRIB_stepType`` of the hourly products, whose accumulations are over other spans."""


def read(entry: Entry) -> xr.Dataset:
    """Read monthly ERA5; relative humidity comes from the dew point.

    Raises
    ------
    UnitError
        When the file is of the hourly product.
    """
    native = open_native(entry, preprocess=_monthly)
    return derived.add(canonical(native, entry, units=_UNITS))


def _monthly(native: xr.Dataset, path: Path) -> xr.Dataset:
    for name in ("tp", "ssrd"):
        if name in native and native[name].attrs.get("GRIB_stepType") in _OF_HOURS:
            raise UnitError(
                f"{path}: variable {name!r}: expected a monthly mean of daily totals, found the "
                "accumulation of an hourly file; use `product: generic` and state the unit, such "
                "as `units: m hour-1`"
            )
    if "expver" in native.dims:
        native = _one_version(native)
    native = along_time(native)
    # Means of analyses are stamped at 00 UTC and those of accumulations at 06 UTC.
    return native.assign_coords(time=to_month_starts(native["time"]))


def _one_version(native: xr.Dataset) -> xr.Dataset:
    """Fill the months that ERA5 lacks so far (expver 1) with those of ERA5T (expver 5)."""
    result = native.isel(expver=0, drop=True)
    for number in range(1, native.sizes["expver"]):
        result = result.combine_first(native.isel(expver=number, drop=True))
    for name in native.data_vars:
        result[name].attrs = native[name].attrs
    return result
