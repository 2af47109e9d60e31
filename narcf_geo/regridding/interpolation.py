"""Weights between cell centres: bilinear, and nearest neighbours within a distance."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from narcf_geo.grid import Cells, Grid
from narcf_geo.grid.sphere import distance, to_xyz

SAME_PLACE = 1e-9
"""Distance on the unit sphere (6 mm) below which two corners are one."""


def is_periodic(grid: Grid) -> bool:
    """Tell whether the last column of a grid is the neighbour of the first.

    Examples
    --------
    >>> is_periodic(Grid.regular(-180, -60, 180, 60, 5)), is_periodic(Grid.regular(0, 0, 50, 50, 5))
    (True, False)
    """
    if grid.shape[1] < 3:
        return False
    if grid.is_rectilinear:
        return bool(abs(abs(grid.lon_b[-1] - grid.lon_b[0]) - 360) < np.degrees(SAME_PLACE))
    lon_b, lat_b = grid.corners()
    seam = to_xyz(lon_b[:, [0, -1]], lat_b[:, [0, -1]])
    # A grid that begins and ends in one point only turns back on itself.
    return bool((np.linalg.norm(seam[:, 0] - seam[:, 1], axis=-1) < SAME_PLACE).all())


def closed_poles(grid: Grid) -> tuple[bool, bool]:
    """Tell whether the first and the last row of a grid reach a pole: their outer edge is a point.

    Examples
    --------
    >>> closed_poles(Grid.regular(-180, -60, 180, 90, 5))
    (False, True)
    """
    if grid.is_rectilinear:
        first, last = np.abs(grid.lat_b[[0, -1]]) > 90 - np.degrees(SAME_PLACE)
        return bool(first), bool(last)
    lon_b, lat_b = grid.corners()
    ends = to_xyz(lon_b[[0, -1]], lat_b[[0, -1]])
    apart = np.linalg.norm(ends - ends[:, :1], axis=-1).max(axis=1)
    return bool(apart[0] < SAME_PLACE), bool(apart[1] < SAME_PLACE)


def bilinear(source: Grid, target: Grid) -> sparse.csr_array:
    """Return bilinear weights between cell centres, across the seam and the poles of a globe.

    Parameters
    ----------
    source, target : Grid
        A source whose columns go round the globe is closed there; a row that reaches a pole is
        closed by a point on the pole, the mean of the row.

    Returns
    -------
    scipy.sparse.csr_array
        Shape (n_target, n_source); rows sum to 1, and are empty outside the source's centres.
    """
    from narcf_geo.kernels.interpolate import bilinear_weights, points

    return bilinear_weights(
        points(*source.centers()),
        source.shape,
        points(*target.centers()),
        periodic=is_periodic(source),
        poles=closed_poles(source),
    )


def nearest(
    source: Cells,
    target: Cells,
    *,
    to_source: bool = False,
    max_distance: float | None = None,
    source_mask: np.ndarray | None = None,
    target_mask: np.ndarray | None = None,
) -> sparse.csr_array:
    """Return nearest-neighbour weights between cell centres that are not too far apart.

    Parameters
    ----------
    source, target : Grid or Mesh
    to_source : bool
        Every source cell goes to its nearest target cell, instead of every target cell taking its
        nearest source cell.
    max_distance : float, optional
        Kilometres. By default about the size of the cell that is looked up: `reach` of the nearest
        source cell (of the nearest target cell with `to_source`).
    source_mask, target_mask : numpy.ndarray of bool, optional
        False leaves a cell out.

    Returns
    -------
    scipy.sparse.csr_array
        Shape (n_target, n_source), all weights 1.
    """
    from narcf_geo.kernels.interpolate import nearest_weights, points

    ours, theirs = points(*source.centers()), points(*target.centers())
    source_mask, target_mask = _taking_part(source, source_mask), _taking_part(target, target_mask)
    found = nearest_weights(
        ours, theirs, to_source=to_source, source_mask=source_mask, target_mask=target_mask
    ).tocoo()
    row, column = found.coords
    if max_distance is not None:
        limit = 1000.0 * max_distance
    else:
        limit = reach(target)[row] if to_source else reach(source)[column]
    near = distance(theirs[row], ours[column]) <= limit
    return sparse.csr_array((found.data[near], (row[near], column[near])), shape=found.shape)


def _taking_part(cells: Cells, mask: np.ndarray | None) -> np.ndarray | None:
    """Leave out the cells of a mesh that have no area, and so no part."""
    if isinstance(cells, Grid):
        return mask
    return cells.area > 0 if mask is None else (cells.area > 0) & mask


def reach(cells: Cells) -> np.ndarray:
    """Return how far (m) each cell stands for what is around its centre, shape (n,).

    That is 1.42 times the distance to its farthest corner: for a square cell its side, and never
    less than the cell itself.

    Examples
    --------
    >>> (reach(Grid.regular(0, 0, 1, 1, 1)) / 1000).round(1)
    array([111.6])
    """
    centre = to_xyz(*cells.centers())
    if not isinstance(cells, Grid):
        farthest = np.zeros(cells.lon.size)
        owner = np.repeat(cells.owner, cells.counts)
        corner = to_xyz(*cells.corner_positions())
        np.maximum.at(farthest, owner, distance(centre.reshape(-1, 3)[owner], corner))
        return 1.42 * farthest
    corners = to_xyz(*cells.corners())
    four = corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]
    return 1.42 * np.max([distance(centre, corner) for corner in four], axis=0).ravel()
