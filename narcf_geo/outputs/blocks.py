"""Arrays that need not fit into memory, block by block: their parts, quantiles and statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import xarray as xr

from narcf_geo.core.layout import slices

_HIGH = 1 << 16


def windows(data: xr.DataArray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Yield rows, columns and values (band, lat, lon) of each block of an array.

    What is in memory comes in one piece; what is lazy as it is chunked along rows and columns, all
    bands together.

    Parameters
    ----------
    data : xarray.DataArray
        (band, lat, lon).
    """
    chunks = data.chunks or tuple((n,) for n in data.shape)
    rows, columns = (slices(sizes) for sizes in chunks[1:])
    for row, column in product(rows, columns):
        yield row, column, data[:, row, column].values


def quantile(data: xr.DataArray, q: float) -> float | None:
    """Return a quantile of the magnitudes of the finite values, as `numpy.quantile` does.

    Values are counted by the bits of their single-precision magnitude, which grow with it: by the
    upper half, and in a second reading by the lower half where the quantile lies. So it is exact,
    and memory is that of a block.

    Parameters
    ----------
    data : xarray.DataArray
        (time, lat, lon), lazy or not.
    q : float
        0 to 1.

    Returns
    -------
    float or None
        None where no value is finite.

    Examples
    --------
    >>> field = xr.DataArray(np.array([[[1.0, -2.0], [3.0, np.nan]]]), dims=("time", "lat", "lon"))
    >>> quantile(field, 0.5)
    2.0
    """
    upper = sum((_counts(bits >> 16) for bits in _magnitudes(data)), np.zeros(_HIGH, np.int64))
    number = int(upper.sum())
    if number == 0:
        return None
    place = (number - 1) * q
    ranks = (math.floor(place), min(math.floor(place) + 1, number - 1))
    found = [int(np.searchsorted(upper.cumsum(), rank, side="right")) for rank in ranks]
    lower = {half: np.zeros(_HIGH, np.int64) for half in found}
    for bits in _magnitudes(data):
        for half, counts in lower.items():
            counts += _counts(bits[bits >> 16 == half] & (_HIGH - 1))
    values = []
    for rank, half in zip(ranks, found, strict=True):
        within = rank - int(upper[:half].sum())
        rest = int(np.searchsorted(lower[half].cumsum(), within, side="right"))
        values.append(np.array([half << 16 | rest], np.uint32).view(np.float32)[0])
    return float(np.quantile(np.array(values, float), place - ranks[0]))


@dataclass
class Statistics:
    """Number of cells, and number, ends, mean and sum of squared deviations of finite values."""

    cells: int = 0
    number: int = 0
    low: float = math.inf
    high: float = -math.inf
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values: np.ndarray) -> None:
        """Take in the values of a block (Chan, Golub and LeVeque 1983).

        Examples
        --------
        >>> both = Statistics()
        >>> for block in ([1.0, 2.0], [6.0, np.nan]):
        ...     both.add(np.array(block))
        >>> both.number, both.mean, round(both.std, 4)
        (3, 3.0, 2.1602)
        """
        self.cells += values.size
        valid = values[np.isfinite(values)].astype(float)
        if not valid.size:
            return
        self.low, self.high = min(self.low, valid.min()), max(self.high, valid.max())
        mean = valid.mean()
        squares, number = ((valid - mean) ** 2).sum(), self.number + valid.size
        gap = mean - self.mean
        if self.number:
            squares += self.squares + gap**2 * self.number * valid.size / number
            mean = self.mean + gap * valid.size / number
        self.number, self.mean, self.squares = number, float(mean), float(squares)

    @property
    def std(self) -> float:
        """Standard deviation of the values (n)."""
        return math.sqrt(self.squares / self.number)


def _magnitudes(data: xr.DataArray) -> Iterator[np.ndarray]:
    """Yield the bits of the finite magnitudes of each block."""
    chunks = data.chunks or tuple((n,) for n in data.shape)
    for window in product(*map(slices, chunks)):
        values = np.abs(data[window].values.astype("float32"))
        yield values[np.isfinite(values)].view(np.uint32)


def _counts(halves: np.ndarray) -> np.ndarray:
    return np.bincount(halves, minlength=_HIGH)
