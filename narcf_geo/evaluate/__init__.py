"""How good the estimate is: scores by part, month and biome, on common masks and months."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.budget import cell_total
from narcf_geo.constants import IGBP
from narcf_geo.evaluate.metrics import scores


def compare(
    estimate: xr.DataArray, observed: xr.DataArray, cell_area: xr.DataArray
) -> dict[str, Any]:
    """Score `estimate` against `observed` on the cells and months that both have.

    Parameters
    ----------
    estimate, observed : xarray.DataArray
        (time, lat, lon), umol m-2 s-1, on the same grid; paired by their months.
    cell_area : xarray.DataArray
        (lat, lon), m2: the weights.

    Returns
    -------
    dict
        ``r``, ``rmse``, ``bias`` (umol m-2 s-1, weighted by area), ``bias_TgC_per_year`` (summed
        over areas and true month lengths, per 12 months), ``n`` pairs, and ``period`` from first to
        last month with a pair.
    """
    estimate, observed = xr.align(estimate, observed, join="inner", copy=False)
    pair = estimate.notnull() & observed.notnull()
    weight = np.broadcast_to(cell_area.values, estimate.shape)
    result: dict[str, Any] = scores(estimate.values, observed.values, weight)
    months = pd.DatetimeIndex(estimate["time"].values[pair.any(["lat", "lon"]).values])
    difference = (estimate.astype(np.float64) - observed.astype(np.float64)).where(pair)
    total = float(cell_total(difference, cell_area).sum())
    result["bias_TgC_per_year"] = total * 12 / len(months) if len(months) else float("nan")
    result["period"] = [f"{m:%Y-%m}" for m in (months[[0, -1]] if len(months) else months)]
    return result


def by_month(
    estimate: xr.DataArray, observed: xr.DataArray, cell_area: xr.DataArray
) -> dict[str, Any]:
    """Score each calendar month, ``"1"`` to ``"12"``, that the data have."""
    numbers = estimate["time"].dt.month
    return {
        str(m): compare(estimate[numbers == m], observed[numbers == m], cell_area)
        for m in np.unique(numbers.values)
    }


def by_biome(
    estimate: xr.DataArray, observed: xr.DataArray, cell_area: xr.DataArray, biome: xr.DataArray
) -> dict[str, Any]:
    """Score each IGBP class (by number) that has an estimate."""
    result = {}
    for number, igbp in enumerate(IGBP):
        inside = estimate.where(biome == number)
        if np.isfinite(inside).any():
            result[str(number)] = {"name": igbp.name, **compare(inside, observed, cell_area)}
    return result
