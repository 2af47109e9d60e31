"""Bilinear and nearest-neighbour weights between points on the sphere, by ESMF's definitions.

Only imported when weights are computed: it imports numba.
"""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from narcf_geo.kernels.clip import near
from narcf_geo.kernels.polygons import FANOUT, BoxTree, Floats, Integers

_INSIDE = 1e-10
_NEARLY = 1e-7
"""How far (in cell widths, -1 to 1 across) a point may miss every cell and still be mapped."""


@nb.njit(cache=True, nogil=True)
def _points(lon: Any, lat: Any) -> Any:
    xyz = np.empty((lon.size, 3))
    degree = math.pi / 180.0
    for i in range(lon.size):
        theta, phi = lon[i] * degree, (90.0 - lat[i]) * degree
        xyz[i, 0] = math.cos(theta) * math.sin(phi)
        xyz[i, 1] = math.sin(theta) * math.sin(phi)
        xyz[i, 2] = math.cos(phi)
    return xyz


def points(lon: ArrayLike, lat: ArrayLike) -> Floats:
    """Points on the unit sphere, shape (n, 3), from degrees.

    In ESMF's own order of operations, so that distances that are equal there are equal here and
    the same of two equally near points is chosen.
    """
    lon, lat = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    return _points(np.ascontiguousarray(lon).ravel(), np.ascontiguousarray(lat).ravel())


@nb.njit(cache=True, nogil=True)
def _local_coordinates(corners: Any, n: int, point: Any, local: Any) -> bool:
    """Where the ray to `point` meets the flat triangle or the bilinear surface of `corners`.

    Solves x(p, q) parallel to `point` by Newton's method in the plane across the ray, where
    x = c0 + p (c1 - c0) + q (c_last - c0) + p q (c0 - c1 + c2 - c3), the last term for
    quadrilaterals only.
    """
    # Two vectors across the ray; the axis least along it keeps them well apart.
    least = 0
    for axis in range(1, 3):
        if abs(point[axis]) < abs(point[least]):
            least = axis
    e = np.zeros((2, 3))
    for axis in range(3):
        e[0, axis] = -point[axis] * point[least]
    e[0, least] += 1.0
    e[1, 0] = point[1] * e[0, 2] - point[2] * e[0, 1]
    e[1, 1] = point[2] * e[0, 0] - point[0] * e[0, 2]
    e[1, 2] = point[0] * e[0, 1] - point[1] * e[0, 0]
    a, b, c, d = np.zeros(2), np.zeros(2), np.zeros(2), np.zeros(2)
    for k in range(2):
        for axis in range(3):
            origin = corners[0, axis]
            a[k] += e[k, axis] * (origin - point[axis])
            b[k] += e[k, axis] * (corners[1, axis] - origin)
            c[k] += e[k, axis] * (corners[n - 1, axis] - origin)
            if n == 4:
                d[k] += e[k, axis] * (
                    origin - corners[1, axis] + corners[2, axis] - corners[3, axis]
                )
    scale = 0.0
    for k in range(2):
        scale += abs(a[k]) + abs(b[k]) + abs(c[k]) + abs(d[k])
    p, q = 0.5, 0.5
    for _ in range(30):
        f0 = a[0] + p * b[0] + q * c[0] + p * q * d[0]
        f1 = a[1] + p * b[1] + q * c[1] + p * q * d[1]
        # Before the step: where two corners meet the last one has no direction.
        if abs(f0) + abs(f1) <= 1e-15 * scale:
            break
        p0, p1, q0, q1 = b[0] + q * d[0], b[1] + q * d[1], c[0] + p * d[0], c[1] + p * d[1]
        determinant = p0 * q1 - p1 * q0
        if determinant == 0.0:
            return False
        dp, dq = (f1 * q0 - f0 * q1) / determinant, (f0 * p1 - f1 * p0) / determinant
        p, q = p + dp, q + dq
        if not (abs(p) < 1e6 and abs(q) < 1e6):
            return False
        if abs(dp) + abs(dq) < 1e-14:
            break
    along = 0.0
    for axis in range(3):
        x = corners[0, axis] * (1.0 - p - q) + corners[1, axis] * p + corners[n - 1, axis] * q
        if n == 4:
            x += p * q * (corners[0, axis] - corners[1, axis] + corners[2, axis] - corners[3, axis])
        along += x * point[axis]
    local[0], local[1] = p, q
    return along > 0.0


@nb.njit(cache=True, nogil=True)
def _outside(p: float, q: float, n: int) -> float:
    """How far local coordinates are outside the cell, 0 when inside."""
    worst = max(-p, -q, 0.0)
    return 2.0 * (max(worst, p + q - 1.0) if n == 3 else max(worst, p - 1.0, q - 1.0))


@nb.njit(cache=True, nogil=True)
def _locate(
    targets: Any, use: Any, vertices: Any, parts: Any, owner: Any, boxes: Any, starts: Any
) -> Any:
    """The cell (position in `parts`, -1 for none) around each target and its local coordinates."""
    cell = np.full(targets.shape[0], -1, np.int64)
    local = np.zeros((targets.shape[0], 2))
    corners, trial = np.empty((4, 3)), np.empty(2)
    stack, leaves = np.empty((FANOUT * starts.shape[0], 2), np.int64), np.empty(starts[1], np.int32)
    box, no_edges = np.empty(6), np.empty((0, 7))
    for i in range(targets.shape[0]):
        if not use[i]:
            continue
        for axis in range(3):
            box[axis], box[3 + axis] = targets[i, axis] - _NEARLY, targets[i, axis] + _NEARLY
        best = _NEARLY
        for node in leaves[: near(boxes, starts, box, no_edges, 0, stack, leaves)]:
            for j in range(node * FANOUT, min((node + 1) * FANOUT, parts.shape[0])):
                n = 3 if parts[j, 3] == parts[j, 2] else 4
                for k in range(4):
                    for axis in range(3):
                        corners[k, axis] = vertices[parts[j, k], axis]
                if not _local_coordinates(corners, n, targets[i], trial):
                    continue
                miss = _outside(trial[0], trial[1], n)
                if miss <= _INSIDE:
                    miss = 0.0
                # Of several cells around a point (on their edge) the first counts.
                if miss < best or (miss == best and cell[i] >= 0 and owner[j] < owner[cell[i]]):
                    best = miss
                    cell[i] = j
                    local[i, 0], local[i, 1] = trial[0], trial[1]
    return cell, local


def _centre_cells(shape: tuple[int, int], periodic: bool) -> NDArray[np.int32]:
    """Quadrilaterals between the points of a (ny, nx) array, closed in x when periodic."""
    ny, nx = shape
    j = np.arange(ny - 1, dtype=np.int32)[:, None] * np.int32(nx)
    i = np.arange(nx if periodic else nx - 1, dtype=np.int32)[None, :]
    after = (i + 1) % nx
    return np.stack([j + i, j + after, j + nx + after, j + nx + i], axis=-1).reshape(-1, 4)


def _kept(points: Floats, mask: ArrayLike | None) -> Integers:
    """Indices of the points that are finite and not masked."""
    keep = np.isfinite(points).all(axis=1)
    if mask is not None:
        keep &= np.asarray(mask).reshape(-1) != 0
    return np.flatnonzero(keep)


def bilinear_weights(
    source: Floats,
    shape: tuple[int, int],
    target: Floats,
    *,
    periodic: bool = False,
    poles: tuple[bool, bool] = (True, True),
    source_mask: ArrayLike | None = None,
    target_mask: ArrayLike | None = None,
) -> sparse.csr_array:
    """Bilinear weights from the points of a structured grid to any points.

    A target point takes the bilinear mean of the four source points around it; the cell between
    them is the bilinear surface through their places in space, seen from the sphere's centre. A
    target in a cell with a masked point, or in no cell, has an empty row. With `periodic` the
    grid closes in x, and an artificial pole, the mean of its nearest row, closes either end of it
    (ESMF's pole method "all").

    Parameters
    ----------
    source, target
        Unit vectors, shapes (ny * nx, 3) and (n_target, 3).
    shape
        (ny, nx) of the source.
    poles
        Whether a periodic grid is closed beyond its first and beyond its last row.
    source_mask, target_mask
        Sizes ny * nx and n_target; 0 leaves a point out.

    Returns
    -------
    scipy.sparse.csr_array
        Shape (n_target, ny * nx).
    """
    nx = shape[1]
    n = len(source)
    usable = np.zeros(n, bool)
    usable[_kept(source, source_mask)] = True
    wanted = np.zeros(len(target), bool)
    wanted[_kept(target, target_mask)] = True
    parts = _centre_cells(shape, periodic)
    vertices = source
    added = []
    if periodic:
        rows = np.arange(nx), np.arange(n - nx, n)
        for row in (row for row, closed in zip(rows, poles, strict=True) if closed):
            centre = source[row].mean(axis=0)
            length = np.linalg.norm(centre)
            used = row[usable[row]]
            if length < 1e-12 or not used.size:
                continue
            vertices = np.vstack([vertices, centre / length])
            number = len(vertices) - 1
            cap = np.stack([row, np.roll(row, -1), np.full(nx, number), np.full(nx, number)], -1)
            parts = np.vstack([parts, cap.astype(np.int32)])
            added.append((number, used))
    usable = np.concatenate([usable, np.ones(len(vertices) - n, bool)])
    number_of_cell = np.flatnonzero(usable[parts].all(axis=1))
    parts = parts[number_of_cell]
    if not len(parts):
        return sparse.csr_array((len(target), n), dtype=np.float64)
    columns = nx if periodic else nx - 1
    tree = BoxTree.build(vertices, parts, number_of_cell, columns)
    cell, local = _locate(target, wanted, vertices, tree.parts, tree.owner, tree.boxes, tree.starts)
    row = np.flatnonzero(cell >= 0)
    corners = tree.parts[cell[row]]
    p, q = local[row].T
    triangle = corners[:, 2] == corners[:, 3]
    weights = np.where(
        triangle,
        [1 - p - q, p, q, 0 * p],
        [(1 - p) * (1 - q), p * (1 - q), p * q, (1 - p) * q],
    ).T
    to_vertices = sparse.csr_array(
        (weights.ravel(), (np.repeat(row, 4), corners.ravel())), shape=(len(target), len(vertices))
    )
    to_vertices.eliminate_zeros()
    if not added:
        return to_vertices
    vertex = np.concatenate([np.arange(n), *(np.full(used.size, at) for at, used in added)])
    column = np.concatenate([np.arange(n), *(used for _, used in added)])
    share = np.concatenate([np.ones(n), *(np.full(used.size, 1 / used.size) for _, used in added)])
    spread = sparse.csr_array((share, (vertex, column)), shape=(len(vertices), n))
    return sparse.csr_array(to_vertices @ spread)


def _nearest(points: Floats, to: Floats) -> Integers:
    """Index in `to` of the nearest point to each of `points`; the lowest of equally near ones."""
    tree = cKDTree(to)
    k = min(5, len(to))
    near = tree.query(points, k=np.arange(1, k + 1))[1]
    squared = ((points[:, None, :] - to[near]) ** 2).sum(axis=2)
    least = squared.min(axis=1)
    tied = squared == least[:, None]
    index = np.where(tied, near, len(to)).min(axis=1)
    # More ties than neighbours asked for (a pole that is repeated at every longitude).
    for i in np.flatnonzero(tied.all(axis=1)) if k < len(to) else ():
        around = np.array(tree.query_ball_point(points[i], np.sqrt(least[i]) * (1 + 1e-12)))
        if around.size:
            distance = ((points[i] - to[around]) ** 2).sum(axis=1)
            index[i] = around[distance == distance.min()].min()
    return index


def nearest_weights(
    source: Floats,
    target: Floats,
    *,
    to_source: bool = False,
    source_mask: ArrayLike | None = None,
    target_mask: ArrayLike | None = None,
) -> sparse.csr_array:
    """Nearest-neighbour weights between points, by distance through the sphere.

    Every target takes its nearest source point, or with `to_source` every source point goes to
    its nearest target, which sums what it gets.

    Parameters
    ----------
    source, target
        Unit vectors, shapes (n_source, 3) and (n_target, 3).
    source_mask, target_mask
        0 leaves a point out.

    Returns
    -------
    scipy.sparse.csr_array
        Shape (n_target, n_source), all weights 1. Of equally near points the first is taken.
    """
    rows, columns = _kept(target, target_mask), _kept(source, source_mask)
    shape = (len(target), len(source))
    if not rows.size or not columns.size:
        return sparse.csr_array(shape, dtype=np.float64)
    if to_source:
        rows = rows[_nearest(source[columns], target[rows])]
    else:
        columns = columns[_nearest(target[rows], source[columns])]
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


def inverse_distance_weights(
    source: Floats,
    target: Floats,
    *,
    neighbours: int = 8,
    exponent: float = 2.0,
    source_mask: ArrayLike | None = None,
    target_mask: ArrayLike | None = None,
) -> sparse.csr_array:
    """Mean of the nearest source points weighted by distance to the power of -`exponent`.

    Shapes and masks as in `nearest_weights`; rows sum to 1.
    """
    rows, columns = _kept(target, target_mask), _kept(source, source_mask)
    shape = (len(target), len(source))
    if not rows.size or not columns.size:
        return sparse.csr_array(shape, dtype=np.float64)
    k = np.arange(1, min(neighbours, columns.size) + 1)
    distance, near = cKDTree(source[columns]).query(target[rows], k=k)
    hit = distance[:, :1] == 0.0
    with np.errstate(divide="ignore"):
        weight = np.where(hit, np.arange(k.size) == 0, distance ** -float(exponent))
    weight /= weight.sum(axis=1, keepdims=True)
    weights = sparse.csr_array(
        (weight.ravel(), (np.repeat(rows, k.size), columns[near.ravel()])), shape=shape
    )
    weights.eliminate_zeros()
    return weights


def _east_and_north(lon: ArrayLike, lat: ArrayLike) -> Floats:
    """Unit vectors to the east and to the north in space, shape (2, 3, n), from degrees."""
    theta, phi = np.deg2rad(np.ravel(lon)), np.deg2rad(np.ravel(lat))
    east = [-np.sin(theta), np.cos(theta), np.zeros_like(theta)]
    north = [-np.sin(phi) * np.cos(theta), -np.sin(phi) * np.sin(theta), np.cos(phi)]
    return np.array([east, north])


def vector_weights(
    weights: sparse.csr_array,
    source: tuple[ArrayLike, ArrayLike],
    target: tuple[ArrayLike, ArrayLike],
) -> sparse.csr_array:
    """Weights of a vector field, interpolated as a vector in space rather than by component.

    Parameters
    ----------
    weights
        Of a scalar field, shape (n_target, n_source).
    source, target
        Longitudes and latitudes of the points, degrees.

    Returns
    -------
    scipy.sparse.csr_array
        Shape (2 n_target, 2 n_source): the east components, then the north components.
    """
    there, here = _east_and_north(*target), _east_and_north(*source)
    blocks = [
        [
            sum(
                sparse.diags_array(there[i, axis]) @ weights @ sparse.diags_array(here[j, axis])
                for axis in range(3)
            )
            for j in range(2)
        ]
        for i in range(2)
    ]
    return sparse.csr_array(sparse.block_array(blocks, format="csr"))
