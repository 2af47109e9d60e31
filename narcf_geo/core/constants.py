"""The physical constants and the one table of IGBP classes that every stage uses."""

from __future__ import annotations

from typing import NamedTuple

EARTH_RADIUS = 6371007.2
"""Radius of the authalic sphere, m: all cell areas are taken on it."""

NARR_EARTH_RADIUS = 6371200.0
"""Radius of the sphere of NCEP's Lambert grids, m."""

CARBON_MOLAR_MASS = 12.011
"""g of carbon per mol of CO2."""

CO2_MOLAR_MASS = 44.009
"""g of CO2 per mol."""

SECONDS_PER_DAY = 86400.0

FLUX_UNITS = "umol m-2 s-1"
FLUX_SIGN = "positive: to the atmosphere; negative: uptake by the land"


class BiomeClass(NamedTuple):
    """An IGBP class: short code, full name and the colour of the MCD12Q1 palette."""

    code: str
    name: str
    color: str


IGBP: tuple[BiomeClass, ...] = (
    BiomeClass("WAT", "water", "#1c0dff"),
    BiomeClass("ENF", "evergreen needleleaf forest", "#00410a"),
    BiomeClass("EBF", "evergreen broadleaf forest", "#086a10"),
    BiomeClass("DNF", "deciduous needleleaf forest", "#54a708"),
    BiomeClass("DBF", "deciduous broadleaf forest", "#78d203"),
    BiomeClass("MF", "mixed forest", "#009900"),
    BiomeClass("CSH", "closed shrublands", "#c2b462"),
    BiomeClass("OSH", "open shrublands", "#eed424"),
    BiomeClass("WSA", "woody savannas", "#c1dd94"),
    BiomeClass("SAV", "savannas", "#fbff13"),
    BiomeClass("GRA", "grasslands", "#8bcb00"),
    BiomeClass("WET", "permanent wetlands", "#27ff87"),
    BiomeClass("CRO", "croplands", "#c24f44"),
    BiomeClass("URB", "urban and built-up", "#a5a5a5"),
    BiomeClass("CVM", "cropland/natural vegetation mosaic", "#ff6d4c"),
    BiomeClass("SNO", "snow and ice", "#69fff8"),
    BiomeClass("BSV", "barren or sparsely vegetated", "#f9ffa4"),
    BiomeClass("UNC", "unclassified", "#000000"),
)
"""Class number is the position: 0 water, 1-16 land, 17 unclassified (ISLSCP II and MCD12C1).

Colours are those of MCD12Q1, five of them moved so that neighbours are told apart with red-green
blindness too.
"""

LAND_COVER_PREFIXES = {
    "fractions": "fraction",
    "sqrt_fractions": "sqrt_fraction",
    "majority": "is",
}
"""How the names of land-cover features begin, by the kind of ``biome_features``."""
