"""Statistics of the source cells in each target cell. Imports numba: import it when needed only.

A row of the matrix lists the source cells in a target cell with the share of the target cell that
each covers. All statistics are those of the field as it lies on the sphere, constant in each
source cell: a cell counts by its overlap, and a cell that is cut in two counts as before.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

MIN, MAX, STD, PERCENTILE, MAJORITY, CIRCULAR = range(6)
"""Kinds of statistics of `reduce_cells`."""

SAME = 1e-9
"""Shares closer than this, of the covered part, are equal: overlap areas have rounding."""


@nb.njit(cache=True, nogil=True)
def _std(v: Any, w: Any, n: int, covered: float) -> float:
    mean = 0.0
    for k in range(n):
        mean += w[k] * (v[k] - v[0])
    mean = v[0] + mean / covered
    squares = 0.0
    for k in range(n):
        squares += w[k] * (v[k] - mean) ** 2
    return np.sqrt(squares / covered)


@nb.njit(cache=True, nogil=True)
def _percentile(v: Any, w: Any, n: int, covered: float, q: float) -> float:
    """The value below which `q` percent of the area lie; the middle of two at the very edge."""
    order = np.argsort(v[:n])
    wanted = q / 100.0 * covered
    below = 0.0
    for k in range(n):
        below += w[order[k]]
        if below > wanted + SAME * covered:
            return float(v[order[k]])
        if below >= wanted - SAME * covered and k + 1 < n:
            if q <= 0.0:
                return float(v[order[0]])
            return 0.5 * v[order[k]] + 0.5 * v[order[k + 1]]
    return float(v[order[n - 1]])


@nb.njit(cache=True, nogil=True)
def _majority(v: Any, w: Any, n: int, covered: float) -> float:
    order = np.argsort(v[:n])
    best, most = np.nan, -1.0
    k = 0
    while k < n:
        value, area = v[order[k]], 0.0
        while k < n and v[order[k]] == value:
            area += w[order[k]]
            k += 1
        # Classes come in rising order: an equal share leaves the lower one.
        if area > most + SAME * covered:
            best, most = value, area
    return float(best)


@nb.njit(cache=True, nogil=True)
def _circular(v: Any, w: Any, n: int, covered: float, turn: float) -> float:
    """Direction of the mean of unit vectors, `turn` being a full circle; NaN where it is none."""
    x, y = 0.0, 0.0
    for k in range(n):
        angle = v[k] * (2.0 * np.pi / turn)
        x += w[k] * np.cos(angle)
        y += w[k] * np.sin(angle)
    if np.hypot(x, y) < 1e-6 * covered:
        return float(np.nan)
    return float((np.arctan2(y, x) * (turn / (2.0 * np.pi))) % turn)


@nb.njit(cache=True, nogil=True)
def _statistic(kind: int, q: float, v: Any, w: Any, n: int, covered: float) -> float:
    if kind == MIN:
        return float(v[:n].min())
    if kind == MAX:
        return float(v[:n].max())
    if kind == STD:
        return _std(v, w, n, covered)
    if kind == PERCENTILE:
        return _percentile(v, w, n, covered, q)
    if kind == MAJORITY:
        return _majority(v, w, n, covered)
    return _circular(v, w, n, covered, q)


@nb.njit(cache=True, nogil=True)
def reduce_cells(
    fields: Any,
    indptr: Any,
    indices: Any,
    shares: Any,
    kind: int,
    q: float,
    least: float,
    values: Any,
    fraction: Any,
) -> None:
    """Write a statistic of each target cell into `values`, and its covered part into `fraction`.

    Parameters
    ----------
    fields
        Shape (n, n_source), NaN where missing.
    indptr, indices, shares
        The matrix (n_target, n_source) in CSR form.
    kind, q
        The statistic, and the percentile (0..100) or full circle it takes.
    least
        Covered fraction below which a cell is NaN.
    values, fraction
        Shape (n, n_target), written into.
    """
    longest = 1
    for t in range(indptr.size - 1):
        longest = max(longest, indptr[t + 1] - indptr[t])
    v, w = np.empty(longest), np.empty(longest)
    for f in range(fields.shape[0]):
        for t in range(indptr.size - 1):
            n, covered = 0, 0.0
            for k in range(indptr[t], indptr[t + 1]):
                value = fields[f, indices[k]]
                if value == value and shares[k] > 0.0:
                    v[n], w[n] = value, shares[k]
                    covered += shares[k]
                    n += 1
            fraction[f, t] = min(covered, 1.0)
            if n == 0 or covered < least:
                values[f, t] = np.nan
            else:
                values[f, t] = _statistic(kind, q, v, w, n, covered)


@nb.njit(cache=True, nogil=True)
def class_shares(
    fields: Any,
    indptr: Any,
    indices: Any,
    shares: Any,
    classes: Any,
    least: float,
    values: Any,
    fraction: Any,
) -> None:
    """Write the share of each class in the covered part of each target cell.

    As `reduce_cells`, with `classes` in rising order and `values` (n, n_classes, n_target). Other
    numbers than these classes count as covered and have no share.
    """
    sums = np.empty(classes.size)
    for f in range(fields.shape[0]):
        for t in range(indptr.size - 1):
            covered = 0.0
            sums[:] = 0.0
            for k in range(indptr[t], indptr[t + 1]):
                value = fields[f, indices[k]]
                if value == value:
                    covered += shares[k]
                    c = np.searchsorted(classes, value)
                    if c < classes.size and classes[c] == value:
                        sums[c] += shares[k]
            fraction[f, t] = min(covered, 1.0)
            for c in range(classes.size):
                values[f, c, t] = sums[c] / covered if covered >= least else np.nan
