"""CarbonTracker (NOAA GML): fluxes of an atmospheric inversion, monthly, 1 degree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from narcf_geo.constants import FLUX_SIGN
from narcf_geo.sources.canonical import canonical
from narcf_geo.sources.native import open_native

if TYPE_CHECKING:
    import xarray as xr

    from narcf_geo.catalog import Entry


def read(entry: Entry) -> xr.Dataset:
    """Read CarbonTracker; ``bio_flux`` and ``fire_flux``, where both are named, sum to ``flux``."""
    result = canonical(open_native(entry), entry)
    if "flux" not in result and {"bio_flux", "fire_flux"} <= set(result):
        flux = result["bio_flux"] + result["fire_flux"]
        result["flux"] = flux.assign_attrs(
            {
                **result["bio_flux"].attrs,
                "long_name": "land-to-atmosphere CO2 flux, biosphere and fire",
                "sign": FLUX_SIGN,
            }
        )
    return result
