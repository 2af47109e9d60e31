"""Mean, variance and range of the columns of a long matrix, read once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from narcf_geo.core.slabs import slabs


@dataclass(frozen=True)
class Columns:
    """What the columns of a matrix are like; NaN is left out.

    Attributes
    ----------
    count : numpy.ndarray
        Values that are there, shape (n_columns,).
    mean, variance, low, high : numpy.ndarray
        Float64, shape (n_columns,): the variance that divides by the count, the smallest and the
        largest value; NaN for a column without values.
    """

    count: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, rows: np.ndarray | None = None) -> Columns:
        """Describe the columns of `x`, shape (n_rows, n_columns), by all or some of its rows.

        Parts are described in double precision and put together as by Chan et al. (1983), so that
        no digits are lost and no copy of `x` is made.

        Examples
        --------
        >>> found = Columns.of(np.array([[1.0, np.nan], [3.0, 5.0]]))
        >>> found.mean.tolist(), found.variance.tolist(), found.count.tolist()
        ([2.0, 5.0], [1.0, 0.0], [2, 1])
        """
        empty = np.full(x.shape[1], np.nan)
        whole = cls(np.zeros(x.shape[1], int), empty, empty, empty, empty)
        for part in parts(x, rows):
            whole = whole._with(_described(part))
        return whole

    def _with(self, other: Columns) -> Columns:
        a, b = self.count, other.count
        share = np.divide(b, a + b, out=np.zeros(b.size), where=a + b > 0)
        apart = np.where((a > 0) & (b > 0), other.mean - self.mean, 0.0)
        mean = np.where(a > 0, self.mean, other.mean)
        # Where one has no values, the other as it is, to the last digit.
        variance = np.where(a > 0, self.variance, other.variance)
        more = np.where((a > 0) & (b > 0), other.variance - self.variance, 0.0)
        return Columns(
            a + b,
            mean + share * apart,
            variance + share * more + share * (1 - share) * apart**2,
            np.fmin(self.low, other.low),
            np.fmax(self.high, other.high),
        )


def parts(x: np.ndarray, rows: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Yield the rows of `x`, or of these the `rows`, in parts that memory has room for."""
    for slab in slabs(len(x) if rows is None else len(rows)):
        yield x[slab] if rows is None else x[rows[slab]]


def _described(part: np.ndarray) -> Columns:
    values = part.astype(np.float64)
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    some = np.maximum(count, 1)
    low = np.where(known, values, np.inf).min(axis=0)
    high = np.where(known, values, -np.inf).max(axis=0)
    values[~known] = 0.0
    mean = values.sum(axis=0) / some
    values -= mean
    values[~known] = 0.0
    variance = np.square(values, out=values).sum(axis=0) / some
    return Columns(count, *(np.where(count > 0, v, np.nan) for v in (mean, variance, low, high)))
