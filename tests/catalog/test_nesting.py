"""Catalogs that hold, extend and override others, typed parameters, and intake on the same file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.catalog.catalog import Catalog
from narcf_geo.core.errors import UsageError

SOURCE = """\
  {name}:
    description: {description}
    driver: netcdf
    args: {{urlpath: "{{{{ CATALOG_DIR }}}}/{file}"}}
    metadata: {{role: predictor}}
"""


def source(name: str, file: str, description: str = "x") -> str:
    return SOURCE.format(name=name, file=file, description=description)


def test_nested_catalogs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.yaml").write_text("sources:\n" + source("air", "air.nc"))
    monkeypatch.setenv("DEEP", str(tmp_path / "deep"))
    nest = "  {}:\n    driver: yaml_file_cat\n    args: {{path: '{}'}}\n"
    (tmp_path / "a.yaml").write_text(
        "sources:\n"
        + nest.format("one", "{{ CATALOG_DIR }}/deep/b.yaml")
        + nest.format("two", "{{ env(DEEP) }}/b.yaml")
        + source("air", "own.nc")
    )
    catalog = Catalog.open(tmp_path / "a.yaml")
    assert list(catalog) == ["one.air", "two.air", "air"]
    assert catalog["one.air"].urlpaths == (str(tmp_path / "deep" / "air.nc"),)
    assert catalog["air"].urlpaths == (str(tmp_path / "own.nc"),)
    assert catalog["two.air"].where() == f"{tmp_path}/deep/b.yaml:2: source 'two.air'"


def test_a_catalog_over_others(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("sources:\n" + source("a", "a.nc") + source("b", "b.nc"))
    (tmp_path / "mine.yaml").write_text(
        "metadata: {extends: base.yaml}\nsources:\n" + source("b", "mine.nc", "mine")
    )
    catalog = Catalog.open(tmp_path / "mine.yaml")
    assert set(catalog) == {"a", "b"}
    assert catalog["b"].source.description == "mine"
    assert catalog["a"].catalog_path.name == "base.yaml"


def test_a_catalog_over_the_packaged_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("metadata: {extends: packaged}\nsources:\n" + source("narr", "mine.nc"))
    catalog = Catalog.open(path, data=str(tmp_path))
    assert catalog["narr"].urlpaths == (str(tmp_path / "mine.nc"),)
    assert catalog["carbontracker"].urlpaths[0].startswith(str(tmp_path))
    # The land cover comes with the package, whatever folder the other data are in.
    assert catalog["igbp_2019"].files()[0].stat().st_size > 1e6


def test_every_packaged_product_is_described() -> None:
    catalog = Catalog.open()
    assert len(catalog) >= 10
    for entry in catalog.values():
        metadata = entry.metadata
        assert metadata.url or metadata.doi or entry.name == "geoinv"
        assert metadata.variables or metadata.role == "landcover"
    assert catalog["carbontracker"].metadata.fetch.urls()[-1].endswith("flux1x1.201512.nc")  # type: ignore[union-attr]
    assert len(catalog["narr"].metadata.fetch.urls()) == len(catalog["narr"].urlpaths)  # type: ignore[union-attr]


TYPED = """\
sources:
  a:
    description: x
    driver: netcdf
    args: {urlpath: "/data/a_{{ level }}_{{ kind }}.nc"}
    parameters:
      level: {type: int, default: 850}
      kind: {default: mean, allowed: [mean, max]}
    metadata: {role: predictor}
"""


def test_typed_parameters(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(TYPED)
    assert Catalog.open(path)["a"].urlpaths == ("/data/a_850_mean.nc",)
    assert Catalog.open(path, level="500", kind="max")["a"].urlpaths == ("/data/a_500_max.nc",)
    with pytest.raises(UsageError, match=r"c\.yaml:2: .*'level' is to be of type int"):
        Catalog.open(path, level="high")["a"]
    with pytest.raises(UsageError, match="'kind' may be mean, max; found 'min'"):
        Catalog.open(path, kind="min")["a"]
    path.write_text(TYPED.replace("default: mean, allowed: [mean, max]", "default: '{{ kind }}'"))
    with pytest.raises(UsageError, match="'kind' is made of itself"):
        Catalog.open(path)["a"]


def test_patterns(tmp_path: Path) -> None:
    folder = tmp_path / "odd [1]*"
    folder.mkdir()
    for name in ("a_2007.nc", "a_2008.nc", "a_late.nc", "a_20081.nc"):
        (folder / name).touch()
    (folder / "c.yaml").write_text("sources:\n" + source("a", "a_{year}.nc"))
    files = Catalog.open(folder / "c.yaml")["a"].files()
    assert [p.name for p in files] == ["a_2007.nc", "a_2008.nc"]
    (folder / "c.yaml").write_text("sources:\n" + source("a", "a_{what}.nc"))
    assert len(Catalog.open(folder / "c.yaml")["a"].files()) == 4


def test_the_same_file_opens_in_intake(tmp_path: Path) -> None:
    intake = pytest.importorskip("intake", reason="the extra intake is not installed")
    pytest.importorskip("intake_xarray", reason="the extra intake is not installed")
    time = pd.date_range("2007-01-01", periods=2, freq="MS")
    values = 280 + np.arange(12, dtype="float32").reshape(2, 2, 3)
    xr.Dataset(
        {"air": (("time", "lat", "lon"), values, {"units": "K"})},
        coords={"time": time, "lat": [40.0, 41.0], "lon": [5.0, 6.0, 7.0]},
    ).to_netcdf(tmp_path / "air.nc")
    text = "sources:\n" + source("air", "air.nc").replace(
        'air.nc"}', 'air.nc", xarray_kwargs: {engine: netcdf4}}'
    ).replace("predictor}", "predictor, variables: {temp: {name: air}}}")
    (tmp_path / "inner.yaml").write_text(text)
    (tmp_path / "c.yaml").write_text(
        text
        + "  inner:\n    driver: yaml_file_cat\n    args: {path: '{{ CATALOG_DIR }}/inner.yaml'}\n"
    )
    theirs = intake.open_catalog(str(tmp_path / "c.yaml"))
    ours = Catalog.open(tmp_path / "c.yaml")
    np.testing.assert_array_equal(theirs.air.read()["air"], values)
    np.testing.assert_allclose(ours["air"].read()["temp"], values - 273.15, atol=1e-4)
    np.testing.assert_array_equal(theirs["inner"]["air"].read()["air"], values)
    np.testing.assert_allclose(ours["inner.air"].read()["temp"], values - 273.15, atol=1e-4)


def test_the_packaged_catalog_opens_in_intake() -> None:
    intake = pytest.importorskip("intake", reason="the extra intake is not installed")
    from narcf_geo.catalog.catalog import PACKAGED

    assert set(intake.open_catalog(str(PACKAGED))) == set(Catalog.open())
