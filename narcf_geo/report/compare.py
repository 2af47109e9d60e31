"""Two runs side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from narcf_geo.budget.tables import complete_years

if TYPE_CHECKING:
    import pandas as pd

    from narcf_geo.report.context import OtherRun


def side_by_side(
    metrics: Mapping[str, Any], biomes: pd.DataFrame, other: OtherRun
) -> dict[str, Any]:
    """Return the rows of the comparison: scores of the test part, totals by year and by biome.

    Totals are compared for years that both runs have, and biomes as means over these: complete
    years where both runs have any.
    """
    tests = (metrics["test"], other.metrics["test"])
    tables = [complete_years(t) for t in (biomes, other.biomes)]
    years = sorted(set(tables[0]["year"]) & set(tables[1]["year"]))
    tables = [t[t["year"].isin(years)] for t in tables]
    tables = [t.assign(biome=t["biome"].astype(str)) for t in tables]
    region, parts = ([t[(t["biome"] == "all") == whole] for t in tables] for whole in (True, False))
    by_year = [t.set_index("year")["flux_TgC"] for t in region]
    by_biome = [t.groupby("name")["flux_TgC"].mean() for t in parts]
    names = sorted(
        set(by_biome[0].index) | set(by_biome[1].index),
        key=lambda name: -max(abs(b.get(name, 0.0)) for b in by_biome),
    )
    return {
        "title": other.title,
        "scores": [
            {
                "name": label,
                "values": [_number(test.get(key)) for test in tests],
                "unsigned": key in ("r", "rmse"),
            }
            for key, label in (
                ("r", "Correlation r"),
                ("rmse", "RMSE, µmol m⁻² s⁻¹"),
                ("bias", "Bias, µmol m⁻² s⁻¹"),
                ("bias_TgC_per_year", "Bias, TgC per year"),
            )
        ],
        "years": [_row(str(y), [float(b[y]) for b in by_year]) for y in years],
        "biomes": [_row(name, [float(b.get(name, math.nan)) for b in by_biome]) for name in names],
    }


def _row(name: str, values: list[float]) -> dict[str, Any]:
    return {"name": name, "values": values, "unsigned": False}


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
