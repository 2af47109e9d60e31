"""Intervals of totals: how often they hold a truth whose errors are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from error_fields import AREA, GRID, LAND, Errors, field, std
from places import cells, like_a_map, like_an_inversion

from narcf_geo.budget.intervals import half_width, total_draws, total_intervals
from narcf_geo.budget.tables import (
    COLUMNS,
    INTERVAL_COLUMNS,
    biome_budget,
    fraction_budget,
    region_budget,
)
from narcf_geo.budget.totals import cell_total
from narcf_geo.core.errors import UsageError
from narcf_geo.statistics.error_model import ErrorModel

LON, LAT = np.meshgrid(GRID.lon, GRID.lat)
PARTS = {
    "north-west": (LAT > 45) & (LON < -95),
    "south": LAT < 40,
    "belt": (LAT > 45) & (LAT < 55),
    "small": (np.abs(LAT - 41) < 4) & (np.abs(LON + 100) < 5),
    "patchy": np.random.default_rng(3).random(LAND.shape) < 0.15,
    "all": np.ones(LAND.shape, bool),
}
SPREAD = field(std(), 2014)


def model(values: np.ndarray, assumed: np.ndarray | None = None) -> ErrorModel:
    spread = field(std() if assumed is None else assumed, 2013)
    return ErrorModel.of(field(values, 2013), spread, AREA)


def shares(parts: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack(list(parts.values())).astype(np.float64)


def tries(errors: Errors, number: int, *, bias: float = 0.0, flat: bool = False) -> np.ndarray:
    """Share of new years (part,) in the intervals, then under independent cells."""
    assumed = np.full_like(std(), np.sqrt((std() ** 2).mean())) if flat else std()
    spread = field(assumed, 2014)
    hits = np.zeros((2, len(PARTS)))
    masses = cell_total(spread, AREA).values ** 2
    alone = [1.96 * np.sqrt(np.nansum(masses[:, part])) for part in PARTS.values()]
    for number_ in range(number):
        shared = bias * errors.rng.standard_normal()
        learned = model(std() * (errors.draw() + shared), assumed)
        drawn = total_draws(spread, learned, AREA, shares(PARTS), draws=200, seed=number_)
        half = half_width(drawn.sum(axis=2), learned.freedom)
        truth = cell_total(field(std() * (errors.draw() + shared), 2014), AREA).values
        error = np.abs([np.nansum(truth[:, part]) for part in PARTS.values()])
        hits += [error <= half, error <= alone]
    return hits / number


@pytest.mark.parametrize(
    "flat", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["right std", "one std"]
)
def test_a_year_of_correlated_errors_is_held_as_often_as_promised(flat: bool) -> None:
    held, independent = tries(Errors(400, 0.5, 5), 30, flat=flat)
    # Thirty tries of a part have a binomial noise of 0.04; the mean over the parts less.
    assert held.mean() == pytest.approx(0.95, abs=0.035)
    assert held.min() >= 0.85
    # The control: cells as if independent.
    assert independent.mean() < 0.5
    assert independent[-1] < 0.35


def test_an_error_common_to_the_region_is_held_too() -> None:
    held, independent = tries(Errors(300, 0.2, 8), 30, bias=0.5)
    assert held.mean() >= 0.88
    assert independent[-1] < 0.2


def test_independent_errors_do_not_widen_the_intervals_much() -> None:
    errors = Errors(20, 0.0, 4)
    drawn = [
        total_draws(SPREAD, model(std() * errors.draw()), AREA, shares(PARTS), draws=100, seed=n)
        for n in range(8)
    ]
    found = np.concatenate(drawn).sum(axis=2).std(axis=0)
    masses = cell_total(SPREAD, AREA).values ** 2
    wanted = [np.sqrt(np.nansum(masses[:, part])) for part in PARTS.values()]
    assert found == pytest.approx(wanted, rel=0.4)


def test_draws_of_parts_add_up_and_months_make_the_year() -> None:
    learned = model(std() * Errors(400, 0.5, 2).draw())
    west = (LON < -95).astype(float)
    parts = np.stack([west, 0.3 * (1 - west), 0.7 * (1 - west), np.ones_like(west)])
    drawn = total_draws(SPREAD, learned, AREA, parts, draws=70)
    assert drawn.shape == (70, 4, 12)
    assert drawn[:, :3].sum(axis=1) == pytest.approx(drawn[:, 3], rel=1e-9, abs=1e-12)
    # Twice the deviation, twice the error; the same seed, the same draws.
    assert total_draws(2 * SPREAD, learned, AREA, parts, draws=70) == pytest.approx(2 * drawn)
    assert (total_draws(SPREAD, learned, AREA, parts, draws=70) == drawn).all()
    assert (total_draws(SPREAD, learned, AREA, parts, draws=70, seed=1) != drawn).any()
    assert not total_draws(SPREAD * np.nan, learned, AREA, parts, draws=3).any()


def test_a_table_by_hand() -> None:
    learned = model(std() * Errors(400, 0.5, 2).draw())
    flux = field(np.full_like(std(), -0.5), 2014)
    prediction = xr.Dataset({"flux": flux, "flux_std": SPREAD})
    year = total_intervals(prediction, learned, AREA, PARTS)
    month = total_intervals(prediction, learned, AREA, PARTS, by="month")
    assert (len(year), len(month)) == (6, 72)
    assert year["part"].tolist() == list(PARTS)
    assert month["month"][3] == pd.Timestamp("2014-04-01")
    drawn = total_draws(SPREAD, learned, AREA, shares(PARTS)).sum(axis=2)
    assert year["std_TgC"].to_numpy() == pytest.approx(drawn.std(axis=0))
    total = -0.5e-18 * 12.011 * 365 * 86400 * AREA.values[LAND].sum()
    assert year["flux_TgC"].iloc[-1] == pytest.approx(total, rel=1e-9)
    middle = (year["lower_TgC"] + year["upper_TgC"]) / 2
    assert middle.to_numpy() == pytest.approx(year["flux_TgC"].to_numpy())
    half = (year["upper_TgC"] - year["lower_TgC"]) / 2
    assert (half > 1.8 * year["std_TgC"]).all()
    narrow = total_intervals(prediction, learned, AREA, PARTS, level=0.5)
    assert ((narrow["upper_TgC"] - narrow["lower_TgC"]) / 2 < 0.5 * half).all()
    # Months differ in part: a year's deviation is less than the sum of theirs.
    assert year["std_TgC"].iloc[-1] < month[month["part"] == "all"]["std_TgC"].sum()
    with pytest.raises(UsageError, match="'season'"):
        total_intervals(prediction, learned, AREA, PARTS, by="season")


def test_budgets_get_their_intervals_and_without_errors_none() -> None:
    geopandas = pytest.importorskip("geopandas")
    shapely = pytest.importorskip("shapely")
    learned = model(std() * Errors(400, 0.5, 2).draw())
    flux = like_an_inversion(field(np.full_like(std(), -0.5), 2014))
    plain = cells(np.where(LON < -95, 5, 12), GRID.lat, GRID.lon)
    fraction = xr.concat(
        [(plain == 5) * 0.8, (plain == 12) * 1.0, (plain == 5) * 0.2], "igbp_class"
    )
    fraction = like_a_map(fraction.assign_coords(igbp_class=[5, 12, 14]))
    biome = like_a_map(plain)
    boxes = geopandas.GeoDataFrame(
        {"name": ["west"]}, geometry=[shapely.box(-140, 10, -95, 80)], crs="EPSG:4326"
    )
    given = {"std": like_a_map(SPREAD), "errors": learned}
    majority = biome_budget(flux, biome, AREA, **given)
    assert tuple(majority.columns) == (*COLUMNS, *INTERVAL_COLUMNS)
    pd.testing.assert_frame_equal(majority[list(COLUMNS)], biome_budget(flux, biome, AREA))
    assert (majority["flux_TgC_lower"] < majority["flux_TgC"]).all()
    assert (majority["flux_TgC"] < majority["flux_TgC_upper"]).all()
    majority = majority.set_index("biome")
    parts = np.stack([plain == n for n in (5, 12)]).astype(float)
    drawn = total_draws(SPREAD, learned, AREA, parts).sum(axis=2).std(axis=0)
    found = majority.loc[["5", "12"], "flux_TgC_std"].tolist()
    assert found == pytest.approx(drawn.tolist(), rel=1e-9)
    shared = fraction_budget(flux, fraction, AREA, **given).set_index("biome")
    region = region_budget(flux, boxes, AREA, **given).set_index("region")
    names = list(INTERVAL_COLUMNS)
    for other, key in ((shared, "all"), (region, "all")):
        assert other.loc[key, names].tolist() == pytest.approx(majority.loc["all", names].tolist())
    assert region.loc["west", names].tolist() == pytest.approx(majority.loc["5", names].tolist())
    whole = majority.loc["5", "flux_TgC_std"]
    assert shared.loc["5", "flux_TgC_std"] == pytest.approx(0.8 * whole)
    assert shared.loc["14", "flux_TgC_std"] == pytest.approx(0.2 * whole)
    with pytest.raises(UsageError, match="standard deviation"):
        biome_budget(flux, biome, AREA, errors=learned)


def test_errors_of_another_grid_are_refused() -> None:
    learned = model(std() * Errors(400, 0.5, 2).draw())
    moved = SPREAD.assign_coords(lon=SPREAD["lon"] + 1)
    for other in (moved, SPREAD.isel(lat=slice(3))):
        with pytest.raises(UsageError, match="errors on the grid of the prediction"):
            total_draws(other, learned, AREA, shares(PARTS))
