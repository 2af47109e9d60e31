"""What do simpler models make of the same folds? ``python rivals.py PROJECT``, after its training.

Prints a table: each rival in folds of blocks and of single cells, dealt with five seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from narcf_geo.grid.sphere import to_xyz
from narcf_geo.model.baselines import boosting
from narcf_geo.model.fit import cross_validation, tabulate
from narcf_geo.model.samples.splits import Split, splits_of
from narcf_geo.model.samples.table import Table
from narcf_geo.project.project import Project, open_cube
from narcf_geo.project.split_settings import BlockSplit, RandomSplit
from narcf_geo.statistics.scores import scores

SEEDS = range(2001, 2006)
SHOWN = ("r", "slope", "kge", "rmse", "bias")
PENALTIES = (0.3, 1.0, 3.0, 10.0)
"""Of support vectors; each fold chooses on its validation part."""

Rival = Callable[[Table, Split, int], np.ndarray]
"""From rows, a fold and a seed to the flux of every row, umol m-2 s-1."""


def extra_trees(table: Table, split: Split, seed: int) -> np.ndarray:
    """Return the mean of 300 extremely randomised trees."""
    from sklearn.ensemble import ExtraTreesRegressor

    model = ExtraTreesRegressor(300, min_samples_leaf=2, max_features=0.5, random_state=seed)
    return model.fit(table.x[split.train], table.y[split.train]).predict(table.x)


def support_vectors(table: Table, split: Split, seed: int) -> np.ndarray:
    """Return support vector regression on standardised features."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    unit = table.y[split.train].std()
    held = split.validation

    def fitted(penalty: float) -> np.ndarray:
        model = make_pipeline(StandardScaler(), SVR(C=penalty))
        model.fit(table.x[split.train], table.y[split.train] / unit)
        return model.predict(table.x) * unit

    estimates = [fitted(penalty) for penalty in PENALTIES]
    return min(estimates, key=lambda flux: float(np.mean((flux - table.y)[held] ** 2)))


def ten_nearest(table: Table, split: Split, seed: int) -> np.ndarray:
    """Return the mean flux of the ten nearest training cells: a map, and no predictor at all."""
    from sklearn.neighbors import KNeighborsRegressor

    place = to_xyz(table.lon, table.lat)
    model = KNeighborsRegressor(10).fit(place[split.train], table.y[split.train])
    return model.predict(place)


RIVALS: dict[str, Rival] = {
    "extra trees": extra_trees,
    "support vectors": support_vectors,
    "boosted trees": boosting,
    "ten nearest cells": ten_nearest,
}


def estimates(table: Table, kind: str, rival: Rival, seed: int) -> np.ndarray:
    """Return each row as the model estimated it that had it in its test part."""
    schema = {"blocks": BlockSplit, "random": RandomSplit}[kind]
    found = np.full(table.y.size, np.nan)
    for fold in splits_of(schema(kind=kind, folds=10), table, seed):
        found[fold.test] = rival(table, fold, seed)[fold.test]
    return found


def lines(project: Project) -> Iterator[dict[str, object]]:
    """Yield the scores of the network of the project and, over all seeds, of each rival."""
    cube = open_cube(project)
    table = tabulate(cube, project.settings)
    folds = cross_validation(project.path("model"))
    for kind in ("blocks", "random"):
        flux = folds[f"{kind}_test"].values.reshape(cube.sizes["time"], -1)
        found = scores(flux[table.month, table.cell], table.y, table.area)
        yield {"model": "the network", "folds": kind, **{name: found[name] for name in SHOWN}}
        for name, rival in RIVALS.items():
            each = [
                scores(estimates(table, kind, rival, seed), table.y, table.area) for seed in SEEDS
            ]
            mean = pd.DataFrame(each)[[*SHOWN]].mean().to_dict()
            first, low, high = each[0]["r"], min(e["r"] for e in each), max(e["r"] for e in each)
            yield {"model": name, "folds": kind, **mean, "r 2001": first, "from": low, "to": high}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", help="folder of the project, trained")
    parser.add_argument("--set", dest="data", required=True, help="folder of the real files")
    given = parser.parse_args()
    print(pd.DataFrame(lines(Project.open(given.project, data=given.data))).round(3).to_string())
