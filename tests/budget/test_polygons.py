"""Zonal statistics against sums done by hand and by fine subdivision of the cells."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Polygon, box
from strategies import rectilinear_grids

import narcf_geo as ng
from narcf_geo.budget import blocks as module
from narcf_geo.budget.polygons import zonal
from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.core.errors import FieldError, TimeError, UsageError
from narcf_geo.grid import Grid

LAT_B = np.linspace(30, 45, 6)
LON_B = np.linspace(-112, -94, 7)


def field(values: np.ndarray, units: str = "K", first: str = "2015-01") -> xr.DataArray:
    """Values on cells of 3 degrees."""
    grid = Grid.from_corners(LON_B, LAT_B)
    dims = ("time", "lat", "lon")[-values.ndim :]
    array = xr.DataArray(values, dims=dims, name="t2m", attrs={"units": units})
    if values.ndim == 3:
        months = pd.date_range(first, periods=len(values), freq="MS")
        array = array.assign_coords(time=months)
    return array.assign_coords(lat=grid.lat, lon=grid.lon)


def values(*shape: int) -> np.ndarray:
    shape = shape or (5, 6)
    rng = np.random.default_rng(11)
    found = rng.normal(size=shape) + np.arange(6.0) + 10 * np.arange(5.0)[:, None]
    found[rng.random(shape) < 0.15] = np.nan
    return found


def polygons(**shapes: shapely.Geometry) -> gpd.GeoSeries:
    return gpd.GeoSeries(shapes, crs="EPSG:4326")


def by_points(data: np.ndarray, shape: shapely.Geometry, n: int = 60) -> dict[str, float]:
    """Statistics of the points of a fine mesh, each with its area on the sphere."""
    found = []
    for i in range(5):
        for j in range(6):
            lat_b = np.linspace(LAT_B[i], LAT_B[i + 1], n + 1)
            lon = np.linspace(LON_B[j], LON_B[j + 1], 2 * n + 1)[1::2]
            lat = (lat_b[1:] + lat_b[:-1]) / 2
            height = np.diff(np.sin(np.deg2rad(lat_b)))
            area = EARTH_RADIUS**2 * height * np.deg2rad(LON_B[j + 1] - LON_B[j]) / n
            within = shapely.contains_xy(shape, *np.meshgrid(lon, lat))
            found.append((data[i, j], (within * area[:, None]).sum()))
    value, area = np.array(found).T
    known = ~np.isnan(value) & (area > 0)
    value, valid = value[known], area[known]
    return {
        "mean": (value * valid).sum() / valid.sum(),
        "total": (value * valid).sum(),
        "min": value.min(),
        "max": value.max(),
        "area_km2": valid.sum() / 1e6,
        "coverage": valid.sum() / area.sum(),
    }


def test_a_polygon_against_the_points_of_a_fine_mesh() -> None:
    data = values()
    shape = Polygon([(-111, 30.5), (-97, 32), (-104, 35), (-110.5, 44)])
    row = zonal(field(data), polygons(A=shape)).iloc[0]
    for key, expected in by_points(data, shape).items():
        assert row[key] == pytest.approx(expected, rel=2e-3), key
    assert (row["variable"], row["region"], row["units"]) == ("t2m", "A", "K")
    assert row["total_units"] == "K m2"
    # The control: cells in the polygon by their centres have another mean.
    grid = Grid.from_corners(LON_B, LAT_B)
    centres = shapely.contains_xy(shape, *grid.centers()) & ~np.isnan(data)
    plain = (data * grid.area)[centres].sum() / grid.area[centres].sum()
    assert abs(plain / row["mean"] - 1) > 1e-2


def test_boxes_by_hand() -> None:
    data = np.arange(30.0).reshape(5, 6)
    data[1, 2] = np.nan
    shapes = polygons(
        cells=box(-106, 33, -101.5, 36 + 1e-11),
        half=box(-110.5, 30, -109, 33),
        beside=box(0, 0, 1, 1),
        partly=box(-113, 30, -111, 31),
    )
    table = zonal(field(data), shapes).set_index("region")
    area = Grid.from_corners(LON_B, LAT_B).area
    # A thousandth of a millimetre in the next row is rounding.
    assert table.loc["cells", ["mean", "min", "max"]].tolist() == [9, 9, 9]
    assert table.loc["cells", "area_km2"] == pytest.approx(area[1, 3] / 2e6, rel=1e-12)
    assert table.loc["cells", "coverage"] == pytest.approx(1 / 3, rel=1e-9)
    assert table.loc["half", "total"] == 0
    assert table.loc["half", "area_km2"] == pytest.approx(area[0, 0] / 2e6, rel=1e-12)
    assert table.loc["partly", "coverage"] == pytest.approx(0.5, rel=1e-12)
    assert table.loc["beside", ["area_km2", "coverage"]].tolist() == [0, 0]
    assert table.loc["beside", ["mean", "min", "max", "total"]].isna().all()


def test_any_order_of_axes_and_convention_of_longitude() -> None:
    data = field(values(3, 5, 6))
    shapes = polygons(A=box(-111.5, 30.2, -98, 44), B=box(-109, 31, -101.3, 39))
    wanted = zonal(data, shapes)
    turned = data.assign_coords(lon=data["lon"] + 360)
    mixed = turned.isel(lat=slice(None, None, -1), lon=[3, 4, 5, 0, 1, 2], time=[2, 0, 1])
    mixed = mixed.transpose("lon", "time", "lat")
    east = shapes.translate(360)
    for found in (zonal(mixed, shapes), zonal(data, east), zonal(mixed.to_dataset(), east)):
        pd.testing.assert_frame_equal(found, wanted, rtol=1e-12)
    plain = xr.DataArray(
        [[1.0, 2.0], [3.0, 4.0]],
        {"latitude": [10.0, 12.0], "longitude": [358.0, 2.0]},
        ("latitude", "longitude"),
        name="t2m",
        attrs={"units": "K"},
    )
    across = zonal(plain, polygons(A=box(-4, 9, 4, 13)))
    assert across["coverage"].tolist() == [pytest.approx(1)]
    assert across["mean"][0] == pytest.approx(2.5, abs=0.01)


def test_a_row_for_each_region_and_month() -> None:
    data = values(14, 5, 6)
    shapes = polygons(A=box(-111.5, 30.2, -98, 44), B=box(-109, 31, -101.3, 39))
    table = zonal(field(data, first="2015-11"), shapes)
    assert table.columns.tolist() == [
        "variable",
        "region",
        "month",
        "units",
        "mean",
        "min",
        "max",
        "total",
        "total_units",
        "area_km2",
        "coverage",
    ]
    assert table["region"].tolist() == ["A"] * 14 + ["B"] * 14
    assert table["month"][:3].dt.strftime("%Y-%m").tolist() == ["2015-11", "2015-12", "2016-01"]
    for k in range(14):
        alone = zonal(field(data[k]), shapes)
        found = table[table["month"] == table["month"][k]].reset_index(drop=True)
        pd.testing.assert_frame_equal(found.drop(columns="month"), alone, rtol=1e-12)
    assert zonal(field(data).isel(time=3), shapes)["month"].nunique() == 1


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    data = field(values(7, 5, 6))
    shapes = polygons(A=box(-111.5, 30.2, -98, 44), B=box(-109, 31, -101.3, 39))
    whole = zonal(data, shapes)
    monkeypatch.setattr(module, "BLOCK", 60)
    pd.testing.assert_frame_equal(zonal(data.chunk(time=3), shapes), whole, rtol=1e-12)


def test_a_flux_has_its_carbon_by_the_days_of_each_month() -> None:
    data = values(3, 5, 6)
    flux = field(data, "g C m-2 day-1", "2016-01").rename("nee")
    shapes = polygons(A=box(-111.5, 30.2, -98, 44), B=box(-109, 31, -101.3, 39))
    table = zonal(flux, shapes)
    days = np.array([31, 29, 31] * 2)
    assert table["total_units"].unique().tolist() == ["g C day-1"]
    np.testing.assert_allclose(table["flux_TgC"], table["total"] * days / 1e12, rtol=1e-9)
    budget = ng.region_budget(flux, shapes[["A"]], by="month")
    wanted = budget[budget["region"] == "A"]["flux_TgC"]
    np.testing.assert_allclose(table["flux_TgC"][:3], wanted, rtol=1e-9)
    uptake = flux.copy()
    uptake.attrs["standard_name"] = (
        "surface_net_downward_mass_flux_of_carbon_dioxide_expressed_as_carbon_due_to_all_land_"
        "processes"
    )
    np.testing.assert_allclose(zonal(uptake, shapes)["flux_TgC"], -table["flux_TgC"], rtol=1e-12)
    # What is no flux, or not of a month, has no carbon.
    assert "flux_TgC" not in zonal(field(data), shapes)
    assert "flux_TgC" not in zonal(flux.isel(time=0, drop=True), shapes)
    assert "flux_TgC" not in zonal(flux.rename("flux_std"), shapes)


def test_shares_of_classes_sum_to_one_over_what_is_mapped() -> None:
    classes = (np.arange(30) * 7 % 12).reshape(5, 6) // 2 - 1
    classes[2, 3] = 12
    shape = box(-111.5, 30.2, -98, 44)
    row = zonal(field(classes, "").rename("biome"), polygons(A=shape)).iloc[0]
    fractions = [k for k in row.index if k.startswith("fraction_")]
    assert fractions == [f"fraction_{k}" for k in (0, 1, 2, 3, 4, 12)]
    assert row[fractions].sum() == pytest.approx(1, abs=1e-12)
    assert "mean" not in row
    for k in (0, 3, 12):
        share = by_points(np.where(classes >= 0, classes == k, np.nan).astype(float), shape)
        assert row[f"fraction_{k}"] == pytest.approx(share["mean"], rel=5e-3)
    assert row["coverage"] == pytest.approx(share["coverage"], rel=5e-3)


def test_what_counts_as_classes(tmp_path: Path) -> None:
    shapes = polygons(A=box(-111.5, 30.2, -98, 44))
    whole = np.random.default_rng(4).integers(0, 4, (5, 6))
    metres = zonal(field(whole, "m"), shapes)
    assert "mean" in metres
    flagged = field(np.where(whole == 3, np.nan, whole), "m").assign_attrs(flag_values=[0, 1, 2])
    assert "fraction_2" in zonal(flagged, shapes)
    # An integer file whose missing values turned it into floats.
    stored = field(np.where(whole == 3, np.nan, whole), "").rename("cover")
    stored.to_netcdf(tmp_path / "c.nc", encoding={"cover": {"dtype": "int16", "_FillValue": 3}})
    found = zonal(tmp_path / "c.nc", shapes)
    assert "fraction_2" in found
    assert found["coverage"][0] < 1
    # The same asked for.
    both = zonal(field(whole, ""), shapes, statistics=["mean", "fractions"])
    expected = sum(k * both[f"fraction_{k}"][0] for k in range(4))
    assert both["mean"][0] == pytest.approx(expected, rel=1e-12)
    with pytest.raises(FieldError, match=r"'t2m'.*classes as whole numbers.*set attrs"):
        zonal(field(values()), shapes, statistics=["fractions"])


def test_datasets_and_other_dimensions() -> None:
    shapes = polygons(A=box(-111.5, 30.2, -98, 44), B=box(-109, 31, -101.3, 39))
    one, two = field(values(2, 5, 6)), field(np.arange(30).reshape(5, 6) % 3, "").rename("biome")
    levels = xr.concat([one, one + 100], pd.Index([850, 500], name="level")).rename("t")
    ds = xr.Dataset({"t2m": one, "biome": two, "t": levels, "crs": 0})
    table = zonal(ds, shapes)
    assert table.groupby("variable", sort=False).size().to_dict() == {
        "t2m": 4,
        "biome": 2,
        "t": 8,
    }
    high = table[(table["variable"] == "t") & (table["level"] == 500)]
    low = table[table["variable"] == "t2m"]
    np.testing.assert_allclose(high["mean"], low["mean"] + 100, rtol=1e-12)
    assert high["month"].tolist() == low["month"].tolist()
    assert table.columns[:4].tolist() == ["variable", "region", "month", "level"]


def test_uneven_cells_by_their_bounds() -> None:
    grid = Grid.from_corners([-112, -110, -107, -106], [30, 31, 35])
    data = np.array([[1.0, 5.0, 2.0], [7.0, -3.0, 11.0]])
    ds = xr.Dataset({"t2m": (grid.dims, data)}, coords=grid.coords())
    row = zonal(ds, polygons(A=box(-113, 20, -100, 50))).iloc[0]
    assert row["total"] == pytest.approx((data * grid.area).sum(), rel=1e-12)
    assert row["mean"] == pytest.approx(np.average(data, weights=grid.area), rel=1e-12)
    assert row["units"] is None


def test_curvilinear_cells() -> None:
    lon_c, lat_c = np.meshgrid(np.linspace(-112, -95, 7), np.linspace(30, 45, 6))
    grid = Grid.from_corners(lon_c + 0.2 * (lat_c - 30), lat_c + 0.1 * (lon_c + 112))
    data = np.arange(30.0).reshape(5, 6) ** 2
    array = xr.Dataset({"t2m": (grid.dims, data, {"units": "K"})}, coords=grid.coords())
    cells = grid.cells().geometry
    inner = shapely.union_all(shapely.buffer(cells.to_numpy()[[8, 9, 14]], -0.3))
    row = zonal(array, polygons(A=inner)).iloc[0]
    assert (row["min"], row["max"]) == (64, 196)
    assert row["coverage"] == pytest.approx(1, abs=1e-4)
    whole = zonal(array, polygons(A=box(-120, 20, -80, 60))).iloc[0]
    assert whole["total"] == pytest.approx((data * grid.area).sum(), rel=1e-9)


def test_refusals() -> None:
    shapes = polygons(A=box(-111.5, 30.2, -98, 44))
    with pytest.raises(UsageError, match=r"statistics among mean.*found 'median'"):
        zonal(field(values()), shapes, statistics=["median"])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="found none"):
        zonal(field(values()), shapes, statistics=[])
    with pytest.raises(UsageError, match="a CRS"):
        zonal(field(values()), shapes.set_crs(None, allow_override=True))
    with pytest.raises(FieldError, match="a field of numbers"):
        zonal(field(values()).astype(str), shapes)
    daily = field(values(3, 5, 6)).assign_coords(time=pd.date_range("2015-01", periods=3))
    with pytest.raises(TimeError, match="each time once"):
        zonal(daily.isel(time=[0, 1, 1]), shapes)
    with pytest.raises(FieldError, match="'region'"):
        zonal(field(values(2, 5, 6)).drop_vars("time").rename(time="region"), shapes)


def test_names_and_files(tmp_path: Path) -> None:
    shapes = gpd.GeoDataFrame(
        {"code": [3, 4], "name": ["A", "B"]},
        geometry=[box(-111.5, 30.2, -98, 44), box(-109, 31, -101.3, 39)],
        crs="EPSG:4326",
    )
    shapes.to_file(tmp_path / "regions.gpkg")
    field(values()).to_netcdf(tmp_path / "t.nc")
    table = ng.zonal(tmp_path / "t.nc", str(tmp_path / "regions.gpkg"), name="code")
    assert table["region"].tolist() == ["3", "4"]
    assert table["variable"].unique().tolist() == ["t2m"]


@settings(max_examples=10, deadline=None)
@given(
    rectilinear_grids(),
    st.lists(st.tuples(st.integers(-84, 84), st.integers(-70, 70)), min_size=2, unique=True),
    st.integers(0, 99),
)
def test_parts_add_up_and_means_lie_between_extremes(
    grid: Grid, places: list[tuple[int, int]], seed: int
) -> None:
    """A box cut into parts, and the same as one region."""
    rng = np.random.default_rng(seed)
    data = rng.normal(size=grid.shape)
    data[rng.random(grid.shape) < 0.2] = np.nan
    ds = xr.Dataset(
        {
            "t": (grid.dims, data, {"units": "K"}),
            "one": (grid.dims, np.full(grid.shape, 3.7), {"units": "K"}),
            "people": (grid.dims, data, {"units": "1 cell-1"}),
        },
        coords=grid.coords(),
    )
    world = box(-85, -80, 85, 80)
    cells = shapely.voronoi_polygons(shapely.MultiPoint(places), extend_to=world)
    parts = shapely.intersection(shapely.get_parts(cells), world)
    parts = parts[shapely.area(parts) > 1e-6]
    shapes = polygons(**{f"p{k}": part for k, part in enumerate(parts)}, world=world)
    table = zonal(ds, shapes)
    whole, apart = table[table["region"] == "world"], table[table["region"] != "world"]
    known = ~np.isnan(data)
    summed = apart.groupby("variable", sort=False)[["total", "area_km2"]].sum()
    for name in ("t", "one", "people"):
        row = whole[whole["variable"] == name].fillna(0.0).iloc[0]
        size = np.abs(ds[name].values)
        scale = np.nansum(size if name == "people" else size * grid.area) + 1
        assert summed["total"][name] == pytest.approx(row["total"], abs=1e-9 * scale)
        assert summed["area_km2"][name] == pytest.approx(row["area_km2"], rel=1e-8, abs=1e-3)
    names = ("t", "one", "people")
    of = {name: table[(table["variable"] == name) & (table["area_km2"] > 0)] for name in names}
    np.testing.assert_allclose(of["one"]["mean"], 3.7, rtol=1e-12)
    assert (of["t"]["mean"] >= of["t"]["min"] - 1e-12).all()
    assert (of["t"]["mean"] <= of["t"]["max"] + 1e-12).all()
    assert of["people"]["total_units"].unique().tolist() in ([], ["1"])
    # The control: values without their areas have another mean.
    row = whole[whole["variable"] == "t"].iloc[0]
    if row["coverage"] > 0.01 and known.sum() > 5:
        assert abs(data[known].mean() - row["mean"]) > 1e-9


def test_totals_of_cells_are_divided_by_the_part_of_the_cell() -> None:
    people = field(np.abs(values()), "1").rename("people")
    halves = polygons(west=box(-112, 30, -103, 45), east=box(-103, 30, -94, 45))
    shapes = pd.concat([halves, polygons(cut=box(-110.5, 30, -109, 33))])
    table = zonal(people, shapes, quantity="total").set_index("region")
    assert table.loc[["west", "east"], "total"].sum() == pytest.approx(np.nansum(people))
    assert table.loc["cut", "total"] == pytest.approx(float(people[0, 0]) / 2, rel=1e-12)
    assert "mean" not in table
    with pytest.raises(UsageError, match="for totals of cells"):
        zonal(people, shapes, quantity="total", statistics=["mean"])
    areas = field(Grid.from_corners(LON_B, LAT_B).area / 1e6, "km2").rename("cell_area")
    row = zonal(areas, polygons(cut=box(-110.5, 30, -109, 33))).iloc[0]
    assert row["total"] == pytest.approx(row["area_km2"], rel=1e-12)
    assert row["total_units"] == "km2"


def test_a_budget_needs_steps_of_known_length() -> None:
    flux = field(values(3, 5, 6), "g C m-2 day-1").rename("nee")
    shapes = polygons(A=box(-111.5, 30.2, -98, 44))
    years = pd.to_datetime(["2001-01-01", "2002-01-01", "2003-01-01"])
    yearly = flux.assign_coords(time=years)
    table = zonal(yearly, shapes)
    assert "flux_TgC" not in table
    assert table["time"].tolist() == list(years)
    assert "no time bounds" in table.attrs["notes"][0]
    ends = np.stack([years, years + pd.offsets.YearBegin(1)], axis=1)
    bounded = yearly.to_dataset().assign_coords(time_bnds=(("time", "nv"), ends))
    bounded["time"].attrs["bounds"] = "time_bnds"
    table = zonal(bounded, shapes)
    np.testing.assert_allclose(table["flux_TgC"], table["total"] * 365 / 1e12, rtol=1e-9)
    monthly = flux.assign_attrs(units="g C m-2 month-1")
    table = zonal(monthly, shapes)
    np.testing.assert_allclose(table["flux_TgC"], table["total"] / 1e12, rtol=1e-9)
    amounts = bounded.assign(nee=bounded["nee"].assign_attrs(units="g C m-2 month-1"))
    assert "flux_TgC" not in zonal(amounts, shapes)
    days = flux.assign_coords(time=pd.date_range("2001-02-01", periods=3, freq="10D"))
    assert zonal(days, shapes, average=0.5)["month"].dt.month.tolist() == [2, 3]
    climatology = flux.assign_coords(time=[1, 2, 3])
    assert zonal(climatology, shapes)["time"].tolist() == [1, 2, 3]
    assert "flux_TgC" not in zonal(climatology, shapes)
    # A single stamp may be of a month, a day or a moment.
    assert "flux_TgC" not in zonal(flux.isel(time=[0]), shapes)
    ends_of_interval = flux.rename("flux_upper")
    assert "flux_TgC" not in zonal(ends_of_interval, shapes)


def test_carbon_of_means_and_of_amounts_in_cells() -> None:
    flux = field(np.abs(values(3, 5, 6)), "umol m-2 s-1").rename("nee")
    shapes = polygons(A=box(-111.5, 30.2, -98, 44))
    wanted = zonal(flux, shapes)["flux_TgC"]
    rate = 12.011e-9 * Grid.from_corners(LON_B, LAT_B).area  # kg C s-1 of a cell
    days = flux["time"].dt.days_in_month
    amounts = {
        "kg C s-1": flux * rate,
        "kg C s-1 cell-1": flux * rate,
        "Tg C month-1": flux * rate * days * 86400e-9,
    }
    for units, amount in amounts.items():
        amount = amount.assign_attrs(units=units).rename("nee")
        np.testing.assert_allclose(zonal(amount, shapes)["flux_TgC"], wanted, rtol=1e-5)
    # What contradicts its unit has no budget, rather than one that is wrong by an area.
    assert "flux_TgC" not in zonal(flux, shapes, quantity="total")
    assert "flux_TgC" not in zonal(flux.assign_attrs(cell_methods="area: sum"), shapes)
    table = zonal(
        amounts["kg C s-1"].assign_attrs(units="kg C s-1 cell-1"), shapes, quantity="mean"
    )
    assert "flux_TgC" not in table
    assert "amounts in each cell" in table.attrs["notes"][0]


def test_what_has_no_mean() -> None:
    shapes = polygons(A=box(-111.5, 30.2, -98, 44))
    wind = field(values() % 360, "degrees").rename("wind_from_direction")
    for quantity in (None, "mean"):
        table = zonal(wind, shapes, quantity=quantity)
        assert "coverage" in table
        assert not {"mean", "total", "min"} & set(table)
        assert "is a direction" in table.attrs["notes"][0]
    with pytest.raises(UsageError, match="is a direction"):
        zonal(wind, shapes, statistics=["mean"])
    counted = field(np.abs(values()), "").rename("population")
    table = zonal(counted, shapes)
    assert not {"mean", "total"} & set(table)
    assert "--quantity" in table.attrs["notes"][0]
    assert "total" in zonal(counted, shapes, quantity="total")
    bits = field(np.arange(30).reshape(5, 6) % 4, "").assign_attrs(flag_masks=[1, 2])
    table = zonal(bits, shapes, quantity="mean")
    assert "mean" not in table
    assert table.filter(like="fraction_").sum(axis=1)[0] == pytest.approx(1)


def test_people_per_pixel_are_added_up() -> None:
    people = field(np.abs(values()), "people per pixel")
    row = zonal(people, polygons(cut=box(-110.5, 30, -109, 33))).iloc[0]
    assert row["total"] == pytest.approx(float(people[0, 0]) / 2, rel=1e-12)
    assert row["total_units"] == "people"


def test_numbers_as_they_lie_in_a_file() -> None:
    shapes = polygons(A=box(-111.5, 30.2, -98, 44))
    stored = np.random.default_rng(5).integers(0, 250, (5, 6)).astype("uint8")
    stored[1, 2] = 255
    packing = {"scale_factor": 0.1, "add_offset": 270.0, "_FillValue": np.int8(-1)}
    raw = field(stored.view("int8")).assign_attrs(_Unsigned="true", **packing)
    plain = np.where(stored == 255, np.nan, stored * 0.1 + 270)
    wanted = zonal(field(plain), shapes)
    for source in (raw, raw.chunk(2), raw.to_dataset()):
        pd.testing.assert_frame_equal(zonal(source, shapes), wanted, rtol=1e-6)


def test_other_calendars_keep_their_dates() -> None:
    time = xr.date_range("2001-02-29", periods=3, calendar="360_day", use_cftime=True)
    table = zonal(
        field(values(3, 5, 6)).assign_coords(time=time), polygons(A=box(-111, 31, -98, 44))
    )
    assert table["time"].tolist() == ["2001-02-29", "2001-02-30", "2001-03-01"]


def test_exactextract_agrees_on_fine_cells() -> None:
    """It measures the part of a cell on the plane, which on fine cells is that on the sphere."""
    exactextract = pytest.importorskip("exactextract")
    raster = pytest.importorskip("exactextract.raster").NumPyRasterSource
    grid = Grid.regular(-112, 30, -95, 45, 0.05)
    rng = np.random.default_rng(2)
    data = rng.normal(size=grid.shape) + np.arange(grid.shape[0])[:, None] * 0.1
    data[rng.random(grid.shape) < 0.1] = np.nan
    array = xr.DataArray(
        data, {"lat": grid.lat, "lon": grid.lon}, ("lat", "lon"), name="t", attrs={"units": "K"}
    )
    shape = Polygon([(-111, 30.5), (-97, 32), (-101, 44), (-104, 35), (-109, 43)])
    shapes = gpd.GeoDataFrame({"name": ["A"]}, geometry=[shape], crs="EPSG:4326")
    weights = np.broadcast_to(grid.area[:, :1], grid.shape)
    box_, wkt = (-112, 30, -95, 45), shapes.crs.to_wkt()
    judged = exactextract.exact_extract(
        raster(data[::-1].copy(), *box_, srs_wkt=wkt),
        shapes,
        ["weighted_mean", "weighted_sum", "min", "max"],
        weights=raster(weights[::-1].copy(), *box_, srs_wkt=wkt),
        output="pandas",
    ).iloc[0]
    row = zonal(array, shapes).iloc[0]
    assert row["mean"] == pytest.approx(judged["weighted_mean"], rel=1e-5)
    assert row["total"] == pytest.approx(judged["weighted_sum"], rel=1e-4)
    assert row[["min", "max"]].tolist() == judged[["min", "max"]].tolist()
