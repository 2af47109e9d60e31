"""How good the estimate is: scores on common masks and months, by part, region and component."""

from narcf_geo.evaluate.components import components
from narcf_geo.evaluate.fields import (
    by_biome,
    by_month,
    by_region,
    by_season,
    by_year,
    compare,
    compare_on_common,
)

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
