"""LEAKY protocols: ways to let a model see what tests it, kept to show what each is worth.

Nothing outside `narcf_geo.experiment` uses this module, and no bundle is made with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from narcf_geo.model.ensemble_training import EnsembleTraining
from narcf_geo.model.samples.splits import Split
from narcf_geo.model.samples.table import Table

LEAKS = ("scaler", "validation", "missing", "random")
"""Scaler fitted on all rows; the test rows validate; a missing predictor is 0; rows at random."""


@dataclass(frozen=True)
class LeakySplit(Split):
    """Parts that share what they share: nothing is proven."""

    def __post_init__(self) -> None:
        """Prove nothing."""


def leaky_split(split: Split, leaks: Iterable[str], seed: int) -> Split:
    """Return `split` with the leaks ``random`` and ``validation``, its parts of the same size.

    Parameters
    ----------
    split : Split
        The honest one.
    leaks : iterable of str
        With ``random`` the rows are dealt to the parts anew, one by one; with ``validation`` the
        test rows choose the epoch too, and the validation rows are not used.
    seed : int
        Of the dealing.
    """
    parts = [split.train, split.validation, split.test]
    if "random" in leaks:
        rows = np.random.default_rng(seed).permutation(np.concatenate(parts))
        parts = np.split(rows, np.cumsum([part.size for part in parts])[:2])
    if "validation" in leaks:
        parts[1] = parts[2]
    train, validation, test = parts
    return LeakySplit(train, validation, test, name=f"leaky {split.name}")


def zero_for_missing(cube: xr.Dataset, predictors: Iterable[str]) -> xr.Dataset:
    """Return `cube` with 0 where a predictor has no value."""
    return cube.assign({name: cube[name].fillna(0.0) for name in predictors})


class LeakyTraining(EnsembleTraining):
    """Trains with the features normalised by all rows, test among them."""

    def normalisation_rows(self, split: Split) -> np.ndarray:
        """Return all rows of the table."""
        return np.arange(self.table.y.size)


def shuffled(table: Table, seed: int) -> Table:
    """Return the control: the table with its targets in another order, those of the test too.

    Nothing can be learned from them, so a score on the test rows would be a leak. The test targets
    are shuffled too, because correlation ignores amplitude: a network trained on noise still gives
    estimates that follow the season slightly, and these would correlate with test fluxes that are
    in their true order.
    """
    return replace(table, y=np.random.default_rng(seed).permutation(table.y))
