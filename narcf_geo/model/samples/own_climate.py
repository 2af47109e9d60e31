"""Rows whose climate is that of the training months of one fold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.model.samples.climate import Months
from narcf_geo.model.samples.gather import gather
from narcf_geo.model.samples.splits import PARTS, Split
from narcf_geo.model.samples.table import Table


def own_climate(
    cube: xr.Dataset | None, table: Table, split: Split, folder: Path | None = None
) -> tuple[Table, Split]:
    """Return the rows of `table` with the climate of the training months of `split`.

    They are as they were, with the split, where no feature takes a climate or the split does not
    part years. Rows keep their numbers. Those without a climate, because their cell has no value
    of a predictor in the training months, are in no part of the split that is returned.

    Parameters
    ----------
    cube : xarray.Dataset, optional
        That `table` was gathered from; not needed where the table is returned as it is.
    table : Table
        All rows.
    split : Split
        A fold, or what the model that predicts learns from.
    folder : Path, optional
        Where the features are kept, as for `Table.of`.

    Raises
    ------
    NarcfError
        When the cube is needed and absent.
    """
    if table.features.climate is None or "year" not in split.apart:
        return table, split
    features = replace(table.features, climate=climate_months(table, split))
    if features == table.features:
        return table, split
    if cube is None:
        raise NarcfError(
            "expected the cube of the rows, found none: each fold of years takes a climate of its "
            "own training months; give the cube, or leave out features with climate:"
        )
    wanted = np.zeros((table.time.size, table.cells.lat.size), bool)
    wanted[table.month, table.cell] = True
    own = replace(table, features=features, x=gather(cube, features, folder, wanted).x)
    needed = [
        column
        for column, name in enumerate(features.predictors)
        if name in features.derived and name not in features.masked
    ]
    complete = np.isfinite(own.x[:, needed]).all(axis=1)
    parts = {part: getattr(split, part)[complete[getattr(split, part)]] for part in PARTS}
    return own, replace(split, **parts)


def climate_months(table: Table, split: Split) -> Months:
    """Return the months of the training years of `split`, years in a row as one run.

    Years without any sample count where they lie between training years; those that validate or
    test never do.
    """
    learned = table.year[split.train]
    held = np.unique(table.year[np.concatenate([split.validation, split.test])])
    years = np.setdiff1d(np.arange(learned.min(), learned.max() + 1), held)
    runs = np.split(years, np.flatnonzero(np.diff(years) > 1) + 1)
    found: list[str] = []
    for run in runs:
        inside = table.time[(table.time.year >= run[0]) & (table.time.year <= run[-1])]
        found += [f"{inside[0]:%Y-%m}", f"{inside[-1]:%Y-%m}"]
    return tuple(found)
