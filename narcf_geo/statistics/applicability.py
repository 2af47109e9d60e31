"""Where the model may be trusted: how far each row lies from the rows it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from narcf_geo.core.archives import open_zip, read_array
from narcf_geo.core.errors import NarcfError, reason
from narcf_geo.core.files import atomic_path
from narcf_geo.statistics.columns import Columns

APPLICABILITY = "applicability.npz"
MAX_BYTES = 2**27
"""Of the file, unpacked."""

MAX_ROWS_BYTES = 2**26
"""Of the training rows that are kept."""

Fold = tuple[np.ndarray, np.ndarray]
"""Numbers of the rows that a model learned from, and of those held out from it."""

_BLOCK = 1024
_DISTANCE_ROWS = 2_000
_HELD_ROWS = 6_000
_GROUPS = 6


@dataclass(frozen=True)
class Applicability:
    """The area of applicability of Meyer and Pebesma (2021, doi:10.1111/2041-210X.13650).

    The dissimilarity index of a row is its distance to the nearest training row, over the mean
    distance between training rows. A row is applicable where the index does not exceed the
    threshold: no further than rows held out in cross-validation are from what the others taught.

    Attributes
    ----------
    mean, std : numpy.ndarray
        Of each feature over the training rows, shape (n_features,), float32.
    weights : numpy.ndarray
        Importance of each feature, shape (n_features,), >= 0; only the ratios matter.
    prototypes : numpy.ndarray
        Training rows drawn at random, shape (n_prototypes, n_features): standardised, weighted, and
        with the features of the largest weight first.
    rows : numpy.ndarray
        All training rows, likewise, those nearest to a prototype together.
    start : numpy.ndarray
        First row of each prototype, and the number of rows, shape (n_prototypes + 1,).
    mean_distance : float
        Between training rows.
    threshold : float
        Largest index of an applicable row.
    """

    mean: np.ndarray
    std: np.ndarray
    weights: np.ndarray
    prototypes: np.ndarray
    rows: np.ndarray
    start: np.ndarray
    mean_distance: float
    threshold: float

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        folds: Sequence[Fold],
        weights: np.ndarray | None = None,
        *,
        prototypes: int = 2000,
        seed: int = 0,
        among: np.ndarray | None = None,
    ) -> Applicability:
        """Keep the training rows, and take the threshold from rows held out in folds.

        The threshold is the upper whisker of the index of held-out rows, each to the rows that the
        model of its fold learned from: Q75 + 1.5 (Q75 - Q25), or the greatest index if that is
        less. This is the definition of the authors and the default of their R package CAST, with
        the folds of the cross-validation. At most 6,000 held-out rows are drawn for it, and with
        more than 64 MiB of training rows as many as fit are kept.

        Parameters
        ----------
        x : numpy.ndarray
            Features of all rows, shape (n_rows, n_features); NaN counts as the mean.
        folds : sequence of tuple
            Row numbers learned from and held out, of each fold, such as from `left_out`.
        weights : numpy.ndarray, optional
            Importance of each feature, shape (n_features,), >= 0; by default all the same.
        prototypes : int
            Of the search: the nearest row is looked for among the rows of the nearest 6 of them.
        seed : int
            Of all draws.
        among : numpy.ndarray, optional
            Numbers of the training rows; by default all.

        Raises
        ------
        NarcfError
            When no fold holds out rows, no feature of importance varies, or a weight is negative.

        Examples
        --------
        Training rows at 0, 1 and 3, each held out in turn, are 2 apart on average.

        >>> x = np.array([[0.0], [1.0], [3.0]])
        >>> area = Applicability.fit(x, left_out(np.arange(3)))
        >>> round(area.threshold, 6), area.dissimilarity(np.array([[3.0], [5.5]])).tolist()
        (1.0, [0.0, 1.25])
        """
        from scipy.spatial.distance import pdist

        weights = np.ones(x.shape[1]) if weights is None else np.asarray(weights, float)
        if weights.shape != x.shape[1:] or not (weights >= 0).all():
            raise NarcfError(
                f"expected a weight of at least 0 for each of {x.shape[1]} features, found "
                f"{weights.size} from {weights.min(initial=np.nan):g}"
            )
        columns = Columns.of(x, among)
        mean, std = (np.nan_to_num(v) for v in (columns.mean, np.sqrt(columns.variance)))
        mean, std, weights = (values.astype(np.float32) for values in (mean, std, weights))
        order = np.random.default_rng(seed).permutation(len(x) if among is None else len(among))
        order = order[: max(MAX_ROWS_BYTES // (4 * x.shape[1]), prototypes)]
        order = order if among is None else among[order]
        rows = _standardise(x[order], mean, std, weights)
        distances = pdist(rows[:_DISTANCE_ROWS].astype(float))
        mean_distance = float(distances.sum() / max(distances.size, 1))
        if not mean_distance > 0:
            raise NarcfError(
                "the training rows do not differ in any feature of importance, so nothing can be "
                "said of how far others are from them"
            )
        chosen = rows[:prototypes]
        group = _nearest(rows, chosen)
        start = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=len(chosen)))])
        rows = rows[np.argsort(group, kind="stable")]
        area = cls(mean, std, weights, chosen, rows, start, mean_distance, np.inf)
        index = area.held_out(x, folds, seed=seed)[1].astype(float)
        low, high = np.quantile(index, (0.25, 0.75))
        return replace(area, threshold=float(min(high + 1.5 * (high - low), index.max())))

    def held_out(
        self, x: np.ndarray, folds: Sequence[Fold], *, rows: int = _HELD_ROWS, seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return row numbers held out, and their index to the rows learned from in their fold.

        Parameters
        ----------
        x : numpy.ndarray
            Features of all rows, shape (n_rows, n_features).
        folds : sequence of tuple
            As for `fit`.
        rows : int
            Rows to draw at random, where more are held out.
        seed : int
            Of the draw.

        Raises
        ------
        NarcfError
            When no fold has both.
        """
        folds = [fold for fold in folds if fold[0].size and fold[1].size]
        if not folds:
            raise NarcfError(
                "expected folds with rows to learn from and rows held out, found none; without "
                "them there is no distance to compare with"
            )
        rng = np.random.default_rng(seed)
        place = np.concatenate([np.full(held.size, k) for k, (_, held) in enumerate(folds)])
        held = np.concatenate([held for _, held in folds])
        drawn = np.sort(rng.permutation(held.size)[:rows])
        place, held = place[drawn], held[drawn]
        index = np.empty(held.size, np.float32)
        most = max(MAX_ROWS_BYTES // (4 * x.shape[1]), len(self.prototypes))
        for number, (learned, _) in enumerate(folds):
            here = place == number
            if not here.any():
                continue
            learned = learned if learned.size <= most else rng.choice(learned, most, replace=False)
            others = self._standardised(x[learned])
            asked = self._standardised(x[held[here]])
            index[here] = np.linalg.norm(asked - others[_nearest(asked, others)], axis=1)
        return held, index / np.float32(self.mean_distance)

    def dissimilarity(self, x: np.ndarray) -> np.ndarray:
        """Return the dissimilarity index of rows, shape (n_rows,), float32, >= 0.

        Parameters
        ----------
        x : numpy.ndarray
            Features in the order of training, shape (n_rows, n_features); NaN counts as the mean.

        Raises
        ------
        NarcfError
            When the number of features is another.
        """
        if x.ndim != 2 or x.shape[1] != self.mean.size:
            raise NarcfError(f"expected rows of {self.mean.size} features, found shape {x.shape}")
        from narcf_geo.kernels.nearest import nearest_member

        distance = np.empty(len(x), np.float32)
        for first in range(0, len(x), _BLOCK):
            block = slice(first, first + _BLOCK)
            rows = self._standardised(x[block])
            near = _squares(rows, self.prototypes)
            nearest_member(rows, near, self.rows, self.start, _GROUPS, distance[block])
        return distance / np.float32(self.mean_distance)

    def _standardised(self, x: np.ndarray) -> np.ndarray:
        return _standardise(x, self.mean, self.std, self.weights)

    def applicable(self, dissimilarity: np.ndarray) -> np.ndarray:
        """Return where an index does not exceed the threshold; NaN is not applicable."""
        return dissimilarity <= self.threshold

    def save(self, path: Path) -> None:
        """Write to `path`, a ``.npz`` file, whole or not at all."""
        with atomic_path(path) as temporary:
            # Archives from others may hold floating-point numbers alone.
            values = {f.name: getattr(self, f.name) for f in fields(self)}
            np.savez_compressed(temporary, **values | {"start": self.start.astype(float)})

    @classmethod
    def load(cls, path: Path) -> Applicability:
        """Read what `save` wrote.

        Raises
        ------
        NarcfError
            When the file is absent or is something else.
        """
        names = [f.name for f in fields(cls)]
        try:
            with open_zip(path, [f"{name}.npy" for name in names], MAX_BYTES) as archive:
                values: dict[str, Any] = {name: read_array(archive, name) for name in names}
            _check(values)
        except FileNotFoundError:
            raise NarcfError(
                f"{path}: no such file; train a model with `narcf-geo train`"
            ) from None
        except Exception as error:  # ZIP and NumPy let many kinds through
            raise NarcfError(
                f"{path}: expected an area of applicability, found another file "
                f"({reason(error)}); train again with `narcf-geo train`"
            ) from None
        values["start"] = values["start"].astype(np.int64)
        return cls(**{n: v if v.ndim else v.item() for n, v in values.items()})


def _check(values: dict[str, np.ndarray]) -> None:
    """Refuse arrays that do not go together."""
    size = values["mean"].shape
    rows, start = values["rows"], values["start"]
    for name in ("prototypes", "rows"):
        shape = values[name].shape
        if len(size) != 1 or len(shape) != 2 or shape[1:] != size or not shape[0]:
            raise ValueError(f"{name}: expected rows of {size} features, found shape {shape}")
        if values[name].dtype != np.float32:
            raise ValueError(f"{name}: expected float32, found {values[name].dtype}")
    groups = values["prototypes"].shape
    expected = dict.fromkeys(("mean", "std", "weights"), size)
    expected |= {"mean_distance": (), "threshold": (), "start": (groups[0] + 1,)}
    for name, shape in expected.items():
        if values[name].shape != shape:
            raise ValueError(f"{name}: expected shape {shape}, found {values[name].shape}")
        if name != "mean" and values[name].min(initial=0) < 0:
            raise ValueError(f"{name}: expected numbers of at least 0, found {values[name].min()}")
    # Out of these bounds the search would read past the rows.
    whole = (start == np.floor(start)).all() and (np.diff(start) >= 0).all()
    if not whole or start[0] != 0 or start[-1] != len(rows):
        raise ValueError(f"start: expected numbers of rows from 0 to {len(rows)}, ascending")
    if not values["mean_distance"] > 0:
        raise ValueError("mean_distance: expected more than 0, found 0")


def _standardise(
    x: np.ndarray, mean: np.ndarray, std: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    # A feature that did not vary in training keeps its unit, so that it counts when it varies.
    centred = (x - mean) * (weights / np.where(std > 0, std, 1))
    order = np.argsort(-weights, kind="stable")
    return np.where(np.isnan(x), 0, centred)[:, order].astype(np.float32, order="C", copy=False)


def _squares(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the squared distances less the square of each row, shape (n_rows, n_others)."""
    # |a - b|^2 less |a|^2, which is the same for all others, in one product.
    table = np.vstack([-2 * others.T, np.square(others).sum(axis=1)])
    squares: np.ndarray = np.column_stack([rows, np.ones(len(rows), np.float32)]) @ table
    return squares


def _nearest(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the number of the nearest of `others` to each row, shape (n_rows,)."""
    step = max(2**24 // len(others), 1)
    parts = [
        _squares(rows[first : first + step], others).argmin(axis=1)
        for first in range(0, len(rows), step)
    ]
    return np.concatenate(parts)


def left_out(groups: np.ndarray, among: np.ndarray | None = None) -> list[Fold]:
    """Return folds in which each group in turn is held out from all others.

    Parameters
    ----------
    groups : numpy.ndarray
        Label of each row, shape (n_rows,).
    among : numpy.ndarray, optional
        Numbers of the rows that are meant; by default all.

    Raises
    ------
    NarcfError
        When there is only one group.

    Examples
    --------
    >>> [(a.tolist(), b.tolist()) for a, b in left_out(np.array([7, 8, 7]))]
    [([1], [0, 2]), ([0, 2], [1])]
    """
    among = np.arange(len(groups)) if among is None else among
    label = groups[among]
    names = np.unique(label)
    if names.size < 2:
        raise NarcfError(
            f"expected training rows of at least two groups, found only {names[0]}; without "
            "another group there is no distance to compare with"
        )
    return [(among[label != name], among[label == name]) for name in names]


def error_profile(
    dissimilarity: np.ndarray,
    error: np.ndarray,
    weight: np.ndarray | None = None,
    windows: int = 10,
) -> list[dict[str, float]]:
    """Return the error of held-out rows by their dissimilarity, the most alike first.

    Parameters
    ----------
    dissimilarity, error : numpy.ndarray
        Of each row, shape (n_rows,); rows with a NaN are left out.
    weight : numpy.ndarray, optional
        Cell area of each row, shape (n_rows,); by default all the same.
    windows : int
        Windows of as many rows each, in order of dissimilarity.

    Returns
    -------
    list of dict
        Of each window: ``from`` and ``to``, its least and greatest dissimilarity, ``rmse`` and
        ``bias`` in the unit of the error, and ``n``, its rows.

    Examples
    --------
    >>> error_profile(np.array([0.3, 0.1, 0.2, 0.4]), np.array([3.0, 1.0, -1.0, 4.0]), windows=2)[0]
    {'from': 0.1, 'to': 0.2, 'rmse': 1.0, 'bias': 0.0, 'n': 2}
    """
    weight = np.ones(len(error)) if weight is None else weight
    known = np.flatnonzero(np.isfinite(dissimilarity) & np.isfinite(error))
    order = known[np.argsort(dissimilarity[known], kind="stable")]
    found = []
    for part in np.array_split(order, min(windows, max(order.size, 1))):
        if part.size:
            square = np.average(np.square(error[part], dtype=float), weights=weight[part])
            found.append(
                {
                    "from": float(dissimilarity[part[0]]),
                    "to": float(dissimilarity[part[-1]]),
                    "rmse": float(np.sqrt(square)),
                    "bias": float(np.average(error[part], weights=weight[part])),
                    "n": int(part.size),
                }
            )
    return found
