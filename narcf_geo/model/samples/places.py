"""Folds of cells by their distance: buffers about what is held out, and kNNDM."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.grid.sphere import to_xyz

CLUSTERED_CELLS = 4_000
"""Cells that are clustered, at most; the others go with the nearest of them."""

_SIZES = 40
_LARGEST_FOLD = 0.5
_SIGNIFICANT = 0.05


def distance_to(
    lon: np.ndarray, lat: np.ndarray, of: np.ndarray, to: np.ndarray, nth: int = 1
) -> np.ndarray:
    """Return the great-circle distance of places to the nearest of others, shape of `of`, km.

    Parameters
    ----------
    lon, lat : numpy.ndarray
        All places, degrees, shape (n,).
    of, to : numpy.ndarray
        Numbers of the places that are asked for, and of those they are near to.
    nth : int
        2 for the second nearest, where `of` are among `to`.

    Returns
    -------
    numpy.ndarray
        Infinite where there are fewer than `nth` places to be near to.

    Examples
    --------
    >>> lon, lat = np.array([0.0, 0.0, 90.0]), np.array([0.0, 1.0, 0.0])
    >>> distance_to(lon, lat, np.array([0]), np.array([1, 2])).round(1)
    array([111.2])
    """
    from scipy.spatial import cKDTree

    if to.size < nth:
        return np.full(of.size, np.inf)
    tree = cKDTree(to_xyz(lon[to], lat[to]))
    chord = tree.query(to_xyz(lon[of], lat[of]), k=[nth])[0][:, 0]
    arc: np.ndarray = 2 * np.arcsin(np.clip(chord / 2, 0, 1)) * (EARTH_RADIUS / 1000)
    return arc


class Knndm(NamedTuple):
    """Folds from `knndm`.

    Attributes
    ----------
    fold : numpy.ndarray
        Fold of each training cell, from 0, shape (n_train,).
    clusters : int
        Clusters that were dealt to the folds: as many as cells where these were dealt at random.
    w : float
        Wasserstein distance between the two distributions of nearest-neighbour distances, km.
    """

    fold: np.ndarray
    clusters: int
    w: float


def knndm(
    lon: np.ndarray,
    lat: np.ndarray,
    train: np.ndarray,
    predicted: np.ndarray,
    folds: int,
    seed: int,
) -> Knndm:
    """Return folds of cells that lie apart as the predicted cells lie from the training cells.

    k-fold nearest-neighbour distance matching (Linnenbrink et al. 2024,
    doi:10.5194/gmd-17-5897-2024). The distances from each predicted cell to the nearest training
    cell are compared with those from each cell to the nearest that the model of its fold learns
    from: neither its own fold nor the next, which validates. Where the training cells are no more
    clustered than the predicted ones (a one-sided Kolmogorov-Smirnov test of 5 %), cells are dealt
    at random. Elsewhere they are clustered (Ward) into from `folds` to as many clusters as cells,
    these are dealt to the folds in order along the longest axis of the cells, and the number of
    clusters with the least Wasserstein distance is taken of those with no fold of more than half
    of the cells.

    Parameters
    ----------
    lon, lat : numpy.ndarray
        All cells, degrees, shape (n,).
    train, predicted : numpy.ndarray
        Numbers of the cells with samples, and of those to predict.
    folds : int
        3 or more, and no more than cells with samples.
    seed : int
        Of what is dealt at random.

    Returns
    -------
    Knndm
        The folds, and how near the two distributions are.

    Examples
    --------
    Cells everywhere are dealt at random.

    >>> lon, lat = (a.ravel() for a in np.meshgrid(np.arange(10.0), np.arange(10.0)))
    >>> everywhere = np.arange(100)
    >>> knndm(lon, lat, everywhere, everywhere, folds=4, seed=1).clusters
    100
    """
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(seed)
    aim = distance_to(lon, lat, predicted, train)
    alone = distance_to(lon, lat, train, train, nth=2)
    at_random = rng.permutation(np.arange(train.size) % folds)
    if ks_2samp(alone, aim, "greater", "asymp").pvalue >= _SIGNIFICANT:
        return Knndm(at_random, train.size, _misfit(lon, lat, train, at_random, aim))
    found = [
        Knndm(fold, clusters, _misfit(lon, lat, train, fold, aim))
        for clusters, fold in _clustered(lon[train], lat[train], folds, rng)
        if np.bincount(fold, minlength=folds).min()
        and np.bincount(fold).max() <= _LARGEST_FOLD * train.size
    ]
    found.append(Knndm(at_random, train.size, _misfit(lon, lat, train, at_random, aim)))
    return min(found, key=lambda one: one.w)


def _misfit(
    lon: np.ndarray, lat: np.ndarray, train: np.ndarray, fold: np.ndarray, aim: np.ndarray
) -> float:
    """Return the Wasserstein distance of the distances between folds from those aimed at, km."""
    from scipy.stats import wasserstein_distance

    count = fold.max() + 1
    between = [
        distance_to(lon, lat, train[fold == k], train[(fold != k) & (fold != (k + 1) % count)])
        for k in range(count)
    ]
    return float(wasserstein_distance(np.concatenate(between), aim))


def _clustered(
    lon: np.ndarray, lat: np.ndarray, folds: int, rng: np.random.Generator
) -> list[tuple[int, np.ndarray]]:
    """Return numbers of clusters, and the fold of each cell with so many."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial import cKDTree

    place = to_xyz(lon, lat)
    chosen = np.arange(len(place))
    if chosen.size > CLUSTERED_CELLS:
        chosen = np.sort(rng.choice(chosen, CLUSTERED_CELLS, replace=False))
    centred = place[chosen] - place[chosen].mean(axis=0)
    along = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
    tree = linkage(place[chosen], "ward")
    nearest = cKDTree(place[chosen]).query(place)[1]
    sizes = np.geomspace(folds, max(chosen.size - 1, folds), _SIZES).round().astype(int)
    found = []
    for size in np.unique(sizes):
        cluster = fcluster(tree, size, "maxclust") - 1
        found.append((int(size), _dealt(cluster, along, folds)[nearest]))
    return found


def _dealt(cluster: np.ndarray, along: np.ndarray, folds: int) -> np.ndarray:
    """Return the fold of each cell: large clusters are one each, the others dealt in order."""
    count = np.bincount(cluster)
    order = np.argsort(np.bincount(cluster, along) / count, kind="stable")
    fold = np.full(count.size, -1)
    large = order[count[order] >= cluster.size / folds][: folds - 1]
    fold[large] = np.arange(large.size)
    others = order[fold[order] < 0]
    fold[others] = large.size + np.arange(others.size) % (folds - large.size)
    dealt: np.ndarray = fold[cluster]
    return dealt
