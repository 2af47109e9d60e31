"""Prediction of any size: from predictors on disk to a Zarr store, region by region."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.addresses import shown
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.files import atomic_path, require_replaceable
from narcf_geo.core.layout import Shape
from narcf_geo.core.lock import hold_output
from narcf_geo.core.pool import Pool, Threads, memory_bytes, threads
from narcf_geo.core.provenance import VERSION
from narcf_geo.core.stores import growing
from narcf_geo.fields.formats import Opening, open_zarr
from narcf_geo.fields.reading import named
from narcf_geo.fields.values import whole_classes
from narcf_geo.model.samples.climate import on_cells
from narcf_geo.model.samples.features import LAND_CLASSES
from narcf_geo.prediction.arrays import inputs, require_months
from narcf_geo.prediction.journal import Journal
from narcf_geo.prediction.parts import files_let_go, files_of
from narcf_geo.prediction.source import Source
from narcf_geo.prediction.store import describe, write_template
from narcf_geo.prediction.task import Task

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Summary:
    """What was predicted.

    Attributes
    ----------
    path : Path
        The store written.
    shape : tuple of int
        Its months, rows and columns of cells.
    months : tuple of str
        The first and the last, YYYY-MM.
    land : int
        Cells of land.
    chunks, computed : int
        Chunks of the store, and those that this run had to compute.
    rows : int
        Cells and months predicted in this run.
    seconds : float
        That this run took.
    """

    path: Path
    shape: Shape
    months: tuple[str, str]
    land: int
    chunks: int
    computed: int
    rows: int
    seconds: float


@files_let_go()
def predict_file(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    memory: str | float | None = None,
    pool: Pool | None = None,
    state: str | os.PathLike[str] | None = None,
    attrs: Mapping[str, Any] | None = None,
    force: bool = False,
    progress: Progress = lambda done, total, text: None,
) -> Summary:
    """Predict the flux of a cube on disk, and write it as a Zarr store.

    The store appears at `output` when it is whole. A run that was stopped goes on where it was, and
    one whose inputs have changed in part computes that part; the bytes of the store depend on the
    inputs and the bundle alone.

    Parameters
    ----------
    source : path, URL or pattern
        A Zarr store, a NetCDF file, or files such as ``cube/*.nc``, with predictors (time, lat,
        lon) or (lat, lon), ``biome`` and, if the model takes them, ``class_fraction``. Axes of any
        names, order and direction, a value a month, predictors in any unit that converts; each
        file for itself. Workers on other machines must see it, `model` and `output` under the same
        path.
    output : path
        The store to write; an older one is replaced.
    model : path
        Folder of a bundle.
    memory : str or float, optional
        For each process: as "2GB" or in bytes; by default 1 GB, or what a chunk takes in each
        thread.
    pool : Pool, optional
        As from `narcf_geo.prediction.open_pool`; by default a thread for each core. Of threads,
        as many are used as `memory` is enough for.
    state : path, optional
        Folder in which the store grows, on the disk of `output`; by default one beside it.
    attrs : mapping, optional
        Global attributes beyond those of the source.
    force : bool
        Predict all again, whatever is finished.
    progress : callable
        Called with the chunks that are done, all chunks and a text.

    Returns
    -------
    Summary
        Of what was done. The fields written are those of `narcf_geo.prediction.predict`.

    Raises
    ------
    UsageError
        When the source is absent, the output is an input or no store, or the memory not enough.
    GridMismatchError, TimeError, UnitError
        When files have different grids, are not monthly, or have units that do not convert.
    NarcfError
        When the cube is not what the model needs, a file cannot be read or written, or another
        process writes the same store; what was finished stays.

    Examples
    --------
    >>> summary = predict_file("cube.zarr", "flux.zarr", "demo/model")  # doctest: +SKIP
    >>> predict_file("cube/*.none", "flux.zarr", "demo/model")
    Traceback (most recent call last):
    narcf_geo.core.errors.UsageError: cube/*.none: no file matches this pattern
    """
    began = time.perf_counter()
    output, model = (Path(os.path.realpath(path)) for path in (output, model))
    folder = Path(state).resolve() if state else output.with_name(f".{output.name}")
    limit = memory_bytes(memory)
    task = Task.of(Source.open(source), model)
    _check(task, output)
    if limit is not None:
        task.require_memory(limit, 1)
    described = {**task.source.frame().attrs, **(attrs or {})}
    with _writing(output), hold_output(output):
        journal = Journal(folder, output, task.key(), task.common())
        if force:
            journal.forget()
        digests = task.digests()
        rows, todo = 0, set(digests)
        if journal.current() == digests:
            todo.clear()
            journal.clear()
            describe(output, described)
        else:
            job = {"version": VERSION, "output": str(output), **task.to_json()}
            text = json.dumps(job)
            journal.begin(text, lambda path: write_template(task, path))
            finished = journal.finished()
            todo = {chunk for chunk, digest in digests.items() if finished.get(chunk) != digest}
            journal.discard(todo | set(finished).difference(digests), task.predictor.fields)
            if todo:
                pool = pool or threads()
                rows = _compute(task, journal, text, digests, todo, limit, pool, progress)
            describe(journal.store, described)
            journal.finish()
        months = task.source.months[0], task.source.months[-1]
        return Summary(
            output,
            task.layout.shape,
            months,
            _land_cells(output),
            len(digests),
            len(todo),
            rows,
            time.perf_counter() - began,
        )


def _compute(
    task: Task,
    journal: Journal,
    job: str,
    digests: Mapping[Shape, str],
    todo: set[Shape],
    memory: float | None,
    pool: Pool,
    progress: Progress,
) -> int:
    """Have the chunks `todo` computed; return the number of rows predicted."""
    if isinstance(pool, Threads):
        pool = _fewer(pool, task, memory)
    count, rows = len(digests) - len(todo), 0

    def done(found: tuple[int, int]) -> None:
        nonlocal count, rows
        count, rows = count + found[0], rows + found[1]
        text = f"{journal.output.name}, {count:,} of {len(digests):,} chunks {pool.link}"
        progress(count, len(digests), text.rstrip())

    done((0, 0))
    digest = hashlib.sha256(job.encode()).hexdigest()
    tasks = [
        (
            str(journal.folder),
            journal.key,
            digest,
            {chunk: digests[chunk] for chunk in region.chunks() if chunk in todo},
        )
        for region in task.regions(todo, memory, pool)
    ]
    pool.run(work, tasks, done)
    return rows


def work(folder: str, key: str, job: str, digests: dict[Shape, str]) -> tuple[int, int]:
    """Read what some chunks need, predict them and write them.

    Returns
    -------
    tuple of int
        The number of chunks, and of rows predicted.

    Raises
    ------
    NarcfError
        When something cannot be read or written.
    """
    journal, task = _open(folder, key, job)
    axes = list(zip(*digests, strict=True))
    at = task.reach(_shape(map(min, axes)), _shape(map(max, axes)))
    rows = 0
    biome = whole_classes(task.source.read(["biome"], at)["biome"].values)
    land = bool(np.isin(biome, LAND_CLASSES).any())
    if land:
        cube, climate = task.source.read(task.names, at), _climate(task, journal, at)
    for chunk, digest in digests.items():
        if land:
            rows += _predict_chunk(task, journal.store, cube, climate, at, chunk)
        with _writing(journal.output):
            journal.mark_chunk(chunk, digest)
    return len(digests), rows


def _climate(task: Task, journal: Journal, at: tuple) -> xr.Dataset | None:
    """Return the climate of a region; it is kept for the other months of the same cells."""
    if not (digest := task.climate_digest(at[1:])):
        return None
    path = journal.work / "climate" / f"{digest[0]}.npz"
    if not path.exists() and (found := task.climate(at[1:])) is not None:
        with _writing(journal.output), atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **{str(n): a.values for n, a in found.items()})
    axes = task.source.frame().isel(lat=at[1], lon=at[2])
    with np.load(path, allow_pickle=False) as kept:
        return on_cells(dict(kept), axes["lat"], axes["lon"])


def _predict_chunk(
    task: Task, store: Path, cube: xr.Dataset, climate: xr.Dataset | None, at: tuple, chunk: Shape
) -> int:
    wanted = task.reach(chunk, chunk)
    target = task.layout.slices(chunk, chunk)
    inside = [slice(w.start - a.start, w.stop - a.start) for w, a in zip(wanted, at, strict=True)]
    piece = cube.isel(dict(zip(("time", "lat", "lon"), inside, strict=True)))
    if climate is not None:
        climate = climate.isel(lat=inside[1], lon=inside[2])
    bundle = task.predictor.bundle
    piece = bundle.features.prepare(piece, climate)
    piece = piece.isel(time=slice(target[0].start - wanted[0].start, None))
    land, static = inputs(piece, bundle)
    if not land.any():
        return 0
    columns = [piece[n].transpose(..., "lat", "lon").values for n in bundle.features.predictors]
    block = task.predictor.block(piece.sizes["time"], land, static, columns)
    with _writing(store):
        for name, values in zip(task.predictor.fields, block, strict=True):
            _array(str(store), name)[target] = values
    return int(np.isfinite(block[0]).sum())


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say what to do where the disk is full or gone."""
    try:
        yield
    except OSError as error:
        raise NarcfError(
            f"{path}: writing failed ({error}); what was finished stays: make room, or see to the "
            "disk, and run again to go on"
        ) from None


@lru_cache(maxsize=64)
def _array(store: str, name: str) -> Any:
    import zarr

    return zarr.open_array(growing(store), path=name, mode="r+")


@lru_cache(maxsize=4)
def _open(folder: str, key: str, digest: str) -> tuple[Journal, Task]:
    path = Journal(Path(folder), Path(), key).job
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        found = "another file" if text else "no such file"
        raise NarcfError(
            f"{path}: {found} on this worker; workers must see the predictors, the model and "
            "the output under the same paths as the process that started them"
        )
    content = json.loads(text)
    if content["version"] != VERSION:
        raise NarcfError(f"this worker has narcf-geo {VERSION}, expected {content['version']}")
    return Journal(Path(folder), Path(content["output"]), key), Task.from_json(content)


def _check(task: Task, output: Path) -> None:
    """Raise at once for what would go wrong in every region, and for what must not be replaced."""
    require_replaceable(output, [*files_of(task.source.parts), task.model], store=True)
    corner = task.source.read(task.names, (slice(0, 1), slice(0, 1), slice(0, 1)))
    bundle = task.predictor.bundle
    _ = bundle.ensemble, bundle.applicability  # a damaged file is refused before all others
    with named(shown(task.source.parts[0].location)):
        features = bundle.features
        climate = features.climate_by_slabs([corner]) if features.climate else None
        inputs(features.prepare(corner, climate), bundle)
    task.source.require(task.names)
    require_months(pd.DatetimeIndex(task.source.months), bundle, "the cube")


def _fewer(pool: Threads, task: Task, memory: float | None) -> Threads:
    """Return as many threads as `memory` is enough for."""
    while memory is not None and pool.threads > 1 and memory < task.least_memory(pool.threads):
        pool = Threads(pool.slots - 1)
    return pool


def _land_cells(store: Path) -> int:
    from dask.threaded import get

    biome = open_zarr(store, Opening())["biome"]
    return int(biome.isin(list(LAND_CLASSES)).sum().compute(scheduler=get))


def _shape(numbers: Iterable[int]) -> Shape:
    t, y, x = numbers
    return t, y, x
