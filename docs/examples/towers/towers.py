"""What of the monthly NEE of flux towers does weather explain, where and when nothing was seen?

``python towers.py OUT`` writes ``scores.csv`` and ``scores.png`` into the folder OUT; see README.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.evaluation.towers import tower_scores
from narcf_geo.fields.sites import open_sites
from narcf_geo.figures import style
from narcf_geo.figures.layout import blank_figure, heading, house_style
from narcf_geo.model.baselines import boosting
from narcf_geo.model.ensemble_training import EnsembleTraining
from narcf_geo.model.fit import fold_estimates, tabulate
from narcf_geo.model.samples.splits import Split, splits_of
from narcf_geo.model.samples.table import Table
from narcf_geo.model.samples.training_cube import training_cube
from narcf_geo.outputs.tables import write_csv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOWERS = Path(__file__).with_name("towers.csv.gz")
FIRST, LAST = "2001-01", "2014-12"
MIN_QUALITY = 0.5
"""Share of the half-hours of a month that were measured or gap-filled well."""

WEATHER = {
    "temperature": ("ta_degC", "degC"),
    "radiation": ("sw_in_W_m2", "W m-2"),
    "vpd": ("vpd_hPa", "hPa"),
}
LAGS = {f"{name}_{k}_before": {"of": name, "lag": k} for name in WEATHER for k in (1, 2, 3)}

# The rows are few: every member learns from all of them, not from halves.
MODEL = {
    "preset": "best",
    "epochs": 30,
    "learning_rate": 0.005,
    "members": 5,
    "halves": False,
}
"""Towers have few rows: more epochs and larger steps than for a cube. README.md says how chosen."""

SPLITS: dict[str, dict] = {
    "blocks": {"kind": "blocks", "degrees": 10, "folds": 10},
    # Blocks so small hold one tower each: here towers of the other types validate.
    "vegetation types": {"kind": "biomes", "degrees": 1e-4},
    "sites": {"kind": "blocks", "degrees": 1e-4, "folds": 10},
    "years": {"kind": "years"},
    "random": {"kind": "random", "folds": 10},
}
"""Who is left out in turn."""


def read(path: Path = TOWERS, sites: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the rows of all towers, or of some; NEE is NaN outside the years or where not good.

    Weather counts in all months, for the months before the first are lagged predictors.
    """
    table = open_sites(path).table
    raw = pd.read_csv(path)
    for name, (column, _) in WEATHER.items():
        table[name] = raw[column].to_numpy()
    good = (table["quality"] >= MIN_QUALITY) & table["time"].between(FIRST, LAST)
    table["flux"] = table["flux"].where(good)
    if sites is not None:
        table = table[table["site"].isin(sites)]
    # Towers that state one place, such as two masts of one plot, stay two cells.
    place = table.groupby("site")[["lat", "lon"]].first()
    again = place.groupby(["lat", "lon"]).cumcount()
    return table.assign(lat=table["lat"] + table["site"].map(1e-3 * again))


def cube_of(towers: pd.DataFrame) -> xr.Dataset:
    """Return the towers as a cube: each is the cell of its latitude and longitude, others empty."""
    index = ["time", "lat", "lon"]
    cube = towers.set_index(index)[["flux", *WEATHER]].to_xarray()
    months = pd.date_range(cube["time"].values[0], cube["time"].values[-1], freq="MS")
    cube = cube.reindex(time=months)
    units = {"flux": "umol m-2 s-1", **{name: unit for name, (_, unit) in WEATHER.items()}}
    for name, unit in units.items():
        cube[name].attrs["units"] = unit
    of_site = towers.groupby(["lat", "lon"])["igbp"].first()
    cube["biome"] = of_site.to_xarray().reindex_like(cube["flux"][0]).fillna(-1).astype(int)
    # Every tower counts the same.
    cube["cell_area"] = xr.full_like(cube["biome"], 1.0, float).assign_attrs(units="m2")
    return cube


def folds_of(cube: xr.Dataset, split: str, seed: int) -> tuple[Table, list[Split], dict]:
    """Return the rows to learn from, the folds, and the settings as `ng.train` takes them."""
    prepared, settings = training_cube(
        cube, list(WEATHER), "flux", split=SPLITS[split], seed=seed, model=MODEL, features=LAGS,
        biome_features="majority", missing="mask", coordinates=(), max_rows=None,
    )  # fmt: skip
    table = tabulate(prepared, settings)
    return table, splits_of(settings.split, table, seed), settings


def best(table: Table, folds: list[Split], settings: dict, seed: int) -> np.ndarray:
    """Return each row as the model estimated it that had it in its test part."""
    with tempfile.TemporaryDirectory() as folder:
        training = EnsembleTraining(settings.model.recipe(), table, Path(folder))
        return fold_estimates(training, folds, seed, lambda number: None)["test"].flux


def trees(table: Table, folds: list[Split], settings: dict, seed: int) -> np.ndarray:
    """Return the same of gradient-boosted trees, which stop by the validation part."""
    flux = np.full(table.y.size, np.nan, np.float32)
    for fold in folds:
        flux[fold.test] = boosting(table, fold, seed)[fold.test]
    return flux


METHODS = {"best": best, "boosted trees": trees}


def estimates(cube: xr.Dataset, split: str, method: str, seed: int) -> pd.DataFrame:
    """Return a row for each tower and month: place, month, estimate and flux, umol m-2 s-1."""
    table, folds, settings = folds_of(cube, split, seed)
    flux = METHODS[method](table, folds, settings, seed)
    return pd.DataFrame(
        {
            "site": table.cell,  # the number of its cell tells a tower from others
            "lat": table.lat,
            "lon": table.lon,
            "time": table.time[table.month],
            "igbp": table.biome,
            "estimate": flux,
            "flux": table.y,
        }
    )


def row(pairs: pd.DataFrame, **labels: object) -> dict[str, object]:
    """Return the scores of pairs as a row of the table."""
    found = tower_scores(pairs)
    whole = {name: found["all"][name] for name in ("n", "sites", "r", "rmse", "bias")}
    return {
        **labels,
        **whole,
        "r_site_means": found["site_means"]["r"],
        "r_anomalies": found["anomalies"]["r"],
    }


def compare(
    towers: pd.DataFrame, splits: Sequence[str], seeds: Sequence[int]
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Return the scores of both methods in each split, and the pairs of `best`, first seed."""
    cube, rows, pairs = cube_of(towers), [], {}
    for split in splits:
        for method in METHODS:
            for seed in seeds:
                found = estimates(cube, split, method, seed)
                rows.append(row(found, split=split, method=method, seed=seed))
                print(_line(rows[-1]), flush=True)
                if method == "best" and seed == seeds[0]:
                    pairs[split] = found
    return pd.DataFrame(rows), pairs


def _line(found: dict) -> str:
    scores = ", ".join(
        f"{name} {found[name]:.3f}" for name in ("r", "rmse", "bias", "r_site_means", "r_anomalies")
    )
    return f"{found['split']:>16}  {found['method']:<13} seed {found['seed']}: {scores}"


def figure(table: pd.DataFrame, pairs: dict[str, pd.DataFrame]) -> Figure:
    """Draw r of each split, and estimated against measured NEE of the first split."""
    splits = list(pairs)
    one = pairs[splits[0]]
    about = f"{one['site'].nunique()} towers of North America, {FIRST} to {LAST}"
    with house_style():
        fig = blank_figure(8.6, 4.6)
        heading(
            fig,
            "Monthly NEE of flux towers: who was left out decides the score",
            f"{about}; FLUXNET2015 (Pastorello et al. 2020)",
            "",
        )
        left = fig.add_axes((0.19, 0.14, 0.32, 0.6))
        for place, method in enumerate(METHODS):
            color, _, marker = style.SERIES[place + 1]
            rows = table[table["method"] == method]
            for name, fill, text in (
                ("r", color, method),
                ("r_anomalies", "white", f"{method}, anomalies"),
            ):
                y = [splits.index(split) + 0.2 * place - 0.1 for split in rows["split"]]
                left.scatter(rows[name], y, 34, fill, marker=marker, edgecolors=color, label=text)
        left.set_yticks(range(len(splits)), splits)
        left.set_ylim(len(splits) - 0.5, -0.5)
        left.set(xlabel="r of months not seen; a mark is a seed", xlim=(-0.1, 1))
        left.set_ylabel("left out in turn")
        left.grid(axis="x", linewidth=0.4)
        left.legend(fontsize=7, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2)
        right = fig.add_axes((0.61, 0.14, 0.36, 0.6))
        right.scatter(one["flux"], one["estimate"], 3, style.SERIES[1][0], alpha=0.3, linewidths=0)
        ends = float(one["flux"].min()), float(one["flux"].max())
        right.plot(ends, ends, color=style.INK, linewidth=0.9, label="1:1")
        right.set_xlabel(f"measured NEE ({style.UNITS_TEXT};  ← uptake   release →)")
        right.set_ylabel(f"best, {splits[0]} left out ({style.UNITS_TEXT})")
        right.legend(loc="upper left")
    return fig


def main() -> None:
    """Run the example from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--splits", nargs="+", choices=list(SPLITS), default=list(SPLITS))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    table, pairs = compare(read(), arguments.splits, arguments.seeds)
    write_csv(table, arguments.out / "scores.csv")
    style.save_figure(figure(table, pairs), arguments.out / "scores.png")


if __name__ == "__main__":
    main()
