"""Fitting what the settings ask for: the split, the members, and the bundle on disk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import narcf_geo
from narcf_geo.errors import NarcfError
from narcf_geo.model import bundle, splits
from narcf_geo.model.features import Features, Samples
from narcf_geo.model.presets import recipe
from narcf_geo.project import BlockSplit, Settings

CROSS_VALIDATION = "cross_validation.nc"

Progress = Callable[[int, int, str], None]


def fit_project(cube: xr.Dataset, settings: Settings, directory: Path, progress: Progress) -> None:
    """Train the members that `settings` asks for and write the bundle into `directory`.

    With a split by period the members learn from its training months, and stop on its validation
    months. With a split by blocks every fold is trained and tested first, in blocks and, to show
    what that hides, in random folds; the model that predicts then learns from all but one fold.

    Parameters
    ----------
    cube : xarray.Dataset
        The analysis-ready cube, in memory.
    settings : Settings
        Model, split, features and seed.
    directory : Path
        An absent or empty folder.
    progress : callable
        Called with epochs done, epochs in all, and a text.

    Raises
    ------
    NarcfError
        When there are no samples, or none in a part of the split.
    """
    from narcf_geo.model.training import History, Trainer

    features = Features.of(
        cube, settings.predictor_names, missing=settings.missing, biome=settings.biome_features
    )
    samples = Samples.of(cube, features)
    plan = recipe(settings.model)
    trainer = Trainer(plan, samples.x, samples.y, cube["cell_area"].values.ravel()[samples.cell])

    if isinstance(settings.split, BlockSplit):
        final = _cross_validate(cube, settings, samples, trainer, directory, progress)
    else:
        time = pd.DatetimeIndex(cube["time"].values)
        final = splits.by_period(settings.split, time, samples.month)

    empty = np.isnan(samples.x[final.train]).all(axis=0)
    if empty.any():
        names = ", ".join(np.array(features.names)[empty])
        raise NarcfError(
            f"{names}: no value in any training sample, so nothing can be learned from it; leave "
            "it out of predictors: in narcf.yaml, or train on months that have it"
        )

    members: list[Any] = []
    histories: list[History] = []
    for number in range(plan.members):

        def on_epoch(epoch: int, loss: float, validation: float, number: int = number) -> None:
            progress(
                number * plan.epochs + epoch + 1,
                plan.members * plan.epochs,
                f"member {number + 1} of {plan.members}, epoch {epoch + 1}: loss {loss:.4f}, "
                f"validation {validation:.4f}",
            )

        fit = trainer.fit(final.train, final.validation, settings.seed + number, on_epoch)
        members.append(fit.model)
        histories.append(fit.history)

    x = samples.x[final.train]
    bundle.write(
        directory,
        features,
        members,
        training_range={
            name: [float(np.nanmin(x[:, i])), float(np.nanmax(x[:, i]))]
            for i, name in enumerate(features.names)
        },
        samples={name: len(getattr(final, name)) for name in splits.PARTS},
        missing=samples.missing,
        history=[
            {"train": h.train, "validation": h.validation, "best_epoch": h.best_epoch + 1}
            for h in histories
        ],
        settings=settings.model_dump(mode="json"),
        target={"units": cube["flux_target"].attrs["units"], "sign": "positive: to the atmosphere"},
        versions={
            "narcf-geo": narcf_geo.__version__,
            "python": ".".join(map(str, sys.version_info[:3])),
            **{name: version(name) for name in ("keras", "tensorflow", "numpy", "xarray")},
        },
    )


def _cross_validate(
    cube: xr.Dataset,
    settings: Settings,
    samples: Samples,
    trainer: Any,
    directory: Path,
    progress: Progress,
) -> splits.Split:
    """Test every fold, write the estimates, and return the split of the final model."""
    assert isinstance(settings.split, BlockSplit)
    lat, lon = (values.ravel() for values in np.meshgrid(cube["lat"], cube["lon"], indexing="ij"))
    place = lon[samples.cell], lat[samples.cell]
    protocols = {
        "blocks": list(splits.by_blocks(settings.split, *place, settings.seed)),
        "random": list(splits.by_blocks(settings.split, *place, settings.seed, random=True)),
    }
    total = sum(len(folds) for folds in protocols.values())
    done = 0
    estimates: dict[str, xr.DataArray] = {}
    for protocol, folds in protocols.items():
        parts = {part: _Mean(samples.y.size) for part in splits.PARTS}
        for split in folds:
            done += 1
            progress(done, total, f"cross-validation in {protocol}, fold {done} of {total}")
            estimate = _members_mean(trainer, split, settings)
            for part, mean in parts.items():
                rows = getattr(split, part)
                mean.add(rows, estimate[rows])
        for part, mean in parts.items():
            estimates[f"{protocol}_{part}"] = _on_grid(cube, samples, mean.values())
    directory.mkdir(parents=True, exist_ok=True)
    xr.Dataset(estimates).to_netcdf(directory / CROSS_VALIDATION, engine="netcdf4")
    # Every cell was tested by now: the model that predicts may learn from all but its own check.
    fold = protocols["blocks"][0]
    return splits.Split(
        train=np.sort(np.concatenate([fold.train, fold.test])),
        validation=fold.validation,
        test=np.empty(0, int),
    )


def _members_mean(trainer: Any, split: splits.Split, settings: Settings) -> np.ndarray:
    fits = (
        trainer.fit(split.train, split.validation, settings.seed + number)
        for number in range(settings.model.members)
    )
    return np.mean([fit.estimate for fit in fits], axis=0)


class _Mean:
    """Mean over the folds in which a row belonged to a part."""

    def __init__(self, size: int) -> None:
        self._sum = np.zeros(size)
        self._count = np.zeros(size)

    def add(self, rows: np.ndarray, values: np.ndarray) -> None:
        self._sum[rows] += values
        self._count[rows] += 1

    def values(self) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return self._sum / self._count


def _on_grid(cube: xr.Dataset, samples: Samples, values: np.ndarray) -> xr.DataArray:
    template = cube["flux_target"]
    raster = np.full((template.sizes["time"], template[0].size), np.nan, np.float32)
    raster[samples.month, samples.cell] = values
    return template.copy(data=raster.reshape(template.shape))


def cross_validation(directory: Path) -> xr.Dataset:
    """Open the estimates of a cross-validated bundle.

    Returns
    -------
    xarray.Dataset
        ``<protocol>_<part>`` (time, lat, lon), umol m-2 s-1, for protocols ``blocks`` and
        ``random`` and parts ``train``, ``validation`` and ``test``.

    Raises
    ------
    NarcfError
        When the model was not trained by blocks.
    """
    path = directory / CROSS_VALIDATION
    if not path.exists():
        raise NarcfError(f"{path}: no such file; train again with `narcf-geo train`")
    return xr.load_dataset(path, engine="netcdf4")
