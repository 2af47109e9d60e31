"""A trained network as a chain of matrix products, read from a ``.keras`` file without Keras.

TensorFlow takes seconds to import and its ``predict`` is no match for BLAS on a small dense
network; `keras_file` reads the weights, and `narcf_geo.model.network.chain` applies them.
Normalisation and BatchNormalization are folded into the Dense layers. BLAS takes as many threads as
it is allowed: see `narcf_geo.model.network.threads`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast, get_args

import numpy as np

from narcf_geo.core.errors import NarcfError
from narcf_geo.model.network import keras_file

ACTIVATIONS: tuple[str, ...] = get_args(keras_file.Activation)
"""What a layer may apply; `narcf_geo.model.network.chain` knows each by its place here."""


@dataclass(frozen=True)
class Layer:
    """A Dense layer: ``activation(x @ kernel + bias)``."""

    kernel: np.ndarray
    bias: np.ndarray
    activation: str


@dataclass(frozen=True)
class Network:
    """A chain of Dense layers in float32 on features less their `mean`, shape (n_features,)."""

    layers: tuple[Layer, ...]
    mean: np.ndarray

    @classmethod
    def load(cls, path: Path) -> Network:
        """Read a ``.keras`` file.

        Raises
        ------
        NarcfError
            As `narcf_geo.model.network.keras_file.read`, or when weights exceed single precision.
        """
        steps = [_step(layer, values) for layer, values in keras_file.read(path)]
        first = cast("_Affine", steps[0])  # a file that begins otherwise was refused
        with np.errstate(over="ignore"):
            mean = (-first.shift / first.scale).astype(np.float32)
        # Folded in, the mean of a feature that varies little would cost digits to cancellation.
        steps[0] = _Affine(first.scale, np.zeros_like(first.shift))
        with np.errstate(over="ignore", invalid="ignore"):
            layers = tuple(_fold(steps))
        for values in (mean, *(v for layer in layers for v in (layer.kernel, layer.bias))):
            if not np.isfinite(values).all():
                raise NarcfError(
                    f"{path}: the weights are too large for single precision; train again with "
                    "`narcf-geo train`"
                )
        return cls(layers, mean)

    @property
    def n_outputs(self) -> int:
        """Number of outputs: 1, the flux, or 2, with the logarithm of its variance."""
        return int(self.layers[-1].bias.size)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs of features `x`.

        Parameters
        ----------
        x : numpy.ndarray
            Shape (n_rows, n_features), of any order in memory; NaN counts as the mean of the
            training rows.

        Returns
        -------
        numpy.ndarray
            Shape (n_rows, n_outputs), float32.
        """
        from narcf_geo.model.network.chain import apply_chain

        x = np.asarray(x, np.float32)
        out = np.empty((len(x), self.n_outputs), np.float32)
        apply_chain(x, self.mean, *self._packed, out)
        return out

    @cached_property
    def _packed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights, widths and activations as `apply_chain` takes them."""
        weights = [np.vstack([layer.kernel, layer.bias]).T.ravel() for layer in self.layers]
        widths = [self.mean.size, *(layer.bias.size for layer in self.layers)]
        activations = [ACTIVATIONS.index(layer.activation) for layer in self.layers]
        return np.concatenate(weights), np.array(widths), np.array(activations)


@dataclass(frozen=True)
class _Affine:
    """``x * scale + shift`` for each feature: a normalisation, ready to be folded."""

    scale: np.ndarray
    shift: np.ndarray


def _step(layer: keras_file.Layer, values: list[np.ndarray]) -> Layer | _Affine:
    """Return what a layer of the file computes, as float64 arrays."""
    if isinstance(layer, keras_file.Dense):
        return Layer(values[0], values[1], layer.activation)
    if isinstance(layer, keras_file.BatchNormalization):
        gamma, beta, mean, variance = values
        scale = gamma / np.sqrt(variance + layer.epsilon)
        return _Affine(scale, beta - mean * scale)
    mean, variance = values
    # Keras divides by max(standard deviation, its epsilon).
    scale = 1.0 / np.maximum(np.sqrt(variance), 1e-7)
    return _Affine(scale, -mean * scale)


def _fold(steps: list[Layer | _Affine]) -> list[Layer]:
    """Fold each normalisation into the Dense layer after it."""
    layers: list[Layer] = []
    pending: list[_Affine] = []
    for step in steps:
        if isinstance(step, _Affine):
            pending.append(step)
            continue
        kernel, bias = step.kernel, step.bias
        for affine in reversed(pending):
            bias = bias + affine.shift @ kernel
            kernel = affine.scale[:, None] * kernel
        pending = []
        layers.append(
            Layer(
                np.ascontiguousarray(kernel, np.float32), bias.astype(np.float32), step.activation
            )
        )
    return layers
