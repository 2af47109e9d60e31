"""Training a Keras MLP; whole runs of batches are compiled as one XLA program.

This module imports TensorFlow: import it inside the function that trains.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from narcf_geo.errors import NarcfError
from narcf_geo.model.presets import Recipe

BATCHES_PER_CALL = 64

_LOSSES = {
    "mae": lambda error: tf.reduce_mean(tf.abs(error)),
    "mse": lambda error: tf.reduce_mean(tf.square(error)),
    "huber": lambda error: tf.reduce_mean(
        tf.where(tf.abs(error) < 1.0, 0.5 * tf.square(error), tf.abs(error) - 0.5)
    ),
}


@dataclass(frozen=True)
class History:
    """Mean loss of each epoch, and the epoch (from 0) whose weights were kept."""

    train: list[float]
    validation: list[float]
    best_epoch: int


def build(recipe: Recipe, mean: np.ndarray, variance: np.ndarray) -> keras.Model:
    """Return the untrained network; its first layer normalises with `mean` and `variance`.

    Parameters
    ----------
    recipe : Recipe
        The architecture.
    mean, variance : numpy.ndarray
        Of each feature, shape (n_features,), from training rows only.
    """
    layers: list[keras.layers.Layer] = [
        keras.Input((mean.size,), name="features"),
        keras.layers.Normalization(mean=mean, variance=variance, name="normalization"),
    ]
    for width in recipe.hidden:
        layers.append(keras.layers.Dense(width, activation=recipe.activation))
        if recipe.batch_normalization:
            layers.append(keras.layers.BatchNormalization())
        if recipe.dropout:
            layers.append(keras.layers.Dropout(recipe.dropout))
    layers.append(keras.layers.Dense(1, name="flux"))
    return keras.Sequential(layers, name="narcf")


class Trainer:
    """Trains networks of one recipe on rows of one table.

    Parameters
    ----------
    recipe : Recipe
        Architecture, loss and optimiser.
    x : numpy.ndarray
        Features, shape (n_rows, n_features). Where one is NaN the network sees the mean of the
        training rows; a column of its own must tell it so.
    y : numpy.ndarray
        Target flux, shape (n_rows,), finite, umol m-2 s-1.
    area : numpy.ndarray
        Cell area of each row, shape (n_rows,), m2: the weights of an unbiased mean.

    Notes
    -----
    The table is held once; a call of `fit` says by row numbers what is training and what is
    validation, so that nothing else can be seen, and folds share the compiled program.
    """

    def __init__(self, recipe: Recipe, x: np.ndarray, y: np.ndarray, area: np.ndarray) -> None:
        keras.utils.set_random_seed(0)
        self.recipe = recipe
        self._x, self._area = x, area
        self._table = tf.Variable(np.nan_to_num(x), trainable=False, dtype=tf.float32)
        self._y = tf.constant(y, tf.float32)
        self._loss = _LOSSES[recipe.loss]
        self._rate = tf.Variable(recipe.learning_rate, trainable=False, dtype=tf.float32)

    def fit(
        self,
        train_rows: np.ndarray,
        validation_rows: np.ndarray,
        seed: int,
        on_epoch: Callable[[int, float, float], None] | None = None,
    ) -> tuple[keras.Model, History]:
        """Train on `train_rows` and keep the weights of the best validation loss.

        Raises
        ------
        NarcfError
            When there are no rows to train or validate on, or the loss stops being finite.
        """
        if not len(train_rows) or not len(validation_rows):
            raise NarcfError(
                f"expected rows to train and to validate on, found {len(train_rows)} and "
                f"{len(validation_rows)}; check the period and the split in narcf.yaml"
            )
        keras.utils.set_random_seed(seed)
        rng = np.random.default_rng(seed)
        sample = self._x[train_rows].astype(np.float64)
        mean, variance = np.nanmean(sample, axis=0), np.nanvar(sample, axis=0)
        # A feature that never varies carries nothing: leave it at zero instead of dividing by zero.
        model = build(self.recipe, mean, np.where(variance > 0, variance, 1.0))
        self._table.assign(np.where(np.isnan(self._x), mean, self._x))
        run = self._compiled(model)

        batch = min(self.recipe.batch_size, len(train_rows))
        batches = len(train_rows) // batch
        per_call = min(BATCHES_PER_CALL, batches)
        losses: list[float] = []
        validation: list[float] = []
        best, best_weights = np.inf, model.get_weights()
        for epoch in range(self.recipe.epochs):
            self._rate.assign(self._learning_rate(epoch))
            order = rng.permutation(train_rows)[: batches * batch].reshape(batches, batch)
            totals = [
                run(tf.constant(order[start : start + per_call], tf.int32))
                for start in range(0, batches, per_call)
            ]
            losses.append(float(sum(float(t) for t in totals)) / batches)
            validation.append(self._evaluate(model, validation_rows))
            if not np.isfinite(losses[-1] + validation[-1]):
                raise NarcfError(
                    f"the loss became {losses[-1]} in epoch {epoch + 1}; lower "
                    "model.learning_rate, or look for extreme values with `narcf-geo catalog check`"
                )
            if validation[-1] < best:
                best, best_weights = validation[-1], model.get_weights()
            if on_epoch:
                on_epoch(epoch, losses[-1], validation[-1])
            waited = epoch - int(np.argmin(validation))
            if self.recipe.patience is not None and waited >= self.recipe.patience:
                break
        model.set_weights(best_weights)
        if self.recipe.unbiased:
            self._remove_bias(model, train_rows)
        return model, History(losses, validation, int(np.argmin(validation)))

    def estimate(self, model: keras.Model) -> np.ndarray:
        """Return the flux of every row of the table by `model`, shape (n_rows,)."""
        return np.asarray(model(self._table, training=False)[:, 0])

    def _remove_bias(self, model: keras.Model, rows: np.ndarray) -> None:
        error = (self.estimate(model) - self._y.numpy())[rows].astype(np.float64)
        bias = model.layers[-1].bias
        bias.assign(bias - np.average(error, weights=self._area[rows]))

    def _learning_rate(self, epoch: int) -> float:
        if self.recipe.schedule == "constant":
            return self.recipe.learning_rate
        return self.recipe.learning_rate * 0.5 * (1 + np.cos(np.pi * epoch / self.recipe.epochs))

    def _compiled(self, model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
        optimizer = keras.optimizers.AdamW(
            learning_rate=self.recipe.learning_rate, weight_decay=self.recipe.weight_decay
        )
        optimizer.build(model.trainable_variables)

        @tf.function(jit_compile=True)
        def run(order: tf.Tensor) -> tf.Tensor:
            total = tf.constant(0.0)
            optimizer.learning_rate.assign(self._rate)
            for step in tf.range(tf.shape(order)[0]):
                x = tf.gather(self._table, order[step])
                y = tf.gather(self._y, order[step])
                with tf.GradientTape() as tape:
                    loss = self._loss(model(x, training=True)[:, 0] - y)
                gradients = tape.gradient(loss, model.trainable_variables)
                optimizer.apply(gradients, model.trainable_variables)
                total += loss
            return total

        return run

    def _evaluate(self, model: keras.Model, rows: np.ndarray) -> float:
        estimate = model(tf.gather(self._table, rows), training=False)[:, 0]
        return float(self._loss(estimate - tf.gather(self._y, rows)))
