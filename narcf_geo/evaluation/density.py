"""How many pairs of two fluxes lie where, counted in one pass over fields of any size."""

from __future__ import annotations

import operator
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np
import xarray as xr

from narcf_geo.budget.windows import Windows
from narcf_geo.evaluation.comparison import Pair, sums_of

BINS = 700
"""Bins of a density along each axis."""


class Density(NamedTuple):
    """Pairs of an estimate and an observed flux.

    Attributes
    ----------
    observed, estimate, number : numpy.ndarray
        Centres of the bins that hold a pair, and how many they hold.
    low, high : float
        Smallest and largest value of both.
    span : tuple of float
        Smallest and largest observed value.
    slope, offset : float
        Of the least-squares line of estimate on observed; NaN where the observed do not vary.
    """

    observed: np.ndarray
    estimate: np.ndarray
    number: np.ndarray
    low: float
    high: float
    span: tuple[float, float]
    slope: float
    offset: float


def density(
    estimate: xr.DataArray, observed: xr.DataArray, area: xr.DataArray | None = None
) -> Density | None:
    """Count the pairs of two fluxes in bins; None where there is no pair.

    Parameters
    ----------
    estimate, observed : xarray.DataArray
        As for `narcf_geo.evaluation.compare`; lazy fields are read twice, window by window.
    area : xarray.DataArray, optional
        (lat, lon), m2: weights of the line, by default all alike.

    Examples
    --------
    >>> import pandas as pd
    >>> flux = xr.DataArray(
    ...     [[[0.0, 1.0], [3.0, np.nan]]], dims=("time", "lat", "lon"),
    ...     coords={"time": pd.to_datetime(["2015-07-01"]), "lat": [45.5, 46.5], "lon": [0.5, 1.5]},
    ...     attrs={"units": "umol m-2 s-1"})
    >>> found = density(2 * flux.assign_attrs(flux.attrs), flux)
    >>> found.number.tolist(), found.low, found.high, round(found.slope, 6)
    ([1, 1, 1], 0.0, 6.0, 2.0)
    """
    pair = Pair.of(estimate, observed, area)
    if area is None:
        pair = pair._replace(area=xr.ones_like(pair.area))
    whole = sums_of(pair).whole.merged()
    if not whole.n:
        return None
    low, high = float(whole.low.min()), float(whole.high.max())
    slope = whole.scores()["slope"]
    count = _counted(pair, low, high)
    x, y = np.nonzero(count)
    centre = low + (np.arange(BINS) + 0.5) * (high - low) / BINS
    return Density(
        centre[x],
        centre[y],
        count[x, y],
        low,
        high,
        (float(whole.low[1]), float(whole.high[1])),
        slope,
        float(whole.estimate - slope * whole.observed),
    )


def _counted(pair: Pair, low: float, high: float) -> np.ndarray:
    """Return the number of pairs (observed, estimate) in each bin."""
    windows = Windows({"estimate": pair.estimate, "observed": pair.observed})
    counted = pair.area.transpose(*windows.plane).values > 0
    of_place = partial(_of_place, counted=counted, low=low, high=high)
    count = windows.total(of_place, operator.add)
    return count.reshape(BINS, BINS)


def _of_place(
    windows: Windows, number: int, *, counted: np.ndarray, low: float, high: float
) -> np.ndarray:
    """Return the number of pairs of a place in each bin, (observed, estimate) as one axis."""
    place = windows.places[number]
    count = np.zeros(BINS * BINS, dtype=np.int64)
    scale = BINS / (high - low) if high > low else 0.0
    pieces = (windows.pieces(time, place) for time in windows.times)
    for _, values in chain.from_iterable(pieces):
        e, o = (values[name].astype(np.float64) for name in ("estimate", "observed"))
        pairs = np.isfinite(e) & np.isfinite(o) & counted[place]
        x, y = (np.clip(((v[pairs] - low) * scale).astype(int), 0, BINS - 1) for v in (o, e))
        count += np.bincount(x * BINS + y, minlength=count.size)
    return count
