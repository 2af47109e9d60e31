"""The nearest of many rows, looked for in the groups nearest to a row. Imports numba."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

_STEP = 16


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def nearest_member(
    rows: Any, near: Any, members: Any, start: Any, groups: int, distance: Any
) -> None:
    """Write the distance of each row to the nearest member of the groups nearest to it.

    Parameters
    ----------
    rows : numpy.ndarray
        Shape (n_rows, n_columns), float32.
    near : numpy.ndarray
        How near the centre of each group is to each row, the smaller the nearer, in any order
        preserving unit; shape (n_rows, n_groups), float32.
    members : numpy.ndarray
        Of one group after the other, shape (n_members, n_columns), float32.
    start : numpy.ndarray
        First member of each group, and the number of members, shape (n_groups + 1,).
    groups : int
        Groups to look in, at most; an empty one counts.
    distance : numpy.ndarray
        To be written, shape (n_rows,), float32; infinite where all groups looked in are empty.
    """
    groups = min(groups, near.shape[1])
    chosen = np.empty(groups, np.int64)
    value = np.empty(groups, np.float32)
    for row in range(rows.shape[0]):
        value[:] = np.inf
        chosen[:] = 0
        for group in range(near.shape[1]):
            if near[row, group] < value[-1]:
                at = groups - 1
                while at > 0 and near[row, group] < value[at - 1]:
                    value[at], chosen[at] = value[at - 1], chosen[at - 1]
                    at -= 1
                value[at], chosen[at] = near[row, group], group
        best = np.float32(np.inf)
        for at in range(groups):
            for member in range(start[chosen[at]], start[chosen[at] + 1]):
                square = np.float32(0)
                for first in range(0, rows.shape[1], _STEP):
                    for column in range(first, min(first + _STEP, rows.shape[1])):
                        step = rows[row, column] - members[member, column]
                        square += step * step
                    if square >= best:
                        break
                best = min(best, square)
        distance[row] = np.sqrt(best)
