"""The commands themselves: help that is quick, init, the catalog."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from narcf_geo.catalog.catalog import PACKAGED, Catalog
from narcf_geo.project.project import Project

SAMPLE = PACKAGED.parent / "data" / "sample"

_HELP = """
import sys, json
sys.argv = ["narcf-geo", *{arguments}]
from narcf_geo.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"numpy", "xarray", "pandas", "dask", "tensorflow", "keras", "matplotlib",
         "cartopy", "geopandas", "distributed", "numba"}}
print("LOADED", json.dumps(sorted(heavy & set(sys.modules))))
"""


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["catalog", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _HELP.format(arguments=arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert " ".join(["Usage: narcf-geo", *arguments[:-1], "["]) in done.stdout
    assert json.loads(done.stdout.rpartition("LOADED ")[2]) == []


@pytest.mark.parametrize(
    ("line", "loaded"),
    [("import numpy", ["numpy"]), ("import narcf_geo.grid", ["numpy", "pandas", "xarray"])],
)
def test_the_check_of_imports_sees_an_import(line: str, loaded: list[str]) -> None:
    code = _HELP.format(arguments=["--help"]).replace("try:", f"{line}\ntry:", 1)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(loaded) <= set(json.loads(done.stdout.rpartition("LOADED ")[2]))
    assert "tensorflow" not in done.stdout


def test_every_command_is_there(in_process: Callable) -> None:
    text = in_process("--help").stdout
    for name in (
        "init",
        "run",
        "catalog",
        "regrid",
        "biomes",
        "train",
        "predict",
        "evaluate",
        "map",
        "report",
    ):
        assert f" {name} " in text


def test_version(in_process: Callable) -> None:
    from narcf_geo.core.provenance import VERSION

    assert in_process("--version").stdout.strip() == f"narcf-geo {VERSION}"


def test_init_writes_a_project_that_opens(in_process: Callable, tmp_path: Path) -> None:
    done = in_process("init", tmp_path / "new")
    assert done.returncode == 0, done.stderr
    project = Project.open(tmp_path / "new")
    assert project.catalog()["igbp_2019"].files()[0].stat().st_size > 1e6
    assert set(project.sources()) <= set(project.catalog())
    listed = in_process("catalog", "list", "-C", tmp_path / "new")
    assert listed.returncode == 0
    for name in project.catalog():
        assert name in listed.stdout


def test_packaged_templates_fit_the_schema() -> None:
    catalog = Catalog.open()
    assert {"narr", "carbontracker", "geoinv", "igbp_2019"} <= set(catalog)
    for entry in catalog.values():
        assert entry.source.description
        assert entry.urlpaths
    project = Project.open(SAMPLE)
    wanted = project.sources()
    assert {"narr", "sif", "vegetation", "inversion", "fluxcom", "truth"} == set(wanted)
    assert project.target_grid.shape == (60, 120)


def test_catalog_check_and_show(in_process: Callable, tiny_inputs: Path, copy_of: Callable) -> None:
    project = copy_of(tiny_inputs)
    assert in_process("catalog", "check", "-C", project).returncode == 0
    shown = in_process("catalog", "show", "inversion", "-C", project)
    assert "umol m-2 s-1" in shown.stdout
    assert "2007-01 to 2009-12, 36 months" in shown.stdout
    text = (project / "data_catalog.yaml").read_text()
    (project / "data_catalog.yaml").write_text(
        text.replace("{name: sink}", "{name: sink, scale: 1.0e6}")
    )
    wrong = in_process("catalog", "check", "-C", project)
    assert wrong.returncode == 1
    assert "1 of 5 sources" in wrong.stdout
    assert "units:" in wrong.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seed", "3"], "--seed: expected --sample beside it"),
        (["--difficulty", "hard", "--seed", "3"], "--seed and --difficulty: expected --sample"),
        (["--sample", "--difficulty", "odd"], "difficulty 'odd' of the sample is not known"),
    ],
)
def test_init_refuses_a_twin_that_is_none(
    in_process: Callable, tmp_path: Path, arguments: list[str], words: str
) -> None:
    done = in_process("init", tmp_path / "new", *arguments)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert not (tmp_path / "new").exists()
