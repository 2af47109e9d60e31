"""Budgets against sums done by hand and by brute force."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from places import cells, like_a_map, like_an_inversion, monthly

from narcf_geo.budget.parts import fraction_parts
from narcf_geo.budget.tables import (
    COLUMNS,
    biome_budget,
    complete_years,
    fraction_budget,
    region_budget,
)
from narcf_geo.budget.totals import biome_series, cell_total, monthly_total
from narcf_geo.core.errors import FieldError, GridMismatchError, TimeError, UnitError, UsageError
from narcf_geo.grid import Grid

GRAMS = 1e-6 * 12.011 * 86400
"""g C m-2 day-1 in 1 umol m-2 s-1."""


def field(values: object, first: str, last: str) -> xr.DataArray:
    """A flux whose rows run north to south, on longitudes of 0 to 360."""
    return like_an_inversion(monthly(values, first, last))


def areas(values: object) -> xr.DataArray:
    """Areas (longitude, latitude), east to west: as by position they would be other cells'."""
    return like_a_map(cells(values, units="m2"))


def classes(values: object) -> xr.DataArray:
    """Classes with rows north to south within -180..180: a third order."""
    return cells(np.asarray(values, dtype=np.int8)).isel(lat=slice(None, None, -1))


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
    january, february = [[1.0, -2.0], [0.5, 4.0]], [[3.0, np.nan], [-1.0, 2.0]]
    flux = field([january, february], "2008-01", "2008-02")
    area = areas([[1e9, 2e9], [4e9, 8e9]])
    biome = classes([[5, 5], [5, 12]])
    values = np.full((2, 2, 2), 0.25)
    values[0, 0, 0] = np.nan
    other = like_a_map(monthly(values, "2008-01", "2008-02"))
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
    # The reference has one cell less in January, the flux one in February; of ten months nothing.
    assert table["months"].tolist() == [2, 2, 2]
    days = 366 * np.array([7e9, 8e9, 15e9])
    assert table["coverage"].tolist() == pytest.approx((days_area / days).tolist(), rel=1e-12)
    shared = [31 * 6e9 + 29 * 5e9, 60 * 8e9]
    shared.append(sum(shared))
    assert table["reference_coverage"].tolist() == pytest.approx((shared / days).tolist())
    # The control: paired by position the whole is another.
    by_position = np.nansum(flux.values * area.values * np.array([31, 29])[:, None, None])
    assert abs(by_position * GRAMS / 1e12 - forest - crops) > 0.05 * abs(forest + crops)


def test_parts_sum_to_the_whole() -> None:
    rng = np.random.default_rng(5)
    grid = Grid.regular(-100, 40, -88, 50, 1)
    values = rng.normal(-0.1, 1.5, (32, *grid.shape))
    values[rng.random(values.shape) < 0.1] = np.nan
    plain = monthly(values, "2007-03", "2009-10", grid.lat, grid.lon)
    flux = like_an_inversion(plain)
    biome = like_a_map(cells(rng.integers(0, 18, grid.shape).astype(np.int8), grid.lat, grid.lon))
    area = cells(grid.area, grid.lat, grid.lon, units="m2")
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
    wrong = float((plain.sum("time") * area).sum()) * 30 * GRAMS / 1e12
    assert abs(wrong - float(months.sum())) > 1e-3 * abs(float(months.sum()))


def test_totals_say_of_how_many_months_and_of_which_area_they_are() -> None:
    values = np.ones((14, 1, 2))
    values[2:5, 0, 1] = np.nan
    values[13] = np.nan
    flux = field(values, "2008-01", "2009-02")
    area = areas([[3e9, 1e9]])
    table = biome_budget(flux, classes([[5, 12]]), area).set_index(["name", "year"])
    forest, crops, whole = "mixed forest", "croplands", "whole region"
    assert table.loc[(forest, 2008), ["months", "coverage"]].tolist() == [12, 1.0]
    assert table.loc[(crops, 2008), "months"] == 9
    lost = 31 + 30 + 31
    assert table.loc[(crops, 2008), "coverage"] == pytest.approx(1 - lost / 366)
    # The region has all months, and yet not all of its area.
    assert table.loc[(whole, 2008), "months"] == 12
    assert table.loc[(whole, 2008), "coverage"] == pytest.approx(1 - 0.25 * lost / 366)
    assert table.loc[(whole, 2009), ["months", "coverage"]].tolist() == [1, pytest.approx(31 / 365)]
    kept = complete_years(table.reset_index())
    assert kept[["name", "year"]].values.tolist() == [[forest, 2008], [whole, 2008]]
    half = biome_budget(flux[:6], classes([[5, 12]]), area)
    assert complete_years(half).equals(half)
    monthly = monthly_total(flux, area)
    known = [1, 1, 0.75, 0.75, 0.75, *[1] * 8, 0]
    assert monthly["coverage"].values.tolist() == pytest.approx(known)
    by_month = biome_budget(flux, classes([[5, 12]]), area, by="month")
    seen = by_month[by_month["biome"] == "all"]["coverage"].tolist()
    assert seen == pytest.approx(known[:13])


def test_months_of_parts_sum_to_their_years_and_to_the_whole() -> None:
    rng = np.random.default_rng(6)
    values = rng.normal(-0.1, 1.5, (6, 3, 4))
    values[rng.random(values.shape) < 0.2] = np.nan
    flux = field(values, "2007-11", "2008-04")
    biome = classes(rng.integers(-1, 4, (3, 4)))
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
    factors = np.array([2.0, 3.0, 50.0])[:, None, None]
    late = field(factors * np.ones((1, 2)), "2008-02", "2008-04")
    area = areas([[1e9, 3e9]])
    biome = classes([[1, 1]])
    found = biome_budget(flux, biome, area, late)["reference_TgC"].to_list()
    assert found == pytest.approx([GRAMS / 1e12 * 4e9 * (29 * 2 + 31 * 3)] * 2, rel=1e-12)


def test_nothing_known_is_missing_not_zero() -> None:
    flux = field([[1.0, np.nan]], "2008-01", "2008-01")
    total = cell_total(monthly([[1.0, np.nan]], "2008-01", "2008-01"), cells([[1e9, 1e9]]))
    assert np.isnan(total.values[0, 0, 1])
    biome = classes([[1, 2]])
    table = biome_budget(flux, biome, areas([[1e9, 1e9]]), (flux * np.nan).assign_attrs(flux.attrs))
    assert table["biome"].tolist() == ["1", "all"]
    assert table["reference_TgC"].isna().all()


def test_cells_without_a_class_are_shown_and_the_parts_still_sum() -> None:
    flux = field([[1.0, -3.0, 5.0]], "2008-01", "2008-02")
    area = areas([[1e9, 2e9, 4e9]])
    biome = classes([[12, -1, 12]])
    table = biome_budget(flux, biome, area).set_index("biome")
    assert list(table.index) == ["12", "rest", "all"]
    assert table.loc["rest", "flux_TgC"] == pytest.approx(-6e9 * GRAMS * 60 / 1e12, rel=1e-12)
    assert table["flux_TgC"][:2].sum() == pytest.approx(table.loc["all", "flux_TgC"], rel=1e-12)


def test_a_cell_shared_by_fractions_by_hand() -> None:
    flux = field([[2.0, -1.0, 4.0]], "2009-02", "2009-02")
    area = areas([[10e9, 20e9, 5e9]])
    # Half water: the land of the first cell is 3/5 class 4 and 2/5 class 12. The third has none.
    fraction = np.zeros((18, 1, 3))
    fraction[[0, 4, 12], 0, 0] = [0.5, 0.3, 0.2]
    fraction[4, 0, 1] = 1.0
    fraction[0, 0, 2] = 1.0
    shares = cells(fraction, dims=("igbp_class",)).assign_coords(igbp_class=np.arange(18))
    half = (0.5 * flux).assign_attrs(flux.attrs)
    table = fraction_budget(flux, like_a_map(shares), area, half).set_index("biome")
    unit = GRAMS * 28 / 1e12
    forest, crops, rest = unit * (0.6 * 20e9 - 20e9), unit * 0.4 * 20e9, unit * 20e9
    assert list(table.index) == ["4", "12", "rest", "all"]
    assert table["flux_TgC"].tolist() == pytest.approx([forest, crops, rest, unit * 20e9])
    assert table["area_km2"].tolist() == pytest.approx([26e3, 4e3, 5e3, 35e3])
    means = table["mean_flux_umol_m2_s"].tolist()
    assert means == pytest.approx([-8 / 26, 2.0, 4.0, 20 / 35], rel=1e-12)
    assert table.loc["4", "reference_TgC"] == pytest.approx(forest / 2)
    parts = table.drop("all").sum(numeric_only=True)
    assert parts["flux_TgC"] == pytest.approx(table.loc["all", "flux_TgC"], rel=1e-12)
    assert parts["area_km2"] == pytest.approx(table.loc["all", "area_km2"], rel=1e-12)
    # The control: by majority the first cell is all forest.
    majority = biome_budget(flux, classes([[4, 4, -1]]), area)
    assert majority.set_index("biome").loc["4", "flux_TgC"] != pytest.approx(forest)


def test_land_is_classes_1_to_16_and_unknown_fractions_are_none() -> None:
    fraction = np.zeros((18, 1, 4))
    fraction[[0, 1, 2, 16, 17], 0, 0] = [0.1, 0.2, 0.3, 0.1, 0.3]
    fraction[[1, 3], 0, 1] = [0.25, np.nan]
    fraction[17, 0, 2] = 1.0
    fraction[:, 0, 3] = np.nan
    shares = cells(fraction, dims=("igbp_class",)).assign_coords(igbp_class=np.arange(18))
    parts = fraction_parts(shares)
    assert list(parts.names) == [*map(str, range(1, 17)), "rest", "all"]
    found = {key: parts.dense(key, (1, 4))[0].tolist() for key in parts.names}
    assert found["1"] == pytest.approx([1 / 3, 1, 0, 0])
    assert found["2"] == pytest.approx([1 / 2, 0, 0, 0])
    assert found["16"] == pytest.approx([1 / 6, 0, 0, 0])
    assert found["rest"] == [0, 0, 1, 1]
    assert found["all"] == [1] * 4


def test_a_region_beside_the_grid_has_a_row_of_no_area() -> None:
    geopandas = pytest.importorskip("geopandas")
    shapely = pytest.importorskip("shapely")
    flux = field(np.arange(1.0, 7.0).reshape(2, 3), "2007-12", "2008-01")
    far = geopandas.GeoSeries({"far": shapely.box(100, 0, 110, 10)}, crs="EPSG:4326")
    table = region_budget(flux, far).set_index("region")
    assert table.loc["far", "year"].tolist() == [2007, 2008]
    assert table.loc["far", "area_km2"].tolist() == [0, 0]
    assert table.loc["far", ["flux_TgC", "mean_flux_umol_m2_s"]].isna().all(axis=None)
    assert table.loc["rest", "flux_TgC"].tolist() == table.loc["all", "flux_TgC"].tolist()


def test_regions_take_the_part_of_a_cell_inside() -> None:
    geopandas = pytest.importorskip("geopandas")
    shapely = pytest.importorskip("shapely")
    grid = Grid.regular(-100, 40, -97, 42, 1)
    values = np.arange(1.0, 7.0).reshape(grid.shape)
    flux = like_an_inversion(monthly(values, "2007-01", "2007-01", grid.lat, grid.lon))
    area = like_a_map(cells(grid.area, grid.lat, grid.lon, units="m2"))
    boxes = {"west": (-100, 40, -98.5, 41), "north": (-99, 41, -90, 50)}
    regions = geopandas.GeoDataFrame(
        {"name": list(boxes)}, geometry=[shapely.box(*b) for b in boxes.values()], crs="EPSG:4326"
    )
    fine = regions.set_geometry(regions.segmentize(0.02)).to_crs("ESRI:102008")
    table = region_budget(flux, fine, area).set_index("region")
    unit = GRAMS * 31 / 1e12
    south, north = grid.area[0, 0], grid.area[1, 0]
    wanted = [unit * south * (1 + 0.5 * 2), unit * north * (5 + 6)]
    assert table["flux_TgC"][:2].tolist() == pytest.approx(wanted, rel=2e-5)
    # Edges straight in the other CRS bend in this one: without points along them it is another box.
    bent = region_budget(flux, regions.to_crs("ESRI:102008"), area).set_index("region")
    assert bent["flux_TgC"][:2].tolist() != pytest.approx(wanted, rel=2e-3)
    table = region_budget(flux, regions, area).set_index("region")
    assert table["flux_TgC"][:2].tolist() == pytest.approx(wanted, rel=1e-9)
    assert table.drop("all")["flux_TgC"].sum() == pytest.approx(
        table.loc["all", "flux_TgC"], rel=1e-9
    )
    # Small shares outside count too.
    most = geopandas.GeoDataFrame(
        {"name": ["most"]}, geometry=[shapely.box(-100, 40, -97.001, 42)], crs="EPSG:4326"
    )
    most = region_budget(flux, most, area).set_index("region")["flux_TgC"]
    outside = unit * 0.001 * (south * 3 + north * 6)
    assert most.tolist() == pytest.approx([most["all"] - outside, outside, most["all"]], rel=1e-9)
    with pytest.raises(UsageError, match="do not overlap"):
        region_budget(flux, geopandas.pd.concat([regions, regions.assign(name="again")]), area)
    twice = region_budget(flux, geopandas.pd.concat([regions, regions]), area)
    assert twice["flux_TgC"].tolist() == pytest.approx(table["flux_TgC"].tolist(), rel=1e-12)
    with pytest.raises(UsageError, match="column 'state'"):
        region_budget(flux, regions, area, name="state")
    with pytest.raises(UsageError, match="a CRS"):
        region_budget(flux, regions.set_crs(None, allow_override=True), area)


def test_series_of_biomes_sum_to_the_region() -> None:
    flux = field([[1.0, -2.0, np.nan]], "2007-11", "2008-02")
    area = areas([[1e9, 2e9, 4e9]])
    biome = classes([[12, 5, 1]])
    series = biome_series(flux, biome, area)
    assert list(series) == [5, 12]
    assert sum(series.values()).values == pytest.approx(monthly_total(flux, area).values)


SHAPE = (4, 6)


@pytest.fixture
def plain() -> dict[str, xr.DataArray]:
    """A flux and what belongs to it, all of them different in every cell, in one order."""
    rng = np.random.default_rng(9)
    flux = monthly(rng.normal(-0.1, 1.5, (3, *SHAPE)), "2007-12", "2008-02")
    fraction = rng.dirichlet(np.ones(5), SHAPE).transpose(2, 0, 1)
    shares = cells(fraction, dims=("igbp_class",)).assign_coords(igbp_class=[0, 1, 5, 12, 14])
    return {
        "flux": flux,
        "biome": cells(rng.integers(-1, 18, SHAPE).astype(np.int8)),
        "cell_area": cells(rng.uniform(1e9, 9e9, SHAPE), units="m2"),
        "reference": monthly(rng.normal(0.3, 1, (3, *SHAPE)), "2007-12", "2008-02"),
        "class_fraction": shares,
    }


@pytest.mark.parametrize("kind", [biome_budget, fraction_budget])
def test_arrays_are_paired_by_label_in_any_order_unit_and_sign(
    plain: dict[str, xr.DataArray], kind: object
) -> None:
    names = ["flux", "biome", "cell_area", "reference"]
    if kind is fraction_budget:
        names[1] = "class_fraction"
    given = {n: plain[n] for n in names}
    wanted = kind(**given)
    orders = (like_an_inversion, like_a_map, like_an_inversion, like_a_map)
    turned = {n: order(plain[n]) for n, order in zip(names, orders, strict=True)}
    grams = (plain["flux"] * -1e-6 * 12.011 * 86400).assign_attrs(
        units="g C m-2 day-1", standard_name="net_biome_production"
    )
    area = plain["cell_area"]
    ways = {
        "turned": {},
        "turned the other way": {"flux": like_a_map(plain["flux"])},
        "grams of uptake": {"flux": like_an_inversion(grams)},
        "single precision": {"cell_area": area.assign_coords(lat=area["lat"].astype("f4") / 1)},
        "a little rounded": {"cell_area": area.assign_coords(lon=area["lon"] + 1e-13)},
        "km2": {"cell_area": like_a_map((area / 1e6).assign_attrs(units="km2"))},
        "months in another order": {"flux": turned["flux"].isel(time=[2, 0, 1])},
    }
    for way, other in ways.items():
        found = kind(**{**turned, **other})
        assert found[["biome", "name", "year"]].equals(wanted[["biome", "name", "year"]]), way
        for column in COLUMNS[3:]:
            np.testing.assert_allclose(found[column], wanted[column], rtol=1e-9, err_msg=way)
    # The control: one of them turned by position alone gives another budget.
    for name in names:
        column = "reference_TgC" if name == "reference" else "flux_TgC"
        other = plain[name].copy(data=plain[name].values[..., ::-1, :])
        table = kind(**{**given, name: other})
        by_year = table.set_index(["biome", "year"])[column]
        wrong = by_year.reindex(wanted.set_index(["biome", "year"]).index)
        assert not np.allclose(wrong, wanted[column], rtol=1e-2)


@pytest.mark.parametrize("name", ["biome", "cell_area", "reference", "std", "class_fraction"])
@pytest.mark.parametrize(
    "moved",
    [
        lambda f: f.assign_coords(lon=f["lon"] + 1.5),
        lambda f: f.assign_coords(lat=f["lat"] - 0.01),
        lambda f: f.isel(lat=slice(1, None)),
        lambda f: f.isel(lon=slice(None, -1)),
        lambda f: f.assign_coords(lon=f["lon"] + 180),
    ],
    ids=["half a cell east", "a little south", "a row less", "a column less", "half round"],
)
def test_another_grid_is_refused(plain: dict, name: str, moved: object) -> None:
    std = abs(plain["flux"]).assign_attrs(plain["flux"].attrs)
    given = {n: plain[n] for n in ("flux", "biome", "cell_area", "reference")} | {"std": std}
    kind = biome_budget
    if name == "class_fraction":
        kind, given["class_fraction"] = fraction_budget, plain[name]
        given.pop("biome")
    kind(**given)
    given[name] = moved(given[name])
    with pytest.raises(GridMismatchError, match=r"expected .* on the grid of .*4 x 6 cells"):
        kind(**given)


def test_what_is_no_monthly_flux_is_refused(plain: dict[str, xr.DataArray]) -> None:
    flux, biome, area = plain["flux"], plain["biome"], plain["cell_area"]
    for other in (flux.drop_attrs(deep=False), flux.assign_attrs(units="K")):
        with pytest.raises(UnitError, match=r"nits? of a CO2 flux.* umol m-2 s-1"):
            biome_budget(other, biome, area)
        with pytest.raises(UnitError, match="reference"):
            biome_budget(flux, biome, area, other)
        assert len(biome_budget(other, biome, area, units="umol m-2 s-1")) > 3
    days = flux.assign_coords(
        time=np.arange("2008-01-01", "2008-01-04", dtype="M8[D]").astype("M8[ns]")
    )
    with pytest.raises(TimeError, match="found one for 1 days"):
        biome_budget(days, biome, area)
    with pytest.raises(TimeError, match="expected months along time"):
        monthly_total(flux[0, :, :], area)
    with pytest.raises(FieldError, match="found 100"):
        biome_budget(flux, biome.where(biome != 5, 100), area)
    with pytest.raises(UnitError, match="expected areas in m2"):
        monthly_total(flux, (area / 1e6).drop_attrs(deep=False))


def test_without_areas_they_are_those_of_the_cells(plain: dict[str, xr.DataArray]) -> None:
    flux = like_an_inversion(plain["flux"])
    grid = Grid.from_dataset(plain["flux"])
    area = cells(grid.area, grid.lat, grid.lon, units="m2")
    wanted = monthly_total(plain["flux"], area).values
    np.testing.assert_allclose(monthly_total(flux).values, wanted, rtol=1e-12)
    np.testing.assert_allclose(
        monthly_total(like_a_map(flux), sign="uptake").values, -wanted, rtol=1e-12
    )
    assert np.abs(monthly_total(flux, plain["cell_area"]).values / wanted - 1).min() > 0.1
