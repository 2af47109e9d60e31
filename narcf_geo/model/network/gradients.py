"""Which features a flux comes from: integrated gradients of networks, in plain numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from narcf_geo.core.errors import NarcfError
from narcf_geo.model.network.network import Network

TOLERANCE = 1e-5
"""What the contributions of a row may lack to their sum, of its flux or umol m-2 s-1."""

_STEPS = (256, 4096)
"""Along a path on which no gradient jumps: at first, and for rows that do not add up."""

_ROWS = 2**10
"""Rows that are worked on together."""

_BEYOND = 1e-9
"""How far behind a kink of the path, whose length is 1, the next piece begins."""


def integrated_gradients(networks: Sequence[Network], x: np.ndarray) -> np.ndarray:
    """Return what each feature adds to the flux of rows, on the way from their mean.

    Gradients are averaged along the straight line from the baseline to the row, and multiplied by
    its length in each feature (Sundararajan et al. 2017, arXiv:1703.01365): the contributions add
    up to the flux less that of the baseline. The baseline is the mean of the training rows, which
    a network takes off its features; a missing feature lies on it and adds nothing.

    Parameters
    ----------
    networks : sequence of Network
        Members, of which the flux is the mean.
    x : numpy.ndarray
        Features, shape (n_rows, n_features).

    Returns
    -------
    numpy.ndarray
        Shape (n_rows, n_features), umol m-2 s-1, float64.

    Raises
    ------
    NarcfError
        When the contributions do not add up, as a network of unknown layers may have it.
    """
    total = np.zeros(x.shape)
    for network in networks:
        away = np.nan_to_num(x.astype(np.float64) - network.mean)
        total += _of_network(network, away)
    return total / len(networks)


def _of_network(network: Network, away: np.ndarray) -> np.ndarray:
    """Return the contributions of rows whose features, less the baseline, are `away`."""
    wanted = gradient(network, away)[0] - gradient(network, np.zeros((1, away.shape[1])))[0]
    found, lacks = np.empty(away.shape), np.full(len(away), np.inf)
    kinked = any(layer.activation == "relu" for layer in network.layers)
    for steps in (0,) if kinked else _STEPS:
        todo = np.flatnonzero(lacks > TOLERANCE)
        for start in range(0, todo.size, _ROWS):
            rows = todo[start : start + _ROWS]
            way = away[rows]
            slope = _over_steps(network, way, steps) if steps else _over_pieces(network, way)
            found[rows] = way * slope
        lacks = np.abs(found.sum(axis=1) - wanted) / np.maximum(1.0, np.abs(wanted))
    if lacks.max(initial=0.0) > TOLERANCE:
        raise NarcfError(
            f"expected contributions that add up to the flux, found {lacks.max():.2g} of it "
            "missing; are the features of a row far outside those of the training?"
        )
    return found


def _over_pieces(network: Network, away: np.ndarray) -> np.ndarray:
    """Return the mean gradient (row, feature) from the baseline to rows, exactly.

    Between two kinks of its units the flux is linear along the path: from each kink on, the next
    one is where a unit first changes, as its value and its rate say.
    """
    total, at = np.zeros(away.shape), np.zeros(len(away))
    todo = np.arange(len(away))
    while todo.size:
        rate = away[todo]
        value = at[todo, None] * rate
        slopes, ahead = [], np.full(todo.size, 1.0)
        for layer in network.layers:
            kernel = layer.kernel.astype(np.float64)
            value, rate = value @ kernel + layer.bias, rate @ kernel
            slope = np.ones_like(value)
            if layer.activation == "relu":
                slope = (value > 0).astype(np.float64)
                far = np.full_like(value, np.inf)
                np.divide(-value, rate, out=far, where=(value > 0) == (rate < 0))
                far[far <= 0] = np.inf
                ahead = np.minimum(ahead, far.min(axis=1))
                value, rate = value * slope, rate * slope
            slopes.append(slope)
        end = np.minimum(at[todo] + ahead + _BEYOND, 1.0)
        total[todo] += (end - at[todo])[:, None] * _backward(network, slopes)
        at[todo] = end
        todo = todo[end < 1.0]
    return total


def _over_steps(network: Network, away: np.ndarray, steps: int) -> np.ndarray:
    """Return the mean gradient (row, feature) from the baseline to rows, at the middle of steps."""
    total = np.zeros(away.shape)
    for step in range(steps):
        total += gradient(network, away * ((step + 0.5) / steps))[1]
    return total / steps


def gradient(network: Network, away: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the flux (row,) and its gradient (row, feature) at features less the baseline."""
    values, slopes = away, []
    for layer in network.layers:
        values = values @ layer.kernel.astype(np.float64) + layer.bias
        values, slope = _ACTIVATIONS[layer.activation](values)
        slopes.append(slope)
    return values[:, 0], _backward(network, slopes)


def _backward(network: Network, slopes: Sequence[np.ndarray]) -> np.ndarray:
    """Return the gradient (row, feature) of the flux from the slope (row, unit) of each layer."""
    back = np.zeros_like(slopes[-1])
    back[:, 0] = 1.0
    for layer, slope in zip(reversed(network.layers), reversed(slopes), strict=True):
        back = (back * slope) @ layer.kernel.astype(np.float64).T
    return back


def _relu(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.maximum(v, 0.0), (v > 0).astype(np.float64)


def _sigmoid(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.special import expit

    value = expit(v)
    return value, value * (1 - value)


def _tanh(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    value = np.tanh(v)
    return value, 1 - value**2


_ACTIVATIONS = {
    "relu": _relu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "linear": lambda v: (v, np.ones_like(v)),
}
