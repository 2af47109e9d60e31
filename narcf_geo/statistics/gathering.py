"""Errors of a fine grid, gathered in cells of about one degree."""

from __future__ import annotations

import numpy as np
import xarray as xr

from narcf_geo.statistics.blocks import step_of

FINEST_STEP = 1.0
"""Step in degrees to which the errors of a finer grid are gathered..."""

LEAST_ACROSS = 40
"""... or less, so that the narrow side of a small region still has so many cells."""


def gathered(lat: np.ndarray, lon: np.ndarray) -> tuple[int, int]:
    """Return how many rows and columns of a grid make one cell of an error model.

    Examples
    --------
    >>> gathered(np.arange(10.25, 80, 0.5), np.arange(-169.75, -50, 0.5))
    (2, 2)
    >>> gathered(np.arange(10.5, 80), np.arange(-169.5, -50))
    (1, 1)
    """
    narrow = min(axis.size * step_of(axis) for axis in (lat, lon))
    wanted = min(FINEST_STEP, narrow / LEAST_ACROSS)
    high, wide = (max(1, int(wanted / step_of(axis) + 1e-3)) for axis in (lat, lon))
    return high, wide


def standardised_errors(
    error: xr.DataArray, std: xr.DataArray, cell_area: xr.DataArray, every: tuple[int, int]
) -> tuple[xr.DataArray, np.ndarray]:
    """Return the errors (time, lat, lon) of gathered cells over their std, and their weights.

    The weight of a cell is its std times its area, of gathered cells the sum, and their error is
    the mean with these weights. Months without an error are left out.
    """
    import dask

    z = error / std.where(std > 0)
    mass = (std * cell_area).where(z.notnull())
    if every != (1, 1):
        cells = {"lat": every[0], "lon": every[1]}
        error, mass = ((z * mass).astype(np.float64), mass.astype(np.float64))
        error, mass = (f.coarsen(cells, boundary="pad").sum() for f in (error, mass))
        z = error / mass.where(mass > 0)
        centres = {
            name: (name, np.bincount(n, std[name].values) / np.bincount(n))
            for name in cells
            for n in [np.arange(std.sizes[name]) // cells[name]]
        }
        z, mass = z.assign_coords(centres), mass.assign_coords(centres)
    z, mass = (f.transpose("time", "lat", "lon").astype(np.float64) for f in dask.compute(z, mass))
    z = z.dropna("time", how="all")
    return z, mass.sel(time=z["time"]).fillna(0.0).values


def narrow_side(lat: np.ndarray, lon: np.ndarray) -> float:
    """Return the extent of a grid in degrees, the smaller of both; of one row, its length."""
    return min((float(np.ptp(a)) for a in (lat, lon) if a.size > 1), default=step_of(lat))
