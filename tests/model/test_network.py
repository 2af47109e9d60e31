"""The compiled chain is what Keras computes, whatever the rows, their order and the threads."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from narcf_geo.model.network.chain import BLOCK_ROWS
from narcf_geo.model.network.network import Network
from narcf_geo.model.network.threads import _controller, one_blas_thread

# Pascal, kelvin, kg m-2 s-1, an index: means far from 0, scales far apart.
MEAN = np.array([1e5, 285, 3e-5, 0.4], np.float32)
STD = np.array([8e2, 10, 2e-5, 0.2], np.float32)


def keras_model(kind: str) -> Any:
    """Return an untrained network with weights and statistics that are all other than 0 and 1."""
    import keras

    keras.utils.set_random_seed(5)
    dense, normalize = keras.layers.Dense, keras.layers.BatchNormalization
    hidden = {
        "relu": [dense(50, "relu"), dense(100, "relu")],
        "sigmoid": [dense(15, "sigmoid")],
        "tanh": [dense(33, "tanh"), dense(7, "relu")],
        "batch_normalization": [dense(20, "relu"), normalize(), dense(20, "relu"), normalize()],
        "linear": [],
    }[kind]
    layers = [keras.Input((4,)), keras.layers.Normalization(mean=MEAN, variance=STD**2), *hidden]
    model = keras.Sequential([*layers, dense(2 if kind == "tanh" else 1)])
    rng = np.random.default_rng(2)
    for layer in model.layers[1:]:
        weights = [w + rng.uniform(0.05, 0.3, w.shape) for w in layer.get_weights()]
        layer.set_weights(weights)
    return model


@pytest.fixture(scope="module", params=["relu", "sigmoid", "tanh", "batch_normalization", "linear"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Network, Any]:
    """A network and the model it was read from."""
    model = keras_model(request.param)
    path = tmp_path_factory.mktemp(request.param) / "m.keras"
    model.save(path)
    return Network.load(path), model


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A network whose products are large enough for BLAS to share them among threads."""
    path = tmp_path_factory.mktemp("wide") / "m.keras"
    keras_model("relu").save(path)
    network = Network.load(path)
    rng = np.random.default_rng(0)
    first, second, last = network.layers
    return replace(
        network,
        layers=(
            replace(
                first,
                kernel=rng.normal(size=(4, 1500)).astype(np.float32),
                bias=np.zeros(1500, np.float32),
            ),
            replace(
                second,
                kernel=rng.normal(size=(1500, 1500)).astype(np.float32),
                bias=np.zeros(1500, np.float32),
            ),
            replace(last, kernel=np.ones((1500, 1), np.float32)),
        ),
    )


def rows(n: int) -> np.ndarray:
    return MEAN + STD * np.random.default_rng(n).standard_normal((n, 4), dtype=np.float32)


@pytest.mark.parametrize("n", [1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 1000])
def test_it_is_what_keras_predicts(both: tuple[Network, Any], n: int) -> None:
    network, model = both
    x = rows(n)
    expected = model.predict(x, verbose=0)
    tolerance = 1e-5 * max(1, np.abs(expected).max())
    found = network(x)
    assert found.shape == (n, network.n_outputs)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    if n == 1000:
        assert expected.std() > 1e3 * tolerance
        # The control: a bias of the first layer that is off by little.
        first, *others = network.layers
        off = replace(network, layers=(replace(first, bias=first.bias + 1e-3), *others))
        assert np.abs(off(x) - expected).max() > tolerance


def test_order_in_memory_and_type_do_not_matter(both: tuple[Network, Any]) -> None:
    network, _ = both
    x = rows(500)
    expected = network(x)
    wider = np.zeros((500, 8), np.float32)
    wider[:, ::2] = x
    fixed = x.copy()
    fixed.flags.writeable = False
    for other in (np.asfortranarray(x), wider[:, ::2], fixed, x.astype(np.float64)):
        np.testing.assert_array_equal(network(other), expected)


def test_a_missing_feature_is_the_mean_and_nothing_else_is(both: tuple[Network, Any]) -> None:
    network, _ = both
    x = rows(300)
    holed, filled = x.copy(), x.copy()
    holed[::3, 1], filled[::3, 1] = np.nan, network.mean[1]
    np.testing.assert_array_equal(network(holed), network(filled))
    assert not np.array_equal(network(holed)[::3], network(x)[::3])


def test_threads_share_a_network_and_not_its_buffers(both: tuple[Network, Any]) -> None:
    network, _ = both
    parts = [rows(2000 + k) for k in range(8)]
    expected = [network(part) for part in parts]
    with one_blas_thread(), ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for found, alone in zip(pool.map(network, parts), expected, strict=True):
                np.testing.assert_array_equal(found, alone)


def busy_elsewhere(network: Network, x: np.ndarray) -> float:
    """Return the CPU time of other threads, relative to that of the thread that calls."""
    everywhere, here = time.process_time(), time.thread_time()
    network(x)
    here = time.thread_time() - here
    return (time.process_time() - everywhere - here) / here


def test_blas_starts_no_thread_of_its_own(wide: Network) -> None:
    x = rows(3000)
    network = wide
    with _controller().limit(limits=2, user_api="blas"):
        network(x)
        shared = min(busy_elsewhere(network, x) for _ in range(3))
        with one_blas_thread():
            network(x)
            alone = min(busy_elsewhere(network, x) for _ in range(3))
    assert alone < 0.1
    if shared < 0.3:
        pytest.skip("this BLAS has one thread in any case")
