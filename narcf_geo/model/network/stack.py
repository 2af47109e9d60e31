"""The network of a recipe, and several of them as one, whose products are batched.

This module imports TensorFlow: import it inside the function that trains.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pyogrio  # noqa: F401 (GDAL's SQLite first: it would take TensorFlow's, without R-tree)

from narcf_geo.core.files import quiet_stderr
from narcf_geo.project.presets import Recipe

# TensorFlow tells of absent GPUs, and once of XLA, before its own log level holds; a Python error
# still shows.
with quiet_stderr():
    import keras
    import tensorflow as tf

    for device in tf.config.list_physical_devices("GPU"):
        # Others may use it too; and products are as exact as those of a processor.
        tf.config.experimental.set_memory_growth(device, True)
        tf.config.experimental.enable_tensor_float_32_execution(False)
    tf.function(lambda: tf.add(1, 1), jit_compile=True, autograph=False)()

Weights = list[np.ndarray]


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


def stack(recipe: Recipe, n_features: int, members: int) -> keras.Sequential:
    """Return as many networks as one, from (members, rows, features) to (members, rows, outputs).

    Its weights are those of `build`, in the same order, each with the members along an axis of
    their own: see `stacked` and `unstacked`.
    """

    def dense(width: int, activation: str | None) -> keras.layers.Layer:
        return keras.layers.EinsumDense(
            "mbi,mio->mbo", (None, width), activation=activation, bias_axes="mo"
        )

    layers: list[keras.layers.Layer] = [keras.Input(batch_shape=(members, None, n_features))]
    if recipe.noise:
        layers.append(keras.layers.GaussianNoise(recipe.noise))
    for width in recipe.hidden:
        layers.append(dense(width, recipe.activation))
        if recipe.batch_normalization:
            layers += _normalised(members, width)
        if recipe.dropout:
            layers.append(keras.layers.Dropout(recipe.dropout))
    return keras.Sequential([*layers, dense(recipe.n_outputs, None)])


def _normalised(members: int, width: int) -> list[keras.layers.Layer]:
    """Return layers that normalise the units of each member over its own rows."""

    def side_by_side(x: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.transpose(x, (1, 0, 2)), (-1, members * width))

    def apart(x: tf.Tensor) -> tf.Tensor:
        return tf.transpose(tf.reshape(x, (-1, members, width)), (1, 0, 2))

    return [
        keras.layers.Lambda(side_by_side, output_shape=(members * width,)),
        keras.layers.BatchNormalization(),
        keras.layers.Lambda(apart, output_shape=(None, width)),
    ]


def stacked(members: Sequence[Weights], network: keras.Sequential) -> Weights:
    """Return the weights of members as those of the `network` that `stack` gave."""
    shapes = [variable.shape for variable in network.weights]
    return [np.stack(w).reshape(shape) for *w, shape in zip(*members, shapes, strict=True)]


def unstacked(weights: Weights, like: Sequence[np.ndarray], members: int) -> list[Weights]:
    """Return the weights of each member, of the shapes that `like` has."""
    apart = [w.reshape(members, *one.shape) for w, one in zip(weights, like, strict=True)]
    return [[w[member] for w in apart] for member in range(members)]


def with_normalization(
    recipe: Recipe, weights: Weights, mean: np.ndarray, variance: np.ndarray
) -> keras.Sequential:
    """Return a network that takes raw features and normalises them first.

    `mean` and `variance` have shape (n_features,), and must come from training rows only.
    """
    network = build(recipe, mean.size)
    network.set_weights(weights)
    return keras.Sequential(
        [
            keras.Input((mean.size,), name="features"),
            keras.layers.Normalization(mean=mean, variance=variance, name="normalization"),
            *network.layers,
        ],
        name="narcf",
    )
