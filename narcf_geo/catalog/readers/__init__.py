"""One small module a product: from the native file to canonical variables on the native grid."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from narcf_geo.core.errors import UsageError

if TYPE_CHECKING:
    import xarray as xr

    from narcf_geo.catalog.entry import Entry

PRODUCTS = (
    "carbontracker",
    "fluxcom",
    "generic",
    "geoinv",
    "gome2_sif",
    "landcover",
    "mod13c2",
    "narr",
)
"""Each name is a module here with ``read(entry) -> xarray.Dataset``."""


def read(entry: Entry) -> xr.Dataset:
    """Open a catalog entry lazily as canonical variables.

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
    if product not in PRODUCTS:
        raise UsageError(
            f"{entry.where()}: no reader for product {product!r}; there are: {', '.join(PRODUCTS)}"
        )
    module = import_module(f"narcf_geo.catalog.readers.{product}")
    dataset: xr.Dataset = module.read(entry)
    return dataset
