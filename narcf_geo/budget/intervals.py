"""Intervals of totals: the errors of their cells drawn together, never added as independent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.core.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from narcf_geo.statistics.error_model import ErrorModel

DRAWS = 500
LEVEL = 0.95


def total_draws(
    std: xr.DataArray,
    errors: ErrorModel,
    cell_area: xr.DataArray,
    shares: np.ndarray,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> np.ndarray:
    """Draw the errors of the monthly totals of parts.

    A draw is the same pattern of errors in every year: what the model gets wrong at a place it may
    get wrong each time, so a mean over years is no surer than a year.

    Parameters
    ----------
    std : xarray.DataArray
        Standard deviation of the predicted flux, (time, lat, lon), umol m-2 s-1; NaN: no error.
    errors : ErrorModel
        Held-out errors on the same grid.
    cell_area : xarray.DataArray
        (lat, lon), m2.
    shares : numpy.ndarray
        Share of each cell that belongs to each part, (part, lat, lon).
    draws : int
        How many.
    seed : int
        The same seed gives the same draws.

    Returns
    -------
    numpy.ndarray
        TgC per month, (draw, part, time). Totals are linear in the shares: if parts make up
        another, so do their draws.

    Raises
    ------
    UsageError
        When the errors are on another grid.
    """
    from scipy import sparse

    from narcf_geo.budget.totals import cell_total

    grid = errors.scale
    if any(grid[c].size != std[c].size or not np.allclose(grid[c], std[c]) for c in ("lat", "lon")):
        raise UsageError(
            f"expected errors on the grid of the prediction, {std.sizes['lat']} x "
            f"{std.sizes['lon']} cells, found {grid.sizes['lat']} x {grid.sizes['lon']} or other "
            "coordinates; train again on this grid"
        )
    weight = cell_total(std, cell_area).transpose("time", "lat", "lon").values
    cells = np.isfinite(weight).any(axis=0) & (shares > 0).any(axis=0)
    if not cells.any():
        return np.zeros((draws, len(shares), len(weight)))
    weight = np.nan_to_num(weight[:, cells])
    share = sparse.csr_array(shares[:, cells])
    month = std["time"].dt.month.values - 1
    parts = []
    for drawn in errors.draws(cells, draws, seed):
        by_cell = np.ascontiguousarray(drawn.transpose(0, 2, 1))
        total = np.empty((by_cell.shape[2], len(shares), len(weight)))
        for t, m in enumerate(month):
            scaled = share.copy()
            scaled.data = share.data * weight[t, share.indices]
            total[:, :, t] = (scaled @ by_cell[m]).T
        parts.append(total)
    return np.concatenate(parts)


def half_width(draws: np.ndarray, freedom: float, level: float = LEVEL) -> np.ndarray:
    """Return half the width of the interval about zero that is to hold `level` of the errors.

    Parameters
    ----------
    draws : numpy.ndarray
        Draws of the error along the first axis.
    freedom : float
        Of how many independent blocks of errors their spread is known. Few may by chance have been
        too small: the interval is wider as Student's distribution is than the normal.
    level : float
        Between 0 and 1.

    Examples
    --------
    >>> draws = np.arange(-100.0, 101.0)
    >>> [round(float(half_width(draws, freedom, 0.5)), 1) for freedom in (np.inf, 5.0)]
    [50.0, 53.9]
    """
    from scipy import stats

    tail = 0.5 + level / 2
    wider = stats.t.ppf(tail, freedom) / stats.norm.ppf(tail)
    return wider * np.quantile(np.abs(draws), level, axis=0, method="higher")


def total_intervals(
    prediction: xr.Dataset,
    errors: ErrorModel,
    cell_area: xr.DataArray,
    parts: Mapping[str, np.ndarray],
    *,
    by: str = "year",
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the totals of parts with their intervals, by year or by month.

    Parameters
    ----------
    prediction : xarray.Dataset
        ``flux`` and ``flux_std`` (time, lat, lon), umol m-2 s-1, positive to the atmosphere.
    errors : ErrorModel
        Held-out errors on the same grid.
    cell_area : xarray.DataArray
        (lat, lon), m2.
    parts : mapping
        Name to mask or share (lat, lon) of each cell.
    by : {"year", "month"}
        What a total is of.
    level : float
        Share of the truths that an interval is to hold, between 0 and 1.
    draws, seed
        As for `total_draws`.

    Returns
    -------
    pandas.DataFrame
        Columns ``part``, ``year`` or ``month`` (a time stamp), ``flux_TgC``, ``std_TgC``,
        ``lower_TgC`` and ``upper_TgC``.
    """
    import pandas as pd

    from narcf_geo.budget.totals import cell_total

    if by not in ("year", "month"):
        raise UsageError(f"expected totals by 'year' or 'month', found {by!r}")
    shares = np.stack([np.asarray(share, dtype=np.float64) for share in parts.values()])
    flux = cell_total(prediction["flux"], cell_area).transpose("time", "lat", "lon")
    monthly = np.tensordot(shares, np.nan_to_num(flux.values), axes=([1, 2], [1, 2]))
    std = prediction["flux_std"].where(prediction["flux"].notnull())
    drawn = total_draws(std, errors, cell_area, shares, draws=draws, seed=seed)
    time = flux["time"]
    label = time.dt.year.values if by == "year" else time.values
    period, index = np.unique(label, return_inverse=True)
    group = np.eye(len(period))[index]
    flux_total, error = monthly @ group, drawn @ group
    size, half = error.std(axis=0), half_width(error, errors.freedom, level)
    return pd.DataFrame(
        [
            (part, period[t], f, size[p, t], f - half[p, t], f + half[p, t])
            for p, part in enumerate(parts)
            for t, f in enumerate(flux_total[p])
        ],
        columns=["part", by, "flux_TgC", "std_TgC", "lower_TgC", "upper_TgC"],
    )
