"""A report of two years and two biomes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from narcf_geo.budget.tables import COLUMNS
from narcf_geo.report import ReportContext, ReportFigure


def scores(r: float, rmse: float, bias: float, first: str, last: str) -> dict:
    per_year = 8000 * bias
    period = [first, last]
    numbers = {"r": r, "rmse": rmse, "bias": bias, "bias_TgC_per_year": per_year}
    return {**numbers, "n": 1234, "period": period}


def budget(years: range) -> pd.DataFrame:
    rows = []
    for year in years:
        parts = [
            (4, "deciduous broadleaf forest", 2e6, -500.0 - 4 * (year % 10)),
            (12, "croplands", 3e6, 90.0),
        ]
        parts.append(("all", "whole region", 5e6, sum(part[3] for part in parts)))
        rows += [
            (b, name, year, 12, 1.0, km2, tgc / km2 * 2.64e3, tgc, 0.5 * tgc, 1.0)
            for b, name, km2, tgc in parts
        ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


@pytest.fixture
def context(tmp_path: Path) -> ReportContext:
    picture = tmp_path / "map.png"
    Image.new("RGB", (3, 2), "#014c46").save(picture)
    return ReportContext(
        title="Flux of <North> America",
        months=[f"{year}-{month:02d}" for year in (2013, 2014) for month in range(1, 13)],
        metrics={
            "train": scores(0.96, 0.21, 0.001, "2007-01", "2012-12"),
            "validation": scores(0.93, 0.27, -0.004, "2013-01", "2013-12"),
            "test": scores(0.8764, 0.284, 0.0053, "2014-01", "2014-12"),
            "by_month": {"7": scores(0.81, 0.5, 0.1, "2014-07", "2014-07")},
            "by_biome": {
                "12": {"name": "croplands", **scores(0.7, 0.4, 0.2, "2014-01", "2014-12")}
            },
            "reference": {"test": scores(0.61, 0.6, 0.02, "2014-01", "2014-12")},
            "truth": scores(0.94, 0.2, 0.003, "2014-01", "2014-12"),
            "mean_map": {
                "test": {
                    "target": {"estimate": 0.071, "training_mean": 0.088, "n": 900},
                    "truth": {"estimate": 0.043, "training_mean": 0.067, "n": 900},
                },
                "averaging_is_better": {"target": False, "truth": False},
            },
        },
        biomes=budget(range(2013, 2015)),
        figures=[ReportFigure("Mean flux", 'A map with "quotes"', picture)],
        provenance=[("Weather", "NARR & <friends>")],
        summary={"Region": "North America"},
        synthetic="twin experiment",
        reference="FLUXCOM",
        warnings=["Outside the published range."],
    )
