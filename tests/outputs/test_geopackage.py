"""A GeoPackage is whole or not there: GDAL does not say of every write that failed."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import pytest
from shapely.geometry import Point

from narcf_geo.core.errors import NarcfError
from narcf_geo.outputs.geopackage import write_geopackage


def places(number: int) -> gpd.GeoDataFrame:
    points = [Point(-100 + n, 40) for n in range(number)]
    return gpd.GeoDataFrame({"name": [f"p{n}" for n in range(number)]}, geometry=points, crs=4326)


def test_layers_hold_what_was_given(tmp_path: Path) -> None:
    path = write_geopackage({"a": places(3), 'b "x"': places(1)}, tmp_path / "out.gpkg")
    assert [len(pyogrio.read_dataframe(path, layer=name)) for name in ("a", 'b "x"')] == [3, 1]


def test_a_layer_that_lost_a_row_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = gpd.GeoDataFrame.to_file

    def to_file(self: gpd.GeoDataFrame, *args: Any, **kwargs: Any) -> None:
        whole(self.iloc[:-1] if kwargs["layer"] == "b" else self, *args, **kwargs)

    monkeypatch.setattr(gpd.GeoDataFrame, "to_file", to_file)
    with pytest.raises(NarcfError, match=r"out\.gpkg: cannot be written \(layer 'b' has 1 of 2"):
        write_geopackage({"a": places(3), "b": places(2)}, tmp_path / "out.gpkg")
    assert not list(tmp_path.iterdir())


def test_a_file_that_lost_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, files = gpd.GeoDataFrame.to_file, []

    def to_file(self: gpd.GeoDataFrame, file: Path, **kwargs: Any) -> None:
        whole(self, file, **kwargs)
        files.append(file)
        if len(files) == 1:  # as where one write of an extent failed, and GDAL went on
            with sqlite3.connect(file) as database:
                database.execute("UPDATE gpkg_contents SET min_x = 0")
            database.close()

    monkeypatch.setattr(gpd.GeoDataFrame, "to_file", to_file)
    with pytest.raises(NarcfError, match=r"out\.gpkg: cannot be written \(written twice"):
        write_geopackage({"a": places(3)}, tmp_path / "out.gpkg")
    assert not list(tmp_path.iterdir())
