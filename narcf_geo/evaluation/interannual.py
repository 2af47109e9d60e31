"""What changes from year to year: annual totals, their trend, and whether the estimate follows."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from narcf_geo.core.constants import IGBP
from narcf_geo.evaluation.sums import PairSums, tgc_per_month
from narcf_geo.evaluation.variability import decompose
from narcf_geo.statistics.scores import Moments
from narcf_geo.statistics.trends import Trend, correlation, trend


def region_total(sums: PairSums) -> dict[str, Any]:
    """Return the totals of a region over all months and over each year, with their coverage.

    Parameters
    ----------
    sums : PairSums
        Of the estimate with itself.

    Returns
    -------
    dict
        ``flux_TgC`` over all months, and how many these are (``months``); ``flux_TgC_per_year``,
        the mean of the years with all twelve months, NaN without any; ``coverage``, the share of
        the area that has a flux in these months; ``period``; ``area_km2``; and by year
        ``by_year_TgC``, ``by_year_months`` and ``by_year_coverage``, of area and the whole year.
    """
    monthly, time = sums.monthly_totals()[0], sums.time
    known = np.isfinite(monthly)
    share = sums.whole.weight / sums.area if sums.area else np.zeros(time.size)
    days = np.asarray(time.days_in_month)
    by_year, months, coverage = {}, {}, {}
    for year in time.year.unique():
        of = (time.year == year) & known
        by_year[str(year)] = float(monthly[of].sum()) if of.any() else np.nan
        months[str(year)] = int(of.sum())
        coverage[str(year)] = float(
            (share * days)[of].sum() / (366 if calendar.isleap(year) else 365)
        )
    complete = [by_year[year] for year, n in months.items() if n == 12]
    return {
        "flux_TgC": float(np.nansum(monthly)),
        "months": int(known.sum()),
        "coverage": float(np.average(share[known], weights=days[known])) if known.any() else 0.0,
        "flux_TgC_per_year": float(np.mean(complete)) if complete else np.nan,
        "period": [f"{time[i]:%Y-%m}" for i in (0, -1)],
        "area_km2": sums.area / 1e6,
        "by_year_TgC": by_year,
        "by_year_months": months,
        "by_year_coverage": coverage,
    }


def interannual_scores(sums: PairSums, regions: Iterable[Any] = ()) -> dict[str, Any]:
    """Return trends and interannual correlations of the region, of biomes and of regions.

    Parameters
    ----------
    sums : PairSums
        Of estimate and observed, with the IGBP classes and then `regions` as its groups, or none.
    regions : iterable
        Their names.

    Returns
    -------
    dict
        ``all``, and by name ``biomes`` and ``regions``: what `series_scores` returns of each that
        has three complete years.
    """
    names = [("biomes", igbp.name) for igbp in IGBP] + [("regions", str(n)) for n in regions]
    result: dict[str, Any] = {"all": series_scores(sums.whole, sums.time)}
    for (kind, name), moments in zip(names, sums.groups, strict=False):
        if found := series_scores(moments, sums.time):
            result.setdefault(kind, {})[name] = found
    return result


def series_scores(moments: Moments, time: pd.DatetimeIndex) -> dict[str, Any]:
    """Return the trend of the annual totals of a pair, and how their anomalies agree.

    A total is the mean over the cells that both have in a month, times the area that both ever
    have: a month that lacks some cells has no smaller total. Years without all twelve months are
    left out.

    Parameters
    ----------
    moments : Moments
        Of each month.
    time : pandas.DatetimeIndex
        The months.

    Returns
    -------
    dict
        ``years``, the complete ones, and the least ``coverage`` of the area in their months;
        ``estimate`` and ``observed``: the trend, TgC per year per year, as of
        `narcf_geo.statistics.trends.trend`; ``annual`` and ``monthly``: correlation of the
        anomalies of annual totals, and of months from the mean of their calendar month, as of
        `narcf_geo.statistics.trends.correlation`. Empty of fewer than three complete years.
    """
    area = moments.weight.max(initial=0.0)
    known = moments.n > 0
    year = np.asarray(time.year)
    years = [y for y in np.unique(year) if (known & (year == y)).sum() == 12]
    if len(years) < 3:
        return {}
    factor = np.where(known, area * tgc_per_month(time), np.nan)
    monthly = np.stack([moments.estimate, moments.observed]) * factor
    annual = np.stack([monthly[:, year == y].sum(axis=1) for y in years], axis=1)
    whole = np.isin(year, years)
    month = np.asarray(time.month)[whole]
    anomalies = [decompose(series[whole], month).anomalies for series in monthly]
    return {
        "years": [int(y) for y in years],
        "coverage": float((moments.weight[whole] / area).min()),
        "estimate": _trend(annual[0], years),
        "observed": _trend(annual[1], years),
        "annual": correlation(*annual)._asdict(),
        "monthly": correlation(*anomalies, block=12)._asdict(),
    }


def _trend(annual: np.ndarray, years: list[int]) -> dict[str, Any]:
    found: Trend = trend(annual, np.array(years, dtype=float))
    return {"units": "TgC year-2", "mean_TgC_per_year": float(annual.mean()), **found._asdict()}


def trend_rows(found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return name and scores of each line of a table, the whole region first."""
    if not found.get("all"):
        return []
    parts = [part for kind in ("biomes", "regions") for part in found.get(kind, {}).items()]
    return [("whole region", found["all"]), *parts]
