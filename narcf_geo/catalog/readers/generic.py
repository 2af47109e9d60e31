"""Any CF-compliant file: the catalog entry says it all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from narcf_geo.catalog.readers import derived
from narcf_geo.catalog.readers.canonical import canonical
from narcf_geo.catalog.readers.native import open_native

if TYPE_CHECKING:
    import xarray as xr

    from narcf_geo.catalog.entry import Entry


def read(entry: Entry) -> xr.Dataset:
    """Read a file that needs no code of its own; derived predictors come with their inputs."""
    return derived.add(canonical(open_native(entry), entry))
