"""How far an estimate is from the flux itself, told from a target that is noisy.

The error of the target about an estimate is mostly the target's own. What is asked for is the rest:

- *noise that was learned*: two members that learned from different halves of the years learned
  different noise. A mean of both halves errs by as much as half their distance (half-samples,
  McCarthy 1969);
- *what comes back each year*: residuals of a place in one calendar month of two years that a member
  did not learn from. The noise of the target is another in each year, so the mean of their products
  holds the error of the estimate alone, and what of the target's error recurs. That of the learned
  noise, which recurs too, is taken off.

Both are of the variance of the noise that the model sees there and of the squared distance of its
halves, in shares that are fitted: the error of the flux then has a size at every place and month.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from narcf_geo.statistics.conformal import LEVELS
from narcf_geo.statistics.interval_scores import CENTRAL

MAX_ROWS = 500_000
"""Rows that are enough to fit three numbers."""


@dataclass(frozen=True)
class FluxError:
    """The size of the error of an estimate of the flux, and its intervals.

    Attributes
    ----------
    apart : float
        Share of the squared half distance of the halves.
    noise : float
        Share of the variance of the noise, as large as it must be for learned noise alone.
    recurring : float
        Share of the variance of the noise that comes back each year; None where no place has two
        years to tell it from.
    factors : mapping
        For each of `LEVELS`, half the width of the interval as a multiple of `std`.
    """

    apart: float
    noise: float
    recurring: float | None
    factors: Mapping[float, float]

    @classmethod
    def fit(
        cls,
        members: np.ndarray,
        learned: np.ndarray,
        noise: np.ndarray,
        observed: np.ndarray,
        place: np.ndarray,
        weight: np.ndarray,
    ) -> FluxError:
        """Fit the shares on the rows that the members learned from.

        Parameters
        ----------
        members : numpy.ndarray
            Flux by each member, pairs one after the other, (2 n_pairs, n_rows), umol m-2 s-1.
        learned : numpy.ndarray
            Which rows each member learned from, bool, same shape.
        noise : numpy.ndarray
            Standard deviation of the target about a member, positive, (n_rows,).
        observed : numpy.ndarray
            The target, (n_rows,).
        place : numpy.ndarray
            Number of the cell and calendar month of each row, from 0.
        weight : numpy.ndarray
            Area of each row.

        Examples
        --------
        Members that are the truth plus 1/4 of the noise of their half, 2 years of 4 each:

        >>> rng = np.random.default_rng(1)
        >>> target = rng.normal(0, 1, (4, 5000))
        >>> divisions = [[0, 1], [2, 3]], [[0, 2], [1, 3]], [[0, 3], [1, 2]]
        >>> halves = [half for division in divisions for half in division]
        >>> members = np.array([np.tile(target[h].mean(axis=0) / 4, 4) for h in halves])
        >>> learned = np.repeat([np.isin(range(4), h) for h in halves], 5000, axis=1)
        >>> place = np.tile(np.arange(5000), 4)
        >>> found = FluxError.fit(members, learned, np.ones(20000), target.ravel(), place,
        ...                       np.ones(20000))
        >>> error = members.mean(axis=0)
        >>> apart = np.sqrt(((members[::2] - members[1::2]) ** 2 / 4).mean(axis=0))
        >>> round(float(error.std()), 3)
        0.125
        >>> bool(0.12 < found.std(apart, np.ones(20000)).mean() < 0.13)
        True
        """
        half = (members[::2] - members[1::2]).astype(np.float64) / 2
        apart, of_noise = _shares(half**2, noise.astype(np.float64), weight)
        factors = _factors(half, apart, of_noise, noise, weight)
        # A few rows far apart would make the shares too large for all others: the size is that of
        # the normal distribution with the same central interval.
        wide = np.square(factors[CENTRAL] / NormalDist().inv_cdf(0.5 + CENTRAL / 2)) or 1.0
        return cls(
            float(apart * wide),
            float(of_noise * wide),
            _recurring(members, learned, half, noise, observed, place, weight),
            {level: float(factor / np.sqrt(wide)) for level, factor in factors.items()},
        )

    def std(self, apart: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return the standard deviation of the estimate about the flux, float32.

        Parameters
        ----------
        apart, noise : numpy.ndarray
            Half the distance of the halves, root mean square of the pairs, and the standard
            deviation of the target about a member.
        """
        variance = self.apart * np.square(apart) + (self.noise + (self.recurring or 0.0)) * (
            np.square(noise)
        )
        return np.sqrt(variance).astype(np.float32)

    def of_learned_noise(self, apart: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return the part of `std` that is learned noise, such as half the distance of a pair."""
        return np.sqrt(self.apart * np.square(apart) + self.noise * np.square(noise))

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        factors = {str(level): _finite(factor) for level, factor in self.factors.items()}
        return {
            "apart": self.apart,
            "noise": self.noise,
            "recurring": self.recurring,
            "factors": factors,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> FluxError:
        """Return what `to_json` wrote."""
        factors = {
            float(level): np.inf if factor is None else float(factor)
            for level, factor in content["factors"].items()
        }
        return cls(content["apart"], content["noise"], content["recurring"], factors)


def rows_of_some_places(place: np.ndarray, seed: int, most: int = MAX_ROWS) -> np.ndarray:
    """Return the numbers of at most about `most` rows: those of places drawn at random."""
    if place.size <= most:
        return np.arange(place.size)
    number = int(place.max()) + 1
    kept = np.random.default_rng(seed).random(number) < most / place.size
    return np.flatnonzero(kept[place])


def _shares(squares: np.ndarray, noise: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return by which shares of the others' mean and of the noise a pair's square is estimated."""
    from scipy.optimize import nnls

    pairs, variance = len(squares), np.square(noise)
    # As a share of the noise, so that large fluxes do not decide alone.
    size = np.sqrt(weight / weight.mean()) / variance
    ones = variance * size
    if pairs == 1:
        return 0.0, float(((squares[0] * size) @ ones) / (ones @ ones))
    others = (squares.sum(axis=0) - squares) / (pairs - 1)
    columns = np.stack([(others * size).ravel(), np.tile(ones, pairs)], axis=1)
    found, _ = nnls(columns, (squares * size).ravel())
    return float(found[0]), float(found[1])


def _recurring(
    members: np.ndarray,
    learned: np.ndarray,
    half: np.ndarray,
    noise: np.ndarray,
    observed: np.ndarray,
    place: np.ndarray,
    weight: np.ndarray,
) -> float | None:
    """Return the share of the noise that comes back each year, None where it cannot be told."""
    number = int(place.max()) + 1
    rows = np.bincount(place, minlength=number)
    if not (rows > 1).any():
        return None
    errors = observed - members.astype(np.float64)
    unseen = [_products(e[~m], place[~m], number) for e, m in zip(errors, learned, strict=True)]
    same = [_products(h, place, number) for h in half]
    area = np.bincount(place, weight, number)
    variance = np.bincount(place, np.square(noise.astype(np.float64)) * weight, number)
    of_estimate, of_noise = (_mean(products, area) for products in (unseen, same))
    if of_estimate is None or of_noise is None:
        return None
    return max(0.0, (of_estimate - 2 * of_noise) * float(area.sum() / variance.sum()))


def _products(values: np.ndarray, place: np.ndarray, number: int) -> np.ndarray:
    """Return the mean product of two values of a place, NaN where it has only one."""
    total, squares = (np.bincount(place, v, number) for v in (values, np.square(values)))
    count = np.bincount(place, minlength=number)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = (np.square(total) - squares) / (count * (count - 1.0))
    return mean


def _mean(products: list[np.ndarray], weight: np.ndarray) -> float | None:
    known = np.isfinite(products)
    total = float((known * weight).sum())
    return float((np.nan_to_num(products) * weight).sum()) / total if total > 0 else None


def _factors(
    half: np.ndarray, apart: float, of_noise: float, noise: np.ndarray, weight: np.ndarray
) -> dict[float, float]:
    """Return which multiples of its estimated size hold the levels of the halves' distances."""
    pairs, squares = len(half), np.square(half)
    others = (squares.sum(axis=0) - squares) / max(pairs - 1, 1)
    size = np.sqrt(apart * others + of_noise * np.square(noise))
    with np.errstate(invalid="ignore", divide="ignore"):
        score = np.nan_to_num(np.abs(half) / size, posinf=0.0).ravel()
    order = np.argsort(score)
    share = np.cumsum(np.tile(weight, pairs)[order])
    share /= share[-1]
    return {
        level: float(score[order[min(np.searchsorted(share, level), score.size - 1)]])
        for level in LEVELS
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
