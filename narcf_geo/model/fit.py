"""Fitting what the settings ask for: the split, the members, and the bundle on disk."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.core.datasets import load_netcdf
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.progress import Progress, silent
from narcf_geo.core.provenance import VERSION
from narcf_geo.model import bundle, contents
from narcf_geo.model.bundle import CROSS_VALIDATION
from narcf_geo.model.diagnostics import Diagnostics
from narcf_geo.model.ensemble_training import EnsembleTraining, Fitted
from narcf_geo.model.network.ensemble import Estimate
from narcf_geo.model.samples.features import Features
from narcf_geo.model.samples.own_climate import own_climate
from narcf_geo.model.samples.splits import PARTS, Split, final_split, splits_of
from narcf_geo.model.samples.table import Table
from narcf_geo.project.settings import TrainingSettings
from narcf_geo.project.split_settings import BlockSplit, PeriodSplit, RandomSplit
from narcf_geo.statistics.columns import Columns


def tabulate(cube: xr.Dataset, settings: TrainingSettings, folder: Path | None = None) -> Table:
    """Return the rows to learn from, with the features that `settings` ask for.

    With a `folder` the features are kept there, in a file; without one in memory.
    """
    return Table.of(cube, Features.of(cube, settings), folder)


def fit_bundle(
    cube: xr.Dataset,
    settings: TrainingSettings,
    directory: Path,
    progress: Progress = silent,
    work: Path | None = None,
) -> None:
    """Train the members that `settings` asks for and write the bundle into `directory`.

    With a split by period the members learn from its training months and are calibrated on its
    validation months. With a split in folds every fold is trained and tested first (with blocks
    also, to show what they find out, in random folds); the model that predicts then learns from all
    but one fold.

    Parameters
    ----------
    cube : xarray.Dataset
        Past the door, lazy or in memory: the analysis-ready cube of a project, or as from
        `narcf_geo.model.samples.training_cube`.
    settings : TrainingSettings
        Model, split, features and seed.
    directory : Path
        An absent or empty folder.
    progress : callable
        Called with epochs done, epochs in all, and a text.
    work : Path, optional
        Where finished members are kept, for a training that is killed to go on from, and the rows
        to learn from, as a file; remove it when the bundle is in place. Without it the rows are in
        memory.

    Raises
    ------
    NarcfError
        When there are no samples, or none in a part of the split.
    """
    cube = _until_the_last(cube, settings)
    table = tabulate(cube, settings, work)
    folds = splits_of(settings.split, table, settings.seed, settings.max_rows)
    with tempfile.TemporaryDirectory() as scratch:
        training = EnsembleTraining(settings.model.recipe(), table, work or Path(scratch))
        if len(folds) > 1:
            parts = _cross_validate(cube, settings, folds, training, directory, progress)
        table, final = own_climate(cube, table, final_split(folds), work)
        fitted = training.on(table).fit(final, settings.seed, progress)
        if len(folds) == 1:
            parts = dict.fromkeys(PARTS, fitted.ensemble.estimate(table.x))
        diagnostics = Diagnostics(table, folds, parts, final)
        bundle.write(
            directory,
            table.features,
            fitted.paths,
            **diagnostics.describe(),
            **diagnostics.write(directory, cube, fitted.ensemble, settings),
            **_origin(cube, settings, table, fitted, folds, final),
        )


def learns_the_same(
    cube: xr.Dataset, settings: TrainingSettings, directory: Path, work: Path
) -> bool:
    """Tell whether the bundle in `directory` learned from the rows that it would learn from now.

    With a split by period it does when only months after the last of the split were added. That
    the settings are the same is for the caller to know. The rows are kept in the folder `work`.
    """
    cube = _until_the_last(cube, settings)
    table = tabulate(cube, settings, work)
    if not isinstance(settings.split, PeriodSplit):
        folds = splits_of(settings.split, table, settings.seed, settings.max_rows)
        table, _ = own_climate(cube, table, final_split(folds), work)
    same: bool = contents.read(directory)["data"]["sha256"] == table.digest
    return same


def _until_the_last(cube: xr.Dataset, settings: TrainingSettings) -> xr.Dataset:
    """Leave out months after those of a split by period: nothing of the model comes from them."""
    if not isinstance(settings.split, PeriodSplit):
        return cube
    last = max(getattr(settings.split, part).end for part in PARTS)
    return cube.sel(time=slice(None, f"{last}"))


def _origin(
    cube: xr.Dataset,
    settings: TrainingSettings,
    table: Table,
    fitted: Fitted,
    folds: list[Split],
    final: Split,
) -> dict[str, Any]:
    """Return what the model was made of and how."""
    columns = Columns.of(table.x, final.train)
    return {
        "noise": fitted.ensemble.noise,
        "training_range": {
            name: [float(low), float(high)]
            for name, low, high in zip(table.features.names, columns.low, columns.high, strict=True)
        },
        "samples": {part: len(getattr(final, part)) for part in PARTS},
        "split": [str(fold) for fold in folds],
        "missing": table.missing,
        "history": fitted.histories,
        "recipe": asdict(settings.model.recipe()),
        "settings": settings.model_dump(mode="json"),
        "target": {
            "units": cube["flux_target"].attrs["units"],
            "sign": "positive: to the atmosphere",
            "product": cube["flux_target"].attrs.get("product", "flux_target"),
        },
        "data": {
            "sha256": table.digest,
            "references": cube.attrs.get("references", ""),
            "synthetic": cube.attrs.get("synthetic", ""),
        },
        "grid": {
            name: {
                "first": float(cube[name][0]),
                "last": float(cube[name][-1]),
                "n": cube.sizes[name],
            }
            for name in ("lat", "lon")
        },
        "versions": {
            "narcf-geo": VERSION,
            "python": ".".join(map(str, sys.version_info[:3])),
            **{name: version(name) for name in ("keras", "tensorflow", "numpy", "xarray")},
        },
    }


def _cross_validate(
    cube: xr.Dataset,
    settings: TrainingSettings,
    folds: list[Split],
    training: EnsembleTraining,
    directory: Path,
    progress: Progress,
) -> dict[str, Estimate]:
    """Test every fold, write the estimates, and return those of each part."""
    table = training.table
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / CROSS_VALIDATION
    protocols = {settings.split.kind: folds}
    if isinstance(settings.split, BlockSplit):
        random = RandomSplit(
            kind="random", folds=settings.split.folds, period=settings.split.period
        )
        protocols["random"] = splits_of(random, table, settings.seed, settings.max_rows)
    total, done = sum(len(splits) for splits in protocols.values()), 0
    parts: dict[str, Estimate] = {}
    for protocol, splits in protocols.items():

        def on_fold(number: int, protocol: str = protocol, done: int = done) -> None:
            now = done + number
            progress(now, total, f"cross-validation in {protocol}, fold {now} of {total}")

        found = fold_estimates(training, splits, settings.seed, on_fold, cube)
        done += len(splits)
        for part, estimate in found.items():
            for suffix, values in (("", estimate.flux), ("_std", estimate.std)):
                name = f"{protocol}_{part}{suffix}"
                field = table.on_grid(values, cube["flux_target"]).rename(name)
                # One after the other: they are many, and each as large as the flux.
                field.to_netcdf(path, mode="a" if path.exists() else "w", engine="netcdf4")
        if protocol == settings.split.kind:
            parts = found
    return parts


def fold_estimates(
    training: EnsembleTraining,
    splits: Sequence[Split],
    seed: int,
    on_fold: Callable[[int], None],
    cube: xr.Dataset | None = None,
) -> dict[str, Estimate]:
    """Train every split, and return what each row was estimated as in each part.

    Parameters
    ----------
    training : EnsembleTraining
        The recipe and the rows.
    splits : sequence of Split
        The folds.
    seed : int
        Of the first member.
    on_fold : callable
        Called with the number of the fold, from 1, before it is trained.
    cube : xarray.Dataset, optional
        That the rows were gathered from; needed where each fold takes a climate of its own.

    Returns
    -------
    dict
        For each of ``train``, ``validation`` and ``test``, the mean over the folds in which a row
        belonged to that part, NaN where it never did.
    """
    table = training.table
    means = {part: _Mean(table.y.size) for part in PARTS}
    for number, split in enumerate(splits, 1):
        on_fold(number)
        own, fold = own_climate(cube, table, split, training.directory / "fold")
        fitted = training.on(own).fit(fold, seed, silent)
        estimate = fitted.ensemble.estimate(own.x)
        for part, mean in means.items():
            mean.add(getattr(fold, part), estimate)
    return {part: mean.values() for part, mean in means.items()}


class _Mean:
    """Mean over the folds in which a row belonged to a part; NaN where it never did."""

    def __init__(self, size: int) -> None:
        self._sum = np.zeros((4, size), np.float32)
        self._count = np.zeros(size, np.int16)

    def add(self, rows: np.ndarray, estimate: Estimate) -> None:
        values = (estimate.flux, estimate.spread, estimate.noise, estimate.apart)
        self._sum[:, rows] += [v[rows] for v in values]
        self._count[rows] += 1

    def values(self) -> Estimate:
        with np.errstate(invalid="ignore"):
            self._sum /= self._count
        return Estimate(*self._sum)


def cross_validation(directory: str | os.PathLike[str]) -> xr.Dataset:
    """Open the estimates of a cross-validated bundle.

    Returns
    -------
    xarray.Dataset
        ``<protocol>_<part>`` and ``<protocol>_<part>_std`` (time, lat, lon), umol m-2 s-1, for the
        parts ``train``, ``validation`` and ``test``; the protocol is the kind of the split, and
        ``random`` beside ``blocks``.

    Raises
    ------
    NarcfError
        When the model was not trained in folds.
    """
    path = Path(directory) / CROSS_VALIDATION
    if not path.exists():
        raise NarcfError(f"{path}: no such file; train again with `narcf-geo train`")
    return load_netcdf(path)
