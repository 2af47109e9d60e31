from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn import inspection
from sklearn.linear_model import LinearRegression

from narcf_geo.core.errors import NarcfError
from narcf_geo.statistics.importance import (
    LAND_COVER,
    correlated_groups,
    correlations,
    feature_weights,
    partial_dependence,
    permutation_importance,
)

SLOPES = np.array([2.0, -1.0, 0.5, 0.0])


def linear(x):
    return x @ SLOPES


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """2,000 independent rows of four features, a flux with noise of 0.3, and areas."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(2000, 4)) * [1, 2, 3, 4]
    return x, linear(x) + rng.normal(0, 0.3, 2000), rng.uniform(0.2, 1.8, 2000)


SINGLE = {name: [i] for i, name in enumerate("abcd")}


def test_importance_of_a_linear_model_is_known(rows):
    """Shuffling adds 2 b^2 var(x) to the mean square error."""
    x, observed, _ = rows
    found = permutation_importance(linear, x, observed, SINGLE, repeats=20)
    rmse = np.sqrt(np.mean((linear(x) - observed) ** 2))
    expected = np.sqrt(rmse**2 + 2 * SLOPES**2 * x.var(axis=0)) - rmse
    np.testing.assert_allclose(found.loc[list("abcd"), "rmse_increase"], expected, rtol=0.02)
    assert found.loc["d", ["rmse_increase", "r_loss", "rmse_increase_std"]].tolist() == [0, 0, 0]
    assert list(found.index[:2]) == ["a", "b"] or list(found.index[:2]) == ["b", "a"]
    assert found.index[-1] == "d"
    assert found.attrs["rmse"] == pytest.approx(rmse)


def test_importance_agrees_with_scikit_learn(rows):
    x, observed, weight = rows
    model = LinearRegression().fit(x, observed)
    theirs = inspection.permutation_importance(
        model, x, observed, scoring="neg_root_mean_squared_error", n_repeats=40,
        sample_weight=weight, random_state=0,
    )  # fmt: skip
    ours = permutation_importance(
        model.predict, x, observed, SINGLE, weight=weight, repeats=40
    ).loc[list("abcd")]
    error = np.hypot(theirs.importances_std, ours["rmse_increase_std"]) / np.sqrt(40)
    assert (np.abs(theirs.importances_mean - ours["rmse_increase"]) < 4 * error + 1e-6).all()
    np.testing.assert_allclose(theirs.importances_std, ours["rmse_increase_std"], rtol=0.4)
    plain = permutation_importance(model.predict, x, observed, SINGLE, repeats=40)
    assert (plain.loc[list("abcd"), "rmse_increase"] != ours["rmse_increase"]).all()


def test_the_spread_is_that_of_the_repeats(rows):
    """All repeats are the population of which the deviation is given."""
    x, observed, _ = rows
    seen = []

    def estimate(x):
        seen.append(np.sqrt(np.mean((linear(x) - observed) ** 2)))
        return linear(x)

    found = permutation_importance(estimate, x, observed, {"a": [0]}, repeats=3).loc["a"]
    trials = np.array(seen[1:]) - seen[0]
    assert found["rmse_increase"] == pytest.approx(trials.mean(), rel=1e-9)
    assert found["rmse_increase_std"] == pytest.approx(trials.std(ddof=0), rel=1e-9)


def test_a_double_hides_a_feature_and_a_group_shows_it(rows):
    x, observed, _ = rows
    x = np.column_stack([x, x[:, 0]])
    slopes = np.array([1.0, -1.0, 0.5, 0.0, 1.0])
    groups = {"a": [0], "double": [4], "both": [0, 4]}
    found = permutation_importance(lambda x: x @ slopes, x, observed, groups)["rmse_increase"]
    single = permutation_importance(linear, x[:, :4], observed, {"a": [0]})["rmse_increase"]["a"]
    assert found["both"] == pytest.approx(single, rel=0.05)
    assert found["a"] < 0.6 * single
    assert found["double"] < 0.6 * single


def test_within_months_the_season_is_left_in_place():
    """The first feature is the season alone, the second has the same variance within months."""
    rng = np.random.default_rng(2)
    month = rng.integers(1, 13, 3000)
    x = np.column_stack([np.sqrt(2) * np.cos(2 * np.pi * month / 12), rng.normal(size=3000)])
    groups = {"season": [0], "weather": [1]}
    whole = permutation_importance(lambda x: x.sum(axis=1), x, x.sum(axis=1), groups)
    inside = permutation_importance(lambda x: x.sum(axis=1), x, x.sum(axis=1), groups, within=month)
    assert whole["rmse_increase"].tolist() == pytest.approx([np.sqrt(2)] * 2, rel=0.05)
    assert inside.loc["season", "rmse_increase"] == 0
    assert inside.loc["weather", "rmse_increase"] == pytest.approx(np.sqrt(2), rel=0.05)


def test_fewer_rows_and_the_same_seed(rows):
    x, observed, weight = rows
    seen = []

    def estimate(x):
        seen.append(len(x))
        return linear(x)

    arguments = {"weight": weight, "rows": 300, "repeats": 2}
    one, same, other = (
        permutation_importance(estimate, x, observed, SINGLE, seed=seed, **arguments)
        for seed in (1, 1, 2)
    )
    assert set(seen) == {300}
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)
    with pytest.raises(NarcfError, match="expected groups to shuffle, found 0"):
        permutation_importance(linear, x, observed, {})


def test_groups_of_what_says_the_same():
    rng = np.random.default_rng(5)
    a, b, c = rng.normal(size=(3, 800))
    sif = a + 0.1 * rng.normal(size=800)
    sif[:100] = np.nan
    fractions = rng.dirichlet(np.ones(2), 800)
    x = np.column_stack([a, b, sif, -np.exp(a), c + b, np.isfinite(sif), fractions, c * 0])
    names = ["temp", "precip", "sif", "vpd", "wind", "has_sif", "fraction_ENF", "fraction_CRO",
             "still"]  # fmt: skip
    groups = correlated_groups(x, names)
    assert groups == {
        "temp + sif + vpd": [0, 2, 3, 5],
        "precip": [1],
        "wind": [4],
        "still": [8],
        LAND_COVER: [6, 7],
    }
    assert sorted(c for columns in groups.values() for c in columns) == list(range(9))
    assert correlated_groups(x, names, 0.5)["precip + wind"] == [1, 4]
    assert correlated_groups(x[:, :1], ["temp"]) == {"temp": [0]}
    assert "fraction_of_rain + sif + vpd" in correlated_groups(
        x, ["fraction_of_rain", *names[1:]]
    ), "a predictor is not land cover by its name alone"


def test_correlations_are_those_of_scipy(rows):
    x, observed, _ = rows
    x = np.column_stack([x, observed])
    found = correlations(x, list("abcde"))
    np.testing.assert_allclose(found, spearmanr(x).statistic, atol=1e-12)


def test_weights_of_a_distance(rows):
    table = pd.DataFrame({"rmse_increase": {"a": 0.5, "b": -0.1, "c": 0.25}})
    groups = {"a": [0, 3, 4, 5], "b": [1], "c": [2]}
    weights = feature_weights(table, groups, 7)
    assert weights.tolist() == [0.5, 0, 0.5, 0.5, 0.5, 0.5, 0]
    with pytest.raises(NarcfError, match="no group of features has any importance"):
        feature_weights(-table, {"a": [0]}, 1)


@pytest.mark.parametrize("column", [0, 2])
def test_partial_dependence_agrees_with_scikit_learn(rows, column):
    x, observed, weight = rows
    model = LinearRegression().fit(np.column_stack([x, x[:, 0] * x[:, 1]]), observed)

    class Product(LinearRegression):
        def predict(self, x):
            return model.predict(np.column_stack([x, x[:, 0] * x[:, 1]])) + np.sin(x[:, 0])

    curved = Product().fit(x, observed)
    found = partial_dependence(curved.predict, x, column, weight=weight, rows=5000)
    arguments = {"custom_values": {column: found.index.values}, "method": "brute"}
    theirs = inspection.partial_dependence(
        curved, x, [column], sample_weight=weight, kind="average", **arguments
    )
    np.testing.assert_allclose(found["mean"], theirs["average"][0], rtol=1e-10)
    rows_alone = inspection.partial_dependence(curved, x, [column], kind="individual", **arguments)
    equal = partial_dependence(curved.predict, x, column, rows=5000)
    np.testing.assert_allclose(
        equal[["low", "high"]].T,
        np.quantile(rows_alone["individual"][0], (0.1, 0.9), axis=0, method="inverted_cdf"),
        rtol=1e-10,
    )
    assert np.abs(equal["mean"] - found["mean"]).max() > 1e-6, "the weights make a difference"


def test_partial_dependence_of_a_line_is_its_slope(rows):
    x, _, _ = rows
    for column, slope in enumerate(SLOPES):
        found = partial_dependence(linear, x, column, rows=200)
        np.testing.assert_allclose(np.diff(found["mean"]), slope * np.diff(found.index), atol=1e-9)
        assert len(found) == 21
    with_gaps = x.copy()
    with_gaps[::2, 1] = np.nan
    assert np.isfinite(partial_dependence(linear, with_gaps, 1)).all(axis=None)
    with pytest.raises(NarcfError, match="rows with a value of feature 1"):
        partial_dependence(linear, x * [1, np.nan, 1, 1], 1)


def test_an_interval_of_a_flag_is_its_two_values(rows):
    x, _, _ = rows
    x[:, 3] = x[:, 0] > 0
    assert partial_dependence(linear, x, 3).index.tolist() == [0, 1]


def test_a_correlation_at_the_threshold_joins():
    """Ranks 1 2 3 4 5 and 2 1 4 3 5 have the correlation 1 - 6 x 4 / 120 = 0.8."""
    x = np.array([[1, 2], [2, 1], [3, 4], [4, 3], [5, 5]]) ** 3.0
    assert correlations(x, ["a", "b"]).loc["a", "b"] == pytest.approx(0.8, abs=1e-15)
    assert list(correlated_groups(x, ["a", "b"])) == ["a + b"]
    assert list(correlated_groups(x, ["a", "b"], 0.8)) == ["a + b"]
    assert list(correlated_groups(x * [1, -1], ["a", "b"], 0.8)) == ["a + b"]
    assert list(correlated_groups(x, ["a", "b"], 0.8 + 1e-7)) == ["a", "b"]


def test_what_is_drawn_when_nothing_is_said(rows):
    x, observed, _ = rows
    seen = []

    def estimate(x):
        seen.append(len(x))
        return linear(x)

    whole = permutation_importance(estimate, x, observed, {"a": [0]})
    # Once as it is and five times shuffled.
    assert seen == [2000] * 6
    # As many rows as there are is no draw: the shuffles are the same.
    pd.testing.assert_frame_equal(
        whole, permutation_importance(linear, x, observed, {"a": [0]}, rows=2000, seed=0)
    )
    many = np.tile(x, (6, 1))[:10_003]
    for function, expected in (
        (lambda f: permutation_importance(f, many, linear(many), {"a": [0]}, repeats=1), 10_000),
        (lambda f: partial_dependence(f, many, 1), 21 * 1000),
    ):
        seen.clear()
        function(estimate)
        assert set(seen) == {expected}
    names = list("abcd")
    pd.testing.assert_frame_equal(
        correlations(many, names), correlations(many, names, rows=10_000, seed=0)
    )
    pd.testing.assert_frame_equal(
        partial_dependence(linear, x, 0), partial_dependence(linear, x, 0, rows=1000, seed=0)
    )
    with pytest.raises(NarcfError, match="0 times each"):
        permutation_importance(linear, x, observed, SINGLE, repeats=0)


def test_the_grid_reaches_from_one_to_ninety_nine_percent(rows):
    x, _, _ = rows
    found = partial_dependence(linear, x, 2, rows=500)
    assert found.index[[0, 10, 20]].tolist() == pytest.approx(
        np.quantile(x[:, 2], [0.01, 0.5, 0.99]).tolist()
    )
    assert found.attrs["quantiles"] == (0.1, 0.9)
    known = x[:, 2] > 0
    x[~known, 2] = np.nan
    assert partial_dependence(linear, x, 2, grid=3).index.tolist() == pytest.approx(
        np.quantile(x[known, 2], [0.01, 0.5, 0.99]).tolist()
    )


def test_the_loss_of_correlation_by_counting(rows):
    x, observed, weight = rows
    seen = []

    def estimate(x):
        matrix = np.cov(linear(x), observed, aweights=weight)
        seen.append(matrix[0, 1] / np.sqrt(matrix[0, 0] * matrix[1, 1]))
        return linear(x)

    table = permutation_importance(estimate, x, observed, {"b": [1]}, weight=weight, repeats=4)
    lost = seen[0] - np.array(seen[1:])
    assert table.loc["b", "r_loss"] == pytest.approx(lost.mean(), rel=1e-6)
    assert table.loc["b", "r_loss_std"] == pytest.approx(lost.std(), rel=1e-6)
    assert table.attrs["r"] == pytest.approx(seen[0])
    assert table.attrs["rows"] == 2000
    assert lost.mean() > 0.1


def test_the_importance_of_one_group_scales_the_others():
    table = pd.DataFrame({"rmse_increase": {"a": 0.3, "b": 0.6, "c": 1.2}})
    weights = feature_weights(table, {"b": [3], "a": [0, 2]}, 4)
    assert weights.tolist() == pytest.approx([0.25 / 2**0.5, 0, 0.25 / 2**0.5, 0.5])
    small = feature_weights(table * 1e-9, {"a": [1]}, 2)
    assert small.tolist() == pytest.approx([0, 0.25])
