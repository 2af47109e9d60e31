"""Presets, feature sets, splits and protocols side by side, in one table with repeats.

The leaky protocols live here alone: what they train is scored and thrown away.
"""

from narcf_geo.experiment.plan import Experiment, plan_of
from narcf_geo.experiment.run import Outcome, run_experiment
from narcf_geo.experiment.summary import leak_worth, summarise, write

__all__ = [
    "Experiment",
    "Outcome",
    "leak_worth",
    "plan_of",
    "run_experiment",
    "summarise",
    "write",
]
