"""Running the cases of an experiment, each once: what is finished is read, not run again."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.files import atomic_path, remove
from narcf_geo.core.lock import hold
from narcf_geo.core.progress import Progress, silent
from narcf_geo.core.provenance import VERSION
from narcf_geo.experiment.leaky import LeakyTraining, leaky_split, shuffled, zero_for_missing
from narcf_geo.experiment.plan import Case, Experiment, leaks_of, recipe_of, settings_of
from narcf_geo.experiment.score import Held, score
from narcf_geo.model.baselines import fit_baseline
from narcf_geo.model.ensemble_training import EnsembleTraining, Fitted
from narcf_geo.model.fit import tabulate
from narcf_geo.model.network.ensemble import Estimate
from narcf_geo.model.samples.climate import months_of_climate
from narcf_geo.model.samples.own_climate import own_climate
from narcf_geo.model.samples.splits import Split, splits_of
from narcf_geo.model.samples.table import Table
from narcf_geo.model.uncertainty import error_patterns, flux_error
from narcf_geo.project.presets import Recipe
from narcf_geo.project.project import Project, open_cube
from narcf_geo.project.settings import Settings, TrainingSettings
from narcf_geo.statistics.error_model import ErrorModel
from narcf_geo.statistics.flux_error import FluxError
from narcf_geo.workflow import run

_LEARNED_FROM = {"predictors", *TrainingSettings.model_fields} - {"model"}
_TABULATED = _LEARNED_FROM - {"split", "seed", "max_rows"}
_STEPS = 1000


@dataclass(frozen=True)
class Outcome:
    """A finished case: its scores, its losses, and the file of its estimates.

    Attributes
    ----------
    case : Case
        What was run.
    scores : dict
        As of `score`, and ``seconds``, the training time.
    histories : list of dict
        For each member ``train`` and ``validation``, the loss of each epoch, and ``best_epoch``;
        none for a baseline.
    estimates : Path
        NetCDF file with ``flux`` (time, lat, lon) of the test rows, umol m-2 s-1.
    """

    case: Case
    scores: dict[str, float | None]
    histories: list[dict[str, Any]]
    estimates: Path


def run_experiment(
    project: Project,
    experiment: Experiment,
    progress: Progress = silent,
) -> list[Outcome]:
    """Run every case of `experiment` on the project's cube, which is built first where needed.

    A finished case is two files, ``experiment/cases/<hash>.json`` and ``.nc``; a run that was
    killed goes on after the last one, within an ensemble after its last member.

    Parameters
    ----------
    project : Project
        The project.
    experiment : Experiment
        What to run.
    progress : callable
        Called with how much is done, of how much, and what it is.

    Returns
    -------
    list of Outcome
        In the order of the cases.

    Raises
    ------
    UsageError
        When a feature set or split does not fit the project.
    NarcfError
        When the cube cannot be built, a case cannot be fitted, or another process runs one.
    """
    cases = experiment.cases(project.settings.seed)
    settings = {case: settings_of(case, experiment, project.settings) for case in cases}
    run(project, "cube", progress=progress)
    lock = project.path(".narcf", "experiment.lock")
    with hold(lock, f"the experiment of {project.directory.resolve()}"):
        work = project.path(".narcf", "experiment")
        bench = _Bench(open_cube(project).load(), work, experiment.epochs)
        outcomes = []
        for number, case in enumerate(cases):

            def told(
                done: int, total: int, text: str, number: int = number, case: Case = case
            ) -> None:
                part = _STEPS * done // max(total, 1)
                progress(
                    _STEPS * number + part,
                    _STEPS * len(cases),
                    f"case {number + 1} of {len(cases)}: {case}; {text}",
                )

            told(0, 1, "")
            path = project.path("experiment", "cases", f"{bench.key(case, settings[case])}.json")
            if (outcome := _outcome(case, path)) is None:
                bench.run(case, settings[case], path, told)
                outcome = _outcome(case, path)
            if outcome is not None:
                outcomes.append(outcome)
        remove(work)
    return outcomes


def _outcome(case: Case, path: Path) -> Outcome | None:
    """Return what is kept of a case; None where that is absent or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        scores, histories = dict(content["scores"]), list(content["histories"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return Outcome(case, scores, histories, path.with_suffix(".nc"))


def versions() -> dict[str, str]:
    """Return the versions on which scores depend."""
    names = ("keras", "tensorflow", "scikit-learn", "numpy")
    return {"narcf-geo": VERSION, **{name: version(name) for name in names}}


def _not_default(plan: Recipe) -> dict[str, Any]:
    """Return what sets the recipe apart, so that an option not used changes nothing."""
    return {f.name: v for f in fields(plan) if (v := getattr(plan, f.name)) != f.default}


_FORMAT = 2
"""Of what is kept of a case: raised when it is scored in another way."""


@dataclass
class _Bench:
    """The cube, and what cases share: their tables, and the compiled training of the last one."""

    cube: xr.Dataset
    work: Path
    epochs: int | None
    tables: dict[str, Table] = field(default_factory=dict)
    trainings: dict[Any, EnsembleTraining] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all values of the cube."""
        digest = hashlib.sha256()
        for name in sorted(map(str, self.cube.variables)):
            digest.update(f"{name} {self.cube[name].attrs.get('units')}".encode())
            digest.update(np.ascontiguousarray(self.cube[name].values).tobytes())
        return digest.hexdigest()

    def key(self, case: Case, settings: Settings) -> str:
        """Return a hash of all that the scores of the case depend on."""
        plan = recipe_of(case, self.epochs)
        content = [
            _FORMAT,
            self.digest,
            settings.model_dump(mode="json", include=_LEARNED_FROM),
            _not_default(plan) if plan else case.preset,
            case.protocol,
            case.seed,
            versions(),
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]

    def run(self, case: Case, settings: Settings, path: Path, progress: Progress) -> None:
        """Fit, score and write the case; the scores last, for they say that it is done."""
        start = time.perf_counter()
        leaks = leaks_of(case.protocol)
        zero = "missing" in leaks
        rows_of = zero_for_missing(self.cube, settings.predictor_names) if zero else self.cube
        table = self._table(rows_of, settings, zero=zero)
        folds = splits_of(settings.split, table, settings.seed, settings.max_rows)
        cube = self.cube
        if case.protocol == "shuffled":
            table = shuffled(table, case.seed)
            target = table.on_grid(table.y, cube["flux_target"])
            cube = cube.drop_vars(["flux_truth", "flux_reference"], errors="ignore")
            cube = cube.assign(flux_target=target)
        held = Held.empty(table.y.size)
        histories: list[dict[str, Any]] = []
        for number, fold in enumerate(folds):
            own, fold = own_climate(rows_of, table, fold)

            def on_epoch(done: int, total: int, text: str, number: int = number) -> None:
                progress(number * total + done, len(folds) * total, text)

            split = leaky_split(fold, leaks, case.seed) if leaks else fold
            estimate, fitted = self._fit(case, own, split, on_epoch)
            held.add(split, estimate, table.y, *self._of_the_flux(case, own, split, fitted))
            histories += fitted.histories if fitted else []
        seconds = time.perf_counter() - start
        scores = score(table, cube, held)
        if case.protocol == "shuffled":
            scores = {name: scores[name] for name in ("r", "rmse")}
        flux = table.on_grid(held.flux, self.cube["flux_target"]).rename("flux")
        flux.attrs |= {"long_name": f"estimate of {case}"}
        with atomic_path(path.with_suffix(".nc")) as temporary:
            flux.dropna("time", how="all").to_netcdf(
                temporary, engine="netcdf4", encoding={"flux": {"zlib": True, "complevel": 4}}
            )
        content = {
            "case": asdict(case),
            "scores": {**scores, "seconds": round(seconds, 2)},
            "histories": histories,
            "versions": versions(),
        }
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content), encoding="utf-8")

    def _table(self, cube: xr.Dataset, settings: Settings, *, zero: bool) -> Table:
        key = json.dumps(
            [
                settings.model_dump(mode="json", include=_TABULATED),
                months_of_climate(settings, pd.DatetimeIndex(cube["time"].values)),
                zero,
            ]
        )
        if key not in self.tables:
            self.tables[key] = tabulate(cube, settings)
        return self.tables[key]

    def _fit(
        self, case: Case, table: Table, split: Split, progress: Progress
    ) -> tuple[Estimate, Fitted | None]:
        """Return the estimate of every row, and the members; None of a baseline."""
        plan = recipe_of(case, self.epochs)
        if plan is None:
            return fit_baseline(case.preset, table, split, case.seed), None
        if case.protocol == "honest":
            if (plan, id(table)) not in self.trainings:
                self.trainings = {(plan, id(table)): EnsembleTraining(plan, table, self.work)}
            fitted = self.trainings[plan, id(table)].fit(split, case.seed, progress)
            return fitted.ensemble.estimate(table.x), fitted
        training = LeakyTraining if "scaler" in leaks_of(case.protocol) else EnsembleTraining
        # What a leaky model or a control has learned is kept nowhere.
        with tempfile.TemporaryDirectory() as scratch:
            fitted = training(plan, table, Path(scratch)).fit(split, case.seed, progress)
            return fitted.ensemble.estimate(table.x), fitted

    def _of_the_flux(
        self, case: Case, table: Table, split: Split, fitted: Fitted | None
    ) -> tuple[FluxError | None, ErrorModel | None]:
        """Return the size of the errors of the flux, and how they hang together, where known."""
        if fitted is None or not fitted.ensemble.halves or case.protocol != "honest":
            return None, None
        size = flux_error(table, split, fitted.ensemble, case.seed)
        return size, error_patterns(table, split, fitted.ensemble, size, self.cube)
