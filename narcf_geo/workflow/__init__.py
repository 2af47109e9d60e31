"""The whole run: stages in order, skipping what is up to date."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from narcf_geo.core.errors import UsageError
from narcf_geo.core.lock import hold
from narcf_geo.project.project import Project
from narcf_geo.workflow.stages import STAGES, Options, Progress, Stage
from narcf_geo.workflow.state import State

__all__ = ["STAGES", "Result", "Stage", "run"]


@dataclass(frozen=True)
class Result:
    """What became of a stage; `seconds` is None when it was up to date."""

    stage: str
    seconds: float | None
    outputs: list[Path]


def _silent(done: int, total: int, text: str) -> None:
    """Show no progress."""


def run(
    project: Project,
    *stages: str,
    force: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    memory: str | None = None,
    progress: Progress = _silent,
) -> Iterator[Result]:
    """Bring stages up to date, with all they need, and yield what was done as it is done.

    Parameters
    ----------
    project : Project
        The project directory.
    *stages : str
        Names of the stages wanted; none means all of them.
    force : bool
        Run the stages named even where they are up to date.
    workers, scheduler, memory
        Who predicts, as for `narcf_geo.prediction.open_pool`, and what each process
        may take, such as "2GB".
    progress : callable
        Called within a stage with how much is done, of how much, and what it is.

    Raises
    ------
    UsageError
        When there is no stage of that name.
    NarcfError
        When a stage fails, or another process runs the project; what was finished before stays.

    Examples
    --------
    >>> for result in run(Project.open("demo"), "map"):  # doctest: +SKIP
    ...     print(result.stage, result.outputs)
    """
    unknown = [name for name in stages if name not in STAGES]
    if unknown:
        raise UsageError(f"no stage {', '.join(unknown)}; there are: {', '.join(STAGES)}")
    with hold(project.path(".narcf", "lock"), f"the project {project.directory.resolve()}"):
        state = State.open(project)
        for stage in _wanted(stages):
            forced = force and (not stages or stage.name in stages)
            if state.is_current(stage) and not forced:
                yield Result(stage.name, None, state.outputs(stage))
                continue
            if forced:
                state.forget(stage)
            start = time.perf_counter()
            outputs = stage.run(project, progress, Options(forced, workers, scheduler, memory))
            seconds = time.perf_counter() - start
            state.record(stage, outputs, seconds)
            yield Result(stage.name, seconds, outputs)


def _wanted(names: tuple[str, ...]) -> list[Stage]:
    """Return the stages named and all they need, in order of running."""
    wanted = set(names or STAGES)
    for stage in reversed(STAGES.values()):
        if stage.name in wanted:
            wanted.update(stage.needs)
    return [stage for stage in STAGES.values() if stage.name in wanted]
