"""The whole run: stages in order, skipping what is up to date."""

from narcf_geo.workflow.runner import Result, iter_run, locked, run
from narcf_geo.workflow.stages import STAGES, Stage

__all__ = ["STAGES", "Result", "Stage", "iter_run", "locked", "run"]
