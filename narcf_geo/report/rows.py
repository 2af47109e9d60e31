"""What the tables of the page say: rows of plain values from budgets and scores."""

from __future__ import annotations

import calendar
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import NarcfError
from narcf_geo.evaluation.interannual import trend_rows

if TYPE_CHECKING:
    import pandas as pd

    from narcf_geo.report.context import ReportContext

INTERVAL = ("flux_TgC_lower", "flux_TgC_upper")
_WHOLE = 0.995
"""Share of area and time from which on a total is said to be of all."""

_PARTS = {"train": "Training", "validation": "Validation", "test": "Test"}
_HELD = ("validation", "test")
"""Parts of which nothing was learned."""


def budget_rows(context: ReportContext) -> dict[str, Any]:
    """Return the numbers of the summary and the rows of the tables of fluxes."""
    table = context.biomes.assign(biome=context.biomes["biome"].astype(str))
    region = table[table["biome"] == "all"].sort_values("year")
    if region.empty:
        raise NarcfError(
            "expected rows of the whole region (biome 'all') in the budget, found biomes "
            f"{sorted(table['biome'].unique())}"
        )
    complete = region["year"][region["months"] == 12].tolist()
    region_rows = [
        {
            "year": int(row.year),
            "flux": float(row.flux_TgC),
            "area": float(row.area_km2),
            "mean": float(row.mean_flux_umol_m2_s),
            "reference": float(row.reference_TgC),
            "target": float(getattr(row, "target_TgC", math.nan)),
            "lower": float(getattr(row, INTERVAL[0], math.nan)),
            "upper": float(getattr(row, INTERVAL[1], math.nan)),
            "months": int(row.months),
            "coverage": float(row.coverage),
            "reference_coverage": float(row.reference_coverage),
        }
        for row in region.itertuples()
    ]
    counted = [row for row in region_rows if not complete or row["year"] in complete]
    values = [row["flux"] for row in counted]
    reference = [row["reference"] for row in region_rows if not math.isnan(row["reference"])]
    biomes = list(_biome_rows(table[table["biome"] != "all"], bool(complete)))
    for row in biomes:
        row["shared"] = _shared(context.shared, row["name"], bool(complete))
    regions = []
    if context.regions is not None:
        parts = context.regions.rename(columns={"region": "biome"})
        regions = list(_part_rows(parts[parts["biome"] != "all"], bool(complete)))
    return {
        "period": _period(context.months),
        "complete": complete,
        "years": region_rows,
        "year_scale": _scale([r["flux"] for r in region_rows] + reference),
        "headline": {
            **{
                name: sum(row[name] for row in counted) / len(counted)
                for name in ("flux", "target", "reference", "lower", "upper", "area", "mean")
            },
            "low": min(values),
            "high": max(values),
        },
        "biomes": biomes,
        "ranked": sorted(
            (row for row in biomes if not math.isnan(row["flux"])), key=lambda row: row["flux"]
        ),
        "biome_years": _biome_years(table, region_rows),
        "biome_scale": _scale([row["flux"] for row in biomes]),
        "incomplete": [row["year"] for row in region_rows if complete and row["months"] < 12],
        "has_gaps": any(row["coverage"] < _WHOLE * row["months"] / 12 for row in region_rows),
        "has_reference": bool(reference),
        "has_target": any(not math.isnan(row["target"]) for row in region_rows),
        "has_shared": context.shared is not None,
        "has_interval": INTERVAL[0] in table,
        "regions": regions,
    }


def _biome_rows(table: pd.DataFrame, complete: bool) -> Iterator[dict[str, Any]]:
    """Yield each biome's mean over the years, by the size of the flux."""
    for row in _part_rows(table, complete):
        igbp = None if row["key"] == "rest" else IGBP[int(row["key"])]
        yield row | {
            "code": igbp.code if igbp else "",
            "color": igbp.color if igbp else "#ffffff",
        }


def _counted(table: pd.DataFrame, complete: bool) -> pd.DataFrame:
    """Return the rows that a mean is of: with `complete`, of years with all their months."""
    return table[table["months"] == 12] if complete else table


def _part_rows(table: pd.DataFrame, complete: bool) -> Iterator[dict[str, Any]]:
    """Yield each part's mean over its complete years; its total where the region has none.

    A part without a complete year has no mean, NaN.
    """
    sums = table.groupby("biome")["flux_TgC"].sum()
    for key in sums.abs().sort_values(ascending=False).index:
        every = table[table["biome"] == key]
        rows = _counted(every, complete)
        years = len(rows) if complete else 1
        # A mean of NaN, where there is no reference, stays NaN. Ends are summed as the errors are
        # taken to be the same in every year.
        mean = {
            name: float(rows[name].sum(min_count=1) / max(years, 1)) if name in rows else math.nan
            for name in ("flux_TgC", "reference_TgC", "target_TgC", *INTERVAL)
        }
        area = rows["area_km2"].sum()
        weighted = (rows["mean_flux_umol_m2_s"] * rows["area_km2"]).sum()
        yield {
            "key": key,
            "name": every["name"].iloc[0],
            "area": float(every["area_km2"].mean()),
            "mean": float(weighted / area) if area else math.nan,
            "flux": mean["flux_TgC"],
            "lower": mean[INTERVAL[0]],
            "upper": mean[INTERVAL[1]],
            "low": float(rows["flux_TgC"].min()),
            "high": float(rows["flux_TgC"].max()),
            "reference": mean["reference_TgC"],
            "target": mean["target_TgC"],
        }


def _shared(table: pd.DataFrame | None, name: str, complete: bool) -> float:
    """Return the flux of a biome a year, cells shared by fraction; NaN where it has none."""
    if table is None:
        return math.nan
    rows = _counted(table[table["name"] == name], complete)
    years = len(rows) if complete else 1
    return float(rows["flux_TgC"].sum(min_count=1) / max(years, 1))


def _biome_years(table: pd.DataFrame, region: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the totals of each part and year, and the months where they are fewer than 12."""
    wide = table.pivot(index="biome", columns="year", values=["flux_TgC", "months"])
    names = table.groupby("biome")["name"].first()
    order = sorted((b for b in wide.index if b != "all"), key=lambda b: (b == "rest", b.zfill(2)))
    return [
        {
            "name": names[biome],
            "values": [float(wide.loc[biome, ("flux_TgC", r["year"])]) for r in region],
            "months": [_fewer(wide.loc[biome, ("months", r["year"])], r["months"]) for r in region],
        }
        for biome in [*order, "all"]
    ]


def _fewer(months: float, of_region: int) -> int:
    """Return how many months a total has where that is fewer than the region's, else 0."""
    return int(months) if months < of_region else 0


def skill_rows(context: ReportContext) -> dict[str, Any]:
    """Return the rows of the tables of scores."""
    metrics = context.metrics
    missing = [part for part in _PARTS if part not in metrics]
    if missing:
        raise NarcfError(f"expected the metrics of {', '.join(_PARTS)}, found none of {missing}")
    months = [
        (calendar.month_name[int(month)], _scores(values) | {"period": _years(values)})
        for month, values in sorted(metrics.get("by_month", {}).items(), key=lambda kv: int(kv[0]))
    ]
    biomes = [
        (values.get("name", IGBP[int(number)].name), _scores(values))
        for number, values in sorted(metrics.get("by_biome", {}).items(), key=lambda kv: int(kv[0]))
    ]
    regions = [(name, _scores(values)) for name, values in metrics.get("by_region", {}).items()]
    reference = metrics.get("reference") or {}
    names = {"estimate": "Estimate", "reference": context.reference}
    return {
        "parts": [(label, _scores(metrics[part])) for part, label in _PARTS.items()],
        "test": _scores(metrics["test"]),
        "mean_map": _mean_map(metrics.get("mean_map"), context.target),
        "interannual": {
            part: trend_rows(found)
            for part, found in metrics.get("interannual", {}).items()
            if trend_rows(found)
        },
        "by_month": months,
        "by_biome": biomes,
        "by_region": regions,
        "reference": [
            (label, _scores(values))
            for label, values in (("All months", reference), ("Test", reference.get("test", {})))
            if "rmse" in values
        ],
        "common": [
            (names[name], _scores(values))
            for name, values in (reference.get("common") or {}).items()
            if name in names
        ],
        "coverage": list(_coverage(metrics.get("intervals", {}))),
        **{
            name: list(_sections(metrics.get(name), context.target))
            for name in ("truth", "cross_validation")
        },
    }


def _coverage(intervals: Mapping[str, Any]) -> Iterator[tuple[str, list[float | None]]]:
    """Yield how much the intervals hold: of observed values, and of the flux where it is known."""
    names = {"flux": "of the true flux", "observed": "of observed values"}
    for kind, name in names.items():
        of_parts = intervals.get(kind, {})
        for level in of_parts.get("test", {}).get("coverage", {}):
            held = [of_parts.get(p, {}).get("coverage", {}).get(level) for p in _HELD]
            yield f"{100 * float(level):g} % {name}", held


def _mean_map(found: Mapping[str, Any] | None, target: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the RMSE of the mean maps of the test months against target and truth."""
    test = (found or {}).get("test", {})
    names = {"estimate": "Estimate", "training_mean": f"Training months of {target}, averaged"}
    return [
        (label, {against: values[name] for against, values in test.items()})
        for name, label in names.items()
        if all(values.get(name) is not None for values in test.values())
        if test
    ]


def _sections(
    section: Mapping[str, Any] | None, target: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the scores of each part of a section; a section with scores itself is of all months."""
    if section and "rmse" in section:
        section = {"all_months": section}
    for name, values in (section or {}).items():
        if isinstance(values, Mapping) and "rmse" in values:
            label = f"{target} itself" if name == "target_itself" else name.replace("_", " ")
            yield _PARTS.get(name, label[0].upper() + label[1:]), _scores(values)


def _scores(values: Mapping[str, Any]) -> dict[str, Any]:
    names = ("r", "rmse", "bias", "bias_TgC_per_year")
    scores: dict[str, Any] = {
        name: float("nan") if values.get(name) is None else float(values[name]) for name in names
    }
    period = values.get("period") or ""
    if not isinstance(period, str):
        period = _period([str(month) for month in period])
    return {**scores, "n": values.get("n"), "period": period}


def _period(months: Sequence[str]) -> str:
    if not months:
        return ""
    first, last = min(months), max(months)
    if first[5:7] == "01" and last[5:7] == "12":
        return first[:4] if first[:4] == last[:4] else f"{first[:4]}–{last[:4]}"
    words = [f"{calendar.month_name[int(month[5:7])]} {month[:4]}" for month in (first, last)]
    return words[0] if first == last else f"{words[0]} – {words[1]}"


def _years(values: Mapping[str, Any]) -> str:
    years = sorted({str(month)[:4] for month in values.get("period") or ()})
    return "–".join(years)


def _scale(values: Sequence[float]) -> float:
    """Return the largest magnitude: full length of a bar."""
    return max((abs(v) for v in values if not math.isnan(v)), default=0.0) or 1.0
