"""Engines that apply the network of the preset narcf, each in a process of its own.

`predict.py kernel` starts them and asks them in turn.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from measure import extra_mib, peak_mib, serve, status_mib, timed

MONTHS, LAT, LON = 10, 250, 400
ROWS = MONTHS * LAT * LON
PREDICTORS = 10
MEMBERS = 5
DEFAULT_ROWS = 100_000
"""Of them, those given to `model.predict` in batches of 32, which takes a minute for all."""

BATCHES = (2048, 8192, 32768, 131072)


@dataclass(frozen=True)
class Work:
    """What an engine does at a time: its `amount` of rows or flop, and what it returned.

    `warm` is the same on little, so that nothing is compiled or loaded while memory is measured;
    `before` is the memory held (MiB) before all rows were seen, where that was earlier.
    """

    run: Callable[[], Any]
    amount: float
    warm: Callable[[], Any]
    note: str = ""
    before: float | None = None


Engine = Callable[[Path, np.ndarray, int], Work]
ENGINES: dict[str, Engine] = {}


def engine(function: Engine) -> Engine:
    ENGINES[function.__name__] = function
    return function


def write_case(folder: Path) -> None:
    """Write a model with a normalisation that matters, rows, and what Keras predicts for them."""
    from fine_cube import write_bundle

    rng = np.random.default_rng(1)
    # Pascal, kelvin, W m-2, kg m-2 s-1 and indices: means far from 0 and scales far apart.
    mean = np.array([1e5, 280, 200, 3e-5, 0.4, 0.2, 0.5, 300, 0.01, 2, *[0.05] * 18], np.float32)
    std = np.array([9e2, 12, 90, 2e-5, 0.2, 0.1, 0.4, 60, 4e-3, 1, *[0.2] * 18], np.float32)
    model = write_bundle(folder, MEMBERS, mean=mean, std=std)
    x = mean + std * rng.standard_normal((MONTHS, LAT, LON, mean.size), dtype=np.float32)
    x[..., PREDICTORS:] = x[0, ..., PREDICTORS:]
    x = x.reshape(ROWS, -1)
    np.save(folder / "x.npy", x)
    keras_model = _keras(model)
    np.save(folder / "expected.npy", keras_model.predict(x, batch_size=32768, verbose=0)[:, 0])


def _keras(model: Path) -> Any:
    import keras

    return keras.saving.load_model(model / "member_0.keras")


def flop_per_row(model: Path) -> int:
    """Multiplications and additions of the products of one member."""
    from narcf_geo.model.network.network import Network

    network = Network.load(model / "member_0.keras")
    return sum(2 * layer.kernel.size for layer in network.layers)


@engine
def predict_default(model: Path, x: np.ndarray, cores: int) -> Work:
    keras_model = _keras(model)
    part = x[:DEFAULT_ROWS]
    return Work(
        lambda: keras_model.predict(part, verbose=0)[:, 0],
        len(part),
        lambda: keras_model.predict(x[:64], verbose=0),
    )


@engine
def predict_best(model: Path, x: np.ndarray, cores: int) -> Work:
    keras_model = _keras(model)

    def run(batch: int) -> np.ndarray:
        return keras_model.predict(x, batch_size=batch, verbose=0)[:, 0]

    keras_model.predict(x[:64], verbose=0)
    before = status_mib("VmRSS")
    times = {batch: timed(lambda batch=batch: run(batch))["wall"] for batch in BATCHES}
    best = min(times, key=lambda batch: times[batch])
    return Work(lambda: run(best), len(x), lambda: None, f"batch {best}", before)


@engine
def onnx_runtime(model: Path, x: np.ndarray, cores: int) -> Work:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    from narcf_geo.model.network.network import Network

    network = Network.load(model / "member_0.keras")
    constants = {"mean": network.mean}
    nodes = [helper.make_node("Sub", ["x", "mean"], ["h0"])]
    last = "h0"
    for k, layer in enumerate(network.layers, start=1):
        constants |= {f"w{k}": layer.kernel, f"b{k}": layer.bias}
        nodes.append(helper.make_node("Gemm", [last, f"w{k}", f"b{k}"], [f"g{k}"]))
        last = f"g{k}"
        if layer.activation == "relu":
            nodes.append(helper.make_node("Relu", [last], [f"h{k}"]))
            last = f"h{k}"
    graph = helper.make_graph(
        nodes,
        "narcf",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, x.shape[1]])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(proto)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def run(rows: np.ndarray, batch: int) -> np.ndarray:
        out = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), batch):
            part = slice(start, start + batch)
            out[part] = session.run(None, {"x": rows[part]})[0][:, 0]
        return out

    batches = (512, 2048, 8192, 32768)
    run(x[:32768], 32768)
    times = {b: timed(lambda b=b: run(x[: len(x) // 4], b))["wall"] for b in batches}
    best = min(times, key=lambda b: times[b])
    return Work(lambda: run(x, best), len(x), lambda: run(x[:best], best), f"batch {best}")


@engine
def network(model: Path, x: np.ndarray, cores: int) -> Work:
    from narcf_geo.model.network.network import Network
    from narcf_geo.model.network.threads import one_blas_thread

    chain = Network.load(model / "member_0.keras")

    def run() -> np.ndarray:
        with one_blas_thread(), ThreadPoolExecutor(cores) as pool:
            parts = np.array_split(x, cores)
            return np.concatenate(list(pool.map(chain, parts)))[:, 0]

    return Work(run, len(x), lambda: chain(x[:1000]))


@engine
def ensemble(model: Path, x: np.ndarray, cores: int) -> Work:
    """Five members with their mean, spread and noise; rows of a member are counted."""
    from narcf_geo.model.bundle import Bundle
    from narcf_geo.model.network.threads import one_blas_thread

    members = Bundle.load(model).ensemble
    slabs = [x[start : start + 16384] for start in range(0, len(x), 16384)]

    def run() -> None:
        with one_blas_thread(), ThreadPoolExecutor(cores) as pool:
            for _ in pool.map(members.estimate, slabs):
                pass

    return Work(run, len(x) * MEMBERS, lambda: members.estimate(x[:1000]))


@engine
def block(model: Path, x: np.ndarray, cores: int) -> Work:
    """What a dask task does once it has read: gather, apply one member, scatter six fields."""
    from dataclasses import replace

    from narcf_geo.model.bundle import Bundle
    from narcf_geo.prediction.block import Predictor

    bundle = Bundle.load(model)
    first = dict(list(bundle.information["members"].items())[:1])
    predictor = Predictor(replace(bundle, information={**bundle.information, "members": first}))
    cube = x.reshape(MONTHS, LAT, LON, -1)
    predictors = [np.ascontiguousarray(cube[..., k]) for k in range(PREDICTORS)]
    static = np.moveaxis(np.ascontiguousarray(np.moveaxis(cube[0, ..., PREDICTORS:], -1, 0)), 0, -1)
    land = np.ones((LAT, LON), bool)

    def some(months: slice) -> np.ndarray:
        parts = [p[months] for p in predictors]
        return predictor.block(len(parts[0]), land, static, parts)[0].ravel()

    def run() -> np.ndarray:
        with ThreadPoolExecutor(cores) as pool:
            edges = np.linspace(0, MONTHS, cores + 1).astype(int)
            months = [slice(a, b) for a, b in pairwise(edges)]
            return np.concatenate(list(pool.map(some, months)))

    return Work(run, len(x), lambda: some(slice(0, 1)))


@engine
def sgemm(model: Path, x: np.ndarray, cores: int) -> Work:
    """The BLAS that the network calls, 2048 x 2048 x 2048."""
    from scipy.linalg.blas import sgemm as product

    a = np.asfortranarray(x.ravel()[: 2048**2].reshape(2048, 2048))
    c = np.zeros_like(a)
    return Work(
        lambda: product(1, a, a, 0, c, overwrite_c=1),
        2.0 * 2048**3,
        lambda: product(1, a[:64, :64], a[:64, :64]),
    )


@engine
def numpy_sgemm(model: Path, x: np.ndarray, cores: int) -> Work:
    a = x.ravel()[: 2048**2].reshape(2048, 2048)
    c = np.zeros_like(a)
    return Work(lambda: np.matmul(a, a, out=c), 2.0 * 2048**3, lambda: a[:64] @ a)


@engine
def layer_products(model: Path, x: np.ndarray, cores: int) -> Work:
    """The products of the layers alone, in blocks of rows as the network has them."""
    import numba as nb

    from narcf_geo.model.network.chain import BLOCK_ROWS
    from narcf_geo.model.network.network import Network

    @nb.njit(nogil=True)
    def repeat(a: Any, b: Any, c: Any, times: Any) -> None:
        for _ in range(times):
            np.dot(a, b, c)

    chain = Network.load(model / "member_0.keras")
    operands = [
        (
            np.ascontiguousarray(layer.kernel.T),
            np.full((len(layer.kernel), BLOCK_ROWS), 0.1, np.float32),
            np.empty((layer.bias.size, BLOCK_ROWS), np.float32),
        )
        for layer in chain.layers
    ]
    times = 4000

    def run(times: int = times) -> None:
        for a, b, c in operands:
            repeat(a, b, c, times)

    flop = 2.0 * BLOCK_ROWS * sum(layer.kernel.size for layer in chain.layers)
    return Work(run, flop * times, lambda: run(1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engine", choices=["write_case", *ENGINES])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cores", type=int, default=1)
    options = parser.parse_args()
    if options.engine == "write_case":
        write_case(options.folder)
        print(json.dumps({"flop": flop_per_row(options.folder / "model")}))
        return
    if options.engine == "onnx_runtime" and not (
        importlib.util.find_spec("onnx") and importlib.util.find_spec("onnxruntime")
    ):
        serve({"skipped": "onnx and onnxruntime are not installed"}, dict)
        return
    if options.cores == 1:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    x = np.load(options.folder / "x.npy")
    work = ENGINES[options.engine](options.folder / "model", x, options.cores)
    work.warm()
    found: list[Any] = []
    peak = peak_mib()
    extra = extra_mib(lambda: found.append(work.run()))
    if work.before:
        extra = peak - work.before
    first: dict[str, Any] = {"amount": work.amount, "note": work.note, "extra_mib": extra}
    if isinstance(found[0], np.ndarray) and found[0].ndim == 1:
        expected = np.load(options.folder / "expected.npy")[: len(found[0])]
        first["error"] = float(np.abs(found[0] - expected).max())
        first["std"] = float(expected.std())
    found.clear()
    serve(first, lambda: timed(work.run))


if __name__ == "__main__":
    main()
