"""Score `best` and its rivals in several worlds of both twins, where the truth is known.

    python benchmarks/twins.py FOLDER [--seeds 1 2 3 4 5] [--difficulty easy hard]
                               [--presets best boosting climatology narcf-published]

A world is made and its cube built where FOLDER has none; cases that are done are read. The table
is printed as Markdown and written to FOLDER/twins.csv.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import narcf_geo as ng
from narcf_geo.experiment import plan_of, run_experiment
from narcf_geo.experiment.summary import markdown

SHOWN = {
    "truth_rmse": ".3f",
    "mean_map": ".3f",
    "target_mean_map": ".3f",
    "total_error_TgC": ".0f",
    "total_half_TgC": ".0f",
    "flux_coverage_80": ".1%",
    "flux_coverage_95": ".1%",
    "flux_width_95": ".2f",
    "coverage_80": ".1%",
    "coverage_95": ".1%",
    "width_95": ".2f",
    "biome_years_95": ".0%",
    "seconds": ".0f",
}
"""Columns and their format; fluxes in umol m-2 s-1."""


def world(folder: Path, difficulty: str, seed: int) -> ng.Project:
    """Return the project of a world; settings and training have its seed too."""
    directory = folder / f"{difficulty}{seed}"
    if not (directory / "narcf.yaml").exists():
        ng.init_project(directory, sample=True, seed=seed, difficulty=difficulty)
        settings = directory / "narcf.yaml"
        text = settings.read_text(encoding="utf-8")
        settings.write_text(text.replace("\nseed: 2007", f"\nseed: {seed}"), encoding="utf-8")
    return ng.Project.open(directory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--difficulty", nargs="+", default=["easy", "hard"])
    parser.add_argument(
        "--presets", nargs="+", default=["best", "boosting", "climatology", "narcf-published"]
    )
    args = parser.parse_args()
    rows = []
    for preset in args.presets:
        for difficulty in args.difficulty:
            for seed in args.seeds:
                project = world(args.folder, difficulty, seed)
                (outcome,) = run_experiment(project, plan_of([preset], leaky=False))
                rows.append({"twin": difficulty, "seed": seed, "preset": preset, **outcome.scores})
                print(rows[-1], flush=True)
    table = pd.DataFrame(rows).sort_values(["twin", "preset", "seed"])
    table.to_csv(args.folder / "twins.csv", index=False)
    named = table[["twin", "preset", "seed"]].astype(str)
    for name, digits in SHOWN.items():
        if name in table:
            values = table[name].astype(float)
            named[name] = ["" if pd.isna(v) else f"{v:{digits}}" for v in values]
    print(markdown(named))


if __name__ == "__main__":
    main()
