"""Budgets against sums done by hand and by brute force."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from narcf_geo.budget.tables import COLUMNS, biome_budget, fraction_budget, region_budget
from narcf_geo.budget.totals import biome_series, cell_total, monthly_total
from narcf_geo.core.errors import UsageError
from narcf_geo.core.months import month_starts
from narcf_geo.grid import Grid

GRAMS = 1e-6 * 12.011 * 86400
"""g C m-2 day-1 in 1 umol m-2 s-1."""


def field(values: np.ndarray, first: str, last: str) -> xr.DataArray:
    months = month_starts(first, last)
    return xr.DataArray(
        np.broadcast_to(values, (months.size, *np.shape(values)[-2:])).astype(np.float64),
        dims=("time", "lat", "lon"),
        coords={"time": months},
    )


def areas(values: list) -> xr.DataArray:
    return xr.DataArray(values, dims=("lat", "lon"))


@pytest.mark.parametrize(("year", "days"), [(2007, 365), (2008, 366), (1900, 365), (2000, 366)])
def test_one_umol_over_a_year(year: int, days: int) -> None:
    area = areas([[3e9, 7e9, 1e9]])
    flux = field(np.ones((1, 3)), f"{year}-01", f"{year}-12")
    total = float(monthly_total(flux, area).sum())
    assert total == pytest.approx(11e9 * GRAMS * days / 1e12, rel=1e-12)
    if days == 365:
        assert total * 1e12 / 11e9 == pytest.approx(378.78, abs=0.005)


def test_months_of_thirty_days_would_be_seen() -> None:
    monthly = monthly_total(field(np.ones((1, 1)), "2009-01", "2009-03"), areas([[1e12]]))
    assert monthly.values / monthly.values[0] == pytest.approx([1, 28 / 31, 1], rel=1e-12)
    assert monthly.attrs["units"] == "Tg month-1"


def test_two_by_two_by_hand() -> None:
    # January and February 2008: 31 and 29 days. Biome 5 holds three cells, biome 12 one.
    flux = field(np.zeros((2, 2)), "2008-01", "2008-02").copy()
    flux[0] = [[1.0, -2.0], [0.5, 4.0]]
    flux[1] = [[3.0, np.nan], [-1.0, 2.0]]
    area = areas([[1e9, 2e9], [4e9, 8e9]])
    biome = xr.DataArray(np.int8([[5, 5], [5, 12]]), dims=("lat", "lon"))
    other = flux.copy(data=np.full(flux.shape, 0.25))
    other[0, 0, 0] = np.nan
    table = biome_budget(flux, biome, area, other)
    assert tuple(table.columns) == COLUMNS
    assert table["biome"].tolist() == ["5", "12", "all"]
    assert table["name"].tolist() == ["mixed forest", "croplands", "whole region"]
    assert table["year"].tolist() == [2008] * 3
    assert table["area_km2"].tolist() == pytest.approx([7e3, 8e3, 15e3], rel=1e-12)

    forest = GRAMS / 1e12 * (31 * (1e9 - 4e9 + 2e9) + 29 * (3e9 - 4e9))
    crops = GRAMS / 1e12 * (31 * 32e9 + 29 * 16e9)
    assert table["flux_TgC"].tolist() == pytest.approx([forest, crops, forest + crops], rel=1e-12)
    days_area = [31 * 7e9 + 29 * 5e9, 60 * 8e9]
    days_area.append(sum(days_area))
    mean = np.array([forest, crops, forest + crops]) * 1e12 / GRAMS / days_area
    assert table["mean_flux_umol_m2_s"].tolist() == pytest.approx(mean.tolist(), rel=1e-12)
    # The reference counts where both are known: neither in the cell it lacks nor in ours.
    pairs = [31 * 6e9 + 29 * 5e9, 60 * 8e9]
    pairs.append(sum(pairs))
    assert table["reference_TgC"].tolist() == pytest.approx(
        (0.25 * GRAMS / 1e12 * np.array(pairs)).tolist(), rel=1e-12
    )


def test_parts_sum_to_the_whole() -> None:
    rng = np.random.default_rng(5)
    grid = Grid.regular(-100, 40, -88, 50, 1)
    flux = field(np.zeros(grid.shape), "2007-03", "2009-10").copy()
    flux.values[:] = rng.normal(-0.1, 1.5, flux.shape)
    flux.values[rng.random(flux.shape) < 0.1] = np.nan
    biome = xr.DataArray(rng.integers(0, 18, grid.shape).astype(np.int8), dims=("lat", "lon"))
    area = xr.DataArray(grid.area, dims=("lat", "lon"))
    table = biome_budget(flux, biome, area)
    months = monthly_total(flux, area).groupby("time.year").sum()
    for year in (2007, 2008, 2009):
        rows = table[table["year"] == year].set_index("biome")
        parts = rows.drop("all")
        assert parts["flux_TgC"].sum() == pytest.approx(rows.loc["all", "flux_TgC"], rel=1e-9)
        assert parts["area_km2"].sum() == pytest.approx(rows.loc["all", "area_km2"], rel=1e-9)
        assert float(months.sel(year=year)) == pytest.approx(rows.loc["all", "flux_TgC"], rel=1e-9)
    assert table["reference_TgC"].isna().all()
    # The control: days counted as 30 do not close.
    wrong = float((flux.sum("time") * area).sum()) * 30 * GRAMS / 1e12
    assert abs(wrong - float(months.sum())) > 1e-3 * abs(float(months.sum()))


def test_months_of_parts_sum_to_their_years_and_to_the_whole() -> None:
    rng = np.random.default_rng(6)
    flux = field(np.zeros((3, 4)), "2007-11", "2008-04").copy()
    flux.values[:] = rng.normal(-0.1, 1.5, flux.shape)
    flux.values[rng.random(flux.shape) < 0.2] = np.nan
    biome = xr.DataArray(rng.integers(-1, 4, (3, 4)).astype(np.int8), dims=("lat", "lon"))
    area = areas(rng.uniform(1e9, 9e9, (3, 4)).tolist())
    months = biome_budget(flux, biome, area, by="month")
    years = biome_budget(flux, biome, area).set_index(["biome", "year"])
    assert "rest" in set(months["biome"])
    summed = months.groupby(["biome", months["month"].dt.year])["flux_TgC"].sum()
    for key, total in summed.items():
        assert total == pytest.approx(years.loc[key, "flux_TgC"], rel=1e-9)
    wide = months.pivot(index="month", columns="biome", values="flux_TgC")
    np.testing.assert_allclose(wide.drop(columns="all").sum(axis=1), wide["all"], rtol=1e-9)
    assert len(wide) == 6


def test_the_reference_is_taken_by_its_months() -> None:
    flux = field(np.ones((1, 2)), "2008-01", "2008-03")
    late = field(np.ones((1, 2)), "2008-02", "2008-04") * xr.DataArray(
        [2.0, 3.0, 50.0], dims="time"
    )
    area = areas([[1e9, 3e9]])
    biome = xr.DataArray(np.int8([[1, 1]]), dims=("lat", "lon"))
    found = biome_budget(flux, biome, area, late)["reference_TgC"].to_list()
    assert found == pytest.approx([GRAMS / 1e12 * 4e9 * (29 * 2 + 31 * 3)] * 2, rel=1e-12)


def test_nothing_known_is_missing_not_zero() -> None:
    flux = field(np.array([[1.0, np.nan]]), "2008-01", "2008-01")
    total = cell_total(flux, areas([[1e9, 1e9]]))
    assert np.isnan(total.values[0, 0, 1])
    biome = xr.DataArray(np.int8([[1, 2]]), dims=("lat", "lon"))
    table = biome_budget(flux, biome, areas([[1e9, 1e9]]), flux * np.nan)
    assert table["biome"].tolist() == ["1", "all"]
    assert table["reference_TgC"].isna().all()


def test_cells_without_a_class_are_shown_and_the_parts_still_sum() -> None:
    flux = field(np.array([[1.0, -3.0, 5.0]]), "2008-01", "2008-02")
    area = areas([[1e9, 2e9, 4e9]])
    biome = xr.DataArray(np.int8([[12, -1, 12]]), dims=("lat", "lon"))
    table = biome_budget(flux, biome, area).set_index("biome")
    assert list(table.index) == ["12", "rest", "all"]
    assert table.loc["rest", "flux_TgC"] == pytest.approx(-6e9 * GRAMS * 60 / 1e12, rel=1e-12)
    assert table["flux_TgC"][:2].sum() == pytest.approx(table.loc["all", "flux_TgC"], rel=1e-12)


def test_a_cell_shared_by_fractions_by_hand() -> None:
    flux = field(np.array([[2.0, -1.0, 4.0]]), "2009-02", "2009-02")
    area = areas([[10e9, 20e9, 5e9]])
    # Half water: the land of the first cell is 3/5 class 4 and 2/5 class 12. The third has none.
    fraction = np.zeros((18, 1, 3))
    fraction[[0, 4, 12], 0, 0] = [0.5, 0.3, 0.2]
    fraction[4, 0, 1] = 1.0
    fraction[0, 0, 2] = 1.0
    shares = xr.DataArray(
        fraction, {"igbp_class": np.arange(18)}, dims=("igbp_class", "lat", "lon")
    )
    table = fraction_budget(flux, shares, area, 0.5 * flux).set_index("biome")
    unit = GRAMS * 28 / 1e12
    forest, crops, rest = unit * (0.6 * 20e9 - 20e9), unit * 0.4 * 20e9, unit * 20e9
    assert list(table.index) == ["4", "12", "rest", "all"]
    assert table["flux_TgC"].tolist() == pytest.approx([forest, crops, rest, unit * 20e9])
    assert table["area_km2"].tolist() == pytest.approx([26e3, 4e3, 5e3, 35e3])
    assert table.loc["4", "reference_TgC"] == pytest.approx(forest / 2)
    parts = table.drop("all").sum(numeric_only=True)
    assert parts["flux_TgC"] == pytest.approx(table.loc["all", "flux_TgC"], rel=1e-12)
    assert parts["area_km2"] == pytest.approx(table.loc["all", "area_km2"], rel=1e-12)
    # The control: by majority the first cell is all forest.
    majority = biome_budget(flux, xr.DataArray([[4, 4, -1]], dims=("lat", "lon")), area)
    assert majority.set_index("biome").loc["4", "flux_TgC"] != pytest.approx(forest)


def test_regions_take_the_part_of_a_cell_inside() -> None:
    geopandas = pytest.importorskip("geopandas")
    shapely = pytest.importorskip("shapely")
    grid = Grid.regular(-100, 40, -97, 42, 1)
    values = np.arange(1.0, 7.0).reshape(grid.shape)
    flux = field(values, "2007-01", "2007-01")
    flux = flux.assign_coords(lat=grid.lat, lon=grid.lon)
    area = xr.DataArray(grid.area, dims=("lat", "lon"))
    boxes = {"west": (-100, 40, -98.5, 41), "north": (-99, 41, -90, 50)}
    regions = geopandas.GeoDataFrame(
        {"name": list(boxes)}, geometry=[shapely.box(*b) for b in boxes.values()], crs="EPSG:4326"
    )
    table = region_budget(flux, regions.to_crs("ESRI:102008"), area).set_index("region")
    unit = GRAMS * 31 / 1e12
    south, north = grid.area[0, 0], grid.area[1, 0]
    wanted = [unit * south * (1 + 0.5 * 2), unit * north * (5 + 6)]
    # Edges straight in the other CRS bend in this one.
    assert table["flux_TgC"][:2].tolist() == pytest.approx(wanted, rel=2e-3)
    table = region_budget(flux, regions, area).set_index("region")
    assert table["flux_TgC"][:2].tolist() == pytest.approx(wanted, rel=1e-9)
    assert table.drop("all")["flux_TgC"].sum() == pytest.approx(
        table.loc["all", "flux_TgC"], rel=1e-9
    )
    with pytest.raises(UsageError, match="do not overlap"):
        region_budget(flux, geopandas.pd.concat([regions, regions.assign(name="again")]), area)
    twice = region_budget(flux, geopandas.pd.concat([regions, regions]), area)
    assert twice["flux_TgC"].tolist() == pytest.approx(table["flux_TgC"].tolist(), rel=1e-12)
    with pytest.raises(UsageError, match="column 'state'"):
        region_budget(flux, regions, area, name="state")
    with pytest.raises(UsageError, match="a CRS"):
        region_budget(flux, regions.set_crs(None, allow_override=True), area)


def test_series_of_biomes_sum_to_the_region() -> None:
    flux = field(np.array([[1.0, -2.0, np.nan]]), "2007-11", "2008-02")
    area = areas([[1e9, 2e9, 4e9]])
    biome = xr.DataArray(np.int8([[12, 5, 1]]), dims=("lat", "lon"))
    series = biome_series(flux, biome, area)
    assert list(series) == [5, 12]
    assert sum(series.values()).values == pytest.approx(monthly_total(flux, area).values)
