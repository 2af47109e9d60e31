"""What the estimate rests on: permutation importance and partial dependence of its features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from narcf_geo.core.constants import IGBP, LAND_COVER_PREFIXES
from narcf_geo.core.errors import NarcfError
from narcf_geo.statistics.scores import scores

EstimateFunction = Callable[[np.ndarray], np.ndarray]
"""From features, shape (n_rows, n_features), to the flux, shape (n_rows,), umol m-2 s-1."""

LAND_COVER = "land cover"
"""Name of the group of class fractions or classes."""

_LAND_COVER_COLUMNS = {
    f"{prefix}_{c.code}" for prefix in LAND_COVER_PREFIXES.values() for c in IGBP
}


def permutation_importance(
    estimate: EstimateFunction,
    x: np.ndarray,
    observed: np.ndarray,
    groups: Mapping[str, Sequence[int]],
    *,
    weight: np.ndarray | None = None,
    within: np.ndarray | None = None,
    repeats: int = 5,
    rows: int = 10_000,
    seed: int = 0,
    among: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return how much worse the estimate is when the columns of a group are shuffled.

    The columns of a group are shuffled together. By default a row may get the values of any other,
    of another season too: the loss is all that the estimate takes from the group, the seasonal
    cycle included. With the calendar month in `within`, rows change places only within a month:
    the loss is what the group tells beyond the season.

    Parameters
    ----------
    estimate : callable
        Of the model, as `EstimateFunction`.
    x : numpy.ndarray
        Features of rows that the model has not learned from, shape (n_rows, n_features).
    observed : numpy.ndarray
        Their flux, shape (n_rows,), umol m-2 s-1.
    groups : mapping of str to sequence of int
        Columns of each group, such as from `correlated_groups`.
    weight : numpy.ndarray, optional
        Cell area of each row, shape (n_rows,); by default all the same.
    within : numpy.ndarray, optional
        Label of each row, shape (n_rows,).
    repeats : int
        Shuffles of each group.
    rows : int
        Rows to draw at random, where there are more.
    seed : int
        Of the draw and the shuffles.
    among : numpy.ndarray, optional
        Numbers of the rows to draw from; by default all.

    Returns
    -------
    pandas.DataFrame
        By ``group``, the greatest first: ``rmse_increase``, umol m-2 s-1, mean over the repeats,
        and ``r_loss``, of the correlation; ``rmse_increase_std`` and ``r_loss_std`` over the
        repeats. ``attrs`` has ``rmse`` and ``r`` unshuffled, and the number of ``rows``.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> found = permutation_importance(lambda x: x[:, 0], x, x[:, 0], {"a": [0], "b": [1]})
    >>> found["rmse_increase"].round(1).to_dict()
    {'a': 1.4, 'b': 0.0}
    """
    if repeats < 1 or not groups:
        raise NarcfError(f"expected groups to shuffle, found {len(groups)}, {repeats} times each")
    rng = np.random.default_rng(seed)
    chosen = _draw(len(x), rows, rng, among)
    x, observed = x[chosen], observed[chosen]
    weight = np.ones(len(x)) if weight is None else weight[chosen]
    labels = np.zeros(len(x), int) if within is None else within[chosen]

    whole = scores(estimate(x), observed, weight)
    found = {}
    for name, columns in groups.items():
        trials = []
        for _ in range(repeats):
            shuffled = x.copy()
            order = _shuffle(labels, rng)
            for column in columns:
                shuffled[:, column] = x[order, column]
            trial = scores(estimate(shuffled), observed, weight)
            trials.append((trial["rmse"] - whole["rmse"], whole["r"] - trial["r"]))
        mean, std = np.mean(trials, axis=0), np.std(trials, axis=0)
        found[name] = (mean[0], std[0], mean[1], std[1])
    names = ["rmse_increase", "rmse_increase_std", "r_loss", "r_loss_std"]
    table = pd.DataFrame.from_dict(found, orient="index", columns=names)
    table = table.rename_axis("group").sort_values("rmse_increase", ascending=False, kind="stable")
    table.attrs = {"rmse": whole["rmse"], "r": whole["r"], "rows": len(x)}
    return table


def feature_weights(
    importance: pd.DataFrame, groups: Mapping[str, Sequence[int]], n_features: int
) -> np.ndarray:
    """Return the weight of each feature in a distance, shape (n_features,), 0 to 1.

    The importance of a group (a negative one is none) is shared among its n columns so that a step
    of one standard deviation in all of them is as far as in the one column of another group.

    Parameters
    ----------
    importance : pandas.DataFrame
        From `permutation_importance`.
    groups : mapping of str to sequence of int
        Columns of each group.
    n_features : int
        Features in all; one in no group has weight 0.

    Raises
    ------
    NarcfError
        When no group has any importance.

    Examples
    --------
    >>> table = pd.DataFrame({"rmse_increase": {"a": 0.4, "b": 0.2}})
    >>> feature_weights(table, {"a": [0], "b": [1, 2, 3, 4]}, 5).tolist()
    [1.0, 0.25, 0.25, 0.25, 0.25]
    """
    weights = np.zeros(n_features)
    for name, columns in groups.items():
        share = max(float(importance.loc[name, "rmse_increase"]), 0.0)
        weights[list(columns)] = share / np.sqrt(len(columns))
    if not weights.max(initial=0.0) > 0:
        raise NarcfError(
            "no group of features has any importance: the estimate is as good when each is "
            "shuffled, so the model has learned nothing from them"
        )
    top = max(importance["rmse_increase"].max(), 0.0)
    return weights / top


def correlated_groups(
    x: np.ndarray,
    names: Sequence[str],
    threshold: float = 0.8,
    *,
    rows: int = 10_000,
    among: np.ndarray | None = None,
) -> dict[str, list[int]]:
    """Return columns that say much the same, to be shuffled together.

    Predictors are joined (complete linkage) while the rank correlation of every two of a group is
    at least `threshold` in magnitude. The land cover classes are one group, and the column
    ``has_<name>`` goes with its predictor.

    Parameters
    ----------
    x : numpy.ndarray
        Features, shape (n_rows, n_features); NaN is left out pair by pair.
    names : sequence of str
        Of the columns.
    threshold : float
        From 0, all in one group, to 1, each alone.
    rows : int
        Rows to draw at random, where there are more.
    among : numpy.ndarray, optional
        Numbers of the rows to draw from; by default all.

    Returns
    -------
    dict
        Name, such as ``temp + vpd``, to columns, in the order of the first of them.

    Examples
    --------
    >>> a, b = np.random.default_rng(0).normal(size=(2, 500))
    >>> x = np.column_stack([a, b, np.exp(a), a > 0])
    >>> correlated_groups(x, ["temp", "precip", "vpd", "has_vpd"])
    {'temp + vpd': [0, 2, 3], 'precip': [1]}
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    place = {name: column for column, name in enumerate(names)}
    cover = [place[name] for name in names if name in _LAND_COVER_COLUMNS]
    masks = {p: place[f"has_{p}"] for p in names if f"has_{p}" in place}
    single = [c for c in range(len(names)) if c not in cover and c not in masks.values()]
    label = np.ones(len(single), int)
    if len(single) > 1:
        drawn = x[_draw(len(x), rows, np.random.default_rng(0), among)]
        alike = correlations(drawn[:, single], [names[c] for c in single], rows=rows)
        alike = alike.abs().fillna(0.0)
        distance = squareform(1 - alike.to_numpy(), checks=False).clip(0)
        label = fcluster(linkage(distance, "complete"), 1 - threshold + 1e-12, "distance")
    groups = {}
    for number in dict.fromkeys(label):
        members = [c for c, group in zip(single, label, strict=True) if group == number]
        flags = [masks[names[c]] for c in members if names[c] in masks]
        groups[" + ".join(names[c] for c in members)] = members + flags
    return groups | ({LAND_COVER: cover} if cover else {})


def correlations(
    x: np.ndarray, names: Sequence[str], *, rows: int = 10_000, seed: int = 0
) -> pd.DataFrame:
    """Return the rank correlation (Spearman) of every two columns, -1 to 1.

    Parameters
    ----------
    x : numpy.ndarray
        Shape (n_rows, n_features); NaN is left out pair by pair.
    names : sequence of str
        Of the columns.
    rows : int
        Rows to draw at random, where there are more.
    seed : int
        Of the draw.

    Returns
    -------
    pandas.DataFrame
        Names by names; NaN for a column that does not vary.
    """
    chosen = _draw(len(x), rows, np.random.default_rng(seed))
    return pd.DataFrame(x[chosen], columns=list(names)).corr(method="spearman")


def partial_dependence(
    estimate: EstimateFunction,
    x: np.ndarray,
    column: int,
    *,
    weight: np.ndarray | None = None,
    grid: np.ndarray | int = 21,
    quantiles: tuple[float, float] = (0.1, 0.9),
    rows: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how the estimate responds to one feature, all others as they are (Friedman 2001).

    Parameters
    ----------
    estimate : callable
        Of the model, as `EstimateFunction`.
    x : numpy.ndarray
        Features, shape (n_rows, n_features). Rows without a value of the feature are left out.
    column : int
        The feature.
    weight : numpy.ndarray, optional
        Cell area of each row, shape (n_rows,); by default all the same.
    grid : numpy.ndarray or int
        Values of the feature, or how many: quantiles of the data from 1 to 99 %.
    quantiles : tuple of float
        Of the estimates over the rows, for the band.
    rows : int
        Rows to draw at random, where there are more.
    seed : int
        Of the draw.

    Returns
    -------
    pandas.DataFrame
        By ``value`` of the feature: ``mean`` over the rows, and ``low`` and ``high``, the
        quantiles, umol m-2 s-1; ``attrs`` has the ``quantiles``.

    Raises
    ------
    NarcfError
        When no row has a value of the feature.

    Examples
    --------
    >>> x = np.array([[1.0, 0.0], [2.0, 4.0]])
    >>> partial_dependence(lambda x: 3 * x[:, 0] + x[:, 1], x, 0, grid=np.array([0.0, 1.0]))
           mean  low  high
    value
    0.0     2.0  0.0   4.0
    1.0     5.0  3.0   7.0
    """
    known = np.flatnonzero(np.isfinite(x[:, column]))
    if not known.size:
        raise NarcfError(f"expected rows with a value of feature {column}, found none")
    if isinstance(grid, int):
        grid = np.unique(np.quantile(x[known, column], np.linspace(0.01, 0.99, grid)))
    chosen = known[_draw(known.size, rows, np.random.default_rng(seed))]
    weight = np.ones(chosen.size) if weight is None else weight[chosen].astype(float)
    moved = np.repeat(x[chosen][None], len(grid), axis=0)
    moved[:, :, column] = grid[:, None]
    flux = estimate(moved.reshape(-1, x.shape[1])).reshape(len(grid), -1)
    low, high = np.quantile(flux, quantiles, axis=1, weights=weight, method="inverted_cdf")
    mean = np.average(flux, axis=1, weights=weight)
    table = pd.DataFrame(
        {"mean": mean, "low": low, "high": high}, index=pd.Index(grid, name="value")
    )
    table.attrs = {"quantiles": quantiles}
    return table


def _draw(
    n: int, rows: int, rng: np.random.Generator, among: np.ndarray | None = None
) -> np.ndarray:
    n = n if among is None else len(among)
    chosen = np.arange(n) if n <= rows else np.sort(rng.choice(n, rows, replace=False))
    return chosen if among is None else among[chosen]


def _shuffle(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an order of the rows in which each gets one of its own label."""
    order = np.empty(len(labels), int)
    order[np.argsort(labels, kind="stable")] = np.lexsort((rng.random(len(labels)), labels))
    return order
