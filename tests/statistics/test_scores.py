"""Scores against the formulas of numpy, scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from places import cells, east_first, like_a_map, like_an_inversion, monthly, sorted_cells
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from narcf_geo.budget.totals import monthly_total
from narcf_geo.core.months import month_starts
from narcf_geo.evaluation import by_biome, by_month, compare
from narcf_geo.grid import Grid
from narcf_geo.statistics.scores import scores, taylor


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    observed = rng.gamma(2.0, 1.0, 500) - 2.5
    estimate = 0.6 * observed + rng.normal(0.3, 0.5, 500)
    return estimate, observed, rng.uniform(0.1, 9.0, 500)


def test_weighted_scores(rows: tuple) -> None:
    estimate, observed, weight = rows
    found = scores(estimate, observed, weight)
    cov = np.cov(estimate, observed, aweights=weight)
    assert found["r"] == pytest.approx(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]), abs=1e-12)
    mse = mean_squared_error(observed, estimate, sample_weight=weight)
    assert found["rmse"] == pytest.approx(np.sqrt(mse), rel=1e-12)
    assert found["bias"] == pytest.approx(np.average(estimate - observed, weights=weight), rel=1e-9)
    assert found["n"] == 500
    # The control: without weights the numbers are others.
    plain = scores(estimate, observed, np.ones(500))
    assert plain["r"] == pytest.approx(stats.pearsonr(estimate, observed).statistic, abs=1e-12)
    assert abs(plain["rmse"] - found["rmse"]) > 1e-4


def test_the_other_scores(rows: tuple) -> None:
    estimate, observed, weight = rows
    found = scores(estimate, observed, weight)
    assert found["mae"] == pytest.approx(
        mean_absolute_error(observed, estimate, sample_weight=weight), rel=1e-12
    )
    assert found["nse"] == pytest.approx(
        r2_score(observed, estimate, sample_weight=weight), abs=1e-9
    )
    line = LinearRegression().fit(observed[:, None], estimate, sample_weight=weight)
    assert found["slope"] == pytest.approx(line.coef_[0], rel=1e-9)
    centred = estimate - found["bias"]
    mse = mean_squared_error(observed, centred, sample_weight=weight)
    assert found["ubrmse"] == pytest.approx(np.sqrt(mse), rel=1e-9)
    means = [np.average(values, weights=weight) for values in (estimate, observed)]
    cov = np.cov(estimate, observed, aweights=weight)
    alpha, beta = np.sqrt(cov[0, 0] / cov[1, 1]), means[0] / means[1]
    assert found["kge_alpha"] == pytest.approx(alpha, rel=1e-9)
    assert found["kge_beta"] == pytest.approx(beta, rel=1e-9)
    distance = np.linalg.norm([found["r"] - 1, alpha - 1, beta - 1])
    assert found["kge"] == pytest.approx(1 - distance, rel=1e-9)


def test_a_perfect_estimate(rows: tuple) -> None:
    _, observed, weight = rows
    found = scores(observed, observed, weight)
    for key in ("r", "nse", "kge", "kge_alpha", "kge_beta", "slope"):
        assert found[key] == pytest.approx(1, abs=1e-12), key
    for key in ("rmse", "bias", "mae", "ubrmse"):
        assert found[key] == 0, key


def test_an_integer_weight_is_a_repetition(rows: tuple) -> None:
    estimate, observed, _ = rows
    times = np.arange(500) % 4
    repeated = scores(estimate.repeat(times), observed.repeat(times), np.ones(times.sum()))
    found = scores(estimate, observed, times.astype(float))
    for key in ("r", "rmse", "bias"):
        assert found[key] == pytest.approx(repeated[key], rel=1e-12)


def test_pairs_with_a_gap_are_left_out(rows: tuple) -> None:
    estimate, observed, weight = (values.copy() for values in rows)
    estimate[::7], observed[::5] = np.nan, np.nan
    keep = np.isfinite(estimate) & np.isfinite(observed)
    assert scores(estimate, observed, weight) == scores(
        estimate[keep], observed[keep], weight[keep]
    )


def test_small_differences_on_a_large_mean() -> None:
    e = np.float32([1000.0, 1000.25, 1000.5, 1001.0])
    o = np.float32([1000.0, 1000.5, 1000.25, 1001.0])
    found = scores(e, o, np.float32([1, 1, 1, 1]))
    assert found["r"] == pytest.approx(np.corrcoef(e - 1000.0, o - 1000.0)[0, 1], abs=1e-9)


@pytest.mark.parametrize("constant", [0.3, 0.1, -7.7])
def test_no_variance_has_no_correlation(constant: float) -> None:
    values = np.array([1.0, 2.0, 4.0, -3.0, 0.7])
    for pair in ((np.full(5, constant), values), (values, np.full(5, constant))):
        found = scores(*pair, np.array([1.0, 2.0, 3.0, 0.1, 0.7]))
        assert np.isnan(found["r"])
        assert np.isfinite(found["rmse"])


def test_no_pair_at_all() -> None:
    found = scores(np.array([np.nan, 1.0]), np.array([2.0, np.nan]), np.ones(2))
    assert found["n"] == 0
    assert np.isnan([found["r"], found["rmse"], found["bias"]]).all()


@pytest.fixture
def fluxes() -> tuple[xr.DataArray, xr.DataArray, xr.DataArray, xr.DataArray]:
    rng = np.random.default_rng(4)
    grid = Grid.regular(-100, 30, -95, 70, (1, 10))
    place = (grid.lat, grid.lon)
    observed = rng.normal(0, 1, (16, *grid.shape))
    estimate = observed + rng.normal(0.2, 0.4, observed.shape)
    observed[:, 0, 0] = np.nan
    estimate[3] = np.nan
    biome = cells(np.int8(rng.choice([1, 5, 12], grid.shape)), *place)
    one, other = (monthly(v, "2007-11", "2009-02", *place) for v in (estimate, observed))
    area = like_a_map(cells(grid.area, *place, units="m2"))
    return like_an_inversion(one), east_first(other), area, east_first(biome)


def test_the_bias_in_mass_is_the_difference_of_budgets(fluxes: tuple) -> None:
    estimate, observed, area, _ = fluxes
    found = compare(estimate, observed, area)
    estimate, observed = sorted_cells(estimate), sorted_cells(observed)
    pair = estimate.notnull() & observed.notnull()
    totals = [monthly_total(f.where(pair), area).sum().item() for f in (estimate, observed)]
    # One of 16 months has no pair.
    assert found["bias_TgC_per_year"] == pytest.approx((totals[0] - totals[1]) * 12 / 15, rel=1e-9)
    assert found["period"] == ["2007-11", "2009-02"]
    assert found["n"] == int(pair.sum())
    assert found["bias"] > 0
    assert found["bias_TgC_per_year"] > 0


def test_a_constant_bias_over_a_year() -> None:
    zero = monthly(np.zeros((1, 2)), "2007-01", "2007-12")
    one = like_an_inversion((zero + 1).assign_attrs(zero.attrs))
    area = like_a_map(cells([[1e12, 2e12]], units="m2"))
    found = compare(one, zero, area)
    assert found["bias_TgC_per_year"] == pytest.approx(3 * 1e-6 * 12.011 * 86400 * 365, rel=1e-12)


def test_fluxes_are_paired_by_their_months(fluxes: tuple) -> None:
    estimate, observed, area, _ = fluxes
    later = observed.assign_coords(time=month_starts("2008-11", "2010-02"))
    found = compare(estimate, later, area)
    common = estimate["time"].values[12:]
    one, other = (sorted_cells(f).sel(time=common).values for f in (estimate, later))
    expected = scores(one, other, np.broadcast_to(sorted_cells(area), one.shape))
    assert found["n"] == expected["n"]
    assert found["r"] == pytest.approx(expected["r"], rel=1e-12)
    assert found["period"] == ["2008-11", "2009-02"]


def test_months_and_biomes_partition_the_pairs(fluxes: tuple) -> None:
    estimate, observed, area, biome = fluxes
    whole = compare(estimate, observed, area)
    months = by_month(estimate, observed, area)
    assert sorted(months, key=int) == [str(m) for m in range(1, 13)]
    assert sum(part["n"] for part in months.values()) == whole["n"]
    july = estimate["time"].dt.month == 7
    assert months["7"] == compare(estimate[july], observed[july], area)
    parts = by_biome(estimate, observed, area, biome)
    assert list(parts) == ["1", "5", "12"]
    assert parts["5"]["name"] == "mixed forest"
    assert sum(part["n"] for part in parts.values()) == whole["n"]
    assert sum(p["bias_TgC_per_year"] for p in parts.values()) == pytest.approx(
        whole["bias_TgC_per_year"], rel=1e-9
    )


def test_nothing_to_compare(fluxes: tuple) -> None:
    estimate, observed, area, _ = fluxes
    found = compare(estimate * np.nan, observed, area)
    assert found["n"] == 0
    assert found["period"] == []
    assert np.isnan([found["r"], found["bias_TgC_per_year"]]).all()


def test_a_pair_without_weight_is_no_pair(rows: tuple) -> None:
    estimate, observed, weight = (values.copy() for values in rows)
    weight[::3] = 0
    estimate[0], weight[1] = 1e6, np.nan
    left = weight > 0
    found = scores(estimate, observed, weight)
    assert found["n"] == left.sum() == 332
    assert found == scores(estimate[left], observed[left], weight[left])


def test_a_taylor_diagram_by_the_law_of_cosines(rows: tuple) -> None:
    estimate, observed, weight = rows
    found = taylor(estimate + 5, observed, weight)
    cov = np.cov(estimate, observed, aweights=weight, ddof=0)
    assert found["std_estimate"] == pytest.approx(np.sqrt(cov[0, 0]), rel=1e-9)
    assert found["std_observed"] == pytest.approx(np.sqrt(cov[1, 1]), rel=1e-9)
    assert found["std_ratio"] == pytest.approx(np.sqrt(cov[0, 0] / cov[1, 1]), rel=1e-9)
    assert found["r"] == pytest.approx(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]), rel=1e-9)
    assert found["centred_rmse"] == pytest.approx(
        np.sqrt(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]), rel=1e-9
    )


def test_variance_just_above_rounding_counts() -> None:
    small = np.array([0.0, 1.0, 3.0, 4.0]) * 2.0**-30
    found = scores(1 + small, np.array([0.0, 1.0, 3.0, 4.0]), np.ones(4))
    assert found["r"] == pytest.approx(1)
    # A tenth of what is left of a rounding is none.
    tiny = np.array([1.0, 1.0, 1.0, 1.0 + 2.0**-52])
    assert np.isnan(scores(tiny, np.array([0.0, 1.0, 3.0, 4.0]), np.ones(4))["r"])
