"""Who learns from what: parts that share nothing, and the proof of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.months import month_starts
from narcf_geo.model.samples import splits
from narcf_geo.model.samples.features import Features
from narcf_geo.model.samples.splits import PARTS, Split, final_split, splits_of
from narcf_geo.model.samples.table import Cells, Table
from narcf_geo.project.split_settings import (
    BiomeSplit,
    BlockSplit,
    ForwardSplit,
    KnndmSplit,
    PeriodSplit,
    RandomSplit,
    YearSplit,
)

PERIODS = PeriodSplit.model_validate(
    {
        "train": {"start": "2007-01", "end": "2007-12"},
        "validation": {"start": "2008-01", "end": "2008-06"},
        "test": {"start": "2008-07", "end": "2009-12"},
    }
)


@pytest.fixture(scope="module")
def table() -> Table:
    """Three years of 300 cells, some months without a value; four biomes."""
    rng = np.random.default_rng(1)
    lat, lon = rng.uniform(-5, 60, 300), rng.uniform(-130, -60, 300)
    biome = rng.choice([1, 5, 10, 12], 300, p=[0.1, 0.2, 0.3, 0.4])
    month, cell = np.nonzero(rng.random((36, 300)) < 0.8)
    return Table(
        features=Features((), (), (), "none"),
        x=np.empty((month.size, 0), np.float32),
        y=np.zeros(month.size, np.float32),
        month=month,
        cell=cell,
        cells=Cells(lat, lon, np.ones(300), biome),
        time=month_starts("2007-01", "2009-12"),
        missing={},
    )


def of(table: Table, split: Split, values: np.ndarray) -> list[set]:
    return [set(values[getattr(split, part)].tolist()) for part in PARTS]


def test_parts_by_period_are_disjoint_and_whole(table: Table) -> None:
    (split,) = splits_of(PERIODS, table, 1)
    rows = np.concatenate([split.train, split.validation, split.test])
    assert sorted(rows) == list(range(table.y.size))
    assert of(table, split, table.month) == [set(range(12)), set(range(12, 18)), set(range(18, 36))]
    assert final_split([split]) is split
    early = dataclasses.replace(table, month=np.minimum(table.month, 17))
    with pytest.raises(NarcfError, match=r"split\.test .* expected land cells"):
        splits_of(PERIODS, early, 1)


@pytest.mark.parametrize("parts", [([0, 1], [1, 2], [3]), ([0], [1], [2, 0]), ([0], [1, 2], [2])])
def test_a_planted_overlap_raises(parts: tuple) -> None:
    with pytest.raises(NarcfError, match="share rows"):
        Split(*(np.array(p) for p in parts))


def test_a_planted_label_in_two_parts_raises() -> None:
    parts = np.array([0, 1]), np.array([2]), np.array([3, 4])
    month = np.array([1, 1, 2, 3, 3])
    split = Split(*parts, apart={"month": month})
    assert "no month in two parts" in str(split)
    assert split.describe().loc["test", "months"] == 1
    for planted, pair in ((0, "train and test"), (2, "validation and test")):
        leak = month.copy()
        leak[4] = month[planted]
        with pytest.raises(NarcfError, match=f"{pair} of the split share month"):
            Split(*parts, apart={"month": leak})
    shared = np.array([1, 1, 1, 3, 3])
    with pytest.raises(NarcfError, match="train and validation"):
        Split(*parts, apart={"month": shared})
    Split(*parts, test_apart={"biome": shared})
    with pytest.raises(NarcfError, match="share biome"):
        Split(*parts, test_apart={"biome": np.array([1, 1, 2, 2, 3])})


def test_a_block_is_never_divided(table: Table) -> None:
    settings = BlockSplit(kind="blocks", degrees=10, folds=5)
    block = splits.block_of(table.lon, table.lat, 10)
    folds = splits_of(settings, table, 7)
    for split in folds:
        train, validation, test = of(table, split, block)
        assert not train & validation | train & test | validation & test
        assert 0.1 < split.test.size / table.y.size < 0.3
    assert sorted(np.concatenate([s.test for s in folds])) == list(range(table.y.size))
    assert {f.test.size for f in folds} != {f.test.size for f in splits_of(settings, table, 8)}
    # The control: random folds divide blocks.
    random = splits_of(RandomSplit(kind="random", folds=5), table, 7)[0]
    train, _, test = of(table, random, block)
    assert train & test
    assert "block" not in random.apart
    with pytest.raises(NarcfError, match=f"found {np.unique(block).size}"):
        splits.folds_of(block, np.unique(block).size + 1, 0)


def test_a_year_and_a_biome_left_out(table: Table) -> None:
    years = splits_of(YearSplit(kind="years"), table, 1)
    assert [split.name for split in years] == ["2007", "2008", "2009"]
    year = np.asarray(table.time.year)[table.month]
    assert of(table, years[2], year) == [{2008}, {2007}, {2009}]
    biomes = splits_of(BiomeSplit(kind="biomes", degrees=10), table, 1)
    assert len(biomes) == 4
    for split, biome in zip(biomes, (1, 5, 10, 12), strict=True):
        train, validation, test = of(table, split, table.biome)
        assert test == {biome}
        assert biome not in train | validation
        assert 0 < split.validation.size < 0.3 * split.train.size
    with pytest.raises(NarcfError, match="3 years"):
        splits_of(YearSplit(kind="years"), dataclasses.replace(table, month=table.month % 24), 1)


@pytest.mark.parametrize("kind", ["blocks", "biomes", "random"])
def test_a_new_place_in_a_new_year(table: Table, kind: str) -> None:
    schema = {"blocks": BlockSplit, "biomes": BiomeSplit, "random": RandomSplit}[kind]
    folds = splits_of(schema.model_validate({"kind": kind, "period": PERIODS}), table, 1)
    alone = splits_of(schema.model_validate({"kind": kind}), table, 1)
    for split, place in zip(folds, alone, strict=True):
        assert of(table, split, table.month) == [
            set(range(12)),
            set(range(12, 18)),
            set(range(18, 36)),
        ]
        for part in PARTS:
            assert np.isin(getattr(split, part), getattr(place, part)).all()
    final = final_split(folds)
    assert set(table.month[final.train]) == set(range(12))
    assert final.train.size > folds[1].train.size
    assert not np.intersect1d(final.train, final.validation).size


def test_months_of_the_settings_are_months(table: Table) -> None:
    assert isinstance(table.time, pd.DatetimeIndex)
    (split,) = splits_of(PERIODS, table, 1)
    print(split)
    assert "2008-07 to 2009-12" in str(split)


def boxes(table: Table, degrees: float) -> np.ndarray:
    """The box of each row, found by edges and not by the function under test."""
    rows = np.digitize(table.lat, np.arange(-90, 90 + degrees, degrees))
    columns = np.digitize(table.lon, np.arange(-180, 180 + degrees, degrees))
    return np.array([f"{row}/{column}" for row, column in zip(rows, columns, strict=True)])


@pytest.mark.parametrize("degrees", [2.0, 10.0, 15.0])
def test_a_block_is_a_box_of_its_size(table: Table, degrees: float) -> None:
    block, box = splits.block_of(table.lon, table.lat, degrees), boxes(table, degrees)
    pairs = set(zip(block.tolist(), box.tolist(), strict=True))
    # One number a box, and one box a number.
    assert len(pairs) == len(set(block.tolist())) == len(set(box.tolist()))
    # The controls: boxes of another size are others, and boxes are not strips.
    other = splits.block_of(table.lon, table.lat, degrees * 1.1)
    assert len(set(zip(other.tolist(), box.tolist(), strict=True))) > len(pairs)
    assert len(pairs) > len({name.split("/")[0] for name in box})


def test_no_box_of_land_is_in_two_parts(table: Table) -> None:
    box = boxes(table, 10)
    for split in splits_of(BlockSplit(kind="blocks", degrees=10, folds=5), table, 1):
        train, validation, test = of(table, split, box)
        assert train.isdisjoint(test)
        assert train.isdisjoint(validation)
        assert validation.isdisjoint(test)
    # The control: rows at random share boxes.
    loose = splits_of(RandomSplit(kind="random", folds=5), table, 1)[0]
    train, _, test = of(table, loose, box)
    assert train & test


def test_folds_are_of_near_equal_rows_not_groups() -> None:
    rng = np.random.default_rng(4)
    sizes = np.r_[np.full(6, 200), np.ones(60, int)]
    group = rng.permutation(np.repeat(np.arange(66), sizes))
    for seed in range(5):
        fold = splits.folds_of(group, 3, seed)
        rows = np.bincount(fold)
        # No fold is ahead of another by more than one group.
        assert np.ptp(rows) <= 200
        assert len(set(zip(group.tolist(), fold.tolist(), strict=True))) == 66
    # The control: groups dealt in turn, whatever their size, are further apart for some seed.
    apart = []
    for seed in range(20):
        dealt = np.random.default_rng(seed).permutation(66) % 3
        apart.append(np.ptp(np.bincount(dealt[group])))
    assert max(apart) > 200


def with_biomes(table: Table, biome: np.ndarray) -> Table:
    return dataclasses.replace(table, cells=dataclasses.replace(table.cells, biome=biome))


def test_three_biomes_are_enough_to_leave_one_out(table: Table) -> None:
    three = with_biomes(table, np.where(table.cells.biome == 1, 5, table.cells.biome))
    found = splits_of(BiomeSplit(kind="biomes", degrees=10), three, 1)
    assert [split.name for split in found] == ["mixed forest", "grasslands", "croplands"]
    for split in found:
        validating = set(boxes(three, 10)[split.validation].tolist())
        assert not validating & set(boxes(three, 10)[split.train].tolist())
        share = len(validating) / len(set(boxes(three, 10).tolist()))
        assert 0.05 < share < 0.2
    two = with_biomes(table, np.where(table.cells.biome < 11, 5, table.cells.biome))
    with pytest.raises(NarcfError, match="at least 3 biomes"):
        splits_of(BiomeSplit(kind="biomes", degrees=10), two, 1)


def test_a_tenth_of_the_blocks_validates(table: Table) -> None:
    """One row in each of 110 boxes: eleven validate a biome."""
    lat, lon = (a.ravel() for a in np.meshgrid(np.arange(5.0, 65, 6), np.arange(-130.0, -64, 6)))
    even = dataclasses.replace(
        table,
        cells=Cells(lat, lon, np.ones(110), np.arange(110) % 3 * 5 + 1),
        cell=np.arange(110),
        month=np.arange(110) % 36,
        y=np.zeros(110),
    )
    found = splits_of(BiomeSplit(kind="biomes", degrees=6), even, 1)
    assert np.unique(splits.block_of(lon, lat, 6)).size == 110
    validating = np.unique(np.concatenate([split.validation for split in found]))
    assert validating.size == 11
    for split in found:
        assert split.train.size + split.validation.size + split.test.size == 110


@pytest.mark.parametrize("kind", ["period", "blocks", "years"])
def test_a_sample_of_the_training_rows(table: Table, kind: str) -> None:
    settings = {
        "period": PERIODS,
        "blocks": BlockSplit(kind="blocks", degrees=10, folds=5),
        "years": YearSplit(kind="years"),
    }[kind]
    whole, some = (splits_of(settings, table, 1, most) for most in (None, 1000))
    assert final_split(some).train.size == 1000 < final_split(whole).train.size
    for fold, before in zip(some, whole, strict=True):
        assert np.isin(fold.train, before.train).all()
        for part in ("validation", "test"):
            np.testing.assert_array_equal(getattr(fold, part), getattr(before, part))
    # Each biome and month has its share, but for one row.
    stratum = table.biome * 36 + table.month
    counts = [
        np.bincount(stratum[final_split(folds).train], minlength=13 * 36) for folds in (some, whole)
    ]
    share = 1000 / final_split(whole).train.size
    assert np.abs(counts[0] - counts[1] * share).max() < 1
    again = splits_of(settings, table, 1, 1000)
    np.testing.assert_array_equal(again[0].train, some[0].train)
    other = splits_of(settings, table, 2, 1000)
    assert not np.array_equal(final_split(other).train, final_split(some).train)
    assert [f.train.size for f in splits_of(settings, table, 1, 10**6)] == [
        f.train.size for f in whole
    ]


def test_a_sample_has_the_share_of_each_stratum() -> None:
    for seed in range(300):
        stratum = np.random.default_rng(seed).permutation(np.repeat([0, 1, 2], [600, 300, 100]))
        drawn = splits.sample(stratum, 20, seed)
        assert np.bincount(stratum[drawn]).tolist() == [12, 6, 2]
        assert (np.diff(drawn) > 0).all()
        np.testing.assert_array_equal(splits.sample(stratum, 1000, seed), np.arange(1000))


def test_as_many_groups_as_folds() -> None:
    group = np.repeat([4, 7, 9], [5, 2, 3])
    fold = splits.folds_of(group, 3, seed=1)
    assert len(set(fold)) == 3
    with pytest.raises(NarcfError, match="at least 4 blocks for as many folds, found 3"):
        splits.folds_of(group, 4, seed=1)


def haversine(lon: np.ndarray, lat: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances of cells `a` from cells `b`, km, by another formula than that under test."""
    lam, phi = np.radians(lon), np.radians(lat)
    half = np.sin((phi[a][:, None] - phi[b]) / 2) ** 2
    half += np.cos(phi[a])[:, None] * np.cos(phi[b]) * np.sin((lam[a][:, None] - lam[b]) / 2) ** 2
    return 2 * 6371.0072 * np.arcsin(np.sqrt(half))


@pytest.mark.parametrize("buffer_km", [300.0, 800.0])
def test_a_buffer_keeps_training_away_from_what_is_held_out(table: Table, buffer_km: float) -> None:
    settings = BlockSplit(kind="blocks", degrees=10, folds=5, buffer_km=buffer_km)
    beside = splits_of(settings.model_copy(update={"buffer_km": 0.0}), table, 7)
    dropped = 0
    for split, whole in zip(splits_of(settings, table, 7), beside, strict=True):
        for part in ("validation", "test"):
            np.testing.assert_array_equal(getattr(split, part), getattr(whole, part))
        held = np.unique(table.cell[np.concatenate([split.validation, split.test])])
        away = haversine(table.cells.lon, table.cells.lat, np.arange(300), held).min(axis=1)
        # Just the rows of cells that are near enough are gone, and no others.
        expected = whole.train[away[table.cell[whole.train]] >= buffer_km]
        np.testing.assert_array_equal(split.train, expected)
        dropped += whole.train.size - split.train.size
        assert split.train.size
    assert dropped > 0
    # The control: without a buffer training cells are nearer.
    held = np.unique(table.cell[np.concatenate([beside[0].validation, beside[0].test])])
    learned = np.unique(table.cell[beside[0].train])
    assert haversine(table.cells.lon, table.cells.lat, learned, held).min() < buffer_km


def test_a_buffer_that_leaves_nothing_is_refused(table: Table) -> None:
    settings = BlockSplit(kind="blocks", degrees=10, folds=5, buffer_km=5000)
    with pytest.raises(NarcfError, match=r"none in train .* smaller buffer \(split\.buffer_km\)"):
        splits_of(settings, table, 7)


def test_years_forward(table: Table) -> None:
    time = month_starts("2005-01", "2009-12")
    month = np.arange(table.y.size) % 60
    longer = dataclasses.replace(table, time=time, month=month)
    folds = splits_of(ForwardSplit(kind="forward", train_years=2), longer, 1)
    assert [split.name for split in folds] == ["2008", "2009"]
    year = 2005 + month // 12
    assert of(longer, folds[0], year) == [{2005, 2006}, {2007}, {2008}]
    assert of(longer, folds[1], year) == [{2005, 2006, 2007}, {2008}, {2009}]
    final = final_split(folds)
    assert of(longer, final, year) == [{2005, 2006, 2007, 2008}, {2009}, set()]
    for split in folds:
        assert year[split.train].max() < year[split.validation].min() < year[split.test].min()
    some = splits_of(ForwardSplit(kind="forward", train_years=2), longer, 1, 1000)
    assert final_split(some).train.size == 1000
    assert np.isin(some[0].train, final_split(some).train).all()
    with pytest.raises(NarcfError, match="forward: expected samples in at least 6 years"):
        splits_of(ForwardSplit(kind="forward", train_years=3), longer, 1)


def test_the_years_that_the_final_model_learns_from_are_in_a_row(table: Table) -> None:
    final = final_split(splits_of(YearSplit(kind="years"), table, 1))
    assert set(table.year[final.train]) == {2008, 2009}
    assert set(table.year[final.validation]) == {2007}


def test_folds_of_knndm_are_whole_cells(table: Table) -> None:
    folds = splits_of(KnndmSplit(kind="knndm", folds=5), table, 1)
    for split in folds:
        train, validation, test = of(table, split, table.cell)
        assert train.isdisjoint(test)
        assert train.isdisjoint(validation)
        assert validation.isdisjoint(test)
    assert sorted(np.concatenate([s.test for s in folds])) == list(range(table.y.size))
    few = dataclasses.replace(table, cell=table.cell % 4)
    with pytest.raises(NarcfError, match="at least 5 cells for as many folds, found them in 4"):
        splits_of(KnndmSplit(kind="knndm", folds=5), few, 1)
