"""Errors drawn again: their size, reach and common part against fields of known covariance."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from error_fields import AREA, GRID, LAND, Errors, field, std

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.statistics.blocks import calendar_years, correlation_length, donors, local_size
from narcf_geo.statistics.error_model import ErrorModel


def learned(z: np.ndarray, **options: float) -> ErrorModel:
    """An error model of one year of errors of the known standard deviation."""
    spread = field(std(), 2013)
    return ErrorModel.of(field(std() * z, 2013), spread, AREA, **options)


def all_draws(model: ErrorModel, number: int = 200, cells: np.ndarray = LAND) -> np.ndarray:
    return np.concatenate(list(model.draws(cells, number, 1)), axis=1)


@pytest.mark.parametrize("length", [400.0, 900.0])
def test_the_length_of_known_correlation_is_found(length: float) -> None:
    errors = Errors(length, 0.0, 3)
    years = np.concatenate([field(errors.draw(), 2000 + n).values for n in range(4)])
    assert correlation_length(years, GRID.lat, GRID.lon) == pytest.approx(length, rel=0.25)
    # The control: without neighbours' likeness it is not above the size of a cell.
    white = np.where(LAND, np.random.default_rng(1).standard_normal(years.shape), np.nan)
    assert correlation_length(white, GRID.lat, GRID.lon) < 320
    # What the whole region shares is no likeness of neighbours.
    assert correlation_length(years + 5.0, GRID.lat, GRID.lon) == pytest.approx(
        correlation_length(years, GRID.lat, GRID.lon)
    )


def test_blocks_reach_six_lengths_within_ten_degrees_and_half_the_grid() -> None:
    model = learned(Errors(250, 0.2, 1).draw())
    assert model.block_degrees == pytest.approx(6 * np.rad2deg(model.length_km / 6371), rel=1e-3)
    near = learned(Errors(20, 0.2, 1).draw())
    assert near.block_degrees >= 10
    assert learned(Errors(4000, 0.2, 1).draw()).block_degrees <= 25
    assert learned(Errors(250, 0.2, 1).draw(), block_degrees=7.0).block_degrees == 7
    assert near.freedom > learned(Errors(600, 0.2, 1).draw()).freedom >= 2


def test_draws_have_the_size_and_the_correlations_of_the_errors() -> None:
    errors = Errors(500, 0.6, 7)
    eight = [all_draws(learned(errors.draw()), 50) for _ in range(8)]
    drawn = np.concatenate(eight, axis=1)
    assert drawn.mean() == pytest.approx(0, abs=0.05)
    assert np.sqrt((drawn**2).mean()) == pytest.approx(1, abs=0.1)
    near = (errors.space > 0.5) & (errors.space < 0.7)
    rows = drawn.reshape(-1, drawn.shape[2])
    found = (rows.T @ rows)[near].mean() / len(rows)
    assert found == pytest.approx(errors.space[near].mean(), abs=0.12)
    assert (drawn[:-1] * drawn[1:]).mean() == pytest.approx(0.6, abs=0.12)
    # The control: blocks of a month and of a cell forget both.
    forgetful = all_draws(learned(errors.draw(), block_degrees=1.0, block_months=1))
    assert abs((forgetful[:-1] * forgetful[1:]).mean()) < 0.15


def test_where_errors_are_larger_than_their_std_so_are_the_draws() -> None:
    z = Errors(300, 0.3, 5).draw()
    east = GRID.lon[np.nonzero(LAND)[1]] > -95
    far = np.abs(GRID.lon[np.nonzero(LAND)[1]] + 95) > 12
    z[:, east] *= 4
    drawn = all_draws(learned(z))
    ratio = drawn[:, :, east & far].std() / drawn[:, :, ~east & far].std()
    assert ratio == pytest.approx(4, rel=0.3)


def test_an_error_of_the_whole_region_does_not_average_out() -> None:
    z = Errors(200, 0.2, 9).draw()
    weight = std()[6] * AREA.values[LAND]
    biased = all_draws(learned(z + 0.8))[6] @ weight / weight.sum()
    assert biased.std() == pytest.approx(0.8, rel=0.3)
    fair = all_draws(learned(z))[6] @ weight / weight.sum()
    assert fair.std() < 0.3
    assert np.abs(learned(z + 0.8).common.values).min() > 0.4
    assert np.abs(learned(z).common.values).mean() < 0.1


def test_saved_and_read_it_draws_the_same(tmp_path: Path) -> None:
    model = learned(Errors(300, 0.3, 2).draw() + 0.5, block_months=3)
    assert ErrorModel.load(tmp_path) is None
    model.save(tmp_path)
    again = ErrorModel.load(tmp_path)
    assert again is not None
    assert (again.block_degrees, again.block_months) == (model.block_degrees, 3)
    assert all_draws(again, 20) == pytest.approx(all_draws(model, 20), abs=1e-4)
    assert (all_draws(again, 20) == all_draws(again, 20)).all()
    assert next(again.draws(LAND, 20, 2)) != pytest.approx(next(again.draws(LAND, 20, 1)))


def test_few_errors_still_make_whole_draws() -> None:
    # Half a year, in the west alone; asked for everywhere.
    spread = field(std(), 2013)
    known = (spread["time"].dt.month > 6) & (spread["lon"] < -100)
    target = field(std() * Errors(300, 0.3, 2).draw(), 2013).where(known)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = ErrorModel.of(target, spread, AREA)
        drawn = all_draws(model, 60)
    assert np.isfinite(drawn).all()
    assert 0.7 < drawn[:6].std() < 1.4
    lone = field(std(), 2013)
    lone = lone.where((lone["lat"] == lone["lat"][8]) & (lone["lon"] == lone["lon"][12]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = all_draws(ErrorModel.of(lone, spread, AREA), 60)
        perfect = ErrorModel.of(0 * spread, spread, AREA)
    assert np.isfinite(drawn).all()
    assert not all_draws(perfect, 20).any()


def test_nothing_to_learn_from_is_said() -> None:
    spread = field(std(), 2013)
    with pytest.raises(NarcfError, match="found none"):
        ErrorModel.of(spread * np.nan, spread, AREA)
    with pytest.raises(NarcfError, match="positive std"):
        ErrorModel.of(spread, 0 * spread, AREA)
    with pytest.raises(UsageError, match="5 months"):
        learned(std(), block_months=5)
    with pytest.raises(UsageError, match="positive edge"):
        learned(std(), block_degrees=-1.0)


def test_donors_by_trying_every_shift() -> None:
    rng = np.random.default_rng(4)
    valid = rng.random((7, 9)) < 0.5
    row, column = np.array([2, 2, 3, 4]), np.array([5, 6, 5, 7])
    counts = {}
    for dy in range(-8, 8):
        for dx in range(-10, 10):
            i, j = row + dy, column + dx
            inside = (i >= 0) & (i < 7) & (j >= 0) & (j < 9)
            counts[dy, dx] = int(valid[i[inside], j[inside]].sum())
    wanted = {shift for shift, count in counts.items() if count >= 3}
    assert wanted
    assert {tuple(s) for s in donors(valid.shape, row, column, valid)} == wanted
    sparse = np.zeros_like(valid)
    sparse[6, 8] = True
    assert len(donors(valid.shape, row, column, sparse)) == 4


def test_gaps_are_filled_from_the_nearest() -> None:
    z = np.full((3, 1, 4), np.nan)
    z[0, 0, :2] = [1, 2]
    z[1, 0, 3] = 5
    z[2, 0, :] = 7
    years = calendar_years(z, np.array([2013, 2013, 2014]), np.array([1, 6, 1]))
    assert years.shape == (2, 12, 1, 4)
    assert years[0, 0, 0].tolist() == [1, 2, 2, 2]
    assert years[0, 5, 0].tolist() == years[1, 5, 0].tolist() == [5, 5, 5, 5]
    assert years[1, 11, 0].tolist() == [7, 7, 7, 7]


def test_size_of_even_errors_is_theirs_everywhere() -> None:
    z = np.full((12, 6, 8), 3.0)
    z[:, :, 4:] = np.nan
    assert local_size(z, np.arange(1, 13), 1.0) == pytest.approx(np.full((12, 6, 8), 3.0))


def test_another_order_of_dimensions_is_the_same() -> None:
    spread, target = field(std(), 2013), field(std() * Errors(300, 0.3, 2).draw(), 2013)
    one = ErrorModel.of(target, spread, AREA)
    other = ErrorModel.of(target.T, spread.transpose("lon", "time", "lat"), AREA)
    xr.testing.assert_allclose(one.standardised, other.standardised)
    xr.testing.assert_allclose(one.common, other.common)
