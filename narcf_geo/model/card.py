"""The card of a model: what it estimates, from what, how well, and how it was made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from narcf_geo.model.bundle import Bundle

UNKNOWN = "not recorded by the version that wrote this bundle"


def model_card(bundle: Bundle) -> str:
    """Return the card as Markdown.

    In a terminal: ``rich.print(rich.markdown.Markdown(model_card(Bundle.load("demo/model"))))``.
    """
    return "\n".join(_lines(bundle))


def summary(bundle: Bundle) -> list[str]:
    """Return the model in a few lines: network, features and skill."""
    known = bundle.information
    preset = known.get("settings", {}).get("model", {}).get("preset", "?")
    members = len(known["members"])
    names, land = bundle.features.names, bundle.features.land_cover
    shown = [*names[: land.start], *([f"{len(names[land])} of land cover"] if names[land] else [])]
    lines = [
        f"network   preset {preset}, {members} member{'s' if members > 1 else ''}",
        f"features  {', '.join(shown)}",
    ]
    if test := known.get("metrics", {}).get("test"):
        lines.append(
            f"test      r {_number(test.get('r'))}, RMSE {_number(test.get('rmse'))} and bias "
            f"{_number(test.get('bias'))} umol m-2 s-1, n {_number(test.get('n'))}"
        )
    if synthetic := known.get("data", {}).get("synthetic"):
        lines.append(f"data      synthetic ({synthetic}): not observations")
    return lines


def _lines(bundle: Bundle) -> Iterator[str]:
    known = bundle.information
    target, settings = known.get("target", {}), known.get("settings", {})
    yield f"# {settings.get('title', 'A flux model')}\n"
    yield (
        f"Estimates the monthly mean flux of {target.get('product', 'the target')}, "
        f"{target.get('units', '')}, {target.get('sign', '')}.\n"
    )
    if synthetic := known.get("data", {}).get("synthetic"):
        yield f"**Synthetic data ({synthetic}): not observations.**\n"
    if named := ", ".join(bundle.features.coordinates):
        yield (
            f"**Coordinates are among the features ({named})**: the model may have learned a map "
            "or a calendar instead of how the flux responds.\n"
        )
    yield "## Network\n"
    yield from _network(bundle)
    yield "## Skill\n"
    yield from _skill(known)
    yield "## Uncertainty\n"
    yield from _uncertainty(bundle)
    yield "## Area of applicability\n"
    yield from _applicability(known)
    yield "## Split\n"
    splits = known.get("split") or [UNKNOWN]
    yield f"```\n{splits[0]}\n```"
    if len(splits) > 1:
        yield f"and {len(splits) - 1} folds more.\n"
    yield "## Features\n"
    yield from _features(bundle)
    yield "## Origin\n"
    yield from _origin(known)


def _network(bundle: Bundle) -> Iterator[str]:
    known = bundle.information
    recipe = known.get("recipe") or {}
    settings = known.get("settings", {})
    hidden = "-".join(map(str, recipe.get("hidden", []))) or "none"
    yield f"- preset {settings.get('model', {}).get('preset', '?')}, hidden layers {hidden}"
    for name in ("activation", "loss", "epochs", "batch_size", "learning_rate", "schedule"):
        if name in recipe:
            yield f"- {name.replace('_', ' ')}: {recipe[name]}"
    seed = settings.get("seed", "?")
    yield f"- {len(known['members'])} members, seeds from {seed} on"
    epochs = [str(h["best_epoch"]) for h in known.get("history", [])]
    yield f"- weights of epoch {', '.join(epochs) or '?'}\n"


def _skill(known: dict[str, Any]) -> Iterator[str]:
    metrics = known.get("metrics")
    if not metrics:
        yield f"{UNKNOWN}\n"
        return
    names = ("r", "rmse", "bias", "nse", "kge", "n")
    rows = [[part, *(_number(scores.get(n)) for n in names)] for part, scores in metrics.items()]
    yield from _table(["part", *names], rows)
    yield "Against the target, weighted by cell area; RMSE and bias in umol m-2 s-1.\n"


def _uncertainty(bundle: Bundle) -> Iterator[str]:
    if not bundle.factors:
        yield f"{UNKNOWN}\n"
        return
    test = bundle.information.get("metrics", {}).get("test", {})
    rows = [
        [f"{level:.0%}", f"{factor:.2f} std", _percent(test.get(f"coverage_{level}"))]
        for level, factor in bundle.factors.items()
    ]
    yield from _table(["interval", "half-width", "of the test values inside"], rows)
    yield (
        "Calibrated on the validation part. An interval holds values of the target of one cell and "
        "month, with the noise of the target; it is not that of a sum of cells.\n"
    )


def _applicability(known: dict[str, Any]) -> Iterator[str]:
    trust = known.get("applicability")
    if trust is None:
        yield f"{known.get('not_applicable') or UNKNOWN}\n"
        return
    rows = [
        [
            f"{_number(one['from'])} to {_number(one['to'])}",
            *(_number(one[name]) for name in ("rmse", "bias", "n")),
        ]
        for one in trust["errors"]
    ]
    yield from _table(["dissimilarity", "rmse", "bias", "n"], rows)
    yield (
        f"Rows of the {trust['part']} part, each set against the rows that its model learned from; "
        "umol m-2 s-1. Their mean dissimilarity is "
        f"{_number(trust['mean'])}. Applicable is what is no more dissimilar than "
        f"{_number(trust['threshold'])}: all but {_percent(trust['outside'])} of these rows.\n"
    )


def _features(bundle: Bundle) -> Iterator[str]:
    known, features = bundle.information, bundle.features
    units = dict(zip(features.predictors, features.units, strict=True))
    limits, missing = known.get("training_range", {}), known.get("missing", {})
    rows = []
    for name in features.names:
        low, high = limits.get(name, (None, None))
        made = features.derived.get(name)
        origin = (
            ""
            if made is None
            else ", ".join(f"{k} {v}" for k, v in made.model_dump(exclude_defaults=True).items())
        )
        ends = _number(low), _number(high)
        rows.append([name, units.get(name, "1"), *ends, str(missing.get(name, 0)), origin])
    yield from _table(["feature", "unit", "lowest", "highest", "missing", "made"], rows)
    masked = ", ".join(features.masked) or "none"
    yield (
        "Ranges are of the training part; missing counts land cell-months. May be missing: "
        f"{masked}.\n"
    )
    if features.climate:
        first, last = features.climate
        yield (
            f"A climate is the mean of a cell over {first} to {last}, taken from the cube that is "
            "predicted, which must have the predictors in these months. Means of a cell are the "
            "same in every month, as a map is: see how the model does in blocks it never saw.\n"
        )


def _origin(known: dict[str, Any]) -> Iterator[str]:
    data = known.get("data", {})
    yield f"- training data: sha256 {data.get('sha256', UNKNOWN)}"
    for name, axis in known.get("grid", {}).items():
        yield f"- {name}: {axis['first']:g} to {axis['last']:g}, {axis['n']} cells"
    versions = ", ".join(f"{k} {v}" for k, v in known.get("versions", {}).items())
    yield f"- software: {versions or UNKNOWN}"
    if references := data.get("references"):
        yield f"- sources: {references}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"
    yield ""


def _number(value: float | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.1%}"
