"""Who may learn from what: training, validation and test rows, proven disjoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import NarcfError
from narcf_geo.fields.values import NODATA
from narcf_geo.model.samples.dealing import block_of, folds_of, sample
from narcf_geo.model.samples.features import LAND_CLASSES
from narcf_geo.model.samples.places import distance_to, knndm
from narcf_geo.project.split_settings import (
    LEAST_YEARS,
    BiomeSplit,
    BlockSplit,
    ForwardSplit,
    KnndmSplit,
    PeriodSplit,
    RandomSplit,
    SplitSettings,
)

if TYPE_CHECKING:
    from narcf_geo.model.samples.table import Table

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Row numbers of the three parts.

    Attributes
    ----------
    train, validation, test : numpy.ndarray
        Row numbers.
    name : str
        What is tested: months, a fold, a biome.
    apart : mapping
        The proof: labels of all rows (month, year, block, biome) of which no two parts share one.
    test_apart : mapping
        The same, for the test part against the others alone.
    group : numpy.ndarray, optional
        Label of each row, such as its year, by which the training part may be divided in halves;
        by default the row itself.
    onward : Split, optional
        Of the last fold of forward chaining: what the model that predicts learns from.

    Raises
    ------
    NarcfError
        When two parts share a row, or a label by which they must be apart.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    name: str = ""
    apart: Mapping[str, np.ndarray] = field(default_factory=dict)
    test_apart: Mapping[str, np.ndarray] = field(default_factory=dict)
    group: np.ndarray | None = None
    onward: Split | None = None

    def __post_init__(self) -> None:
        rows = np.concatenate([self.train, self.validation, self.test])
        if np.unique(rows).size != rows.size:
            raise NarcfError("the parts of the split share rows; training would see what tests it")
        for label, values in self._labels.items():
            for first, second in combinations(PARTS, 2):
                if label not in self.apart and second != "test":
                    continue
                shared = np.intersect1d(values[getattr(self, first)], values[getattr(self, second)])
                if shared.size:
                    raise NarcfError(
                        f"the parts {first} and {second} of the split share {label} {shared[0]}; "
                        "training would see what tests it"
                    )

    @property
    def _labels(self) -> dict[str, np.ndarray]:
        return {**self.test_apart, **self.apart}

    def describe(self) -> pd.DataFrame:
        """Return a table to print: rows of each part, and how many labels it holds."""
        return pd.DataFrame(
            {
                "rows": [getattr(self, part).size for part in PARTS],
                **{
                    f"{label}s": [np.unique(v[getattr(self, part)]).size for part in PARTS]
                    for label, v in self._labels.items()
                },
            },
            index=pd.Index(PARTS, name="part"),
        )

    def __str__(self) -> str:
        """Return the table and what was proven."""
        proven = ["no row in two parts", *(f"no {label} in two parts" for label in self.apart)]
        proven += [f"no {label} of test in another part" for label in self.test_apart]
        return f"{self.name}\n{self.describe()}\nproven: {'; '.join(proven)}"


def splits_of(
    settings: SplitSettings, table: Table, seed: int, max_rows: int | None = None
) -> list[Split]:
    """Return the split of `settings`, or one for each fold, on the rows of `table`.

    With `max_rows`, the model that predicts learns from as many rows at most, and that of a fold
    from those of them that are in its training part: see `sample`. Validation and test parts are
    whole.

    Raises
    ------
    NarcfError
        When a part is empty, or there are too few blocks, cells, years or biomes.
    """
    if isinstance(settings, PeriodSplit):
        months = _by_period(settings, table)
        split = _split(
            months,
            name=str(settings.test),
            apart={"month": table.month},
            group=_years_or_blocks(table, months["train"]),
        )
        return _thinned([split], table, max_rows, seed)
    folds = _splits_in_folds(settings, table, seed)
    if (period := getattr(settings, "period", None)) is not None:
        months = _by_period(period, table)
        folds = [
            _split(
                {part: np.intersect1d(getattr(split, part), months[part]) for part in PARTS},
                name=split.name,
                apart={**split.apart, "month": table.month},
                test_apart=split.test_apart,
                group=split.group,
            )
            for split in folds
        ]
    folds = _thinned(folds, table, max_rows, seed)
    for fold in folds:
        _require_rows(fold, settings)
    return folds


def _thinned(folds: list[Split], table: Table, max_rows: int | None, seed: int) -> list[Split]:
    """Return the folds with training parts of which the final one has no more than `max_rows`."""
    learned = final_split(folds).train
    if max_rows is None or learned.size <= max_rows:
        return folds
    kept = np.zeros(table.y.size, bool)
    # What the final model validates on, and so does not learn from, may train other folds.
    for rows in (learned, final_split(folds).validation):
        biome = table.cells.biome.astype(np.int32)[table.cell[rows]]
        stratum = biome * np.int32(table.time.size) + table.month[rows]
        size = rows.size * max_rows // learned.size
        kept[rows[sample(stratum, size, seed)]] = True

    def thinned(fold: Split) -> Split:
        onward = thinned(fold.onward) if fold.onward else None
        return replace(fold, train=fold.train[kept[fold.train]], onward=onward)

    return [thinned(fold) for fold in folds]


def _splits_in_folds(settings: SplitSettings, table: Table, seed: int) -> list[Split]:
    if isinstance(settings, BlockSplit):
        block = blocks_of_rows(table, settings.degrees)
        fold = folds_of(block, settings.folds, seed)
        splits = _next_validates(fold, _numbered(settings.folds), block=block)
        return [_buffered(split, table, settings.buffer_km) for split in splits]
    if isinstance(settings, KnndmSplit):
        return _by_distance(settings, table, seed)
    if isinstance(settings, RandomSplit):
        fold = folds_of(np.arange(table.y.size), settings.folds, seed, "rows")
        return _next_validates(fold, _numbered(settings.folds))
    if isinstance(settings, BiomeSplit):
        return _by_biome(settings, table, seed)
    least = settings.least_years if isinstance(settings, ForwardSplit) else LEAST_YEARS
    years, fold = np.unique(table.year, return_inverse=True)
    if years.size < least:
        raise NarcfError(
            f"split.kind {settings.kind}: expected samples in at least {least} years to leave out "
            f"in turn, found them in {years.size} ({', '.join(map(str, years))}); lengthen the "
            "period, or take another split"
        )
    if isinstance(settings, ForwardSplit):
        return _forward(settings, table, years)
    return _next_validates(fold, [str(y) for y in years], year=table.year)


def _numbered(folds: int) -> list[str]:
    return [f"fold {k + 1}" for k in range(folds)]


def _buffered(split: Split, table: Table, buffer_km: float) -> Split:
    """Leave out training rows of cells nearer than `buffer_km` to one that validates or tests."""
    if not buffer_km:
        return split
    held = np.unique(table.cell[np.concatenate([split.validation, split.test])])
    learned, of_row = np.unique(table.cell[split.train], return_inverse=True)
    away = distance_to(table.cells.lon, table.cells.lat, learned, held)
    return replace(split, train=split.train[(away >= buffer_km)[of_row]])


def _by_distance(settings: KnndmSplit, table: Table, seed: int) -> list[Split]:
    """Return folds of whole cells: see `knndm`. Every cell of land is to be predicted."""
    train, of_row = np.unique(table.cell, return_inverse=True)
    if train.size < settings.folds:
        raise NarcfError(
            f"split.kind knndm: expected samples in at least {settings.folds} cells for as many "
            f"folds, found them in {train.size}; use fewer folds (split.folds)"
        )
    cells = table.cells
    mapped = (cells.biome != NODATA).any()
    land = np.isin(cells.biome, LAND_CLASSES) if mapped else np.ones(cells.biome.size, bool)
    predicted = np.union1d(np.flatnonzero(land), train)
    found = knndm(cells.lon, cells.lat, train, predicted, settings.folds, seed)
    return _next_validates(found.fold[of_row], _numbered(settings.folds), cell=table.cell)


def _forward(settings: ForwardSplit, table: Table, years: np.ndarray) -> list[Split]:
    """Test each year, validate on the one before, train on those before that."""

    def chained(at: int) -> Split:
        year = table.year
        return Split(
            train=_where(year < years[at - 1]),
            validation=_where(year == years[at - 1]),
            test=_where(year == years[at]) if at < years.size else np.empty(0, np.int32),
            name=str(years[at]) if at < years.size else "",
            apart={"year": year},
            group=_years_or_blocks(table, _where(year < years[at - 1])),
        )

    *splits, last = [chained(at) for at in range(settings.train_years + 1, years.size)]
    return [*splits, replace(last, onward=chained(years.size))]


def _require_rows(fold: Split, settings: SplitSettings) -> None:
    """Refuse a fold of which a part is empty, before any of them is trained."""
    if empty := [part for part in PARTS if not getattr(fold, part).size]:
        counts = ", ".join(f"{part} {getattr(fold, part).size}" for part in PARTS)
        raise NarcfError(
            f"split.kind {settings.kind}, {fold.name}: expected samples in every part, found none "
            f"in {' and '.join(empty)} ({counts}); take smaller blocks (split.degrees), a smaller "
            "buffer (split.buffer_km), other months (split.period), a wider region, or another "
            "split"
        )


def _split(parts: Mapping[str, np.ndarray], **more: Any) -> Split:
    return Split(parts["train"], parts["validation"], parts["test"], **more)


def final_split(folds: list[Split]) -> Split:
    """Return what the model that predicts learns from: all that some fold learned from.

    Only the validation part of the last fold stays out; of folds of years, so that the years left
    are in a row. Forward chaining goes on: the last year validates, and all before it train. A
    split that is one fold is returned.
    """
    if len(folds) == 1:
        return folds[0]
    last = folds[-1]
    if last.onward is not None:
        return last.onward
    learned = np.unique(np.concatenate([fold.train for fold in folds]))
    return Split(
        train=np.setdiff1d(learned, last.validation),
        validation=last.validation,
        test=np.empty(0, np.int32),
        group=folds[0].group,
        apart={label: v for label, v in last.apart.items() if label == "year"},
    )


def halves(split: Split, pairs: int, seed: int) -> list[np.ndarray]:
    """Return the training rows in two halves, as often as asked: rows of 2 x `pairs` members.

    No group is divided but a single one, and no two divisions are alike where the groups are
    enough.
    """
    rows = split.train
    if not rows.size:
        return [rows] * (2 * pairs)
    group = rows if split.group is None else split.group[rows]
    if (group == group[0]).all():
        group = rows
    found: list[np.ndarray] = []
    for draw in range(seed, seed + 20 * pairs):
        fold = folds_of(group, 2, draw)
        first = fold == fold[0]
        if not any(np.array_equal(first, known) for known in found):
            found.append(first)
        if len(found) == pairs:
            break
    divisions = (found * pairs)[:pairs]
    return [rows[half] for first in divisions for half in (first, ~first)]


def _years_or_blocks(table: Table, rows: np.ndarray) -> np.ndarray:
    """Return the year of each row, or where `rows` are of one year alone its block of land."""
    year: np.ndarray = table.year
    return year if np.ptp(year[rows]) else blocks_of_rows(table, 10.0)


def _by_period(split: PeriodSplit, table: Table) -> dict[str, np.ndarray]:
    parts = {}
    for name in PARTS:
        period = getattr(split, name)
        parts[name] = _where(np.isin(table.time, period.months())[table.month])
        if not parts[name].size:
            lacking = ", ".join(f"{n} {count:,}" for n, count in table.missing.items() if count)
            raise NarcfError(
                f"split.{name} ({period}): expected land cells with the target and every "
                f"predictor in these months, found none; the data reach from {table.time[0]:%Y-%m} "
                f"to {table.time[-1]:%Y-%m}{f' and lack values ({lacking})' if lacking else ''}; "
                "change the split, or add files"
            )
    return parts


def _next_validates(fold: np.ndarray, names: list[str], **apart: np.ndarray) -> list[Split]:
    """Test each fold, validate on the next, train on the others."""
    splits = []
    for test, name in enumerate(names):
        validation = (test + 1) % len(names)
        splits.append(
            Split(
                train=_where((fold != test) & (fold != validation)),
                validation=_where(fold == validation),
                test=_where(fold == test),
                name=name,
                apart=apart,
                group=next(iter(apart.values()), None),
            )
        )
    return splits


def _by_biome(settings: BiomeSplit, table: Table, seed: int) -> list[Split]:
    """Test each biome; a tenth of the blocks of the others validates."""
    biomes = np.unique(table.cells.biome[np.unique(table.cell)])
    if biomes.size < 3:
        named = ", ".join(IGBP[biome].name for biome in biomes)
        raise NarcfError(
            f"split.kind biomes: expected samples in at least 3 biomes to leave out in turn, found "
            f"{biomes.size} ({named}); widen the region, or take another split"
        )
    block, of = blocks_of_rows(table, settings.degrees), table.biome
    validates = folds_of(block, min(10, np.unique(block).size), seed) == 0
    return [
        Split(
            train=_where((of != biome) & ~validates),
            validation=_where((of != biome) & validates),
            test=_where(of == biome),
            name=IGBP[biome].name,
            test_apart={"biome": of},
            group=block,
        )
        for biome in biomes
    ]


def blocks_of_rows(table: Table, degrees: float) -> np.ndarray:
    """Return the number of the block of each row, counted from 0."""
    _, block = np.unique(block_of(table.cells.lon, table.cells.lat, degrees), return_inverse=True)
    of_row: np.ndarray = block.astype(np.int32)[table.cell]
    return of_row


def _where(rows: np.ndarray) -> np.ndarray:
    """Return the row numbers, in half the memory of `numpy.flatnonzero`."""
    return np.flatnonzero(rows).astype(np.int32)
