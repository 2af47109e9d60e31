"""What ``bundle.json`` may say, checked before anything else of a bundle is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    ValidationError,
    model_validator,
)

from narcf_geo.core.archives import require_regular
from narcf_geo.core.errors import NarcfError, reason
from narcf_geo.project.settings import DerivedFeature
from narcf_geo.project.split_settings import Month

FILE = "bundle.json"
VERSION = 2
MAX_BYTES = 2**24
MAX_FEATURES = 4096
AGAIN = "train again with `narcf-geo train`"

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
MemberName = Annotated[str, StringConstraints(pattern=r"^member_\d{1,3}\.keras$")]
FileName = Annotated[str, StringConstraints(pattern=r"^\w[\w-]*\.(nc|npz)$")]
Level = Annotated[str, StringConstraints(pattern=r"^0\.\d{1,6}$")]
Scalar = str | int | FiniteFloat | None
Scores = dict[str, FiniteFloat | None]


class _Part(BaseModel):
    # What a later version of narcf-geo adds is left alone.
    model_config = ConfigDict(extra="ignore", frozen=True)


class FeatureContents(_Part):
    """The columns of the design matrix, as `Features.to_json` writes them."""

    predictors: list[Name] = Field(max_length=MAX_FEATURES)
    units: list[Name] = Field(max_length=MAX_FEATURES)
    masked: list[Name] = Field(max_length=MAX_FEATURES)
    biome: Literal["fractions", "sqrt_fractions", "majority", "none"]
    derived: dict[Name, DerivedFeature] = {}
    coordinates: list[Literal["lat", "lon", "month", "year"]] = []
    climate: tuple[Month, Month] | None = None
    names: list[Name] = Field(min_length=1, max_length=MAX_FEATURES)

    @model_validator(mode="after")
    def _consistent(self) -> FeatureContents:
        if len(self.units) != len(self.predictors):
            raise ValueError(
                f"expected a unit for each of {len(self.predictors)} predictors, found "
                f"{len(self.units)}"
            )
        if len({*self.predictors}) != len(self.predictors):
            raise ValueError("predictors: expected each name once")
        for key in ("masked", "derived"):
            if unknown := [n for n in getattr(self, key) if n not in self.predictors]:
                raise ValueError(f"{key}: {', '.join(unknown)}: expected names of predictors")
        if self.climate is None and any(how.climate for how in self.derived.values()):
            raise ValueError("climate: expected the months it is taken over, found none")
        if self.climate is not None and self.climate[0] > self.climate[1]:
            raise ValueError(f"climate: {self.climate[0]} is after {self.climate[1]}")
        return self


class History(_Part):
    """The losses of a member."""

    train: list[FiniteFloat]
    validation: list[FiniteFloat]
    best_epoch: int = Field(ge=1)


class Axis(_Part):
    """An axis of the grid of training."""

    first: FiniteFloat
    last: FiniteFloat
    n: int = Field(ge=1)


class RecipeContents(_Part):
    """What the card says of the recipe, and how many members it asks for."""

    hidden: list[int] = []
    members: int | None = None
    halves: bool = False


class SettingsContents(_Part):
    """What the card says of the settings."""

    title: str = ""
    seed: int | None = None
    model: dict[str, Any] = {}


class FluxErrorContents(_Part):
    """How far the estimate is from the flux, as `FluxError.to_json` writes it."""

    apart: FiniteFloat = Field(ge=0)
    noise: FiniteFloat = Field(ge=0)
    recurring: Annotated[FiniteFloat, Field(ge=0)] | None
    factors: dict[Level, Annotated[FiniteFloat, Field(ge=0)] | None] = Field(min_length=1)


class ErrorWindow(_Part):
    """The error of held-out rows between two dissimilarities."""

    low: FiniteFloat = Field(alias="from")
    high: FiniteFloat = Field(alias="to")
    rmse: FiniteFloat
    bias: FiniteFloat
    n: int


class Trust(_Part):
    """How dissimilar held-out rows are to those that were learned from, and their error."""

    part: Literal["validation", "test"]
    threshold: FiniteFloat
    mean: FiniteFloat
    outside: FiniteFloat
    errors: list[ErrorWindow] = Field([], max_length=100)


class Contents(_Part):
    """The whole of ``bundle.json``."""

    bundle_version: Literal[1, 2]
    features: FeatureContents
    members: dict[MemberName, Digest] = Field(min_length=1, max_length=100)
    files: dict[FileName, Digest] = Field({}, max_length=10)
    noise: FiniteFloat = Field(ge=0)
    calibration: dict[Level, Annotated[FiniteFloat, Field(ge=0)] | None]
    flux_error: FluxErrorContents | None = None
    recipe: RecipeContents
    settings: SettingsContents = SettingsContents()
    metrics: dict[str, Scores] = {}
    training_range: dict[str, tuple[FiniteFloat, FiniteFloat]] = {}
    samples: dict[str, int] = {}
    missing: dict[str, int] = {}
    split: list[str] = []
    history: list[History] = []
    target: dict[str, Scalar] = {}
    data: dict[str, Scalar] = {}
    grid: dict[str, Axis] = {}
    versions: dict[str, str] = {}
    importance: dict[str, Scores] = {}
    groups: dict[str, list[int]] = {}
    applicability: Trust | None = None
    not_applicable: str | None = None

    @model_validator(mode="after")
    def _of_all_members(self) -> Contents:
        count = len(self.members)
        for what, found in (
            ("recipe.members", self.recipe.members),
            ("history", len(self.history) or None),
        ):
            if found not in (None, count):
                raise ValueError(f"{what}: expected one for each of {count} members, found {found}")
        if self.recipe.halves and count % 2:
            raise ValueError(f"recipe.halves: expected pairs of members, found {count}")
        if self.flux_error and not self.recipe.halves:
            raise ValueError("flux_error: expected it of members that learned from halves alone")
        return self


def read(directory: Path) -> dict[str, Any]:
    """Return the content of ``bundle.json``, which fits `Contents`.

    Raises
    ------
    NarcfError
        When it is absent, no JSON, of another version, or a value is not what it must be; the
        message names the file and the field.
    """
    path = directory / FILE
    try:
        require_regular(path, MAX_BYTES)
        found = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except (FileNotFoundError, NotADirectoryError):
        raise NarcfError(
            f"{path}: no such file; train a model with `narcf-geo train` or ng.train"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise NarcfError(f"{path}: cannot be read as JSON ({reason(error)}); {AGAIN}") from None
    if not isinstance(found, dict):
        raise NarcfError(
            f"{path}: expected an object with the keys bundle_version, features, members, ..., "
            f"found a {type(found).__name__}; {AGAIN}"
        )
    version = found.get("bundle_version")
    if version == 1:
        # The first version knew one output, no noise and no calibration.
        found = {"noise": 0.0, "calibration": {}, "recipe": {}, **found}
    elif version != VERSION:
        raise NarcfError(
            f"{path}: bundle version {reason(version, 20)}, expected {VERSION} or 1; it was "
            f"written by another version of narcf-geo: use that one, or {AGAIN}"
        )
    check(found, path)
    return found


def check(content: dict[str, Any], path: Path) -> None:
    """Refuse a content that does not fit `Contents`; `path` is named.

    Raises
    ------
    NarcfError
        When a value is not what it must be.
    """
    try:
        Contents.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        words = first["msg"].removeprefix("Value error, ")
        where = reason(f"{field}: {words}" if field else words)
        raise NarcfError(f"{path}: {where}; {AGAIN}") from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
