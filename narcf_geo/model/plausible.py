"""Targets that nothing can be learned from are refused before a training."""

from __future__ import annotations

import numpy as np

from narcf_geo.core.errors import NarcfError
from narcf_geo.model.samples.splits import Split
from narcf_geo.model.samples.table import Table

MOST = 1000.0
"""Largest magnitude of a monthly mean flux, umol m-2 s-1: 31 kg C m-2 a month, a whole forest."""

MOST_OF_ONE = 0.9
"""Share of the variance of the target that a single value may hold."""

LEAST_SPREAD = 0.02
"""Standard deviation, umol m-2 s-1, below which a network on an unscaled target learns nothing.

The first estimates of an untrained network differ by more than that.
"""


def require_plausible(table: Table, split: Split, standardised: bool) -> None:
    """Refuse a target from which the rows of a split learn nothing, or one value alone.

    Parameters
    ----------
    table : Table
        The rows.
    split : Split
        Its training and validation rows are looked at: one fits, the other calibrates.
    standardised : bool
        Whether the network learns the target over its standard deviation.

    Raises
    ------
    NarcfError
        When the target of training is constant, is too small for a network that does not scale it,
        or when one value is impossible or decides alone.
    """
    for part, rows in (("training", split.train), ("validation", split.validation)):
        if not len(rows):
            continue
        target = table.y[rows].astype(np.float64)
        if part == "training" and np.ptp(target) == 0:
            raise NarcfError(
                f"target: expected fluxes that differ from one another, found {target[0]:g} "
                f"umol m-2 s-1 in all {target.size:,} training samples, so nothing can be "
                "learned; check the variable, the unit and the months of the target"
            )
        largest = int(np.abs(target).argmax())
        if abs(target[largest]) > MOST:
            raise NarcfError(
                f"target: expected monthly fluxes within {MOST:g} umol m-2 s-1, found "
                f"{_place(table, rows[largest])}; check its fill value and its unit"
            )
        squares = (target - target.mean()) ** 2
        far = int(squares.argmax())
        share = squares[far] / squares.sum() if squares[far] else 0.0
        if share > MOST_OF_ONE and target.size > 1 / (1 - MOST_OF_ONE):
            raise NarcfError(
                f"target: expected many values to learn from, found {_place(table, rows[far])}, "
                f"which alone holds {share:.1%} of the variance of {target.size:,} {part} samples; "
                "set it to missing if it is wrong, or check the unit of the others"
            )
        spread = float(np.sqrt(squares.mean()))
        if part == "training" and not standardised and spread < LEAST_SPREAD:
            raise NarcfError(
                f"target: expected fluxes that spread by {LEAST_SPREAD:g} umol m-2 s-1 or more for "
                f"a model that learns them unscaled, found {spread:.2g}; set standardised to true "
                "in the model, choose the preset best, or check the unit of the target"
            )


def _place(table: Table, row: int) -> str:
    """Return the value of a row, its month and its cell, in words."""
    when, cell = table.time[table.month[row]], table.cell[row]
    lat, lon = table.cells.lat[cell], table.cells.lon[cell]
    return f"{table.y[row]:g} umol m-2 s-1 in {when:%Y-%m} at {lat:g} N, {lon:g} E"
