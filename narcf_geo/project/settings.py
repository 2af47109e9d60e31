"""Everything ``narcf.yaml`` may say, checked when it is read."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from narcf_geo.core.errors import UsageError
from narcf_geo.core.sizes import require_room
from narcf_geo.core.yamlfile import Schema
from narcf_geo.project.presets import PRESETS, Recipe
from narcf_geo.project.split_settings import (
    LEAST_YEARS,
    BlockSplit,
    ForwardSplit,
    Period,
    PeriodSplit,
    SplitSettings,
    YearSplit,
)


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


class DerivedFeature(Schema):
    """A feature made of one predictor: transformed, set against its climate, averaged, delayed.

    The climate of a cell is the mean of its calendar month over the training months.
    """

    of: str
    transform: Literal["log1p", "sqrt", "cbrt"] | None = None
    climate: Literal["annual_mean", "monthly_mean", "anomaly"] | None = Field(
        None, description="of the cell: its mean, that of its calendar month, departure from that"
    )
    mean: int = Field(1, ge=1, le=60, description="months of the running mean, the last included")
    lag: int = Field(0, ge=0, le=60, description="months that the feature comes late")
    replace: bool = Field(False, description="drop the original predictor")

    @model_validator(mode="after")
    def _does_something(self) -> DerivedFeature:
        moved = self.mean > 1 or self.lag > 0
        if self.transform is None and self.climate is None and not moved:
            raise ValueError("expected a transform, climate, a mean of months or a lag, found none")
        if self.climate == "annual_mean" and moved:
            raise ValueError("climate: annual_mean is the same in every month; drop mean and lag")
        return self

    @property
    def base(self) -> str:
        """What the climate is taken of: the predictor, transformed."""
        return f"{self.transform}({self.of})" if self.transform else self.of


def _preset(name: str) -> str:
    # Loaded here, so that one that is broken is found before hours of work.
    PRESETS[name]
    return name


class ModelSettings(Schema):
    """A preset, and what of it to change; ``null`` keeps the preset's own value."""

    preset: Annotated[str, AfterValidator(_preset)] = "best"
    hidden: tuple[Annotated[int, Field(ge=1, le=4096)], ...] | None = None
    loss: Literal["mae", "mse", "huber", "nll"] | None = None
    epochs: int | None = Field(None, ge=1)
    batch_size: int | None = Field(None, ge=1)
    learning_rate: float | None = Field(None, gt=0)
    schedule: Literal["constant", "cosine"] | None = None
    weight_decay: float | None = Field(None, ge=0)
    patience: int | None = Field(None, ge=1)
    dropout: float | None = Field(None, ge=0, lt=1)
    noise: float | None = Field(None, ge=0, le=2, description="added to normalised features")
    shared_scale: bool | None = Field(None, description="one scale for all land-cover columns")
    keep: Literal["best", "last"] | None = None
    members: int | None = Field(None, ge=1, le=100)
    unbiased: bool | None = None
    standardised: bool | None = Field(None, description="learn the target of mean 0 and variance 1")
    halves: bool | None = Field(
        None, description="members in pairs, each learning from one half: intervals of the flux"
    )

    @model_validator(mode="after")
    def _in_pairs(self) -> ModelSettings:
        recipe = self.recipe()
        if recipe.halves and recipe.members % 2:
            raise ValueError(
                f"members: expected an even number, since they learn in pairs of halves, found "
                f"{recipe.members}; or set halves: false, without intervals of the flux"
            )
        return self

    def recipe(self) -> Recipe:
        """Return the recipe of the preset with the changes.

        Examples
        --------
        >>> ModelSettings(preset="narcf", epochs=20).recipe().epochs
        20
        """
        changes = self.model_dump(exclude={"preset"}, exclude_none=True)
        return replace(PRESETS[self.preset], **changes)


class TrainingSettings(Schema):
    """What a model learns from, and how: the part of ``narcf.yaml`` that training reads."""

    missing: Literal["drop", "mask"] = Field(
        "drop", description="drop rows with a missing predictor, or learn from a has_<name> column"
    )
    features: dict[str, DerivedFeature] = Field({}, description="made of predictors")
    coordinates: list[Literal["lat", "lon", "month", "year"]] = Field(
        [], description="coordinates or calendar as features: the model may then learn a map"
    )
    biome_features: Literal["fractions", "sqrt_fractions", "majority", "none"] = "fractions"
    model: ModelSettings = ModelSettings()
    max_rows: int | None = Field(
        None, ge=100, description="learn from a sample of as many rows, of all biomes and months"
    )
    split: SplitSettings
    seed: int = Field(2007, ge=0, lt=2**31)

    @property
    @abstractmethod
    def predictor_names(self) -> list[str]:
        """The names of all predictors, in order."""

    @model_validator(mode="after")
    def _features_of_predictors(self) -> Self:
        names = self.predictor_names
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"predictors named twice: {', '.join(twice)}; keep one each")
        for name, feature in self.features.items():
            if feature.of not in names:
                raise ValueError(
                    f"features.{name}.of: {feature.of!r} is no predictor; there are: "
                    f"{', '.join(names)}"
                )
            if name in names:
                raise ValueError(f"features.{name}: a predictor has this name already")
        return self


class Settings(TrainingSettings):
    """Everything ``narcf.yaml`` may say; checked when it is read, see docs/project.md.

    Examples
    --------
    >>> from narcf_geo.core.yamlfile import load
    >>> settings = load("narcf.yaml", Settings)  # doctest: +SKIP
    >>> settings.region.name  # doctest: +SKIP
    'North America'
    """

    title: str = "narcf-geo project"
    license: str | None = Field(None, description="of the products, such as CC-BY-4.0")
    summary: str | None = Field(None, description="what the products are, in a few sentences")
    institution: str | None = Field(None, description="who made them")
    creator: str | None = Field(None, description="name of the person who made them")
    doi: str | None = Field(None, description="of the products, such as 10.5281/zenodo.1234567")
    catalog: str = "data_catalog.yaml"
    catalog_parameters: dict[str, str] = {}
    region: Region
    resolution: float = Field(1.0, gt=0, le=30, description="cell size of the target grid, degrees")
    period: Period
    min_coverage: float = Field(0.5, gt=0, le=1)
    valid_fraction: bool = Field(
        False, description="keep the covered fraction of each cell beside what was regridded"
    )
    land_cover: LandCover
    predictors: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(min_length=1)
    target: FluxSource
    reference: FluxSource | None = None
    truth: FluxSource | None = None
    regions: str | None = Field(
        None, description="polygons (GeoPackage, Shapefile, GeoJSON) to score and sum up"
    )

    @model_validator(mode="after")
    def _within_the_period(self) -> Self:
        if self.periods is not None:
            for name in ("train", "validation", "test"):
                part: Period = getattr(self.periods, name)
                if part.start < self.period.start or part.end > self.period.end:
                    raise ValueError(
                        f"split.{name} ({part}) reaches outside the period ({self.period})"
                    )
        return self

    @model_validator(mode="after")
    def _enough_for_maps(self) -> Self:
        region = self.region
        rows = round((region.north - region.south) / self.resolution)
        columns = round((region.east - region.west) / self.resolution)
        if rows < 2 or columns < 2:
            raise ValueError(
                f"region: expected at least 2 rows and 2 columns of {self.resolution:g} degree "
                f"cells, found {rows} x {columns}; widen the box, or lower resolution"
            )
        sides = (region.north - region.south, region.east - region.west)
        for side, count in zip(sides, (rows, columns), strict=True):
            if abs(count * self.resolution - side) > 1e-6:
                raise ValueError(
                    f"region: expected a resolution that divides the box, found "
                    f"{self.resolution:g} for sides of {sides[1]:g} and {sides[0]:g} degrees; move "
                    "an edge of the box or choose another resolution"
                )
        return self

    @model_validator(mode="after")
    def _enough_for_the_split(self) -> Self:
        if isinstance(self.split, YearSplit | ForwardSplit):
            forward = self.split if isinstance(self.split, ForwardSplit) else None
            least = forward.least_years if forward else LEAST_YEARS
            years = int(self.period.end[:4]) - int(self.period.start[:4]) + 1
            if years < least:
                raise ValueError(
                    f"split: expected a period of at least {least} years to leave out in "
                    f"turn, found {years} ({self.period}); lengthen period, "
                    f"{'lower train_years, ' if forward else ''}or take another split"
                )
        if isinstance(self.split, BlockSplit):
            edge, region = self.split.degrees, self.region
            ends = ((region.south, region.north), (region.west, region.east))
            high, wide = (math.ceil(b / edge) - math.floor(a / edge) for a, b in ends)
            if high * wide < self.split.folds:
                raise ValueError(
                    f"split: expected at least {self.split.folds} blocks for as many folds, found "
                    f"{high * wide} of {edge:g} degrees in the region; lower degrees or folds"
                )
        return self

    @model_validator(mode="after")
    def _fits_into_memory(self) -> Self:
        region, size = self.region, self.resolution
        cells = (region.east - region.west) / size * (region.north - region.south) / size
        where = f"resolution: {size:g}: expected larger cells, found {cells:,.0f}, which"
        require_room(16 * cells, where, UsageError)
        return self

    @property
    def periods(self) -> PeriodSplit | None:
        """The months that train, validate and test, where these are apart in time."""
        if isinstance(self.split, PeriodSplit):
            return self.split
        return getattr(self.split, "period", None)

    @property
    def predictor_names(self) -> list[str]:
        """The canonical names of all predictors, in the order of the file."""
        return [name for names in self.predictors.values() for name in names]
