"""Which cases an experiment has, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from narcf_geo.core.errors import UsageError
from narcf_geo.core.yamlfile import load
from narcf_geo.experiment import Experiment, plan_of
from narcf_geo.experiment.plan import Case, methods, recipe_of, settings_of
from narcf_geo.model.baselines import BASELINES
from narcf_geo.project.presets import PRESETS
from narcf_geo.project.settings import Settings


def test_all_is_every_method_with_the_leaks_and_the_control_of_narcf() -> None:
    cases = plan_of(["all"]).cases(1)
    assert [c.preset for c in cases if c.protocol == "honest"] == list(methods())
    others = [(c.preset, c.protocol) for c in cases if c.protocol != "honest"]
    assert others == [("narcf", "leaky"), ("narcf", "shuffled")]
    assert {c.protocol for c in plan_of(["all"], leaky=False).cases(1)} == {"honest"}
    singly = plan_of(["linear", "ridge"], leaky=True).cases(1)
    assert [c.protocol for c in singly if c.preset == "ridge"] == ["honest"]
    assert "leaky-missing" in [c.protocol for c in singly if c.preset == "linear"]


def test_everything_with_everything() -> None:
    plan = Experiment.model_validate(
        {
            "presets": ["linear", "ridge"],
            "feature_sets": {"a": {}, "b": {"coordinates": ["lat"]}},
            "splits": {"years": {"kind": "years"}},
            "protocols": ["honest", "leaky"],
            "seeds": 2,
        }
    )
    cases = plan.cases(7)
    assert len(cases) == len(set(cases)) == 2 * (2 + 1) * 2
    assert {c.seed for c in cases} == {7, 8}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("presets: [narfc]", "narcf"),
        ("presets: []", "found neither"),
        ("preset: [narcf]", "did you mean 'presets'"),
        ("also: [{preset: narcf, features: none}]", "features 'none'"),
        ("also: [{preset: ridge, protocol: leaky}]", "baseline"),
        ("presets: [narcf]\nseeds: 0", "seeds"),
        ("presets: [narcf]\nsplits: {x: {kind: perod}}", "did you mean 'period'"),
    ],
)
def test_what_it_refuses(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "experiment.yaml").write_text(text)
    with pytest.raises(UsageError, match=words):
        load(tmp_path / "experiment.yaml", Experiment)


def test_the_help_names_every_method(cli: Callable) -> None:
    text = " ".join(re.sub(r"[│╭╮╰╯─]", " ", cli("experiment", "--help").stdout).split())
    assert ", ".join((*PRESETS.built_in, *BASELINES)) in text


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'narcf-mid'"):
        plan_of(["narcf-mit"])


def test_feature_sets_and_splits_change_the_settings(tiny_inputs: Path) -> None:
    settings = load(tiny_inputs / "narcf.yaml", Settings)
    plan = Experiment.model_validate(
        {
            "presets": ["linear"],
            "feature_sets": {
                "place": {"predictors": {"weather": ["temp"]}, "coordinates": ["lat"]},
                "other": {"predictors": {"weather": ["snow"]}},
                "wrong": {"predictors": {"weather": ["temp"], "ndvi": ["temp"]}},
            },
            "splits": {"years": {"kind": "years"}},
        }
    )
    changed = settings_of(Case("linear", "place", "years", "honest", 1), plan, settings)
    assert changed.predictor_names == ["temp"]
    assert changed.coordinates == ["lat"]
    assert changed.split.kind == "years"
    assert changed.target == settings.target
    with pytest.raises(UsageError, match="found snow"):
        settings_of(Case("linear", "other", "years", "honest", 1), plan, settings)
    with pytest.raises(UsageError, match="named twice"):
        settings_of(Case("linear", "wrong", "years", "honest", 1), plan, settings)


def test_presets_run_by_their_own_recipe() -> None:
    case = Case("narcf", "project", "project", "honest", 1)
    full, cut = recipe_of(case), recipe_of(case, 7)
    assert full is not None
    assert cut is not None
    assert (full.epochs, cut.epochs) == (100, 7)
    assert recipe_of(Case("ridge", "project", "project", "honest", 1)) is None
