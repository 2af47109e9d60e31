"""Entries, their templates and their files."""

from __future__ import annotations

from pathlib import Path

import pytest

from narcf_geo.catalog.catalog import Catalog
from narcf_geo.core.errors import NarcfError, UsageError

TEXT = """\
sources:
  a:
    description: x
    driver: netcdf
    args: {urlpath: ["{{ data }}/a_{year:d}.nc", "{{ CATALOG_DIR }}/b.nc"]}
    parameters:
      data: {default: "{{ CATALOG_DIR }}/data"}
    metadata: {role: predictor, companion: "{{ data }}/a_points.nc", url: https://example.org}
  e:
    description: x
    driver: netcdf
    args: {urlpath: "{{ env(TEST_DATA) }}/e.nc"}
    parameters:
      must: {}
    metadata: {role: predictor}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for name in ("data/a_2008.nc", "data/a_2007.nc", "data/other.nc", "b.nc", "data/a_points.nc"):
        (tmp_path / name).touch()
    (tmp_path / "cat.yaml").write_text(TEXT)
    return tmp_path / "cat.yaml"


def test_templates_and_patterns(path: Path) -> None:
    entry = Catalog.open(path)["a"]
    names = [p.name for p in entry.data_files()]
    assert names == ["a_2007.nc", "a_2008.nc", "b.nc"]
    assert entry.files()[-1].name == "a_points.nc"


def test_a_parameter_over_its_default(path: Path, tmp_path: Path) -> None:
    entry = Catalog.open(path, data=str(tmp_path / "else"))["a"]
    with pytest.raises(NarcfError, match=r"'a': expected a file at .*else.*example\.org"):
        entry.files()


def test_the_environment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_DATA", raising=False)
    with pytest.raises(UsageError, match="TEST_DATA is not set"):
        Catalog.open(path)["e"]
    monkeypatch.setenv("TEST_DATA", "/somewhere")
    assert Catalog.open(path)["e"].urlpaths == ("/somewhere/e.nc",)


def test_unknown_parameter_and_missing_companion(path: Path) -> None:
    with pytest.raises(UsageError, match="known: data, must"):
        Catalog.open(path, date="x")
    (path.parent / "data" / "a_points.nc").unlink()
    with pytest.raises(NarcfError, match="companion"):
        Catalog.open(path)["a"].files()


def test_a_value_that_must_be_given(path: Path) -> None:
    path.write_text(TEXT.replace("env(TEST_DATA)", "must"))
    with pytest.raises(UsageError, match="--set must=VALUE"):
        Catalog.open(path)["e"]
    assert Catalog.open(path, must="/x")["e"].urlpaths == ("/x/e.nc",)
