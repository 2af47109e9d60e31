from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import re

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from narcf_geo.budget.totals import grid_area
from narcf_geo.core.errors import NarcfError
from narcf_geo.figures.basemap import View, natural_earth
from narcf_geo.grid import Grid
from narcf_geo.report import ReportFigure, interactive_map, mapdata, write_report


def unpacked(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), kind)


def test_the_cell_under_a_pixel_is_the_cell_there(america):
    flux = america["flux"].isel(time=slice(0, 2))
    data = interactive_map({"Estimate": flux}, america["biome"])
    pixels = unpacked(data["pixels"], "<u2").reshape(data["height"], data["width"])
    values = unpacked(data["fields"][0]["values"], "<i2").reshape(2, -1)
    view = View.of(Grid.from_dataset(flux), flux.notnull().any("time").values)
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


def test_missing_stays_missing(america):
    flux = america["flux"].copy()
    flux[-1, 50, 60] = np.nan
    data = interactive_map({"Estimate": flux}, america["biome"])
    values = unpacked(data["fields"][0]["values"], "<i2").reshape(flux.sizes["time"], -1)
    assert (values[-1] == data["missing"]).sum() == 1
    assert data["resolution"] == ""
    with pytest.raises(NarcfError, match="at least one cell"):
        interactive_map({"Estimate": flux * np.nan}, america["biome"])


def test_a_large_region_is_drawn_in_blocks_with_all_months(america, monkeypatch):
    flux = america["flux"].isel(time=slice(0, 3)).copy()
    flux[2, 50, 60] = np.nan
    whole = interactive_map({"Estimate": flux}, america["biome"])
    monkeypatch.setattr(mapdata, "_MOST_VALUES", 3 * len(whole["lon"]) // 6)
    data = interactive_map({"Estimate": flux}, america["biome"])
    assert data["months"] == whole["months"]
    assert data["resolution"] == "3 degree"
    cells = len(data["lon"])
    assert len(whole["lon"]) / 12 < cells < len(whole["lon"]) / 6
    values = unpacked(data["fields"][0]["values"], "<i2").reshape(3, -1) * data["step"]
    area = grid_area(flux)
    grid = Grid.from_dataset(flux)
    for cell in (0, cells // 3, cells - 1):
        # The block, found from its middle by its edges alone.
        inside = {
            name: abs(flux[name] - middle) < 1.5
            for name, middle in (("lon", data["lon"][cell]), ("lat", data["lat"][cell]))
        }
        block = flux.sel({name: chosen.values for name, chosen in inside.items()})
        mean = block.weighted(area.sel(lat=block["lat"], lon=block["lon"])).mean(["lat", "lon"])
        np.testing.assert_allclose(values[:, cell], mean, atol=0.0026)
    pixels = unpacked(data["pixels"], "<u2")
    assert set(np.unique(pixels)) == {*range(cells), 65535}
    assert grid.extent[2] < min(data["lon"])
    # A chunked field gives the same.
    lazy = flux.chunk(time=1, lat=7, lon=11)
    assert interactive_map({"Estimate": lazy}, america["biome"]) == data


def test_the_page_of_half_a_degree_of_the_globe_is_small(context, tmp_path):
    """84,000 land cells, nine years, three products, and figures of noise."""
    grid = Grid.regular(-180, -90, 180, 90, 0.5)
    months = pd.date_range("2007-01", periods=108, freq="MS")
    land = xr.DataArray(land_of(grid), {"lat": grid.lat, "lon": grid.lon}, ("lat", "lon"))
    assert 80_000 < int(land.sum()) < 90_000
    draws = da.random.default_rng(1).normal(size=(108, 360, 720), chunks=(12, 256, 256))
    noise = xr.DataArray(
        draws.astype("float32"),
        {"time": months, "lat": grid.lat, "lon": grid.lon},
        ("time", "lat", "lon"),
        attrs={"units": "umol m-2 s-1"},
    ).where(land)
    fields = {name: noise * scale for name, scale in (("Estimate", 2), ("A", 3), ("B", 1))}
    data = interactive_map(fields, xr.where(land, 12, -1))
    assert data["months"] == months.strftime("%Y-%m").tolist()
    assert data["resolution"] == "2.5 degree"
    rng = np.random.default_rng(3)
    figures = []
    for number in range(12):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (300, 1440), "uint8")).save(path)
        figures.append(ReportFigure(f"Figure {number}", "A picture of noise", path))
    page = write_report(
        tmp_path / "index.html", dataclasses.replace(context, map=data, figures=figures)
    )
    assert page.stat().st_size < 6e6
    assert "drawn at 2.5 degree" in page.read_text("utf-8")


def land_of(grid: Grid) -> np.ndarray:
    """Return whether the middle of a cell lies on land."""
    from rasterio.features import rasterize
    from rasterio.transform import from_bounds

    ny, nx = grid.shape
    south, north, west, east = grid.extent
    where = from_bounds(west, south, east, north, nx, ny)
    shapes = natural_earth("land", "50m")
    return rasterize(shapes, (ny, nx), transform=where)[::-1].astype(bool)


def test_the_page_holds_the_map_and_what_moves_it(small_prediction, context, tmp_path):
    data = interactive_map({"Estimate": small_prediction["flux"]}, small_prediction["biome"])
    page = write_report(tmp_path / "a.html", dataclasses.replace(context, map=data))
    text = page.read_text(encoding="utf-8")
    held = re.search(r'id="map-data">(.*?)</script>', text, re.DOTALL)[1]
    assert json.loads(held) == data
    assert 'type="range" id="map-month" min="0" max="3"' in text
    assert "map-month" not in write_report(tmp_path / "b.html", context).read_text("utf-8")
