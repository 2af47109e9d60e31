"""What a network must beat: a climatology, a linear model and boosted trees.

Each takes a table, a split and a seed and returns the flux of every row of the table,
umol m-2 s-1, shape (n_rows,); it learns from training rows, and chooses on validation rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from narcf_geo.model.network.ensemble import Estimate
from narcf_geo.model.samples.splits import Split
from narcf_geo.model.samples.table import Table
from narcf_geo.statistics.scores import scores

ALPHAS = tuple(10.0**k for k in range(-2, 7))
"""Penalties that ridge chooses from."""


def climatology(table: Table, split: Split, seed: int = 0) -> np.ndarray:
    """Return the mean of the training rows of the same cell and calendar month.

    Where there are none it is the area-weighted mean of the same biome and calendar month, else of
    the calendar month, else of all.
    """
    month = np.asarray(table.time.month)[table.month] - 1
    flux = np.full(table.y.size, np.nan)
    for place in (table.cell, table.biome, np.zeros_like(table.cell)):
        group = place.astype(int) * 12 + month
        flux = np.where(np.isnan(flux), _mean_of(group, table, split.train), flux)
    overall = np.average(table.y[split.train], weights=table.area[split.train])
    return np.where(np.isnan(flux), overall, flux).astype(np.float32)


def _mean_of(group: np.ndarray, table: Table, rows: np.ndarray) -> np.ndarray:
    """Return the area-weighted mean flux of `rows` in the group of every row; NaN without any."""
    weight, size = table.area[rows], group.max() + 1
    total = np.bincount(group[rows], weight * table.y[rows], minlength=size)
    whole = np.bincount(group[rows], weight, minlength=size)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = (total / whole)[group]
    return mean


def ridge(table: Table, split: Split, seed: int = 0) -> np.ndarray:
    """Return a linear model of the standardised features, its penalty chosen on validation."""
    from sklearn.linear_model import Ridge

    x, y = _standardised(table.x, split.train), table.y.astype(np.float64)
    held = split.validation

    def error(model: Ridge) -> float:
        square = (model.predict(x[held]) - y[held]) ** 2
        return float(np.average(square, weights=table.area[held]))

    fits = (Ridge(alpha=alpha).fit(x[split.train], y[split.train]) for alpha in ALPHAS)
    return np.asarray(min(fits, key=error).predict(x), np.float32)


def _standardised(x: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return features of mean 0 and variance 1 on the rows `train`; NaN is their mean."""
    sample = x[train].astype(np.float64)
    mean, std = np.nanmean(sample, axis=0), np.nanstd(sample, axis=0)
    return np.nan_to_num((x - mean) / np.where(std > 0, std, 1.0))


def boosting(table: Table, split: Split, seed: int = 0) -> np.ndarray:
    """Return gradient-boosted trees, as many as lower the validation error; they take NaN."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        max_iter=1000, early_stopping=True, n_iter_no_change=20, random_state=seed
    )
    train, held = split.train, split.validation
    model.fit(table.x[train], table.y[train], X_val=table.x[held], y_val=table.y[held])
    return np.asarray(model.predict(table.x), np.float32)


BASELINES: dict[str, Callable[[Table, Split, int], np.ndarray]] = {
    "climatology": climatology,
    "ridge": ridge,
    "boosting": boosting,
}


def fit_baseline(name: str, table: Table, split: Split, seed: int) -> Estimate:
    """Return the estimate of every row; its noise is the error of the validation rows."""
    flux = BASELINES[name](table, split, seed)
    held = split.validation
    noise = scores(flux[held], table.y[held], table.area[held])["rmse"]
    nothing = np.full_like(flux, np.nan)
    return Estimate(flux, np.zeros_like(flux), np.full_like(flux, noise), nothing)
