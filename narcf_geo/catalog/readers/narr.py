"""North American Regional Reanalysis (NOAA PSL), monthly means on the Lambert grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from narcf_geo.catalog.readers import derived
from narcf_geo.catalog.readers.canonical import canonical
from narcf_geo.catalog.readers.native import open_native

if TYPE_CHECKING:
    import xarray as xr

    from narcf_geo.catalog.entry import Entry

# PSL's monthly precipitation is the mean of daily accumulations, which its unit leaves out.
_UNITS = {"precip": {"kg/m^2": "kg m-2 day-1"}}


def read(entry: Entry) -> xr.Dataset:
    """Read NARR; humidity, vapour pressure deficit and 30-day precipitation are derived."""
    return derived.add(canonical(open_native(entry), entry, units=_UNITS))
