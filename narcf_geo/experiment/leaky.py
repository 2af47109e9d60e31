"""LEAKY protocols: ways to let a model see what tests it, kept to show what each is worth.

Nothing outside `narcf_geo.experiment` uses this module, and no bundle is made with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.model.ensemble_training import Workshop
from narcf_geo.model.samples.splits import Split
from narcf_geo.model.samples.table import Table

if TYPE_CHECKING:
    from narcf_geo.model.network.training import Trainer

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


class LeakyWorkshop(Workshop):
    """Trains with the features normalised by all rows, test among them."""

    @cached_property
    def trainer(self) -> Trainer:
        """The training, blind to which rows may be seen."""
        trainer = super().trainer
        everything, prepare = np.arange(self.table.y.size), trainer._prepare

        def leaky_prepare(train_rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
            return prepare(everything, seed)

        trainer._prepare = leaky_prepare  # type: ignore[method-assign]
        return trainer


def shuffled(table: Table, seed: int) -> Table:
    """Return the control: the table with its targets in another order, those of the test too.

    Nothing can be learned from them, so a score on the test rows would be a leak. The test targets
    are shuffled with the others, for a correlation knows no scale: of what is learned from noise a
    whisper of temperature stays, and that alone correlates with fluxes in their order.
    """
    return replace(table, y=np.random.default_rng(seed).permutation(table.y))
