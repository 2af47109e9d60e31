"""Budgets: fluxes summed over areas and true month lengths, with intervals; zonal statistics."""

from narcf_geo.budget.polygons import zonal
from narcf_geo.budget.tables import biome_budget, fraction_budget, region_budget
from narcf_geo.budget.totals import biome_series, cell_total, monthly_total

__all__ = [
    "biome_budget",
    "biome_series",
    "cell_total",
    "fraction_budget",
    "monthly_total",
    "region_budget",
    "zonal",
]
