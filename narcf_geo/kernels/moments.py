"""Second-order conservative regridding: slopes of cells, and where in a cell an overlap lies.

Jones (1999), doi:10.1175/1520-0493(1999)127<2204:FASOCR>2.0.CO;2, in vectors of space as in
Kritsikis et al. (2017), doi:10.5194/gmd-10-425-2017. Imports numba: import it when needed only.

The moment of a polygon is the integral of the place x over its area, a vector. Divided by the area
it is the centroid, inside the sphere. A field that is f + g (x - c) within a cell of centroid c has
the mean f there whatever its slope g, so that what the overlaps of the cell get adds up to f.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from scipy import sparse

from narcf_geo.kernels.clip import clip, edge_planes
from narcf_geo.kernels.polygons import Floats, Polygons, load, polygon_area

FLAT = 0.01
"""Ratio of the spreads of neighbours across and along below which they lie on a line."""


@nb.njit(cache=True, nogil=True)
def _add_moment(polygon: Any, n: int, out: Any) -> None:
    """Add the moment of a great-circle polygon: half the sum of its arcs times their normals."""
    for k in range(n):
        m = (k + 1) % n
        ax, ay, az = polygon[k, 0], polygon[k, 1], polygon[k, 2]
        dx, dy, dz = polygon[m, 0] - ax, polygon[m, 1] - ay, polygon[m, 2] - az
        nx, ny, nz = ay * dz - az * dy, az * dx - ax * dz, ax * dy - ay * dx
        sine = np.sqrt(nx * nx + ny * ny + nz * nz)
        if sine == 0.0:
            continue
        cosine = 1.0 - 0.5 * (dx * dx + dy * dy + dz * dz)
        half = 0.5 * np.arctan2(sine, cosine) / sine
        out[0] += half * nx
        out[1] += half * ny
        out[2] += half * nz


@nb.njit(cache=True, nogil=True)
def _cell_moments(vertices: Any, parts: Any, owner: Any, moments: Any, areas: Any) -> None:
    polygon = np.empty((4, 3))
    for i in range(parts.shape[0]):
        n = load(vertices, parts, i, polygon)
        _add_moment(polygon, n, moments[owner[i]])
        areas[owner[i]] += polygon_area(polygon, n)


@nb.njit(cache=True, nogil=True)
def _pair_moments(
    indptr: Any,
    indices: Any,
    target_vertices: Any,
    target_parts: Any,
    target_first: Any,
    vertices: Any,
    parts: Any,
    first: Any,
    areas: Any,
    moments: Any,
) -> None:
    target, buffers = np.empty((4, 3)), np.empty((2, 32, 3))
    edges, side = np.empty((4, 7)), np.empty(32)
    for t in range(indptr.size - 1):
        for i in range(target_first[t], target_first[t + 1]):
            n_corners = load(target_vertices, target_parts, i, target)
            edge_planes(target, n_corners, edges)
            for k in range(indptr[t], indptr[t + 1]):
                for j in range(first[indices[k]], first[indices[k] + 1]):
                    n = load(vertices, parts, j, buffers[0])
                    n, at = clip(buffers, n, edges, n_corners, side)
                    if n >= 3:
                        areas[k] += polygon_area(buffers[at], n)
                        _add_moment(buffers[at], n, moments[k])


def centroids(cells: Polygons) -> Floats:
    """Return the centroid of each cell in space, shape (size, 3); NaN for cells without an area."""
    moments, areas = np.zeros((cells.size, 3)), np.zeros(cells.size)
    _cell_moments(cells.vertices, cells.parts, cells.owner, moments, areas)
    with np.errstate(invalid="ignore"):
        return np.asarray(moments / areas[:, None])


def overlap_moments(
    overlap: sparse.csr_array, source: Polygons, target: Polygons
) -> tuple[Floats, Floats]:
    """Return area and moment of the overlaps that a matrix (target, source) lists.

    Returns
    -------
    tuple of numpy.ndarray
        On the unit sphere, shapes (nnz,) and (nnz, 3), in the order of its entries.
    """
    areas, moments = np.zeros(overlap.nnz), np.zeros((overlap.nnz, 3))
    first, target_first = (
        np.searchsorted(cells.owner, np.arange(cells.size + 1)) for cells in (source, target)
    )
    _pair_moments(
        overlap.indptr,
        overlap.indices,
        target.vertices,
        target.parts,
        target_first,
        source.vertices,
        source.parts,
        first,
        areas,
        moments,
    )
    return areas, moments


@nb.njit(cache=True, nogil=True)
def outer_entries(y_ptr: Any, y_idx: Any, x_ptr: Any, x_idx: Any, columns: int) -> Any:
    """Return the outer product of two CSR patterns: indptr, indices, entries of y and of x."""
    ny, nx = y_ptr.size - 1, x_ptr.size - 1
    n = y_idx.size * x_idx.size
    indptr = np.zeros(ny * nx + 1, np.int64)
    indices, of_y, of_x = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    k = 0
    for t in range(ny):
        for u in range(nx):
            for i in range(y_ptr[t], y_ptr[t + 1]):
                for j in range(x_ptr[u], x_ptr[u + 1]):
                    indices[k] = y_idx[i] * columns + x_idx[j]
                    of_y[k], of_x[k] = i, j
                    k += 1
            indptr[t * nx + u + 1] = k
    return indptr, indices, of_y, of_x


@nb.njit(cache=True, nogil=True)
def _basis(c: Any, e: Any) -> None:
    """Two unit vectors across `c`, at right angles to each other."""
    least = 0
    for axis in range(1, 3):
        if abs(c[axis]) < abs(c[least]):
            least = axis
    square = c[0] * c[0] + c[1] * c[1] + c[2] * c[2]
    for axis in range(3):
        e[0, axis] = -c[axis] * c[least] / square
    e[0, least] += 1.0
    length = np.sqrt(e[0, 0] ** 2 + e[0, 1] ** 2 + e[0, 2] ** 2)
    for axis in range(3):
        e[0, axis] /= length
    length = np.sqrt(square)
    e[1, 0] = (c[1] * e[0, 2] - c[2] * e[0, 1]) / length
    e[1, 1] = (c[2] * e[0, 0] - c[0] * e[0, 2]) / length
    e[1, 2] = (c[0] * e[0, 1] - c[1] * e[0, 0]) / length


@nb.njit(cache=True, nogil=True)
def slopes(field: Any, around: Any, centroid: Any, out: Any) -> None:
    """Write the slope of each cell, a vector along the sphere, by least squares.

    The slope is that of the plane through the cell that is nearest to its valid neighbours, each
    weighted by the inverse square of its distance. Neighbours on one line give the slope along it;
    a cell without any has none.

    Parameters
    ----------
    field
        Shape (n,), NaN where missing.
    around
        Numbers of the neighbours, shape (n, k), -1 for none.
    centroid
        Shape (n, 3).
    out
        Shape (n, 3), written into.
    """
    e = np.empty((2, 3))
    for s in range(field.size):
        out[s, 0] = out[s, 1] = out[s, 2] = 0.0
        if field[s] != field[s]:
            continue
        _basis(centroid[s], e)
        xx = xy = yy = xf = yf = 0.0
        for k in range(around.shape[1]):
            m = around[s, k]
            if m < 0 or field[m] != field[m]:
                continue
            dx = dy = 0.0
            for axis in range(3):
                step = centroid[m, axis] - centroid[s, axis]
                dx += step * e[0, axis]
                dy += step * e[1, axis]
            square = dx * dx + dy * dy
            if square == 0.0:
                continue
            df = (field[m] - field[s]) / square
            xx += dx * dx / square
            xy += dx * dy / square
            yy += dy * dy / square
            xf += dx * df
            yf += dy * df
        middle, spread = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
        if middle == 0.0:
            continue
        if middle - spread > FLAT * (middle + spread):
            determinant = xx * yy - xy * xy
            gx, gy = (yy * xf - xy * yf) / determinant, (xx * yf - xy * xf) / determinant
        else:
            # The direction along the line, and the slope along it.
            ux, uy = (middle + spread - yy, xy) if xx >= yy else (xy, middle + spread - xx)
            length = np.hypot(ux, uy)
            ux, uy = ux / length, uy / length
            along = (ux * xf + uy * yf) / (middle + spread)
            gx, gy = along * ux, along * uy
        for axis in range(3):
            out[s, axis] = gx * e[0, axis] + gy * e[1, axis]


@nb.njit(cache=True, nogil=True)
def second_order(
    fields: Any,
    indptr: Any,
    indices: Any,
    shares: Any,
    moments: Any,
    around: Any,
    centroid: Any,
    least: float,
    values: Any,
    fraction: Any,
) -> None:
    """Write the mean over the valid part of each target cell of fields that slope within cells.

    Parameters
    ----------
    fields
        Shape (n, n_source), NaN where missing.
    indptr, indices, shares
        The matrix (n_target, n_source) of covered shares in CSR form.
    moments
        Integral of x - c over each overlap divided by the area of the target cell, (nnz, 3).
    around, centroid
        As for `slopes`.
    least
        Covered fraction below which a cell is NaN.
    values, fraction
        Shape (n, n_target), written into.
    """
    slope = np.empty((fields.shape[1], 3))
    for f in range(fields.shape[0]):
        slopes(fields[f], around, centroid, slope)
        for t in range(indptr.size - 1):
            total = covered = 0.0
            for k in range(indptr[t], indptr[t + 1]):
                s = indices[k]
                value = fields[f, s]
                if value == value:
                    total += shares[k] * value + (
                        moments[k, 0] * slope[s, 0]
                        + moments[k, 1] * slope[s, 1]
                        + moments[k, 2] * slope[s, 2]
                    )
                    covered += shares[k]
            fraction[f, t] = min(covered, 1.0)
            values[f, t] = total / covered if covered >= least else np.nan
