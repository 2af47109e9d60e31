"""FLUXCOM (RS+METEO and X-BASE): net ecosystem exchange, monthly, 0.5 degree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from narcf_geo.catalog.readers.canonical import canonical
from narcf_geo.catalog.readers.native import open_native

if TYPE_CHECKING:
    import xarray as xr

    from narcf_geo.catalog.entry import Entry

_GRAMS = ("g m-2 day-1", "g m-2 d-1", "g/m2/d", "g m^-2 day^-1")
_UNITS = {"flux": dict.fromkeys(_GRAMS, "g C m-2 day-1")}


def read(entry: Entry) -> xr.Dataset:
    """Read FLUXCOM; its grams are grams of carbon, whether the unit says so or not."""
    return canonical(open_native(entry), entry, units=_UNITS)
