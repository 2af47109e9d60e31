"""Grids: where cells are, how large they are, and how they are found in a dataset."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from pyproj import CRS, Transformer
from strategies import rotated_grids

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.core.errors import FieldError, NarcfError, UsageError
from narcf_geo.grid import Grid, Mesh

REAL = Path(__file__).parents[2] / "../shared/data/real"
SPHERE = 4 * np.pi * EARTH_RADIUS**2
NARR_MAPPING = {
    "grid_mapping_name": "lambert_conformal_conic",
    "standard_parallel": [50.0, 50.0],
    "longitude_of_central_meridian": -107.0,
    "latitude_of_projection_origin": 50.0,
    "false_easting": 5632642.22547,
    "false_northing": 4612545.65137,
}


def real_file(name: str) -> xr.Dataset:
    path = REAL / name
    if not path.exists():
        pytest.skip(f"the real file {name} is not beside the repository")
    return xr.open_dataset(path, decode_times=False)


def narr(step: int = 1, **mapping: object) -> xr.Dataset:
    """A field laid out as in a NARR file of NOAA PSL, every `step`-th cell centre."""
    x, y = np.arange(0, 349, step) * 32463.41, np.arange(0, 277, step) * 32463.41
    return xr.Dataset(
        {
            "air": (("y", "x"), np.zeros((y.size, x.size)), {"grid_mapping": "Lambert_Conformal"}),
            "Lambert_Conformal": ((), 0, {**NARR_MAPPING, **mapping}),
        },
        coords={"x": ("x", x, {"units": "m"}), "y": ("y", y, {"units": "m"})},
    )


def axes(lat: np.ndarray, lon: np.ndarray) -> xr.Dataset:
    return xr.Dataset(
        {"f": (("lat", "lon"), np.zeros((len(lat), len(lon))))}, coords={"lat": lat, "lon": lon}
    )


def test_one_degree_areas() -> None:
    area = Grid.regular(-180, -90, 180, 90, 1).area
    rows = [90, 120, 135, 150, 165, 179]
    expected = [12363.71, 10653.34, 8666.17, 6088.42, 3095.74, 107.896]
    # 6088.4149 km2 was rounded up in the published list.
    np.testing.assert_allclose(area[rows, 0] / 1e6, expected, atol=0.0052)
    assert abs(area.sum() / SPHERE - 1) < 1e-13


def test_polygon_area_of_an_octant_and_a_tiny_cell() -> None:
    octant = Grid.from_corners([[0, 90], [0, 90]], [[0, 0], [90, 90]])
    assert octant.area[0, 0] == pytest.approx(SPHERE / 8, rel=1e-14)
    lon, lat = np.meshgrid([10, 10 + 1e-4], [0, 1e-4])
    tiny = Grid.from_corners(lon, lat)
    assert tiny.area[0, 0] == pytest.approx(
        Grid.from_corners(lon[0], lat[:, 0]).area[0, 0], rel=1e-8
    )


def test_regular_grid_and_its_coordinates() -> None:
    grid = Grid.regular(-170, 10, -50, 85, (1.5, 1))
    assert grid.shape == (75, 80)
    assert grid.is_rectilinear
    ds = xr.Dataset(coords=grid.coords())
    assert ds.lat.values[[0, -1]].tolist() == [10.5, 84.5]
    assert ds.lon_bnds.values[0].tolist() == [-170, -168.5]
    assert ds.lat.attrs["bounds"] == "lat_bnds"
    assert Grid.from_dataset(ds) == grid


def test_regular_across_the_dateline() -> None:
    grid = Grid.regular(170, -20, -170, 20, 5)
    assert grid.lon_b[[0, -1]].tolist() == [170, 190]


@pytest.mark.parametrize(
    "box", [(0, 0, 10, 10, 3), (0, 10, 10, 0, 1), (0, 0, 10, 95, 5), (0, 0, 10, 10, -1)]
)
def test_impossible_boxes_are_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="expected a"):
        Grid.regular(*box)


@pytest.mark.parametrize(
    ("lon_b", "lat_b", "message"),
    [
        ([0, 1, 1], [0, 1], "rise or fall"),
        ([0, 1, 2], [0, 91], "within -90..90"),
        ([0, 200, 400], [0, 1], "round the globe once"),
        ([0, np.nan], [0, 1], "finite"),
        ([[0, 1]], [0, 1], "shapes"),
    ],
)
def test_broken_corners_are_refused(lon_b: list, lat_b: list, message: str) -> None:
    with pytest.raises(NarcfError, match=message):
        Grid.from_corners(lon_b, lat_b)


def test_grid_is_a_value() -> None:
    grid = Grid.regular(0, 0, 4, 3, 1)
    same = pickle.loads(pickle.dumps(grid))
    assert grid == same
    assert hash(grid) == hash(same)
    assert grid != Grid.regular(0, 0, 4, 3, 0.5)
    assert grid != Grid.from_corners(*grid.corners())
    for one in (grid, same):
        with pytest.raises(ValueError, match="read-only"):
            one.lat_b[0] = 5
    with pytest.raises(AttributeError):
        grid.lon = np.zeros(4)  # type: ignore[misc]


def test_repr_tells_a_person() -> None:
    assert repr(Grid.regular(-170, 10, -50, 85, 0.25)) == (
        "Grid(300 x 480 cells of 0.25 x 0.25 degree, latitude 10 to 85, longitude -170 to -50)"
    )
    narr_grid = Grid.from_dataset(narr())
    assert "of 32463.4 x 32463.4 m in Lambert Conic Conformal (2SP), x -16231.705 to" in repr(
        narr_grid
    )
    assert "about 30.3 km, curvilinear" in repr(Grid.from_corners(*narr_grid.corners()))


def test_narr_corners_and_areas() -> None:
    grid = Grid.from_dataset(narr())
    places = [grid.lat[j, i] for j, i in ((0, 0), (0, -1), (-1, -1), (-1, 0))]
    np.testing.assert_allclose(places, [1.000, 0.897, 46.352, 46.635], atol=1e-3)
    meridians = [grid.lon[j, i] for j, i in ((0, 0), (0, -1), (-1, -1), (-1, 0))]
    np.testing.assert_allclose(meridians, [-145.500, -68.318, -2.566, 148.639], atol=1e-3)
    km2 = grid.area / 1e6
    assert km2.min() == pytest.approx(484, abs=1)
    assert km2.max() == pytest.approx(1054, abs=1)
    assert grid.dims == ("y", "x")


def test_narr_on_an_ellipsoid_is_half_a_cell_off() -> None:
    wrong = Grid.from_dataset(narr(semi_major_axis=6378137.0, inverse_flattening=298.257223563))
    assert abs(wrong.lat[0, 0] - 1.0) > 0.1


def test_mapping_without_a_sphere_warns_unless_it_is_narr() -> None:
    with pytest.warns(UserWarning, match="earth_radius"):
        Grid.from_dataset(narr(standard_parallel=[45.0, 50.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Grid.from_dataset(narr())


def test_axes_in_km_and_array_alone() -> None:
    ds = narr(8)
    in_km = ds.assign_coords(
        x=("x", ds.x.values / 1000, {"units": "km"}), y=("y", ds.y.values / 1000, {"units": "km"})
    )
    assert np.allclose(Grid.from_dataset(in_km).lat_b, Grid.from_dataset(ds).lat_b)
    array = ds.set_coords("Lambert_Conformal")["air"]
    assert Grid.from_dataset(array) == Grid.from_dataset(ds)


def test_bounds_of_projected_axes_that_fall() -> None:
    ds = narr(8).isel(y=slice(None, None, -1))
    y = ds["y"].values
    ds["y"].attrs["bounds"] = "y_bnds"
    ds["y_bnds"] = (("y", "nv"), np.stack([y - 129853.64, y + 129853.64], axis=1))
    without = Grid.from_dataset(ds.drop_vars("y_bnds"))
    np.testing.assert_allclose(Grid.from_dataset(ds).lat_b, without.lat_b, atol=1e-9)


def test_positions_of_another_corner_are_refused() -> None:
    ds = narr(8)
    grid = Grid.from_dataset(ds)
    here = ds.assign_coords(lat=(("y", "x"), grid.lat), lon=(("y", "x"), grid.lon % 360))
    assert Grid.from_dataset(here) == grid
    moved = ds.assign_coords(
        lat=(("y", "x"), grid.lat[:, ::-1]), lon=(("y", "x"), grid.lon[:, ::-1])
    )
    with pytest.raises(
        NarcfError, match=r"\d+\.\d{3}N \d+\.\d{3}[EW] in the file and at .* by its"
    ):
        Grid.from_dataset(moved)
    nudged = here.assign_coords(lat=(("y", "x"), grid.lat + 0.05))
    assert Grid.from_dataset(nudged) == grid


def test_projected_grid_against_pyproj_on_its_ellipsoid() -> None:
    crs = CRS.from_epsg(5070)
    x, y = np.arange(-4, 5) * 1e5, np.arange(20, 26) * 1e5
    ds = xr.Dataset(
        {"f": (("y", "x"), np.zeros((6, 9)), {"grid_mapping": "crs"}), "crs": ((), 0, crs.to_cf())},
        coords={"x": x, "y": y},
    )
    grid = Grid.from_dataset(ds)
    to_lonlat = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    lon, lat = to_lonlat.transform(x[0] - 5e4, y[0] - 5e4)
    assert (grid.lon_b[0, 0], grid.lat_b[0, 0]) == pytest.approx((lon, lat), abs=1e-10)
    # Albers keeps areas on its ellipsoid; the authalic sphere has the ellipsoid's area.
    assert grid.area.mean() == pytest.approx(1e10, rel=0.01)


def test_nodes_on_the_poles_are_half_cells() -> None:
    grid = Grid.from_dataset(axes(np.arange(90, -91, -1.0), np.arange(0, 360, 1.0)))
    assert grid.lat_b[[0, 1, -2, -1]].tolist() == [90, 89.5, -89.5, -90]
    assert grid.lon_b[[0, -1]].tolist() == [-0.5, 359.5]
    assert grid.lat[0] == 90
    assert grid.area.sum() == pytest.approx(SPHERE, rel=1e-13)


def test_a_repeated_meridian_is_two_half_columns() -> None:
    grid = Grid.from_dataset(axes(np.arange(-85, 90, 10.0), np.arange(0, 361, 20.0)))
    assert grid.lon_b[[0, 1, -2, -1]].tolist() == [0, 10, 350, 360]
    assert grid.area.sum() == pytest.approx(SPHERE, rel=1e-13)


@pytest.mark.parametrize(("axis", "unit"), [("lon", "degrees_west"), ("lat", "degree_S")])
def test_degrees_to_the_west_and_to_the_south_are_refused(axis: str, unit: str) -> None:
    lat, lon = {"units": "degrees_north"}, {"units": "degrees_east"}
    ds = xr.Dataset(
        {"v": (("lat", "lon"), np.zeros((2, 3)))},
        coords={"lat": ("lat", [40, 41], lat), "lon": ("lon", [100, 101, 102], lon)},
    )
    assert Grid.from_dataset(ds).lon_b[0] == 99.5
    ds[axis].attrs["units"] = unit
    with pytest.raises(FieldError, match=f"'{axis}', found '{unit}'"):
        Grid.from_dataset(ds)


@pytest.mark.parametrize("step", [1, 5, 10])
def test_a_globe_in_radians_without_a_unit_is_refused(step: int) -> None:
    grid = Grid.regular(-180, -90, 180, 90, step)
    radians = {"lat": np.radians(grid.lat), "lon": np.radians(grid.lon) % (2 * np.pi)}
    ds = xr.Dataset({"v": (("lat", "lon"), np.zeros(grid.shape))}, coords=radians).sortby("lon")
    with pytest.raises(FieldError, match="whole globe in radians"):
        Grid.from_dataset(ds)
    # A few degrees around 0 N 0 E that are said to be degrees, or do not go round.
    assert Grid.from_dataset(ds.isel(lon=slice(None, -grid.shape[1] // 4))).extent[1] < 1.6
    for name, unit in (("lat", "degrees_north"), ("lon", "degrees_east")):
        ds[name].attrs["units"] = unit
    assert Grid.from_dataset(ds).extent[1] < 1.6


def test_float32_axes_go_round_once() -> None:
    lat = (np.arange(3600) * 0.05 - 89.975).astype("float32")
    lon = (np.arange(7200) * 0.05 - 179.975).astype("float32")
    grid = Grid.from_dataset(axes(lat, lon))
    assert grid.lon_b[[0, -1]].tolist() == [-180, 180]
    assert grid.lat_b[[0, -1]].tolist() == [-90, 90]
    np.testing.assert_allclose(np.diff(grid.lon_b), 0.05, rtol=1e-10)
    assert grid == Grid.regular(-180, -90, 180, 90, 0.05)
    assert grid != Grid.regular(-180, -90, 180, 90, 0.06)


def test_an_uneven_axis_keeps_its_own_edges() -> None:
    grid = Grid.from_dataset(axes(np.array([10.0, 11, 13, 16]), np.array([0.0, 1, 2])))
    assert grid.lat_b.tolist() == [9.5, 10.5, 12, 14.5, 17.5]


def test_gaussian_latitudes_have_the_areas_of_their_weights() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(48)
    lat = np.degrees(np.arcsin(nodes))
    grid = Grid.from_dataset(axes(lat[::-1].astype("float32"), np.arange(0, 360, 3.75)))
    np.testing.assert_allclose(grid.area.sum(axis=1), weights / 2 * SPHERE, rtol=1e-9)
    between = (lat[1] + lat[0]) / 2
    assert abs(grid.lat_b[-2] - between) > 1e-3


@pytest.mark.parametrize("reverse", [False, True])
def test_bounds_of_one_dimensional_axes(reverse: bool) -> None:
    ds = axes(np.array([2.0, 5.0, 20.0]), np.array([358.0, 1.0, 4.0]))
    ds["lat"].attrs["bounds"] = "lat_bnds"
    ds["lon"].attrs["bounds"] = "lon_bnds"
    ds["lat_bnds"] = (("lat", "nv"), [[0, 4], [4, 7], [7, 40]])
    ds["lon_bnds"] = (("lon", "nv"), [[357, 360], [0, 2], [2, 7]])
    if reverse:
        ds = ds.isel(lat=slice(None, None, -1))
        ds["lat_bnds"] = ds["lat_bnds"][:, ::-1]
    grid = Grid.from_dataset(ds)
    assert grid.lat_b.tolist() == ([40, 7, 4, 0] if reverse else [0, 4, 7, 40])
    assert grid.lon_b.tolist() == [357, 360, 362, 367]


def test_bounds_with_gaps_are_refused() -> None:
    ds = axes(np.array([2.0, 5.0]), np.array([0.0, 1.0]))
    ds["lat"].attrs["bounds"] = "lat_bnds"
    ds["lat_bnds"] = (("lat", "nv"), [[1, 3], [4, 6]])
    with pytest.raises(NarcfError, match="to join, found cell 0 ending at 3"):
        Grid.from_dataset(ds)


@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("way", [1, -1])
def test_four_vertices_in_any_order(first: int, way: int) -> None:
    grid = Grid.from_corners(*Grid.from_dataset(narr(16)).corners())
    ds = xr.Dataset(coords=grid.coords()).assign(f=(("y", "x"), np.zeros(grid.shape)))
    order = [(first + way * k) % 4 for k in range(4)]
    ds = ds.assign_coords({n: ds[n].isel(nv=order) for n in ("lat_bnds", "lon_bnds")})
    found = Grid.from_dataset(ds)
    np.testing.assert_array_equal(found.lon_b, grid.lon_b)
    np.testing.assert_array_equal(found.lat_b, grid.lat_b)


def test_vertices_that_do_not_join_are_those_of_a_mesh() -> None:
    grid = Grid.from_corners(*Grid.from_dataset(narr(16)).corners())
    ds = xr.Dataset(coords=grid.coords()).assign(f=(("y", "x"), np.zeros(grid.shape)))
    ds["lat_bnds"] = ds["lat_bnds"].copy()
    ds["lat_bnds"][3, 4, 2] += 1.0
    with pytest.raises(NarcfError, match=r"rows and columns of cells that join, found Mesh\(.*"):
        Grid.from_dataset(ds)
    mesh = Mesh.from_dataset(ds)
    assert mesh.shape == grid.shape
    apart = np.abs(mesh.area / Mesh.from_grid(grid).area - 1) > 1e-6
    assert np.argwhere(apart).tolist() == [[3, 4]]


def test_centres_alone_are_interpolated_with_a_warning() -> None:
    exact = Grid.from_dataset(narr(4))
    ds = xr.Dataset(
        {"f": (("y", "x"), np.zeros(exact.shape))},
        coords={"lat": (("y", "x"), exact.lat), "lon": (("y", "x"), exact.lon)},
    )
    with pytest.warns(UserWarning, match="interpolated from the centres"):
        grid = Grid.from_dataset(ds)
    inner = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(grid.lat_b[inner], exact.lat_b[inner], atol=0.02)
    # NARR crosses the dateline: an average of longitudes would be off by up to 360 degrees.
    assert np.abs((grid.lon_b - exact.lon_b + 180) % 360 - 180)[inner].max() < 0.03
    np.testing.assert_allclose(grid.area[inner], exact.area[inner], rtol=1e-3)


def test_rotated_pole() -> None:
    ds = xr.Dataset(
        {
            "f": (("rlat", "rlon"), np.zeros((5, 7)), {"grid_mapping": "pole"}),
            "pole": (
                (),
                0,
                {
                    "grid_mapping_name": "rotated_latitude_longitude",
                    "grid_north_pole_latitude": 39.25,
                    "grid_north_pole_longitude": -162.0,
                },
            ),
        },
        coords={
            "rlat": ("rlat", np.arange(-2.0, 3), {"standard_name": "grid_latitude"}),
            "rlon": ("rlon", np.arange(-3.0, 4), {"standard_name": "grid_longitude"}),
        },
    )
    grid = Grid.from_dataset(ds)
    # The origin of the rotated net lies 90 degrees from its pole, on the opposite meridian.
    assert (grid.lon[2, 3], grid.lat[2, 3]) == pytest.approx((18.0, 50.75), abs=1e-10)
    flat = Grid.regular(-3.5, -2.5, 3.5, 2.5, 1)
    np.testing.assert_allclose(grid.area, Grid.from_corners(*flat.corners()).area, rtol=1e-10)


def test_meshgrids_are_rectilinear_again() -> None:
    flat = Grid.regular(170, 30, 190, 40, 2.5)
    lon, lat = flat.centers()
    ds = xr.Dataset({"f": (("y", "x"), np.zeros(flat.shape)), "lat": (("y", "x"), lat)})
    ds["lon"] = (("y", "x"), (lon + 180) % 360 - 180)
    crs = xr.Dataset(coords={"x": flat.lon, "y": flat.lat, "crs": ((), 0, CRS(4326).to_cf())})
    crs["f"] = (("y", "x"), np.zeros(flat.shape), {"grid_mapping": "crs"})
    assert Grid.from_dataset(crs) == flat
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Grid.from_dataset(ds) == flat


@pytest.mark.parametrize("flat", [True, False])
def test_corners_named_as_in_xesmf(flat: bool) -> None:
    from narcf_geo.regridding.exchange import xesmf_grid

    grid = Grid.from_corners([350.0, 355, 370], [10.0, 40, 50, 80])
    if not flat:
        grid = Grid.from_corners(*grid.corners())
        ds = xesmf_grid(grid).assign(f=(grid.dims, np.zeros(grid.shape)))
    else:
        ds = axes(grid.lat, grid.lon).assign_coords(
            lat_b=("y_b", grid.lat_b), lon_b=("x_b", (grid.lon_b + 180) % 360 - 180)
        )
    found = Grid.from_dataset(ds)
    assert found.is_rectilinear == flat
    np.testing.assert_allclose(found.area, grid.area)
    with pytest.raises(NarcfError, match="one longer than the cells"):
        Grid.from_dataset(ds.isel({ds["lat"].dims[0]: slice(2)}))


def test_no_grid_is_an_error() -> None:
    with pytest.raises(NarcfError, match="found f\\('a', 'b'\\)"):
        Grid.from_dataset(xr.Dataset({"f": (("a", "b"), np.zeros((2, 2)))}))
    cells = xr.Dataset(
        {"f": ("cell", [1.0, 2]), "lat": ("cell", [1.0, 2]), "lon": ("cell", [1.0, 2])}
    )
    with pytest.raises(NarcfError, match="a list of places"):
        Grid.from_dataset(cells)


@given(rotated_grids())
@settings(max_examples=25, deadline=None)
def test_centres_lie_inside_and_bounds_come_back(grid: Grid) -> None:
    ds = xr.Dataset(coords=grid.coords()).assign(f=(grid.dims, np.zeros(grid.shape)))
    again = Grid.from_dataset(ds)
    if not again.is_rectilinear:
        np.testing.assert_array_equal(again.lat_b, grid.lat_b)
    assert grid.area.min() > 0


def test_cells_for_maps() -> None:
    grid = Grid.regular(170, 60, -160, 90, 15)
    cells = grid.cells()
    assert len(cells) == 4
    assert cells.crs.to_epsg() == 4326
    assert cells.geometry.is_valid.all()
    assert cells.total_bounds.tolist() == [-180, 60, 180, 90]
    # Columns 170..185 are cut at the dateline into 10 and 5 degrees.
    assert [g.geom_type for g in cells.geometry] == ["MultiPolygon", "Polygon"] * 2
    np.testing.assert_allclose([g.area for g in cells.geometry], 15 * 15)
    np.testing.assert_array_equal(cells["area"], grid.area.ravel())


def test_cell_around_a_pole_reaches_it() -> None:
    cap = Grid.from_corners([[0, 90], [-90, 180]], [[80, 80], [80, 80]])
    polygon = cap.cells().geometry[0]
    assert polygon.is_valid
    assert polygon.area == pytest.approx(360 * 10)


@pytest.mark.parametrize(
    ("name", "shape", "share"),
    [
        ("era5_1deg_t2m_monthly_2025-2026.nc", (181, 360), 1),
        ("erainterim_tas_climatology_1989-2009.nc", (121, 240), 1),
        ("ghcn_cams_air_0p5deg_2018.nc", (360, 720), 1),
        ("gpcp_precip_mon_ltm_1991-2020.nc", (72, 144), 1),
        ("mcd12c1_igbp_2005_0p1deg_water17.nc", (1800, 3600), 1),
        ("soil_wetness_climatology_t30.nc", (48, 96), 1),
        ("canrcm4_nam44_pr_1950-01.nc", (130, 155), None),
        ("nam_awip211_t2m_2018-09-17.nc", (65, 93), None),
    ],
)
def test_real_files(name: str, shape: tuple[int, int], share: float | None) -> None:
    ds = real_file(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        grid = Grid.from_dataset(ds)
    assert grid.shape == shape
    if share is not None:
        assert grid.is_rectilinear
        assert grid.area.sum() / SPHERE == pytest.approx(share, rel=1e-12)
    else:
        lon = (ds["lon"].values + 180) % 360 - 180
        assert np.abs((grid.lon - lon + 180) % 360 - 180).max() < 0.01
        assert np.abs(grid.lat - ds["lat"].values).max() < 0.01
