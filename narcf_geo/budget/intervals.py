"""Intervals of totals: the errors of their cells drawn together, never added as independent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

from narcf_geo.budget.parts import Parts
from narcf_geo.budget.windows import Windows
from narcf_geo.core.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

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
        Standard deviation of the estimate about the flux, (time, lat, lon), umol m-2 s-1; NaN: no
        error.
    errors : ErrorModel
        Patterns of errors on this grid.
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
    share = Parts.of({str(n): part for n, part in enumerate(shares)}).share
    passed = _monthly({"flux_std": std}, errors, cell_area, share, draws, seed)
    return np.concatenate([drawn for _, _, drawn in passed], axis=2)


def _monthly(
    fields: Mapping[str, xr.DataArray],
    errors: ErrorModel,
    cell_area: xr.DataArray,
    share: sparse.csc_array,
    draws: int,
    seed: int,
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield months, the totals (part, month) of the flux and draws of their errors.

    A draw is one number a month and cell of the error model, whatever the resolution of the flux:
    what it is multiplied with, the sum of the standard deviations of the flux in that cell and
    part, is summed window by window.
    """
    from scipy import sparse

    from narcf_geo.budget.totals import cell_total

    std = fields["flux_std"]
    row, column = errors.place(std["lat"].values, std["lon"].values)
    owner = (row[:, None] * errors.scale.sizes["lon"] + column).ravel()
    windows = Windows(fields)
    wanted = windows.known().ravel() & (np.diff(share.indptr) > 0)
    cells = np.zeros(errors.scale.shape[1:], bool)
    cells.flat[owner[wanted]] = True
    patterns = _patterns(errors, cells, draws, seed)
    number = np.cumsum(cells.ravel()) - 1
    places = [_Place.of(windows.cells(p), share, wanted, number[owner]) for p in windows.places]
    month = std["time"].dt.month.values - 1
    one = cell_total(xr.ones_like(std["time"], dtype=np.float64), xr.DataArray(1.0)).values
    area = cell_area.transpose(*windows.plane).values.astype(np.float64)
    for time in windows.times:
        of_place = partial(_of_place, time=time, places=places, area=area, factor=one)
        total, scale = _summed(windows, of_place, int(cells.sum()))
        drawn = np.empty((draws, *total.shape))
        for t, m in enumerate(month[time]):
            drawn[:, :, t] = (sparse.csr_array(scale[t]) @ patterns[m]).T
        yield time, total, drawn


_Found = tuple[np.ndarray, np.ndarray, np.ndarray]


def _summed(
    windows: Windows, of_place: Callable[[Windows, int], _Found], cells: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return totals (part, month), and standard deviations summed by cells (month, part, cell)."""
    total, scale = np.zeros(()), np.zeros(())

    def take(found: _Found) -> None:
        nonlocal total, scale
        touched, flux, std = found
        if not total.ndim:
            total, scale = np.zeros(flux.shape), np.zeros((*std.shape[:2], cells))
        total += flux
        scale[..., touched] += std

    windows.each(of_place, take)
    return total, scale


def _of_place(
    windows: Windows,
    number: int,
    *,
    time: slice,
    places: Sequence[_Place],
    area: np.ndarray,
    factor: np.ndarray,
) -> _Found:
    """Return the cells of the error model that a place touches, and sums over its own cells.

    Those are of the flux (part, month), zero without one, and of the standard deviation by the
    cells that are touched (month, part, touched).
    """
    at, place = windows.places[number], places[number]
    length, parts = time.stop - time.start, place.share.shape[0]
    scale = np.zeros((length, parts, place.found.size))
    total = np.zeros((parts, length))
    for months, read in windows.pieces(time, at):
        here = slice(months.start - time.start, months.stop - time.start)
        each = area[at] * factor[months, None, None]
        std = (read["flux_std"] * each).reshape(len(each), -1)
        if "flux" in read:
            flux = (read["flux"] * each).reshape(len(each), -1)
            std[~np.isfinite(flux)] = np.nan
            total[:, here] = place.share @ np.nan_to_num(flux).T
        scale[here] = place.sums(np.nan_to_num(std))
    return place.found, total, scale


def _patterns(errors: ErrorModel, cells: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Return the draws of errors over their standard deviation, (month, cell, draw)."""
    patterns = np.empty((12, int(cells.sum()), draws), dtype=np.float32)
    if patterns.size:
        start = 0
        for some in errors.draws(cells, draws, seed):
            patterns[:, :, start : start + some.shape[1]] = some.transpose(0, 2, 1)
            start += some.shape[1]
    return patterns


@dataclass(frozen=True, eq=False)
class _Place:
    """What the cells of a window belong to.

    Attributes
    ----------
    share : scipy.sparse.csc_array
        (part, cell).
    found : numpy.ndarray
        Numbers of the cells of the error model that the window touches.
    column : numpy.ndarray
        Cell of each share that is not zero and is wanted.
    value : numpy.ndarray
        That share.
    index : numpy.ndarray
        Part and cell of the error model of that share, as one number.
    """

    share: sparse.csc_array
    found: np.ndarray
    column: np.ndarray
    value: np.ndarray
    index: np.ndarray

    @classmethod
    def of(
        cls, cells: np.ndarray, share: sparse.csc_array, wanted: np.ndarray, number: np.ndarray
    ) -> _Place:
        cells = cells.ravel()
        share = share[:, cells]
        entries = share.tocoo()
        kept = wanted[cells][entries.col]
        column, part, value = entries.col[kept], entries.row[kept], entries.data[kept]
        found, local = np.unique(number[cells[column]], return_inverse=True)
        return cls(share, found, column, value, part.astype(np.int64) * found.size + local)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return sums (month, part, found) of values (month, cell)."""
        size = self.share.shape[0], self.found.size
        sums = [
            np.bincount(self.index, self.value * one[self.column], minlength=size[0] * size[1])
            for one in values
        ]
        return np.stack(sums).reshape(len(values), *size)


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
        Patterns of errors on this grid.
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

    if by not in ("year", "month"):
        raise UsageError(f"expected totals by 'year' or 'month', found {by!r}")
    share = Parts.of(parts).share
    found = part_intervals(
        prediction, errors, cell_area, share, level=level, draws=draws, seed=seed
    )
    totals: Totals = getattr(found, by)
    return pd.DataFrame(
        [
            (part, period, flux, size, flux - half, flux + half)
            for p, part in enumerate(parts)
            for period, flux, size, half in zip(
                totals.period, totals.flux[p], totals.std[p], totals.half[p], strict=True
            )
        ],
        columns=["part", by, "flux_TgC", "std_TgC", "lower_TgC", "upper_TgC"],
    )


class Totals(NamedTuple):
    """Totals of parts (part, period), TgC, their standard deviations and half intervals."""

    period: np.ndarray
    flux: np.ndarray
    std: np.ndarray
    half: np.ndarray


class PartIntervals(NamedTuple):
    """The same draws summed over months and over years."""

    month: Totals
    year: Totals


def part_intervals(
    prediction: xr.Dataset | Mapping[str, xr.DataArray],
    errors: ErrorModel,
    cell_area: xr.DataArray,
    share: sparse.csc_array,
    *,
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> PartIntervals:
    """Return the totals of parts with their intervals, in one pass over the months.

    Parameters
    ----------
    prediction, errors, cell_area, level, draws, seed
        As for `total_intervals`. Lazy fields are read window by window.
    share : scipy.sparse.csc_array
        Share of each cell in each part (part, cell); see `narcf_geo.budget.parts.Parts`.
    """
    fields = {name: prediction[name] for name in ("flux", "flux_std")}
    time = fields["flux"]["time"]
    years, of_year = np.unique(time.dt.year.values, return_inverse=True)
    last = {year: np.flatnonzero(of_year == year)[-1] for year in range(years.size)}
    shape = share.shape[0], time.size
    month = Totals(time.values, *(np.empty(shape) for _ in range(3)))
    year = Totals(years, *(np.zeros((shape[0], years.size)) for _ in range(3)))
    growing: dict[int, np.ndarray] = {}
    for months, flux, drawn in _monthly(fields, errors, cell_area, share, draws, seed):
        month.flux[:, months] = flux
        _measure(month, months, drawn, errors.freedom, level)
        for t, y in enumerate(of_year[months], start=months.start):
            here = t - months.start
            growing[y] = growing.get(y, 0.0) + drawn[:, :, here]
            year.flux[:, y] += flux[:, here]
            if t == last[y]:
                _measure(year, slice(y, y + 1), growing.pop(y)[:, :, None], errors.freedom, level)
    return PartIntervals(month, year)


def _measure(
    totals: Totals, periods: slice, drawn: np.ndarray, freedom: float, level: float
) -> None:
    """Write the size of draws (draw, part, period), and half their interval."""
    totals.std[:, periods] = drawn.std(axis=0)
    totals.half[:, periods] = half_width(drawn, freedom, level)
