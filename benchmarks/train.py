"""Time of training on the sample: to the loss of the article's loop, and of the preset best.

    python benchmarks/train.py [--epochs N] [--seeds N]

The article's loop is `model.fit` on numpy arrays: the network of the preset narcf, Adam, mean
absolute error, batches of 256, all else the defaults of Keras. Ours is the Trainer with the same
network, loss and batches: once with the same constant learning rate, which compares the two
programs, once with the schedule of the preset best (a cosine from 2e-3) over half the epochs, which
is how one would train. For each seed the loop runs N epochs; then it is measured when each first
had the best validation loss of the loop, in wall seconds from the untrained network to then,
compilation included, imports not. Each training is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from measure import once, peak_mib, table

RUNS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {}


class Reached(Exception):
    """The loss that was to be reached."""


def run(function: Callable[[argparse.Namespace], dict[str, Any]]) -> Callable:
    """Register what is run in a process of its own."""
    RUNS[function.__name__] = function
    return function


@run
def prepare(options: argparse.Namespace) -> dict[str, Any]:
    """Make the project of the sample as far as its cube."""
    from narcf_geo import workflow as pipeline
    from narcf_geo.model.fit import tabulate
    from narcf_geo.model.samples.splits import splits_of
    from narcf_geo.project.init import init_project
    from narcf_geo.project.project import Project, open_cube

    init_project(options.folder / "sample", sample=True)
    project = Project.open(options.folder / "sample")
    for _ in pipeline.run(project, "cube"):
        pass
    rows = tabulate(open_cube(project), project.settings)
    (split,) = splits_of(project.settings.split, rows, project.settings.seed)
    np.savez(
        options.folder / "table.npz",
        x=rows.x,
        y=rows.y,
        area=rows.area,
        train=split.train,
        validation=split.validation,
    )
    return {"rows": split.train.size, "features": rows.x.shape[1]}


@run
def article(options: argparse.Namespace) -> dict[str, Any]:
    """Train by `model.fit`."""
    from narcf_geo.model.network.stack import build, keras
    from narcf_geo.project.presets import PRESETS

    given = np.load(options.folder / "table.npz")
    x, y, train, validation = (given[name] for name in ("x", "y", "train", "validation"))
    mean, std = np.nanmean(x[train], axis=0), np.nanstd(x[train], axis=0)
    x = np.nan_to_num((x - mean) / np.where(std > 0, std, 1)).astype(np.float32)
    parts = x[train], y[train]
    held_out = x[validation], y[validation]
    keras.utils.set_random_seed(options.seed)
    seconds: list[float] = []
    start = time.perf_counter()
    model = build(PRESETS["narcf"], x.shape[1])
    model.compile(optimizer="adam", loss="mae")
    history = model.fit(
        *parts,
        batch_size=256,
        epochs=options.epochs,
        validation_data=held_out,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: seconds.append(time.perf_counter() - start)
            )
        ],
    )
    losses = [float(loss) for loss in history.history["val_loss"]]
    return {"seconds": seconds, "losses": losses, "peak_mib": peak_mib()}


@run
def trainer(options: argparse.Namespace) -> dict[str, Any]:
    """Train as narcf-geo does."""
    from narcf_geo.model.network.training import Trainer
    from narcf_geo.project.presets import PRESETS

    given = np.load(options.folder / "table.npz")
    x, y, area, train, validation = (
        given[name] for name in ("x", "y", "area", "train", "validation")
    )
    seconds: list[float] = []
    losses: list[float] = []
    start = time.perf_counter()

    def on_epoch(epoch: int, loss: float, validation: float) -> None:
        seconds.append(time.perf_counter() - start)
        losses.append(validation)
        if validation <= options.loss:
            raise Reached

    plan = replace(PRESETS["narcf"], epochs=options.epochs)
    if options.schedule == "cosine":
        best = PRESETS["best"]
        plan = replace(plan, schedule=best.schedule, learning_rate=best.learning_rate)
    with suppress(Reached):
        Trainer(plan, x, y, area).fit(train, validation, [options.seed], on_epoch)
    return {"seconds": seconds, "losses": losses, "peak_mib": peak_mib()}


@run
def best(options: argparse.Namespace) -> dict[str, Any]:
    """Train the preset best, and all that goes with a bundle."""
    from narcf_geo.model.fit import fit_bundle
    from narcf_geo.project.project import Project, open_cube

    project = Project.open(options.folder / "sample")
    last = [0.0]
    start = time.perf_counter()

    def progress(done: int, total: int, text: str) -> None:
        last[0] = time.perf_counter() - start

    fit_bundle(open_cube(project), project.settings, options.folder / "model", progress)
    return {
        "members": last[0],
        "seconds": time.perf_counter() - start,
        "peak_mib": peak_mib(),
    }


@run
def products(options: argparse.Namespace) -> dict[str, Any]:
    """Compare batches of `best` with a product of large matrices, in turn, as the load varies."""
    from narcf_geo.model.network.members import Members
    from narcf_geo.model.network.stack import tf
    from narcf_geo.project.presets import PRESETS

    recipe, features = PRESETS["best"], 29
    rng = np.random.default_rng(0)
    shape = (64, recipe.members, recipe.batch_size)
    x = rng.standard_normal((*shape, features), dtype=np.float32)
    y = rng.standard_normal(shape, dtype=np.float32)
    large = rng.standard_normal((2048, 2048), dtype=np.float32)
    together = Members(recipe, features, recipe.members)
    alone = Members(recipe, features, 1)
    together.start(range(recipe.members))
    alone.start([0])

    def timed(function: Callable[[], object]) -> tuple[float, float]:
        start = time.perf_counter(), time.process_time()
        function()
        return time.perf_counter() - start[0], time.process_time() - start[1]

    def batches(members: Members, first: int) -> None:
        part = slice(first, first + members.count)
        members.run(tf.constant(x[:, part]), tf.constant(y[:, part]), tf.constant(64))

    works: dict[str, Callable[[], object]] = {
        "together": lambda: batches(together, 0),
        "alone": lambda: [batches(alone, k) for k in range(recipe.members)],
        "sgemm": lambda: large @ large,
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for turn in range(31):
        for name, work in works.items():
            once = timed(work)
            if turn:
                seconds[name].append(once)
    widths = (features, *recipe.hidden, recipe.n_outputs)
    weights = sum(a * b for a, b in pairwise(widths))
    # Forward, and backward to weights and to inputs but for those of the first layer.
    flops = 2 * recipe.batch_size * (3 * weights - widths[0] * widths[1])
    found: dict[str, Any] = {}
    for column, kind in enumerate(("wall", "CPU")):
        for how in (min, statistics.median):
            taken = {name: how(t[column] for t in times) for name, times in seconds.items()}
            peak = 2 * 2048**3 / taken["sgemm"]
            for name in ("together", "alone"):
                each = taken[name] / 64 / recipe.members
                label = f"{name}, {kind}, {how.__name__}"
                found[label] = (1e3 * each, 100 * flops / each / peak)
    return found


def reached(training: dict[str, Any], loss: float) -> float:
    """Seconds until the validation loss was first no more than `loss`; infinite if it never was."""
    both = zip(training["seconds"], training["losses"], strict=True)
    return next((seconds for seconds, found in both if found <= loss), float("inf"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=20, help="of the article's loop")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--run", choices=RUNS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--loss", type=float, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--schedule", default="constant", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(RUNS[options.run](options)))
        return
    with tempfile.TemporaryDirectory() as folder:

        def process(name: str, **given: Any) -> dict[str, Any]:
            named = [text for key, value in given.items() for text in (f"--{key}", value)]
            return once([__file__, "--run", name, "--folder", folder, *named])

        size = process("prepare")
        rows: list[tuple] = []
        most = {"constant": 2 * options.epochs, "cosine": options.epochs // 2}
        ratios: dict[str, list[float]] = {schedule: [] for schedule in most}
        for seed in range(options.seeds):
            loop = process("article", epochs=options.epochs, seed=seed)
            loss = min(loop["losses"])
            runs = {"model.fit": loop}
            for schedule, epochs in most.items():
                runs[schedule] = process(
                    "trainer", epochs=epochs, seed=seed, loss=loss, schedule=schedule
                )
                ratios[schedule].append(reached(loop, loss) / reached(runs[schedule], loss))
            for name, one in runs.items():
                ratio = None if name == "model.fit" else ratios[name][-1]
                epoch = 1 + int(np.argmin(one["losses"]))
                each = statistics.median(np.diff(one["seconds"]))
                rows.append((f"seed {seed}, {name}", loss, reached(one, loss), epoch, each, ratio))
        table(
            f"Preset narcf, {size['rows']:,} rows of {size['features']} features: "
            f"seconds to the best validation loss of {options.epochs} epochs of model.fit",
            ("", "loss", "seconds", "epochs", "s/epoch", "faster"),
            rows,
        )
        for schedule, found in ratios.items():
            print(f"  {schedule}: median ratio {statistics.median(found):.2f}")
        table(
            "A batch of 256 of the preset best, 29 features, 5 members",
            ("", "ms a member", "% of sgemm"),
            [(name, *values) for name, values in process("products").items()],
        )
        found = process("best")
        table(
            "Preset best, 5 members, on the sample",
            ("", "seconds", "peak MiB"),
            [
                ("members trained", found["members"], None),
                ("with calibration, held-out errors, bundle", found["seconds"], found["peak_mib"]),
            ],
        )


if __name__ == "__main__":
    main()
