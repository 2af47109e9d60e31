"""Errors on a grid: how far they hang together, how large they are, and blocks to draw from."""

from __future__ import annotations

import numpy as np

from narcf_geo.core.constants import EARTH_RADIUS

NO_LIKENESS = 0.05
"""Correlation of neighbours up to which they are taken as independent."""

COVERED = 0.75
"""Share of the cells of a block that must fall on known errors elsewhere."""


def correlation_length(z: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> float:
    """Return the distance, km, in which the correlation of two cells falls to 1/e of the nearest's.

    Parameters
    ----------
    z : numpy.ndarray
        Standardised errors (time, lat, lon), NaN where unknown. What all cells of a month share is
        taken off first.
    lat, lon : numpy.ndarray
        Centres of the cells, degrees.

    Returns
    -------
    float
        At most half the largest distance; that of neighbours where they are not alike, and where
        there are fewer than three cells.
    """
    known = np.argwhere(np.isfinite(z).any(axis=0))
    step = np.deg2rad(step_of(lat)) * EARTH_RADIUS / 1e3
    if len(known) < 3:
        return float(step)
    if len(known) > 1500:
        known = np.random.default_rng(0).permutation(known)[:1500]
    values = z[:, known[:, 0], known[:, 1]]
    counted = np.isfinite(values)
    mean = np.nansum(values, axis=1) / np.maximum(counted.sum(axis=1), 1)
    values = np.where(counted, values - mean[:, None], 0.0)
    y, x = np.deg2rad(lat[known[:, 0]]), np.deg2rad(lon[known[:, 1]])
    point = np.stack([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)])
    upper = np.triu_indices(len(known), 1)
    distance = (EARTH_RADIUS / 1e3 * np.arccos(np.clip(point.T @ point, -1, 1)))[upper]
    product = (values.T @ values)[upper]
    pairs = (counted.T.astype(np.float64) @ counted)[upper]
    bins = (distance / (1.5 * step)).astype(int)
    total, count = np.bincount(bins, product), np.bincount(bins, pairs)
    filled = count > 0
    centre = np.bincount(bins, distance * pairs)[filled] / count[filled]
    far = centre[-1] / 2
    # With its mean taken off, a field of finite size is less alike than none at a distance.
    curve = total[filled] / count[filled]
    curve -= np.average(curve[centre >= far], weights=count[filled][centre >= far])
    if curve[0] <= NO_LIKENESS * (values**2).sum() / counted.sum():
        return float(centre[0])
    k = np.flatnonzero(np.append(curve, -1.0) < curve[0] / np.e)[0]
    if k == centre.size:
        return float(far)
    part = (curve[k - 1] - curve[0] / np.e) / (curve[k - 1] - curve[k])
    crossing = centre[k - 1] + part * (centre[k] - centre[k - 1])
    return float(min(crossing - centre[0], far))


def local_size(z: np.ndarray, month: np.ndarray, width: float) -> np.ndarray:
    """Return the root-mean-square of `z` about each cell and calendar month.

    Parameters
    ----------
    z : numpy.ndarray
        (time, lat, lon), NaN where unknown.
    month : numpy.ndarray
        Calendar month (time,), 1 to 12.
    width : float
        Standard deviation of the Gaussian neighbourhood, in cells; in time, one month.

    Returns
    -------
    numpy.ndarray
        (12, lat, lon), positive, far from all errors their overall size.
    """
    from scipy import ndimage

    square, count = np.zeros((12, *z.shape[1:])), np.zeros((12, *z.shape[1:]))
    np.add.at(square, month - 1, np.nan_to_num(z) ** 2)
    np.add.at(count, month - 1, np.isfinite(z))
    overall = square.sum() / count.sum()
    if overall == 0:
        return np.ones_like(square)
    for axis, sigma, mode in ((0, 1.0, "wrap"), (1, width, "constant"), (2, width, "constant")):
        square = ndimage.gaussian_filter1d(square, sigma, axis=axis, mode=mode, truncate=3)
        count = ndimage.gaussian_filter1d(count, sigma, axis=axis, mode=mode, truncate=3)
    # A little of the overall size keeps places of few errors from extremes.
    floor = 0.02 * count.max()
    return np.sqrt((square + floor * overall) / (count + floor))


def calendar_years(z: np.ndarray, year: np.ndarray, month: np.ndarray) -> np.ndarray:
    """Return whole years of errors without gaps, shape (year, 12, lat, lon).

    A month that a year lacks comes from another year, or from the nearest calendar month; a cell
    without a value takes that of the nearest cell with one.
    """
    from scipy import ndimage

    months = {}
    for t in range(len(z)):
        known = np.isfinite(z[t])
        if known.any():
            nearest = ndimage.distance_transform_edt(
                ~known, return_distances=False, return_indices=True
            )
            months[year[t], month[t]] = z[t][tuple(nearest)]
    years = sorted({y for y, _ in months})

    def nearest_month(y: int, m: int) -> tuple[int, int]:
        return min(months, key=lambda k: (min((k[1] - m) % 12, (m - k[1]) % 12), abs(k[0] - y)))

    return np.array([[months[nearest_month(y, m)] for m in range(1, 13)] for y in years])


def step_of(axis: np.ndarray) -> float:
    """Return the mean distance of neighbours on a coordinate axis, 1 where there are none."""
    return float(abs(np.diff(axis).mean())) if axis.size > 1 else 1.0


def donors(
    shape: tuple[int, ...], row: np.ndarray, column: np.ndarray, valid: np.ndarray
) -> np.ndarray:
    """Return the shifts (shift, 2) that put the cells of a block on cells with errors.

    At least three quarters of the cells must fall on some, or as many as can be where that is not
    to be had.
    """
    from scipy.signal import fftconvolve

    block = np.zeros((np.ptp(row) + 1, np.ptp(column) + 1))
    block[row - row.min(), column - column.min()] = 1.0
    hits = np.rint(fftconvolve(valid.astype(np.float64), block[::-1, ::-1], mode="full"))
    wanted = min(COVERED * row.size, hits.max())
    place = np.argwhere(hits >= wanted - 1e-9)
    return place - [block.shape[0] - 1 + row.min(), block.shape[1] - 1 + column.min()]
