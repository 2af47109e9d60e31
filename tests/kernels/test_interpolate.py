"""Bilinear and nearest weights against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from narcf_geo.kernels.interpolate import (
    bilinear_weights,
    inverse_distance_weights,
    nearest_weights,
    points,
)


def curvilinear(ny: int = 9, nx: int = 14) -> tuple[np.ndarray, np.ndarray]:
    """Skewed and stretched centres around 50 N."""
    i, j = np.meshgrid(np.arange(nx), np.arange(ny))
    return -100 + 2.0 * i + 0.5 * j + 0.02 * i * j, 40 + 1.5 * j - 0.2 * i + 0.01 * i**2


def corners_used(weights: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    j, i = np.unravel_index(np.flatnonzero(weights), shape)
    return j, i


def test_bilinear_weights_are_products_that_meet_the_point() -> None:
    lon, lat = curvilinear()
    rng = np.random.default_rng(0)
    source = points(lon, lat)
    target = points(rng.uniform(-104, -70, 80), rng.uniform(38, 54, 80))
    weights = bilinear_weights(source, lon.shape, target)
    inside = np.diff(weights.indptr) > 0
    assert 30 < inside.sum() < 60
    seen = weights @ source
    seen[inside] /= np.linalg.norm(seen[inside], axis=1, keepdims=True)
    assert_allclose(seen[inside], target[inside], rtol=0, atol=1e-14)
    assert_allclose(weights.sum(axis=1)[inside], 1.0, rtol=0, atol=1e-14)
    for row in weights.toarray()[inside]:
        j, i = corners_used(row, lon.shape)
        square = row.reshape(lon.shape)[j.min() : j.max() + 1, i.min() : i.max() + 1]
        assert square.shape == (2, 2)
        assert (square > 0).all()
        assert square[0, 0] * square[1, 1] == pytest.approx(square[0, 1] * square[1, 0], rel=1e-9)


def test_bilinear_on_a_small_square_is_the_textbook_formula() -> None:
    lon, lat = np.meshgrid([0.0, 1e-3, 2e-3], [0.0, 1e-3])
    weights = bilinear_weights(points(lon, lat), lon.shape, points([1.25e-3], [0.4e-3]))
    assert_allclose(
        weights.toarray()[0], [0, 0.75 * 0.6, 0.25 * 0.6, 0, 0.75 * 0.4, 0.25 * 0.4], atol=1e-9
    )


def test_a_point_on_a_node_takes_that_node() -> None:
    lon, lat = curvilinear()
    source = points(lon, lat)
    weights = bilinear_weights(source, lon.shape, source)
    assert_allclose(weights.toarray(), np.eye(len(source)), rtol=0, atol=1e-12)


def test_bilinear_leaves_out_cells_with_a_masked_point() -> None:
    lon, lat = np.meshgrid(np.arange(0.0, 50, 10), np.arange(0.0, 40, 10))
    mask = np.ones(lon.shape)
    mask[1, 2] = 0
    middles = points(*np.meshgrid(np.arange(5.0, 45, 10), np.arange(5.0, 35, 10)))
    keep = np.ones((3, 4))
    keep[2, 0] = 0
    weights = bilinear_weights(
        points(lon, lat), lon.shape, middles, source_mask=mask, target_mask=keep
    )
    mapped = (np.diff(weights.indptr) > 0).reshape(3, 4)
    expected = np.ones((3, 4), bool)
    expected[:2, 1:3] = False
    expected[2, 0] = False
    assert_array_equal(mapped, expected)


def test_points_outside_are_unmapped_unless_the_grid_is_periodic() -> None:
    lon, lat = np.meshgrid(np.arange(0.0, 360, 30), np.arange(-75.0, 90, 30))
    source = points(lon, lat)
    target = points([345.0, 15.0, 40.0, 0.0], [20.0, 20.0, 83.0, -90.0])
    flat = bilinear_weights(source, lon.shape, target)
    assert_array_equal(np.diff(flat.indptr) > 0, [False, True, False, False])
    closed = bilinear_weights(source, lon.shape, target, periodic=True).toarray()
    assert_allclose(closed.sum(axis=1), 1.0, atol=1e-14)
    j, i = corners_used(closed[0], lon.shape)
    assert_array_equal(np.unique(i), [0, 11])
    j, _ = corners_used(closed[2], lon.shape)
    assert set(j) == {5}
    assert_allclose(closed[3].reshape(lon.shape)[0], 1 / 12, atol=1e-15)


def test_an_artificial_pole_is_the_mean_of_the_points_in_use() -> None:
    lon, lat = np.meshgrid(np.arange(0.0, 360, 30), [-70.0, 60.0, 80.0])
    mask = np.ones(lon.shape)
    mask[2, 3:] = 0
    weights = bilinear_weights(
        points(lon, lat), lon.shape, points([45.0], [89.99]), periodic=True, source_mask=mask
    ).toarray()[0]
    assert weights.sum() == pytest.approx(1.0)
    assert_array_equal(np.flatnonzero(weights), [24, 25, 26])
    assert weights[24] == pytest.approx(1 / 3, abs=2e-3)


def test_rows_of_nodes_on_the_pole() -> None:
    lon, lat = np.meshgrid(np.arange(0.0, 360, 40), np.linspace(-90, 90, 13))
    target = points([10.0, 200.0, 77.0], [90.0, 84.0, -89.0])
    weights = bilinear_weights(points(lon, lat), lon.shape, target, periodic=True)
    assert_allclose(weights.sum(axis=1), 1.0, atol=1e-13)
    assert weights.data.min() > -1e-12


def brute_force(of: np.ndarray, among: np.ndarray) -> np.ndarray:
    return ((of[:, None] - among[None]) ** 2).sum(axis=2).argmin(axis=1)


@pytest.mark.parametrize("to_source", [False, True])
def test_nearest_is_the_nearest(to_source: bool) -> None:
    rng = np.random.default_rng(1)
    source = points(rng.uniform(0, 360, 70), rng.uniform(-90, 90, 70))
    target = points(rng.uniform(-180, 180, 50), rng.uniform(-90, 90, 50))
    keep_source, keep_target = rng.random(70) > 0.3, rng.random(50) > 0.3
    weights = nearest_weights(
        source, target, to_source=to_source, source_mask=keep_source, target_mask=keep_target
    ).toarray()
    columns, rows = np.flatnonzero(keep_source), np.flatnonzero(keep_target)
    expected = np.zeros((50, 70))
    if to_source:
        expected[rows[brute_force(source[columns], target[rows])], columns] = 1
    else:
        expected[rows, columns[brute_force(target[rows], source[columns])]] = 1
    assert_array_equal(weights, expected)


def test_of_equally_near_points_the_first_is_taken() -> None:
    source = points(np.arange(0.0, 360, 10), np.full(36, 90.0))
    source[:] = source[0]
    target = points([0.0, 33.0], [80.0, 90.0])
    assert_array_equal(nearest_weights(source, target).indices, [0, 0])
    pair = points([10.0, -10.0, 10.0], [0.0, 0.0, 0.0])
    assert_array_equal(nearest_weights(pair, points([0.0], [0.0])).indices, [0])


def test_inverse_distance_weights() -> None:
    source = points([0.0, 1.0, 3.0, 120.0], [0.0, 0.0, 0.0, 0.0])
    target = points([0.0, 2.0], [0.0, 0.0])
    weights = inverse_distance_weights(source, target, neighbours=3, exponent=1).toarray()
    assert_array_equal(weights[0], [1, 0, 0, 0])
    assert_allclose(weights[1], [0.2, 0.4, 0.4, 0], atol=1e-4)
