"""Axes: whatever their names, order, direction and turn, a value stays with its place."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from places import cells, like_a_map, like_an_inversion

from narcf_geo.core.errors import FieldError, UsageError
from narcf_geo.fields import in_house_order
from narcf_geo.fields.axes import time_name
from narcf_geo.grid import Grid

NORTH = {"units": "degrees_north"}
EAST = {"units": "degrees_east"}


def at(field: xr.DataArray, lat: str = "lat", lon: str = "lon") -> dict[tuple[float, float], float]:
    """Return each value by its place, read from the coordinates one by one."""
    north, east = field[lat], field[lon]
    return {
        (round(float(north[j]), 4), round(float(east[i]) % 360, 4) % 360): field.isel(
            {north.dims[0]: j, east.dims[0]: i}
        ).values.tolist()
        for j in range(north.size)
        for i in range(east.size)
    }


def is_in_house_order(field: xr.DataArray) -> bool:
    lat, lon = field["lat"].values, field["lon"].values
    return (
        field.dims[-2:] == ("lat", "lon")
        and bool((np.diff(lat) > 0).all())
        and bool((np.diff(lon) > 0).all())
        and -180.00001 <= lon[0] < 180
        and lon[-1] - lon[0] < 360
        and {"lat", "lon"} <= set(field.xindexes)
    )


@st.composite
def fields(draw: st.DrawFn) -> xr.DataArray:
    """Fields on any part of the globe whose rows, columns and turns of 360 degrees are mixed."""
    rows = draw(st.lists(st.integers(-899, 899), min_size=1, max_size=6, unique=True))
    columns = draw(st.lists(st.integers(0, 3599), min_size=1, max_size=7, unique=True))
    turns = draw(st.lists(st.sampled_from([-360, 0, 360]), min_size=7, max_size=7))
    lon = np.array(columns) / 10 + np.array(turns[: len(columns)])
    dtype = draw(st.sampled_from(["f8", "f4"]))
    y, x = draw(st.sampled_from([("lat", "lon"), ("phi", "lam"), ("Latitude", "Longitude")]))
    values = np.arange(1.0, 1 + 2 * lon.size * len(rows)).reshape(2, len(rows), lon.size)
    coords = {y: (y, np.array(rows, dtype) / 10, NORTH), x: (x, lon.astype(dtype), EAST)}
    field = xr.DataArray(values, coords, ("band", y, x), name="f")
    return field.transpose(*draw(st.permutations(field.dims)))


@settings(deadline=None)
@given(fields())
def test_a_value_stays_with_its_place(field: xr.DataArray) -> None:
    lat, lon = (next(n for n in field.coords if field[n].attrs == a) for a in (NORTH, EAST))
    house = in_house_order(field)
    assert is_in_house_order(house)
    assert house.dims[0] == "band"
    assert at(house) == at(field, lat, lon)
    assert house["lat"].dtype == field[lat].dtype
    # What is in order stays as it is.
    xr.testing.assert_identical(in_house_order(house), house)


def test_the_check_of_places_sees_a_field_turned_by_position() -> None:
    field = cells(np.arange(12.0).reshape(3, 4))
    wrong = field.copy(data=field.values[::-1])
    assert at(wrong) != at(field)
    assert at(like_an_inversion(field)) == at(field)
    assert not is_in_house_order(like_an_inversion(field))


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ([0, 90, 180, 270], [-180, -90, 0, 90]),
        ([-135, -45, 45, 135], [-135, -45, 45, 135]),
        ([0, 90, 180], [0, 90, 180]),
        ([170, 180, 190], [170, 180, 190]),
        ([-190, -180, -170], [170, 180, 190]),
        ([-170, 170, 180], [170, 180, 190]),
        ([0, 10, 350], [-10, 0, 10]),
        ([350, 0, 10], [-10, 0, 10]),
        ([357.5, 2.5, 0], [-2.5, 0, 2.5]),
        ([-100.0, -99.0], [-100, -99]),
        ([260.0, 261.0], [-100, -99]),
        ([719.5], [-0.5]),
        ([180.0], [-180]),
    ],
)
def test_longitudes_go_eastwards_without_a_jump(given_: list, expected: list) -> None:
    field = cells(np.arange(len(given_), dtype=float)[None], [45.0], given_)
    house = in_house_order(field)
    assert house["lon"].values.tolist() == expected
    assert at(house) == at(field)


def test_rounding_at_the_dateline_moves_no_column() -> None:
    for first in (180.0, 180 + 1e-9, 180 - 1e-9, -180 - 1e-9):
        house = in_house_order(cells(np.arange(4.0)[None], [45.0], [0.0, 90.0, first, 270.0]))
        assert house["lon"].values == pytest.approx([-180, -90, 0, 90])
        assert house.values.tolist() == [[2, 3, 0, 1]]
    lon = np.float32([179.99999, -179.9, -179.8])
    east = in_house_order(cells(np.arange(3.0)[None], [45.0], lon))["lon"].values
    assert np.diff(east) == pytest.approx([0.1, 0.1], abs=1e-4)


def test_attributes_alone_tell_the_axes() -> None:
    field = cells(np.arange(6.0).reshape(2, 3)).rename(lat="lam", lon="phi")
    house = in_house_order(field)
    assert house.dims == ("lat", "lon")
    assert at(house) == at(field, "lam", "phi")
    standard = field.copy()
    standard["lam"].attrs = {"standard_name": "latitude"}
    standard["phi"].attrs = {"standard_name": "longitude"}
    assert at(in_house_order(standard)) == at(house)
    # Attributes are believed before names: these two are swapped on purpose.
    swapped = cells(np.arange(6.0).reshape(2, 3)).rename(lat="lon", lon="lat")
    assert at(in_house_order(swapped)) == at(house)
    field["lam"].attrs = {}
    with pytest.raises(FieldError, match=r"expected latitudes and longitudes .*degrees_north"):
        in_house_order(field)


def test_coordinates_of_dimensions_of_other_names_become_labels() -> None:
    field = cells(np.arange(6.0).reshape(2, 3)).isel(lat=slice(None, None, -1))
    plain = xr.DataArray(
        field.values,
        {"latitude": ("y", field["lat"].values), "longitude": ("x", field["lon"].values)},
        ("y", "x"),
    )
    house = in_house_order(plain)
    assert is_in_house_order(house)
    assert house.sel(lat=43.0).values.tolist() == field.sel(lat=43.0).values.tolist()
    months = np.array(["2014-02-01", "2014-01-01"], "datetime64[ns]")
    series = plain.expand_dims(step=2).assign_coords(valid_time=("step", months))
    assert "time" in in_house_order(series.astype(float)).xindexes


def test_bounds_turn_with_their_axes() -> None:
    field = cells(np.arange(12.0).reshape(3, 4), [40.0, 41.0, 43.0], [357.0, 359.0, 0.0, 0.5])
    lat_b, lon_b = [39.2, 40.6, 42.2, 44.0], [355.5, 358.2, 359.6, 360.3, 361.0]
    ds = field.rename(lat="rows", lon="columns").to_dataset(name="f")
    ds = ds.assign(
        south_north=(("rows", "two"), np.stack([lat_b[:-1], lat_b[1:]], 1)),
        west_east=(("columns", "two"), np.stack([lon_b[:-1], lon_b[1:]], 1)),
    )
    ds["rows"].attrs["bounds"], ds["columns"].encoding["bounds"] = "south_north", "west_east"
    house = in_house_order(ds.isel(rows=[2, 0, 1], columns=[3, 0, 2, 1]))
    assert house["lat_bnds"].values[:, 0].tolist() == lat_b[:-1]
    np.testing.assert_allclose(house["lon_bnds"].values[:2], [[-4.5, -1.8], [-1.8, -0.4]])
    assert house["lat"].attrs["bounds"] == "lat_bnds"
    grid = Grid.from_dataset(house)
    np.testing.assert_allclose(grid.lat_b, lat_b)
    np.testing.assert_allclose(grid.lon_b, np.array(lon_b) - 360)
    # The control: half way between centres the edges are others.
    assert Grid.from_dataset(house["f"]) != grid


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    ("lat", "lon", "found"),
    [
        ([45.0, 46.0], [0.0, 120.0, 240.0, 360.0], "each longitude once, found 0 twice"),
        ([45.0, 46.0], [-180.0, 0.0, 180.0], "each longitude once, found -180 twice"),
        ([45.0, 45.0], [0.0, 1.0], "each latitude once, found 45 twice"),
        ([45.0, np.nan], [0.0, 1.0], "a latitude of each row or column, found nan"),
        ([45.0, 46.0], [0.0, np.inf], "a longitude of each row or column, found inf"),
    ],
)
def test_a_place_that_stands_twice_is_refused(dtype: str, lat: list, lon: list, found: str) -> None:
    values = np.zeros((len(lat), len(lon)))
    with pytest.raises(FieldError, match=f"some file: expected {found}"):
        in_house_order(cells(values, np.array(lat, dtype), np.array(lon, dtype)), "some file")
    in_house_order(cells(values, [45.0, 46.0], np.arange(len(lon), dtype=dtype)))


@pytest.mark.parametrize(
    "broken",
    [
        lambda f: f.drop_vars("lon"),
        lambda f: f.isel(lat=0),
        lambda f: f.isel(lat=[0, 1], lon=[0, 1]).stack(place=["lat", "lon"]).reset_index("place"),
    ],
    ids=["no longitudes", "one latitude", "a list of places"],
)
def test_what_has_no_plane_is_refused_in_words(broken: object) -> None:
    field = cells(np.zeros((2, 3))).rename("heat")
    with pytest.raises(FieldError, match=r"'heat': expected latitudes and longitudes along two"):
        in_house_order(broken(field))
    assert not issubclass(FieldError, UsageError)
    assert FieldError.exit_code == 1


def test_curvilinear_cells_stay_where_they_are() -> None:
    y, x = np.mgrid[:3, :4]
    ds = xr.Dataset(
        {"f": (("x", "y", "t"), np.arange(24.0).reshape(4, 3, 2))},
        {
            "nav_lat": (("y", "x"), 60.0 - y + 0.1 * x, {"standard_name": "latitude"}),
            "nav_lon": (("y", "x"), 350.0 + 2 * x + 0.2 * y, {"standard_name": "longitude"}),
            "t": ("t", np.array(["2014-01-01", "2014-02-01"], "datetime64[ns]")),
        },
    )
    house = in_house_order(ds)
    assert house["f"].dims == ("time", "y", "x")
    np.testing.assert_array_equal(house["f"].values, ds["f"].transpose("t", "y", "x").values)
    np.testing.assert_array_equal(house["lat"].values, ds["nav_lat"].values)
    assert (house["lon"].values % 360 == ds["nav_lon"].values % 360).all()


def test_lazy_arrays_are_not_read() -> None:
    def read(block_info: object = None) -> np.ndarray:
        raise AssertionError("read")

    lazy = da.map_blocks(read, dtype="f8", chunks=((1, 1), (3,), (4,)), meta=np.empty((0, 0, 0)))
    field = cells(np.zeros((3, 4))).expand_dims(band=2).copy(data=lazy)
    house = in_house_order(like_a_map(field))
    assert house.chunks is not None
    assert is_in_house_order(house)
    with pytest.raises(AssertionError, match="read"):
        house.load()


@pytest.mark.parametrize(
    ("name", "attrs"),
    [("time", {}), ("Date", {}), ("strange", {"axis": "T"}), ("x1", {"standard_name": "time"})],
)
def test_the_time_axis_is_found_and_comes_first(name: str, attrs: dict[str, str]) -> None:
    months = np.array(["2014-01-01", "2014-02-01"], "datetime64[ns]")
    field = cells(np.arange(6.0).reshape(2, 3)).expand_dims({name: months}, axis=-1)
    field[name].attrs = attrs
    assert time_name(field.to_dataset(name="f")) == name
    house = in_house_order(field)
    assert house.dims == ("time", "lat", "lon")
    assert house["time"].values.tolist() == months.tolist()


def test_other_coordinates_of_the_names_of_the_house_make_way() -> None:
    """An axis called ``lat`` in metres is not the latitude beside it."""
    field = cells(np.arange(6.0).reshape(2, 3)).rename(lat="north", lon="east")
    field = field.assign_coords(lat=("north", [5e5, 6e5], {"units": "m"}))
    assert at(in_house_order(field)) == at(field, "north", "east")


def test_wide_cells_begin_after_their_gap_by_their_bounds() -> None:
    edges = np.array([0.0, 68.75, 206.25, 275.0])
    ds = xr.Dataset(
        {"v": (("lat", "lon"), [[1.0, 2.0, 3.0]])},
        {
            "lat": ("lat", [0.5], {"units": "degrees_north"}),
            "lon": ("lon", (edges[1:] + edges[:-1]) / 2, {"units": "degrees_east"}),
        },
    )
    # The control: by their centres alone they may go round the globe.
    assert in_house_order(ds)["v"].values.tolist() == [[3.0, 1.0, 2.0]]
    ds["lon"].attrs["bounds"] = "lon_bnds"
    ds = ds.assign_coords(lon_bnds=(("lon", "nv"), np.stack([edges[:-1], edges[1:]], 1)))
    house = in_house_order(ds)
    assert house["v"].values.tolist() == [[1.0, 2.0, 3.0]]
    assert house["lon_bnds"].values.tolist() == ds["lon_bnds"].values.tolist()
