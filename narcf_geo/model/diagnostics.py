"""Diagnostics on rows not used for fitting: skill, calibration, errors, importance and more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.model.network.ensemble import Ensemble, Estimate
from narcf_geo.model.samples.splits import PARTS, Split
from narcf_geo.model.samples.table import Table
from narcf_geo.model.uncertainty import error_patterns, flux_error
from narcf_geo.project.settings import TrainingSettings
from narcf_geo.statistics.applicability import (
    APPLICABILITY,
    Applicability,
    Fold,
    error_profile,
    left_out,
)
from narcf_geo.statistics.conformal import conformal_factors, coverage
from narcf_geo.statistics.importance import (
    correlated_groups,
    feature_weights,
    permutation_importance,
)
from narcf_geo.statistics.scores import scores


@dataclass(frozen=True)
class Diagnostics:
    """The rows of a table, the folds they were split in, and how each part was estimated.

    Attributes
    ----------
    table : Table
        All rows.
    folds : list of Split
        One, or one for each fold.
    parts : dict
        Of ``train``, ``validation`` and ``test``: the estimate of every row by models for which it
        was of that part; NaN where it never was.
    final : Split
        What the model that predicts learned from.
    """

    table: Table
    folds: list[Split]
    parts: dict[str, Estimate]
    final: Split

    def rows(self, part: str) -> np.ndarray:
        """Return the rows that belong to `part` in some fold and have an estimate there."""
        rows = np.unique(np.concatenate([getattr(fold, part) for fold in self.folds]))
        return rows[np.isfinite(self.parts[part].flux[rows])]

    def describe(self) -> dict[str, Any]:
        """Return the calibration by the validation part, and the skill of each part."""
        factors = conformal_factors(*self._judged("validation"))
        metrics = {}
        for part in PARTS:
            observed, flux, std = self._judged(part)
            area = self.table.area[self.rows(part)]
            inside = coverage(observed, flux, std, factors, area)
            shares = {f"coverage_{level}": share for level, share in inside.items()}
            metrics[part] = _finite({**scores(flux, observed, area), **shares})
        return {
            "calibration": _finite({str(level): factor for level, factor in factors.items()}),
            "metrics": metrics,
        }

    def write(
        self, directory: Path, cube: xr.Dataset, ensemble: Ensemble, settings: TrainingSettings
    ) -> dict[str, Any]:
        """Write errors and applicability into `directory`; return what to say of both.

        Importance is measured on rows that the model that predicts validated on: it learned from
        none of them, and the test part stays unseen. A model that learned nothing, or from rows
        all alike, has no area of applicability.
        """
        directory.mkdir(parents=True, exist_ok=True)
        table, names = self.table, self.table.features.names
        rows, train = self.final.validation, self.final.train
        groups = correlated_groups(table.x, names, among=train)
        importance = permutation_importance(
            lambda x: ensemble.estimate(x).flux,
            table.x,
            table.y,
            groups,
            weight=table.area,
            seed=settings.seed,
            among=rows,
        )
        try:
            weights = feature_weights(importance, groups, len(names))
            folds = self._folds(train)
            area = Applicability.fit(table.x, folds, weights, seed=settings.seed, among=train)
            trust, reason = self._trust(area, settings.seed), None
        except NarcfError as error:
            trust, reason = None, str(error)
        else:
            # Not above: that it cannot be written is no reason to go without.
            area.save(directory / APPLICABILITY)
        return {
            "importance": {
                name: _finite({k: float(v) for k, v in found.items()})
                for name, found in importance.to_dict("index").items()
            },
            "groups": groups,
            "applicability": trust,
            "not_applicable": reason,
            **self._of_the_flux(directory, cube, ensemble, settings.seed),
        }

    def _of_the_flux(
        self, directory: Path, cube: xr.Dataset, ensemble: Ensemble, seed: int
    ) -> dict[str, Any]:
        """Write how the errors of the flux hang together; return their size."""
        if not ensemble.halves:
            return {}
        size = flux_error(self.table, self.final, ensemble, seed)
        error_patterns(self.table, self.final, ensemble, size, cube).save(directory)
        return {"flux_error": size.to_json()}

    def _folds(self, train: np.ndarray) -> list[Fold]:
        """Return the folds that the threshold is from: those of the split, else training years."""
        if len(self.folds) > 1:
            return [(fold.train, fold.test) for fold in self.folds]
        year = self.table.year
        return left_out(year if np.ptp(year[train]) else self.table.month, train)

    def _trust(self, area: Applicability, seed: int) -> dict[str, Any]:
        """Return how dissimilar held-out rows are, and their error by that."""
        part = "test" if len(self.folds) > 1 else "validation"
        folds = [(fold.train, getattr(fold, part)) for fold in self.folds]
        rows, index = area.held_out(self.table.x, folds, seed=seed)
        error = self.parts[part].flux[rows] - self.table.y[rows]
        weight = self.table.area[rows]
        return {
            "part": part,
            "threshold": area.threshold,
            "mean": float(np.average(index, weights=weight)),
            "outside": float(np.average(~area.applicable(index), weights=weight)),
            "errors": error_profile(index, error, weight),
        }

    def _judged(self, part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows, estimate = self.rows(part), self.parts[part]
        return self.table.y[rows], estimate.flux[rows], estimate.std[rows]


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with None for what JSON cannot hold."""
    return {k: v if np.isfinite(v) else None for k, v in values.items()}
