"""How far an ensemble of halves is from the flux: the size of its errors, and their patterns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from narcf_geo.model.network.ensemble import Ensemble
from narcf_geo.model.samples.splits import Split, halves
from narcf_geo.model.samples.table import Table
from narcf_geo.statistics.error_model import ErrorModel
from narcf_geo.statistics.flux_error import FluxError, rows_of_some_places

MOST_YEARS = 6
"""Of training and validation, the last ones, from which patterns of errors are taken."""


def flux_error(table: Table, split: Split, ensemble: Ensemble, seed: int) -> FluxError:
    """Return the size of the errors of an ensemble that learned `split` in halves, from `seed` on.

    It is told from the training rows alone: each is known to one member of a pair and new to the
    other.
    """
    calendar = np.asarray(table.time.month, np.int32)[table.month[split.train]]
    _, place = np.unique(table.cell[split.train] * 12 + calendar, return_inverse=True)
    some = rows_of_some_places(place, seed)
    rows = split.train[some]
    learned = np.zeros((len(ensemble.networks), table.y.size), bool)
    for known, own in zip(learned, halves(split, len(learned) // 2, seed), strict=True):
        known[own] = True
    return FluxError.fit(
        ensemble.members(table.x, rows),
        learned[:, rows],
        ensemble.estimate(table.x, rows).noise,
        table.y[rows],
        place[some],
        table.area[rows],
    )


def error_patterns(
    table: Table, split: Split, ensemble: Ensemble, size: FluxError, cube: xr.Dataset
) -> ErrorModel:
    """Return how the errors hang together: as what members of different halves learned apart.

    Each year has the pattern of one pair, and pairs take turns.
    """
    year = table.year
    rows = np.union1d(split.train, split.validation)
    years = np.unique(year[rows])[-MOST_YEARS:]
    rows = rows[np.isin(year[rows], years)]
    apart, std = np.full((2, table.y.size), np.nan, np.float32)
    estimate = ensemble.estimate(table.x, rows)
    std[rows] = size.of_learned_noise(estimate.apart, estimate.noise)
    pairs = len(ensemble.networks) // 2
    for number, one in enumerate(years):
        own = rows[year[rows] == one]
        first = 2 * (number % pairs)
        pair = replace(ensemble, networks=ensemble.networks[first : first + 2])
        ahead, behind = pair.members(table.x, own)
        apart[own] = (ahead - behind) / 2
    error, spread = (table.on_grid(v, cube["flux_target"], rows) for v in (apart, std))
    area = cube["cell_area"].load()
    return ErrorModel.of(error, spread, area, independent=min(pairs, years.size))
