"""One small module a product: from the native file to canonical variables on the native grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from narcf_geo.core.errors import UsageError
from narcf_geo.core.registry import Registry

if TYPE_CHECKING:
    import xarray as xr

    from narcf_geo.catalog.entry import Entry

    Reader = Callable[[Entry], xr.Dataset]

READERS: Registry[Reader] = Registry(
    "narcf_geo.readers",
    "reader",
    {
        product: f"narcf_geo.catalog.readers.{product}:read"
        for product in (
            "carboscope",
            "carbontracker",
            "era5",
            "fluxcom",
            "generic",
            "geoinv",
            "gome2_sif",
            "landcover",
            "mod13c2",
            "narr",
            "oco2_mip",
        )
    },
    valid=callable,
    expected="a function read(entry) that returns an xarray.Dataset",
)
"""By product: ``read(entry) -> xarray.Dataset``, of this package or another (docs/extending.md)."""


def read(entry: Entry) -> xr.Dataset:
    """Open a catalog entry lazily as canonical variables.

    Parameters
    ----------
    entry : Entry
        The source; its ``product`` names the reader.

    Returns
    -------
    xarray.Dataset
        Variables by canonical name, in canonical units, missing as NaN, float32; ``time`` as month
        starts with ``time_bnds`` (absent for static fields); horizontal coordinates, bounds and
        grid mapping as in the native file.

    Raises
    ------
    NarcfError
        When a file is absent or unreadable, or a variable or unit is not what the entry says.
    UsageError
        When no reader has the entry's product.
    """
    product = entry.metadata.product
    try:
        reader = READERS[product]
    except UsageError as error:
        raise UsageError(f"{entry.where('metadata', 'product')}: {error}") from None
    return reader(entry)
