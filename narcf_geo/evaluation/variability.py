"""What an estimate gets right: where, in which season, and in which year."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from narcf_geo.budget.totals import region_total
from narcf_geo.evaluation.comparison import Pair
from narcf_geo.statistics.scores import ROUNDING, scores, taylor

CENTRED = ("r", "rmse", "mae", "nse", "slope", "n")
"""The scores that mean something for values whose mean is zero."""


class Parts(NamedTuple):
    """A flux as the sum of three parts, in the unit of the flux.

    Attributes
    ----------
    mean : numpy.ndarray
        (...), the mean field: the mean of the calendar months, each of which counts once.
    cycle : numpy.ndarray
        (12, ...), the mean seasonal cycle: of each calendar month the mean over the years, less
        the mean field; NaN for months without a value.
    anomalies : numpy.ndarray
        (time, ...), the rest: the departure of a month from the mean of its calendar month; NaN
        for calendar months with a single year, whose departure is not known.
    """

    mean: np.ndarray
    cycle: np.ndarray
    anomalies: np.ndarray


def decompose(flux: np.ndarray, month: np.ndarray) -> Parts:
    """Split a flux into mean field, mean seasonal cycle and anomalies from them.

    Parameters
    ----------
    flux : numpy.ndarray
        (time, ...), NaN where missing.
    month : numpy.ndarray
        (time,), the calendar month, 1 to 12.

    Examples
    --------
    >>> parts = decompose(np.array([1.0, 5.0, 3.0, 7.0]), np.array([1, 7, 1, 7]))
    >>> float(parts.mean), parts.cycle[[0, 6]].tolist(), parts.anomalies.tolist()
    (4.0, [-2.0, 2.0], [-1.0, -1.0, 1.0, 1.0])
    """
    flux = flux.astype(np.float64)
    counts = np.stack([np.isfinite(flux[month == m]).sum(axis=0) for m in range(1, 13)])
    sums = np.stack([np.nansum(flux[month == m], axis=0) for m in range(1, 13)])
    climatology = _ratio(sums, counts)
    mean = _ratio(np.nansum(climatology, axis=0), np.isfinite(climatology).sum(axis=0))
    repeated = np.where(counts >= 2, climatology, np.nan)
    rounding = ROUNDING * np.nanmax(np.abs(flux), initial=0.0)
    cycle, anomalies = climatology - mean, flux - repeated[month - 1]
    return Parts(mean, *(np.where(np.abs(v) < rounding, 0.0, v) for v in (cycle, anomalies)))


def components(
    estimate: xr.DataArray, observed: xr.DataArray, cell_area: xr.DataArray | None = None
) -> dict[str, Any]:
    """Score the parts of which a flux consists, each by itself.

    Both fluxes are taken on the cells and months that both have, and split by `decompose`. The
    mean field is what differs from place to place, the cycle what comes back each year, and the
    anomalies are the interannual variability.

    Parameters
    ----------
    estimate, observed, cell_area
        As for `compare`.

    Returns
    -------
    dict
        ``mean_field``, over cells; ``seasonal_cycle``, over cells and calendar months, without the
        mean field; ``anomalies``, over cells and months, without both: scores weighted by area in
        umol m-2 s-1. ``monthly_total``, the series of the region's totals, and
        ``monthly_total_anomalies``, its anomalies: in TgC per month, all months alike. Each holds
        its ``units``, scores as of `metrics.scores` (without those that need a mean where it is
        zero by definition) and ``taylor`` as of `metrics.taylor`. None: a field without any pair,
        a cycle of fewer than two calendar months, anomalies of fewer than two years.
    """
    both = Pair.of(estimate, observed, cell_area)
    estimate, observed, cell_area = both
    pair = both.valid()
    month = estimate["time"].dt.month.values
    flux = "umol m-2 s-1"
    e, o = (decompose(f.where(pair).values, month) for f in (estimate, observed))
    area = cell_area.values
    result = {
        "mean_field": _scored(e.mean, o.mean, area, flux),
        "seasonal_cycle": _cycle(e.cycle, o.cycle, area, flux),
        "anomalies": _scored(e.anomalies, o.anomalies, area, flux, CENTRED),
    }
    some = pair.any(["lat", "lon"])
    totals = [region_total(f.where(pair), cell_area).where(some) for f in (estimate, observed)]
    one = np.ones(())
    result["monthly_total"] = _scored(totals[0].values, totals[1].values, one, "TgC month-1")
    e_rest, o_rest = (decompose(total.values, month).anomalies for total in totals)
    result["monthly_total_anomalies"] = _scored(e_rest, o_rest, one, "TgC month-1", CENTRED)
    return result


def _cycle(
    estimate: np.ndarray, observed: np.ndarray, area: np.ndarray, units: str
) -> dict[str, Any] | None:
    seasonal = np.isfinite(estimate).sum(axis=0) >= 2
    return _scored(np.where(seasonal, estimate, np.nan), observed, area, units, CENTRED)


def _scored(
    estimate: np.ndarray,
    observed: np.ndarray,
    area: np.ndarray,
    units: str,
    names: tuple[str, ...] | None = None,
) -> dict[str, Any] | None:
    weight = np.broadcast_to(area, estimate.shape)
    found = scores(estimate, observed, weight)
    if not found["n"]:
        return None
    chosen = {name: found[name] for name in names} if names else found
    return {"units": units, **chosen, "taylor": taylor(estimate, observed, weight)}


def _ratio(numerator: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the quotient, NaN where there is nothing to divide by."""
    return np.where(count > 0, numerator / np.maximum(count, 1), np.nan)
