"""The rectilinear road: two small matrices, parallels and meridians as edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import rectilinear_grids

from narcf_geo.grid import Grid
from narcf_geo.kernels.conservative import conservative_weights
from narcf_geo.regridding.weights import SeparableWeights, compute_weights


def brute_force(source: Grid, target: Grid) -> np.ndarray:
    """Overlap of boxes one by one, each source box on all turns of the globe."""
    weights = np.zeros((*target.shape, *source.shape))
    for (j, i, k, m), _ in np.ndenumerate(weights):
        south = max(min(target.lat_b[j : j + 2]), min(source.lat_b[k : k + 2]))
        north = min(max(target.lat_b[j : j + 2]), max(source.lat_b[k : k + 2]))
        if south >= north:
            continue
        width = 0.0
        for turn in range(-3, 4):
            west = max(min(target.lon_b[i : i + 2]), min(source.lon_b[m : m + 2]) + 360 * turn)
            east = min(max(target.lon_b[i : i + 2]), max(source.lon_b[m : m + 2]) + 360 * turn)
            width += max(0.0, east - west)
        height = np.sin(np.radians(north)) - np.sin(np.radians(south))
        whole = abs(np.diff(np.sin(np.radians(target.lat_b[j : j + 2])))[0])
        weights[j, i, k, m] = height / whole * width / abs(np.diff(target.lon_b[i : i + 2])[0])
    return weights.reshape(np.prod(target.shape), -1)


def matrix(source: Grid, target: Grid) -> np.ndarray:
    weights = compute_weights(source, target)
    assert isinstance(weights, SeparableWeights)
    return weights.matrix().toarray()


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (Grid.regular(0, -90, 360, 90, 30), Grid.regular(-180, -90, 180, 90, 45)),
        (Grid.regular(-30, -20, 75, 40, 15), Grid.regular(-10, 10, 50, 60, 10)),
        (Grid.regular(150, 40, -150, 60, 4), Grid.regular(-190, 30, -160, 90, 7.5)),
    ],
)
def test_against_brute_force(source: Grid, target: Grid) -> None:
    np.testing.assert_allclose(matrix(source, target), brute_force(source, target), atol=1e-13)


@given(rectilinear_grids(), rectilinear_grids())
@settings(max_examples=15, deadline=None)
def test_against_brute_force_on_uneven_grids(source: Grid, target: Grid) -> None:
    np.testing.assert_allclose(matrix(source, target), brute_force(source, target), atol=1e-9)


@given(rectilinear_grids(whole_globe=True), rectilinear_grids())
@settings(max_examples=25, deadline=None)
def test_rows_sum_to_one_inside_the_globe(source: Grid, target: Grid) -> None:
    np.testing.assert_allclose(matrix(source, target).sum(axis=1), 1, atol=1e-11)


def test_edges_that_are_one_but_for_rounding() -> None:
    """The target begins where the source ends, one unit in the last place apart."""
    for end in (360.0, np.nextafter(360, 0), np.nextafter(360, 400)):
        source = Grid.from_corners([0.0, 75.0, 150.0, 262.0, end], [-90.0, 0, 90])
        edges = [365.0, 363.3333333333333, 361.6666666666667, 360.0]
        target = Grid.from_corners(edges, [0.0, 1, 2])
        np.testing.assert_allclose(matrix(source, target).sum(axis=1), 1, atol=1e-11)
        back = Grid.from_corners(edges[::-1], [0.0, 1, 2])
        np.testing.assert_allclose(matrix(source, back).sum(axis=1), 1, atol=1e-11)


def test_edges_are_parallels_not_great_circles() -> None:
    """At high latitudes ESMF's great circles cut other areas; near the equator they agree."""
    polar = Grid.regular(0, 60, 40, 80, 5), Grid.regular(0, 60, 40, 80, 20)
    assert np.abs(matrix(*polar) - conservative_weights(*polar).toarray()).max() > 1e-3
    fine = Grid.regular(0, 0, 4, 4, 0.5), Grid.regular(0, 0, 4, 4, 1)
    assert np.abs(matrix(*fine) - conservative_weights(*fine).toarray()).max() < 1e-4


def test_the_big_matrix_is_never_built() -> None:
    weights = compute_weights(
        Grid.regular(-180, -90, 180, 90, 0.01), Grid.regular(-180, -90, 180, 90, 1)
    )
    assert isinstance(weights, SeparableWeights)
    assert weights.y.nnz + weights.x.nnz < 60_000
