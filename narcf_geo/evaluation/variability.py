"""What an estimate gets right: where, in which season, and in which year."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from narcf_geo.evaluation.comparison import Pair, sums_of
from narcf_geo.evaluation.sums import PairSums
from narcf_geo.statistics.climatology import Climatology
from narcf_geo.statistics.scores import Moments

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
    climatology = Climatology(*flux.shape[1:])
    flux = flux.astype(np.float64)
    climatology.add(flux, month)
    return Parts(*climatology.mean_and_cycle(), climatology.anomalies(flux, month))


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
    return scored_components(sums_of(Pair.of(estimate, observed, cell_area), components=True))


def scored_components(sums: PairSums) -> dict[str, Any]:
    """Return the scores of each component; see `components`."""
    flux, total = "umol m-2 s-1", "TgC month-1"
    names = {"mean_field": None, "seasonal_cycle": CENTRED, "anomalies": CENTRED}
    result = {name: _scored(sums.components[name], flux, only) for name, only in names.items()}
    estimate, observed = sums.monthly_totals()
    month = np.asarray(sums.time.month)
    e_rest, o_rest = (decompose(series, month).anomalies for series in (estimate, observed))
    one = np.ones(month.size)
    result["monthly_total"] = _scored(Moments.of(estimate, observed, one), total)
    result["monthly_total_anomalies"] = _scored(Moments.of(e_rest, o_rest, one), total, CENTRED)
    return result


def _scored(
    moments: Moments, units: str, names: tuple[str, ...] | None = None
) -> dict[str, Any] | None:
    found = moments.scores()
    if not found["n"]:
        return None
    chosen = {name: found[name] for name in names} if names else found
    return {"units": units, **chosen, "taylor": moments.taylor()}
