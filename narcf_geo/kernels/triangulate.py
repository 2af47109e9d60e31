"""Cells of any number of corners cut into convex parts, their edges great circles.

Only imported when weights are computed: it imports numba.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba as nb
import numpy as np

from narcf_geo.core.errors import NarcfError
from narcf_geo.kernels.polygons import (
    MERGED,
    ROUNDING,
    Floats,
    Integers,
    Polygons,
    extent,
    farthest,
    triangle_area,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_CUT, _EMPTY, _CROSSED, _TOO_LARGE, _NOT_FINITE = range(5)
BEYOND_HALF = -0.2
"""Cosine of the angle from the middle of a ring to its farthest corner: 102 degrees."""

_REFUSED = {
    _CROSSED: (
        "cannot be cut into convex parts: its edges cross or overlap each other",
        "check the order of its corners, repair it, for instance with shapely.make_valid, or "
        "mask the cell",
    ),
    _TOO_LARGE: (
        "does not fit in half a sphere, so that its great-circle edges are ambiguous",
        "divide it into smaller cells",
    ),
    _NOT_FINITE: (
        "has a corner that is NaN or infinite",
        "mask the cell (0 in the mask) or give its corners",
    ),
}


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


@nb.njit(cache=True, nogil=True)
def _ring(vertices: Any, corners: Any, begin: int, count: int, ring: Any, polygon: Any) -> int:
    """Copy a ring without corners that repeat the one before; their number, -1 if not finite."""
    n = 0
    for k in range(count):
        vertex = corners[begin + k]
        x, y, z = vertices[vertex, 0], vertices[vertex, 1], vertices[vertex, 2]
        if not np.isfinite(x + y + z):
            return -1
        if n:
            apart = max(
                abs(x - polygon[n - 1, 0]), abs(y - polygon[n - 1, 1]), abs(z - polygon[n - 1, 2])
            )
            if apart < MERGED:
                continue
        polygon[n, 0], polygon[n, 1], polygon[n, 2] = x, y, z
        ring[n] = vertex
        n += 1
    while n > 1:
        apart = 0.0
        for axis in range(3):
            apart = max(apart, abs(polygon[n - 1, axis] - polygon[0, axis]))
        if apart >= MERGED:
            break
        n -= 1
    return n


@nb.njit(cache=True, nogil=True)
def _turned_left(polygon: Any, ring: Any, n: int, rounding: float) -> int:
    """Make a ring counter-clockwise, in place.

    Returns `_EMPTY` for a ring without an area, `_CROSSED` for one whose parts cancel.
    """
    area, largest = 0.0, 0.0
    for k in range(1, n - 1):
        triangle = triangle_area(polygon, 0, k, k + 1)
        area += triangle
        largest = max(largest, abs(triangle))
    if abs(area) <= n * rounding:
        return _EMPTY if largest <= 1e3 * n * rounding else _CROSSED
    if area < 0.0:
        for k in range(n // 2):
            m = n - 1 - k
            ring[k], ring[m] = ring[m], ring[k]
            for axis in range(3):
                polygon[k, axis], polygon[m, axis] = polygon[m, axis], polygon[k, axis]
    return _CUT


@nb.njit(cache=True, nogil=True)
def _begin_in_the_middle(polygon: Any, ring: Any, n: int) -> None:
    """Turn a ring, in place, so that it begins with the corner nearest to its middle.

    Areas are those of triangles with the first corner, which no other may lie opposite to.
    """
    cx, cy, cz = 0.0, 0.0, 0.0
    for k in range(n):
        cx, cy, cz = cx + polygon[k, 0], cy + polygon[k, 1], cz + polygon[k, 2]
    first, most = 0, -np.inf
    for k in range(n):
        along = cx * polygon[k, 0] + cy * polygon[k, 1] + cz * polygon[k, 2]
        if along > most:
            first, most = k, along
    corners, numbers = polygon[:n].copy(), ring[:n].copy()
    for k in range(n):
        ring[k] = numbers[(first + k) % n]
        for axis in range(3):
            polygon[k, axis] = corners[(first + k) % n, axis]


@nb.njit(cache=True, nogil=True)
def _shape(polygon: Any, n: int, rounding: float) -> tuple[int, int]:
    """Number of corners of a counter-clockwise ring that turn right, and the last of them.

    -1 for a ring that only turns left, but more than once around; `n` for one that turns so little
    that rounding hides its shape.
    """
    turns, reflex = 0, 0
    for k in range(n):
        if triangle_area(polygon, (k + n - 1) % n, k, (k + 1) % n) < -rounding:
            turns += 1
            reflex = k
    if turns == 0:
        for k in range(1, n - 1):
            area = triangle_area(polygon, 0, k, k + 1)
            if area < -1e3 * rounding:
                return -1, 0
            if area < -rounding:
                turns = n
    return turns, reflex


@nb.njit(cache=True, nogil=True)
def _beside(polygon: Any, a: int, b: int, p: int) -> float:
    """How far to the left of the edge from `a` to `b` a corner is; 0 within rounding."""
    ax, ay, az = polygon[a, 0], polygon[a, 1], polygon[a, 2]
    dx, dy, dz = polygon[b, 0] - ax, polygon[b, 1] - ay, polygon[b, 2] - az
    ex, ey, ez = polygon[p, 0] - ax, polygon[p, 1] - ay, polygon[p, 2] - az
    nx, ny, nz = ay * dz - az * dy, az * dx - ax * dz, ax * dy - ay * dx
    side = nx * ex + ny * ey + nz * ez
    return side if abs(side) > 4e-16 * np.sqrt(nx * nx + ny * ny + nz * nz) else 0.0


@nb.njit(cache=True, nogil=True)
def _crosses(polygon: Any, n: int) -> bool:
    """Do two edges of a ring cross between their ends."""
    for i in range(n):
        j = (i + 1) % n
        for k in range(i + 2, n):
            m = (k + 1) % n
            if m == i:
                continue
            one = _beside(polygon, i, j, k) * _beside(polygon, i, j, m)
            if one < 0.0 and _beside(polygon, k, m, i) * _beside(polygon, k, m, j) < 0.0:
                near = 0.0
                for axis in range(3):
                    near += (polygon[i, axis] + polygon[j, axis]) * (
                        polygon[k, axis] + polygon[m, axis]
                    )
                if near > 0.0:
                    return True
    return False


@nb.njit(cache=True, nogil=True)
def _fan(ring: Any, n: int, first: int, parts: Any, found: int) -> int:
    """Cut a convex ring into quadrilaterals (and a triangle) that share the corner `first`."""
    for k in range(1, n - 1, 2):
        parts[found, 0] = ring[first]
        parts[found, 1] = ring[(first + k) % n]
        parts[found, 2] = ring[(first + k + 1) % n]
        parts[found, 3] = ring[(first + min(k + 2, n - 1)) % n]
        found += 1
    return found


@nb.njit(cache=True, nogil=True)
def _cut(vertices: Any, corners: Any, counts: Any, owner: Any, keep: Any) -> tuple[Any, Any, Any]:
    """Convex parts of all polygons, the polygon of each, and what became of each polygon."""
    longest, room = 1, 0
    for p in range(counts.shape[0]):
        longest = max(longest, counts[p])
        room += max(counts[p] - 2, 0)
    parts = np.empty((room, 4), np.int32)
    of = np.empty(room, np.int64)
    kind = np.zeros(counts.shape[0], np.int8)
    ring, polygon = np.empty(longest, np.int64), np.empty((longest, 3))
    begin, found = 0, 0
    for p in range(counts.shape[0]):
        count = counts[p]
        begin += count
        if not keep[owner[p]]:
            continue
        n = _ring(vertices, corners, begin - count, count, ring, polygon)
        if n < 3:
            kind[p] = _NOT_FINITE if n < 0 else _EMPTY
            continue
        # Rings of many corners may reach from pole to pole: it is their parts that must fit.
        cosine = farthest(polygon, n)
        if cosine < (1e-9 if n <= 4 else BEYOND_HALF):
            kind[p] = _TOO_LARGE
            continue
        wide = n > 4 and cosine < 0.5
        if wide:
            _begin_in_the_middle(polygon, ring, n)
        rounding = ROUNDING * extent(polygon, n)
        kind[p] = _turned_left(polygon, ring, n, rounding)
        if wide:
            _begin_in_the_middle(polygon, ring, n)
        if kind[p] != _CUT:
            continue
        before = found
        turns, reflex = _shape(polygon, n, rounding)
        if turns == 0:
            found = _fan(ring, n, 0, parts, found)
        elif turns < 0 or (n == 4 and turns in (2, 3)):
            kind[p] = _CROSSED
        elif n == 4 and turns == 1:
            for k in range(2):
                parts[found, 0] = ring[reflex]
                parts[found, 1] = ring[(reflex + k + 1) % n]
                parts[found, 2] = parts[found, 3] = ring[(reflex + k + 2) % n]
                found += 1
        elif _crosses(polygon, n):
            kind[p] = _CROSSED
        else:
            ears = _ears(vertices, ring[:n], parts[found : found + n - 2])
            if ears < 0:
                kind[p] = _CROSSED
            else:
                found += ears
        of[before:found] = p
    return parts[:found].copy(), of[:found].copy(), kind


def polygons(
    vertices: Floats,
    corners: Integers,
    counts: Integers,
    mask: ArrayLike | None = None,
    *,
    owner: Integers | None = None,
    shape: tuple[int, ...] | None = None,
) -> Polygons:
    """Cells of a mesh.

    Parameters
    ----------
    vertices
        Unit vectors, shape (n_vertices, 3).
    corners
        Vertices of all polygons, one polygon after the other.
    counts
        Number of corners of each polygon, of any shape, in either direction.
    mask
        Values of cells; 0 leaves a cell out.
    owner
        Cell of each polygon, ascending; by default each polygon is a cell.
    shape
        Of the cells, when they are not those of `counts`.

    Raises
    ------
    NarcfError
        A cell's edges cross each other, a corner is not finite, or a cell exceeds half a sphere.
    """
    counts = np.ascontiguousarray(counts, np.int64)
    owner = np.arange(counts.size) if owner is None else np.ascontiguousarray(owner, np.int64)
    shape = shape or (counts.size,)
    size = int(np.prod(shape))
    keep = np.ones(size, bool) if mask is None else np.asarray(mask).reshape(-1) != 0
    parts, of, kind = _cut(vertices, np.ascontiguousarray(corners), counts, owner, keep)
    for refused, (reason, advice) in _REFUSED.items():
        bad = np.flatnonzero(kind == refused)
        if bad.size:
            cell = tuple(int(k) for k in np.unravel_index(owner[bad[0]], shape))
            place = str(cell[0]) if len(cell) == 1 else f"at index {cell} (shape {shape})"
            raise NarcfError(
                f"{bad.size} of {counts.size} polygons cannot be used, first polygon {place} "
                f"({counts[bad[0]]} corners): it {reason}; {advice}"
            )
    empty = np.setdiff1d(owner[kind == _EMPTY], owner[of])
    columns = shape[1] if len(shape) == 2 and shape[0] > 1 else 0
    return Polygons(size, vertices, parts, owner[of], empty, columns)
