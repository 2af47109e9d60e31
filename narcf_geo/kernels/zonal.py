"""Sums and extremes of the cells in polygons. Imports numba: import it when needed only."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
from scipy import sparse


class Sums(NamedTuple):
    """Of the valid cells of each polygon, all (polygon, n)."""

    area: np.ndarray
    total: np.ndarray
    least: np.ndarray
    greatest: np.ndarray


def summed(area: sparse.csr_array, weight: sparse.csr_array, values: np.ndarray) -> Sums:
    """Return sums and extremes over the cells of each polygon, NaN left out.

    Parameters
    ----------
    area, weight : scipy.sparse.csr_array
        (polygon, cell) of one structure: what each valid cell counts for, and its factor in the
        total.
    values : numpy.ndarray
        (cell, n), float64.

    Returns
    -------
    Sums
        Extremes are NaN where a polygon has no valid cell; area and total are 0.

    Examples
    --------
    >>> half = sparse.csr_array(np.array([[1.0, 0.5]]))
    >>> summed(half, half, np.array([[4.0, np.nan], [2.0, 6.0]])).total
    array([[5., 3.]])
    """
    shape = area.shape[0], values.shape[1]
    found = Sums(*np.zeros((2, *shape)), *np.full((2, *shape), np.nan))
    _add(area.indptr, area.indices, area.data, weight.data, values, *found)
    return found


@nb.njit(cache=True, nogil=True)
def _add(
    indptr: np.ndarray,
    indices: np.ndarray,
    area: np.ndarray,
    weight: np.ndarray,
    values: np.ndarray,
    areas: np.ndarray,
    totals: np.ndarray,
    least: np.ndarray,
    greatest: np.ndarray,
) -> None:
    for p in range(indptr.size - 1):
        for k in range(indptr[p], indptr[p + 1]):
            row, a, w = values[indices[k]], area[k], weight[k]
            for t in range(row.size):
                value = row[t]
                if value == value:
                    areas[p, t] += a
                    totals[p, t] += w * value
                    if not least[p, t] <= value:
                        least[p, t] = value
                    if not greatest[p, t] >= value:
                        greatest[p, t] = value
