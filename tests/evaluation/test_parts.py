"""Seasons, years, regions and common masks against scores of rows picked by hand."""

from __future__ import annotations

import warnings
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import xarray as xr
from places import cells, east_first, like_a_map, like_an_inversion, monthly, sorted_cells
from shapely.geometry import Polygon, box
from sklearn.metrics import mean_squared_error

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.core.errors import GridMismatchError, UsageError
from narcf_geo.evaluation import (
    by_biome,
    by_month,
    by_region,
    by_season,
    by_year,
    compare,
    compare_on_common,
)
from narcf_geo.grid import Grid

GRID = Grid.regular(-100, 30, -96, 60, (1, 10))
AREA = like_a_map(cells(GRID.area, GRID.lat, GRID.lon, units="m2"))


@pytest.fixture
def fluxes() -> tuple[xr.DataArray, xr.DataArray]:
    """Rows of the first run north to south, columns of the second east to west."""
    rng = np.random.default_rng(6)
    observed = rng.normal(0, 1, (16, 3, 4))
    estimate = 0.8 * observed + np.arange(4) / 5 + rng.normal(0.2, 0.4, observed.shape)
    observed[:, 0, 0] = np.nan
    estimate[3] = np.nan
    first, second = (
        monthly(values, "2007-11", "2009-02", GRID.lat, GRID.lon) for values in (estimate, observed)
    )
    return like_an_inversion(first), east_first(second)


def rmse(estimate: np.ndarray, observed: np.ndarray, weight: np.ndarray) -> float:
    known = np.isfinite(estimate) & np.isfinite(observed) & (weight > 0)
    values = observed[known], estimate[known]
    return float(np.sqrt(mean_squared_error(*values, sample_weight=weight[known])))


def test_seasons_and_years_are_sets_of_months(fluxes: tuple) -> None:
    estimate, observed = fluxes
    e, o = (sorted_cells(flux).values for flux in fluxes)
    whole = compare(estimate, observed, AREA)
    seasons, years = by_season(estimate, observed, AREA), by_year(estimate, observed, AREA)
    assert list(seasons) == ["DJF", "MAM", "JJA", "SON"]
    assert list(years) == ["2007", "2008", "2009"]
    for parts in (seasons, years):
        assert sum(part["n"] for part in parts.values()) == whole["n"]
        squares = sum(part["n"] * part["rmse"] ** 2 for part in parts.values())
        # Each month has as many cells of each row, so that the parts add up.
        assert squares == pytest.approx(whole["n"] * whole["rmse"] ** 2, rel=1e-9)
    weight = np.broadcast_to(GRID.area, e.shape)
    months = estimate["time"].dt.month.values
    winter = np.isin(months, [12, 1, 2])
    expected = rmse(e[winter], o[winter], weight[winter])
    assert seasons["DJF"]["rmse"] == pytest.approx(expected, abs=1e-9)
    assert seasons["DJF"]["period"] == ["2007-12", "2009-02"]
    # The control: the season that begins a month later has another score.
    late = np.isin(months, [1, 2, 3])
    assert abs(rmse(e[late], o[late], weight[late]) - expected) > 1e-3
    # So have cells that are paired by position.
    by_position = rmse(estimate.values[winter], observed.values[winter], weight[winter])
    assert abs(by_position - expected) > 1e-1
    assert by_season(estimate[:1], observed, AREA).keys() == {"SON"}


def test_weights_by_hand() -> None:
    place = ([10.0, 70.0], [0.0])
    area = like_a_map(cells([[3e12], [1e12]], *place, units="m2"))
    observed = monthly(np.zeros((2, 1)), "2010-01", "2010-02", *place)
    estimate = like_an_inversion(monthly([[2.0], [-2.0]], "2010-01", "2010-02", *place))
    found = compare(estimate, observed, area)
    assert found["bias"] == pytest.approx((3 * 2 - 2) / 4, abs=1e-12)
    assert found["rmse"] == pytest.approx(2, abs=1e-12)
    assert found["ubrmse"] == pytest.approx(np.sqrt(4 - 1), abs=1e-12)
    seconds = (31 + 28) * 86400
    expected = (3e12 * 2 - 1e12 * 2) * seconds * 1e-6 * 12.011 * 1e-12 * 12 / 2
    assert found["bias_TgC_per_year"] == pytest.approx(expected, rel=1e-12)
    # The control: with equal areas the two errors cancel.
    assert compare(estimate, observed, xr.ones_like(area))["bias"] == pytest.approx(0, abs=1e-12)


def test_regions_count_cells_by_the_part_inside(fluxes: tuple) -> None:
    estimate, observed = fluxes
    # Two and a half columns and, of the rows, half of the middle one by area.
    top = np.rad2deg(np.arcsin((np.sin(np.deg2rad(40)) + np.sin(np.deg2rad(50))) / 2))
    regions = gpd.GeoDataFrame(
        {"NAME": ["west", "far", "isles", "isles"]},
        geometry=[
            box(-100, 30, -97.5, top),
            box(20, 0, 30, 10),
            box(-100, 30, -99, 40),
            box(-97, 50, -96, 60),
        ],
        crs="EPSG:4326",
    )
    found = by_region(estimate, observed, AREA, regions)
    assert list(found) == ["west", "far", "isles"]
    share = np.outer([1, 0.5, 0], [1, 1, 0.5, 0])
    e, o = (sorted_cells(flux).values for flux in fluxes)
    weight = np.broadcast_to(GRID.area * share, e.shape)
    expected = rmse(e, o, weight)
    assert found["west"]["rmse"] == pytest.approx(expected, rel=1e-6)
    assert found["west"]["n"] == 15 * 5
    band = np.sin(np.deg2rad([30, top])) * EARTH_RADIUS**2 * np.deg2rad(2.5)
    assert found["west"]["area_km2"] == pytest.approx(np.diff(band)[0] / 1e6, rel=1e-6)
    assert found["far"]["n"] == 0
    assert found["isles"]["n"] == 15
    alone = compare(
        estimate.sel(lat=[55], lon=[263.5]),
        observed.sel(lat=[55], lon=[-96.5]),
        AREA.sel(latitude=[55], longitude=[-96.5]),
    )
    assert found["isles"]["rmse"] == pytest.approx(alone["rmse"], rel=1e-9)
    # The control: whole cells wherever the polygon touches them give another score.
    whole = np.broadcast_to(GRID.area * (share > 0), e.shape)
    assert abs(rmse(e, o, whole) - expected) > 1e-4


def test_regions_of_any_kind(fluxes: tuple, tmp_path: Any) -> None:
    estimate, observed = fluxes
    shapes = [box(-100, 30, -98, 60), box(-98, 30, -96, 60)]
    regions = gpd.GeoDataFrame({"size": [1, 2]}, geometry=shapes, crs="EPSG:4326")
    numbered = by_region(estimate, observed, AREA, regions)
    assert list(numbered) == ["1", "2"]
    assert sum(r["n"] for r in numbered.values()) == compare(estimate, observed, AREA)["n"]
    for suffix in ("gpkg", "shp", "geojson"):
        path = tmp_path / f"regions.{suffix}"
        regions.assign(label=["a", "b"]).to_file(path)
        found = by_region(estimate, observed, AREA, gpd.read_file(path), name="label")
        assert found["a"]["rmse"] == pytest.approx(numbered["1"]["rmse"], rel=1e-6)
    plane = by_region(estimate, observed, AREA, regions.to_crs("EPSG:6933"))
    assert plane["2"]["rmse"] == pytest.approx(numbered["2"]["rmse"], rel=1e-6)
    bow = Polygon([(-100, 30), (-98, 40), (-98, 30), (-100, 40)])
    crossed = gpd.GeoDataFrame(geometry=[bow], crs="EPSG:4326")
    assert by_region(estimate, observed, AREA, crossed)["1"]["n"] > 0
    with pytest.raises(UsageError, match="found \\['size'\\]"):
        by_region(estimate, observed, AREA, regions, name="label")
    with pytest.raises(UsageError, match="CRS"):
        by_region(estimate, observed, AREA, regions.set_crs(None, allow_override=True))


def test_a_common_mask_for_all(fluxes: tuple) -> None:
    estimate, observed = fluxes
    reference = (observed + 0.5).assign_attrs(observed.attrs).isel(time=slice(5, None))
    reference = reference.where(reference["lon"] < -97)
    found = compare_on_common({"estimate": estimate, "reference": reference}, observed, AREA)
    assert {part["n"] for part in found.values()} == {11 * (3 * 3 - 1)}
    assert {tuple(part["period"]) for part in found.values()} == {("2008-04", "2009-02")}
    assert found["reference"]["bias"] == pytest.approx(0.5, abs=1e-9)
    rounded = reference.assign_coords(lat=reference["lat"] + 1e-13)
    again = compare_on_common({"estimate": estimate, "reference": rounded}, observed, AREA)
    assert again["estimate"] == found["estimate"]
    # The control: by itself the estimate is judged by more, and otherwise.
    alone = compare(estimate, observed, AREA)
    assert alone["n"] > found["estimate"]["n"]
    assert abs(alone["rmse"] - found["estimate"]["rmse"]) > 1e-4


def test_odd_data_give_defined_scores_quietly(fluxes: tuple) -> None:
    estimate, observed = fluxes
    biome = cells(np.full(GRID.shape, 5), GRID.lat, GRID.lon)
    biome[2, 3] = 12
    flat = xr.full_like(observed, 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        months = by_month(estimate[3:5], observed, AREA)
        single = by_biome(estimate[:1], observed, AREA, biome)["12"]
        constant = compare(estimate, flat, AREA)
    assert months["2"]["n"] == 0
    assert months["2"]["period"] == []
    assert np.isnan(months["2"]["rmse"])
    assert months["3"]["n"] == 11
    assert single["n"] == 1
    assert np.isnan(single["r"])
    e, o = (sorted_cells(flux).values for flux in fluxes)
    error = e[0, 2, 3] - o[0, 2, 3]
    assert single["rmse"] == pytest.approx(abs(float(error)), abs=1e-12)
    assert np.isnan([constant["r"], constant["nse"], constant["kge"]]).all()
    assert constant["rmse"] > 0


@pytest.mark.parametrize(
    "moved",
    [
        lambda f: f.assign_coords(lat=f["lat"] + 0.5),
        lambda f: f.assign_coords(lon=f["lon"] + 0.5),
        lambda f: f.assign_coords(lon=f["lon"] - 1e-4),
        lambda f: f.isel(lat=slice(1, None)),
        lambda f: f.isel(lon=slice(1, None)),
        lambda f: f.sel(lat=[55.0], lon=[-96.5]),
    ],
    ids=["north", "east", "a little west", "a row less", "a column less", "one cell"],
)
def test_other_grids_are_refused(fluxes: tuple, moved: Any) -> None:
    estimate, observed = fluxes
    biome = cells(np.full(GRID.shape, 5), GRID.lat, GRID.lon)
    area = cells(GRID.area, GRID.lat, GRID.lon, units="m2")
    for other in (
        lambda: compare(estimate, moved(observed), AREA),
        lambda: compare(estimate, observed, moved(area)),
        lambda: by_biome(estimate, observed, AREA, moved(biome)),
        lambda: compare_on_common({"a": estimate, "b": moved(observed)}, observed, AREA),
    ):
        with pytest.raises(GridMismatchError, match=r"on the grid of .*3 x 4 cells"):
            other()
    assert len(by_biome(estimate, observed, area, biome)) == 1


def test_the_order_of_axes_makes_no_difference(fluxes: tuple) -> None:
    estimate, observed = fluxes
    wanted = compare(estimate, observed, AREA)
    assert compare(estimate, observed.transpose("lon", "time", "lat"), AREA) == wanted
    assert compare(sorted_cells(estimate), like_a_map(observed), AREA) == wanted
    by_position = observed.copy(data=observed.values[:, :, ::-1])
    assert compare(estimate, by_position, AREA)["rmse"] > wanted["rmse"] + 0.1
