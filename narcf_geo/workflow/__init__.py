"""The whole run: stages in order, skipping what is up to date."""

from narcf_geo.workflow.forecast import Forecast, forecast
from narcf_geo.workflow.plan import STAGES, Stage
from narcf_geo.workflow.runner import Result, iter_run, locked, run

__all__ = ["STAGES", "Forecast", "Result", "Stage", "forecast", "iter_run", "locked", "run"]
