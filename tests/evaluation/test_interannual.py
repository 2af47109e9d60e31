"""Annual totals, their trends and correlations, against sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from places import cells, monthly
from scipy import stats

from narcf_geo.budget.parts import class_shares
from narcf_geo.core.constants import IGBP
from narcf_geo.evaluation.comparison import Pair, sums_of
from narcf_geo.evaluation.interannual import interannual_scores, region_total, series_scores
from narcf_geo.grid import Grid

GRID = Grid.regular(-100, 40, -97, 42, 1)
DAYS = 86400 * 12.011e-18


def flux(years: int, slope: float, seed: int = 0, first: str = "2001-01") -> xr.DataArray:
    """A flux that rises by `slope` a year, with a season and noise; unlike in each cell."""
    rng = np.random.default_rng(seed)
    n = 12 * years
    year, month = np.arange(n) // 12, np.arange(n) % 12
    values = slope * year + np.cos(month / 2) + rng.normal(0, 0.1, n)
    field = values[:, None, None] * (1 + np.arange(6).reshape(2, 3))
    last = f"{int(first[:4]) + years - 1}-12"
    return monthly(field, first, last, GRID.lat, GRID.lon)


def by_hand(field: xr.DataArray) -> np.ndarray:
    days = field["time"].dt.days_in_month.values[:, None, None]
    total = (field.values * days * GRID.area).sum(axis=(1, 2)) * DAYS
    return total.reshape(-1, 12).sum(axis=1)


def area() -> xr.DataArray:
    return cells(GRID.area, GRID.lat, GRID.lon, units="m2")


def test_trends_and_correlations_are_those_of_totals_by_hand() -> None:
    one, other = flux(12, 0.05), flux(12, -0.02, seed=1)
    found = series_scores((sums := sums_of(Pair.of(one, other, area()))).whole, sums.time)
    wanted = [by_hand(field) for field in (one, other)]
    years = np.arange(2001, 2013)
    assert found["years"] == years.tolist()
    for name, totals in zip(("estimate", "observed"), wanted, strict=True):
        slope = stats.theilslopes(totals, years).slope
        assert found[name]["slope"] == pytest.approx(slope, rel=1e-9)
        assert found[name]["mean_TgC_per_year"] == pytest.approx(totals.mean(), rel=1e-9)
    assert found["estimate"]["slope"] > 0 > found["observed"]["slope"]
    assert found["estimate"]["p"] < 0.01
    r = stats.pearsonr(*wanted).statistic
    assert found["annual"]["r"] == pytest.approx(r, rel=1e-9)
    assert (found["monthly"]["n"], found["annual"]["n"]) == (144, 12)


def test_an_incomplete_year_is_in_no_trend() -> None:
    one, other = flux(9, 0.05), flux(9, 0.05, seed=1)
    whole = series_scores((sums := sums_of(Pair.of(one, other, area()))).whole, sums.time)
    cut = one.isel(time=slice(5, None))
    sums = sums_of(Pair.of(cut, other, area()))
    found = series_scores(sums.whole, sums.time)
    assert found["years"] == list(range(2002, 2010))
    slope = stats.theilslopes(by_hand(one)[1:], np.arange(8)).slope
    assert found["estimate"]["slope"] == pytest.approx(slope, rel=1e-9)
    # The control: the seven months of 2001 as a year would be another trend.
    assert slope != pytest.approx(whole["estimate"]["slope"], rel=1e-3)
    few = one.isel(time=slice(0, 35))
    sums = sums_of(Pair.of(few, other, area()))
    assert series_scores(sums.whole, sums.time) == {}


def test_cells_that_come_and_go_make_no_trend() -> None:
    one = flux(10, 0.0)
    one[:] = one.mean(("lat", "lon"))
    gone = one.copy()
    gone[60:, 0] = np.nan
    sums = sums_of(Pair.of(gone, one, area()))
    found = series_scores(sums.whole, sums.time)
    # All cells are alike: those that are gone change no mean, and are said to be gone.
    assert found["estimate"]["slope"] == pytest.approx(
        stats.theilslopes(by_hand(one), np.arange(10)).slope, rel=1e-9
    )
    assert found["coverage"] == pytest.approx(GRID.area[1].sum() / GRID.area.sum())


def test_each_biome_and_region_has_its_own() -> None:
    from scipy import sparse

    one, other = flux(10, 0.05), flux(10, 0.05, seed=1)
    one[:, 0] *= -1
    biome = cells(np.array([[5, 5, 5], [12, 12, 12]], np.int8), GRID.lat, GRID.lon)
    half = sparse.csc_array(np.array([[0.5, 0, 0, 0.5, 0, 0]]))
    groups = sparse.vstack([class_shares(biome), half], format="csc")
    found = interannual_scores(sums_of(Pair.of(one, other, area()), groups), ["west"])
    assert set(found["biomes"]) == {IGBP[5].name, IGBP[12].name}
    slopes = [found["biomes"][IGBP[n].name]["estimate"]["slope"] for n in (5, 12)]
    assert slopes[0] < 0 < slopes[1]
    west = one.isel(lon=[0]).values * 0.5 * GRID.area[:, :1]
    days = one["time"].dt.days_in_month.values
    totals = ((west.sum(axis=(1, 2))) * days * DAYS).reshape(-1, 12).sum(axis=1)
    slope = stats.theilslopes(totals, np.arange(10)).slope
    assert found["regions"]["west"]["estimate"]["slope"] == pytest.approx(slope, rel=1e-9)


def test_the_total_of_a_region_says_of_how_many_months_it_is() -> None:
    whole = flux(3, 0.1)
    part = whole.isel(time=slice(4, None)).copy()
    part[20:, 1, 2] = np.nan
    found = region_total(sums_of(Pair.of(part, part, area())))
    assert found["by_year_months"] == {"2001": 8, "2002": 12, "2003": 12}
    assert found["months"] == 32
    totals = by_hand(whole.copy(data=np.where(np.arange(36)[:, None, None] < 4, 0, whole)))
    assert found["by_year_TgC"]["2001"] == pytest.approx(totals[0], rel=1e-9)
    # The mean is of the two complete years, and not of 32 months times 12.
    years = [found["by_year_TgC"][year] for year in ("2002", "2003")]
    assert found["flux_TgC_per_year"] == pytest.approx(np.mean(years), rel=1e-12)
    assert found["flux_TgC_per_year"] != pytest.approx(found["flux_TgC"] / 32 * 12, rel=1e-2)
    lost = GRID.area[1, 2] / GRID.area.sum()
    assert found["by_year_coverage"]["2003"] == pytest.approx(1 - lost)
    assert found["by_year_coverage"]["2001"] == pytest.approx(245 / 365)
    alone = region_total(sums_of(Pair.of(part[:8], part[:8], area())))
    assert np.isnan(alone["flux_TgC_per_year"])
