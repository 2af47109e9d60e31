"""CarbonTracker (NOAA GML): fluxes of an atmospheric inversion, monthly, 1 degree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from narcf_geo.catalog.readers import derived
from narcf_geo.catalog.readers.canonical import canonical
from narcf_geo.catalog.readers.native import open_native

if TYPE_CHECKING:
    import xarray as xr

    from narcf_geo.catalog.entry import Entry


def read(entry: Entry) -> xr.Dataset:
    """Read CarbonTracker; ``bio_flux`` and ``fire_flux``, where both are named, sum to ``flux``."""
    return derived.add(canonical(open_native(entry), entry))
