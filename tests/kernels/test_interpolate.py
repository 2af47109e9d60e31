"""Bilinear and nearest weights against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from narcf_geo.kernels.interpolate import (
    _local_coordinates,
    bilinear_weights,
    inverse_distance_weights,
    nearest_weights,
    points,
    vector_weights,
)
from narcf_geo.kernels.polygons import unit_vectors


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


def test_points_are_unit_vectors() -> None:
    lon, lat = np.array([-170.0, 0.0, 20.0, 95.0, 300.0]), np.array([-90.0, -33.0, 0.0, 48.0, 71.0])
    assert_allclose(points(lon, lat), unit_vectors(lon, lat), rtol=0, atol=1e-15)


@pytest.mark.parametrize("place", [(0.0, 0.0), (95.0, 3.0), (-100.0, 48.0), (20.0, 88.0)])
def test_nodes_of_tiny_cells_are_found(place: tuple[float, float]) -> None:
    """Cells of six metres, hardly wider than the margin of the search."""
    i, j = np.meshgrid(np.arange(4.0), np.arange(5.0))
    lon, lat = place[0] + 6e-5 * (i + 0.2 * j), place[1] + 6e-5 * (j - 0.3 * i)
    source = points(lon, lat)
    weights = bilinear_weights(source, lon.shape, source)
    assert_array_equal(np.diff(weights.indptr) > 0, True)
    assert_allclose(weights @ source, source, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("apart", "mapped"), [(2e-8, True), (4e-8, True), (6e-8, False)])
def test_points_that_just_miss_a_cell(apart: float, mapped: bool) -> None:
    """Distances in cells of one degree: half a ten millionth is the limit, on every side."""
    # Of the four edges, three are great circles through points of equal coordinates.
    for south in (-1.0, 0.0):
        lon, lat = np.meshgrid([10.0, 11.0], [south, south + 1])
        near = points(
            [10 - apart, 11 + apart, 10.4],
            [south + 0.5, south + 0.5, apart * (-1 if south == 0 else 1)],
        )
        weights = bilinear_weights(points(lon, lat), lon.shape, near)
        assert_array_equal(np.diff(weights.indptr) > 0, mapped)


def test_caps_around_artificial_poles_are_triangles() -> None:
    lon, lat = np.meshgrid(np.arange(0.0, 360, 24), [-78.0, -40.0, 20.0, 70.0])
    source = points(lon, lat)
    target = points([31.0, 170.0, 352.0, 100.0], [-85.0, -80.0, 73.0, 88.0])
    found = bilinear_weights(source, lon.shape, target, periodic=True).toarray()
    for row, at in zip(found, target, strict=True):
        line = np.arange(15) + (0 if at[2] < 0 else 45)
        pole = np.array([0, 0, np.sign(at[2])])
        west = int(np.rad2deg(np.arctan2(at[1], at[0])) % 360 // 24)
        pair = line[[west, (west + 1) % 15]]
        share = np.linalg.solve(np.array([*source[pair], pole]).T, at)
        share /= share.sum()
        expected = np.zeros(60)
        expected[line] = share[2] / 15
        expected[pair] += share[:2]
        assert_allclose(row, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("n", [3, 4])
def test_local_coordinates_of_a_point_made_from_them(n: int) -> None:
    corners = points([10.0, 14.0, 15.0, 9.0], [40.0, 41.0, 45.0, 44.0])
    local = np.empty(2)
    for p, q in ((0.2, 0.7), (0.5, 0.5), (-0.1, 0.3), (1.2, 0.9)):
        if n == 4:
            share = [(1 - p) * (1 - q), p * (1 - q), p * q, (1 - p) * q]
        else:
            share = [1 - p - q, p, q, 0]
        at = np.array(share) @ corners
        at /= np.linalg.norm(at)
        assert _local_coordinates(corners, n, at, local)
        assert_allclose(local, [p, q], rtol=0, atol=1e-12)
        # Through the centre of the sphere the same ray meets the cell from behind.
        assert not _local_coordinates(corners, n, -at, local)


def test_nearest_of_many_copies_is_the_first() -> None:
    source = points(np.r_[[200.0, 210.0], np.full(60, 30.0)], np.r_[[5.0, 6.0], np.full(60, 40.0)])
    source = source[np.r_[0, 2:50, 1, 50:62]]
    found = nearest_weights(source, points([31.0, 211.0], [42.0, 6.0]))
    assert_array_equal(found.indices, [1, 49])
    assert_array_equal(nearest_weights(source[:0], source).shape, (62, 0))
    assert_array_equal(nearest_weights(source, source[:0]).shape, (0, 62))


def test_inverse_distance_weights_of_scattered_points() -> None:
    rng = np.random.default_rng(8)
    source = points(rng.uniform(0, 60, 30), rng.uniform(-30, 30, 30))
    target = points(rng.uniform(0, 60, 12), rng.uniform(-30, 30, 12))
    source[4] = np.nan
    keep, wanted = rng.random(30) > 0.2, np.arange(12) != 7
    for options, count, power in (({}, 8, 2.0), ({"neighbours": 50, "exponent": 3.0}, 50, 3.0)):
        found = inverse_distance_weights(
            source, target, source_mask=keep, target_mask=wanted, **options
        )
        distance = np.linalg.norm(target[:, None] - source[None], axis=2)
        distance[:, ~keep | np.isnan(source[:, 0])] = np.inf
        far = np.argsort(np.argsort(distance, axis=1), axis=1) >= count
        expected = np.where(far | np.isinf(distance), 0, distance**-power)
        expected /= expected.sum(axis=1, keepdims=True)
        expected[7] = 0
        assert_allclose(found.toarray(), expected, rtol=1e-10)


def test_vectors_are_interpolated_in_space() -> None:
    """A vector to the east and to the north, as an arrow in space, found by finite differences."""
    rng = np.random.default_rng(9)
    source = rng.uniform(0, 360, 7), rng.uniform(-80, 80, 7)
    target = rng.uniform(0, 360, 4), rng.uniform(-80, 80, 4)
    weights = rng.random((4, 7))

    def axes(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        h = 1e-4
        east = unit_vectors(lon + h, lat) - unit_vectors(lon - h, lat)
        north = unit_vectors(lon, lat + h) - unit_vectors(lon, lat - h)
        return np.stack([a / np.linalg.norm(a, axis=1, keepdims=True) for a in (east, north)])

    wind = rng.normal(size=(2, 7))
    arrows = np.einsum("cn,cnx->nx", wind, axes(*source))
    expected = np.einsum("tx,ctx->ct", weights @ arrows, axes(*target))
    found = vector_weights(sparse.csr_array(weights), source, target)
    assert found.shape == (8, 14)
    assert_allclose((found @ wind.ravel()).reshape(2, 4), expected, rtol=0, atol=1e-9)
