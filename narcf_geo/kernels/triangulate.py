"""Polygons of any shape cut into triangles of great circles.

Only imported when weights are computed: it imports numba.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from narcf_geo.core.errors import NarcfError
from narcf_geo.kernels.polygons import ROUNDING, Floats, Integers, Polygons, triangle_area


@nb.njit(cache=True, nogil=True)
def _left_of(xyz: Any, a: int, b: int, p: int) -> bool:
    """Is corner `p` on or to the left of the great circle from `a` to `b`."""
    ax, ay, az = xyz[a, 0], xyz[a, 1], xyz[a, 2]
    dx, dy, dz = xyz[b, 0] - ax, xyz[b, 1] - ay, xyz[b, 2] - az
    ex, ey, ez = xyz[p, 0] - ax, xyz[p, 1] - ay, xyz[p, 2] - az
    return ax * (dy * ez - dz * ey) + ay * (dz * ex - dx * ez) + az * (dx * ey - dy * ex) >= 0.0


@nb.njit(cache=True, nogil=True)
def _same(xyz: Any, a: int, b: int) -> bool:
    return xyz[a, 0] == xyz[b, 0] and xyz[a, 1] == xyz[b, 1] and xyz[a, 2] == xyz[b, 2]


@nb.njit(cache=True, nogil=True)
def _in_triangle(xyz: Any, a: int, b: int, c: int, p: int) -> bool:
    """Is corner `p` in or on the triangle without being one of its corners."""
    return (
        _left_of(xyz, a, b, p)
        and _left_of(xyz, b, c, p)
        and _left_of(xyz, c, a, p)
        and not (_same(xyz, p, a) or _same(xyz, p, b) or _same(xyz, p, c))
    )


@nb.njit(cache=True, nogil=True)
def _ears(xyz: Any, ring: Any, triangles: Any) -> int:
    """Cut off one ear after the other; return the number of triangles, -1 when none is left."""
    n = ring.shape[0]
    area = 0.0
    for k in range(1, n - 1):
        area += triangle_area(xyz, ring[0], ring[k], ring[k + 1])
    if area < 0.0:
        ring = ring[::-1].copy()
    after = (np.arange(n) + 1) % n
    before = (np.arange(n) - 1) % n
    found, left, tried, at = 0, n, 0, 0
    # A corner on a straight edge stays until nothing else is left to cut: without it the edge
    # could grow to half a circle, which has no direction. `straight` is such a corner.
    straight = -1
    while left > 2:
        if tried == left:
            if straight < 0:
                return -1
            cut, ear = True, False
            at = straight
        else:
            cut, ear = False, False
        i, k = before[at], after[at]
        a, b, c = ring[i], ring[at], ring[k]
        if not cut:
            turn = triangle_area(xyz, a, b, c)
            longest = 0.0
            for axis in range(3):
                longest = max(
                    longest, abs(xyz[b, axis] - xyz[a, axis]), abs(xyz[c, axis] - xyz[b, axis])
                )
            if abs(turn) <= ROUNDING * longest:
                straight = at
            else:
                ear = turn > 0.0
        if ear:
            m = after[k]
            while m != i:
                if _in_triangle(xyz, a, b, c, ring[m]):
                    ear = False
                    break
                m = after[m]
        if ear:
            triangles[found, 0], triangles[found, 1] = a, b
            triangles[found, 2], triangles[found, 3] = c, c
            found += 1
        if ear or cut:
            after[i], before[k] = k, i
            left -= 1
            tried, straight = 0, -1
            at = i
        else:
            tried += 1
            at = k
    return found


def polygons(
    vertices: Floats, corners: Integers, counts: Integers, mask: Integers | None = None
) -> Polygons:
    """Cells of a mesh.

    Parameters
    ----------
    vertices
        Unit vectors, shape (n_vertices, 3).
    corners
        Vertices of all cells, one cell after the other.
    counts
        Number of corners of each cell, at least 3; of any shape, in either direction.
    mask
        0 leaves a cell out.

    Raises
    ------
    NarcfError
        A cell's edges cross each other.
    """
    ends = np.cumsum(counts)
    parts, owner, empty = [], [], []
    for cell, (end, count) in enumerate(zip(ends, counts, strict=True)):
        if mask is not None and mask[cell] == 0:
            continue
        ring = np.ascontiguousarray(corners[end - count : end], np.int64)
        triangles = np.empty((max(int(count) - 2, 1), 4), np.int32)
        found = _ears(vertices, ring, triangles)
        if found < 0:
            raise NarcfError(
                f"polygon {cell} ({count} corners) cannot be cut into triangles: its edges cross "
                "or overlap each other; repair it, for instance with shapely.make_valid"
            )
        if not found:
            empty.append(cell)
        parts.append(triangles[:found])
        owner.append(np.full(found, cell))
    return Polygons(
        len(counts),
        vertices,
        np.concatenate(parts) if parts else np.empty((0, 4), np.int32),
        np.concatenate(owner) if owner else np.empty(0, np.int64),
        np.array(empty, np.int64),
    )
