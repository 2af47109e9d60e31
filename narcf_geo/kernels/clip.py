"""Convex polygons cut by planes through the centre of the sphere, and candidates from a box tree.

Only imported when weights are computed: it imports numba.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from narcf_geo.kernels.polygons import FANOUT


@nb.njit(cache=True, nogil=True, inline="always")
def _side(buffers: Any, at: int, k: int, edges: Any, e: int) -> float:
    """How far inside the plane of an edge a corner is; 0 within rounding of the plane.

    The difference to a point of the plane keeps the sign exact near the edge.
    """
    s = (
        edges[e, 3] * (buffers[at, k, 0] - edges[e, 0])
        + edges[e, 4] * (buffers[at, k, 1] - edges[e, 1])
        + edges[e, 5] * (buffers[at, k, 2] - edges[e, 2])
    )
    return s if abs(s) > edges[e, 6] else 0.0


@nb.njit(cache=True, nogil=True)
def clip(buffers: Any, n: int, edges: Any, n_edges: int, side: Any) -> tuple[int, int]:
    """Sutherland-Hodgman: the part of the convex polygon `buffers[0]` inside all of `edges`.

    Returns the number of corners left and which of the two buffers holds them.
    """
    crossed = 0
    for e in range(n_edges):
        inside, outside = 0, 0
        for k in range(n):
            s = _side(buffers, 0, k, edges, e)
            inside += s > 0.0
            outside += s < 0.0
        if inside == 0:
            return 0, 0
        if outside > 0:
            crossed |= 1 << e
    at = 0
    for e in range(n_edges):
        if not crossed >> e & 1:
            continue
        inside = 0
        for k in range(n):
            side[k] = _side(buffers, at, k, edges, e)
            inside += side[k] > 0.0
        if inside == 0:
            return 0, at
        to = 1 - at
        m = 0
        x0, y0, z0 = buffers[at, n - 1, 0], buffers[at, n - 1, 1], buffers[at, n - 1, 2]
        s0 = side[n - 1]
        for k in range(n):
            x1, y1, z1, s1 = buffers[at, k, 0], buffers[at, k, 1], buffers[at, k, 2], side[k]
            if s0 * s1 < 0.0:
                t = s0 / (s0 - s1)
                x, y, z = x0 + t * (x1 - x0), y0 + t * (y1 - y0), z0 + t * (z1 - z0)
                scale = 1.0 / np.sqrt(x * x + y * y + z * z)
                buffers[to, m, 0] = x * scale
                buffers[to, m, 1] = y * scale
                buffers[to, m, 2] = z * scale
                m += 1
            if s1 >= 0.0:
                buffers[to, m, 0], buffers[to, m, 1], buffers[to, m, 2] = x1, y1, z1
                m += 1
            x0, y0, z0, s0 = x1, y1, z1, s1
        at, n = to, m
    return n, at


@nb.njit(cache=True, nogil=True)
def edge_planes(polygon: Any, n: int, edges: Any) -> None:
    """A point of each edge, the inward normal of its plane, and the rounding along that."""
    for k in range(n):
        m = (k + 1) % n
        px, py, pz = polygon[k, 0], polygon[k, 1], polygon[k, 2]
        dx, dy, dz = polygon[m, 0] - px, polygon[m, 1] - py, polygon[m, 2] - pz
        edges[k, 0], edges[k, 1], edges[k, 2] = px, py, pz
        nx, ny, nz = py * dz - pz * dy, pz * dx - px * dz, px * dy - py * dx
        edges[k, 3], edges[k, 4], edges[k, 5] = nx, ny, nz
        edges[k, 6] = 4e-16 * np.sqrt(nx * nx + ny * ny + nz * nz)


@nb.njit(cache=True, nogil=True)
def beyond_an_edge(boxes: Any, b: int, edges: Any, n_edges: int) -> bool:
    """Is a box wholly outside the plane of one of the edges."""
    x, y, z = boxes[b, 0] + boxes[b, 3], boxes[b, 1] + boxes[b, 4], boxes[b, 2] + boxes[b, 5]
    dx, dy, dz = boxes[b, 3] - boxes[b, 0], boxes[b, 4] - boxes[b, 1], boxes[b, 5] - boxes[b, 2]
    for e in range(n_edges):
        nx, ny, nz = edges[e, 3], edges[e, 4], edges[e, 5]
        if nx * x + ny * y + nz * z + abs(nx) * dx + abs(ny) * dy + abs(nz) * dz < 0.0:
            return True
    return False


@nb.njit(cache=True, nogil=True)
def near(
    boxes: Any, starts: Any, box: Any, edges: Any, n_edges: int, stack: Any, leaves: Any
) -> int:
    """Write the leaves of a box tree that may touch a convex region to `leaves`; return how many.

    The region lies in `box` and on the inner side of all of `edges`. `stack` is room for
    `FANOUT` nodes (level and number) a level, and one.
    """
    levels = starts.shape[0] - 1
    depth, found = 1, 0
    stack[0, 0], stack[0, 1] = levels - 1, 0
    while depth > 0:
        depth -= 1
        level, node = stack[depth, 0], stack[depth, 1]
        b = starts[level] + node
        if (
            boxes[b, 0] > box[3]
            or boxes[b, 1] > box[4]
            or boxes[b, 2] > box[5]
            or boxes[b, 3] < box[0]
            or boxes[b, 4] < box[1]
            or boxes[b, 5] < box[2]
            or beyond_an_edge(boxes, b, edges, n_edges)
        ):
            continue
        if level > 0:
            last = min((node + 1) * FANOUT, starts[level] - starts[level - 1])
            for child in range(node * FANOUT, last):
                stack[depth, 0], stack[depth, 1] = level - 1, child
                depth += 1
            continue
        leaves[found] = node
        found += 1
    return found


@nb.njit(cache=True, nogil=True)
def grown(cells: Any, areas: Any) -> Any:
    """Return two full lists, of cells and of areas, with as much room again."""
    more_cells, more_areas = np.empty(2 * cells.size, np.int64), np.empty(2 * cells.size)
    more_cells[: cells.size], more_areas[: cells.size] = cells, areas
    return more_cells, more_areas
