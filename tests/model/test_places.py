"""Folds of cells by distance, against distances of all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from narcf_geo.model.samples import places
from narcf_geo.model.samples.places import distance_to, knndm


def all_pairs(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Great-circle distances by the law of cosines, km."""
    lam, phi = np.radians(lon), np.radians(lat)
    cosine = np.outer(np.sin(phi), np.sin(phi))
    cosine += np.outer(np.cos(phi), np.cos(phi)) * np.cos(lam[:, None] - lam)
    return 6371.0072 * np.arccos(np.clip(cosine, -1, 1))


@pytest.fixture
def land() -> tuple[np.ndarray, np.ndarray]:
    """A grid of 40 x 30 cells across the date line, high in the north."""
    lon, lat = (a.ravel() for a in np.meshgrid(np.arange(160.0, 200), np.arange(45.0, 75)))
    return np.where(lon > 180, lon - 360, lon), lat


@pytest.fixture
def clustered(land: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Cells within 500 km of five places."""
    centres = np.random.default_rng(2).choice(land[0].size, 5, replace=False)
    return np.flatnonzero((all_pairs(*land)[:, centres] < 500).any(axis=1))


def test_distances_are_those_of_all_pairs(land: tuple[np.ndarray, np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    of, to = rng.choice(1200, 200, replace=False), rng.choice(1200, 90, replace=False)
    pairs = all_pairs(*land)
    np.testing.assert_allclose(distance_to(*land, of, to), pairs[of][:, to].min(axis=1), atol=1e-3)
    second = np.sort(pairs[to][:, to], axis=1)[:, 1]
    np.testing.assert_allclose(distance_to(*land, to, to, nth=2), second, atol=1e-3)
    # Across the date line, and along a parallel that is shorter than on a plane.
    west, east = np.flatnonzero((land[1] == 60) & np.isin(land[0], (179, -179)))
    assert distance_to(*land, np.array([west]), np.array([east]))[0] == pytest.approx(111.2, abs=1)
    assert distance_to(*land, of, to[:0]).tolist() == [np.inf] * 200


def misfit(land: tuple, train: np.ndarray, fold: np.ndarray) -> float:
    """The Wasserstein distance from the definition, from all pairs."""
    pairs = all_pairs(*land)
    aim = pairs[:, train].min(axis=1)
    aim[train] = 0
    count = fold.max() + 1
    between = [
        min(
            pairs[cell, other]
            for other, at in zip(train, fold, strict=True)
            if at not in (own, (own + 1) % count)
        )
        for cell, own in zip(train, fold, strict=True)
    ]
    return wasserstein_distance(between, aim)


def test_clustered_cells_are_left_out_in_groups(
    land: tuple[np.ndarray, np.ndarray], clustered: np.ndarray
) -> None:
    found = knndm(*land, clustered, np.arange(1200), folds=5, seed=3)
    assert found.clusters < clustered.size
    assert set(found.fold) == set(range(5))
    assert np.bincount(found.fold).max() <= clustered.size / 2
    assert found.w == pytest.approx(misfit(land, clustered, found.fold), rel=1e-3)
    # The control: cells dealt at random are far nearer to one another than to what is predicted.
    random = np.random.default_rng(0).permutation(np.arange(clustered.size) % 5)
    assert found.w < 0.5 * misfit(land, clustered, random)


def test_cells_everywhere_are_dealt_at_random(land: tuple[np.ndarray, np.ndarray]) -> None:
    found = knndm(*land, np.arange(1200), np.arange(1200), folds=10, seed=3)
    assert found.clusters == 1200
    assert np.bincount(found.fold).tolist() == [120] * 10
    other = knndm(*land, np.arange(1200), np.arange(1200), folds=10, seed=4)
    assert not np.array_equal(found.fold, other.fold)
    again = knndm(*land, np.arange(1200), np.arange(1200), folds=10, seed=3)
    np.testing.assert_array_equal(found.fold, again.fold)


def test_more_cells_than_are_clustered_go_with_the_nearest(
    land: tuple[np.ndarray, np.ndarray], clustered: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = knndm(*land, clustered, np.arange(1200), folds=5, seed=3)
    monkeypatch.setattr(places, "CLUSTERED_CELLS", clustered.size // 3)
    found = knndm(*land, clustered, np.arange(1200), folds=5, seed=3)
    assert found.fold.size == clustered.size
    assert found.w == pytest.approx(misfit(land, clustered, found.fold), rel=1e-3)
    assert found.w < 2 * whole.w + 50
