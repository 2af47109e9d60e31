"""Exact areas that polygons share with rectangles, in one walk along their edges.

Only imported when they are computed: it imports numba.

An edge that rises by ``dy`` within a row takes ``dy`` times the width from all cells to its right,
and ``dy`` times what is right of it from the cell in which it lies (signed areas are added, as in
the drawing of fonts: R. Levien, font-rs, 2016). Added up over closed rings, these are the areas of
the overlaps; the cost is that of the cells that edges cross, and of one sum over the rows.
"""

from __future__ import annotations

import numba as nb
import numpy as np
import shapely


def covered(x: np.ndarray, y: np.ndarray, shape: shapely.Geometry) -> np.ndarray:
    """Return the area (rows, columns) that a polygon shares with each rectangle.

    Parameters
    ----------
    x, y : numpy.ndarray
        Edges of the rectangles, rising.
    shape : shapely.Polygon or shapely.MultiPolygon
        Valid.

    Examples
    --------
    >>> triangle = shapely.Polygon([(0, 0), (2, 0), (0, 2)])
    >>> covered(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0]), triangle).tolist()
    [[1.0, 0.5], [0.5, 0.0]]
    """
    return covered_moments(x, y, shape)[0]


def covered_moments(
    x: np.ndarray, y: np.ndarray, shape: shapely.Geometry
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return areas as `covered`, and the integrals of x and of y over each of them.

    Divided by the area they are the centroid.
    """
    polygons = shapely.get_parts(shape)
    rings, polygon = shapely.get_rings(polygons, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    is_shell = np.append(True, polygon[1:] != polygon[:-1])
    starts = np.flatnonzero(np.append(True, ring[1:] != ring[:-1]))
    area, along, up = _areas(xy, np.append(starts, len(xy)), is_shell, x, y)
    return area, along, up


@nb.njit(cache=True, nogil=True)
def _areas(
    xy: np.ndarray, starts: np.ndarray, is_shell: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows, columns = y.size - 1, x.size - 1
    # The area, and the integrals of x and y over it, right of the edges within each cell.
    own = np.zeros((3, rows, columns))
    # The rise of the edges left of the first column and in each column, and that times y.
    rise = np.zeros((2, rows, columns + 1))
    for k in range(starts.size - 1):
        first, last = starts[k], starts[k + 1] - 1
        twice = 0.0
        for i in range(first, last):
            twice += (xy[i, 0] - xy[first, 0]) * (xy[i + 1, 1] - xy[first, 1])
            twice -= (xy[i + 1, 0] - xy[first, 0]) * (xy[i, 1] - xy[first, 1])
        sign = 1.0 if (twice > 0) == is_shell[k] else -1.0
        for i in range(first, last):
            _add_edge(xy[i, 0], xy[i, 1], xy[i + 1, 0], xy[i + 1, 1], sign, x, y, own, rise)
    for j in range(rows):
        left, moment = rise[0, j, 0], rise[1, j, 0]
        for i in range(columns):
            width = x[i + 1] - x[i]
            own[0, j, i] -= left * width
            own[1, j, i] -= left * width * (x[i + 1] + x[i]) / 2
            own[2, j, i] -= moment * width
            left += rise[0, j, i + 1]
            moment += rise[1, j, i + 1]
    return own[0], own[1], own[2]


@nb.njit(cache=True, nogil=True)
def _add_edge(
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    sign: float,
    x: np.ndarray,
    y: np.ndarray,
    own: np.ndarray,
    rise: np.ndarray,
) -> None:
    """Add an edge, row by row."""
    if y0 == y1:
        return
    if y0 > y1:
        x0, y0, x1, y1, sign = x1, y1, x0, y0, -sign
    if y1 <= y[0] or y0 >= y[-1]:
        return
    slope = (x1 - x0) / (y1 - y0)
    low, x_low = y0, x0
    if low < y[0]:
        low, x_low = y[0], x0 + (y[0] - y0) * slope
    row = np.searchsorted(y, low, "right") - 1
    while row < y.size - 1 and low < y1:
        high, x_high = y1, x1
        if y[row + 1] < y1:
            high = y[row + 1]
            x_high = x0 + (high - y0) * slope
            x_high = min(max(x_high, min(x0, x1)), max(x0, x1))
        _add_piece(x_low, low, x_high, high, sign, x, own[:, row], rise[:, row])
        low, x_low = high, x_high
        row += 1


@nb.njit(cache=True, nogil=True)
def _add_piece(
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    sign: float,
    x: np.ndarray,
    own: np.ndarray,
    rise: np.ndarray,
) -> None:
    """Add an edge within a row, column by column from the left."""
    if x0 > x1:
        x0, y0, x1, y1, sign = x1, y1, x0, y0, -sign
    if x1 <= x[0]:
        dy = sign * (y1 - y0)
        rise[0, 0] += dy
        rise[1, 0] += dy * (y0 + y1) / 2
        return
    if x0 >= x[-1]:
        return
    slope = (y1 - y0) / (x1 - x0) if x1 > x0 else 0.0
    left, y_left = x0, y0
    if left < x[0]:
        left, y_left = x[0], y0 + (x[0] - x0) * slope
        dy = sign * (y_left - y0)
        rise[0, 0] += dy
        rise[1, 0] += dy * (y_left + y0) / 2
    column = np.searchsorted(x, left, "right") - 1
    while column < x.size - 1:
        right, y_right = x1, y1
        end = x[column + 1]
        if end < x1:
            right, y_right = end, y0 + (end - x0) * slope
        dy = sign * (y_right - y_left)
        across = left * left + left * right + right * right
        both = 2 * left * y_left + 2 * right * y_right + left * y_right + right * y_left
        own[0, column] -= dy * (end - (left + right) / 2)
        own[1, column] -= dy * (end * end - across / 3) / 2
        own[2, column] -= dy * (end * (y_left + y_right) / 2 - both / 6)
        rise[0, column + 1] += dy
        rise[1, column + 1] += dy * (y_left + y_right) / 2
        left, y_left = right, y_right
        column += 1
        if right == x1:
            return
