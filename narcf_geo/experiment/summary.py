"""The table of an experiment: means over seeds, their spread, and what each leak was worth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from narcf_geo.core.files import atomic_path
from narcf_geo.experiment.plan import OWN, Experiment
from narcf_geo.experiment.run import Outcome, versions
from narcf_geo.outputs.tables import csv_text

LINE = ("preset", "features", "split", "protocol")
"""What names a line of the table."""

COLUMNS: dict[str, tuple[str, str]] = {
    "r": ("r", ".3f"),
    "rmse": ("RMSE", ".3f"),
    "bias": ("bias", "+.4f"),
    "bias_TgC": ("bias TgC/yr", "+.0f"),
    "truth_r": ("r to truth", ".3f"),
    "truth_rmse": ("RMSE to truth", ".4f"),
    "truth_bias": ("bias to truth", "+.4f"),
    "truth_bias_TgC": ("bias to truth TgC/yr", "+.0f"),
    "total_TgC": ("total TgC/yr", ".0f"),
    "truth_total_TgC": ("true TgC/yr", ".0f"),
    "mean_map": ("RMSE of mean map to truth", ".3f"),
    "target_mean_map": ("target averaged", ".3f"),
    "coverage_80": ("observed in 80 %", ".1%"),
    "coverage_95": ("in 95 %", ".1%"),
    "width_95": ("width", ".2f"),
    "flux_coverage_80": ("truth in 80 %", ".1%"),
    "flux_coverage_95": ("in 95 % of the flux", ".1%"),
    "flux_width_95": ("width of the flux", ".2f"),
    "biome_years_95": ("biome-years in 95 %", ".0%"),
    "biome_years_p": ("p of 95 %", ".2g"),
    "total_half_TgC": ("half interval TgC/yr", ".0f"),
    "total_error_TgC": ("error TgC/yr", ".0f"),
    "seconds": ("s", ".0f"),
}
"""Score to its heading and format; fluxes in umol m-2 s-1."""

NARROW = ("r", "rmse", "bias_TgC", "truth_rmse", "mean_map", "coverage_80", "flux_coverage_80")
"""The columns that fit into a terminal."""

CONTROL_LIMIT = 0.05
"""Below this |r| nothing was learned: what the control with shuffled targets has to show."""


def summarise(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Return a row for each preset, features, split and protocol.

    Returns
    -------
    pandas.DataFrame
        Columns of `LINE`, ``seeds``, and for each score its mean over the seeds and its standard
        deviation as ``<score>_spread`` (NaN from one seed).
    """
    named = [{name: getattr(o.case, name) for name in LINE} for o in outcomes]
    cases = pd.DataFrame([{**n, **o.scores} for n, o in zip(named, outcomes, strict=True)])
    groups = cases.groupby(list(LINE), sort=False)
    scores = [name for name in cases.columns if name not in LINE]
    cases[scores] = cases[scores].astype(float)
    mean = groups[scores].mean()
    spread = groups[scores].std().add_suffix("_spread")
    return pd.concat([groups.size().rename("seeds"), mean, spread], axis=1).reset_index()


def shown(table: pd.DataFrame, columns: Sequence[str] = tuple(COLUMNS)) -> pd.DataFrame:
    """Return `table` as texts, ``mean ± spread``: those of `columns` that say something."""
    text = pd.DataFrame(index=table.index)
    for name in LINE:
        if name in ("preset", "protocol") or (table[name] != OWN).any():
            text[name] = table[name]
    for name in columns:
        heading, digits = COLUMNS[name]
        if name not in table or table[name].isna().all():
            continue
        text[heading] = [
            _text(mean, spread, digits)
            for mean, spread in zip(table[name], table[f"{name}_spread"], strict=True)
        ]
    return text


def _text(mean: float, spread: float, digits: str) -> str:
    if np.isnan(mean):
        return ""
    if np.isnan(spread):
        return f"{mean:{digits}}"
    return f"{mean:{digits}} ± {spread:{digits.lstrip('+')}}"


def leak_worth(table: pd.DataFrame) -> pd.DataFrame:
    """Return how much each leaky protocol changed the scores of the same preset.

    Returns
    -------
    pandas.DataFrame
        The columns of `LINE`; ``r`` and ``rmse``, leaky less honest, against the target, with
        ``truth_r`` and ``truth_rmse`` where there is a truth; and ``verdict``. Last, where there is
        a reference, what it loses by a comparison with other years: its ``r`` and ``rmse``.
    """
    scores = [n for n in ("r", "rmse", "truth_r", "truth_rmse") if n in table]
    rows = []
    for _, line in table.iterrows():
        if not line["protocol"].startswith("leaky"):
            continue
        same = table[
            (table["protocol"] == "honest")
            & (table[list(LINE[:3])] == line[list(LINE[:3])]).all(axis=1)
        ]
        if same.empty:
            continue
        honest = same.iloc[0]
        change = {name: line[name] - honest[name] for name in scores}
        spread = np.nanmax([0.0, line["r_spread"], honest["r_spread"]])
        rows.append(
            {**line[list(LINE)], **change, "verdict": _verdict(change["r"], spread, line["seeds"])}
        )
    honest = table[table["protocol"] == "honest"]
    if rows and "misaligned_r" in table and honest["misaligned_r"].notna().any():
        first = honest.iloc[0]
        change = {n: first[f"misaligned_{n}"] - first[f"reference_{n}"] for n in ("r", "rmse")}
        worse = "makes" if change["r"] < 0 else "does not make"
        line = {"preset": "the reference", "protocol": "leaky-years", **change}
        line |= {name: first[name] for name in ("features", "split")}
        rows.append({**line, "verdict": f"{worse} the reference look worse"})
    return pd.DataFrame(rows, columns=[*LINE, *scores, "verdict"])


def _verdict(change: float, spread: float, seeds: int) -> str:
    if change <= 0:
        return "does not raise the score"
    if seeds == 1:
        return "raises it, in one seed"
    if change <= spread:
        return "raises it by less than the seeds differ"
    return "raises the score"


def control_verdicts(table: pd.DataFrame) -> list[str]:
    """Return a line for each control with shuffled targets: it holds, or it fails."""
    lines = []
    for _, row in table[table["protocol"] == "shuffled"].iterrows():
        held = abs(row["r"]) < CONTROL_LIMIT
        lines.append(
            f"control, {row['preset']} on shuffled targets: r {row['r']:+.3f}, "
            + (f"below {CONTROL_LIMIT} as it must be" if held else f"NOT below {CONTROL_LIMIT}")
        )
    return lines


def label(experiment: Experiment, synthetic: str | None) -> str:
    """Return what must be said above the table: the data are synthetic, the training was cut."""
    parts = [f"{experiment.seeds} seed{'s' if experiment.seeds > 1 else ''}"]
    if synthetic:
        parts.insert(0, f"synthetic {synthetic.removeprefix('synthetic ')}")
    if experiment.epochs is not None:
        parts.append(f"CUT to {experiment.epochs} epochs, for a look only")
    return "; ".join(parts)


def write(
    directory: Path, experiment: Experiment, table: pd.DataFrame, synthetic: str | None = None
) -> list[Path]:
    """Write ``table.csv``, ``table.md`` and ``settings.yaml``, an experiment to run again."""
    import yaml

    worth = leak_worth(table)
    parts = [f"{label(experiment, synthetic)}. Fluxes in umol m-2 s-1.", markdown(shown(table))]
    if len(worth):
        parts += ["What each leak was worth, leaky less honest:", markdown(shown_worth(worth))]
    parts += control_verdicts(table)
    settings = yaml.safe_dump(
        experiment.model_dump(mode="json", exclude_none=True), sort_keys=False, width=100
    )
    made_by = "; ".join(f"{name} {number}" for name, number in versions().items())
    texts = {
        "table.csv": csv_text(table, float_format="%.6g"),
        "table.md": "\n\n".join(parts) + "\n",
        "settings.yaml": f"# made by {made_by}\n{settings}",
    }
    for name, text in texts.items():
        with atomic_path(directory / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return [directory / name for name in texts]


def shown_worth(worth: pd.DataFrame) -> pd.DataFrame:
    """Return what the leaks were worth as texts to print."""
    text = shown(worth.assign(**{f"{n}_spread": np.nan for n in COLUMNS}))
    for name in set(worth.columns) & set(COLUMNS):
        digits = "+" + COLUMNS[name][1].lstrip("+")
        text[COLUMNS[name][0]] = ["" if np.isnan(v) else f"{v:{digits}}" for v in worth[name]]
    return text.assign(verdict=worth["verdict"])


def markdown(text: pd.DataFrame) -> str:
    """Return a table of texts as Markdown.

    Examples
    --------
    >>> print(markdown(pd.DataFrame({"preset": ["narcf"], "r": ["0.900"]})))
    | preset | r |
    |---|---|
    | narcf | 0.900 |
    """
    lines = [list(text.columns), ["---"] * text.shape[1], *text.astype(str).values.tolist()]
    rows = [f"| {' | '.join(line)} |" for line in lines]
    rows[1] = rows[1].replace(" ", "")
    return "\n".join(rows)
