"""Where the model may be trusted: how far each row lies from the rows it was trained on."""

from __future__ import annotations

from dataclasses import dataclass, fields
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

_BLOCK = 1024
_POOL = 20_000
_DISTANCE_ROWS = 2_000


@dataclass(frozen=True)
class Applicability:
    """The area of applicability of Meyer and Pebesma (2021, doi:10.1111/2041-210X.13650).

    The dissimilarity index of a row is its distance to the nearest training row, over the mean
    distance between training rows. A row is applicable where the index does not exceed the
    threshold: no further than training rows are from those of other groups.

    Attributes
    ----------
    mean, std : numpy.ndarray
        Of each feature over the training rows, shape (n_features,), float32.
    weights : numpy.ndarray
        Importance of each feature, shape (n_features,), >= 0; only the ratios matter.
    prototypes : numpy.ndarray
        Training rows that stand for all, shape (n_prototypes, n_features), standardised and
        weighted.
    mean_distance : float
        Between training rows.
    threshold : float
        Largest index of an applicable row.
    """

    mean: np.ndarray
    std: np.ndarray
    weights: np.ndarray
    prototypes: np.ndarray
    mean_distance: float
    threshold: float

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        groups: np.ndarray,
        weights: np.ndarray | None = None,
        *,
        prototypes: int = 2000,
        seed: int = 0,
        among: np.ndarray | None = None,
    ) -> Applicability:
        """Take prototypes from the training rows, and the threshold from rows of other groups.

        A pool of at most 20,000 training rows is drawn, and of these the prototypes: each the row
        furthest from those before it, so that rare conditions have theirs. The threshold is the
        upper whisker of the index of the pool, Q75 + 1.5 (Q75 - Q25), or the greatest index if
        that is less; there the nearest prototype of another group counts. With as many prototypes
        as rows this is the definition of the authors and of their R package CAST. With fewer, rows
        just beyond the training rows are judged more mildly. In the sample, with 2,000 prototypes
        for 190,000 rows, 98 % of the rows of later years are judged as with all of them, and 82 to
        90 % of rows moved away by up to 4 standard deviations in a fifth of the features.

        Parameters
        ----------
        x : numpy.ndarray
            Features of the training rows, shape (n_rows, n_features); NaN counts as the mean.
        groups : numpy.ndarray
            Label of each row, shape (n_rows,): the fold, block or year that it is tested with.
        weights : numpy.ndarray, optional
            Importance of each feature, shape (n_features,), >= 0; by default all the same.
        prototypes : int
            Rows to keep; with fewer rows, all are kept.
        seed : int
            Of the draw of the pool.
        among : numpy.ndarray, optional
            Numbers of the training rows, where `x` and `groups` have others too.

        Raises
        ------
        NarcfError
            When there is only one group, no feature of importance varies, or a weight is negative.

        Examples
        --------
        Training rows at 0, 1 and 3, each of its own group, are 2 apart on average.

        >>> x = np.array([[0.0], [1.0], [3.0]])
        >>> area = Applicability.fit(x, groups=np.arange(3))
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
        size = len(x) if among is None else len(among)
        order = np.random.default_rng(seed).permutation(size)[: max(_POOL, prototypes)]
        order = order if among is None else among[order]
        rows = _standardise(x[order], mean, std, weights)
        kept = _far_apart(rows, prototypes)
        distances = pdist(rows[:_DISTANCE_ROWS].astype(float))
        mean_distance = float(distances.sum() / max(distances.size, 1))
        if not mean_distance > 0:
            raise NarcfError(
                "the training rows do not differ in any feature of importance, so nothing can be "
                "said of how far others are from them"
            )
        names, group = np.unique(groups[order], return_inverse=True)
        if names.size < 2:
            raise NarcfError(
                f"expected training rows of at least two groups, found only {names[0]}; without "
                "another group there is no distance to compare with"
            )
        distance = _nearest(rows, rows[kept], (group, group[kept]))
        index = distance[np.isfinite(distance)].astype(float) / mean_distance
        low, high = np.quantile(index, (0.25, 0.75))
        threshold = min(high + 1.5 * (high - low), index.max())
        return cls(mean, std, weights, rows[kept], mean_distance, float(threshold))

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
        index = np.empty(len(x), np.float32)
        for start in range(0, len(x), _BLOCK):
            rows = _standardise(x[start : start + _BLOCK], self.mean, self.std, self.weights)
            index[start : start + _BLOCK] = _nearest(rows, self.prototypes)
        return index / np.float32(self.mean_distance)

    def applicable(self, dissimilarity: np.ndarray) -> np.ndarray:
        """Return where an index does not exceed the threshold; NaN is not applicable."""
        return dissimilarity <= self.threshold

    def save(self, path: Path) -> None:
        """Write to `path`, a ``.npz`` file, whole or not at all."""
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, **{f.name: getattr(self, f.name) for f in fields(self)})

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
        return cls(**{n: v if v.ndim else v.item() for n, v in values.items()})


def _check(values: dict[str, np.ndarray]) -> None:
    """Refuse arrays that do not go together."""
    size = values["mean"].shape
    rows = values["prototypes"].shape
    expected = dict.fromkeys(("mean", "std", "weights"), size)
    expected |= {"mean_distance": (), "threshold": ()}
    for name, shape in expected.items():
        if values[name].shape != shape:
            raise ValueError(f"{name}: expected shape {shape}, found {values[name].shape}")
        if name != "mean" and values[name].min(initial=0) < 0:
            raise ValueError(f"{name}: expected numbers of at least 0, found {values[name].min()}")
    if len(size) != 1 or len(rows) != 2 or rows[1:] != size or not rows[0]:
        raise ValueError(f"prototypes: expected rows of {size} features, found shape {rows}")
    if not values["mean_distance"] > 0:
        raise ValueError("mean_distance: expected more than 0, found 0")


def _far_apart(rows: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the first row and of each that is furthest from those before it."""
    if len(rows) <= count:
        return np.arange(len(rows))
    square = np.square(rows).sum(axis=1)
    nearest = np.full(len(rows), np.inf, np.float32)
    places = [0]
    while len(places) < count:
        last = places[-1]
        np.minimum(nearest, square + square[last] - 2 * (rows @ rows[last]), out=nearest)
        places.append(int(nearest.argmax()))
    return np.array(places)


def _standardise(
    x: np.ndarray, mean: np.ndarray, std: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    # A feature that did not vary in training keeps its unit: that it varies now is news.
    centred = (x - mean) * (weights / np.where(std > 0, std, 1))
    return np.where(np.isnan(x), 0, centred).astype(np.float32, copy=False)


def _nearest(
    rows: np.ndarray, prototypes: np.ndarray, apart: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """Return the distance of each row to the nearest prototype, shape (n_rows,), float32.

    With `apart`, the groups of rows and of prototypes, only prototypes of other groups count;
    without one the distance is infinite.
    """
    # |a - b|^2 less |a|^2, which is the same for all prototypes, in one product.
    table = np.vstack([-2 * prototypes.T, np.square(prototypes).sum(axis=1)])
    distance = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        part = rows[block]
        square = np.column_stack([part, np.ones(len(part), np.float32)]) @ table
        if apart is not None:
            square[apart[0][block, None] == apart[1]] = np.inf
        place = square.argmin(axis=1)
        # The difference of large squares is inexact; that of the nearest row is not.
        distance[block] = np.linalg.norm(part - prototypes[place], axis=1)
        if apart is not None:
            distance[block][np.isinf(square[np.arange(len(part)), place])] = np.inf
    return distance
