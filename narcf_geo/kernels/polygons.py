"""Cells as polygons on the unit sphere: corners, orientation, convexity and a box tree.

Only imported when weights are computed: it imports numba.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import ArrayLike, NDArray

from narcf_geo.core.errors import NarcfError
from narcf_geo.kernels.curves import z_order, z_order_of_index

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FANOUT = 4
MERGED = 1e-14
"""Corners closer than this (radians; 0.06 micrometre on Earth) are one corner."""

ROUNDING = 1e-15
"""Width (radians) below which an area is the rounding of its corners."""

_CONVEX, _CONCAVE, _DEGENERATE, _CROSSED, _TOO_LARGE, _NOT_FINITE = range(6)
_REFUSED = {
    _CROSSED: (
        "its edges cross each other",
        "check the order of its corners: they have to run around the cell",
    ),
    _TOO_LARGE: (
        "it does not fit in half a sphere, so that its great-circle edges are ambiguous",
        "divide it into smaller cells",
    ),
    _NOT_FINITE: (
        "a corner is NaN or infinite",
        "mask the cell (0 in the mask) or give its corners",
    ),
}


def unit_vectors(lon: ArrayLike, lat: ArrayLike) -> Floats:
    """Points on the unit sphere, shape (..., 3), from longitudes and latitudes in degrees."""
    lon, lat = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    # One angle for each meridian, so that the edges of two grids coincide whatever their range.
    if lon.size and not (lon.min() >= -180.0 and lon.max() < 180.0):
        lon = lon - 360.0 * np.rint(lon / 360.0)
        lon = np.where(lon == 180.0, -180.0, lon)
    theta, phi = np.deg2rad(lon), np.deg2rad(lat)
    xyz = np.empty((*lon.shape, 3))
    xyz[..., 2] = np.sin(phi)
    cos_phi = np.where(np.abs(lat) == 90.0, 0.0, np.cos(phi))
    np.multiply(cos_phi, np.cos(theta), out=xyz[..., 0])
    np.multiply(cos_phi, np.sin(theta), out=xyz[..., 1])
    return xyz


@nb.njit(cache=True, nogil=True, inline="always")
def triangle_area(polygon: Any, i: int, j: int, k: int) -> float:
    """Signed area of a spherical triangle, positive when counter-clockwise from outside.

    Van Oosterom and Strackee (1983), with the triple product taken from differences, so that it
    keeps its relative precision for the smallest triangle.
    """
    ax, ay, az = polygon[i, 0], polygon[i, 1], polygon[i, 2]
    ux, uy, uz = polygon[j, 0] - ax, polygon[j, 1] - ay, polygon[j, 2] - az
    vx, vy, vz = polygon[k, 0] - ax, polygon[k, 1] - ay, polygon[k, 2] - az
    wx, wy, wz = vx - ux, vy - uy, vz - uz
    triple = ax * (uy * vz - uz * vy) + ay * (uz * vx - ux * vz) + az * (ux * vy - uy * vx)
    squares = (
        ux * ux + uy * uy + uz * uz + vx * vx + vy * vy + vz * vz + wx * wx + wy * wy + wz * wz
    )
    denominator = 4.0 - 0.5 * squares
    if squares < 1e-3:
        tangent = triple / denominator
        square = tangent * tangent
        return 2.0 * tangent * (1.0 - square * (1.0 / 3.0 - square * 0.2))
    return 2.0 * np.arctan2(triple, denominator)


@nb.njit(cache=True, nogil=True)
def polygon_area(polygon: Any, n: int) -> float:
    """Area on the unit sphere of a convex polygon, the first `n` rows of `polygon`."""
    area = 0.0
    for k in range(1, n - 1):
        area += triangle_area(polygon, 0, k, k + 1)
    return area


@nb.njit(cache=True, nogil=True)
def extent(polygon: Any, n: int) -> float:
    """Largest distance along an axis from the first corner to another."""
    longest = 0.0
    for k in range(1, n):
        for axis in range(3):
            longest = max(longest, abs(polygon[k, axis] - polygon[0, axis]))
    return longest


@nb.njit(cache=True, nogil=True, inline="always")
def load(vertices: Any, parts: Any, i: int, polygon: Any) -> int:
    """Copy the corners of part `i` to `polygon`; return their number (a triangle repeats one)."""
    for k in range(4):
        vertex = parts[i, k]
        polygon[k, 0] = vertices[vertex, 0]
        polygon[k, 1] = vertices[vertex, 1]
        polygon[k, 2] = vertices[vertex, 2]
    return 3 if parts[i, 3] == parts[i, 2] else 4


@nb.njit(cache=True, nogil=True)
def _merge_corners(vertices: Any, parts: Any, i: int, polygon: Any, part: Any) -> int:
    """Corners of part `i` without those that repeat a neighbour; their number, -1 if not finite."""
    n = 0
    for k in range(4):
        vertex = parts[i, k]
        x, y, z = vertices[vertex, 0], vertices[vertex, 1], vertices[vertex, 2]
        if not np.isfinite(x + y + z):
            return -1
        repeated = False
        for m in (n - 1, 0):
            if m >= 0 and (m == n - 1 or k == 3):
                apart = max(abs(x - polygon[m, 0]), abs(y - polygon[m, 1]), abs(z - polygon[m, 2]))
                repeated = repeated or apart < MERGED
        if not repeated:
            polygon[n, 0], polygon[n, 1], polygon[n, 2] = x, y, z
            part[n] = vertex
            n += 1
    return n


@nb.njit(cache=True, nogil=True)
def farthest(polygon: Any, n: int) -> float:
    """Cosine of the angle from the centre of a polygon to its farthest corner; -1 without one."""
    cx, cy, cz = 0.0, 0.0, 0.0
    for k in range(n):
        cx += polygon[k, 0]
        cy += polygon[k, 1]
        cz += polygon[k, 2]
    norm = np.sqrt(cx * cx + cy * cy + cz * cz)
    if norm < 1e-9:
        return -1.0
    lowest = 1.0
    for k in range(n):
        dot = (cx * polygon[k, 0] + cy * polygon[k, 1] + cz * polygon[k, 2]) / norm
        lowest = min(lowest, dot)
    return lowest


@nb.njit(cache=True, nogil=True)
def _turn(vertices: Any, i: int, j: int, k: int) -> float:
    """Triple product of three vertices: positive for a turn to the left at the second."""
    x, y, z = vertices[j, 0], vertices[j, 1], vertices[j, 2]
    ux, uy, uz = x - vertices[i, 0], y - vertices[i, 1], z - vertices[i, 2]
    vx, vy, vz = vertices[k, 0] - x, vertices[k, 1] - y, vertices[k, 2] - z
    if ux * ux + uy * uy + uz * uz > 0.1:
        return np.nan
    return x * (uy * vz - uz * vy) + y * (uz * vx - ux * vz) + z * (ux * vy - uy * vx)


@nb.njit(cache=True, nogil=True)
def _plain(vertices: Any, parts: Any, i: int) -> bool:
    """Make a small, clearly convex quadrilateral counter-clockwise; False for all other parts."""
    a, b, c, d = parts[i, 0], parts[i, 1], parts[i, 2], parts[i, 3]
    one, two = _turn(vertices, a, b, c), _turn(vertices, b, c, d)
    three, four = _turn(vertices, c, d, a), _turn(vertices, d, a, b)
    if one > 1e-13 and two > 1e-13 and three > 1e-13 and four > 1e-13:
        return True
    if one < -1e-13 and two < -1e-13 and three < -1e-13 and four < -1e-13:
        parts[i, 1], parts[i, 3] = d, b
        return True
    return False


@nb.njit(cache=True, nogil=True)
def _normalise_parts(vertices: Any, parts: Any) -> Any:
    """Make every part counter-clockwise without repeated corners, in place; return its kind."""
    kind = np.zeros(parts.shape[0], np.int8)
    polygon = np.empty((4, 3))
    part = np.empty(4, parts.dtype)
    for i in range(parts.shape[0]):
        if _plain(vertices, parts, i):
            continue
        n = _merge_corners(vertices, parts, i, polygon, part)
        if n < 3:
            kind[i] = _NOT_FINITE if n < 0 else _DEGENERATE
            continue
        if farthest(polygon, n) < 1e-9:
            kind[i] = _TOO_LARGE
            continue
        area = polygon_area(polygon, n)
        rounding = ROUNDING * extent(polygon, n)
        if abs(area) <= rounding:
            half = triangle_area(polygon, 0, 1, 2)
            kind[i] = _DEGENERATE if abs(half) <= 1e3 * rounding else _CROSSED
            continue
        sign = 1.0 if area > 0.0 else -1.0
        reflex, turns = 0, 0
        if n == 4:
            for k in range(4):
                turn = triangle_area(polygon, (k + 3) % 4, k, (k + 1) % 4)
                if sign * turn < -rounding:
                    turns += 1
                    reflex = k
        if turns > 0:
            kind[i] = _CONCAVE if turns == 1 else _CROSSED
        for k in range(4):
            step = min(k, n - 1)
            parts[i, k] = part[(reflex + (step if area > 0.0 else n - step)) % n]
    return kind


@nb.njit(cache=True, nogil=True)
def bounding_box(polygon: Any, n: int, box: Any) -> None:
    """Box (minimum x, y, z, maximum x, y, z) that holds a spherical polygon, its bulge included."""
    # A point of the polygon is a point of the corners' hull pushed out to the sphere, and no point
    # of the hull is farther from the sphere than this, half the square of the longest chord.
    squared = 0.0
    for k in range(1, n):
        x, y, z = polygon[k, 0], polygon[k, 1], polygon[k, 2]
        dx, dy, dz = x - polygon[0, 0], y - polygon[0, 1], z - polygon[0, 2]
        squared = max(squared, dx * dx + dy * dy + dz * dz)
    bulge = 0.5 * squared + 4e-15
    for axis in range(3):
        low, high = polygon[0, axis], polygon[0, axis]
        for k in range(1, n):
            low = min(low, polygon[k, axis])
            high = max(high, polygon[k, axis])
        box[axis] = low - bulge
        box[3 + axis] = high + bulge


@nb.njit(cache=True, nogil=True)
def _part_boxes(vertices: Any, parts: Any) -> Any:
    boxes = np.empty((parts.shape[0], 6))
    polygon = np.empty((4, 3))
    for i in range(parts.shape[0]):
        bounding_box(polygon, load(vertices, parts, i, polygon), boxes[i])
    return boxes


@nb.njit(cache=True, nogil=True)
def _build_boxes(vertices: Any, parts: Any, starts: Any) -> Any:
    """Boxes of all levels of the tree; level 0 holds `FANOUT` parts a box."""
    boxes = np.empty((starts[-1], 6))
    boxes[:, :3] = np.inf
    boxes[:, 3:] = -np.inf
    polygon = np.empty((4, 3))
    box = np.empty(6)
    for i in range(parts.shape[0]):
        bounding_box(polygon, load(vertices, parts, i, polygon), box)
        j = i // FANOUT
        for axis in range(3):
            boxes[j, axis] = min(boxes[j, axis], box[axis])
            boxes[j, 3 + axis] = max(boxes[j, 3 + axis], box[3 + axis])
    for level in range(1, starts.shape[0] - 1):
        for i in range(starts[level - 1], starts[level]):
            j = starts[level] + (i - starts[level - 1]) // FANOUT
            for axis in range(3):
                boxes[j, axis] = min(boxes[j, axis], boxes[i, axis])
                boxes[j, 3 + axis] = max(boxes[j, 3 + axis], boxes[i, 3 + axis])
    return boxes


def _sorting(codes: Integers) -> Integers:
    """Return the indices that sort codes: faster than argsort where both fit in a number."""
    bits = codes.size.bit_length()
    if int(codes.max()) >> (63 - bits):
        return np.argsort(codes, kind="stable")
    return np.sort(codes << bits | np.arange(codes.size)) & ((1 << bits) - 1)


@dataclass(frozen=True)
class BoxTree:
    """Packed tree of boxes in three dimensions: the poles and the dateline are nothing special.

    `parts` and `owner` are in the order of its leaves.
    """

    parts: NDArray[np.int32]
    owner: Integers
    boxes: Floats
    starts: Integers

    @classmethod
    def build(
        cls, vertices: Floats, parts: NDArray[np.int32], owner: Integers, columns: int = 0
    ) -> BoxTree:
        """Index parts (at least one) of finite corners.

        `columns` is the number of columns of a structured grid, where neighbours in the index
        are neighbours on the sphere; 0 for cells in any order.
        """
        along = z_order_of_index(owner, columns) if columns else z_order(vertices, parts)
        order = _sorting(along)
        parts = parts[order]
        counts = [-(-len(parts) // FANOUT)]
        while counts[-1] > 1:
            counts.append(-(-counts[-1] // FANOUT))
        starts = np.concatenate([[0], np.cumsum(counts)])
        return cls(parts, owner[order], _build_boxes(vertices, parts, starts), starts)


@dataclass(frozen=True)
class Polygons:
    """`size` cells, each of one or more convex parts of three or four corners.

    Attributes
    ----------
    vertices
        Corners on the unit sphere, shape (n_vertices, 3).
    parts
        Corners of each part, counter-clockwise, shape (n_parts, 4); a triangle repeats its last.
    owner
        Cell of each part, ascending.
    degenerate
        Cells without an area, which have no part.
    columns
        Of a structured grid; 0 for cells in any order.
    """

    size: int
    vertices: Floats
    parts: NDArray[np.int32]
    owner: Integers
    degenerate: Integers
    columns: int = 0

    @classmethod
    def from_corners(
        cls,
        lon_c: ArrayLike,
        lat_c: ArrayLike,
        mask: ArrayLike | None = None,
        *,
        origin: tuple[int, int] = (0, 0),
    ) -> Polygons:
        """Cells of a structured grid; concave ones are cut in two.

        Parameters
        ----------
        lon_c, lat_c
            Corners in degrees, both of shape (ny + 1, nx + 1), in either direction.
        mask
            Shape (ny, nx); cells where it is 0 are left out.
        origin
            Row and column of the first cell in a larger grid, for messages.

        Raises
        ------
        NarcfError
            When a cell has crossing edges, a corner that is not finite, or does not fit in half
            a sphere; the message names the first such cell.
        """
        vertices = unit_vectors(lon_c, lat_c)
        shape = ny, nx = vertices.shape[0] - 1, vertices.shape[1] - 1
        vertices = vertices.reshape(-1, 3)
        first = np.add.outer(np.arange(ny) * (nx + 1), np.arange(nx)).astype(np.int32).ravel()
        owner = np.arange(ny * nx)
        if mask is not None:
            keep = np.asarray(mask).reshape(-1) != 0
            first, owner = first[keep], owner[keep]
        parts = first[:, None] + np.array([0, 1, nx + 2, nx + 1], np.int32)
        kind = _normalise_parts(vertices, parts)
        for refused, (reason, advice) in _REFUSED.items():
            cells = owner[kind == refused]
            if cells.size:
                row, column = divmod(int(cells[0]), nx)
                raise NarcfError(
                    f"{cells.size} of {ny * nx} cells cannot be used, first the one at index "
                    f"{origin[0] + row, origin[1] + column} (block of {shape} cells): {reason}; "
                    f"{advice}"
                )
        degenerate = owner[kind == _DEGENERATE]
        concave = kind == _CONCAVE
        if degenerate.size or concave.any():
            convex = kind == _CONVEX
            # The reflex corner comes first: both triangles start there.
            one, two = parts[concave][:, [0, 1, 2, 2]], parts[concave][:, [0, 2, 3, 3]]
            parts = np.concatenate([parts[convex], one, two])
            owner = np.concatenate([owner[convex], owner[concave], owner[concave]])
            order = np.argsort(owner, kind="stable")
            parts, owner = parts[order], owner[order]
        return cls(ny * nx, vertices, parts, owner, degenerate, columns=nx)

    @cached_property
    def boxes(self) -> Floats:
        """Box of each part, shape (n_parts, 6)."""
        return np.asarray(_part_boxes(self.vertices, self.parts))

    @property
    def box(self) -> Floats:
        """Box (minimum x, y, z, maximum x, y, z) around all cells; of nothing without parts."""
        if not len(self.parts):
            return np.repeat([np.inf, -np.inf], 3)
        return np.concatenate([self.boxes[:, :3].min(0), self.boxes[:, 3:].max(0)])

    def touching(self, box: Floats) -> Polygons:
        """Return the cells that may touch a box of six numbers, which keep theirs."""
        touch = (self.boxes[:, :3] <= box[3:]).all(1) & (self.boxes[:, 3:] >= box[:3]).all(1)
        return replace(self, parts=self.parts[touch], owner=self.owner[touch])

    @cached_property
    def tree(self) -> BoxTree:
        """Spatial index of the parts."""
        return BoxTree.build(self.vertices, self.parts, self.owner, self.columns)
