"""Scores of an estimate, as pure functions of numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from narcf_geo.core.slabs import slabs

NAMES = ("r", "rmse", "bias", "mae", "ubrmse", "nse", "kge", "kge_alpha", "kge_beta", "slope")
"""The scores, in the order in which they are given."""

ROUNDING = 1e-13
"""Differences below this part of the largest value are those of summation, not of the data."""

TAYLOR = ("std_estimate", "std_observed", "std_ratio", "r", "centred_rmse")
"""The statistics of a Taylor diagram."""


def scores(estimate: np.ndarray, observed: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Return weighted scores of `estimate` against `observed`.

    Parameters
    ----------
    estimate, observed : numpy.ndarray
        Of the same shape and unit. Pairs with a NaN, or without weight, are left out.
    weight : numpy.ndarray
        Non-negative, of the same shape: the cell area.

    Returns
    -------
    dict
        In the unit of the data: ``rmse`` >= 0, ``bias`` (estimate minus observed), ``mae`` >= 0 and
        ``ubrmse``, the root-mean-square error without the bias. Without unit: ``r`` in [-1, 1]
        (Pearson); ``nse`` <= 1 (Nash and Sutcliffe 1970, 0 is as good as the mean observed);
        ``kge`` <= 1 (Gupta et al. 2009) and its parts ``kge_alpha``, the ratio of the standard
        deviations, and ``kge_beta``, that of the means (the third is ``r``); ``slope`` of the
        least-squares line of estimate on observed. ``n`` is the number of pairs. What is not
        defined is NaN: all without pairs, most without variance.

    Examples
    --------
    >>> found = scores(np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0, 3.0]), np.ones(3))
    >>> found["r"], found["rmse"], found["bias"], found["ubrmse"], found["n"]
    (1.0, 1.0, 1.0, 0.0, 3)
    """
    return _moments(estimate, observed, weight).scores()


def _moments(estimate: np.ndarray, observed: np.ndarray, weight: np.ndarray) -> Moments:
    """Return the moments of all complete pairs, summed slab by slab."""
    arrays = [np.ravel(values) for values in (estimate, observed, weight)]
    parts = [
        Moments.of(*_pairs(*(values[slab] for values in arrays)))
        for slab in slabs(max(len(arrays[0]), 1))
    ]
    return Moments.together(parts)


def taylor(estimate: np.ndarray, observed: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Return what a Taylor diagram shows (Taylor 2001, doi:10.1029/2000JD900719), weighted.

    Parameters
    ----------
    estimate, observed, weight
        As for `scores`.

    Returns
    -------
    dict
        ``std_estimate`` and ``std_observed`` in the unit of the data, ``std_ratio`` of the first to
        the second, ``r`` in [-1, 1], and ``centred_rmse``, the root-mean-square error without the
        bias: its square is ``std_estimate**2 + std_observed**2 - 2 r std_estimate std_observed``.
        NaN where not defined.

    Examples
    --------
    >>> point = taylor(np.array([1.0, 3.0, 5.0]), np.array([0.0, 1.0, 2.0]), np.ones(3))
    >>> round(point["std_ratio"], 9), round(point["r"], 9)
    (2.0, 1.0)
    """
    return _moments(estimate, observed, weight).taylor()


def _pairs(
    estimate: np.ndarray, observed: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the complete pairs and their weights."""
    pair = np.isfinite(estimate) & np.isfinite(observed) & (weight > 0)
    return estimate[pair], observed[pair], weight[pair]


class Moments(NamedTuple):
    """What scores are made of, of one set of pairs or, as arrays, of many.

    Those of two sets together come from those of each, without the pairs (Chan, Golub and LeVeque
    1983), so that scores of data of any size need no more memory than a piece of them.

    Attributes
    ----------
    n, weight : numpy.ndarray
        Number of pairs, and the sum of their weights.
    estimate, observed, difference : numpy.ndarray
        Weighted means.
    squares : numpy.ndarray
        Weighted sums of squares about the mean of estimate, observed and difference, and of the
        product of the first two, (4, ...).
    absolute : numpy.ndarray
        Weighted sum of the size of the differences.
    low, high : numpy.ndarray
        Extremes of estimate and observed, (2, ...).
    """

    n: np.ndarray
    weight: np.ndarray
    estimate: np.ndarray
    observed: np.ndarray
    difference: np.ndarray
    squares: np.ndarray
    absolute: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, estimate: np.ndarray, observed: np.ndarray, weight: np.ndarray) -> Moments:
        """Sum over the last axis; pairs with a NaN, or without weight, are left out.

        Examples
        --------
        >>> e, o, w = np.array([1.0, 2.0, 4.0, 3.0]), np.array([0.0, 1.0, 3.0, 5.0]), np.ones(4)
        >>> whole = Moments.of(e, o, w)
        >>> parts = Moments.of(e.reshape(2, 2), o.reshape(2, 2), w.reshape(2, 2))
        >>> parts.n.tolist(), parts.merged().scores()["rmse"] == whole.scores()["rmse"]
        ([2, 2], True)
        """
        valid = np.isfinite(estimate) & np.isfinite(observed) & (weight > 0)
        e, o = (
            np.where(valid, v, 0.0).astype(np.float64, copy=False) for v in (estimate, observed)
        )
        w = np.where(valid, weight, 0.0).astype(np.float64, copy=False)
        total = w.sum(axis=-1)
        share = w / np.where(total > 0, total, 1.0)[..., None]
        mean_e, mean_o, mean_d = means = [_dot(share, v) for v in (e, o, e - o)]
        ends = [(np.where(valid, v, np.inf), np.where(valid, v, -np.inf)) for v in (e, o)]
        centred_e, centred_o, d = (
            v - m[..., None] for v, m in zip((e, o, e - o), means, strict=True)
        )
        squares = [
            total * _dot(share, one * other)
            for one, other in ((centred_e, centred_e), (centred_o, centred_o), (d, d))
        ]
        squares.append(total * _dot(share, centred_e * centred_o))
        return cls(
            valid.sum(axis=-1),
            total,
            mean_e,
            mean_o,
            mean_d,
            np.stack(squares),
            total * _dot(share, np.abs(e - o)),
            np.stack([low.min(axis=-1, initial=np.inf) for low, _ in ends]),
            np.stack([high.max(axis=-1, initial=-np.inf) for _, high in ends]),
        )

    @classmethod
    def together(cls, several: Sequence[Moments]) -> Moments:
        """Return the moments of several sets of the same shape, together."""
        stacked = [np.stack(values, axis=-1) for values in zip(*several, strict=True)]
        return cls(*stacked).merged()

    def merged(self) -> Moments:
        """Return the moments of all sets along the last axis together."""
        total = self.weight.sum(axis=-1)
        share = self.weight / np.where(total > 0, total, 1.0)[..., None]
        old = self.estimate, self.observed, self.difference
        mean_e, mean_o, mean_d = means = [_dot(share, v) for v in old]
        e, o, d = (v - m[..., None] for v, m in zip(old, means, strict=True))
        between = np.stack([_dot(self.weight, a * b) for a, b in ((e, e), (o, o), (d, d), (e, o))])
        return Moments(
            self.n.sum(axis=-1),
            total,
            mean_e,
            mean_o,
            mean_d,
            self.squares.sum(axis=-1) + between,
            self.absolute.sum(axis=-1),
            self.low.min(axis=-1, initial=np.inf),
            self.high.max(axis=-1, initial=-np.inf),
        )

    def chosen(self, which: Any) -> Moments:
        """Return some of the sets along the last axis, as an index or mask chooses them."""
        return Moments(*(values[..., which] for values in self))

    def scores(self) -> dict[str, float]:
        """Return the scores of one set; see `scores`."""
        if not self.n:
            return {**dict.fromkeys(NAMES, np.nan), "n": 0}
        std_e, std_o, unbiased, covariance = self._spreads()
        bias = float(self.difference)
        square = unbiased**2 + bias**2
        r = _correlation(covariance, std_e, std_o)
        alpha = _ratio(std_e, std_o)
        beta = _ratio(float(self.estimate), float(self.observed))
        return {
            "r": r,
            "rmse": float(np.sqrt(square)),
            "bias": bias,
            "mae": float(self.absolute / self.weight),
            "ubrmse": unbiased,
            "nse": 1.0 - _ratio(square, std_o**2),
            "kge": float(1.0 - np.sqrt((r - 1) ** 2 + (alpha - 1) ** 2 + (beta - 1) ** 2)),
            "kge_alpha": alpha,
            "kge_beta": beta,
            "slope": _ratio(covariance, std_o**2),
            "n": int(self.n),
        }

    def taylor(self) -> dict[str, float]:
        """Return what a Taylor diagram shows of one set; see `taylor`."""
        if not self.n:
            return dict.fromkeys(TAYLOR, np.nan)
        std_e, std_o, unbiased, covariance = self._spreads()
        r = _correlation(covariance, std_e, std_o)
        values = std_e, std_o, _ratio(std_e, std_o), r, unbiased
        return dict(zip(TAYLOR, values, strict=True))

    def _spreads(self) -> tuple[float, float, float, float]:
        """Return the standard deviations, also of the difference, and the covariance."""
        mean = self.squares / self.weight
        # The rounding of a mean must not pass for variance.
        large = np.maximum(np.abs(self.low), np.abs(self.high))
        varies = self.high - self.low > ROUNDING * large
        std_e, std_o = (float(np.sqrt(m)) if v else 0.0 for m, v in zip(mean, varies, strict=False))
        covariance = float(mean[3]) if varies.all() else 0.0
        return std_e, std_o, float(np.sqrt(mean[2])), covariance


def _dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the sum of the products along the last axis."""
    dotted: np.ndarray = np.einsum("...c,...c->...", one, other)
    return dotted


def _correlation(covariance: float, std_e: float, std_o: float) -> float:
    # Rounding leaves 1 + 2e-16, whose arc cosine is NaN.
    return float(np.clip(_ratio(covariance, std_e * std_o), -1.0, 1.0))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")


def for_json(value: Any) -> Any:
    """Return nested scores with None, which JSON can hold, for what is not finite.

    Examples
    --------
    >>> for_json({"r": float("nan"), "period": ["2014-01"]})
    {'r': None, 'period': ['2014-01']}
    """
    if isinstance(value, dict):
        return {k: for_json(v) for k, v in value.items()}
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else None
    return value
