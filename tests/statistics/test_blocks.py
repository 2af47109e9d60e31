"""Errors on a grid against the same quantities counted pair by pair, month by month."""

from __future__ import annotations

from itertools import combinations
from math import asin, cos, e, exp, radians, sin, sqrt

import numpy as np
import pytest

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.statistics.blocks import (
    calendar_years,
    correlation_length,
    local_size,
    step_of,
)

# Uneven, so that no distance falls on the edge of a class.
LAT = np.array([31.0, 33.1, 35.0, 37.2, 39.3, 41.2, 43.1, 45.0])
LON = np.array([-112.0, -109.0, -106.0, -103.0, -100.0, -97.0, -94.0, -91.0, -88.0])
RADIUS_KM = 6371.0072


def kilometres(a: tuple[int, int], b: tuple[int, int]) -> float:
    """The haversine distance of two cells."""
    y0, y1, x0, x1 = (radians(v) for v in (LAT[a[0]], LAT[b[0]], LON[a[1]], LON[b[1]]))
    h = sin((y1 - y0) / 2) ** 2 + cos(y0) * cos(y1) * sin((x1 - x0) / 2) ** 2
    return 2 * RADIUS_KM * asin(sqrt(h))


CELLS = [(i, j) for i in range(LAT.size) for j in range(LON.size)]
DISTANCE = {pair: kilometres(*pair) for pair in combinations(CELLS, 2)}


def length_by_pairs(z: np.ndarray) -> tuple[float, bool]:
    """The length, and whether neighbours are alike, from one pair after the other."""
    rest = {}
    for t, plane in enumerate(z):
        known = [c for c in CELLS if np.isfinite(plane[c])]
        for c in known:
            rest[t, c] = plane[c] - sum(plane[k] for k in known) / len(known)
    classes: dict[int, list[tuple[float, float]]] = {}
    for (a, b), distance in DISTANCE.items():
        for t in range(len(z)):
            if (t, a) in rest and (t, b) in rest:
                number = int(distance / (1.5 * radians((45 - 31) / 7) * RADIUS_KM))
                classes.setdefault(number, []).append((distance, rest[t, a] * rest[t, b]))
    table = [np.array(classes[number]) for number in sorted(classes)]
    centre = [float(members[:, 0].mean()) for members in table]
    far = centre[-1] / 2
    distant = np.concatenate([m for m, c in zip(table, centre, strict=True) if c >= far])
    curve = [float(m[:, 1].mean() - distant[:, 1].mean()) for m in table]
    if curve[0] <= 0.05 * np.mean([v**2 for v in rest.values()]):
        return centre[0], False
    k = next(k for k, value in enumerate(curve) if value < curve[0] / e)
    line = np.interp(curve[0] / e, [curve[k], curve[k - 1]], [centre[k], centre[k - 1]])
    return float(min(line - centre[0], far)), True


def rough_and_smooth(share: float, seed: int) -> np.ndarray:
    """Three months of errors, `share` of them smooth; gaps, a sea, and a month of one cell."""
    rng = np.random.default_rng(seed)
    distance = np.zeros((len(CELLS), len(CELLS)))
    for (a, b), value in DISTANCE.items():
        m, n = CELLS.index(a), CELLS.index(b)
        distance[m, n] = distance[n, m] = value
    factor = np.linalg.cholesky(np.exp(-distance / 500) + 1e-9 * np.eye(len(CELLS)))
    smooth = (factor @ rng.standard_normal((len(CELLS), 3))).T
    rough = rng.standard_normal(smooth.shape)
    z = (share * smooth + (1 - share) * rough).reshape(3, LAT.size, LON.size)
    z[rng.random(z.shape) < 0.2] = np.nan
    z[:, :2, :3] = np.nan
    lone = np.full((1, *z.shape[1:]), np.nan)
    lone[0, 4, 5] = 1.5
    return np.concatenate([z + 0.7, lone])


def test_the_length_is_that_of_a_count_of_pairs() -> None:
    alike = []
    for seed, share in enumerate(np.linspace(0, 1, 31)):
        z = rough_and_smooth(float(share), seed)
        expected, like = length_by_pairs(z)
        alike.append(like)
        assert correlation_length(z, LAT, LON) == pytest.approx(expected, rel=1e-6), share
    # Both kinds are among them.
    assert 3 < sum(alike) < 31


def test_the_likeness_that_counts_is_a_twentieth() -> None:
    smooth, rough = rough_and_smooth(1.0, 1), rough_and_smooth(0.0, 2)
    rough[np.isnan(smooth)] = np.nan
    found = [
        correlation_length(share * np.nan_to_num(smooth) + rough, LAT, LON)
        == pytest.approx(length_by_pairs(share * np.nan_to_num(smooth) + rough)[0], rel=1e-6)
        for share in np.linspace(0, 0.6, 41)
    ]
    assert all(found)


def test_three_cells_are_enough_and_two_are_not() -> None:
    z = np.full((6, LAT.size, LON.size), np.nan)
    errors = np.random.default_rng(2).standard_normal((6, 3))
    for number, cell in enumerate([(2, 2), (2, 3), (6, 8)]):
        z[:, cell[0], cell[1]] = errors[:, number]
    expected, _ = length_by_pairs(z)
    assert correlation_length(z, LAT, LON) == pytest.approx(expected, rel=1e-6)
    assert expected > 100
    z[:, 6, 8] = np.nan
    # That of neighbours: an error model of one cell has a length, too.
    step = np.deg2rad(abs(np.diff(LAT).mean())) * EARTH_RADIUS / 1e3
    assert correlation_length(z, LAT, LON) == pytest.approx(step)


def test_more_cells_than_are_counted_have_nearly_the_same_length() -> None:
    lat, lon = np.arange(25.0, 70.0), np.arange(-130.0, -90.0)
    rng = np.random.default_rng(5)
    coarse = rng.standard_normal((3, 9, 8)).repeat(5, axis=1).repeat(5, axis=2)
    few = coarse.copy()
    few[:, :, 30:] = np.nan
    assert np.isfinite(coarse[0]).sum() > 1500 > np.isfinite(few[0]).sum()
    lengths = [correlation_length(z, lat, lon) for z in (coarse, few)]
    assert lengths[0] == pytest.approx(lengths[1], rel=0.2)


def weights(sigma: float) -> dict[int, float]:
    """A Gaussian of whole steps, cut off at three standard deviations."""
    reach = int(3 * sigma + 0.5)
    raw = {k: exp(-0.5 * (k / sigma) ** 2) for k in range(-reach, reach + 1)}
    return {k: v / sum(raw.values()) for k, v in raw.items()}


def test_the_local_size_is_a_weighted_count() -> None:
    rng = np.random.default_rng(11)
    z = rng.normal(0, 1, (14, 6, 7)) * np.linspace(0.5, 3, 7)
    z[rng.random(z.shape) < 0.3] = np.nan
    month = np.r_[np.arange(11, 13), np.arange(1, 13)]
    width = 1.3
    square, count = np.zeros((12, 6, 7)), np.zeros((12, 6, 7))
    for t, i, j in np.argwhere(np.isfinite(z)):
        for dt, of_time in weights(1.0).items():
            for di, of_row in weights(width).items():
                for dj, of_column in weights(width).items():
                    if 0 <= i + di < 6 and 0 <= j + dj < 7:
                        place = (month[t] - 1 + dt) % 12, i + di, j + dj
                        square[place] += of_time * of_row * of_column * z[t, i, j] ** 2
                        count[place] += of_time * of_row * of_column
    floor = 0.02 * count.max()
    expected = np.sqrt((square + floor * np.nanmean(z**2)) / (count + floor))
    np.testing.assert_allclose(local_size(z, month, width), expected, rtol=1e-9)


def test_no_error_has_the_size_of_one_and_a_mean_size_of_one_is_no_reason() -> None:
    nothing = np.zeros((12, 4, 5))
    assert (local_size(nothing, np.arange(1, 13), 1.0) == 1).all()
    nothing[:, :2, :2] = np.nan
    assert (local_size(nothing, np.arange(1, 13), 1.0) == 1).all()
    some = np.zeros((12, 4, 4))
    some[:, 0] = 2.0
    assert np.mean(some**2) == 1
    found = local_size(some, np.arange(1, 13), 0.5)
    assert found[:, 0].min() > 1.5
    assert found[:, 3].max() < 0.5


def test_a_missing_month_is_that_nearest_in_the_calendar_then_in_years() -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        years = np.sort(rng.choice(np.arange(2007, 2016), 3, replace=False))
        stamps = [(y, m) for y in years for m in range(1, 13) if rng.random() < 0.25]
        if not stamps:
            continue
        z = np.arange(1.0, len(stamps) + 1)[:, None, None]
        year, month = (np.array(v) for v in zip(*stamps, strict=True))
        found = calendar_years(z, year, month)
        present = sorted(set(year.tolist()))
        assert found.shape == (len(present), 12, 1, 1)
        for row, y in enumerate(present):
            for m in range(1, 13):
                away = [(min(abs(k - m), 12 - abs(k - m)), abs(of - y)) for of, k in stamps]
                best = {n + 1.0 for n, a in enumerate(away) if a == min(away)}
                assert found[row, m - 1, 0, 0] in best


def test_a_cell_without_a_value_takes_that_of_the_nearest() -> None:
    rng = np.random.default_rng(4)
    z = rng.random((3, 6, 9))
    z[rng.random(z.shape) < 0.8] = np.nan
    z[1] = np.nan
    found = calendar_years(z, np.array([2012, 2012, 2012]), np.array([1, 2, 3]))
    for t, m in ((0, 0), (2, 2)):
        known = np.argwhere(np.isfinite(z[t]))
        for i, j in np.ndindex(6, 9):
            away = ((known - [i, j]) ** 2).sum(axis=1)
            assert found[0, m, i, j] in z[t][tuple(known[away == away.min()].T)]
    # A month without any value is no month.
    assert (found[0, 1] == found[0, 0]).all() or (found[0, 1] == found[0, 2]).all()


def test_the_step_of_an_axis() -> None:
    assert step_of(np.array([50.0, 47.5, 45.0])) == 2.5
    assert step_of(np.array([1.0, 4.0])) == 3.0
    assert step_of(np.array([7.0])) == 1.0
