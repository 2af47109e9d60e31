"""Cells as polygons on the unit sphere: corners, orientation, convexity and a box tree.

Only imported when weights are computed: it imports numba.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import ArrayLike, NDArray

from narcf_geo.errors import NarcfError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FANOUT = 4
MERGED = 1e-14
"""Corners closer than this (radians; 0.06 micrometre on Earth) are one corner."""

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
    theta, phi = np.deg2rad((lon + 180.0) % 360.0 - 180.0), np.deg2rad(lat)
    xyz = np.empty((*lon.shape, 3))
    xyz[..., 2] = np.sin(phi)
    cos_phi = np.where(np.abs(lat) == 90.0, 0.0, np.cos(phi))
    np.multiply(cos_phi, np.cos(theta), out=xyz[..., 0])
    np.multiply(cos_phi, np.sin(theta), out=xyz[..., 1])
    return xyz


@nb.njit(cache=True, nogil=True, inline="always")
def triangle_area(a: Any, b: Any, c: Any) -> float:
    """Signed area of a spherical triangle, positive when counter-clockwise from outside.

    Van Oosterom and Strackee (1983), with the triple product taken from differences, so that it
    keeps its relative precision for the smallest triangle.
    """
    ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    triple = a[0] * (uy * vz - uz * vy) + a[1] * (uz * vx - ux * vz) + a[2] * (ux * vy - uy * vx)
    wx, wy, wz = c[0] - b[0], c[1] - b[1], c[2] - b[2]
    u2, v2, w2 = (
        ux * ux + uy * uy + uz * uz,
        vx * vx + vy * vy + vz * vz,
        wx * wx + wy * wy + wz * wz,
    )
    tangent = triple / (4.0 - 0.5 * (u2 + v2 + w2))
    if abs(tangent) < 1e-3 and u2 + v2 + w2 < 1.0:
        square = tangent * tangent
        return 2.0 * tangent * (1.0 - square * (1.0 / 3.0 - square * 0.2))
    return 2.0 * np.arctan2(triple, 4.0 - 0.5 * (u2 + v2 + w2))


@nb.njit(cache=True, nogil=True)
def polygon_area(polygon: Any, n: int) -> float:
    """Area on the unit sphere of a convex polygon, the first `n` rows of `polygon`."""
    area = 0.0
    for k in range(1, n - 1):
        area += triangle_area(polygon[0], polygon[k], polygon[k + 1])
    return area


@nb.njit(cache=True, nogil=True)
def load(vertices: Any, part: Any, polygon: Any) -> int:
    """Copy the corners of a part to `polygon`; return their number (a triangle repeats one)."""
    n = 0
    for k in range(part.shape[0]):
        if k > 0 and part[k] == part[k - 1]:
            continue
        for axis in range(3):
            polygon[n, axis] = vertices[part[k], axis]
        n += 1
    return n


@nb.njit(cache=True, nogil=True)
def _normalise_parts(vertices: Any, parts: Any) -> Any:
    """Make every part counter-clockwise without repeated corners, in place; return its kind."""
    kind = np.zeros(parts.shape[0], np.int8)
    polygon = np.empty((4, 3))
    part = np.empty(4, parts.dtype)
    for i in range(parts.shape[0]):
        n = 0
        centre = np.zeros(3)
        finite = True
        for k in range(4):
            v = vertices[parts[i, k]]
            if not np.isfinite(v[0] + v[1] + v[2]):
                finite = False
                break
            repeated = False
            # Only neighbours merge: opposite corners that meet are a line, found below.
            for m in (n - 1, 0):
                if 0 <= m < n and (m == n - 1 or k == 3):
                    d = np.abs(v - polygon[m]).max()
                    repeated = repeated or d < MERGED
            if not repeated:
                polygon[n] = v
                part[n] = parts[i, k]
                centre += v
                n += 1
        if not finite:
            kind[i] = _NOT_FINITE
            continue
        if n < 3:
            kind[i] = _DEGENERATE
            continue
        length = np.sqrt((centre * centre).sum())
        lowest = 1.0
        for k in range(n):
            lowest = min(lowest, (centre * polygon[k]).sum() / max(length, 1e-300))
        if length < 1e-12 or lowest < 1e-9:
            kind[i] = _TOO_LARGE
            continue
        area = polygon_area(polygon, n)
        extent = 0.0
        for k in range(1, n):
            extent = max(extent, np.abs(polygon[k] - polygon[0]).max())
        if abs(area) <= 1e-15 * extent:
            kind[i] = _DEGENERATE
            continue
        if area < 0.0:
            polygon[:n] = polygon[:n][::-1].copy()
            part[:n] = part[:n][::-1].copy()
        reflex, turns = 0, 0
        for k in range(n):
            a, b, c = polygon[k], polygon[(k + 1) % n], polygon[(k + 2) % n]
            if n == 4 and triangle_area(a, b, c) < -1e-15 * extent:
                turns += 1
                reflex = (k + 1) % n
        if turns == 1:
            kind[i] = _CONCAVE
        elif turns > 1:
            kind[i] = _CROSSED
        for k in range(4):
            parts[i, k] = part[(reflex + min(k, n - 1)) % n]
    return kind


@nb.njit(cache=True, nogil=True)
def bounding_box(polygon: Any, n: int, box: Any) -> None:
    """Box (minimum x, y, z, maximum x, y, z) that holds a spherical polygon, its bulge included."""
    cx, cy, cz = 0.0, 0.0, 0.0
    for k in range(n):
        cx += polygon[k, 0]
        cy += polygon[k, 1]
        cz += polygon[k, 2]
    norm = 1.0 / np.sqrt(cx * cx + cy * cy + cz * cz)
    lowest = 1.0
    for k in range(n):
        dot = (cx * polygon[k, 0] + cy * polygon[k, 1] + cz * polygon[k, 2]) * norm
        lowest = min(lowest, dot)
    # A point of the polygon is a point of the corners' hull pushed out to the sphere, and no
    # point of the hull is nearer to the Earth's centre than `lowest`.
    bulge = 1.0 - lowest + 4e-15
    for axis in range(3):
        low, high = polygon[0, axis], polygon[0, axis]
        for k in range(1, n):
            low = min(low, polygon[k, axis])
            high = max(high, polygon[k, axis])
        box[axis] = low - bulge
        box[3 + axis] = high + bulge


@nb.njit(cache=True, nogil=True)
def _build_boxes(vertices: Any, parts: Any, starts: Any) -> Any:
    """Boxes of all levels of the tree; level 0 holds `FANOUT` parts a box."""
    boxes = np.empty((starts[-1], 6))
    boxes[:, :3] = np.inf
    boxes[:, 3:] = -np.inf
    polygon = np.empty((4, 3))
    box = np.empty(6)
    for i in range(parts.shape[0]):
        bounding_box(polygon, load(vertices, parts[i], polygon), box)
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


@nb.njit(cache=True, nogil=True)
def _z_order(vertices: Any, parts: Any) -> Any:
    """Position of each part's centre along a space-filling curve through the cube."""
    code = np.empty(parts.shape[0], np.int64)
    for i in range(parts.shape[0]):
        z = 0
        for axis in range(3):
            middle = 0.0
            for k in range(4):
                middle += vertices[parts[i, k], axis]
            bits = np.int64((middle * 0.125 + 0.5) * 2097151.0)
            # Spread 21 bits over every third bit.
            bits = (bits | bits << 32) & 0x1F00000000FFFF
            bits = (bits | bits << 16) & 0x1F0000FF0000FF
            bits = (bits | bits << 8) & 0x100F00F00F00F00F
            bits = (bits | bits << 4) & 0x10C30C30C30C30C3
            bits = (bits | bits << 2) & 0x1249249249249249
            z |= bits << axis
        code[i] = z
    return code


@dataclass(frozen=True)
class BoxTree:
    """Packed tree of boxes over parts; `parts` and `owner` are in the order of its leaves."""

    parts: NDArray[np.int32]
    owner: Integers
    boxes: Floats
    starts: Integers


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
    """

    size: int
    vertices: Floats
    parts: NDArray[np.int32]
    owner: Integers
    degenerate: Integers

    @classmethod
    def from_corners(
        cls, lon_c: ArrayLike, lat_c: ArrayLike, mask: ArrayLike | None = None
    ) -> Polygons:
        """Cells of a structured grid from corners in degrees, both of shape (ny + 1, nx + 1).

        `mask` of shape (ny, nx) leaves out the cells where it is 0.
        """
        xyz = unit_vectors(lon_c, lat_c)
        ny, nx = xyz.shape[0] - 1, xyz.shape[1] - 1
        first = (
            np.arange(ny, dtype=np.int32)[:, None] * np.int32(nx + 1)
            + np.arange(nx, dtype=np.int32)[None, :]
        ).ravel()
        owner = np.arange(ny * nx)
        if mask is not None:
            keep = np.asarray(mask).reshape(-1) != 0
            first, owner = first[keep], owner[keep]
        parts = first[:, None] + np.array([0, 1, nx + 2, nx + 1], np.int32)
        return cls.from_parts(ny * nx, xyz.reshape(-1, 3), parts, owner, (ny, nx))

    @classmethod
    def from_parts(
        cls,
        size: int,
        vertices: Floats,
        parts: NDArray[np.int32],
        owner: Integers,
        shape: tuple[int, ...],
    ) -> Polygons:
        """Check quadrilaterals and triangles, and cut concave quadrilaterals in two.

        Raises
        ------
        NarcfError
            When a cell has crossing edges, a corner that is not finite, or does not fit in half
            a sphere; the message names the first such cell by its indices in `shape`.
        """
        kind = _normalise_parts(vertices, parts)
        for refused, (reason, advice) in _REFUSED.items():
            cells = owner[kind == refused]
            if cells.size:
                index = tuple(int(i) for i in np.unravel_index(cells[0], shape))
                raise NarcfError(
                    f"{cells.size} of {size} cells cannot be used, first the one at index {index} "
                    f"(grid shape {shape}): {reason}; {advice}"
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
        return cls(size, vertices, parts, owner, degenerate)

    @cached_property
    def tree(self) -> BoxTree:
        """Spatial index in three dimensions: the poles and the dateline are nothing special."""
        order = np.argsort(_z_order(self.vertices, self.parts))
        parts = self.parts[order]
        counts = [-(-len(parts) // FANOUT)]
        while counts[-1] > 1:
            counts.append(-(-counts[-1] // FANOUT))
        starts = np.concatenate([[0], np.cumsum(counts)])
        boxes = _build_boxes(self.vertices, parts, starts)
        return BoxTree(parts, self.owner[order], boxes, starts)
