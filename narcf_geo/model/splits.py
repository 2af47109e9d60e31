"""Who may learn from what: training, validation and test rows, proven disjoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from narcf_geo.errors import NarcfError
from narcf_geo.project import BlockSplit, PeriodSplit

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Row numbers of the three parts.

    Raises
    ------
    NarcfError
        When two parts share a row.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def __post_init__(self) -> None:
        rows = np.concatenate([self.train, self.validation, self.test])
        if np.unique(rows).size != rows.size:
            raise NarcfError("the parts of the split share rows; training would see what tests it")


def by_period(split: PeriodSplit, time: pd.DatetimeIndex, month: np.ndarray) -> Split:
    """Split rows by their month; `month` is each row's position on `time`."""
    parts = {}
    for name in PARTS:
        period = getattr(split, name)
        member = np.isin(time, period.months())
        parts[name] = np.flatnonzero(member[month])
        if not parts[name].size:
            raise NarcfError(
                f"split.{name} ({period}) has no sample; the data reach from "
                f"{time[0]:%Y-%m} to {time[-1]:%Y-%m}"
            )
    return Split(**parts)


def block_of(lon: np.ndarray, lat: np.ndarray, degrees: float) -> np.ndarray:
    """Return the number of the block of `degrees` edge that each point lies in."""
    return np.floor(lat / degrees).astype(int) * 10_000 + np.floor(lon / degrees).astype(int)


def folds_of(group: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return the fold, 0 to ``folds - 1``, of each row; a group is never divided.

    Groups are dealt at random into folds of near-equal size.

    Raises
    ------
    NarcfError
        When there are fewer groups than folds.
    """
    names, index, counts = np.unique(group, return_inverse=True, return_counts=True)
    if names.size < folds:
        raise NarcfError(
            f"expected at least {folds} blocks for as many folds, found {names.size}; use smaller "
            "blocks (split.degrees) or fewer folds (split.folds)"
        )
    fold = np.empty(names.size, int)
    filled = np.zeros(folds)
    for position in np.random.default_rng(seed).permutation(names.size):
        fold[position] = np.argmin(filled)
        filled[fold[position]] += counts[position]
    return fold[index]


def by_blocks(
    split: BlockSplit, lon: np.ndarray, lat: np.ndarray, seed: int, *, random: bool = False
) -> Iterator[Split]:
    """Yield a split for each fold: it is tested, the next one validates, the others train.

    With `random` the folds are of single points wherever they lie: the optimistic protocol, in
    which a test cell's neighbours were trained on.
    """
    group = np.arange(lon.size) if random else block_of(lon, lat, split.degrees)
    fold = folds_of(group, split.folds, seed)
    for test in range(split.folds):
        validation = (test + 1) % split.folds
        yield Split(
            train=np.flatnonzero((fold != test) & (fold != validation)),
            validation=np.flatnonzero(fold == validation),
            test=np.flatnonzero(fold == test),
        )
