"""The parts of a flux against loops over cells and months, and against scipy."""

from __future__ import annotations

import warnings
from collections import defaultdict

import numpy as np
import pytest
import xarray as xr
from places import cells, east_first, like_a_map, like_an_inversion, monthly, sorted_cells
from scipy import stats

from narcf_geo.budget.totals import monthly_total
from narcf_geo.core.errors import GridMismatchError
from narcf_geo.evaluation.variability import components, decompose
from narcf_geo.grid import Grid
from narcf_geo.statistics.scores import TAYLOR, taylor

Fluxes = tuple[xr.DataArray, xr.DataArray, xr.DataArray]


GRID = Grid.regular(-100, 30, -96, 60, (1, 10))


def on_grid(values: np.ndarray, first: str, last: str) -> xr.DataArray:
    return monthly(values, first, last, GRID.lat, GRID.lon)


@pytest.fixture
def fluxes() -> Fluxes:
    """Two fluxes from May 2007 to March 2010, asymmetric in each way, with gaps of each kind."""
    rng = np.random.default_rng(8)
    shape = (35, 3, 4)
    month = np.arange(35) + 4
    season = np.cos(2 * np.pi * (month % 12) / 12)[:, None, None]
    place = np.arange(12).reshape(3, 4) ** 1.5 / 10
    observed = place - season * (1 + place) + rng.normal(0, 0.3, shape)
    estimate = 0.7 * observed + 0.2 * place + rng.normal(0.1, 0.2, shape)
    observed[:, 0, 0] = np.nan
    estimate[3] = np.nan
    observed[rng.random(shape) < 0.1] = np.nan
    estimate[2:26, 2, 3] = np.nan
    area = cells(GRID.area, GRID.lat, GRID.lon, units="m2")
    first, second = (on_grid(v, "2007-05", "2010-03") for v in (estimate, observed))
    return like_an_inversion(first), east_first(second), like_a_map(area)


Rows = dict[str, list[tuple[float, float, float]]]


def by_loops(estimate: xr.DataArray, observed: xr.DataArray, area: xr.DataArray) -> Rows:
    """Return pairs and weights of each part, one cell and month after another."""
    rows: Rows = defaultdict(list)
    estimate, observed, area = (sorted_cells(f) for f in (estimate, observed, area))
    months = estimate["time"].dt.month.values.tolist()
    for i in range(estimate.shape[1]):
        for j in range(estimate.shape[2]):
            pairs = defaultdict(list)
            for t, month in enumerate(months):
                pair = float(estimate[t, i, j]), float(observed[t, i, j])
                if not np.isnan(pair).any():
                    pairs[month].append(np.array(pair))
            if not pairs:
                continue
            weight = float(area[i, j])
            means = {m: sum(values) / len(values) for m, values in pairs.items()}
            middle = sum(means.values()) / len(means)
            rows["mean_field"].append((*middle, weight))
            for m, values in pairs.items():
                rows["seasonal_cycle"].append((*(means[m] - middle), weight))
                if len(values) > 1:
                    rows["anomalies"] += [(*(v - means[m]), weight) for v in values]
    return rows


@pytest.mark.parametrize("part", ["mean_field", "seasonal_cycle", "anomalies"])
def test_parts_are_those_of_a_loop(fluxes: Fluxes, part: str) -> None:
    e, o, w = np.array(by_loops(*fluxes)[part]).T
    found = components(*fluxes)[part]
    assert found["n"] == e.size
    cov = np.cov(e, o, aweights=w, ddof=0)
    r = cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1])
    rmse = np.sqrt(np.average((e - o) ** 2, weights=w))
    assert found["r"] == pytest.approx(r, abs=1e-9)
    assert found["rmse"] == pytest.approx(rmse, abs=1e-9)
    assert found["taylor"]["std_ratio"] == pytest.approx(np.sqrt(cov[0, 0] / cov[1, 1]), abs=1e-9)
    assert found["taylor"]["r"] == pytest.approx(r, abs=1e-9)
    assert found["units"] == "umol m-2 s-1"
    # The controls: cells of one weight, and another place, month or year, give others.
    assert abs(np.sqrt(np.mean((e - o) ** 2)) - rmse) > 1e-4
    estimate, observed, area = fluxes
    axis, by = {"mean_field": (2, 1), "seasonal_cycle": (0, 1), "anomalies": (0, 12)}[part]
    moved = observed.copy(data=np.roll(observed.values, by, axis=axis))
    assert components(estimate, moved, area)[part]["r"] < r - 0.05


def test_the_total_of_the_region(fluxes: Fluxes) -> None:
    estimate, observed, area = (sorted_cells(f) for f in fluxes)
    pair = estimate.notnull() & observed.notnull()
    some = pair.any(["lat", "lon"]).values
    assert some.sum() == 34
    e, o = (monthly_total(f.where(pair), area).values for f in (estimate, observed))
    found = components(*fluxes)["monthly_total"]
    assert found["units"] == "TgC month-1"
    assert found["n"] == 34
    assert found["r"] == pytest.approx(stats.pearsonr(e[some], o[some]).statistic, abs=1e-9)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((e - o)[some] ** 2)), abs=1e-9)
    # The control: a month without data is no month without a flux.
    assert np.isnan(e[~some]).all()
    as_zero = np.sqrt(np.mean(np.nan_to_num(e - o) ** 2))
    assert abs(found["rmse"] - as_zero) > 1e-3
    month = estimate["time"].dt.month.values
    departures = []
    for t in np.flatnonzero(some):
        alike = some & (month == month[t])
        if alike.sum() > 1:
            departures.append([v[t] - v[alike].mean() for v in (e, o)])
    e, o = np.array(departures).T
    found = components(*fluxes)["monthly_total_anomalies"]
    assert found["n"] == e.size
    assert found["r"] == pytest.approx(stats.pearsonr(e, o).statistic, abs=1e-9)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((e - o) ** 2)), abs=1e-9)


def test_the_parts_rebuild_a_complete_field() -> None:
    rng = np.random.default_rng(2)
    flux, month = rng.normal(3, 2, (36, 3, 4)), np.arange(36) % 12 + 1
    parts = decompose(flux, month)
    rebuilt = parts.mean + parts.cycle[month - 1] + parts.anomalies
    np.testing.assert_allclose(rebuilt, flux, atol=1e-12)
    np.testing.assert_allclose(parts.mean, flux.mean(axis=0), atol=1e-12)
    # They share no variance.
    variances = [np.mean(v**2) for v in (parts.cycle, parts.anomalies)]
    assert sum(variances) == pytest.approx(flux.var(axis=0).mean(), rel=1e-12)
    # The control: with the cycle of another month the field is not rebuilt.
    assert np.abs(parts.mean + parts.cycle[month - 2] + parts.anomalies - flux).max() > 0.1


def test_each_part_is_scored_by_itself() -> None:
    """An estimate that is right in one part alone has r = 1 there and less elsewhere."""
    rng = np.random.default_rng(5)
    month = np.arange(48) % 12
    flux, other = rng.normal(0, 1, (2, 48, 3, 4))
    one, two = decompose(flux, month + 1), decompose(other, month + 1)
    area = like_a_map(cells(rng.uniform(1e9, 5e9, (3, 4)), GRID.lat, GRID.lon, units="m2"))
    observed = like_an_inversion(on_grid(flux, "2001-01", "2004-12"))
    mixed = {
        "mean_field": one.mean + two.cycle[month] + two.anomalies,
        "seasonal_cycle": two.mean + one.cycle[month] + two.anomalies,
        "anomalies": two.mean + two.cycle[month] + one.anomalies,
    }
    for right, values in mixed.items():
        found = components(on_grid(values, "2001-01", "2004-12"), observed, area)
        for part in mixed:
            assert (found[part]["r"] > 0.999) == (part == right), (right, part)
            assert (found[part]["rmse"] < 1e-9) == (part == right), (right, part)


def test_one_year_has_no_anomalies(fluxes: Fluxes) -> None:
    estimate, observed, area = fluxes
    year = slice("2008-01", "2008-12")
    found = components(estimate.sel(time=year), observed.sel(time=year), area)
    assert found["anomalies"] is found["monthly_total_anomalies"] is None
    assert found["seasonal_cycle"]["n"] > 0
    month = components(estimate.sel(time="2008-07"), observed.sel(time="2008-07"), area)
    assert month["seasonal_cycle"] is None
    assert month["mean_field"]["n"] > 0
    late = components(estimate, observed.where(observed["time"].dt.year > 2050), area)
    assert all(value is None for value in late.values())


@pytest.mark.parametrize("value", [0.3, 0.1, -7.7, 0.0])
def test_a_constant_has_no_variance(fluxes: Fluxes, value: float) -> None:
    estimate, observed, area = fluxes
    flat = xr.full_like(estimate, value).where(estimate.notnull())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = components(flat, observed, area)
        back = components(observed, flat, area)
        single = components(*(sorted_cells(f)[..., 1:2, 1:2] for f in fluxes))
        none = components(estimate * np.nan, observed, area)
    for part in ("mean_field", "seasonal_cycle", "anomalies"):
        assert np.isnan(found[part]["r"]), part
        assert found[part]["taylor"]["std_ratio"] == 0, part
        assert np.isfinite(found[part]["rmse"])
        assert np.isnan([back[part]["r"], back[part]["nse"], back[part]["slope"]]).all()
    assert single["mean_field"]["n"] == 1
    assert np.isnan(single["mean_field"]["r"])
    assert np.isfinite(single["anomalies"]["r"])
    assert set(none.values()) == {None}


@pytest.mark.parametrize("axis", ["lat", "lon"])
def test_other_grids_are_refused(fluxes: Fluxes, axis: str) -> None:
    estimate, observed, area = fluxes
    moved = observed.assign_coords({axis: observed[axis] + 0.5})
    with pytest.raises(GridMismatchError, match="3 x 4 cells"):
        components(estimate, moved, area)
    with pytest.raises(GridMismatchError, match="found 2 x 4 cells"):
        components(estimate, observed.isel(lat=slice(1, None)), area)


def test_taylor_statistics() -> None:
    rng = np.random.default_rng(1)
    o, noise, w = rng.normal(3, 2, 400), rng.normal(1, 1, 400), rng.uniform(0.1, 4, 400)
    e = 0.4 * o + noise
    found = taylor(e, o, w)
    assert tuple(found) == TAYLOR
    cov = np.cov(e, o, aweights=w, ddof=0)
    assert found["std_estimate"] == pytest.approx(np.sqrt(cov[0, 0]), abs=1e-9)
    assert found["std_observed"] == pytest.approx(np.sqrt(cov[1, 1]), abs=1e-9)
    law_of_cosines = cov[0, 0] + cov[1, 1] - 2 * found["r"] * np.sqrt(cov[0, 0] * cov[1, 1])
    assert found["centred_rmse"] ** 2 == pytest.approx(law_of_cosines, abs=1e-9)
    assert np.isnan(list(taylor(e * np.nan, o, w).values())).all()
