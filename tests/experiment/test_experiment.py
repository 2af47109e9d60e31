"""The command: its table, a run that is killed, and bad input."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from narcf_geo.budget.totals import monthly_total
from narcf_geo.core.errors import NarcfError
from narcf_geo.evaluation import compare
from narcf_geo.experiment import (
    Experiment,
    leak_worth,
    plan_of,
    run,
    run_experiment,
    summarise,
    write,
)
from narcf_geo.experiment.plan import Case
from narcf_geo.project.project import Project, open_cube

QUICK = ("--epochs", "2", "--preset", "narcf-25,climatology")


@pytest.fixture
def project(tiny_run: Path, copy_of: Callable) -> Path:
    """The tiny project with a truth: its target, moved by a known offset."""
    return copy_of(tiny_run)


def test_the_table_says_what_the_estimates_are(project: Path) -> None:
    opened = Project.open(project)
    plan = Experiment.model_validate(
        {
            "presets": ["climatology", "narcf-25"],
            "also": [
                {"preset": "narcf-25", "protocol": "leaky"},
                {"preset": "narcf-25", "protocol": "shuffled"},
            ],
            "seeds": 2,
            "epochs": 2,
        }
    )
    outcomes = run_experiment(opened, plan)
    assert [o.case for o in outcomes] == plan.cases(opened.settings.seed)
    cube = open_cube(opened).load()
    first = outcomes[0]
    flux = xr.load_dataset(first.estimates)["flux"]
    expected = compare(flux, cube["flux_target"], cube["cell_area"])
    for ours, name in (("r", "r"), ("rmse", "rmse"), ("bias_TgC", "bias_TgC_per_year")):
        assert first.scores[ours] == pytest.approx(expected[name], rel=1e-6)
    assert flux["time"].dt.year.values.tolist() == [2009] * 12
    total = float(monthly_total(flux, cube["cell_area"]).sum())
    assert first.scores["total_TgC"] == pytest.approx(total, rel=1e-5)
    same = cube["flux_reference"].sel(time="2009").where(flux.notnull())
    aligned = compare(same, cube["flux_target"], cube["cell_area"])
    assert first.scores["reference_r"] == pytest.approx(aligned["r"])
    table = summarise(outcomes)
    assert table[["preset", "protocol"]].values.tolist() == [
        ["climatology", "honest"],
        ["narcf-25", "honest"],
        ["narcf-25", "leaky"],
        ["narcf-25", "shuffled"],
    ]
    line = table.iloc[1]
    scores = [o.scores["rmse"] for o in outcomes if o.case.preset == "narcf-25"][:2]
    assert line["rmse"] == pytest.approx(np.mean(scores))
    assert line["rmse_spread"] == pytest.approx(np.std(scores, ddof=1))
    assert np.isnan(table.iloc[2]["total_TgC"])
    worth = leak_worth(table)
    assert worth["r"][0] == pytest.approx(table["r"][2] - table["r"][1])


def test_the_truth_and_the_intervals_of_biome_years(project: Path) -> None:
    settings = project / "narcf.yaml"
    settings.write_text(settings.read_text() + "truth: {source: inversion}\n")
    plan = plan_of(["best"], epochs=3)
    (outcome,) = run_experiment(Project.open(project), plan)
    scores = outcome.scores
    assert scores["truth_rmse"] == pytest.approx(scores["rmse"])
    assert scores["truth_total_TgC"] == pytest.approx(
        scores["total_TgC"] - scores["bias_TgC"], rel=1e-5
    )
    share = scores["biome_years_95"]
    assert share is not None
    assert 0 <= share <= 1
    coverage = scores["coverage_80"]
    assert coverage is not None
    assert 0 < coverage <= 1


def test_folds_are_scored_together(project: Path) -> None:
    plan = Experiment.model_validate(
        {
            "presets": ["climatology", "ridge"],
            "splits": {"years": {"kind": "years"}, "blocks": {"kind": "blocks", "degrees": 2}},
        }
    )
    outcomes = run_experiment(Project.open(project), plan)
    flux = xr.load_dataset(outcomes[0].estimates)["flux"]
    assert flux.sizes["time"] == 36
    assert all("truth_r" not in o.scores for o in outcomes)
    by_split = {(o.case.preset, o.case.split): o.scores["r"] for o in outcomes}
    assert all(value > 0.5 for value in by_split.values())


def test_what_is_finished_is_not_run_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, plan = Project.open(project), plan_of(["climatology", "ridge", "linear"], epochs=1)
    original, fitted = run._Bench._fit, []

    def until(number: int) -> Callable:
        def fit(self: object, case: Case, *args: object) -> object:
            if len(fitted) == number:
                raise NarcfError("stop")
            fitted.append(case.preset)
            return original(self, case, *args)

        return fit

    monkeypatch.setattr(run._Bench, "_fit", until(2))
    with pytest.raises(NarcfError, match="stop"):
        run_experiment(opened, plan)
    monkeypatch.setattr(run._Bench, "_fit", until(9))
    outcomes = run_experiment(opened, plan)
    assert fitted == [o.case.preset for o in outcomes] == ["climatology", "ridge", "linear"]
    again = run_experiment(opened, plan_of(["linear"], epochs=2))
    assert fitted[-1] == "linear"
    assert len(fitted) == 4
    assert again[0].scores["r"] != outcomes[2].scores["r"]


def test_a_killed_run_goes_on(project: Path, cli: Callable) -> None:
    command = Path(sys.executable).with_name("narcf-geo")
    arguments = [
        "experiment",
        "-C",
        project,
        "--preset",
        "climatology,ridge,linear",
        "--epochs",
        "3000",
    ]
    running = subprocess.Popen([command, *arguments], stdout=subprocess.DEVNULL)
    cases = project / "experiment" / "cases"
    deadline = time.monotonic() + 120
    while len(list(cases.glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    finished = {p: p.stat().st_mtime_ns for p in cases.glob("*.json")}
    assert finished
    assert not (project / "experiment" / "table.csv").exists()
    done = cli(*arguments)
    assert done.returncode == 0, done.stderr
    assert finished.items() <= {p: p.stat().st_mtime_ns for p in cases.glob("*.json")}.items()
    table = pd.read_csv(project / "experiment" / "table.csv")
    assert table["preset"].tolist() == ["climatology", "ridge", "linear"]


def test_the_command_writes_its_table_and_what_to_run_again(
    project: Path, in_process: Callable
) -> None:
    done = in_process("experiment", "-C", project, *QUICK, "--seeds", "2")
    assert done.returncode == 0, done.stderr
    assert "climatology" in done.stdout
    assert "CUT to 2 epochs" in done.stdout
    assert "synthetic" in done.stdout
    folder = project / "experiment"
    text = (folder / "table.md").read_text()
    assert "CUT to 2 epochs" in text
    assert "| climatology |" in text
    before = {p: p.stat().st_mtime_ns for p in (folder / "cases").iterdir()}
    again = in_process("experiment", "-C", project, "--file", folder / "settings.yaml")
    assert again.returncode == 0, again.stderr
    assert {p: p.stat().st_mtime_ns for p in (folder / "cases").iterdir()} == before
    assert (folder / "table.md").read_text() == text
    assert yaml.safe_load((folder / "settings.yaml").read_text())["epochs"] == 2
    case = json.loads(next((folder / "cases").glob("*.json")).read_text())
    assert set(case["versions"]) >= {"narcf-geo", "keras", "scikit-learn"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "narfc"], "did you mean 'narcf'"),
        (["--file", "absent.yaml"], "absent.yaml: no such file"),
        (["--file", "bad.yaml"], "bad.yaml:1: presets.0"),
        (["--file", "bad.yaml", "--preset", "all"], "leave --preset"),
        (["--seeds", "0"], "--seeds"),
    ],
)
def test_bad_input(project: Path, in_process: Callable, arguments: list[str], words: str) -> None:
    (project / "bad.yaml").write_text("presets: [narfc]\n")
    paths = [str(project / a) if a.endswith("yaml") else a for a in arguments]
    done = in_process("experiment", "-C", project, *paths)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert not (project / "experiment").exists()


def test_a_leak_that_raises_nothing_is_said_to(tmp_path: Path) -> None:
    line = {"preset": "narcf", "features": "project", "split": "project", "seeds": 1}
    spread = {"r_spread": np.nan, "rmse_spread": np.nan}
    table = pd.DataFrame(
        [
            {**line, "protocol": "honest", "r": 0.90, "rmse": 0.40, **spread},
            {**line, "protocol": "leaky-scaler", "r": 0.89, "rmse": 0.41, **spread},
            {**line, "protocol": "leaky-random", "r": 0.95, "rmse": 0.30, **spread},
            {**line, "protocol": "shuffled", "r": 0.20, "rmse": 0.30, **spread},
        ]
    )
    assert leak_worth(table)["verdict"].tolist() == [
        "does not raise the score",
        "raises it, in one seed",
    ]
    write(tmp_path, plan_of(["narcf"]), table)
    text = (tmp_path / "table.md").read_text()
    assert "| narcf | leaky-random | +0.050 | -0.100 | raises it, in one seed |" in text
    assert "r +0.200, NOT below 0.05" in text
