"""Rows dealt into blocks, folds and samples."""

from __future__ import annotations

import numpy as np

from narcf_geo.core.errors import NarcfError


def block_of(lon: np.ndarray, lat: np.ndarray, degrees: float) -> np.ndarray:
    """Return the number of the block of `degrees` edge that each point lies in."""
    return np.floor(lat / degrees).astype(int) * 10_000 + np.floor(lon / degrees).astype(int)


def folds_of(group: np.ndarray, folds: int, seed: int, kind: str = "blocks") -> np.ndarray:
    """Return the fold, 0 to ``folds - 1``, of each row; a group is never divided.

    Groups, of which `kind` says in an error what they are, are dealt at random into folds of
    near-equal size.

    Raises
    ------
    NarcfError
        When there are fewer groups than folds.
    """
    names, index, counts = np.unique(group, return_inverse=True, return_counts=True)
    if names.size < folds:
        smaller = "smaller blocks (split.degrees) or " if kind == "blocks" else ""
        raise NarcfError(
            f"expected at least {folds} {kind} for as many folds, found {names.size}; use {smaller}"
            "fewer folds (split.folds)"
        )
    order = np.random.default_rng(seed).permutation(names.size)
    fold = np.empty(names.size, np.int16)
    if counts.max() == 1:
        # What the loop below would do, which is too slow for a group each row.
        fold[order] = np.arange(names.size) % folds
        return fold[index]
    filled = np.zeros(folds)
    for position in order:
        fold[position] = np.argmin(filled)
        filled[fold[position]] += counts[position]
    return fold[index]


def sample(stratum: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return `size` places drawn at random, of every stratum its share but for one, in order.

    Parameters
    ----------
    stratum : numpy.ndarray
        Number of the stratum of each place, shape (n,).
    size : int
        At most n.
    seed : int
        Of the draw.

    Examples
    --------
    >>> stratum = np.repeat([0, 1, 2], [600, 300, 100])
    >>> np.bincount(stratum[sample(stratum, 20, seed=1)]).tolist()
    [12, 6, 2]
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(stratum.size)
    order = order[np.argsort(stratum[order], kind="stable")]
    # At even steps through strata one after the other, from a place at random.
    place = ((np.arange(size) + rng.random()) * (stratum.size / size)).astype(int)
    return np.sort(order[np.minimum(place, stratum.size - 1)])
