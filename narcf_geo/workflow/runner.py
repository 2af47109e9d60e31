"""Running stages: all that are wanted, in order, or one after the other as they end."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from narcf_geo.core.errors import UsageError
from narcf_geo.core.lock import hold
from narcf_geo.core.pool import Pool, memory_bytes, open_pool
from narcf_geo.core.progress import Progress, silent
from narcf_geo.project.project import Project
from narcf_geo.workflow.forecast import require_room
from narcf_geo.workflow.options import Options
from narcf_geo.workflow.plan import Stage, wanted
from narcf_geo.workflow.state import State

if TYPE_CHECKING:
    from narcf_geo.catalog.rules import Finding


@dataclass(frozen=True)
class Result:
    """What became of a stage.

    Attributes
    ----------
    stage : str
        Its name.
    seconds : float or None
        How long it took; None when it was up to date.
    outputs : list of Path
        The files and stores it wrote, now or before.
    why : str
        Why it was done again, in a few words; empty where it was not, or was done first.
    findings : list of Finding
        What is doubtful about the sources it read now, and what of them was allowed.
    """

    stage: str
    seconds: float | None
    outputs: list[Path]
    why: str = ""
    findings: list[Finding] = field(default_factory=list)


def run(
    project: Project | str | os.PathLike[str],
    *stages: str,
    force: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    memory: str | None = None,
    allow: Collection[str] = (),
    progress: Progress = silent,
) -> list[Result]:
    """Bring stages up to date, with all they need.

    Parameters
    ----------
    project : Project or path
        The project, or its folder.
    *stages : str
        Names of the stages wanted, of regrid, biomes, cube, train, predict, evaluate, map and
        report; none means all of them.
    force : bool
        Run the stages named even where they are up to date.
    workers, scheduler, memory
        Who does the work, as for `narcf_geo.prediction.open_pool`, and what each process may take,
        such as "2GB".
    allow : collection of str
        Sources, or their variables as ``source.variable``, that may have impossible values.
    progress : callable
        Called within a stage with how much is done, of how much, and what it is.

    Returns
    -------
    list of Result
        What became of each stage, in the order of running.

    Raises
    ------
    UsageError
        When there is no stage of that name, nothing of a name to allow, or no project.
    NarcfError
        When a stage fails, or another process runs the project; what was finished before stays.

    See Also
    --------
    iter_run : to see each stage as it ends.

    Examples
    --------
    >>> import tempfile
    >>> from narcf_geo.project.init import init_project
    >>> folder = Path(tempfile.mkdtemp()) / "demo"
    >>> _ = init_project(folder, sample=True)
    >>> [(done.stage, done.outputs[0].name) for done in run(folder, "biomes")]
    [('biomes', 'biomes.zarr')]
    """
    opened = _opened(project)
    with locked(opened):
        return list(
            iter_run(
                opened,
                *stages,
                force=force,
                workers=workers,
                scheduler=scheduler,
                memory=memory,
                allow=allow,
                progress=progress,
            )
        )


def iter_run(
    project: Project | str | os.PathLike[str],
    *stages: str,
    force: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    memory: str | None = None,
    allow: Collection[str] = (),
    progress: Progress = silent,
) -> Iterator[Result]:
    """Bring stages up to date, and yield what became of each as it ends.

    Nothing is done before the first result is asked for. The project is locked while a stage
    runs, not between stages, so that an iterator that is left alone locks nobody out; hold `locked`
    around the loop to keep others out until it ends.

    Parameters
    ----------
    project, stages, force, workers, scheduler, memory, allow, progress
        As for `run`.

    Yields
    ------
    Result
        What became of the stage.

    Raises
    ------
    NarcfError
        As for `run`.

    Examples
    --------
    >>> import tempfile
    >>> from narcf_geo.project.init import init_project
    >>> folder = Path(tempfile.mkdtemp()) / "demo"
    >>> _ = init_project(folder, sample=True)
    >>> for done in iter_run(folder, "biomes"):
    ...     print(done.stage, done.seconds is not None)
    biomes True
    """
    project = _opened(project)
    memory_bytes(memory)  # a size that is none is refused before all stages
    if workers and scheduler:
        raise UsageError("give --workers or --scheduler, not both")
    steps = wanted(stages)
    if allow:
        _require_known(allow, project)
    require_room(project, *stages)
    with ExitStack() as opened:

        @cache
        def pool() -> Pool:
            return opened.enter_context(open_pool(workers, scheduler))

        for stage in steps:
            forced = force and (not stages or stage.name in stages)
            with locked(project):
                options = Options(forced, pool, memory, tuple(allow))
                result = _run_stage(project, stage, progress, options)
            yield result


def locked(project: Project) -> AbstractContextManager[None]:
    """Keep other processes and threads from running `project` within a ``with`` block."""
    lock = project.path(".narcf", "lock")
    return hold(lock, f"the project {project.directory.resolve()}", reentrant=True)


def _opened(project: Project | str | os.PathLike[str]) -> Project:
    return project if isinstance(project, Project) else Project.open(project)


def _run_stage(project: Project, stage: Stage, progress: Progress, options: Options) -> Result:
    # Read anew for each stage: between two of them another run may have written it.
    state = State.open(project)
    seconds = 0.0
    outputs: list[Path] = []
    why: list[str] = []
    findings: list[Finding] = []
    steps = stage.steps(project)
    if options.force:
        for step in steps:
            state.forget(step)
    for step in steps:
        # What is read is looked at first: what changes while it is read is noticed the next time.
        inputs = state.inputs(stage, step)
        reason, damage = state.changes(stage, step, inputs), state.damage(step)
        known = bool(reason) and not damage and state.same_work(stage, step)
        if known and step.holds and step.holds(project):
            state.accept(step, inputs)
            reason = None
        if reason is None and not damage:
            outputs += state.outputs(step)
            continue
        start = time.perf_counter()
        # A damaged store is no beginning to go on from.
        force = options.force or any(p.endswith(".zarr") for p in damage)
        anew = replace(options, force=force, findings=[])
        options.pool()  # open: dask computes where a cluster is known
        paths = step.run(project, progress, anew)
        took = time.perf_counter() - start
        state.record(stage, step, inputs, paths, took, anew.findings)
        findings += anew.findings
        seconds, outputs, why = seconds + took, outputs + paths, [*why, reason or ""]
        why += [f"{what}: {path}" for path, what in damage.items()][:3]
    state.drop(stage)
    state.hashes.save()
    reasons = "; ".join(dict.fromkeys(filter(None, why)))
    return Result(stage.name, seconds if why else None, outputs, reasons, findings)


def _require_known(allow: Collection[str], project: Project) -> None:
    from narcf_geo.catalog.gate import require_known

    catalog, used = project.catalog(), project.sources()
    sources = {name: [*catalog[name].metadata.variables, *names] for name, names in used.items()}
    sources[project.settings.land_cover.source] = ["land_cover"]
    require_known(allow, {name: dict.fromkeys(names) for name, names in sources.items()})
