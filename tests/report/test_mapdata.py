from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import re

import numpy as np
import pytest

from narcf_geo.core.errors import NarcfError
from narcf_geo.report import interactive_map, mapdata, write_report


def unpacked(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), kind)


def test_the_cell_under_a_pixel_is_the_cell_there(america):
    from narcf_geo.figures.panels import fitted_view

    flux = america["flux"].isel(time=slice(0, 2))
    data = interactive_map({"Estimate": flux}, america["biome"])
    pixels = unpacked(data["pixels"], "<u2").reshape(data["height"], data["width"])
    values = unpacked(data["fields"][0]["values"], "<i2").reshape(2, -1)
    view = fitted_view(flux)
    left, right, bottom, top = view.window
    for lon, lat in [(-120.5, 60.5), (-75.4, 45.6), (-99.6, 20.4), (-150.5, 65.5)]:
        x, y = view.project(np.array([lon]), np.array([lat]))
        column = int((x[0] - left) / (right - left) * data["width"])
        row = int((top - y[0]) / (top - bottom) * data["height"])
        cell = pixels[row, column]
        assert (abs(data["lon"][cell] - lon) <= 0.5) & (abs(data["lat"][cell] - lat) <= 0.5)
        truth = flux.sel(lon=lon, lat=lat, method="nearest").values
        np.testing.assert_allclose(values[:, cell] * data["step"], truth, atol=0.0026)
        here = america["biome"].sel(lon=lon, lat=lat, method="nearest")
        assert data["biome"][cell] == int(here)
    assert pixels[0, 0] == 65535, "a corner of sea"


def test_missing_stays_missing_and_large_regions_keep_the_last_months(america, monkeypatch):
    flux = america["flux"].copy()
    flux[-1, 50, 60] = np.nan
    count = int(flux.notnull().any("time").sum())
    monkeypatch.setattr(mapdata, "_MOST_VALUES", 3 * count)
    data = interactive_map({"Estimate": flux}, america["biome"])
    assert data["months"] == ["2015-10", "2015-11", "2015-12"]
    assert data["cropped"]
    values = unpacked(data["fields"][0]["values"], "<i2").reshape(3, -1)
    assert (values[2] == data["missing"]).sum() == 1
    with pytest.raises(NarcfError, match="at least one cell"):
        interactive_map({"Estimate": flux * np.nan}, america["biome"])


def test_the_page_holds_the_map_and_what_moves_it(small_prediction, context, tmp_path):
    data = interactive_map({"Estimate": small_prediction["flux"]}, small_prediction["biome"])
    page = write_report(tmp_path / "a.html", dataclasses.replace(context, map=data))
    text = page.read_text(encoding="utf-8")
    held = re.search(r'id="map-data">(.*?)</script>', text, re.DOTALL)[1]
    assert json.loads(held) == data
    assert 'type="range" id="map-month" min="0" max="3"' in text
    assert "map-month" not in write_report(tmp_path / "b.html", context).read_text("utf-8")
