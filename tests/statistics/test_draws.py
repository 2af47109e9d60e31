"""Draws of errors, each found again in the errors that they come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.core.errors import UsageError
from narcf_geo.statistics.blocks import correlation_length, local_size
from narcf_geo.statistics.error_model import ErrorModel

LAT, LON = np.arange(36.0, 54.0, 2.0), np.arange(-110.0, -77.0, 3.0)


def on_grid(values: np.ndarray, start: str = "2012-01") -> xr.DataArray:
    """Months of values on the grid."""
    time = pd.date_range(start, periods=len(values), freq="MS")
    return xr.DataArray(values, {"time": time, "lat": LAT, "lon": LON}, ("time", "lat", "lon"))


def by_hand(months: int = 12, degrees: float = 90.0, common: float = 0.0) -> ErrorModel:
    """Two years of errors that all differ, without a gap, of known sizes."""
    rng = np.random.default_rng(1)
    size = rng.uniform(0.5, 2, (12, LAT.size, LON.size))
    calendar = {"month": np.arange(1, 13), "lat": LAT, "lon": LON}
    return ErrorModel(
        on_grid(rng.standard_normal((24, LAT.size, LON.size))),
        xr.DataArray(size, calendar, ("month", "lat", "lon")),
        xr.DataArray(np.full((2, 12), common), dims=("year", "month")),
        length_km=300.0,
        block_degrees=degrees,
        block_months=months,
        independent=2,
    )


def wanted() -> np.ndarray:
    cells = np.zeros((LAT.size, LON.size), bool)
    cells[3:6, 4:8] = True
    cells[4, 5] = False
    return cells


@pytest.mark.parametrize("months", [12, 4, 1])
def test_a_block_is_a_piece_of_the_errors_with_one_sign(months: int) -> None:
    model, cells = by_hand(months), wanted()
    row, column = np.nonzero(cells)
    errors = model.standardised.values.reshape(2, 12, LAT.size, LON.size)
    pieces = {}
    for year in range(2):
        for dy in range(-row.min(), LAT.size - row.max()):
            for dx in range(-column.min(), LON.size - column.max()):
                for sign in (-1.0, 1.0):
                    piece = sign * errors[year][:, row + dy, column + dx]
                    pieces[year, dy, dx, sign] = piece
    drawn = np.concatenate(list(model.draws(cells, 120, 3)), axis=1)
    assert drawn.shape == (12, 120, 11)
    drawn = drawn / model.scale.values[:, row, column][:, None]
    seen = set()
    for n in range(40):
        for start in range(0, 12, months):
            part = slice(start, start + months)
            whole = [k for k, p in pieces.items() if np.allclose(p[part], drawn[part, n])]
            seen.update((start, *k) for k in whole)
            # A block at the rim may reach over it: then only some of its cells are found.
            near = [np.isclose(p[part], drawn[part, n]).mean() for p in pieces.values()]
            assert len(whole) == 1 or 0.3 < max(near) < 1
    # Of each kind some, and months of the year stay in their place.
    assert {k[1] for k in seen} == {0, 1}
    assert {k[4] for k in seen} == {-1.0, 1.0}
    assert len({k[2] for k in seen}) > 3
    assert len({k[3] for k in seen}) > 3
    assert {k[0] for k in seen} == set(range(0, 12, months))


def test_blocks_are_boxes_of_a_net_that_is_laid_anew() -> None:
    model, cells = by_hand(degrees=7.5), np.ones((LAT.size, LON.size), bool)
    cells[5, 5] = False
    rng = np.random.default_rng(1)
    row, column = np.nonzero(cells)
    seams: tuple[set[int], set[int]] = (set(), set())
    for _ in range(60):
        block, shifts = model._blocks(cells, cells, rng)
        assert sorted(set(block.tolist())) == list(range(len(shifts)))
        corners = []
        for b, shift in enumerate(shifts):
            i, j = row[block == b], column[block == b]
            corners.append((int(i.min()), int(j.min())))
            # Four rows of 2 degrees, three columns of 3 times cos(44), fewer at the rim.
            assert i.max() - i.min() + 1 == 4 or i.min() == 0 or i.max() == 8
            assert j.max() - j.min() + 1 == 3 or j.min() == 0 or j.max() == 10
            assert np.ptp(i) < 4
            assert np.ptp(j) < 3
            # No other block has cells in the same box.
            box = (row >= i.min()) & (row <= i.max()) & (column >= j.min()) & (column <= j.max())
            assert set(block[box].tolist()) == {b}
            moved = {(int(y), int(x)) for y, x in shift}
            assert (0, 0) in moved
        seams[0].update(i % 4 for i, _ in corners if i > 1)
        seams[1].update(j % 3 for _, j in corners if j > 1)
    assert seams == ({0, 1, 2, 3}, {0, 1, 2})


def test_the_edges_of_a_block_are_of_the_same_length_in_km() -> None:
    model = by_hand(degrees=12.0)
    known = model.standardised.where(model.standardised["lat"] > 51)
    # At 52 degrees a step of 3 degrees of longitude is 1.847 of latitude.
    assert replace(model, standardised=known)._edge() == (6, 6)
    south = model.standardised.where(model.standardised["lat"] < 37)
    # At 36 degrees it is 2.427.
    assert replace(model, standardised=south)._edge() == (6, 5)
    uneven = model.standardised.where(
        (model.standardised["lat"] < 37) | (model.standardised["lon"] < -109)
    )
    # Eleven cells at 36 degrees and one at each other: 40 degrees in the mean, 2.30.
    assert replace(model, standardised=uneven, block_degrees=19.0)._edge() == (10, 8)
    assert replace(model, block_degrees=0.1)._edge() == (1, 1)


def test_freedom_counts_the_blocks_that_are_known() -> None:
    model = by_hand(months=3, degrees=12.0)
    south = model.standardised.where(model.standardised["lat"] < 37)
    south[:5] = np.nan
    known = replace(model, standardised=south)
    assert known.freedom == pytest.approx(19 * 11 / (6 * 5 * 3))
    assert replace(known, block_months=12).freedom == 2.0
    # Of two years that resemble one another half as much is known.
    alike = replace(known, block_months=1, independent=1)
    assert alike.freedom == pytest.approx(19 * 11 / (6 * 5) / 2)


def test_what_the_region_shares_is_drawn_for_all_cells_alike() -> None:
    level = np.stack([np.arange(1.0, 13.0), -3 * np.arange(1.0, 13.0) ** 2])
    plain, cells = by_hand(), wanted()
    model = replace(plain, common=plain.common.copy(data=level))
    with_it = next(model.draws(cells, 50, 4))
    # The same seed draws the same blocks, since the shared part is drawn after them.
    rest = with_it - next(plain.draws(cells, 50, 4))
    assert rest == pytest.approx(rest[:, :, :1].repeat(11, axis=2), abs=1e-9)
    factors = []
    for n in range(50):
        ratio = rest[:, n, 0] / level
        kind = [np.ptp(r) < 1e-9 * np.abs(r).max() for r in ratio]
        assert sum(kind) == 1
        factors.append((kind.index(True), ratio[kind.index(True)][0]))
    assert {kind for kind, _ in factors} == {0, 1}
    assert np.std([f for _, f in factors]) == pytest.approx(1, abs=0.3)
    assert np.mean([f for _, f in factors]) == pytest.approx(0, abs=0.4)


@pytest.fixture
def learned() -> tuple[ErrorModel, xr.DataArray, xr.DataArray, xr.DataArray, xr.DataArray]:
    """A model of 30 months with gaps and a bias, and what it was learned from."""
    rng = np.random.default_rng(7)
    std = on_grid(rng.uniform(0.2, 1.5, (30, LAT.size, LON.size)), "2011-05")
    estimate = on_grid(rng.standard_normal(std.shape), "2011-05")
    target = estimate + std * on_grid(rng.standard_normal(std.shape) * 1.5 + 0.4, "2011-05")
    target = target.where(on_grid(rng.random(std.shape), "2011-05") < 0.7)
    std[3, 2, 4] = 0.0
    target[11] = np.nan
    area = xr.DataArray(
        np.outer(np.cos(np.deg2rad(LAT)), np.linspace(1e9, 5e9, LON.size)),
        {"lat": LAT, "lon": LON},
        ("lat", "lon"),
    )
    return ErrorModel.of(target - estimate, std, area), target, estimate, std, area


def test_sizes_are_taken_off_the_errors(learned: tuple) -> None:
    model, target, estimate, std, _ = learned
    z = ((target - estimate) / std.where(std > 0)).values
    z = z[np.isfinite(z).any(axis=(1, 2))]
    month = (np.r_[0:11, 12:30] + 4) % 12 + 1
    assert len(z) == 29
    length = correlation_length(z, LAT, LON)
    assert model.length_km == pytest.approx(length)
    # Half the grid is 8 degrees high, 15 wide.
    assert model.block_degrees == 8.0
    size = local_size(z, month, 0.25 * 8 / 2)
    np.testing.assert_allclose(model.scale, size)
    np.testing.assert_allclose(model.standardised, z / size[month - 1])
    assert model.scale["month"].values.tolist() == list(range(1, 13))


def test_the_shared_part_is_what_blocks_do_not_explain(learned: tuple) -> None:
    model, target, estimate, std, area = learned
    z = ((target - estimate) / std.where(std > 0)).values
    mass = np.where(np.isfinite(z), std.values * area.values, 0)
    alone = replace(model, common=xr.DataArray(np.zeros((1, 12)), dims=("year", "month")))
    cells = np.isfinite(z).any(axis=0)
    drawn = np.concatenate(list(alone.draws(cells, 200, 0)), axis=1)
    expected = np.zeros((3, 12))
    for t in range(30):
        if t == 11:
            continue
        year, month = divmod(t + 4, 12)
        weight = mass[t][cells] / mass[t].sum()
        mean = np.nansum(z[t][cells] * weight)
        beyond = mean**2 - (drawn[month] @ weight).var()
        expected[year, month] = np.sign(mean) * np.sqrt(max(beyond, 0))
    assert (expected != 0).sum() > 20
    np.testing.assert_allclose(model.common, expected, rtol=1e-6, atol=1e-9)
    assert model.common["year"].values.tolist() == [2011, 2012, 2013]
    assert model.common["month"].values.tolist() == list(range(1, 13))


def test_the_edge_of_a_block_that_is_not_given() -> None:
    lat, lon = np.arange(0.0, 61.0, 4.0), np.arange(-140.0, -59.0, 4.0)
    time = pd.date_range("2012-01", periods=6, freq="MS")
    rng = np.random.default_rng(2)
    coordinates = {"time": time, "lat": lat, "lon": lon}
    one = xr.DataArray(np.ones((6, 16, 21)), coordinates, ("time", "lat", "lon"))
    waves = np.cos(lat[:, None] / 9) * np.sin(lon / 11) + rng.normal(0, 0.01, (6, 16, 21))
    rough = rng.standard_normal((6, 16, 21))
    for errors, expected in ((waves, 30.0), (rough, None)):
        model = ErrorModel.of(one * errors, one, one[0].drop_vars("time"))
        wish = 6 * np.rad2deg(model.length_km / 6371.0072)
        assert model.block_degrees == pytest.approx(min(max(wish, 10), 30))
        assert expected is None or model.block_degrees == expected
    few = ErrorModel.of(one[:, :4], one[:, :4], one[0, :4].drop_vars("time"))
    # Half of 12 degrees of latitude.
    assert few.block_degrees == 6.0


@pytest.mark.parametrize("months", [1, 2, 3, 4, 6, 12])
def test_blocks_that_divide_the_year(months: int, learned: tuple) -> None:
    _, target, estimate, *fields = learned
    error = target - estimate
    assert (
        ErrorModel.of(error, *fields, block_months=months, block_degrees=30.0).block_months
        == months
    )


@pytest.mark.parametrize("months", [-12, 0, 5, 7, 24])
def test_blocks_that_do_not(months: int, learned: tuple) -> None:
    _, target, estimate, *fields = learned
    with pytest.raises(UsageError, match="12 months"):
        ErrorModel.of(target - estimate, *fields, block_months=months)


def test_the_file_says_what_it_holds(learned: tuple, tmp_path: Path) -> None:
    model, *_ = learned
    ds = xr.load_dataset(model.save(tmp_path))
    assert ds["standardised_error"].dtype == np.float32
    again = ErrorModel.load(tmp_path)
    assert again is not None
    assert again.length_km == model.length_km
    np.testing.assert_allclose(again.scale, model.scale, rtol=1e-6)
    np.testing.assert_allclose(again.standardised, model.standardised, rtol=1e-6)
    np.testing.assert_array_equal(again.common, model.common)
