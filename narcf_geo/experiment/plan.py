"""What an experiment runs: presets, feature sets, splits, protocols and seeds, and the cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, ValidationError, model_validator

from narcf_geo.core.errors import UsageError
from narcf_geo.core.yamlfile import Schema
from narcf_geo.experiment.leaky import LEAKS
from narcf_geo.model.baselines import BASELINES
from narcf_geo.project.presets import PRESETS, Recipe
from narcf_geo.project.settings import DerivedFeature, Settings
from narcf_geo.project.split_settings import SplitSettings

OWN = "project"
"""Name of the features, and of the split, that ``narcf.yaml`` has."""


def methods() -> tuple[str, ...]:
    """Return the names of all that can be fitted: the presets, and the baselines."""
    return (*PRESETS, *BASELINES)


def _method(name: str) -> str:
    if name not in BASELINES and name not in PRESETS:
        raise PRESETS.unknown(name, BASELINES)
    return name


Method = Annotated[str, AfterValidator(_method)]
Protocol = Literal[
    "honest",
    "leaky",
    "leaky-article",
    "leaky-scaler",
    "leaky-validation",
    "leaky-missing",
    "leaky-random",
    "shuffled",
]
PROTOCOLS: tuple[str, ...] = get_args(Protocol)

_PARTS: dict[str, tuple[str, ...]] = {
    "leaky": LEAKS,
    "leaky-article": ("scaler", "validation", "missing"),
    **{f"leaky-{leak}": (leak,) for leak in LEAKS},
}


def leaks_of(protocol: str) -> tuple[str, ...]:
    """Return the leaks of a protocol; none for ``honest`` and ``shuffled``.

    Examples
    --------
    >>> leaks_of("leaky-article"), leaks_of("honest")
    (('scaler', 'validation', 'missing'), ())
    """
    return _PARTS.get(protocol, ())


class FeatureSet(Schema):
    """Keys of ``narcf.yaml`` that this set of features changes."""

    predictors: dict[str, list[str]] | None = None
    features: dict[str, DerivedFeature] | None = None
    coordinates: list[Literal["lat", "lon", "month", "year"]] | None = None
    biome_features: Literal["fractions", "sqrt_fractions", "majority", "none"] | None = None
    missing: Literal["drop", "mask"] | None = None


class Step(Schema):
    """One line of the table, by name."""

    preset: Method
    features: str = OWN
    split: str = OWN
    protocol: Protocol = "honest"


class Experiment(Schema):
    """Everything ``experiment.yaml`` may say: every preset with every feature set and so on."""

    presets: list[Method] = []
    feature_sets: dict[str, FeatureSet] = Field(
        {}, description=f"name to changes of narcf.yaml's features; none: its own, {OWN!r}"
    )
    splits: dict[str, SplitSettings] = Field(
        {}, description=f"name to a split as in narcf.yaml; none: its own, {OWN!r}"
    )
    protocols: list[Protocol] = Field(["honest"], min_length=1)
    also: list[Step] = Field([], description="lines besides, each by itself")
    seeds: int = Field(1, ge=1, le=100, description="repeats, from narcf.yaml's seed on")
    epochs: int | None = Field(None, ge=1, description="at most so many: for a quick look")

    @model_validator(mode="after")
    def _known(self) -> Experiment:
        if not self.presets and not self.also:
            raise ValueError("expected presets: or also: with at least one preset, found neither")
        for step in self.also:
            for kind, name, known in (
                ("features", step.features, self.feature_sets),
                ("split", step.split, self.splits),
            ):
                if name not in {OWN, *known}:
                    raise ValueError(
                        f"also: {kind} {name!r} is not among {', '.join([OWN, *known])}"
                    )
            if step.preset in BASELINES and step.protocol != "honest":
                raise ValueError(
                    f"also: {step.preset} is a baseline, which has no protocol {step.protocol!r}"
                )
        return self

    def cases(self, seed: int) -> list[Case]:
        """Return every case, those of one network and table one after another."""
        lines = [
            Step(preset=preset, features=features, split=split, protocol=protocol)
            for preset in self.presets
            for features in self.feature_sets or [OWN]
            for protocol in self.protocols
            for split in self.splits or [OWN]
            if preset not in BASELINES or protocol == "honest"
        ]
        lines = list(dict.fromkeys([*lines, *self.also]))
        return [
            Case(line.preset, line.features, line.split, line.protocol, seed + k)
            for line in lines
            for k in range(self.seeds)
        ]


@dataclass(frozen=True)
class Case:
    """One fit: a preset or baseline on a feature set and a split, by a protocol, from a seed."""

    preset: str
    features: str
    split: str
    protocol: str
    seed: int

    def __str__(self) -> str:
        """Return what the progress bar says."""
        named = [self.preset, self.protocol]
        named += [name for name in (self.features, self.split) if name != OWN]
        return f"{', '.join(named)}, seed {self.seed}"


def plan_of(
    presets: Sequence[str],
    *,
    seeds: int = 1,
    epochs: int | None = None,
    leaky: bool | None = None,
) -> Experiment:
    """Return the experiment of these presets under the project's own features and split.

    Parameters
    ----------
    presets : sequence of str
        Of `methods`; ``all`` stands for all of them.
    seeds : int
        Repeats.
    epochs : int, optional
        At most so many.
    leaky : bool, optional
        True: for every preset the leaky protocol, each leak by itself, and the control; False:
        none; None: the leaky protocol and the control for the preset ``narcf`` alone.

    Raises
    ------
    UsageError
        When there is no such preset.

    Examples
    --------
    >>> [case.protocol for case in plan_of(["narcf", "ridge"], leaky=False).cases(1)]
    ['honest', 'honest']
    """
    names = [_method(name) for name in dict.fromkeys(methods() if "all" in presets else presets)]
    protocols = PROTOCOLS[1:] if leaky else ("leaky", "shuffled")
    also = [
        {"preset": name, "protocol": protocol}
        for name in names
        if name not in BASELINES and leaky is not False and (leaky or name == "narcf")
        for protocol in protocols
    ]
    content = {"presets": names, "also": also, "seeds": seeds, "epochs": epochs}
    return Experiment.model_validate(content)


def settings_of(case: Case, experiment: Experiment, settings: Settings) -> Settings:
    """Return `settings` with the features and the split of the case.

    Raises
    ------
    UsageError
        When the feature set has a predictor the project has not, or the two do not fit.
    """
    features = experiment.feature_sets.get(case.features, FeatureSet())
    changes: dict[str, Any] = features.model_dump(mode="json", exclude_none=True)
    if case.split in experiment.splits:
        changes["split"] = experiment.splits[case.split].model_dump(mode="json")
    known = settings.predictor_names
    wanted = [name for names in (features.predictors or {}).values() for name in names]
    if absent := [name for name in wanted if name not in known]:
        raise UsageError(
            f"feature_sets.{case.features}: expected predictors of narcf.yaml "
            f"({', '.join(known)}), found {', '.join(absent)}"
        )
    try:
        return Settings.model_validate(settings.model_dump(mode="json") | changes)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        problem = first["msg"].removeprefix("Value error, ")
        raise UsageError(
            f"features {case.features!r} with split {case.split!r} do not fit narcf.yaml: "
            f"{where}{problem}"
        ) from None


def recipe_of(case: Case, epochs: int | None = None) -> Recipe | None:
    """Return the preset's own recipe, of at most `epochs`; None for a baseline."""
    if case.preset in BASELINES:
        return None
    plan = PRESETS[case.preset]
    return plan if epochs is None else replace(plan, epochs=min(epochs, plan.epochs))
