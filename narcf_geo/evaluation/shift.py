"""Whether the weather of later years is that of the years that were learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.months import days_in_month

LEAST_YEARS = 3
"""Training years without which nothing is said of their spread."""

FAR = 4.0
"""Departures of more than so many spreads are a shift."""

DISSIMILAR = 1.5
"""A year of more than so many times the mean dissimilarity of held-out rows is unlike them."""


def climate_shift(
    cube: xr.Dataset, names: Sequence[str], train: pd.DatetimeIndex
) -> dict[str, Any]:
    """Return how far the mean of each predictor is from its training years, year by year.

    Of the area-weighted mean over the region, each calendar month less its mean over the training
    months; then the mean of the year, by days. The spread is the standard deviation of these over
    the training years. Mean fields hide a shift that is up in one part and down in another.

    Parameters
    ----------
    cube : xarray.Dataset
        Predictors (time, lat, lon), and ``cell_area`` (lat, lon); with ``biome``, land alone.
    names : sequence of str
        Of the predictors; those without time are left out.
    train : pandas.DatetimeIndex
        Months that were learned from.

    Returns
    -------
    dict
        By name: ``units``, and ``by_year``, of each year without any training month, the
        ``departure`` and ``spreads``, the departure over the spread. Nothing with fewer than
        three training years, and of predictors that are the same in all of them.

    Examples
    --------
    >>> time = pd.date_range("2001-01", periods=48, freq="MS")
    >>> years = np.repeat([10.0, 11.0, 12.0, 15.0], 12)
    >>> coords = {"time": time, "lat": [40.5], "lon": [-99.5]}
    >>> temp = xr.DataArray(years[:, None, None], coords, ("time", "lat", "lon"),
    ...                     attrs={"units": "degC"})
    >>> area = xr.DataArray([[1.0]], dims=("lat", "lon"))
    >>> climate_shift(xr.Dataset({"temp": temp, "cell_area": area}), ["temp"], time[:36])
    {'temp': {'units': 'degC', 'by_year': {'2004': {'departure': 4.0, 'spreads': 4.0}}}}
    """
    from narcf_geo.model.samples.features import land_cells

    weight = cube["cell_area"].where(land_cells(cube), 0.0)
    means = {
        n: cube[n].weighted(weight).mean(("lat", "lon")) for n in names if "time" in cube[n].dims
    }
    table = xr.Dataset(means).compute().to_dataframe()[list(means)]
    time = pd.DatetimeIndex(table.index)
    learned = time.isin(train)
    trained_years = np.unique(time.year[learned])
    if trained_years.size < LEAST_YEARS:
        return {}
    normal = table[learned].groupby(time.month[learned]).mean()
    departure = table - normal.reindex(time.month).to_numpy()
    days = pd.Series(days_in_month(cube["time"]).values, time)
    found = {}
    for name, values in departure.items():
        known = values.notna()
        total = (values * days)[known].groupby(time.year[known]).sum()
        yearly = total / days[known].groupby(time.year[known]).sum()
        spread = float(yearly[yearly.index.isin(trained_years)].std())
        if spread > 0:
            found[str(name)] = {
                "units": str(cube[name].attrs.get("units", "")),
                "by_year": {
                    str(year): {"departure": float(value), "spreads": float(value / spread)}
                    for year, value in yearly.items()
                    if year not in trained_years
                },
            }
    return found


def dissimilarity_by_year(prediction: xr.Dataset) -> dict[str, dict[str, float]]:
    """Return the mean dissimilarity to the training rows of each year, and the share outside.

    Parameters
    ----------
    prediction : xarray.Dataset
        With ``applicability``, ``applicable`` and ``cell_area``, lazy or not.

    Returns
    -------
    dict
        By year, ``mean`` and ``outside``, the share of area and months, 0 to 1.
    """
    index = prediction["applicability"]
    outside = (1 - prediction["applicable"]).where(index.notnull())
    both = xr.Dataset({"mean": index, "outside": outside}).weighted(prediction["cell_area"])
    yearly = both.mean(("lat", "lon")).compute().groupby("time.year").mean()
    return {
        str(int(year)): {str(n): float(array.sel(year=year)) for n, array in yearly.items()}
        for year in yearly["year"]
    }


def shift_warning(metrics: Mapping[str, Any]) -> str:
    """Return in words which years differ from what was learned from; nothing where none does.

    Parameters
    ----------
    metrics : mapping
        With ``shift``, as from `climate_shift`, and ``dissimilarity``: ``held_out``, the mean of
        held-out rows, and ``by_year``, as from `dissimilarity_by_year`. Both may be absent.

    Examples
    --------
    >>> years = {"2014": {"departure": 2.0, "spreads": 7.2}}
    >>> shift_warning({"shift": {"temp": {"units": "degC", "by_year": years}}})
    'The climate has shifted: over the region temp is off its mean of the training years by \
+2 degC in 2014 (7 times their spread). Scores of other years do not carry over to these.'
    """
    far = sorted(
        (-abs(one["spreads"]), name, year, one["departure"], found["units"])
        for name, found in metrics.get("shift", {}).items()
        for year, one in found["by_year"].items()
        if abs(one["spreads"]) > FAR
    )
    worst: dict[str, tuple] = {}
    for one in far:
        worst.setdefault(one[1], one)
    said = ""
    if worst:
        named = ", ".join(
            f"{name} is off its mean of the training years by {departure:+.2g} {units} in {year} "
            f"({-spreads:.0f} times their spread)"
            for spreads, name, year, departure, units in list(worst.values())[:3]
        )
        more = f", and {len(worst) - 3} predictors more" if len(worst) > 3 else ""
        said = (
            f"The climate has shifted: over the region {named}{more}. Scores of other years do "
            "not carry over to these."
        )
    known = metrics.get("dissimilarity", {})
    held = known.get("held_out")
    unlike = [
        year
        for year, one in known.get("by_year", {}).items()
        if None not in (one["mean"], held) and one["mean"] > DISSIMILAR * held
    ]
    if unlike:
        top = max(known["by_year"][year]["mean"] for year in unlike)
        said += (
            f" The conditions of {', '.join(unlike)} are up to {top / held:.1f} times as "
            "dissimilar to those of the training as held-out rows are."
        )
    return said.strip()
