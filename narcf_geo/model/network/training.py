"""Training a Keras MLP; whole runs of batches are compiled as one XLA program.

This module imports TensorFlow: import it inside the function that trains.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pyogrio  # noqa: F401 (GDAL's SQLite first: it would take TensorFlow's, without R-tree)

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.files import quiet_stderr
from narcf_geo.model.network.keras_file import MAX_PARAMETERS
from narcf_geo.project.presets import Recipe

# TensorFlow tells of absent GPUs, and once of XLA, before its own log level holds; a Python error
# still shows.
with quiet_stderr():
    import keras
    import tensorflow as tf

    tf.function(lambda: tf.add(1, 1), jit_compile=True)()

BATCHES_PER_CALL = 64

_ERROR_LOSSES = {
    "mae": tf.abs,
    "mse": tf.square,
    "huber": lambda e: tf.where(tf.abs(e) < 1.0, 0.5 * tf.square(e), tf.abs(e) - 0.5),
}


def _loss(name: str, output: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Return the mean loss of `output`, shape (n, 1), or (n, 2) with the log variance."""
    error = output[:, 0] - y
    if name != "nll":
        return tf.reduce_mean(_ERROR_LOSSES[name](error))
    log_variance = output[:, 1]
    likelihood = 0.5 * (log_variance + tf.square(error) * tf.exp(-log_variance))
    return tf.reduce_mean(tf.stop_gradient(tf.exp(0.5 * log_variance)) * likelihood)


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


def build(recipe: Recipe, n_features: int) -> keras.Sequential:
    """Return the untrained network for features of mean 0 and variance 1."""
    layers: list[keras.layers.Layer] = [keras.Input((n_features,), name="features")]
    if recipe.noise:
        layers.append(keras.layers.GaussianNoise(recipe.noise, name="noise"))
    # Keras would number the layers of all networks of the process.
    for n, width in enumerate(recipe.hidden):
        layers.append(keras.layers.Dense(width, activation=recipe.activation, name=f"dense_{n}"))
        if recipe.batch_normalization:
            layers.append(keras.layers.BatchNormalization(name=f"batch_normalization_{n}"))
        if recipe.dropout:
            layers.append(keras.layers.Dropout(recipe.dropout, name=f"dropout_{n}"))
    layers.append(keras.layers.Dense(recipe.n_outputs, name="flux"))
    return keras.Sequential(layers, name="narcf")


def with_normalization(
    recipe: Recipe, network: keras.Sequential, mean: np.ndarray, variance: np.ndarray
) -> keras.Sequential:
    """Return a copy of `network` that takes raw features and normalises them first.

    `mean` and `variance` have shape (n_features,), and must come from training rows only.
    """
    copy = build(recipe, mean.size)
    copy.set_weights(network.get_weights())
    return keras.Sequential(
        [
            keras.Input((mean.size,), name="features"),
            keras.layers.Normalization(mean=mean, variance=variance, name="normalization"),
            *copy.layers,
        ],
        name="narcf",
    )


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
    land_cover : slice
        The columns of land cover, which may share a scale.

    Notes
    -----
    The table is held once; a call of `fit` says by row numbers what is training and what is
    validation, so that no other row is used, and folds and members share the compiled program.
    """

    def __init__(
        self,
        recipe: Recipe,
        x: np.ndarray,
        y: np.ndarray,
        area: np.ndarray,
        land_cover: slice = slice(0),
    ) -> None:
        keras.utils.set_random_seed(0)
        self.recipe = recipe
        self._land_cover = land_cover
        self._x, self._y, self._area = x, y.astype(np.float32), area
        self._table = tf.Variable(np.zeros(x.shape, np.float32), trainable=False)
        self._target = tf.constant(self._y)
        self._network = build(recipe, x.shape[1])
        if (size := self._network.count_params()) > MAX_PARAMETERS:
            raise UsageError(
                f"model.hidden: a network of {size:,} weights, expected at most {MAX_PARAMETERS:,}"
            )
        self._optimizer = keras.optimizers.AdamW(
            learning_rate=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self._optimizer.build(self._network.trainable_variables)
        self._start = [variable.numpy() for variable in self._optimizer.variables]

    def fit(
        self,
        train_rows: np.ndarray,
        validation_rows: np.ndarray,
        seed: int,
        on_epoch: Callable[[int, float, float], None] | None = None,
        normalisation_rows: np.ndarray | None = None,
    ) -> Fit:
        """Train on `train_rows`, and watch the loss of `validation_rows`.

        Parameters
        ----------
        train_rows, validation_rows : numpy.ndarray
            Row numbers.
        seed : int
            Of the initial weights and the order of the rows.
        on_epoch : callable, optional
            Called with the epoch (from 0) and its training and validation loss.
        normalisation_rows : numpy.ndarray, optional
            Rows that give each feature its mean and variance; by default `train_rows`. With others
            the model sees more than it is trained on.

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
        rng = np.random.default_rng(seed)
        mean, variance = self._prepare(
            train_rows if normalisation_rows is None else normalisation_rows, seed
        )
        batch = min(self.recipe.batch_size, len(train_rows))
        batches = len(train_rows) // batch
        per_call = min(BATCHES_PER_CALL, batches)
        history = History([], [], 0)
        best_weights = self._network.get_weights()
        for epoch in range(self.recipe.epochs):
            self._optimizer.learning_rate.assign(self._learning_rate(epoch))
            order = rng.permutation(train_rows)[: batches * batch].reshape(batches, batch)
            totals = [
                self._run(tf.constant(order[start : start + per_call], tf.int32))
                for start in range(0, batches, per_call)
            ]
            history.train.append(float(sum(float(t) for t in totals)) / batches)
            history.validation.append(self._validate(validation_rows))
            if not np.isfinite(history.train[-1] + history.validation[-1]):
                raise NarcfError(
                    f"the loss became {history.train[-1]} in epoch {epoch + 1}; lower "
                    "model.learning_rate, or look for extreme values with `narcf-geo catalog check`"
                )
            best = int(np.argmin(history.validation))
            if best == epoch:
                best_weights = self._network.get_weights()
            if on_epoch:
                on_epoch(epoch, history.train[-1], history.validation[-1])
            if self.recipe.patience is not None and epoch - best >= self.recipe.patience:
                break
        if self.recipe.keep == "best":
            self._network.set_weights(best_weights)
        else:
            best = epoch
        if self.recipe.unbiased:
            self._remove_bias(train_rows)
        return Fit(
            with_normalization(self.recipe, self._network, mean, variance),
            History(history.train, history.validation, best),
        )

    def _prepare(self, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Normalise the table by `rows`; give network and optimiser a fresh start."""
        sample = self._x[rows].astype(np.float64)
        mean, variance = np.nanmean(sample, axis=0), np.nanvar(sample, axis=0)
        if self.recipe.shared_scale:
            shared = variance[self._land_cover]
            variance[self._land_cover] = shared.mean() if shared.size else 0.0
        # A feature that never varies carries nothing: leave it at zero instead of dividing by zero.
        variance = np.where(variance > 0, variance, 1.0)
        self._table.assign(np.nan_to_num((self._x - mean) / np.sqrt(variance)).astype(np.float32))
        keras.utils.set_random_seed(seed)
        fresh = build(self.recipe, mean.size)
        # All variables: the state of what draws noise and drops units is no weight.
        for variable, value in zip(self._network.variables, fresh.variables, strict=True):
            variable.assign(value)
        for variable, value in zip(self._optimizer.variables, self._start, strict=True):
            variable.assign(value)
        return mean, variance

    def _learning_rate(self, epoch: int) -> float:
        if self.recipe.schedule == "constant":
            return self.recipe.learning_rate
        return self.recipe.learning_rate * 0.5 * (1 + np.cos(np.pi * epoch / self.recipe.epochs))

    @tf.function(jit_compile=True)
    def _run(self, order: tf.Tensor) -> tf.Tensor:
        """Train on batches of rows, shape (n_batches, batch_size); return the sum of the losses."""
        total = tf.constant(0.0)
        for step in tf.range(tf.shape(order)[0]):
            x = tf.gather(self._table, order[step])
            y = tf.gather(self._target, order[step])
            with tf.GradientTape() as tape:
                loss = _loss(self.recipe.loss, self._network(x, training=True), y)
            variables = self._network.trainable_variables
            self._optimizer.apply(tape.gradient(loss, variables), variables)
            total += loss
        return total

    def _validate(self, rows: np.ndarray) -> float:
        output = self._network(tf.gather(self._table, rows), training=False)
        return float(_loss(self.recipe.loss, output, tf.gather(self._target, rows)))

    def _remove_bias(self, rows: np.ndarray) -> None:
        flux = self._network(tf.gather(self._table, rows), training=False)[:, 0]
        error = np.asarray(flux, np.float64) - self._y[rows]
        shift = np.zeros(self.recipe.n_outputs, np.float32)
        shift[0] = np.average(error, weights=self._area[rows])
        self._network.layers[-1].bias.assign_sub(shift)
