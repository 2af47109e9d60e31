"""What drought does to the flux: of the estimate, and as it was observed."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.evaluation.variability import decompose
from narcf_geo.statistics.trends import of_blocks

PRECIPITATION = ("precip", "precip_30d")
"""Predictors that say how dry it is, the first that is there."""

MONTHS = 3
"""Over which precipitation is averaged: a dry month after wet ones is no drought."""

DRIEST = 0.1
"""Share of the growing-season months of a cell that are dry."""

LEAST_YEARS = 5
"""Of a calendar month, from which on its driest tell of drought."""

BLOCK_DEGREES = 5.0
"""Cells of a block of a year err together, and count as one."""

_AT_ONCE = 2**22
"""Values of a field that are read together."""


def drought_response(
    estimate: xr.DataArray,
    observed: xr.DataArray,
    precipitation: xr.DataArray,
    cell_area: xr.DataArray,
    months: np.ndarray,
) -> dict[str, Any]:
    """Compare the anomalies of two fluxes in dry months.

    Precipitation, a mean over three months, is standardised by calendar month in each cell. Dry is
    the lowest tenth of a cell's growing season, which are the calendar months in which its observed
    flux is below the mean of the year. Anomalies are departures from the mean of a calendar month
    over all years. Nothing here is chosen by the estimate.

    Parameters
    ----------
    estimate, observed : xarray.DataArray
        (time, lat, lon), umol m-2 s-1, on one grid and the same months, lazy or in memory.
    precipitation : xarray.DataArray
        The same, in any unit.
    cell_area : xarray.DataArray
        (lat, lon), m2.
    months : numpy.ndarray
        Which months are compared, bool (time,); the climate is that of all.

    Returns
    -------
    dict
        ``estimate``, ``observed`` and ``difference``: ``mean`` of the anomaly over area and dry
        months, umol m-2 s-1, and ``lower`` and ``upper``, its 95 % interval by blocks of 5 degrees
        and a year; ``n`` dry cells and months, and ``blocks``. Empty where no calendar month has
        five years, or no tested month is dry.
    """
    time = observed.indexes["time"]
    month, year = np.asarray(time.month), np.asarray(time.year)
    if np.bincount(month, minlength=13)[1:].max() < LEAST_YEARS:
        return {}
    area = cell_area.transpose("lat", "lon").values
    sums: dict[tuple[int, ...], np.ndarray] = {}
    n, rows = 0, max(1, _AT_ONCE // (time.size * observed.sizes["lon"]))
    for start in range(0, observed.sizes["lat"], rows):
        slab = slice(start, start + rows)
        e, o, rain = (
            field.isel(lat=slab).transpose("time", "lat", "lon").values.astype(np.float64)
            for field in (estimate, observed, precipitation)
        )
        both = np.isfinite(e) & np.isfinite(o)
        known = decompose(np.where(both, o, np.nan), month)
        anomaly = np.stack([decompose(np.where(both, e, np.nan), month).anomalies, known.anomalies])
        dry = dry_months(rain, month, known.cycle[month - 1] < 0) & months[:, None, None]
        dry &= np.isfinite(anomaly).all(axis=0)
        t, y, x = np.nonzero(dry)
        n += t.size
        weight = area[slab][y, x]
        values = np.stack([*(anomaly[:, t, y, x] * weight), weight])
        place = observed["lat"].values[slab][y], observed["lon"].values[x]
        block = np.stack([year[t], *(np.floor(p / BLOCK_DEGREES) for p in place)]).astype(int)
        keys, of = np.unique(block, axis=1, return_inverse=True)
        for number, key in enumerate(keys.T.tolist()):
            some = values[:, of.ravel() == number].sum(axis=1)
            sums[tuple(key)] = sums.get(tuple(key), 0.0) + some
    return _compared(np.stack(list(sums.values()), axis=-1), n) if sums else {}


def dry_months(rain: np.ndarray, month: np.ndarray, growing: np.ndarray) -> np.ndarray:
    """Return where it is dry (time, lat, lon): in the driest tenth of a cell's growing season.

    Parameters
    ----------
    rain : numpy.ndarray
        (time, lat, lon), months without gaps.
    month : numpy.ndarray
        (time,), 1 to 12.
    growing : numpy.ndarray
        (time, lat, lon), bool.
    """
    mean = np.full_like(rain, np.nan)
    if len(rain) >= MONTHS:
        ahead = len(rain) - MONTHS + 1
        mean[MONTHS - 1 :] = sum(rain[n : n + ahead] for n in range(MONTHS)) / MONTHS
    z = np.full_like(rain, np.nan)
    for number in np.unique(month):
        of = mean[month == number]
        known = np.isfinite(of)
        count = np.maximum(known.sum(axis=0), 1)
        off = of - np.where(known, of, 0.0).sum(axis=0) / count
        size = np.sqrt((np.where(known, off, 0.0) ** 2).sum(axis=0) / count)
        enough = (count >= LEAST_YEARS) & (size > 0)
        z[month == number] = np.where(enough, off / np.where(size > 0, size, 1.0), np.nan)
    z = np.where(growing, z, np.nan)
    some = np.isfinite(z).any(axis=0)
    limit = np.full(z.shape[1:], -np.inf)
    limit[some] = np.nanquantile(z[:, some], DRIEST, axis=0)
    dry: np.ndarray = z <= limit
    return dry


def _compared(sums: np.ndarray, n: int) -> dict[str, Any]:
    """Return the means of sums (estimate, observed and weight; block) with their intervals."""

    def means(s: np.ndarray) -> np.ndarray:
        return np.stack([s[0], s[1], s[0] - s[1]]) / s[2]

    mean = means(sums.sum(axis=-1))
    lower, upper, _ = of_blocks(means, sums)
    result: dict[str, Any] = {
        name: {"mean": float(m), "lower": float(low), "upper": float(high)}
        for name, m, low, high in zip(
            ("estimate", "observed", "difference"), mean, lower, upper, strict=True
        )
    }
    return {**result, "units": "umol m-2 s-1", "n": n, "blocks": sums.shape[-1]}
