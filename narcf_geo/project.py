"""A project directory: its settings (``narcf.yaml``), its catalog, and where each result lies."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from narcf_geo.errors import UsageError
from narcf_geo.yamlfile import Schema, load

if TYPE_CHECKING:
    import pandas as pd

    from narcf_geo.catalog import Catalog
    from narcf_geo.grid import Grid


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
        from narcf_geo.months import month_starts

        return month_starts(self.start, self.end)

    def __str__(self) -> str:
        return f"{self.start} to {self.end}"


class Region(Schema):
    """The box of the target grid, degrees east and north."""

    name: str = "region"
    west: float = Field(ge=-360, le=360)
    south: float = Field(ge=-90, le=90)
    east: float = Field(ge=-360, le=360)
    north: float = Field(ge=-90, le=90)

    @model_validator(mode="after")
    def _has_area(self) -> Region:
        if not (self.west < self.east <= self.west + 360 and self.south < self.north):
            raise ValueError(
                f"the region is empty or inside out: west {self.west} must be less than east "
                f"{self.east} (by at most 360), south {self.south} less than north {self.north}"
            )
        return self


class LandCover(Schema):
    """Which catalog entry gives the biomes, and the share of land that makes a cell land."""

    source: str
    min_land: float = Field(0.5, gt=0, le=1)


class FluxSource(Schema):
    """A flux in the catalog: the entry, the canonical variable in it, and its name in figures."""

    source: str
    variable: str = "flux"
    label: str | None = None

    @property
    def name(self) -> str:
        """What figures and the report call it."""
        return self.label or self.source


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


class BlockSplit(Schema):
    """Cross-validate over blocks of land: each block is tested by a model that never saw it."""

    kind: Literal["blocks"]
    degrees: float = Field(10.0, gt=0, description="edge of a block, degrees")
    folds: int = Field(10, ge=3, le=50)


class ModelSettings(Schema):
    """A preset, and what of it to change; ``null`` keeps the preset's own value."""

    preset: Literal["linear", "wecann", "narcf-25", "narcf-mid", "narcf", "narcf-published"] = (
        "narcf"
    )
    loss: Literal["mae", "mse", "huber"] | None = None
    epochs: int | None = Field(None, ge=1)
    batch_size: int | None = Field(None, ge=1)
    learning_rate: float | None = Field(None, gt=0)
    schedule: Literal["constant", "cosine"] | None = None
    weight_decay: float | None = Field(None, ge=0)
    patience: int | None = Field(None, ge=1)
    members: int = Field(1, ge=1, le=100)
    unbiased: bool | None = None


class Settings(Schema):
    """Everything ``narcf.yaml`` may say."""

    title: str = "narcf-geo project"
    catalog: str = "data_catalog.yaml"
    catalog_parameters: dict[str, str] = {}
    region: Region
    resolution: float = Field(1.0, gt=0, le=30, description="cell size of the target grid, degrees")
    period: Period
    min_coverage: float = Field(0.5, gt=0, le=1)
    land_cover: LandCover
    predictors: dict[str, list[str]] = Field(min_length=1)
    missing: Literal["drop", "mask"] = Field(
        "drop", description="drop rows with a missing predictor, or learn from a has_<name> column"
    )
    biome_features: Literal["fractions", "majority", "none"] = "fractions"
    target: FluxSource
    reference: FluxSource | None = None
    truth: FluxSource | None = None
    model: ModelSettings = ModelSettings()
    split: Annotated[PeriodSplit | BlockSplit, Field(discriminator="kind")]
    seed: int = Field(2007, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        names = self.predictor_names
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"predictors named by two sources: {', '.join(twice)}; keep one each")
        if isinstance(self.split, PeriodSplit):
            for name in ("train", "validation", "test"):
                part: Period = getattr(self.split, name)
                if part.start < self.period.start or part.end > self.period.end:
                    raise ValueError(
                        f"split.{name} ({part}) reaches outside the period ({self.period})"
                    )
        return self

    @property
    def predictor_names(self) -> list[str]:
        """The canonical names of all predictors, in the order of the file."""
        return [name for names in self.predictors.values() for name in names]


@dataclass(frozen=True)
class Project:
    """A project directory and its settings."""

    directory: Path
    settings: Settings
    overrides: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, directory: str | Path = ".", **parameters: str) -> Project:
        """Open the project in `directory`.

        Parameters
        ----------
        directory : path
            The folder that holds ``narcf.yaml``.
        **parameters : str
            Values for user parameters of the catalog, over those of ``narcf.yaml``.

        Raises
        ------
        UsageError
            When there is no ``narcf.yaml``, or it does not fit the schema.
        """
        directory = Path(directory)
        return cls(directory, load(directory / "narcf.yaml", Settings), dict(parameters))

    def path(self, *parts: str) -> Path:
        """Return a path inside the project."""
        return self.directory.joinpath(*parts)

    @property
    def target_grid(self) -> Grid:
        """The grid of the region."""
        from narcf_geo.grid import Grid

        region = self.settings.region
        return Grid.regular(
            region.west, region.south, region.east, region.north, self.settings.resolution
        )

    def catalog(self) -> Catalog:
        """Open the catalog that ``narcf.yaml`` names."""
        from narcf_geo.catalog import Catalog

        parameters = {**self.settings.catalog_parameters, **self.overrides}
        return Catalog.open(self.directory / self.settings.catalog, **parameters)

    def sources(self) -> dict[str, list[str]]:
        """Return the gridded sources the settings use, each with the variables wanted of it."""
        wanted: dict[str, list[str]] = {k: list(v) for k, v in self.settings.predictors.items()}
        for flux in (self.settings.target, self.settings.reference, self.settings.truth):
            if flux is not None:
                wanted.setdefault(flux.source, []).append(flux.variable)
        catalog = self.catalog()
        for name in [*wanted, self.settings.land_cover.source]:
            if name not in catalog:
                raise UsageError(
                    f"{self.path('narcf.yaml')}: source {name!r} is not in {catalog.path}; "
                    f"it has: {', '.join(catalog)}"
                )
        return wanted
