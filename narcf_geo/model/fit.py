"""Fitting what the settings ask for: the split, the members, and the bundle on disk."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

import narcf_geo
from narcf_geo.errors import NarcfError
from narcf_geo.evaluate.metrics import scores
from narcf_geo.files import atomic_path
from narcf_geo.model import bundle
from narcf_geo.model.calibration import conformal_factors, coverage
from narcf_geo.model.ensemble import Ensemble, Estimate
from narcf_geo.model.features import Features
from narcf_geo.model.presets import Recipe, recipe
from narcf_geo.model.splits import PARTS, Split, final_split, splits_of
from narcf_geo.model.table import Table
from narcf_geo.settings import BlockSplit, RandomSplit, Settings

if TYPE_CHECKING:
    from narcf_geo.model.training import Trainer

CROSS_VALIDATION = "cross_validation.nc"

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Fitted:
    """Trained members: their files, the loss of each epoch, and what they estimate together."""

    paths: list[Path]
    histories: list[dict[str, Any]]
    ensemble: Ensemble


class Workshop:
    """Trains ensembles of one recipe on parts of one table.

    Each member is kept in a file named by all it depends on, so that a training that is
    killed and started again goes on with the member it was at.

    Parameters
    ----------
    plan : Recipe
        The network, its training and the number of members.
    table : Table
        The rows to learn from.
    directory : Path
        Where finished members are kept.
    """

    def __init__(self, plan: Recipe, table: Table, directory: Path) -> None:
        self.plan, self.table, self.directory = plan, table, directory

    @cached_property
    def trainer(self) -> Trainer:
        """The compiled training, shared by all members and folds."""
        from narcf_geo.model.training import Trainer

        return Trainer(self.plan, self.table.x, self.table.y, self.table.area)

    def fit(self, split: Split, seed: int, progress: Progress) -> Fitted:
        """Train the members on the rows of `split`; `progress` is told of every epoch.

        Raises
        ------
        NarcfError
            When a part is empty, a feature has no value in training, or the loss is not finite.
        """
        names = np.array(self.table.features.names)
        if len(split.train):
            empty = np.isnan(self.table.x[split.train]).all(axis=0)
            if empty.any():
                raise NarcfError(
                    f"{', '.join(names[empty])}: no value in any training sample, so nothing can "
                    "be learned from it; leave it out of predictors: in narcf.yaml, or train on "
                    "months that have it"
                )
        members, epochs = self.plan.members, self.plan.epochs
        paths: list[Path] = []
        for number in range(members):

            def on_epoch(epoch: int, loss: float, validation: float, number: int = number) -> None:
                progress(
                    number * epochs + epoch + 1,
                    members * epochs,
                    f"member {number + 1} of {members}, epoch {epoch + 1}: loss {loss:.4f}, "
                    f"validation {validation:.4f}",
                )

            paths.append(self._member(split, seed + number, on_epoch))
        histories = [json.loads(path.with_suffix(".json").read_text("utf-8")) for path in paths]
        ensemble = Ensemble.load(paths)
        if self.plan.n_outputs == 1:
            rows = split.validation
            error = ensemble.estimate(self.table.x[rows]).flux - self.table.y[rows]
            noise = np.sqrt(np.average(error.astype(float) ** 2, weights=self.table.area[rows]))
            ensemble = replace(ensemble, noise=float(noise))
        return Fitted(paths, histories, ensemble)

    def _member(self, split: Split, seed: int, on_epoch: Callable) -> Path:
        path = self.directory / f"{self._key(split, seed)}.keras"
        if not path.exists():
            fit = self.trainer.fit(split.train, split.validation, seed, on_epoch)
            history = {
                "train": fit.history.train,
                "validation": fit.history.validation,
                "best_epoch": fit.history.best_epoch + 1,
            }
            # The model last: where it is, its history is too.
            with atomic_path(path.with_suffix(".json")) as temporary:
                temporary.write_text(json.dumps(history), encoding="utf-8")
            with atomic_path(path) as temporary:
                fit.model.save(temporary)
        return path

    def _key(self, split: Split, seed: int) -> str:
        plan = {**asdict(self.plan), "members": None}
        versions = [narcf_geo.__version__, version("keras"), version("tensorflow")]
        content = json.dumps([self.table.digest, plan, seed, versions])
        digest = hashlib.sha256(content.encode())
        for rows in (split.train, split.validation):
            digest.update(np.ascontiguousarray(rows, np.int64).tobytes())
        return digest.hexdigest()[:20]


def tabulate(cube: xr.Dataset, settings: Settings) -> Table:
    """Return the rows to learn from, with the features that `settings` ask for."""
    return Table.of(cube, Features.of(cube, settings))


def fit_project(
    cube: xr.Dataset,
    settings: Settings,
    directory: Path,
    progress: Progress,
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
        The analysis-ready cube, in memory.
    settings : Settings
        Model, split, features and seed.
    directory : Path
        An absent or empty folder.
    progress : callable
        Called with epochs done, epochs in all, and a text.
    work : Path, optional
        Where finished members are kept, for a training that is killed to go on from; remove it
        when the bundle is in place.

    Raises
    ------
    NarcfError
        When there are no samples, or none in a part of the split.
    """
    table = tabulate(cube, settings)
    plan = recipe(settings.model)
    folds = splits_of(settings.split, table, settings.seed)
    final = final_split(folds)
    with tempfile.TemporaryDirectory() as scratch:
        workshop = Workshop(plan, table, work or Path(scratch))
        if len(folds) > 1:
            parts = _cross_validate(cube, settings, folds, workshop, directory, progress)
        fitted = workshop.fit(final, settings.seed, progress)
        if len(folds) == 1:
            parts = dict.fromkeys(PARTS, fitted.ensemble.estimate(table.x))
        content = _describe(cube, settings, table, fitted, folds, parts)
        bundle.write(directory, table.features, fitted.paths, **content)


def _describe(
    cube: xr.Dataset,
    settings: Settings,
    table: Table,
    fitted: Fitted,
    folds: list[Split],
    parts: dict[str, Estimate],
) -> dict[str, Any]:
    """Return what a bundle says of itself; `parts` are the estimates each part is judged by."""
    rows = {part: np.unique(np.concatenate([getattr(f, part) for f in folds])) for part in PARTS}

    def judged(part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        r, estimate = rows[part], parts[part]
        return table.y[r], estimate.flux[r], estimate.std[r]

    factors = conformal_factors(*judged("validation"))
    metrics = {}
    for part, r in rows.items():
        observed, flux, std = judged(part)
        area = table.area[r]
        metrics[part] = {
            **scores(flux, observed, area),
            **{
                f"coverage_{level}": share
                for level, share in coverage(observed, flux, std, factors, area).items()
            },
        }
    final = final_split(folds)
    x = table.x[final.train]
    return {
        "noise": fitted.ensemble.noise,
        "calibration": _finite({str(level): factor for level, factor in factors.items()}),
        "metrics": {part: _finite(found) for part, found in metrics.items()},
        "training_range": {
            name: [float(np.nanmin(x[:, i])), float(np.nanmax(x[:, i]))]
            for i, name in enumerate(table.features.names)
        },
        "samples": {part: len(getattr(final, part)) for part in PARTS},
        "split": [str(fold) for fold in folds],
        "missing": table.missing,
        "history": fitted.histories,
        "recipe": asdict(recipe(settings.model)),
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
            "narcf-geo": narcf_geo.__version__,
            "python": ".".join(map(str, sys.version_info[:3])),
            **{name: version(name) for name in ("keras", "tensorflow", "numpy", "xarray")},
        },
    }


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with None for what JSON cannot hold."""
    return {k: v if np.isfinite(v) else None for k, v in values.items()}


def _cross_validate(
    cube: xr.Dataset,
    settings: Settings,
    folds: list[Split],
    workshop: Workshop,
    directory: Path,
    progress: Progress,
) -> dict[str, Estimate]:
    """Test every fold, write the estimates, and return those of each part."""
    table = workshop.table
    protocols = {settings.split.kind: folds}
    if isinstance(settings.split, BlockSplit):
        random = RandomSplit(
            kind="random", folds=settings.split.folds, period=settings.split.period
        )
        protocols["random"] = splits_of(random, table, settings.seed)
    total, done = sum(len(splits) for splits in protocols.values()), 0
    estimates: dict[str, xr.DataArray] = {}
    parts: dict[str, Estimate] = {}
    for protocol, splits in protocols.items():
        means = {part: _Mean(table.y.size) for part in PARTS}
        for split in splits:
            done += 1
            progress(done, total, f"cross-validation in {protocol}, fold {done} of {total}")
            fitted = workshop.fit(split, settings.seed, lambda *_: None)
            estimate = fitted.ensemble.estimate(table.x)
            for part, mean in means.items():
                mean.add(getattr(split, part), estimate)
        for part, mean in means.items():
            estimate = mean.values()
            estimates[f"{protocol}_{part}"] = table.on_grid(estimate.flux, cube["flux_target"])
            if protocol == settings.split.kind:
                parts[part] = estimate
    directory.mkdir(parents=True, exist_ok=True)
    xr.Dataset(estimates).to_netcdf(directory / CROSS_VALIDATION, engine="netcdf4")
    return parts


class _Mean:
    """Mean over the folds in which a row belonged to a part; NaN where it never did."""

    def __init__(self, size: int) -> None:
        self._sum = np.zeros((3, size))
        self._count = np.zeros(size)

    def add(self, rows: np.ndarray, estimate: Estimate) -> None:
        values = (estimate.flux, estimate.spread, estimate.noise)
        self._sum[:, rows] += [v[rows] for v in values]
        self._count[rows] += 1

    def values(self) -> Estimate:
        with np.errstate(invalid="ignore"):
            return Estimate(*(self._sum / self._count))


def cross_validation(directory: Path) -> xr.Dataset:
    """Open the estimates of a cross-validated bundle.

    Returns
    -------
    xarray.Dataset
        ``<protocol>_<part>`` (time, lat, lon), umol m-2 s-1, for the parts ``train``,
        ``validation`` and ``test``; the protocol is the kind of the split, and ``random`` beside
        ``blocks``.

    Raises
    ------
    NarcfError
        When the model was not trained in folds.
    """
    path = directory / CROSS_VALIDATION
    if not path.exists():
        raise NarcfError(f"{path}: no such file; train again with `narcf-geo train`")
    return xr.load_dataset(path, engine="netcdf4")
