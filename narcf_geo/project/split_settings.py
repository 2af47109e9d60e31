"""What ``split:`` in ``narcf.yaml`` may say: who trains, validates and tests."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from narcf_geo.core.yamlfile import Schema

if TYPE_CHECKING:
    import pandas as pd

LEAST_YEARS = 3
"""Of a split by years: one to train, one to validate, one to test."""


def _month(text: str) -> str:
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text):
        raise ValueError("expected a month as YYYY-MM")
    return text


Month = Annotated[str, AfterValidator(_month)]


class Period(Schema):
    """Months from `start` to `end`, both included."""

    start: Month
    end: Month

    @model_validator(mode="after")
    def _forward(self) -> Period:
        if self.start > self.end:
            raise ValueError(f"start {self.start} is after end {self.end}")
        return self

    def months(self) -> pd.DatetimeIndex:
        """Return the month starts."""
        from narcf_geo.core.months import month_starts

        return month_starts(self.start, self.end)

    def __str__(self) -> str:
        return f"{self.start} to {self.end}"


class PeriodSplit(Schema):
    """Train, validate and test on different months."""

    kind: Literal["period"] = "period"
    train: Period
    validation: Period
    test: Period

    @model_validator(mode="after")
    def _disjoint(self) -> PeriodSplit:
        parts = sorted(
            ((n, getattr(self, n)) for n in ("train", "validation", "test")),
            key=lambda part: part[1].start,
        )
        for (name, part), (next_name, next_part) in pairwise(parts):
            if next_part.start <= part.end:
                raise ValueError(f"{name} ({part}) and {next_name} ({next_part}) share months")
        return self

    def __str__(self) -> str:
        return f"train {self.train}; validation {self.validation}; test {self.test}"


class FoldSplit(Schema):
    """Cross-validation: each fold is tested by models that never saw it.

    With `period` the folds are tested on its test months alone, learn from its training months and
    validate on its validation months: a new place in a new year.
    """

    period: PeriodSplit | None = None

    def _in(self, what: str) -> str:
        return what if self.period is None else f"{what}; {self.period}"


class BlockSplit(FoldSplit):
    """Leave out blocks of land."""

    kind: Literal["blocks"]
    degrees: float = Field(10.0, gt=0, description="edge of a block, degrees")
    folds: int = Field(10, ge=3, le=50)
    buffer_km: float = Field(
        0.0, ge=0, le=5000, description="no training cell is nearer to one that validates or tests"
    )

    def __str__(self) -> str:
        apart = f", {self.buffer_km:g} km apart" if self.buffer_km else ""
        return self._in(f"{self.folds} folds of blocks of {self.degrees:g} degrees{apart}")


class KnndmSplit(FoldSplit):
    """Leave out groups of cells as far from the others as prediction is from training (kNNDM)."""

    kind: Literal["knndm"]
    folds: int = Field(10, ge=3, le=50)

    def __str__(self) -> str:
        return self._in(f"{self.folds} folds of cells by nearest-neighbour distances (kNNDM)")


class YearSplit(Schema):
    """Leave out each year in turn; the year after it validates."""

    kind: Literal["years"]

    def __str__(self) -> str:
        return "each year left out in turn"


class ForwardSplit(Schema):
    """Forward chaining: test each year by what was known before; the year before validates."""

    kind: Literal["forward"]
    train_years: int = Field(1, ge=1, description="years that the first fold learns from")

    @property
    def least_years(self) -> int:
        """Years that two folds take: to train, to validate, and one to test in each."""
        return self.train_years + 3

    def __str__(self) -> str:
        return "each year tested by models of the years before"


class BiomeSplit(FoldSplit):
    """Leave out each biome in turn; blocks of the other biomes validate."""

    kind: Literal["biomes"]
    degrees: float = Field(10.0, gt=0, description="edge of the validating blocks, degrees")

    def __str__(self) -> str:
        return self._in("each biome left out in turn")


class RandomSplit(FoldSplit):
    """Leave out single rows at random: neighbours in space and time were seen. Optimistic."""

    kind: Literal["random"]
    folds: int = Field(10, ge=3, le=50)

    def __str__(self) -> str:
        return self._in(f"{self.folds} folds of single rows (optimistic)")


SplitSettings = Annotated[
    PeriodSplit | BlockSplit | KnndmSplit | YearSplit | ForwardSplit | BiomeSplit | RandomSplit,
    Field(discriminator="kind"),
]
