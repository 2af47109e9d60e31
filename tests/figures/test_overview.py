from __future__ import annotations

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.budget.totals import grid_area, mean_over_months, summarise
from narcf_geo.figures import draw, landcover, maps
from narcf_geo.figures.overview import Overview, majority
from narcf_geo.figures.style import summary_lines
from narcf_geo.grid import Grid


@pytest.fixture(scope="module")
def fine() -> xr.DataArray:
    """Two years of 0.1 degree, 45 by 40 degrees, land in the west; made chunk by chunk."""
    grid = Grid.regular(-120, 20, -75, 60, 0.1)
    draws = da.random.default_rng(4).normal(-1, 2, size=(24, 400, 450), chunks=(12, 256, 256))
    flux = xr.DataArray(
        draws.astype("float32"),
        {
            "time": pd.date_range("2014-01", periods=24, freq="MS"),
            "lat": grid.lat,
            "lon": grid.lon,
        },
        ("time", "lat", "lon"),
        name="flux",
        attrs={"units": "umol m-2 s-1"},
    )
    return flux.where(flux["lon"] < -90)


def meshes(figure):
    return [m for ax in figure.axes for m in ax.collections if m.get_array() is not None]


@pytest.mark.parametrize("factor", [1, 2, 7, 1000])
def test_totals_of_blocks_are_those_of_the_cells(fine, factor):
    field, area = mean_over_months(fine), grid_area(fine)
    whole = Overview.by(field, area, Grid.from_dataset(field), factor)
    blocks, cells = summarise(whole.values, whole.area), summarise(field.compute(), area)
    assert blocks.total == pytest.approx(cells.total, rel=1e-6)
    assert blocks.mean == pytest.approx(cells.mean, rel=1e-6)
    assert whole.grid.extent == pytest.approx(Grid.from_dataset(field).extent)
    assert whole.values.shape == whole.grid.shape == tuple(-(-n // factor) for n in field.shape)
    # The control: a mean that knows no areas.
    plain = field.coarsen(lat=7, lon=7, boundary="pad").mean().mean()
    assert factor != 7 or abs(float(plain) - cells.mean) > 1e-5 * abs(cells.mean)


def test_cells_finer_than_pixels_are_drawn_as_their_mean(fine):
    year = fine.sel(time="2014")
    figure = maps.month_panel(year)
    panels = meshes(figure)[:12]
    # 450 columns, and panels of 450 pixels.
    assert {m.get_array().shape for m in panels} == {(400, 450)}
    wide = year.isel(lat=slice(0, 100)).reindex(
        lon=np.arange(-119.975, -75, 0.05), method="nearest"
    )
    figure = maps.month_panel(wide)
    panels = meshes(figure)[:12]
    assert {m.get_array().shape for m in panels} == {(50, 450)}
    text = [t.get_text() for ax in figure.axes for t in (ax.title, ax._right_title)]
    summary = summarise(wide[6].compute(), grid_area(wide), 31.0)
    mean, total = summary_lines(summary)
    assert any(mean.split()[0] in t and total.split()[0] in t for t in text)


def test_a_chunked_flux_is_drawn_as_one_in_memory(america):
    flux = america["flux"]
    whole, lazy = (maps.season_panel(f) for f in (flux, flux.chunk(time=5, lat=13, lon=17)))
    for one, other in zip(meshes(whole), meshes(lazy), strict=True):
        np.testing.assert_allclose(one.get_array(), other.get_array(), rtol=1e-5)
    texts = [[t.get_text() for ax in f.axes for t in ax.texts] for f in (whole, lazy)]
    assert texts[0] == texts[1]


def test_a_store_in_many_chunks_is_drawn_as_one_in_memory(america, monkeypatch):
    """Variables with and without months are read in blocks of different sizes."""
    monkeypatch.setattr(draw, "BLOCK", "64KiB")
    year = america.sel(time="2015")
    year = year.assign(flux_std=abs(year["flux"]).assign_attrs(year["flux"].attrs))
    for kind in ("mean", "months", "uncertainty", "biomes"):
        figures = [draw.plot_map(ds, kind) for ds in (year, year.chunk(time=5, lat=13, lon=17))]
        for one, other in zip(*map(meshes, figures), strict=True):
            np.testing.assert_allclose(one.get_array(), other.get_array(), rtol=1e-5)
        texts = [[t.get_text() for ax in f.axes for t in ax.texts] for f in figures]
        assert texts[0] == texts[1]


def test_the_class_that_covers_most_of_a_block_is_drawn():
    classes = np.array([[1, 1, 2, -1], [2, 1, -1, -1], [5, 4, -1, -1]])
    area = np.array([[1.0, 1, 1, 1], [9, 1, 1, 1], [2, 2, 2, 2]])
    np.testing.assert_array_equal(majority(classes, area, 2), [[2, 2], [4, -1]])
    np.testing.assert_array_equal(majority(classes, area, 1), classes)


def test_biomes_of_a_fine_grid_keep_their_shares():
    grid = Grid.regular(0, 30, 120, 60, 0.05)
    number = np.where(grid.lon < 30, 4, 12) * np.ones((grid.shape[0], 1), int)
    number[:, grid.lon > 80] = -1
    biome = xr.DataArray(number, {"lat": grid.lat, "lon": grid.lon}, ("lat", "lon"))
    figure = landcover.biome_map(biome)
    (mesh,) = meshes(figure)
    assert mesh.get_array().shape == (300, 1200)
    labels = [t.get_text() for t in figure.legends[0].get_texts()]
    assert [label.split(", ")[-1] for label in labels] == ["37.5 %", "62.5 %"]
