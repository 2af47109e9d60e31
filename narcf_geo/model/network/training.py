"""Training Keras MLPs; whole runs of batches of all members are compiled as one XLA program.

This module imports TensorFlow: import it inside the function that trains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.slabs import slabs
from narcf_geo.model.network import checkpoint
from narcf_geo.model.network.batches import Standardised, ahead, batches
from narcf_geo.model.network.checkpoint import Progress
from narcf_geo.model.network.keras_file import MAX_PARAMETERS
from narcf_geo.model.network.members import Members, mean_loss
from narcf_geo.model.network.stack import (
    Weights,
    build,
    keras,
    tf,
    with_normalization,
)
from narcf_geo.project.presets import Recipe
from narcf_geo.statistics.columns import Columns

BATCHES_PER_CALL = 64
VALUES_PER_CALL = 2**24
"""Features of all members that are laid out at once, at most."""

EVALUATED_ROWS = 2**14
"""Rows that are evaluated at once, at most."""


@dataclass(frozen=True)
class History:
    """Mean loss of each epoch, and the epoch (from 0) whose weights were kept."""

    train: list[float]
    validation: list[float]
    best_epoch: int


@dataclass(frozen=True)
class Fit:
    """A trained model that takes raw features, and its history."""

    model: keras.Model
    history: History


class Trainer:
    """Trains networks of one recipe on rows of one table, several at once.

    Parameters
    ----------
    recipe : Recipe
        Architecture, loss and optimiser.
    x : numpy.ndarray
        Features, shape (n_rows, n_features), in memory or mapped. Where one is NaN the network sees
        the mean of the training rows; a column of its own must tell it so.
    y : numpy.ndarray
        Target flux, shape (n_rows,), finite, umol m-2 s-1.
    area : numpy.ndarray
        Cell area of each row, shape (n_rows,), m2: the weights of an unbiased mean.
    land_cover : slice
        The columns of land cover, which may share a scale.

    Notes
    -----
    A call of `fit` says by row numbers what is training and what is validation, so that no other
    row is used, and folds share the compiled program. Each member has its own initial weights and
    its own order of the rows; their products are batched. Rows are read and normalised batch by
    batch, while the batches before are trained on.
    """

    def __init__(
        self,
        recipe: Recipe,
        x: np.ndarray,
        y: np.ndarray,
        area: np.ndarray,
        land_cover: slice = slice(0),
    ) -> None:
        self.recipe = recipe
        self._land_cover = land_cover
        self._x, self._y, self._area = x, y.astype(np.float32, copy=False), area
        if (size := build(recipe, x.shape[1]).count_params()) > MAX_PARAMETERS:
            raise UsageError(
                f"model.hidden: a network of {size:,} weights, expected at most {MAX_PARAMETERS:,}"
            )
        self._compiled: dict[int, Members] = {}
        self._mean, self._std = 0.0, 1.0

    def fit(
        self,
        train_rows: np.ndarray | Sequence[np.ndarray],
        validation_rows: np.ndarray,
        seeds: Sequence[int],
        on_epoch: Callable[[int, float, float], None] | None = None,
        normalisation_rows: np.ndarray | None = None,
        state: Path | None = None,
    ) -> list[Fit]:
        """Train a network for each of `seeds`, and watch the loss of `validation_rows`.

        Parameters
        ----------
        train_rows : numpy.ndarray or sequence of numpy.ndarray
            Row numbers, of all members or of each.
        validation_rows : numpy.ndarray
            Row numbers.
        seeds : sequence of int
            For each member, of its initial weights and its order of the rows.
        on_epoch : callable, optional
            Called with the epoch (from 0) and the training and validation loss, means of the
            members.
        normalisation_rows : numpy.ndarray, optional
            Rows that give each feature its mean and variance; by default `train_rows`. With others
            the model sees more than it is trained on.
        state : Path, optional
            File to write after each epoch; a training that was stopped goes on from there.

        Raises
        ------
        NarcfError
            When there are no rows to train or validate on, or the loss stops being finite.
        """
        own = [train_rows] * len(seeds) if isinstance(train_rows, np.ndarray) else train_rows
        least = min(map(len, own))
        if not least or not len(validation_rows):
            raise NarcfError(
                f"expected rows to train and to validate on, found {least} and "
                f"{len(validation_rows)}; check the period and the split in narcf.yaml"
            )
        every = own[0] if own[-1] is own[0] else np.unique(np.concatenate(own))
        columns = Columns.of(self._x, every if normalisation_rows is None else normalisation_rows)
        variance = self._variance(columns)
        table = Standardised(self._x, columns.mean, np.sqrt(variance))
        self._mean, self._std = self._target(every)
        members = self._members(len(seeds))
        members.start(seeds)
        rngs = [np.random.default_rng(seed) for seed in seeds]
        so_far = Progress.start(members.weights)
        if state and (known := checkpoint.load(state, members.variables, rngs)):
            so_far, variables = known
            members.assign(variables)
        while so_far.epochs < self.recipe.epochs and not all(so_far.stopped):
            members.learning_rate = self._learning_rate(so_far.epochs)
            train = self._epoch(members, table, own, rngs)
            validation = self._validate(members, table, validation_rows)
            self._keep(so_far, train, validation, members.weights)
            if state:
                checkpoint.save(state, so_far, members.variables, rngs)
            if on_epoch:
                on_epoch(so_far.epochs - 1, float(train.mean()), float(validation.mean()))
        members.weights = [self._in_units(weights) for weights in so_far.kept]
        if self.recipe.unbiased:
            self._remove_bias(members, table, every, own)
        return [
            Fit(with_normalization(self.recipe, weights, columns.mean, variance), history)
            for weights, history in zip(members.weights, self._histories(so_far), strict=True)
        ]

    def _members(self, count: int) -> Members:
        if count not in self._compiled:
            self._compiled[count] = Members(self.recipe, self._x.shape[1], count)
        return self._compiled[count]

    def _variance(self, columns: Columns) -> np.ndarray:
        """Return what the features are scaled by."""
        variance = columns.variance.copy()
        if self.recipe.shared_scale:
            shared = variance[self._land_cover]
            variance[self._land_cover] = shared.mean() if shared.size else 0.0
        # A feature that never varies carries nothing: leave it at zero instead of dividing by zero.
        return np.where(variance > 0, variance, 1.0)

    def _target(self, rows: np.ndarray) -> tuple[float, float]:
        """Return what is taken off the target, and what it is divided by."""
        if not self.recipe.standardised:
            return 0.0, 1.0
        y = self._y[rows].astype(np.float64)
        return float(y.mean()), float(y.std()) or 1.0

    def _learned(self, rows: np.ndarray) -> np.ndarray:
        """Return what the network is to give for `rows`."""
        y: np.ndarray = self._y[rows]
        return (y - np.float32(self._mean)) / np.float32(self._std)

    def _in_units(self, weights: Weights) -> Weights:
        """Return weights whose last layer gives the flux, and the log of its variance, in units."""
        *before, kernel, bias = (weight.copy() for weight in weights)
        kernel[:, 0] *= self._std
        bias[0] = bias[0] * self._std + self._mean
        bias[1:] += 2 * np.log(self._std)
        return [*before, kernel, bias]

    def _learning_rate(self, epoch: int) -> float:
        if self.recipe.schedule == "constant":
            return self.recipe.learning_rate
        return self.recipe.learning_rate * 0.5 * (1 + np.cos(np.pi * epoch / self.recipe.epochs))

    def _epoch(
        self,
        members: Members,
        table: Standardised,
        rows: Sequence[np.ndarray],
        rngs: list[np.random.Generator],
    ) -> np.ndarray:
        """Train each member on each of its rows; return the mean losses."""
        size = min(self.recipe.batch_size, *map(len, rows))
        total = max(map(len, rows)) // size
        count = min(BATCHES_PER_CALL, total)
        count = max(1, min(count, VALUES_PER_CALL // (size * len(rngs) * table.mean.size)))
        read = (
            (table.read(order), self._learned(order), full)
            for order, full in batches(rows, rngs, size, count)
        )
        losses = np.zeros(len(rngs))
        for x, y, full in ahead(read):
            losses += members.run(tf.constant(x), tf.constant(y), tf.constant(full))
        return losses / total

    def _validate(self, members: Members, table: Standardised, rows: np.ndarray) -> np.ndarray:
        """Return the mean loss of each member over `rows`."""
        total = np.zeros(members.count)
        for slab in slabs(len(rows), EVALUATED_ROWS):
            y = self._learned(rows[slab])
            loss = mean_loss(self.recipe.loss, members.outputs(table.read(rows[slab])), y)
            total += loss.numpy().astype(np.float64) * len(y)
        return total / len(rows)

    def _keep(
        self, so_far: Progress, train: np.ndarray, validation: np.ndarray, weights: list[Weights]
    ) -> None:
        """Note the losses of an epoch, and of the members not done the weights to keep."""
        for member in np.flatnonzero(~np.array(so_far.stopped)):
            losses = so_far.validation[member]
            so_far.train[member].append(float(train[member]))
            losses.append(float(validation[member]))
            if not np.isfinite(train[member] + validation[member]):
                raise NarcfError(
                    f"the loss became {train[member]} in epoch {len(losses)}; lower "
                    "model.learning_rate, or look for extreme values with `narcf-geo catalog check`"
                )
            since = len(losses) - 1 - int(np.argmin(losses))
            if since == 0 or self.recipe.keep == "last":
                so_far.kept[member] = weights[member]
            so_far.stopped[member] = self.recipe.patience is not None and (
                since >= self.recipe.patience
            )

    def _histories(self, so_far: Progress) -> list[History]:
        return [
            History(
                train,
                losses,
                int(np.argmin(losses)) if self.recipe.keep == "best" else len(losses) - 1,
            )
            for train, losses in zip(so_far.train, so_far.validation, strict=True)
        ]

    def _remove_bias(
        self,
        members: Members,
        table: Standardised,
        rows: np.ndarray,
        own: Sequence[np.ndarray],
    ) -> None:
        """Shift the flux of each member by its area-weighted mean error over its rows.

        Of members that learned other rows each, all are then shifted by what is left of the error
        of their mean over all rows.
        """
        learned = np.zeros((len(own), len(self._y)), bool)
        for mask, mine in zip(learned, own, strict=True):
            mask[mine] = True
        error, area, everywhere = np.zeros((3, members.count))
        whole = 0.0
        for slab in slabs(len(rows), EVALUATED_ROWS):
            part = rows[slab]
            flux = members.outputs(table.read(part))[..., 0].numpy().astype(np.float64)
            weight = learned[:, part] * self._area[part]
            error += ((flux - self._y[part]) * weight).sum(axis=1)
            area += weight.sum(axis=1)
            everywhere += (flux - self._y[part]) @ self._area[part]
            whole += float(self._area[part].sum())
        weights = members.weights
        left = np.mean(everywhere / whole - error / area)
        for member, bias in zip(weights, error / area, strict=True):
            member[-1][0] -= np.float32(bias + left)
        members.weights = weights
