"""Prediction of any size: from predictors on disk to a Zarr store, region by region."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import xarray as xr

import narcf_geo
from narcf_geo.errors import NarcfError
from narcf_geo.lock import hold
from narcf_geo.model.features import is_land
from narcf_geo.predict.fields import inputs
from narcf_geo.predict.journal import Journal
from narcf_geo.predict.layout import Shape
from narcf_geo.predict.scheduler import Pool, threads
from narcf_geo.predict.source import Source
from narcf_geo.predict.store import describe, write_template
from narcf_geo.predict.task import Task

Progress = Callable[[int, int, str], None]


def predict_file(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    memory: str | float | None = None,
    pool: Pool | None = None,
    state: Path | None = None,
    attrs: Mapping[str, Any] | None = None,
    progress: Progress = lambda done, total, text: None,
) -> Path:
    """Predict the flux of a cube on disk, and write it as a Zarr store.

    The store appears at `output` when it is whole. A run that was stopped goes on where it was, and
    one whose inputs have changed in part computes that part; the bytes of the store depend on the
    inputs and the bundle alone.

    Parameters
    ----------
    source : path, URL or pattern
        A Zarr store, a NetCDF file, or files such as ``cube/*.nc``, with predictors (time, lat,
        lon) or (lat, lon), ``biome`` and, if the model takes them, ``class_fraction``. Workers on
        other machines must see it, `model` and `output` under the same path.
    output : path
        The store to write; an older one is replaced.
    model : path
        Folder of a bundle.
    memory : str or float, optional
        For each process: as "2GB" or in bytes; by default 1 GB, or what a chunk takes in each
        thread.
    pool : Pool, optional
        As from `narcf_geo.predict.open_pool`; by default a thread for each core.
    state : path, optional
        Folder in which the store grows, on the disk of `output`; by default one beside it.
    attrs : mapping, optional
        Global attributes beyond those of the source.
    progress : callable
        Called with the chunks that are done, all chunks and a text.

    Returns
    -------
    path
        That of the store. Its fields are those of `narcf_geo.predict.predict`.

    Raises
    ------
    UsageError
        When the source is absent or the memory not enough.
    NarcfError
        When the cube is not what the model needs, a file cannot be read or written, or another
        process writes the same store; what was finished stays.
    """
    from dask.utils import parse_bytes

    output, model = Path(output).resolve(), Path(model).resolve()
    folder = state.resolve() if state else output.with_name(f".{output.name}")
    pool = pool or threads()
    task = Task.of(Source.open(source), model)
    _check(task)
    with hold(folder / "lock", str(output)):
        journal = Journal(folder, output, task.key())
        digests = task.digests()
        described = {**task.source.frame().attrs, **(attrs or {})}
        if journal.current() == digests:
            describe(output, described)
            return output
        fields = task.predictor.fields
        journal.begin(
            {"version": narcf_geo.__version__, "output": str(output), **task.to_json()},
            lambda path: write_template(task, path),
        )
        finished = journal.finished()
        todo = {chunk for chunk, digest in digests.items() if finished.get(chunk) != digest}
        journal.discard(todo, fields)
        count = len(digests) - len(todo)

        def done(chunks: int) -> None:
            nonlocal count
            count += chunks
            progress(count, len(digests), output.name)

        done(0)
        limit = None if memory is None else float(parse_bytes(memory))
        tasks = [
            (str(folder), journal.key, {c: digests[c] for c in region.chunks() if c in todo})
            for region in task.regions(todo, limit, pool)
        ]
        if tasks:
            pool.run(work, tasks, done)
        describe(journal.store, described)
        journal.finish()
    return output


def work(folder: str, key: str, digests: dict[Shape, str]) -> int:
    """Read what some chunks need, predict them and write them; return their number.

    Raises
    ------
    NarcfError
        When something cannot be read or written.
    """
    journal, task = _open(folder, key)
    axes = list(zip(*digests, strict=True))
    at = task.reach(_shape(map(min, axes)), _shape(map(max, axes)))
    if is_land(task.source.read(["biome"], at)["biome"]).any():
        cube = task.source.read(task.names, at)
        for chunk in digests:
            _predict_chunk(task, journal.store, cube, at, chunk)
    for chunk, digest in digests.items():
        journal.mark(chunk, digest)
    return len(digests)


def _predict_chunk(task: Task, store: Path, cube: xr.Dataset, at: tuple, chunk: Shape) -> None:
    wanted = task.reach(chunk, chunk)
    target = task.layout.slices(chunk, chunk)
    inside = [slice(w.start - a.start, w.stop - a.start) for w, a in zip(wanted, at, strict=True)]
    piece = cube.isel(dict(zip(("time", "lat", "lon"), inside, strict=True)))
    bundle = task.predictor.bundle
    piece = bundle.features.prepare(piece)
    piece = piece.isel(time=slice(target[0].start - wanted[0].start, None))
    land, static = inputs(piece, bundle)
    if not land.any():
        return
    columns = [piece[n].transpose(..., "lat", "lon").values for n in bundle.features.predictors]
    block = task.predictor.block(piece.sizes["time"], land, static, columns)
    try:
        for name, values in zip(task.predictor.fields, block, strict=True):
            _array(str(store), name)[target] = values
    except OSError as error:
        raise NarcfError(
            f"{store}: writing failed ({error}); what was finished stays: make room, or see to the "
            "disk, and run again to go on"
        ) from None


@lru_cache(maxsize=64)
def _array(store: str, name: str) -> Any:
    import zarr

    return zarr.open_array(store, path=name, mode="r+")


@lru_cache(maxsize=4)
def _open(folder: str, key: str) -> tuple[Journal, Task]:
    path = Journal(Path(folder), Path(), key).job
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NarcfError(
            f"{path}: no such file on this worker; workers must see the predictors, the model and "
            "the output under the same paths as the process that started them"
        ) from None
    if content["version"] != narcf_geo.__version__:
        raise NarcfError(
            f"this worker has narcf-geo {narcf_geo.__version__}, expected {content['version']}"
        )
    return Journal(Path(folder), Path(content["output"]), key), Task.from_json(content)


def _check(task: Task) -> None:
    """Raise NarcfError at once for what would go wrong in every region."""
    corner = task.source.read(task.names, (slice(0, 1), slice(0, 1), slice(0, 1)))
    bundle = task.predictor.bundle
    inputs(bundle.features.prepare(corner), bundle)
    task.source.require(task.names)


def _shape(numbers: Iterable[int]) -> Shape:
    t, y, x = numbers
    return t, y, x
