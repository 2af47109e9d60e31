"""Several networks of one recipe that are trained together, as one compiled XLA program.

This module imports TensorFlow: import it inside the function that trains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from narcf_geo.model.network.stack import Weights, build, keras, stack, stacked, tf, unstacked
from narcf_geo.project.presets import Recipe

_ERROR_LOSSES = {
    "mae": tf.abs,
    "mse": tf.square,
    "huber": lambda e: tf.where(tf.abs(e) < 1.0, 0.5 * tf.square(e), tf.abs(e) - 0.5),
}


def mean_loss(name: str, output: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Return the mean loss over the rows of `output`, shape (..., n, 1), or 2 with log variance."""
    error = output[..., 0] - y
    if name != "nll":
        return tf.reduce_mean(_ERROR_LOSSES[name](error), axis=-1)
    log_variance = output[..., 1]
    likelihood = 0.5 * (log_variance + tf.square(error) * tf.exp(-log_variance))
    return tf.reduce_mean(tf.stop_gradient(tf.exp(0.5 * log_variance)) * likelihood, axis=-1)


class Members:
    """Networks of one recipe, their optimiser, and their compiled training.

    Parameters
    ----------
    recipe : Recipe
        What they are.
    n_features : int
        Their inputs.
    count : int
        How many.
    """

    def __init__(self, recipe: Recipe, n_features: int, count: int) -> None:
        self.recipe, self.count = recipe, count
        self._n_features = n_features
        self._like = build(recipe, n_features).get_weights()
        self._network = stack(recipe, n_features, count)
        self._optimizer = keras.optimizers.AdamW(
            learning_rate=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self._optimizer.build(self._network.trainable_variables)
        self._start = [variable.numpy() for variable in self._optimizer.variables]

    def start(self, seeds: Sequence[int]) -> None:
        """Give every member the weights of its seed, and the optimiser a fresh start."""
        members = []
        for seed in seeds:
            keras.utils.set_random_seed(seed)
            members.append(build(self.recipe, self._n_features).get_weights())
        keras.utils.set_random_seed(seeds[0])
        # All variables: the state of what draws noise and drops units is no weight.
        fresh = stack(self.recipe, self._n_features, self.count)
        self.assign([v.numpy() for v in fresh.variables] + self._start)
        self.weights = members

    @property
    def variables(self) -> list[np.ndarray]:
        """All that a training changes, for `assign`."""
        variables = [*self._network.variables, *self._optimizer.variables]
        return [variable.numpy() for variable in variables]

    def assign(self, values: Sequence[np.ndarray]) -> None:
        """Set all variables."""
        variables = [*self._network.variables, *self._optimizer.variables]
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    @property
    def weights(self) -> list[Weights]:
        """The weights of each member, copies."""
        return unstacked(self._network.get_weights(), self._like, self.count)

    @weights.setter
    def weights(self, members: Sequence[Weights]) -> None:
        self._network.set_weights(stacked(members, self._network))

    @property
    def learning_rate(self) -> float:
        """Of the optimiser."""
        return float(self._optimizer.learning_rate)

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._optimizer.learning_rate.assign(rate)

    def run(self, x: tf.Tensor, y: tf.Tensor, full: tf.Tensor) -> np.ndarray:
        """Train on the first `full` of the batches; return the sum of the losses of each member.

        `x` has shape (n_batches, n_members, batch_size, n_features), `y` all but the last.
        """
        total: np.ndarray = self._run(x, y, full).numpy()
        return total

    # A graph as it stands: AutoGraph, which makes one of a loop, fails where warnings are errors.
    @tf.function(jit_compile=True, autograph=False)
    def _run(self, x: tf.Tensor, y: tf.Tensor, full: tf.Tensor) -> tf.Tensor:
        def train(step: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                losses = mean_loss(self.recipe.loss, self._network(x[step], training=True), y[step])
                # No member has a weight of another: the gradient of the sum is that of each.
                loss = tf.reduce_sum(losses)
            variables = self._network.trainable_variables
            self._optimizer.apply(tape.gradient(loss, variables), variables)
            return step + 1, total + losses

        started = tf.constant(0), tf.zeros(self.count)
        _, total = tf.while_loop(lambda step, _: step < full, train, started)
        return total

    def outputs(self, x: np.ndarray) -> tf.Tensor:
        """Return the outputs of every member, shape (n_members, n_rows, n_outputs)."""
        # Of few shapes, each of which is traced once.
        rows = np.zeros((1 << (len(x) - 1).bit_length(), x.shape[1]), np.float32)
        rows[: len(x)] = x
        return self._outputs(tf.constant(rows))[:, : len(x)]

    @tf.function(autograph=False)
    def _outputs(self, x: tf.Tensor) -> tf.Tensor:
        everywhere = tf.broadcast_to(x, (self.count, *x.shape))
        return self._network(everywhere, training=False)
