"""A prediction of a cube on disk, repeated in a process of its own; `predict.py` starts it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import peak_mib, serve

SECONDS: defaultdict[str, float] = defaultdict(float)
"""CPU seconds within a function, of the threads that called it."""


@dataclass(frozen=True)
class Plain:
    """The pool that dask is compared with: a loop, or a pool of threads of the standard library."""

    slots: int
    link: str = ""

    @property
    def threads(self) -> int:
        return self.slots

    def run(self, function: Callable, tasks: Sequence[tuple], done: Callable[[Any], None]) -> None:
        if self.slots == 1:
            for task in tasks:
                done(function(*task))
            return
        with ThreadPoolExecutor(self.slots) as executor:
            for result in executor.map(function, *zip(*tasks, strict=True)):
                done(result)


@contextmanager
def opened(kind: str, count: int) -> Iterator[Any]:
    """Open a pool: ``plain`` or ``threads`` of this process, or ``workers``, dask processes."""
    from narcf_geo.core.pool import Threads
    from narcf_geo.prediction import open_pool

    if kind == "workers":
        with open_pool(workers=count) as pool:
            yield pool
    else:
        yield Plain(count) if kind == "plain" else Threads(count)


def count_seconds(owner: type, name: str, label: str) -> None:
    """Have a method add its CPU time to `SECONDS`."""
    method = getattr(owner, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        start = time.thread_time()
        try:
            return method(*args, **kwargs)
        finally:
            SECONDS[label] += time.thread_time() - start

    setattr(owner, name, counted)


def count_parts() -> None:
    """Tell apart what a prediction consists of; only where one thread does all of it."""
    from narcf_geo.model.network.ensemble import Ensemble
    from narcf_geo.model.network.network import Network
    from narcf_geo.prediction.block import Predictor
    from narcf_geo.statistics.applicability import Applicability

    count_seconds(Predictor, "block", "block")
    count_seconds(Ensemble, "estimate", "estimate")
    count_seconds(Network, "__call__", "network")
    count_seconds(Applicability, "dissimilarity", "applicability")


def on_disk(options: argparse.Namespace) -> None:
    """Serve `predict_file`."""
    from narcf_geo.prediction import predict_file

    out = options.folder / f"out-{os.getpid()}.zarr"
    if options.pool == "plain" and options.count == 1:
        count_parts()

    def predict(cube: Path, pool: Any) -> dict[str, Any]:
        def everywhere(function: Callable[[], float]) -> list[float]:
            others = pool.client.run(function).values() if options.pool == "workers" else ()
            return [function(), *others]

        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(out.with_name(f".{out.name}"), ignore_errors=True)
        SECONDS.clear()
        wall, cpu = time.perf_counter(), sum(everywhere(time.process_time))
        predict_file(cube, out, options.model, pool=pool)
        wall, cpu = time.perf_counter() - wall, sum(everywhere(time.process_time)) - cpu
        return {"wall": wall, "cpu": cpu, "peak_mib": everywhere(peak_mib), "parts": {**SECONDS}}

    try:
        with opened(options.pool, options.count) as pool:
            warm = predict(options.folder / "warm.zarr", pool)
            serve({"warm": warm}, lambda: predict(options.cube, pool))
    finally:
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(out.with_name(f".{out.name}"), ignore_errors=True)


def in_memory(options: argparse.Namespace) -> None:
    """Serve the prediction of two months of an open cube: its blocks in a loop, or by dask."""
    import xarray as xr

    from narcf_geo.model.bundle import Bundle
    from narcf_geo.prediction import predict
    from narcf_geo.prediction.arrays import inputs
    from narcf_geo.prediction.block import Predictor

    cube = xr.open_zarr(options.cube, consolidated=False, chunks=None).isel(time=slice(2)).load()
    bundle = Bundle.load(options.model)
    predictor = Predictor(bundle)
    lat, lon = 350, 600
    chunked = cube.chunk({"time": 1, "lat": lat, "lon": lon})
    maps = ["biome", "class_fraction", "land_fraction", "cell_area"]
    chunked = chunked.assign({name: cube[name] for name in maps})

    def loop() -> None:
        land, static = inputs(cube, bundle)
        for month in range(cube.sizes["time"]):
            for y in range(0, cube.sizes["lat"], lat):
                for x in range(0, cube.sizes["lon"], lon):
                    at = (slice(y, y + lat), slice(x, x + lon))
                    columns = [
                        cube[name].values[(slice(month, month + 1), *at)]
                        for name in bundle.features.predictors
                    ]
                    predictor.block(1, land[at], static[at], columns)

    def by_dask() -> None:
        predict(chunked, bundle).compute(scheduler="threads", num_workers=1)

    work = loop if options.pool == "loop" else by_dask

    def measured() -> dict[str, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}

    serve({"warm": measured()}, measured)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pool", choices=["write", "plain", "threads", "workers", "loop", "dask"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cube", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--count", type=int, default=1, help="threads or workers")
    parser.add_argument("--one-core", action="store_true")
    parser.add_argument("--months", type=int)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--bundle", help="write: the options of fine_cube.write_bundle, as JSON")
    options = parser.parse_args()
    if options.one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if options.pool == "write":
        from fine_cube import write_bundle, write_cube

        if options.bundle:
            write_bundle(options.model.parent, **json.loads(options.bundle))
        rows = write_cube(options.cube, options.months, options.every) if options.cube else 0
        print(json.dumps({"rows": rows}))
    elif options.pool in ("loop", "dask"):
        in_memory(options)
    else:
        on_disk(options)


if __name__ == "__main__":
    main()
