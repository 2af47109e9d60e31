"""Overlap of longitude-latitude cells, between meridians and parallels, with polygons.

A meridian is a great circle: polygons are cut by it as by any other edge. A parallel is a plane
that does not pass the centre of the sphere: an edge of a polygon may cross it twice. The area of
what is left is that of the polygon of great circles through its corners, and of the segment
between circle and parallel wherever its rim runs along a parallel.

Only imported when weights are computed: it imports numba.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from narcf_geo.kernels.clip import clip, grown, near
from narcf_geo.kernels.polygons import (
    FANOUT,
    ROUNDING,
    extent,
    load,
    polygon_area,
)

_CORNERS = 64


@nb.njit(cache=True, nogil=True, inline="always")
def _below(x: float, y: float, z: float, sine: float, squared_cosine: float) -> float:
    """How far (along the axis) a point lies below a parallel, exact near the poles too."""
    if squared_cosine > 0.04 or sine * z < 0.25:
        return sine - z
    return (x * x + y * y - squared_cosine) / (sine + z)


@nb.njit(cache=True, nogil=True, inline="always")
def _height(a: float, b: float, bulge: float, squared: float, tau: float) -> float:
    """How far an arc is from the plane of a parallel at `tau`, 0..1 of its chord.

    a(1 - t) + bt - bulge (1 - n(t)), n being the distance of the chord from the centre and
    `squared` its squared length: a convex function for `bulge` >= 0.
    """
    w = tau * (1.0 - tau) * squared
    return a * (1.0 - tau) + b * tau - bulge * w / (1.0 + np.sqrt(1.0 - w))


@nb.njit(cache=True, nogil=True)
def _crossing(a: float, b: float, bulge: float, squared: float, tau: float) -> float:
    """Where `_height` falls to 0, from an end `tau` above it.

    Newton's steps on a convex function come from one side alone.
    """
    for _ in range(100):
        value = _height(a, b, bulge, squared, tau)
        n = np.sqrt(1.0 - tau * (1.0 - tau) * squared)
        slope = b - a - bulge * (0.5 - tau) * squared / n
        if value <= 0.0 or slope == 0.0:
            break
        step = value / slope
        tau = min(max(tau - step, 0.0), 1.0)
        # The error of the next step is its square times the curvature over the slope.
        if abs(step) < 1e-15 or bulge * squared * step * step < 1e-18 * abs(slope):
            break
    return tau


@nb.njit(cache=True, nogil=True)
def _dips(a: float, b: float, bulge: float, squared: float, rounding: float) -> bool:
    """Does `_height`, not negative at both ends, fall below 0 between them."""
    if min(a, b) >= 0.25 * bulge * squared or abs(b - a) >= 0.5 * bulge * squared:
        return False
    m = (b - a) / (bulge * squared)
    lowest = 0.5 - m * np.sqrt((1.0 - 0.25 * squared) / (1.0 - m * m * squared))
    return _height(a, b, bulge, squared, lowest) < -rounding


@nb.njit(cache=True, nogil=True)
def _cut(
    buffers: Any,
    along: Any,
    at: int,
    n: int,
    side: Any,
    sine: float,
    squared_cosine: float,
    sign: float,
    parallel: int,
) -> tuple[int, int]:
    """The part of a polygon south (`sign` 1) or north (-1) of a parallel.

    `along[at, k]` tells on what the edge from corner k to the next runs: 0 a great circle, 1 the
    southern, 2 the northern parallel (`parallel`: this one). What is left may be several polygons,
    joined by edges along the parallel that cancel in the area.
    """
    rounding = 4e-16 * np.sqrt(squared_cosine)
    inside, outside = 0, 0
    for k in range(n):
        s = sign * _below(
            buffers[at, k, 0], buffers[at, k, 1], buffers[at, k, 2], sine, squared_cosine
        )
        side[k] = s if abs(s) > rounding else 0.0
        inside += side[k] > 0.0
        outside += side[k] < 0.0
    bulge = abs(sine)
    flip = 1.0 if sign * sine >= 0.0 else -1.0
    if outside == 0 and (flip < 0.0 or bulge == 0.0):
        return n, at
    if inside == 0 and flip > 0.0:
        return 0, at
    to, m = 1 - at, 0
    x0, y0, z0 = buffers[at, n - 1, 0], buffers[at, n - 1, 1], buffers[at, n - 1, 2]
    s0, kind = side[n - 1], along[at, n - 1]
    for k in range(n):
        x1, y1, z1, s1 = buffers[at, k, 0], buffers[at, k, 1], buffers[at, k, 2], side[k]
        dx, dy, dz = x1 - x0, y1 - y0, z1 - z0
        squared = dx * dx + dy * dy + dz * dz
        # Seen from the side on which heights are convex: poleward of the parallel.
        a, b = flip * s0, flip * s1
        crossings, first, second = 0, 0.0, 0.0
        if kind != 0:
            pass
        elif (s0 >= 0.0) != (s1 >= 0.0):
            crossings = 1
            first = _crossing(a, b, bulge, squared, 0.0 if a > b else 1.0)
        elif a >= 0.0 and b >= 0.0 and _dips(a, b, bulge, squared, rounding):
            crossings = 2
            first = _crossing(a, b, bulge, squared, 0.0)
            second = _crossing(a, b, bulge, squared, 1.0)
        leaves = s0 >= 0.0 if crossings == 1 else flip > 0.0
        for crossing in range(crossings):
            tau = first if crossing == 0 else second
            x, y, z = x0 + tau * dx, y0 + tau * dy, z0 + tau * dz
            scale = 1.0 / np.sqrt(x * x + y * y + z * z)
            buffers[to, m, 0] = x * scale
            buffers[to, m, 1] = y * scale
            buffers[to, m, 2] = z * scale
            along[to, m] = parallel if leaves else 0
            leaves = not leaves
            m += 1
        if s1 >= 0.0:
            buffers[to, m, 0], buffers[to, m, 1], buffers[to, m, 2] = x1, y1, z1
            along[to, m] = along[at, k]
            m += 1
        x0, y0, z0, s0, kind = x1, y1, z1, s1, along[at, k]
    return m, to


@nb.njit(cache=True, nogil=True)
def segment_area(polygon: Any, i: int, j: int, sine: float, squared_cosine: float) -> float:
    """Area between the parallel and the great circle from corner `i` to `j`, less than 180 degrees.

    With t the tangent of half the longitudes between them it is 2 (atan(zt) - z atan(t)), z the
    sine of latitude: positive where the parallel is the southern edge of a northern polygon.
    """
    x0, y0, x1, y1 = polygon[i, 0], polygon[i, 1], polygon[j, 0], polygon[j, 1]
    dx, dy = x1 - x0, y1 - y0
    dot = x0 * x1 + y0 * y1
    if dot + squared_cosine <= 0.0:
        return 0.0
    t = (x0 * dy - y0 * dx) / (squared_cosine + dot)
    z = abs(sine)
    if abs(t) < 0.05:
        u, v = t * t, z * z
        series = 1.0 / 3.0 - u * (
            (1.0 + v) / 5.0
            - u * ((1.0 + v * (1.0 + v)) / 7.0 - u * ((1.0 + v * (1.0 + v * (1.0 + v))) / 9.0))
        )
        area = 2.0 * z * squared_cosine * t * u * series
    else:
        c = squared_cosine / (1.0 + z)
        area = 2.0 * (c * np.arctan(t) - np.arctan(c * t / (1.0 + z * t * t)))
    return area if sine > 0.0 else -area


@nb.njit(cache=True, nogil=True)
def _common_area(buffers: Any, along: Any, n: int, side: Any, edges: Any, row: Any) -> float:
    """Area of the part of the polygon `buffers[0]` within two meridians and two parallels."""
    polygon = buffers[0]
    low, high, farthest = polygon[0, 2], polygon[0, 2], 0.0
    for k in range(1, n):
        x, y, z = polygon[k, 0], polygon[k, 1], polygon[k, 2]
        low, high = min(low, z), max(high, z)
        dx, dy, dz = x - polygon[0, 0], y - polygon[0, 1], z - polygon[0, 2]
        farthest = max(farthest, dx * dx + dy * dy + dz * dz)
    # No point of the hull of the corners is farther than this from the sphere.
    bulge = 0.5 * farthest + 4e-15
    low, high = max(low - bulge, -1.0), min(high + bulge, 1.0)
    if low >= row[2] or high <= row[0]:
        return 0.0
    n, at = clip(buffers, n, edges, 2, side)
    if n < 3:
        return 0.0
    polygon = buffers[at]
    if low >= row[0] and high <= row[2]:
        area = polygon_area(polygon, n)
        return area if area > ROUNDING * extent(polygon, n) else 0.0
    for k in range(n):
        along[at, k] = 0
    if low < row[0]:
        n, at = _cut(buffers, along, at, n, side, row[0], row[1], -1.0, 1)
        if n < 2:
            return 0.0
    if high > row[2]:
        n, at = _cut(buffers, along, at, n, side, row[2], row[3], 1.0, 2)
        if n < 2:
            return 0.0
    polygon = buffers[at]
    area = polygon_area(polygon, n)
    for k in range(n):
        kind = along[at, k]
        if kind:
            e = 2 * kind - 2
            area += segment_area(polygon, k, (k + 1) % n, row[e], row[e + 1])
    return area if area > ROUNDING * extent(polygon, n) else 0.0


@nb.njit(cache=True, nogil=True)
def overlap_rows(
    pieces: Any,
    rows: Any,
    row_number: Any,
    columns: Any,
    column_number: Any,
    nx: int,
    mask: Any,
    vertices: Any,
    parts: Any,
    owner: Any,
    boxes: Any,
    starts: Any,
) -> Any:
    """Overlaps of some pieces of cells with all parts: count a piece, owners, areas."""
    n_columns = columns.shape[0]
    count = np.zeros(pieces.shape[0], np.int64)
    capacity = 8 * pieces.shape[0] + 64
    found_owner = np.empty(capacity, np.int64)
    found_area = np.empty(capacity)
    buffers, along = np.empty((2, _CORNERS, 3)), np.zeros((2, _CORNERS), np.int8)
    edges, side, box = np.zeros((2, 7)), np.empty(_CORNERS), np.empty(6)
    edges[:, 6] = 4e-16
    stack = np.empty((FANOUT * starts.shape[0], 2), np.int64)
    leaves = np.empty(starts[1], np.int32)
    found = 0
    for i in range(pieces.shape[0]):
        r = pieces[i] // n_columns
        c = pieces[i] - r * n_columns
        if mask.size and not mask[row_number[r] * nx + column_number[c]]:
            continue
        row = rows[r]
        edges[0, 3], edges[0, 4] = -columns[c, 1], columns[c, 0]
        edges[1, 3], edges[1, 4] = columns[c, 3], -columns[c, 2]
        for axis in range(2):
            low, high = columns[c, 4 + 2 * axis], columns[c, 5 + 2 * axis]
            box[axis] = low * (row[5] if low < 0.0 else row[4]) - 4e-15
            box[3 + axis] = high * (row[5] if high > 0.0 else row[4]) + 4e-15
        box[2], box[5] = row[0] - 4e-15, row[2] + 4e-15
        before = found
        n_leaves = near(boxes, starts, box, edges, 2, stack, leaves)
        for node in leaves[:n_leaves]:
            for j in range(node * FANOUT, min((node + 1) * FANOUT, parts.shape[0])):
                n = load(vertices, parts, j, buffers[0])
                overlap = _common_area(buffers, along, n, side, edges, row)
                if overlap <= 0.0:
                    continue
                if found == found_owner.size:
                    found_owner, found_area = grown(found_owner, found_area)
                found_owner[found] = owner[j]
                found_area[found] = overlap
                found += 1
        count[i] = found - before
    return count, found_owner[:found].copy(), found_area[:found].copy()
