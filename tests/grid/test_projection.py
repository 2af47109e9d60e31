"""Grids in a coordinate reference system: where cells are, in which units, and off the globe."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
import xarray as xr
from dask.base import tokenize
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer

from narcf_geo.core.errors import FieldError, NarcfError, UsageError
from narcf_geo.grid import Grid
from narcf_geo.grid.globe import _places
from narcf_geo.grid.projection import known_code

EASE2_WIDTH, EASE2_HEIGHT = 17367530.4451615, 7314540.8306386
GEOSTATIONARY = {
    "grid_mapping_name": "geostationary",
    "perspective_point_height": 35786023.0,
    "semi_major_axis": 6378137.0,
    "semi_minor_axis": 6356752.31414,
    "latitude_of_projection_origin": 0.0,
    "longitude_of_projection_origin": -75.0,
    "sweep_angle_axis": "x",
}


def laid_out(x: np.ndarray, y: np.ndarray, crs: object, units: str | None = "m") -> xr.Dataset:
    """A field on x and y with a grid mapping: a CRS, or CF attributes."""
    mapping = crs if isinstance(crs, dict) else CRS.from_user_input(crs).to_cf()
    ds = xr.Dataset(
        {
            "f": (("y", "x"), np.zeros((len(y), len(x))), {"grid_mapping": "crs"}),
            "crs": ((), 0, mapping),
        },
        coords={"y": ("y", y), "x": ("x", x)},
    )
    for axis in "xy":
        ds[axis].attrs["standard_name"] = f"projection_{axis}_coordinate"
        if units is not None:
            ds[axis].attrs["units"] = units
    return ds


def positions(crs: object, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes of WGS 84, as pyproj alone gives them."""
    return Transformer.from_crs(crs, 4326, always_xy=True).transform(*np.meshgrid(x, y))


@pytest.mark.parametrize(
    ("crs", "box"),
    [
        ("EPSG:3035", (25e5, 15e5, 40e5, 27e5)),
        ("EPSG:32601", (1e5, 50e5, 9e5, 70e5)),
        ("EPSG:6931", (-40e5, -30e5, 10e5, 40e5)),
        ("EPSG:5070", (-23e5, 3e5, 22e5, 31e5)),
        ("EPSG:27700", (1e5, 1e5, 6e5, 9e5)),
        ("EPSG:2193", (11e5, 48e5, 20e5, 60e5)),
        ("EPSG:27572", (2e5, 17e5, 9e5, 26e5)),
    ],
)
def test_cells_lie_where_pyproj_puts_them(crs: str, box: tuple[float, ...]) -> None:
    grid = Grid.regular(*box, 1e5, crs=crs)
    plane = grid.projection
    assert plane is not None
    lon, lat = positions(crs, plane.x_b, plane.y_b)
    np.testing.assert_allclose(grid.lat_b, lat, atol=1e-8)
    np.testing.assert_allclose((grid.lon_b - lon + 180) % 360 - 180, 0, atol=1e-8)
    assert f"in {crs}, x {box[0]:.10g} to {box[2]:.10g}, y" in repr(grid)
    assert crs in grid._repr_html_()


def test_a_datum_of_its_own_is_not_wgs84() -> None:
    """The control of the test above: in its own datum, a place in Britain is 100 m elsewhere."""
    x, y = np.array([3e5, 4e5]), np.array([2e5, 3e5])
    own = Transformer.from_crs(27700, CRS(27700).geodetic_crs, always_xy=True)
    assert np.abs(own.transform(x, y)[0] - positions(27700, x, y)[0][[0, 1], [0, 1]]).max() > 5e-4


@pytest.mark.parametrize(
    "crs",
    ["EPSG:3857", "EPSG:6933", "EPSG:4087", "EPSG:3395", "+proj=mill", "+proj=cea +lat_ts=30"],
)
def test_cylindrical_projections_have_parallels_and_meridians(crs: str) -> None:
    x, y = np.linspace(-15e6, 9e6, 25), np.linspace(-6e6, 7e6, 14)
    grid = Grid.projected(crs, x, y)
    assert grid.is_rectilinear
    lon, lat = positions(crs, x, y)
    np.testing.assert_allclose(grid.lon_b, lon[0], atol=1e-9)
    np.testing.assert_allclose(grid.lat_b, lat[:, 0], atol=1e-9)
    assert grid.projection is not None
    assert Grid.from_dataset(xr.Dataset(coords=grid.coords()).assign_coords(
        crs=((), 0, grid.grid_mapping)
    )) == grid  # fmt: skip


@pytest.mark.parametrize(
    "crs", ["EPSG:3035", "+proj=sinu +R=6371007.181", "+proj=robin", "EPSG:3031"]
)
def test_other_projections_do_not(crs: str) -> None:
    """The control of the test above, on a grid that is symmetric about the origin too."""
    middle = 3e6 if crs == "EPSG:3035" else 0.0
    edges = middle + np.array([-2e6, 2e6])
    assert not Grid.projected(crs, edges, edges).is_rectilinear


def test_a_global_cylinder_goes_round_once() -> None:
    x = np.linspace(-EASE2_WIDTH, EASE2_WIDTH, 965)
    y = np.linspace(EASE2_HEIGHT, -EASE2_HEIGHT, 407)
    grid = Grid.projected("EPSG:6933", x, y)
    assert grid.is_rectilinear
    assert abs(grid.lon_b[-1] - grid.lon_b[0] - 360) < 1e-9
    assert (np.diff(grid.lon_b) > 0).all()
    assert (np.diff(grid.lat_b) < 0).all()
    across = Grid.projected("EPSG:3857", [19e6, 20e6, 21e6], [0, 1e6])
    assert np.ptp(across.lon_b) == pytest.approx(2e6 / 6378137 * 180 / np.pi)
    two = Grid.projected("EPSG:6933", [-EASE2_WIDTH, 0, EASE2_WIDTH], [0, 1e6])
    np.testing.assert_allclose(two.lon_b, [-180, 0, 180], atol=1e-9)
    one = Grid.projected("EPSG:6933", [-EASE2_WIDTH, EASE2_WIDTH], [0, 1e6])
    np.testing.assert_allclose(one.lon_b, [-180, 180], atol=1e-9)


def test_a_rotated_pole_names_its_axes() -> None:
    pole = CRS.from_cf(
        {
            "grid_mapping_name": "rotated_latitude_longitude",
            "grid_north_pole_latitude": 39.25,
            "grid_north_pole_longitude": -162.0,
        }
    )
    grid = Grid.regular(-5, -3, 5, 3, 0.5, crs=pole)
    assert grid.dims == ("rlat", "rlon")
    assert grid.lat[6, 10] == pytest.approx(50.75, abs=0.5)
    coords = grid.coords()
    assert coords["rlon"].attrs["standard_name"] == "grid_longitude"
    assert coords["rlat"].attrs["units"] == "degrees"
    assert grid.grid_mapping["grid_mapping_name"] == "rotated_latitude_longitude"
    ds = xr.Dataset(coords=coords).assign_coords(pole=((), 0, grid.grid_mapping))
    assert Grid.from_dataset(ds) == grid


def test_longitude_and_latitude_are_no_projection() -> None:
    plain = Grid.regular(-10, 40, 0, 50, 1, crs="EPSG:4326")
    assert plain == Grid.regular(-10, 40, 0, 50, 1)
    assert plain.projection is None
    assert plain.grid_mapping["grid_mapping_name"] == "latitude_longitude"


def test_the_value_is_one() -> None:
    box = (25e5, 15e5, 40e5, 27e5)
    grid = Grid.regular(*box, 1e5, crs="EPSG:3035")
    again = pickle.loads(pickle.dumps(grid))
    assert again == grid
    assert again.projection is not None
    assert (hash(again), tokenize(again)) == (hash(grid), tokenize(grid))
    assert again.projection.wkt == grid.projection.wkt  # type: ignore[union-attr]
    for value in (grid.projection.x_b, again.projection.y):  # type: ignore[union-attr]
        assert not value.flags.writeable
    bare = Grid.from_corners(grid.lon_b, grid.lat_b, lon=grid.lon, lat=grid.lat)
    assert bare != grid
    assert bare.digest == grid.digest
    assert bare.matches(grid)
    assert tokenize(bare) != tokenize(grid)
    attrs = {k: v for k, v in CRS("EPSG:3035").to_cf().items() if "wkt" not in k}
    x, y = grid.projection.x, grid.projection.y  # type: ignore[union-attr]
    of_cf = Grid.from_dataset(laid_out(x, y, attrs))
    assert of_cf.matches(grid)
    assert of_cf.projection.name == "EPSG:3035"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("unit", "metres"),
    [
        ("m", 1.0),
        ("metre", 1.0),
        ("Meters", 1.0),
        ("km", 1e3),
        ("kilometers", 1e3),
        ("Mm", 1e6),
        ("ft", 0.3048),
        ("US_survey_foot", 1200 / 3937),
        ("US survey foot", 1200 / 3937),
    ],
)
def test_x_and_y_in_any_length(unit: str, metres: float) -> None:
    plain = Grid.regular(-20e5, 5e5, 20e5, 25e5, 1e5, crs="EPSG:5070")
    x, y = plain.projection.x / metres, plain.projection.y / metres  # type: ignore[union-attr]
    ds = laid_out(x, y, "EPSG:5070", unit)
    assert Grid.from_dataset(ds).matches(plain, 1e-9)
    edges = plain.projection.y_b / metres  # type: ignore[union-attr]
    ds["y_edges"] = (("y", "two"), np.stack([edges[:-1], edges[1:]], axis=1))
    ds["y"].attrs["bounds"] = "y_edges"
    for order in (slice(None), slice(None, None, -1)):
        turned = Grid.from_dataset(ds.isel(y=order))
        np.testing.assert_allclose(turned.lat_b, plain.lat_b[order], atol=1e-9)
    if metres != 1:
        in_metres = ds.assign_coords(x=("x", x, ds.x.attrs | {"units": "m"}))
        assert not Grid.from_dataset(in_metres).matches(plain)


def test_a_system_in_feet_keeps_its_feet() -> None:
    grid = Grid.regular(60e5, 15e5, 70e5, 25e5, 2e5, crs="EPSG:2225")
    plane = grid.projection
    assert plane is not None
    assert "200000 x 200000 US_survey_foot in EPSG:2225" in repr(grid)
    assert Grid.from_dataset(laid_out(plane.x, plane.y, "EPSG:2225", "US survey foot")) == grid
    metres = 1200 / 3937
    found = Grid.from_dataset(laid_out(plane.x * metres, plane.y * metres, "EPSG:2225", "m"))
    assert found.matches(grid)


@pytest.mark.parametrize("unit", ["hours", "parsnips", "degrees", "kg"])
def test_x_in_no_length_is_refused(unit: str) -> None:
    ds = laid_out(np.arange(3) * 1e4, np.arange(4) * 1e4, "EPSG:3035", unit)
    with pytest.raises(FieldError, match=f"expected a length as the unit of 'x', found '{unit}'"):
        Grid.from_dataset(ds)


@pytest.mark.parametrize(
    ("unit", "radians"),
    [("rad", 1.0), ("radian", 1.0), ("microradian", 1e-6), ("degrees", np.pi / 180), ("m", None)],
)
def test_scan_angles_of_a_satellite(unit: str, radians: float | None) -> None:
    angle = np.linspace(-0.05, 0.05, 21)
    scale = 35786023.0 if radians is None else 1 / radians
    grid = Grid.from_dataset(laid_out(angle * scale, angle[::-1] * scale, GEOSTATIONARY, unit))
    metres = angle * 35786023.0
    lon, lat = positions(CRS.from_cf(GEOSTATIONARY), metres, metres[::-1])
    np.testing.assert_allclose(grid.lat, lat, atol=1e-7)
    np.testing.assert_allclose(grid.lon, lon, atol=1e-7)
    swept = Grid.from_dataset(
        laid_out(
            angle * scale, angle[::-1] * scale, GEOSTATIONARY | {"sweep_angle_axis": "y"}, unit
        )
    )
    assert np.abs(swept.lat - lat).max() > 1e-3


def test_scan_angles_say_their_unit() -> None:
    angle = np.linspace(-0.05, 0.05, 21)
    with pytest.raises(FieldError, match="expected a unit for 'x' of a geostationary projection"):
        Grid.from_dataset(laid_out(angle, angle, GEOSTATIONARY, None))


def test_a_false_easting_is_in_the_unit_of_the_axis() -> None:
    attrs = {k: v for k, v in CRS("EPSG:32611").to_cf().items() if "wkt" not in k}
    x, y = np.arange(400, 600, 10.0), np.arange(4000, 4200, 10.0)
    plain = Grid.from_dataset(laid_out(x * 1000, y * 1000, "EPSG:32611"))
    in_km = Grid.from_dataset(laid_out(x, y, attrs | {"false_easting": 500.0}, "km"))
    assert in_km.matches(plain)
    converted_by_hand = Grid.from_dataset(laid_out(x, y, attrs, "km"))
    assert converted_by_hand.matches(plain)


def test_each_plane_has_its_own_mapping() -> None:
    x, y = np.arange(3e6, 4e6, 1e5), np.arange(2e6, 3e6, 1e5)
    laea = laid_out(x, y, "EPSG:3035")
    other = laid_out(x, y, "EPSG:5070").rename(f="a", crs="conus", x="x2", y="y2")
    other["a"].attrs["grid_mapping"] = "conus"
    for kind in "xy":
        other[f"{kind}2"].attrs = {}
    both = xr.merge([other, laea])
    assert Grid.from_dataset(both).projection.name == "EPSG:3035"  # type: ignore[union-attr]
    geo = xr.DataArray(0, attrs=CRS(4326).to_cf())
    for text in ("crs: x y geo: lat lon", "geo: lat lon crs: y x", "crs"):
        several = laea.assign(geo=geo)
        several["f"].attrs["grid_mapping"] = text
        assert Grid.from_dataset(several) == Grid.from_dataset(laea)


def test_a_mapping_of_degrees_is_not_that_of_x_and_y() -> None:
    """Some files name the datum of their 2-D positions so, beside x and y that count metres."""
    grid = Grid.regular(3e6, 2e6, 4e6, 3e6, 1e5, crs="EPSG:3035")
    ds = xr.Dataset(coords=grid.coords()).assign(crs=((), 0, CRS(4326).to_cf()))
    found = Grid.from_dataset(ds)
    np.testing.assert_allclose(found.lat_b, grid.lat_b, atol=1e-9)
    assert found.projection is None


def test_single_precision_axes_are_even() -> None:
    x = (32463.41 * np.arange(349)).astype("f4")
    grid = Grid.from_dataset(laid_out(x, x[:50], "+proj=lcc +lat_1=50 +lat_0=50 +R=6371200"))
    steps = np.diff(grid.projection.x_b)  # type: ignore[union-attr]
    assert np.ptp(steps) < 1e-6
    assert np.ptp(np.diff(x.astype("f8"))) > 0.1


def test_one_pixel_has_the_size_of_the_transform() -> None:
    ds = laid_out(np.array([505e3]), np.array([4995e3, 4985e3]), "EPSG:32611")
    with pytest.raises(NarcfError, match="at least two values along 'x'"):
        Grid.from_dataset(ds)
    ds["crs"].attrs["GeoTransform"] = "500000.0 10000.0 0.0 5000000.0 0.0 -10000.0"
    plane = Grid.from_dataset(ds).projection
    assert plane is not None
    assert plane.x_b.tolist() == [500e3, 510e3]


def test_parallels_beside_x_and_y_do_not_hide_the_projection() -> None:
    grid = Grid.projected("EPSG:3857", np.linspace(-14e6, -8e6, 31), np.linspace(3e6, 7e6, 21))
    ds = laid_out(grid.projection.x, grid.projection.y, "EPSG:3857")  # type: ignore[union-attr]
    ds = ds.assign_coords(
        lat=("y", grid.lat, {"units": "degrees_north"}),
        lon=("x", grid.lon, {"units": "degrees_east"}),
    )
    assert Grid.from_dataset(ds) == grid
    half_way = Grid.from_dataset(ds.drop_vars(["crs", "x", "y"]))
    assert not half_way.matches(grid)


@pytest.mark.parametrize(
    ("crs", "edges"),
    [
        ("EPSG:3035", [-2e7, 0, 2e7]),
        ("EPSG:32611", [-2e7, 0, 2e7]),
        ("+proj=sinu +R=6371007.181", [-2e7, 0, 2e7]),
        ("+proj=moll", [-2e7, 0, 2e7]),
        (CRS.from_cf(GEOSTATIONARY), [-6e6, 0, 6e6]),
        ("EPSG:3857", [0, 1e6, 4e8]),
    ],
)
def test_cells_off_the_globe_are_refused(crs: object, edges: list[float]) -> None:
    with pytest.raises(NarcfError, match=r"no longitude and latitude|go round the globe once"):
        Grid.projected(crs, edges, edges)  # type: ignore[arg-type]


def test_the_rim_of_the_globe_is_on_it() -> None:
    """On the sinusoidal plane 180 E and 180 W are two places; PROJ returns either."""
    half = np.pi * 6371007.181
    crs = CRS("+proj=sinu +R=6371007.181")
    lon, lat = _places(crs, np.array([-half, 0, half]), np.array([-3e6, 0.0, 3e6]))
    np.testing.assert_allclose(lon[1], [-180, 0, 180], atol=1e-6)
    assert np.isinf(lon[0]).tolist() == [True, False, True]
    assert lat[1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("crs", ["EPSG:99999", "EPSG:4978", "nonsense", "", "+proj=nope"])
def test_what_is_no_reference_system(crs: str) -> None:
    with pytest.raises(UsageError, match="expected a"):
        Grid.regular(0, 0, 1e6, 1e6, 1e5, crs=crs)


@pytest.mark.parametrize("crs", ["IAU_2015:49900", "IAU_2015:49910", "IAU_2015:30100"])
def test_mars_and_the_moon_are_refused(crs: str) -> None:
    with pytest.raises(UsageError, match=r"of the Earth, found '(Mars|Moon).* (3396|1737) km"):
        Grid.regular(0, 0, 10, 10, 1, crs=crs)
    x = np.arange(4) * 1e5
    mapping = {"grid_mapping_name": "mercator", "earth_radius": 3396190.0}
    ds = xr.Dataset({"t": (("y", "x"), np.zeros((4, 4)), {"grid_mapping": "crs"})})
    axes = {d: (d, x, {"units": "m", "standard_name": f"projection_{d}_coordinate"}) for d in "xy"}
    with pytest.raises(NarcfError, match=r"grid mapping 'crs': .* of the Earth, found .* 3396 km"):
        Grid.from_dataset(ds.assign_coords(axes).assign(crs=((), 0, mapping)))
    mapping["earth_radius"] = 6367470.0
    assert Grid.from_dataset(ds.assign_coords(axes).assign(crs=((), 0, mapping))).shape == (4, 4)


@pytest.mark.parametrize(
    ("box", "step", "words"),
    [
        ((0, 0, 40, 40), 1e4, "in m of EPSG:3035"),
        ((4e6, 2e6, 3e6, 3e6), 1e4, "from west to east"),
        ((4e6, 2e6, 5e6, 3e6), -1, "positive"),
        ((4e6, 2e6, 5e6, 3e6), np.nan, "positive"),
        ((4e6, 2e6, 5e6, 3e6), 0.01, "at most 1,000,000,000 cells"),
        ((4e6, 2e6, 5e6, np.inf), 1e4, "from west to east"),
    ],
)
def test_boxes_that_are_none(box: tuple[float, ...], step: float, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Grid.regular(*box, step, crs="EPSG:3035")


@pytest.mark.parametrize("code", [3035, 32611, 5070, 6931, 6933, 27700, 3413])
def test_a_code_is_known_by_its_parameters(code: int) -> None:
    attrs = CRS(code).to_cf()
    del attrs["crs_wkt"]
    assert known_code(CRS.from_cf(attrs)) == f"EPSG:{code}"
    moved = attrs | {"false_easting": attrs["false_easting"] + 1.0}
    assert known_code(CRS.from_cf(moved)) is None


def test_what_cf_cannot_say_is_left_to_the_wkt() -> None:
    robinson = Grid.regular(25e5, 11e5, 28e5, 13e5, 1e5, crs="ESRI:54030")
    assert "grid_mapping_name" not in robinson.grid_mapping
    # Of an oblique projection CF says all from PROJ 9.8 on.
    for grid in (robinson, Grid.regular(25e5, 11e5, 28e5, 13e5, 1e5, crs=2056)):
        ds = xr.Dataset(coords=grid.coords()).assign_coords(crs=((), 0, grid.grid_mapping))
        assert Grid.from_dataset(ds) == grid


@given(
    size=st.floats(1e3, 2e5),
    columns=st.integers(2, 12),
    rows=st.integers(2, 12),
    west=st.floats(-2e6, 1e6),
    south=st.floats(-2e6, 1e6),
    falling=st.tuples(st.booleans(), st.booleans()),
    crs=st.sampled_from(["EPSG:3035", "EPSG:3413", "EPSG:5070", "EPSG:3857", "EPSG:6933"]),
)
@settings(max_examples=40, deadline=None)
def test_a_grid_is_found_again_in_its_coordinates(
    size: float,
    columns: int,
    rows: int,
    west: float,
    south: float,
    falling: tuple[bool, bool],
    crs: str,
) -> None:
    middle = (4.3e6, 3.2e6) if crs == "EPSG:3035" else (0.0, 1e6)
    x = middle[0] + west + size * np.arange(columns + 1)
    y = middle[1] + south + size * np.arange(rows + 1)
    x, y = x[:: -1 if falling[0] else 1], y[:: -1 if falling[1] else 1]
    grid = Grid.projected(crs, x, y)
    ds = xr.Dataset(coords=grid.coords()).assign_coords(spatial_ref=((), 0, grid.grid_mapping))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Grid.from_dataset(ds)
    assert found == grid
    np.testing.assert_array_equal(found.projection.x_b, x)  # type: ignore[union-attr]
    bare = Grid.from_dataset(ds.drop_vars(["x_bnds", "y_bnds"]))
    assert bare.matches(grid)
