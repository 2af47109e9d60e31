"""Training the members of an ensemble together, kept until all that needs them is done."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.files import atomic_path
from narcf_geo.core.hashes import Hashes, total
from narcf_geo.core.progress import Progress
from narcf_geo.core.provenance import VERSION
from narcf_geo.model.network import keras_file
from narcf_geo.model.network.ensemble import Ensemble
from narcf_geo.model.plausible import require_plausible
from narcf_geo.model.samples.splits import Split, halves
from narcf_geo.model.samples.table import Table
from narcf_geo.project.presets import Recipe
from narcf_geo.statistics.columns import Columns
from narcf_geo.statistics.scores import scores

if TYPE_CHECKING:
    from narcf_geo.model.network.training import Trainer


@dataclass(frozen=True)
class Fitted:
    """Trained members: their files, the loss of each epoch, and what they estimate together."""

    paths: list[Path]
    histories: list[dict[str, Any]]
    ensemble: Ensemble


class EnsembleTraining:
    """Trains ensembles of one recipe on parts of one table.

    The members of an ensemble are trained together. They are kept in files named by all they
    depend on, and so is where their training is after each epoch: one that is killed and started
    again goes on with the epoch it was at.

    Parameters
    ----------
    recipe : Recipe
        The network, its training and the number of members.
    table : Table
        The rows to learn from.
    directory : Path
        Where finished members and the state of a training are kept.
    """

    def __init__(self, recipe: Recipe, table: Table, directory: Path) -> None:
        self.recipe, self.table, self.directory = recipe, table, directory

    @cached_property
    def trainer(self) -> Trainer:
        """The compiled training, shared by all members and folds."""
        from narcf_geo.model.network.training import Trainer

        table = self.table
        return Trainer(self.recipe, table.x, table.y, table.area, table.features.land_cover)

    def on(self, table: Table) -> EnsembleTraining:
        """Return a training of the same recipe on another table, itself for its own."""
        return self if table is self.table else type(self)(self.recipe, table, self.directory)

    def normalisation_rows(self, split: Split) -> np.ndarray:
        """Return the rows that give each feature its mean and variance: those of training."""
        return split.train

    def fit(self, split: Split, seed: int, progress: Progress) -> Fitted:
        """Train the members on the rows of `split`; `progress` is told of every epoch.

        Raises
        ------
        NarcfError
            When a part is empty, a feature has no value in training, the target is none to learn
            from (see `require_plausible`), or the loss is not finite.
        """
        names = np.array(self.table.features.names)
        if len(split.train):
            empty = Columns.of(self.table.x, split.train).count == 0
            if empty.any():
                raise NarcfError(
                    f"{', '.join(names[empty])}: no value in any training sample, so nothing can "
                    "be learned from it; leave it out of the predictors, or train on months that "
                    "have it"
                )
        require_plausible(self.table, split, self.recipe.standardised)
        paths = self._members(split, seed, progress)
        histories = [_history(path) for path in paths]
        ensemble = Ensemble.load(paths, halves=self.recipe.halves)
        if self.recipe.n_outputs == 1:
            rows = split.validation
            flux = ensemble.estimate(self.table.x, rows).flux
            error = scores(flux, self.table.y[rows], self.table.area[rows])
            ensemble = replace(ensemble, noise=error["rmse"])
        return Fitted(paths, histories, ensemble)

    def _members(self, split: Split, seed: int, progress: Progress) -> list[Path]:
        """Return the files of the members, trained together where one of them is not there."""
        seeds = [seed + number for number in range(self.recipe.members)]
        key = self._key(split, seeds)
        paths = [self.directory / f"{key}_{number}.keras" for number in range(len(seeds))]
        if all(_history(path) for path in paths):
            return paths

        def on_epoch(epoch: int, loss: float, validation: float) -> None:
            progress(
                epoch + 1,
                self.recipe.epochs,
                f"{len(seeds)} members, epoch {epoch + 1} of {self.recipe.epochs}: "
                f"loss {loss:.4f}, validation {validation:.4f}",
            )

        state = self.directory / f"{key}.npz"
        own = halves(split, len(seeds) // 2, seed) if self.recipe.halves else split.train
        fits = self.trainer.fit(
            own, split.validation, seeds, on_epoch, self.normalisation_rows(split), state
        )
        for path, fit in zip(paths, fits, strict=True):
            history = {
                "train": fit.history.train,
                "validation": fit.history.validation,
                "best_epoch": fit.history.best_epoch + 1,
            }
            with atomic_path(path) as temporary:
                keras_file.save(fit.model, temporary)
                kept = {"sha256": total(Hashes().parts(temporary)), "history": history}
                # Before the model is in its place: where it is, its history is too.
                with atomic_path(path.with_suffix(".json")) as beside:
                    beside.write_text(json.dumps(kept), encoding="utf-8")
        state.unlink(missing_ok=True)
        return paths

    def _key(self, split: Split, seeds: list[int]) -> str:
        versions = [VERSION, version("keras"), version("tensorflow")]
        content = json.dumps([self.table.digest, asdict(self.recipe), seeds, versions])
        digest = hashlib.sha256(content.encode())
        group = split.train if split.group is None else split.group[split.train]
        for rows in (split.train, split.validation, self.normalisation_rows(split), group):
            digest.update(np.ascontiguousarray(rows, np.int64).tobytes())
        return digest.hexdigest()[:20]


def _history(path: Path) -> dict[str, Any]:
    """Return the history of a finished member; empty where it is absent or damaged."""
    try:
        kept = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if kept["sha256"] == total(Hashes().parts(path)):
            return dict(kept["history"])
    except (OSError, ValueError, LookupError, TypeError, NarcfError, RecursionError):
        pass
    return {}
