"""Values for cells that have none: those of the nearest valid source cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.grid import Cells
from narcf_geo.grid.sphere import to_xyz

FIELD_BYTES = 2**27
"""Of the source fields that are held at once, at most (one at least)."""


def extrapolated(
    values: Any, fields: Any, source: Cells, target: Cells, max_distance: float | None
) -> Any:
    """Return values with NaN replaced by the value of the nearest valid source cell.

    Parameters
    ----------
    values : numpy.ndarray or dask.array.Array
        Shape (..., layers, ny, nx).
    fields : numpy.ndarray or dask.array.Array
        What they were made from, shape (..., ny_source, nx_source), NaN where missing. Of a dask
        array the chunks along space are joined: a nearest cell may lie anywhere.
    source, target : Grid or Mesh
    max_distance : float, optional
        Kilometres between centres.
    """
    chord = 2.0
    if max_distance is not None:
        angle = min(1000 * max_distance / EARTH_RADIUS, np.pi)
        chord = 2 * np.sin(angle / 2)
    ours, theirs = (to_xyz(*g.centers()).reshape(-1, 3) for g in (source, target))
    if isinstance(values, np.ndarray):
        return _filled(values, fields, ours, theirs, chord)
    import dask.array as da

    whole = {values.ndim - 1: -1, values.ndim - 2: -1, values.ndim - 3: -1}
    fields = fields.rechunk({fields.ndim - 1: -1, fields.ndim - 2: -1})
    if fields.ndim > 2:
        lead_axes = dict.fromkeys(range(fields.ndim - 2), "auto")
        fields = fields.rechunk(lead_axes, block_size_limit=FIELD_BYTES)
    values = values.rechunk({**dict(enumerate(fields.chunks[:-2])), **whole})
    lead = tuple(range(fields.ndim - 2))
    layer, y, x, sy, sx = (len(lead) + k for k in range(5))
    return da.blockwise(
        _filled,
        (*lead, layer, y, x),
        values,
        (*lead, layer, y, x),
        fields,
        (*lead, sy, sx),
        ours=ours,
        theirs=theirs,
        chord=chord,
        dtype=values.dtype,
        concatenate=True,
    )


def _filled(
    values: np.ndarray, fields: np.ndarray, ours: np.ndarray, theirs: np.ndarray, chord: float
) -> np.ndarray:
    from scipy.spatial import cKDTree

    result = values.reshape(-1, *values.shape[-3:]).copy()
    flat = result.reshape(*result.shape[:2], -1)
    known: tuple[bytes, Any, np.ndarray] | None = None
    for one, field in zip(flat, fields.reshape(len(flat), -1), strict=True):
        valid = ~np.isnan(field)
        missing = np.isnan(one).any(axis=0)
        if not (valid.any() and missing.any()):
            continue
        if known is None or known[0] != valid.tobytes():
            usable = np.flatnonzero(valid)
            known = valid.tobytes(), cKDTree(ours[usable]), usable
        distance, near = known[1].query(theirs[missing])
        close = distance <= chord * (1 + 1e-12)
        cells = np.flatnonzero(missing)[close]
        one[:, cells] = field[known[2][near[close]]]
    return result.reshape(values.shape)
