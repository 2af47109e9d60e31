"""How hard the twin experiment is: what stands between the truth and what is seen of it.

The sizes, and where they come from, are in docs/sample.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from narcf_geo.core.errors import UsageError
from narcf_geo.sample.geography import Array

CHANGED_FROM = pd.Timestamp("2014-01-01")
"""First month of the warmer years: the test years of the sample's settings."""

DROUGHT_MONTHS = (5, 6, 7, 8)
DROUGHT_CENTRE, DROUGHT_WIDTH = (40.0, -100.0), (6.0, 7.0)
"""Central Great Plains: latitude and longitude, and by how many degrees of each it fades."""


@dataclass(frozen=True)
class Difficulty:
    """What a world has that the easy one has not; the easy one is all zeros.

    Attributes
    ----------
    name : str
        Said in every file.
    fixed_error : float
        Share of the inversion's error variance that comes back in a cell's calendar month of every
        year, 0 to 1.
    footprint : float
        Full width at half maximum of the kernel with which the inversion sees how the flux departs
        from its prior, m; 0 for an inversion that sees each cell.
    legacy : float
        Standard deviation over land of a static flux that no predictor shows, umol m-2 s-1.
    sink_trend : float
        Share of gross primary production by which the uptake grows each year, unseen.
    warming : float
        By how much the years from `CHANGED_FROM` on are warmer, K.
    drought : float
        Share of the rain that the central Great Plains lose in May to August of those years.
    predictor_error : float
        Size of the errors of the predictors, in units of those in docs/sample.md.

    Examples
    --------
    >>> Difficulty.of("easy").footprint, Difficulty.of("hard").footprint
    (0.0, 500000.0)
    """

    name: str
    fixed_error: float = 0.0
    footprint: float = 0.0
    legacy: float = 0.0
    sink_trend: float = 0.0
    warming: float = 0.0
    drought: float = 0.0
    predictor_error: float = 0.0

    @classmethod
    def of(cls, name: str | Self) -> Self | Difficulty:
        """Return the difficulty of this name, or the one that is given.

        Raises
        ------
        UsageError
            When there is none of this name.
        """
        if isinstance(name, Difficulty):
            return name
        if name not in DIFFICULTIES:
            raise UsageError(
                f"difficulty {name!r} of the sample is not known; choose from "
                f"{', '.join(DIFFICULTIES)}"
            )
        return DIFFICULTIES[name]

    @property
    def label(self) -> str:
        """What files say after ``synthetic``."""
        return "twin experiment" if self == EASY else f"{self.name} twin experiment"

    def warmth(self, months: pd.DatetimeIndex) -> Array:
        """Return by how much each month is warmer, K (time, 1, 1)."""
        return self.warming * np.asarray(months >= CHANGED_FROM, float)[:, None, None]

    def rain(self, months: pd.DatetimeIndex, lat: Array, lon: Array) -> Array:
        """Return the share of its rain that falls in each month, 0..1 (time, *lat.shape)."""
        away = ((lat - DROUGHT_CENTRE[0]) / DROUGHT_WIDTH[0]) ** 2
        away = away + ((lon - DROUGHT_CENTRE[1]) / DROUGHT_WIDTH[1]) ** 2
        dry = np.asarray(months >= CHANGED_FROM) & months.month.isin(DROUGHT_MONTHS)
        return 1 - self.drought * dry[:, None, None] * np.exp(-away)


EASY = Difficulty("easy")
HARD = Difficulty(
    "hard",
    fixed_error=0.5,
    footprint=500e3,
    legacy=0.1,
    sink_trend=0.00044,
    warming=2.0,
    drought=0.5,
    predictor_error=1.0,
)
DIFFICULTIES = {known.name: known for known in (EASY, HARD)}
