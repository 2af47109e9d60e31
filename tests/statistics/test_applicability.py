from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from sklearn.neighbors import NearestNeighbors

from narcf_geo.core.errors import NarcfError
from narcf_geo.statistics.applicability import Applicability, error_profile, left_out


@pytest.fixture
def training() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of four features of different scale and offset, five groups, weights; some missing."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, 4)) * [1, 300, 1e-3, 20] + [0, 290, 5e-3, -40]
    x[rng.random(x.shape) < 0.03] = np.nan
    return x.astype(np.float32), rng.integers(0, 5, 400), np.array([1.0, 0.5, 2.0, 0.1])


def brute_force(x, groups, weights, new):
    """The definition, row by row, in double precision."""
    x, new = x.astype(float), new.astype(float)
    mean, std = np.nanmean(x, axis=0), np.nanstd(x, axis=0, ddof=1)
    a, b = (np.nan_to_num((v - mean) / std) * weights for v in (x, new))
    mean_distance = pdist(a).mean()
    own = [cdist(a[[i]], a[groups != g]).min() / mean_distance for i, g in enumerate(groups)]
    whisker = np.quantile(own, 0.75) + 1.5 * np.subtract(*np.quantile(own, (0.75, 0.25)))
    return min(whisker, max(own)), NearestNeighbors(n_neighbors=1).fit(a).kneighbors(b)[0][
        :, 0
    ] / mean_distance


def test_a_case_by_hand():
    """On a line at 0, 1, 3 and 7 the mean of the six distances is 23/6."""
    x = np.array([[0.0], [1.0], [3.0], [7.0]])
    area = Applicability.fit(x, left_out(np.array([0, 0, 1, 1])))
    np.testing.assert_allclose(
        area.dissimilarity(np.array([[1.0], [2.5], [11.5]])), [0, 0.5 * 6 / 23, 4.5 * 6 / 23], 1e-6
    )
    # To the other group it is 3, 2, 2 and 6: quartiles 2 and 3.75, whisker 6.375, beyond all.
    assert area.threshold == pytest.approx(6 * 6 / 23)
    alone = Applicability.fit(x, left_out(np.arange(4)))
    # To any other row it is 1, 1, 2 and 4: quartiles 1 and 2.5, whisker 4.75.
    assert alone.threshold == pytest.approx(4 * 6 / 23)


def test_the_threshold_leaves_out_what_lies_apart():
    """Distances 1, 1, 1, 1 and 96: the whisker is at 1."""
    x = np.array([[0.0], [1.0], [2.0], [3.0], [99.0]])
    area = Applicability.fit(x, left_out(np.arange(5)))
    assert area.threshold * area.mean_distance * area.std[0] == pytest.approx(1, rel=1e-5)


def test_agrees_with_brute_force(training):
    x, groups, weights = training
    rng = np.random.default_rng(4)
    new = (np.nan_to_num(x, nan=1.0)[:200] * rng.uniform(0.5, 2, (200, 4))).astype(np.float32)
    new[5, 2] = np.nan
    area = Applicability.fit(x, left_out(groups), weights)
    threshold, index = brute_force(x, groups, weights, new)
    assert area.threshold == pytest.approx(threshold, rel=1e-5)
    np.testing.assert_allclose(area.dissimilarity(new), index, rtol=1e-4, atol=1e-5)
    _, other = brute_force(x, groups, np.ones(4), new)
    assert np.abs(other - index).max() > 0.1, "the weights make a difference"


def test_what_is_far_is_flagged_and_training_rows_are_not(training):
    x, groups, weights = training
    area = Applicability.fit(x, left_out(groups), weights, prototypes=100)
    inside = area.applicable(area.dissimilarity(x))
    assert inside.mean() > 0.95
    far = np.nan_to_num(x, nan=0.0)
    far[:, 1] += 10 * 300
    assert not area.applicable(area.dissimilarity(far)).any()
    ignored = Applicability.fit(x, left_out(groups), weights * [1, 0, 1, 1], prototypes=100)
    assert ignored.applicable(ignored.dissimilarity(far)).mean() > 0.9
    assert not area.applicable(np.array([np.nan])).any()


def test_few_prototypes_find_the_nearest_row_all_the_same():
    """Rows of six features by eye of a tree of all of them; ten are of another kind."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (5000, 6)) @ rng.normal(0, 1, (6, 6))
    x[:10] += 20
    groups = np.arange(5000) % 7
    new = np.concatenate([x[:500] + rng.normal(0, 0.5, (500, 6)), x[-500:] * 2])
    area = Applicability.fit(x, left_out(groups), prototypes=200)
    assert area.prototypes.shape == (200, 6)
    assert area.rows.shape == (5000, 6)
    threshold, expected = brute_force(x, groups, np.ones(6), new)
    found = area.dissimilarity(new)
    # At most 2,000 rows give the mean distance, which scales both.
    scale = area.threshold / threshold
    assert scale == pytest.approx(1, abs=0.03)
    np.testing.assert_array_less(0.999 * expected * scale, found)
    assert np.mean(found / np.maximum(expected * scale, 1e-9)) < 1.01
    outside = expected > threshold
    assert 0.2 < outside.mean() < 0.8
    assert np.mean(area.applicable(found) == outside) < 0.01
    # The control: to the prototypes alone it is far more.
    a = (new - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    alone = cdist(a, area.prototypes.astype(float)).min(axis=1) / area.mean_distance
    assert np.mean(alone > 1.2 * expected * scale) > 0.5
    assert area.applicable(area.dissimilarity(x)).all()


def test_rows_are_held_out_from_what_their_fold_learned_from():
    """With a gap between training and test, as a buffer makes, the threshold is wider."""
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(0, 100, (600, 1)), axis=0)
    place = np.floor(x[:, 0] / 10).astype(int)
    beside = [(np.flatnonzero(place != k), np.flatnonzero(place == k)) for k in range(10)]
    apart = [
        (np.flatnonzero(abs(x[:, 0] - 10 * k - 5) > 12), held) for k, (_, held) in enumerate(beside)
    ]
    area, wide = (Applicability.fit(x, folds) for folds in (beside, apart))
    rows, index = wide.held_out(x, apart)
    assert rows.tolist() == list(range(600))
    learned = [x[a, 0] for a, _ in apart]
    expected = [abs(learned[k] - value).min() for k, value in zip(place, x[:, 0], strict=True)]
    unit = wide.mean_distance * x.std(ddof=1)
    np.testing.assert_allclose(index, np.array(expected) / unit, rtol=1e-3, atol=1e-5)
    assert wide.threshold > area.threshold
    some, _ = wide.held_out(x, apart, rows=50, seed=3)
    assert some.size == 50 == np.unique(some).size


def test_the_error_by_dissimilarity_is_that_of_each_window():
    rng = np.random.default_rng(2)
    index, weight = rng.uniform(0, 1, 1000), rng.uniform(1, 3, 1000)
    error = rng.normal(0.3, 1, 1000) * index
    error[7], index[8] = np.nan, np.nan
    found = error_profile(index, error, weight, windows=5)
    assert sum(one["n"] for one in found) == 998
    for one in found:
        here = (index >= one["from"]) & (index <= one["to"]) & np.isfinite(error)
        assert here.sum() == one["n"]
        assert one["rmse"] ** 2 == pytest.approx(
            (weight * error**2)[here].sum() / weight[here].sum()
        )
        assert one["bias"] == pytest.approx((weight * error)[here].sum() / weight[here].sum())
    assert found[-1]["rmse"] > 3 * found[0]["rmse"]
    assert all(a["to"] <= b["from"] for a, b in pairwise(found))
    assert error_profile(np.array([]), np.array([])) == []
    assert len(error_profile(np.arange(3.0), np.ones(3))) == 3


def test_only_the_ratios_of_weights_and_no_units_matter(training):
    x, groups, weights = training
    area = Applicability.fit(x, left_out(groups), weights)
    other = Applicability.fit(x * 1000 + 7, left_out(groups), weights * 30)
    np.testing.assert_allclose(
        area.dissimilarity(x[::-1] + 1) / area.threshold,
        other.dissimilarity(x[::-1] * 1000 + 1007) / other.threshold,
        rtol=0.02, atol=1e-3,
    )  # fmt: skip


def test_rows_of_the_same_group_do_not_count(training):
    """A copy of each row in its own group changes nothing; in another it does."""
    x, groups, _ = training
    area = Applicability.fit(x, left_out(groups))
    twice = np.concatenate([x, x])
    same = Applicability.fit(twice, left_out(np.concatenate([groups, groups])))
    assert same.threshold == pytest.approx(area.threshold, rel=0.01)
    leak = Applicability.fit(twice, left_out(np.concatenate([groups, groups + 5])))
    assert leak.threshold < 0.01 * area.threshold


def test_a_feature_that_never_varied_counts_when_it_does():
    x = np.column_stack([np.linspace(0, 1, 50), np.zeros(50)])
    area = Applicability.fit(x, left_out(np.arange(50) % 5))
    new = np.array([[0.5, 0.0], [0.5, 9.0]])
    assert area.applicable(area.dissimilarity(new)).tolist() == [True, False]


def test_the_same_seed_gives_the_same_and_a_file_keeps_it(training, tmp_path):
    x, groups, weights = training
    groups = groups.astype(str)
    area = Applicability.fit(x, left_out(groups), weights, prototypes=50, seed=1)
    area.save(tmp_path / "area.npz")
    found = Applicability.load(tmp_path / "area.npz")
    for one in (Applicability.fit(x, left_out(groups), weights, prototypes=50, seed=1), found):
        np.testing.assert_array_equal(one.dissimilarity(x), area.dissimilarity(x))
        assert (one.threshold, one.mean_distance) == (area.threshold, area.mean_distance)
    other = Applicability.fit(x, left_out(groups), weights, prototypes=50, seed=2)
    assert not np.array_equal(other.prototypes, area.prototypes)
    assert area.dissimilarity(x[:0]).shape == (0,)


def test_clear_refusals(training, tmp_path):
    x, groups, weights = training
    folds = left_out(groups)
    with pytest.raises(NarcfError, match="at least two groups, found only 0"):
        left_out(groups * 0)
    nothing = np.array([], int)
    for arguments, message in (
        ((x, [(nothing, np.arange(5)), (np.arange(5), nothing)]), "found none; without"),
        ((x, folds, -weights), "a weight of at least 0"),
        ((x, folds, weights[:3]), "each of 4 features, found 3"),
        ((x, folds, weights * 0), "do not differ in any feature"),
        ((x[:1], folds), "do not differ in any feature"),
    ):
        with pytest.raises(NarcfError, match=message):
            Applicability.fit(*arguments)
    with pytest.raises(NarcfError, match="rows of 4 features, found shape"):
        Applicability.fit(x, left_out(groups)).dissimilarity(x[:, :3])
    with pytest.raises(NarcfError, match="no such file"):
        Applicability.load(tmp_path / "none.npz")
    area = Applicability.fit(x, folds, prototypes=20)
    for name, change in (("far", {"start": area.start * 2}), ("wide", {"rows": area.rows[:, :3]})):
        np.savez(tmp_path / f"{name}.npz", **{**vars(area), **change})
        with pytest.raises(NarcfError, match=r"start: expected numbers|rows: expected rows of"):
            Applicability.load(tmp_path / f"{name}.npz")
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "other.npz", mean=np.ones(3))
    np.savez(tmp_path / "pickle.npz", mean=np.array([{}], dtype=object))
    for name in ("text.npz", "other.npz", "pickle.npz"):
        with pytest.raises(NarcfError, match="found another file"):
            Applicability.load(tmp_path / name)


def test_the_estimate_is_worse_where_it_is_not_applicable():
    """A model of one season of temperatures, asked for all of them."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    def flux(x):
        return np.sin(x[:, 0] / 5) + 0.2 * x[:, 1]

    rng = np.random.default_rng(6)
    x = np.column_stack([rng.uniform(0, 15, 1500), rng.normal(size=(1500, 2))])
    new = np.column_stack([rng.uniform(-15, 30, 1500), rng.normal(size=(1500, 2))])
    model = HistGradientBoostingRegressor(max_iter=50).fit(x, flux(x))
    area = Applicability.fit(x, left_out(np.arange(1500) % 5), np.array([1.0, 0.3, 0.0]))
    inside = area.applicable(area.dissimilarity(new))
    error = np.abs(model.predict(new) - flux(new))
    assert error[~inside].mean() > 5 * error[inside].mean()
    assert inside[(new[:, 0] > 0) & (new[:, 0] < 15)].mean() > 0.9
    assert not inside[(new[:, 0] < -5) | (new[:, 0] > 20)].any()
    shuffled = rng.permutation(inside)
    assert error[~shuffled].mean() < 2 * error[shuffled].mean()


def test_as_many_prototypes_as_rows_are_all_of_them():
    """Twice the same rows in two groups: each has its double at a distance of 0."""
    x = np.array([[0.0], [1.0], [4.0], [9.0]])
    twice, groups = np.concatenate([x, x]), np.repeat([0, 1], 4)
    for prototypes in (8, 9, 2000):
        area = Applicability.fit(twice, left_out(groups), prototypes=prototypes)
        assert area.threshold == 0
        assert area.prototypes.shape == (8, 1)
    assert Applicability.fit(twice, left_out(groups), prototypes=7).prototypes.shape == (7, 1)


def test_more_rows_than_a_block_of_work_are_like_few():
    rng = np.random.default_rng(9)
    x = rng.normal(size=(60, 3)) * [1, 5, 0.1] + [0, 100, 3]
    area = Applicability.fit(x, left_out(np.arange(60) % 4))
    new = rng.normal(size=(2500, 3)) * [2, 8, 0.3] + [0, 100, 3]
    whole = area.dissimilarity(new)
    for start in (0, 1000, 1020, 2040, 2490):
        alone = np.concatenate([area.dissimilarity(new[[k]]) for k in range(start, start + 10)])
        np.testing.assert_allclose(whole[start : start + 10], alone, rtol=1e-4)
    a, b = ((v - x.mean(axis=0)) / x.std(axis=0) for v in (x, new))
    expected = cdist(b, a).min(axis=1) / pdist(a).mean()
    np.testing.assert_allclose(whole, expected, rtol=1e-3, atol=1e-5)
