"""Overlap of two axes: the small matrices of the rectilinear road."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from narcf_geo.grid import Grid
from narcf_geo.grid.sphere import band


def axis_matrices(source: Grid, target: Grid) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Return the latitude and the longitude matrix whose outer product are the weights.

    Entry (t, s) is the part of target row (column) t that source row (column) s covers: by area
    between parallels for latitudes, by angle for longitudes.

    Parameters
    ----------
    source, target
        Rectilinear grids.

    Returns
    -------
    tuple of scipy.sparse.csr_array
        Shapes (ny_target, ny_source) and (nx_target, nx_source).
    """
    latitude = _overlap(source.lat_b, target.lat_b, band)
    turns = range(
        int(np.floor((target.lon_b.min() - source.lon_b.max()) / 360)),
        int(np.ceil((target.lon_b.max() - source.lon_b.min()) / 360)) + 1,
    )
    longitude = sparse.csr_array((target.lon_b.size - 1, source.lon_b.size - 1))
    for turn in turns:
        longitude = longitude + _overlap(source.lon_b + 360.0 * turn, target.lon_b, np.subtract)
    return latitude, sparse.csr_array(longitude)


def _overlap(source_b: np.ndarray, target_b: np.ndarray, measure) -> sparse.csr_array:  # type: ignore[no-untyped-def]
    """Return the covered part of each target interval, `measure` (upper, lower) giving sizes."""
    shape = target_b.size - 1, source_b.size - 1
    low = max(source_b.min(), target_b.min())
    high = min(source_b.max(), target_b.max())
    cuts = np.union1d(source_b, target_b)
    cuts = cuts[(cuts >= low) & (cuts <= high)]
    if cuts.size < 2:
        return sparse.csr_array(shape)
    middle = (cuts[1:] + cuts[:-1]) / 2
    row, column = _cell_of(target_b, middle), _cell_of(source_b, middle)
    # Between edges that are one but for rounding there is no cell.
    inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    row, column, cuts = row[inside], column[inside], np.stack([cuts[:-1], cuts[1:]])[:, inside]
    whole = measure(
        np.maximum(target_b[1:], target_b[:-1]), np.minimum(target_b[1:], target_b[:-1])
    )
    part = measure(cuts[1], cuts[0]) / whole[row]
    # Edges that differ by rounding alone leave slivers.
    keep = part > 1e-12
    return sparse.csr_array((part[keep], (row[keep], column[keep])), shape=shape)


def _cell_of(edges: np.ndarray, places: np.ndarray) -> np.ndarray:
    if edges[0] < edges[-1]:
        return np.searchsorted(edges, places) - 1
    return edges.size - 1 - np.searchsorted(edges[::-1], places)
