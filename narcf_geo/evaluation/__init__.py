"""How good the estimate is: scores on common masks and months, by part, region and component."""

from narcf_geo.evaluation.comparison import (
    by_biome,
    by_month,
    by_region,
    by_season,
    by_year,
    compare,
    compare_on_common,
)
from narcf_geo.evaluation.variability import components

__all__ = [
    "by_biome",
    "by_month",
    "by_region",
    "by_season",
    "by_year",
    "compare",
    "compare_on_common",
    "components",
]
