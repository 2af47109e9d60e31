"""All layouts; each says what `catalog add` makes of it."""

from __future__ import annotations

from catalog.layouts import climate, era5, fluxes, formats, notations, rasters, times
from catalog.layouts.layout import LAYOUTS, Layout

__all__ = [
    "LAYOUTS",
    "Layout",
    "climate",
    "era5",
    "fluxes",
    "formats",
    "notations",
    "rasters",
    "times",
]
