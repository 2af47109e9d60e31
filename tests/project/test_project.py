"""A project as an object: opened by text, shown in words, with parameters of any name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from narcf_geo.catalog.catalog import Catalog
from narcf_geo.core.errors import UsageError
from narcf_geo.core.yamlfile import load
from narcf_geo.project.init import init_project
from narcf_geo.project.presets import PRESETS
from narcf_geo.project.project import Project, open_cube
from narcf_geo.project.settings import Settings


class Place(os.PathLike[str]):
    """A path that is neither a str nor a pathlib.Path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


@pytest.mark.parametrize("kind", [str, Path, Place])
def test_paths_of_any_kind(kind: type, tmp_path: Path) -> None:
    folder = kind(tmp_path / "new")
    assert init_project(folder) == ["narcf.yaml", "data_catalog.yaml", "data/"]
    assert Project.open(folder).directory == tmp_path / "new"
    assert list(Catalog.open(kind(tmp_path / "new" / "data_catalog.yaml")))
    with pytest.raises(UsageError, match="not overwritten"):
        init_project(folder)


def test_catalog_parameters_called_path_and_directory(tiny_inputs: Path, copy_of: Callable) -> None:
    folder = copy_of(tiny_inputs)
    path = folder / "data_catalog.yaml"
    text = path.read_text().replace(
        'urlpath: "{{ data }}/weather.nc"', 'urlpath: "{{ path }}/{{ directory }}/weather.nc"'
    )
    more = "      path: {default: /nowhere}\n      directory: {default: none}\n"
    before = "    metadata:\n      role: predictor\n"
    path.write_text(text.replace(before, more + before, 1))
    values = {"path": str(folder), "directory": "data"}
    assert Catalog.open(path, **values)["weather"].files() == [folder / "data" / "weather.nc"]
    project = Project.open(folder, **values)
    assert project.catalog()["weather"].files() == [folder / "data" / "weather.nc"]
    assert Catalog.open(path)["weather"].urlpaths == ("/nowhere/none/weather.nc",)


def test_a_project_says_what_it_is(tiny_inputs: Path, copy_of: Callable) -> None:
    folder = copy_of(tiny_inputs)
    settings = folder / "narcf.yaml"
    settings.write_text(settings.read_text().replace("A tiny region", "Wet & <b>dry</b>"))
    project = Project.open(folder)
    text = repr(project)
    for part in ("Wet & <b>dry</b>", str(folder), "-100 to -88 degrees east", "temp, R_sw, ndvi"):
        assert part in text
    assert "results     none yet" in text
    (folder / "biomes.zarr").touch()
    assert project.finished == ["biomes"]
    assert "results     biomes" in repr(project)
    page = project._repr_html_()
    assert "Wet &amp; &lt;b&gt;dry&lt;/b&gt;" in page
    assert "<b>" not in page


def test_results_lie_where_the_project_says(tiny_run: Path) -> None:
    from narcf_geo.workflow import STAGES

    assert Project.open(tiny_run).finished == list(STAGES)
    assert dict(open_cube(str(tiny_run)).sizes)["time"] == 36


def test_a_misspelt_preset_names_line_and_known_ones(tiny_inputs: Path, copy_of: Callable) -> None:
    path = copy_of(tiny_inputs) / "narcf.yaml"
    path.write_text(path.read_text().replace("preset: narcf-25", "preset: narcf-52"))
    with pytest.raises(
        UsageError, match=r"narcf\.yaml:\d+: model\.preset: unknown preset"
    ) as error:
        load(path, Settings)
    for name in PRESETS.built_in:
        assert name in str(error.value)


PERIOD_SPLIT = (
    "kind: period\n  train: {start: 2007-01, end: 2007-12}\n  validation: {start: 2008-01, \
end: 2008-12}\n  test: {start: 2009-01, end: 2009-12}"
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"south: 40": "south: 49"}, ["region: expected at least 2 rows", "found 1 x 12"]),
        ({"west: -100": "west: -89"}, ["2 columns of 1 degree", "found 10 x 1"]),
        ({PERIOD_SPLIT: "kind: years", "end: 2009-12}\nland": "end: 2008-12}\nland"},
         ["at least 3 years", "found 2 (2007-01 to 2008-12)"]),
        ({PERIOD_SPLIT: "kind: blocks\n  degrees: 10"}, ["at least 10 blocks", "found 2 of 10"]),
        ({PERIOD_SPLIT: "kind: forward", "end: 2009-12}\nland": "end: 2009-12}\nland"},
         ["at least 4 years", "found 3", "lower train_years"]),
        ({PERIOD_SPLIT: "kind: blocks\n  buffer_km: -5"}, ["buffer_km", "than or equal to 0"]),
        ({PERIOD_SPLIT: "kind: knndm\n  folds: 2"}, ["folds", "greater than or equal to 3"]),
    ],
)  # fmt: skip
def test_a_region_or_period_that_is_too_small_is_refused_first(
    tiny_inputs: Path,
    copy_of: Callable,
    in_process: Callable,
    changes: dict[str, str],
    words: list[str],
) -> None:
    project = copy_of(tiny_inputs)
    settings = project / "narcf.yaml"
    text = settings.read_text()
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    settings.write_text(text)
    before = sorted(project.rglob("*"))
    done = in_process("run", "-C", project)
    assert done.returncode == 2
    for word in ("narcf.yaml", *words):
        assert word in " ".join(done.stderr.split())
    assert sorted(project.rglob("*")) == before


def test_two_rows_of_two_columns_are_enough(tiny_inputs: Path, copy_of: Callable) -> None:
    project = copy_of(tiny_inputs)
    settings = project / "narcf.yaml"
    text = settings.read_text().replace("south: 40, east: -88", "south: 48, east: -98")
    settings.write_text(text)
    assert Project.open(project).target_grid.shape == (2, 2)
