"""The mean of each calendar month, of months that come some at a time."""

from __future__ import annotations

import numpy as np

from narcf_geo.statistics.scores import ROUNDING


class Climatology:
    """Sums of each calendar month of a field (month, ...).

    Months are added one after the other in double precision: the means are the same to the byte,
    however many months or cells are added at once.

    Parameters
    ----------
    *shape : int
        Of one month.

    Examples
    --------
    >>> climatology = Climatology(1)
    >>> for year in ([[1.0], [5.0]], [[3.0], [7.0]]):
    ...     climatology.add(np.array(year), np.array([1, 7]))
    >>> mean, cycle = climatology.mean_and_cycle()
    >>> mean.tolist(), cycle[[0, 6], 0].tolist()
    ([4.0], [-2.0, 2.0])
    >>> climatology.anomalies(np.array([[1.5]]), np.array([1])).tolist()
    [[-0.5]]
    """

    def __init__(self, *shape: int) -> None:
        self._sum = np.zeros((12, *shape))
        self._count = np.zeros((12, *shape), dtype=np.int16)
        self._largest = 0.0

    def add(self, flux: np.ndarray, month: np.ndarray) -> None:
        """Add months (time, ...), NaN where missing, of calendar months (time,), 1 to 12."""
        known = ~np.isnan(flux)
        values = np.where(known, flux, 0.0)
        for t, m in enumerate(month - 1):
            self._sum[m] += values[t]
            self._count[m] += known[t]
        self._largest = max(self._largest, float(np.abs(values).max(initial=0.0)))

    def moved(self, to: np.ndarray, size: int) -> Climatology:
        """Return the same sums with cell n at ``to[n]`` among `size` cells."""
        grown = Climatology(size)
        grown._sum[:, to], grown._count[:, to] = self._sum, self._count
        grown._largest = self._largest
        return grown

    def mean_and_months(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean of the calendar months that have one, and those of each (12, ...)."""
        of_months = _ratio(self._sum, self._count)
        total, known = np.zeros(of_months.shape[1:]), np.zeros(of_months.shape[1:])
        for of_month in of_months:
            total += np.nan_to_num(of_month, posinf=np.inf, neginf=-np.inf)
            known += ~np.isnan(of_month)
        return _ratio(total, known), of_months

    def mean_and_cycle(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean of the calendar months, and how each differs from it (12, ...)."""
        mean, of_months = self.mean_and_months()
        return mean, self._rounded(of_months - mean)

    def anomalies(self, flux: np.ndarray, month: np.ndarray) -> np.ndarray:
        """Return how months differ from the mean of theirs; NaN where that is of a single one."""
        repeated = _ratio(self._sum, np.where(self._count >= 2, self._count, 0))
        return self._rounded(flux - repeated[month - 1])

    def _rounded(self, values: np.ndarray) -> np.ndarray:
        rounded: np.ndarray = np.where(np.abs(values) < ROUNDING * self._largest, 0.0, values)
        return rounded


def _ratio(numerator: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the quotient, NaN where there is nothing to divide by."""
    return np.where(count > 0, numerator / np.maximum(count, 1), np.nan)
