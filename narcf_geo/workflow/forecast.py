"""What a run would do, why, and about what it would cost."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.pool import LIBRARIES
from narcf_geo.project.project import RESULTS, Project
from narcf_geo.project.split_settings import (
    BlockSplit,
    ForwardSplit,
    KnndmSplit,
    PeriodSplit,
    RandomSplit,
    SplitSettings,
    YearSplit,
)
from narcf_geo.workflow.manifest import Manifest
from narcf_geo.workflow.plan import Stage, Step, wanted
from narcf_geo.workflow.state import State, plain

if TYPE_CHECKING:
    import pandas as pd

_BIOMES = 12
"""Biomes that a large region has."""

_COMPRESSED = 4
"""By how much fields compress at best."""


@dataclass(frozen=True)
class Size:
    """How much there is to do.

    Attributes
    ----------
    cells, land : int
        Of the grid, and those of land among them; land is estimated before biomes are mapped.
    months : int
        Of the period.
    predictors, fluxes : int
        Fields with a time axis that are regridded.
    training : int
        Months that are learned from.
    epochs, members, fits : int
        Of the model; `fits` is how often all members are trained, more than once with folds.
    """

    cells: int
    land: int
    months: int
    predictors: int
    fluxes: int
    training: int
    epochs: int
    members: int
    fits: int

    @classmethod
    def of(cls, project: Project) -> Size:
        """Find out how large a project is, without reading its sources."""
        settings = project.settings
        recipe = settings.model.recipe()
        months = settings.period.months()
        fluxes = [settings.target, settings.reference, settings.truth]
        split = settings.periods
        return cls(
            cells=math.prod(project.target_grid.shape),
            land=_land(project),
            months=len(months),
            predictors=len(settings.predictor_names),
            fluxes=sum(flux is not None for flux in fluxes),
            training=len(split.train.months()) if split else len(months),
            epochs=recipe.epochs,
            members=recipe.members,
            fits=1 + _folds(settings.split, months),
        )

    @property
    def rows(self) -> int:
        """Land cells and months."""
        return self.land * self.months


@dataclass(frozen=True)
class Cost:
    """What a step takes, about.

    Attributes
    ----------
    rows : int
        Cells and months it works on.
    seconds, memory, disk : float
        Time, memory of a process and what is written, bytes.
    """

    rows: int
    seconds: float
    memory: float
    disk: float


@dataclass(frozen=True)
class Forecast:
    """What would become of a step.

    Attributes
    ----------
    step, stage : str
        Its name, and that of its stage.
    does : {"runs", "may run", "is up to date"}
        A step may run when one before it runs, and does when that one's result has changed.
    why : str
        In a few words; empty where it is up to date.
    cost : Cost, optional
        About; None where it is up to date.
    """

    step: str
    stage: str
    does: str
    why: str
    cost: Cost | None


def forecast(project: Project, *stages: str, force: bool = False) -> list[Forecast]:
    """Say what `narcf_geo.workflow.run` would do, step by step; nothing is run or written.

    Parameters
    ----------
    project : Project
        The project.
    *stages : str
        As for `run`.
    force : bool
        As for `run`.

    Returns
    -------
    list of Forecast
        In the order of running. A step that was done before with the same grid and period is
        thought to take as long as it did then; of others the time is that on two cores of a
        common computer, and may be off by a factor of two or three.

    Examples
    --------
    >>> import tempfile
    >>> from narcf_geo.project.init import init_project
    >>> folder = Path(tempfile.mkdtemp()) / "demo"
    >>> _ = init_project(folder, sample=True)
    >>> [(f.step, f.does, f.why) for f in forecast(Project.open(folder), "biomes")]
    [('biomes', 'runs', 'never done')]
    """
    state, size = State.open(project), Size.of(project)
    found: list[Forecast] = []
    running: set[str] = set()
    for stage in wanted(stages):
        forced = force and (not stages or stage.name in stages)
        for step in stage.steps(project):
            does, why = _fate(state, stage, step, running, forced)
            cost = None
            if does != "is up to date":
                running.add(stage.name)
                cost = _cost(state, stage, step, size)
            found.append(Forecast(step.name, stage.name, does, why, cost))
    return found


def require_room(project: Project, *stages: str) -> None:
    """Refuse, before anything is run, what cannot fit.

    Parameters
    ----------
    project : Project
        The project.
    *stages : str
        As for `forecast`; of their steps, those count that were never done.

    Raises
    ------
    NarcfError
        When a step needs more memory than there is, or the disk is too small for what is written
        even where that compresses well.
    """
    done = Manifest.open(project.directory).steps
    steps = [(stage, step) for stage in wanted(stages) for step in stage.steps(project)]
    new = [(stage, step) for stage, step in steps if step.name not in done]
    if not new:
        return
    size = Size.of(project)
    costs = {step.name: COSTS[stage.name](size, step) for stage, step in new}
    there = available_memory()
    for name, cost in costs.items():
        if cost.memory > there:
            raise NarcfError(
                f"{project.directory}: {name} needs about {cost.memory / 1e9:.1f} GB of memory, "
                f"found {there / 1e9:.1f} GB free; close other programs, or choose a coarser "
                "resolution: or a smaller region:"
            )
    needed = sum(cost.disk for cost in costs.values())
    free = shutil.disk_usage(project.directory).free
    if needed / _COMPRESSED > free:
        raise NarcfError(
            f"{project.directory}: expected about {needed / 1e9:.1f} GB of disk, found "
            f"{free / 1e9:.1f} GB free; make room, or choose a coarser resolution:"
        )


def available_memory() -> float:
    """Return the memory that this process can have, bytes: that of its container where it is less.

    Examples
    --------
    >>> available_memory() > 1e8
    True
    """
    import psutil

    found = float(psutil.virtual_memory().available)
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found = min(found, float(Path(name).read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue
    return found


def _fate(
    state: State, stage: Stage, step: Step, running: set[str], forced: bool
) -> tuple[str, str]:
    if forced:
        return "runs", "asked for"
    if step.name not in state.manifest.steps:
        return "runs", state.manifest.problem or "never done"
    if why := state.changes(stage, step, state.inputs(stage, step)):
        return "runs", why
    if damage := state.damage(step):
        return "runs", "; ".join(f"{what}: {path}" for path, what in damage.items())
    if before := [name for name in stage.needs if name in running]:
        return "may run", f"if {' or '.join(before)} gives another result"
    return "is up to date", ""


def _cost(state: State, stage: Stage, step: Step, size: Size) -> Cost:
    cost = COSTS[stage.name](size, step)
    record = state.manifest.steps.get(step.name)
    sized = ("region", "resolution", "period", "model", "split")
    now = {name: plain(step.options).get(name) for name in sized}
    if record and now == {name: record.options.get(name) for name in sized}:
        return Cost(cost.rows, record.seconds, cost.memory, cost.disk)
    return cost


def _land(project: Project) -> int:
    """Return the cells of land: of the biomes where they are mapped, else from coarse coasts."""
    import numpy as np

    from narcf_geo.catalog.land import inland_and_open_sea
    from narcf_geo.core.datasets import open_zarr
    from narcf_geo.cube.biomes import UNCLASSIFIED

    grid = project.target_grid
    path = project.path(RESULTS["biomes"])
    if path.exists():
        biome = open_zarr(path, "biomes")["biome"]
        if biome.shape == grid.shape:
            return int(((biome > 0) & (biome < UNCLASSIFIED)).sum())
    inland, sea = inland_and_open_sea(*np.meshgrid(grid.lon[::8], grid.lat[::8]))
    share = np.where(inland, 1.0, np.where(sea, 0.0, 0.5)).mean()
    return round(math.prod(grid.shape) * float(share))


def _folds(split: SplitSettings, months: pd.DatetimeIndex) -> int:
    """Return how many folds are trained before the model that predicts."""
    if isinstance(split, BlockSplit):
        return 2 * split.folds  # in random folds, too
    if isinstance(split, RandomSplit | KnndmSplit):
        return split.folds
    if isinstance(split, YearSplit):
        return int(months.year.nunique())
    if isinstance(split, ForwardSplit):
        return int(months.year.nunique()) - split.train_years - 1
    return 0 if isinstance(split, PeriodSplit) else _BIOMES


def _regrid(size: Size, step: Step) -> Cost:
    values = size.cells * size.months * max(1, len(step.options["variables"]))
    return Cost(size.cells * size.months, 1 + 60e-9 * values, LIBRARIES + 300e6, 4 * values)


def _biomes(size: Size, step: Step) -> Cost:
    return Cost(size.cells, 5 + 2e-6 * size.cells, LIBRARIES + 500e6, 80 * size.cells)


def _cube(size: Size, step: Step) -> Cost:
    values = size.cells * size.months * (size.predictors + size.fluxes)
    return Cost(size.cells * size.months, 1 + 25e-9 * values, LIBRARIES + 300e6, 4 * values)


def _train(size: Size, step: Step) -> Cost:
    rows = size.land * size.training
    seconds = 8 + 3e-6 * rows * size.epochs * size.members * size.fits + 2e-6 * size.rows
    return Cost(rows, seconds, LIBRARIES + 800e6 + 60 * size.rows, 5e6 + 200 * size.land)


def _predict(size: Size, step: Step) -> Cost:
    seconds = 3 + 1.0e-6 * size.rows * size.members
    return Cost(size.rows, seconds, LIBRARIES + 300e6, 12 * size.cells * size.months)


def _evaluate(size: Size, step: Step) -> Cost:
    return Cost(size.rows, 15 + 1e-6 * size.rows, LIBRARIES + 500e6, 2e6)


def _map(size: Size, step: Step) -> Cost:
    return Cost(size.rows, 15 + 0.3e-6 * size.rows, LIBRARIES + 500e6, 10e6)


def _report(size: Size, step: Step) -> Cost:
    return Cost(size.rows, 20 + 1e-6 * size.rows, LIBRARIES + 500e6, 20e6)


COSTS: dict[str, Callable[[Size, Step], Cost]] = {
    "regrid": _regrid,
    "biomes": _biomes,
    "cube": _cube,
    "train": _train,
    "predict": _predict,
    "evaluate": _evaluate,
    "map": _map,
    "report": _report,
}
"""What a step of each stage takes, from `benchmarks/chain.py` on two cores."""
