"""The whole run: stages in order, skipping what is up to date."""

from narcf_geo.workflow.plan import STAGES, Stage
from narcf_geo.workflow.runner import Result, iter_run, locked, run

__all__ = ["STAGES", "Result", "Stage", "iter_run", "locked", "run"]
