"""Speed and memory of prediction: the kernel, what dask adds, scaling, growth, a long cube.

    python benchmarks/predict.py kernel|dask|scaling|growth|forty|all [--rounds N] [--folder DIR]

Every engine is a process of its own, and the processes of a table are asked in turn, several rounds
of them, so that other work on the machine meets all alike; the tables show medians. What runs on
one core is pinned to it and timed in CPU seconds, the rest in wall seconds. Temporary cubes, up to
10 GB, are removed at the end.

ONNX Runtime takes part where it is installed (pip install onnx onnxruntime).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from cost import Parts, Work
from measure import Served, once, table

HERE = Path(__file__).parent
CORES = len(os.sched_getaffinity(0))
TOLERANCE = 1e-5

LABELS = {
    "predict_default": "model.predict, batch 32",
    "predict_best": "model.predict, best batch",
    "onnx_runtime": "ONNX Runtime, best batch",
    "network": "narcf_geo, network",
    "ensemble": "narcf_geo, 5 members and their spread (1)",
    "block": "narcf_geo, gather, network, scatter (2)",
    "layer_products": "products of the layers alone",
    "sgemm": "sgemm 2048 x 2048 x 2048",
    "numpy_sgemm": "numpy's sgemm, same",
}


def kernel(folder: Path, rounds: int) -> None:
    flop = once([HERE / "engines.py", "write_case", folder])["flop"]
    for cores in sorted({1, CORES}):
        names = [name for name in LABELS if cores == 1 or name != "layer_products"]
        served = {
            name: Served([HERE / "engines.py", name, folder, "--cores", cores], cores)
            for name in names
        }
        for name in names:
            if why := served[name].first.get("skipped"):
                print(f"skipped: {LABELS[name]} ({why})")
                served.pop(name).close()
        for _ in range(rounds):
            for engine in served.values():
                engine.again()
        clock = "cpu" if cores == 1 else "wall"
        speed = {n: s.first["amount"] / s.median(clock) for n, s in served.items()}
        roof = speed["sgemm"]
        rows = []
        for name, engine in served.items():
            is_products = name in ("sgemm", "numpy_sgemm", "layer_products")
            reached = speed[name] if is_products else speed[name] * flop
            rows.append(
                (
                    f"{LABELS[name]} {engine.first['note'].removeprefix('batch')}",
                    None if is_products else speed[name] / 1e3,
                    None if is_products else speed[name] / speed["predict_default"],
                    reached / 1e9,
                    reached / roof,
                    None if is_products else engine.first["extra_mib"],
                    engine.first.get("error"),
                )
            )
            engine.close()
        where = "one core, CPU time" if cores == 1 else f"{cores} cores, wall time"
        table(
            f"1e6 rows of 28 features, preset narcf ({flop / 1e3:.1f} kflop a row), {where}",
            ("", "krow/s", "x default", "GFLOP/s", "of sgemm", "MiB beyond", "error (3)"),
            rows,
        )
        for name in ("network", "block"):
            error, std = (served[name].first[key] for key in ("error", "std"))
            if not error <= TOLERANCE < std:
                raise SystemExit(f"{name}: differs from model.predict by {error} (std {std})")
    print(
        "\n  (1) rows of a member. (2) six fields, one member. (3) largest difference to"
        "\n  model.predict; memory is beyond the input and the engine ready to run."
    )


def write(folder: Path, name: str, months: int, every: int = 1) -> tuple[Path, int]:
    """Write a cube; return its path and its land cell-months."""
    path = folder / f"{name}.zarr"
    command = [HERE / "stores.py", "write", folder, "--cube", path]
    return path, once([*command, "--months", months, "--every", every])["rows"]


def write_model(folder: Path, name: str, bundle: str) -> Path:
    path = folder / name / "model"
    once([HERE / "stores.py", "write", folder, "--model", path, "--bundle", bundle])
    return path


def start(
    folder: Path, pool: str, cube: Path, model: Path, count: int = 1, one_core: bool = False
) -> Served:
    command = [HERE / "stores.py", pool, folder, "--cube", cube, "--model", model]
    return Served([*command, "--count", count, *(["--one-core"] if one_core else [])])


def in_turn(served: dict[str, Served], rounds: int) -> None:
    for _ in range(rounds):
        for one in served.values():
            one.again()
    for one in served.values():
        one.close()


def dask(folder: Path, rounds: int) -> None:
    write(folder, "warm", 2, 4)
    cube, rows = write(folder, "cube", 12)
    model = write_model(folder, "narcf", "{}")

    open_cube = {name: start(folder, name, cube, model, one_core=True) for name in ("loop", "dask")}
    in_turn(open_cube, 2 * rounds + 1)
    loop, by_dask = (open_cube[name].median("cpu") for name in ("loop", "dask"))
    table(
        f"Two months in memory, {rows / 6e6:.1f} million rows, one core, CPU time",
        ("", "seconds", "ratio"),
        [
            ("block kernel in a loop", loop, 1.0),
            ("the same blocks by dask, with the graph", by_dask, by_dask / loop),
        ],
    )
    runs = {
        "loop": start(folder, "plain", cube, model, one_core=True),
        "dask, one thread": start(folder, "threads", cube, model, one_core=True),
        "dask, one worker": start(folder, "workers", cube, model, one_core=True),
    }
    in_turn(runs, rounds)
    whole = runs["loop"].median("cpu")
    parts = Parts.median(runs["loop"].times)
    table(
        f"12 months on disk, {rows / 1e6:.1f} million rows, one core, CPU time",
        ("", "seconds", "ratio", "ns/row"),
        [
            (name, one.median("cpu"), one.median("cpu") / whole, one.median("cpu") / rows * 1e9)
            for name, one in runs.items()
        ]
        + [
            (f"of the loop: {name}", seconds, seconds / whole, seconds / rows * 1e9)
            for name, seconds in parts.described().items()
        ],
    )
    pools = {
        f"{name}, {CORES} threads": start(folder, kind, cube, model, CORES)
        for name, kind in (("no dask", "plain"), ("dask", "threads"))
    }
    in_turn(pools, rounds)
    first = next(iter(pools.values())).median("wall")
    table(
        f"12 months on disk, {CORES} threads, wall time",
        ("", "seconds", "ratio", "krow/s"),
        [
            (name, one.median("wall"), one.median("wall") / first, rows / one.median("wall") / 1e3)
            for name, one in pools.items()
        ],
    )


def scaling(folder: Path, rounds: int) -> None:
    write(folder, "warm", 2, 4)
    cube, rows = write(folder, "cube", 12)
    model = write_model(folder, "narcf", "{}")
    runs = {
        "1 worker": start(folder, "workers", cube, model),
        "1 worker, all on one core": start(folder, "workers", cube, model, one_core=True),
        "2 workers": start(folder, "workers", cube, model, 2),
    }
    in_turn(runs, rounds)
    two = runs["2 workers"].median("wall")
    table(
        f"Strong scaling, 12 months on disk, {rows / 1e6:.1f} million rows, wall time",
        ("", "seconds", "2 workers are", "CPU seconds"),
        [
            (name, one.median("wall"), f"{one.median('wall') / two:.2f}x", one.median("cpu"))
            for name, one in runs.items()
        ],
    )


def growth(folder: Path, rounds: int) -> None:
    write(folder, "warm", 2, 4)
    model = write_model(folder, "narcf", "{}")
    base = 24  # long enough for what is done once not to count
    cubes = {n: write(folder, f"cube{n}", n, 2) for n in (base, 4 * base, 16 * base)}
    runs = {n: start(folder, "threads", cube, model, CORES) for n, (cube, _) in cubes.items()}
    in_turn({str(n): run for n, run in runs.items()}, rounds)
    wall, cpu = (runs[base].median(clock) for clock in ("wall", "cpu"))
    table(
        f"Growth with the months, 0.1 degree, dask with {CORES} threads",
        ("months", "rows", "wall s", "over linear", "CPU s", "over linear", "peak MiB"),
        [
            (
                str(n),
                f"{cubes[n][1]:,}",
                run.median("wall"),
                run.median("wall") / (wall * n / base),
                run.median("cpu"),
                run.median("cpu") / (cpu * n / base),
                max(max(t["peak_mib"]) for t in run.times),
            )
            for n, run in runs.items()
        ],
    )


def forty(folder: Path, rounds: int) -> None:
    write(folder, "warm", 2, 4)
    short, rows = write(folder, "cube", 12)
    models = {
        "narcf": write_model(folder, "narcf", "{}"),
        "measured": write_model(folder, "measured", '{"prototypes": 2000}'),
        "best": write_model(folder, "best", '{"preset": "best", "members": 5, "prototypes": 2000}'),
    }
    runs = {
        name: start(folder, "plain", short, models[name], one_core=True)
        for name in ("measured", "best")
    }
    in_turn(runs, rounds)
    parts = Parts.median(runs["measured"].times)
    works = {name: Work.of(model, short, rows) for name, model in models.items()}
    best = runs["best"].median("cpu")
    cost = parts.cost(works["measured"])

    long, many = write(folder, "long", 40)
    pools = {
        f"dask, {CORES} threads": start(folder, "threads", long, models["narcf"], CORES),
        "dask, 2 workers": start(folder, "workers", long, models["narcf"], 2),
    }
    in_turn(pools, 1)
    table(
        f"40 months on disk, {many / 1e6:.1f} million rows",
        ("", "wall s", "CPU s", "krow/s", "MiB each"),
        [
            (
                name,
                one.median("wall"),
                one.median("cpu"),
                many / one.median("wall") / 1e3,
                " ".join(f"{mib:.0f}" for mib in one.times[-1]["peak_mib"]),
            )
            for name, one in pools.items()
        ],
    )
    print(f"\nCost model, from 12 months of narcf with 2000 prototypes\n  {cost}")
    found = [
        ("12 months, 5 members of best, 2000 prototypes", cost.seconds(works["best"]), best),
        *(
            (f"40 months, narcf, {name}", cost.seconds(Work.of(models["narcf"], long, many)), cpu)
            for name, cpu in ((name, one.median("cpu")) for name, one in pools.items())
        ),
    ]
    table(
        "Core-seconds",
        ("", "the model", "measured", "ratio"),
        [(name, expected, cpu, cpu / expected) for name, expected, cpu in found],
    )


MODES = {
    "kernel": kernel,
    "dask": dask,
    "scaling": scaling,
    "growth": growth,
    "forty": forty,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", choices=[*MODES, "all"])
    parser.add_argument("--rounds", type=int, default=3, help="repetitions, of which the median")
    parser.add_argument("--folder", type=Path, help="where temporary cubes are written")
    options = parser.parse_args()
    for mode in MODES if options.mode == "all" else [options.mode]:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            MODES[mode](Path(folder), options.rounds)


if __name__ == "__main__":
    main()
