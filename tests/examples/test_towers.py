"""The example with flux towers: what it reads, who is left out, and what it promises."""

from __future__ import annotations

import gzip
import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "towers"
FEW = ["US-Ne3", "US-GBT", "CA-Man", "US-Var", "US-GLE", "US-UMB", "US-WCr", "US-Wkg", "US-Atq"]


@pytest.fixture(scope="module")
def towers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("towers_example", FOLDER / "towers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_and_its_notice() -> None:
    with gzip.open(FOLDER / "towers.csv.gz", "rt") as file:
        table = pd.read_csv(file)
    assert table["site"].nunique() == 85
    assert len(table) == 7056
    notice = (FOLDER / "NOTICE").read_text()
    assert "CC-BY-4.0" in notice
    assert "10.1038/s41597-020-0534-3" in notice
    assert all(site in notice for site in table["site"].unique())


def test_each_tower_is_a_cell_of_its_own_with_its_months(towers: ModuleType) -> None:
    rows = towers.read(sites=FEW)
    cube = towers.cube_of(rows)
    assert int((cube["biome"] >= 0).sum()) == len(FEW)  # US-GBT and US-GLE state one place
    raw = pd.read_csv(FOLDER / "towers.csv.gz").set_index(["site", "month"])
    year = raw.index.get_level_values("month").str[:4].astype(int)
    good = raw[(raw["share_good"] >= 0.5) & (year >= 2001)].loc[FEW]
    assert int(cube["flux"].notnull().sum()) == len(good)
    # Weather is there in months without a good flux, and before 2001.
    assert int(cube["vpd"].notnull().sum()) == len(raw.loc[FEW]) > len(good)
    at = {"lat": 41.18, "lon": -96.438, "time": "2005-07-01"}
    here = cube.sel(at)
    expected = raw.loc[("US-Ne3", "2005-07")]
    assert here["flux"].item() == expected["nee_umol_m2_s"]
    assert here["radiation"].item() == expected["sw_in_W_m2"]
    table, _, _ = towers.folds_of(cube, "years", 1)
    row = (table.cell == table.cell[np.argmin(abs(table.y - here["flux"].item()))]) & (
        table.time[table.month] == pd.Timestamp("2005-07-01")
    )
    before = table.features.names.index("radiation_2_before")
    assert table.x[row, before].item() == pytest.approx(
        raw.loc[("US-Ne3", "2005-05"), "sw_in_W_m2"], rel=1e-6
    )


def test_who_is_left_out_was_not_learned_from(towers: ModuleType) -> None:
    cube = towers.cube_of(towers.read())
    label = {
        "blocks": lambda t: np.floor(t.lat / 10) * 100 + np.floor(t.lon / 10),
        "sites": lambda t: t.cell,
        "vegetation types": lambda t: t.biome,
        "years": lambda t: t.year,
    }
    for split in towers.SPLITS:
        table, folds, _ = towers.folds_of(cube, split, 1)
        tested = np.concatenate([fold.test for fold in folds])
        assert np.array_equal(np.sort(tested), np.arange(table.y.size))
        of_row = label.get(split, label["sites"])(table)
        shared = [np.intersect1d(of_row[f.train], of_row[f.test]).size for f in folds]
        # The control: random months share their tower with those learned from.
        assert any(shared) == (split == "random")


def test_a_small_part_runs(
    towers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        towers, "MODEL", {"preset": "best", "epochs": 2, "members": 1, "halves": False}
    )
    monkeypatch.setattr(
        towers, "SPLITS", {"sites": {"kind": "blocks", "degrees": 1e-4, "folds": 3}}
    )
    table, pairs = towers.compare(towers.read(sites=FEW), ["sites"], [4])
    assert table["method"].tolist() == ["best", "boosted trees"]
    assert (table["n"] == len(pairs["sites"])).all()
    both = pairs["sites"]
    assert table["r"][0] == pytest.approx(both["estimate"].corr(both["flux"]), rel=1e-6)
    assert table["bias"][0] == pytest.approx((both["estimate"] - both["flux"]).mean(), abs=1e-6)
    towers.style.save_figure(towers.figure(table, pairs), tmp_path / "scores.png")
    assert (tmp_path / "scores.png").stat().st_size > 10_000


@pytest.mark.slow
def test_it_is_as_good_as_promised(tmp_path: Path) -> None:
    began = time.process_time(), time.monotonic()
    subprocess.run([sys.executable, FOLDER / "towers.py", tmp_path], check=True)
    assert time.monotonic() - began[1] < 1800
    table = pd.read_csv(tmp_path / "scores.csv").set_index(["method", "split"])
    assert (tmp_path / "scores.png").exists()
    ours, trees = table.loc["best"], table.loc["boosted trees"]
    assert (ours["n"] == 5334).all()
    assert ours.loc["blocks", "r"] >= 0.58
    assert ours.loc["sites", "r"] >= 0.73
    # The leak: what was seen of a tower shows in random months.
    assert ours.loc["random", "r"] > ours.loc["sites", "r"] > ours.loc["blocks", "r"]
    assert (ours["r"] - trees["r"]).loc[["blocks", "sites"]].min() > -0.02
