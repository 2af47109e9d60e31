"""Fields onto and from a plane: values, coordinates, files that GDAL, rioxarray and CDO read."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import rasterio
import rioxarray
import xarray as xr
from pyproj import CRS, Transformer
from rasterio.transform import from_origin

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid import Grid
from narcf_geo.regridding import SeparableWeights, compute_weights, regrid, regrid_file
from narcf_geo.regridding.target import target_grid

CDO = shutil.which("cdo")
POLE = CRS.from_cf(
    {
        "grid_mapping_name": "rotated_latitude_longitude",
        "grid_north_pole_latitude": 39.25,
        "grid_north_pole_longitude": -162.0,
    }
)
TARGETS = {
    "EPSG:3035": Grid.regular(25e5, 15e5, 70e5, 50e5, 25e4, crs="EPSG:3035"),
    "EPSG:32601": Grid.regular(1e5, 50e5, 9e5, 70e5, 1e5, crs="EPSG:32601"),
    "EPSG:3413": Grid.regular(-25e5, -25e5, 25e5, 25e5, 25e4, crs="EPSG:3413"),
    "EPSG:6931": Grid.projected(
        "EPSG:6931", np.linspace(-4e6, 4e6, 17), np.linspace(3e6, -5e6, 17)
    ),
    "EPSG:5070": Grid.regular(-22e5, 3e5, 22e5, 31e5, (2e5, 1e5), crs="EPSG:5070"),
    "EPSG:3857": Grid.regular(-14e6, 3e6, -8e6, 7e6, 25e4, crs="EPSG:3857"),
    "EPSG:2225": Grid.regular(58e5, 14e5, 72e5, 26e5, 2e5, crs="EPSG:2225"),
}


def globe(step: float = 1.0, west: float = 0.0) -> xr.Dataset:
    """Values that differ in every cell of the globe, 0 to 360 degrees, from north to south."""
    lat = np.arange(90 - step / 2, -90, -step)
    lon = np.arange(west + step / 2, west + 360, step)
    smooth = np.sin(np.radians(lat))[:, None] * 10 + 3 * np.cos(np.radians(2 * lon + 20))
    ds = xr.Dataset({"flux": (("lat", "lon"), smooth, {"units": "umol m-2 s-1"})})
    return ds.assign_coords(
        lat=("lat", lat, {"units": "degrees_north"}), lon=("lon", lon, {"units": "degrees_east"})
    )


def sampled(ds: xr.Dataset, target: Grid, row: int, column: int, n: int = 200) -> float:
    """The mean of `ds` over a cell of a plane, by places in it."""
    plane = target.projection
    assert plane is not None
    share = (np.arange(n) + 0.5) / n
    x = plane.x_b[column] + share * (plane.x_b[column + 1] - plane.x_b[column])
    y = plane.y_b[row] + share * (plane.y_b[row + 1] - plane.y_b[row])
    u, v = np.meshgrid(x, y)
    to = Transformer.from_crs(plane.crs, 4326, always_xy=True)
    lon, lat = to.transform(u, v)
    # Area of the sphere for each area of the plane.
    h = 10.0
    east, north = (to.transform(u + a, v + b) for a, b in ((h, 0), (0, h)))
    de, dn = (
        [(p - o + 180) % 360 - 180 for p, o in zip(q, (lon, lat), strict=True)]
        for q in (east, north)
    )
    weight = np.abs(de[0] * dn[1] - de[1] * dn[0]) * np.cos(np.radians(lat))
    values = ds["flux"].sel(
        lat=xr.DataArray(lat.ravel()), lon=xr.DataArray(lon.ravel() % 360), method="nearest"
    )
    return float(np.average(values, weights=weight.ravel()))


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_on_a_plane_has_the_mean_of_each_cell(name: str) -> None:
    ds, target = globe(2.0), TARGETS[name]
    out = regrid(ds, target)["flux"].values
    assert np.isfinite(out).all()
    ny, nx = target.shape
    cells = [(0, 0), (0, nx - 1), (ny - 1, 0), (ny // 2, nx // 3), (ny - 2, nx - 2)]
    expected = [sampled(ds, target, j, i) for j, i in cells]
    found = np.array([out[j, i] for j, i in cells])
    # A thousandth of the spread within the few source cells that each one meets.
    np.testing.assert_allclose(found, expected, atol=6e-3)
    assert np.abs(np.array([out[::-1][j, i] for j, i in cells]) - expected).max() > 0.05


def test_the_integral_over_a_plane_is_kept() -> None:
    """Cells of the source that lie wholly inside the target, and no others."""
    ds, target = globe(2.0), TARGETS["EPSG:3413"]
    inside = ds.where((ds.lat > 75) & (ds.lon > 100), 0.0)
    out = regrid(inside, target)
    after = (out["flux"] * target.area).sum().item()
    source = Grid.from_dataset(ds)
    before = (inside["flux"].transpose(*source.dims).values * source.area).sum()
    # Great circles bound the target's cells, and the source's under the same weights.
    assert after == pytest.approx(before, rel=1e-3)
    assert abs((out["flux"] * target.area[::-1, :] * 1.01).sum().item() / before - 1) > 5e-3


def test_coordinates_and_mapping_of_the_result() -> None:
    target = TARGETS["EPSG:32601"]
    out = regrid(globe(), target)
    assert out["flux"].dims == ("y", "x")
    assert out["flux"].attrs["grid_mapping"] == "spatial_ref"
    np.testing.assert_array_equal(out["x"], target.projection.x)  # type: ignore[union-attr]
    assert out["x"].attrs["standard_name"] == "projection_x_coordinate"
    assert (out["x"].attrs["units"], out["y"].attrs["axis"]) == ("m", "Y")
    np.testing.assert_array_equal(out["x_bnds"][0], [1e5, 2e5])
    np.testing.assert_array_equal(out["lat"], target.lat)
    mapping = out["spatial_ref"].attrs
    assert mapping["grid_mapping_name"] == "transverse_mercator"
    assert mapping["longitude_of_central_meridian"] == -177
    assert CRS.from_wkt(mapping["crs_wkt"]).to_epsg() == 32601
    assert mapping["spatial_ref"] == mapping["crs_wkt"]
    assert Grid.from_dataset(out) == target
    assert out.rio.crs.to_epsg() == 32601
    plain = regrid(globe(), Grid.regular(-10, 40, 0, 50, 1))
    assert plain["spatial_ref"].attrs["grid_mapping_name"] == "latitude_longitude"
    assert not {"x", "y"} & set(plain.variables)


def test_a_rotated_pole_as_target(tmp_path: Path) -> None:
    target = Grid.regular(-6, -5, 6, 5, 0.5, crs=POLE)
    globe().to_netcdf(tmp_path / "in.nc")
    regrid_file(tmp_path / "in.nc", tmp_path / "out.nc", grid=target)
    with xr.open_dataset(tmp_path / "out.nc", decode_coords="all") as out:
        assert out["flux"].dims == ("rlat", "rlon")
        assert out["rlon"].attrs["standard_name"] == "grid_longitude"
        mapping = out[out["flux"].encoding["grid_mapping"]].attrs
        assert mapping["grid_north_pole_latitude"] == 39.25
        assert Grid.from_dataset(out) == target
        at = regrid(out, Grid.regular(14, 48, 22, 53, 1))["flux"]
    direct = regrid(globe(), Grid.regular(14, 48, 22, 53, 1))["flux"]
    assert np.nanmax(np.abs(at - direct)) < 0.1
    with pytest.raises(UsageError, match="reference system that a GeoTIFF holds, found"):
        regrid_file(tmp_path / "in.nc", tmp_path / "out.tif", grid=target)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.nc", "out.nc"]


def test_a_cylinder_keeps_its_plane_and_its_two_matrices() -> None:
    source = TARGETS["EPSG:3857"]
    values = np.random.default_rng(1).normal(size=source.shape)
    ds = xr.Dataset({"flux": (source.dims, values)}, coords=source.coords())
    ds = ds.assign(crs=((), 0, source.grid_mapping))
    ds["flux"].attrs["grid_mapping"] = "crs"
    assert isinstance(compute_weights(Grid.from_dataset(ds), Grid.regular(-110, 30, -80, 45, 5)),
                      SeparableWeights)  # fmt: skip
    out = regrid(ds, Grid.regular(-110, 30, -80, 45, 5))["flux"]
    edges = np.clip(source.lat_b, 30, 35)
    heights = np.diff(np.sin(np.radians(edges)))
    widths = np.diff(np.clip(source.lon_b, -110, -105))
    expected = heights @ values @ widths / heights.sum() / widths.sum()
    assert out.values[0, 0] == pytest.approx(expected, rel=1e-12)
    crude = xr.Dataset(
        {"flux": (("lat", "lon"), values)}, coords={"lat": source.lat, "lon": source.lon}
    )
    assert (
        abs(regrid(crude, Grid.regular(-110, 30, -80, 45, 5))["flux"].values[0, 0] - expected)
        > 1e-5
    )


@pytest.mark.parametrize("crs", ["EPSG:6933", "EPSG:4087", "EPSG:3857"])
@pytest.mark.parametrize("order", [1, -1])
def test_global_cylinders_there_and_back(crs: str, order: int) -> None:
    box = {"EPSG:6933": 17367530.4451615, "EPSG:4087": 20037508.342789244}.get(crs, 20037508.342789)
    _, pole = Transformer.from_crs(4326, crs, always_xy=True).transform(0, 90)
    top = min(pole, 15e6)  # Mercator has none
    target = Grid.projected(crs, np.linspace(-box, box, 181), np.linspace(-top, top, 91)[::order])
    out = regrid(globe(2.0), target)
    assert np.isfinite(out["flux"]).all()
    whole = Grid.regular(-180, -80, 180, 80, 20)
    back, direct = (regrid(f, whole)["flux"] for f in (out, globe(2.0)))
    np.testing.assert_allclose(back, direct, atol=0.03)
    falling = out.isel(y=slice(None, None, -1))
    np.testing.assert_allclose(regrid(falling, whole)["flux"], back, rtol=1e-12)


def test_a_source_grid_that_runs_the_other_way_is_refused() -> None:
    source = TARGETS["EPSG:3857"]
    ds = xr.Dataset({"flux": (source.dims, np.zeros(source.shape))}, coords=source.coords())
    for turned in (ds, ds.isel(x=slice(None, None, -1))):
        if turned is ds:
            regrid(turned, 5, source=source)
            continue
        with pytest.raises(NarcfError, match="'x' of the data to follow the source grid"):
            regrid(turned, 5, source=source)
    km = ds.assign_coords(x=("x", ds.x.values / 1000, {"units": "km"}))
    regrid(km, 5, source=source)


@pytest.mark.parametrize("name", TARGETS)
def test_files_are_the_same_to_every_reader(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    plane = target.projection
    assert plane is not None
    globe().to_netcdf(tmp_path / "in.nc")
    for suffix in ("nc", "tif", "zarr"):
        regrid_file(tmp_path / "in.nc", tmp_path / f"out.{suffix}", grid=target)
    expected = regrid(globe(), target)["flux"].sortby("y", ascending=False).values
    dx, dy = (abs(e[1] - e[0]) for e in (plane.x_b, plane.y_b))
    transform = (dx, 0, plane.x_b.min(), 0, -dy, plane.y_b.max())
    for path in (str(tmp_path / "out.tif"), f"netcdf:{tmp_path}/out.nc:flux"):
        with rasterio.open(path) as raster:
            assert raster.crs.to_epsg() == int(name[5:])
            north_up = raster.transform.e < 0
            found = raster.read(1) if north_up else raster.read(1)[::-1]
            if path.endswith(".tif"):
                assert north_up
            if north_up:
                np.testing.assert_allclose(tuple(raster.transform)[:6], transform, rtol=1e-12)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    for path in (tmp_path / "out.tif", tmp_path / "out.nc"):
        with warnings.catch_warnings():
            # Of the NetCDF file as a whole, which holds more than one raster.
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            variable = "flux" if path.suffix == ".nc" else None
            raster = rioxarray.open_rasterio(path, variable=variable)
        with raster:
            one = raster["flux"] if isinstance(raster, xr.Dataset) else raster
            assert one.rio.crs.to_epsg() == int(name[5:])
            assert one.rio.bounds() == pytest.approx(
                (plane.x_b.min(), plane.y_b.min(), plane.x_b.max(), plane.y_b.max())
            )
    with xr.open_dataset(tmp_path / "out.nc") as nc:
        assert Grid.from_dataset(nc) == target
    with xr.open_zarr(tmp_path / "out.zarr", consolidated=False) as store:
        assert Grid.from_dataset(store) == target
    for suffix in ("nc", "tif", "zarr"):
        like = target_grid(tmp_path / f"out.{suffix}", Grid.regular(0, 0, 1, 1, 1))
        order = slice(None, None, -1 if suffix == "tif" and plane.y_b[1] > plane.y_b[0] else 1)
        np.testing.assert_allclose(like.projection.y_b, plane.y_b[order])  # type: ignore[union-attr]
        assert like.projection.name == name  # type: ignore[union-attr]


def test_the_file_says_what_belongs_together(tmp_path: Path) -> None:
    globe().to_netcdf(tmp_path / "in.nc")
    regrid_file(tmp_path / "in.nc", tmp_path / "out.nc", grid=TARGETS["EPSG:3035"])
    with netCDF4.Dataset(tmp_path / "out.nc") as nc:
        flux = nc["flux"]
        assert (flux.grid_mapping, flux.coordinates) == ("spatial_ref", "lat lon")
        assert nc["flux_valid_fraction"].grid_mapping == "spatial_ref"
        assert nc["x"].bounds == "x_bnds"
        assert "coordinates" not in nc.ncattrs()


@pytest.mark.skipif(CDO is None, reason="cdo is not installed")
@pytest.mark.parametrize("name", ["EPSG:3035", "EPSG:5070", "EPSG:3413"])
def test_cdo_sees_the_projection_and_finds_the_same_values(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    globe().to_netcdf(tmp_path / "in.nc")
    regrid_file(tmp_path / "in.nc", tmp_path / "out.nc", grid=target)

    def run(*arguments: object) -> str:
        ran = subprocess.run(
            [str(CDO), *map(str, arguments)], capture_output=True, text=True, check=True
        )
        assert "Warning" not in ran.stderr
        return ran.stdout

    description = run("-s", "griddes", tmp_path / "out.nc")
    assert "gridtype  = projection" in description
    assert f"grid_mapping_name = {target.grid_mapping['grid_mapping_name']}" in description
    (tmp_path / "grid.txt").write_text(description[description.index("gridtype  = proj") :])
    assert target_grid(tmp_path / "grid.txt", target).matches(target, 1e-9)
    run("-s", f"remapcon,{tmp_path / 'out.nc'}", tmp_path / "in.nc", tmp_path / "cdo.nc")
    with (
        xr.open_dataset(tmp_path / "cdo.nc") as theirs,
        xr.open_dataset(tmp_path / "out.nc") as ours,
    ):
        off = np.abs(theirs["flux"].values - ours["flux"].values)
        assert off.max() < 2e-3
        assert np.abs(theirs["flux"].values[::-1] - ours["flux"].values).max() > 1


@pytest.mark.parametrize("height", [1e4, -1e4])
def test_like_a_raster_is_north_up_with_its_band_names(height: float, tmp_path: Path) -> None:
    """Also like a raster whose rows go north."""
    values = np.stack([np.full((30, 30), 7.0), np.arange(900.0).reshape(30, 30)]).astype("f4")
    with rasterio.open(
        tmp_path / "in.tif", "w", driver="GTiff", count=2, height=30, width=30, dtype="float32",
        crs="EPSG:4326", transform=from_origin(-130, 60, 1, 1),
    ) as raster:  # fmt: skip
        raster.write(values)
        raster.descriptions = ("winter", "summer")
    transform = rasterio.Affine(1e4, 0, 5e5, 0, -height, 5.2e6 if height > 0 else 4.8e6)
    with rasterio.open(
        tmp_path / "like.tif", "w", driver="GTiff", count=1, height=40, width=50, dtype="uint8",
        crs="EPSG:32611", transform=transform,
    ) as raster:  # fmt: skip
        raster.write(np.zeros((1, 40, 50), "u1"))
    regrid_file(tmp_path / "in.tif", tmp_path / "out.tif", like=tmp_path / "like.tif")
    with rasterio.open(tmp_path / "out.tif") as raster:
        assert raster.crs.to_epsg() == 32611
        assert tuple(raster.transform)[:6] == (1e4, 0, 5e5, 0, -1e4, 5.2e6)
        assert raster.descriptions == ("winter", "summer")
        north, south = raster.read(2)[[0, -1]].mean(axis=1)
        assert south - north > 50
        assert np.nanmax(np.abs(raster.read(1) - 7)) < 1e-5


def test_a_geotiff_has_even_cells_in_its_own_system(tmp_path: Path) -> None:
    globe().to_netcdf(tmp_path / "in.nc")
    mercator = TARGETS["EPSG:3857"]
    in_degrees = Grid.from_corners(mercator.lon_b, mercator.lat_b)
    with pytest.raises(UsageError, match=r"evenly spaced cells for a GeoTIFF.*along 'lat'"):
        regrid_file(tmp_path / "in.nc", tmp_path / "out.tif", grid=in_degrees)
    uneven = Grid.projected("EPSG:3857", [-1e7, -9e6, -7e6], [3e6, 4e6, 5e6])
    with pytest.raises(UsageError, match="of 1e\\+06 to 2e\\+06 m along 'x'"):
        regrid_file(tmp_path / "in.nc", tmp_path / "out.tif", grid=uneven)
    with pytest.raises(UsageError, match="evenly spaced"):
        regrid_file(tmp_path / "in.nc", tmp_path / "out.tif", like="n32")
    assert not (tmp_path / "out.tif").exists()
    regrid_file(tmp_path / "in.nc", tmp_path / "out.tif", grid=mercator)
    with rasterio.open(tmp_path / "out.tif") as raster:
        assert raster.crs.to_epsg() == 3857


@pytest.mark.parametrize("suffix", [".nc", ".tif"])
def test_a_map_of_the_world_is_empty_off_the_globe(suffix: str, tmp_path: Path) -> None:
    globe().to_netcdf(tmp_path / "in.nc")
    box = (-17e6, -9e6, 17e6, 9e6)
    path = tmp_path / f"out{suffix}"
    regrid_file(tmp_path / "in.nc", path, grid=1e6, bounds=box, crs="+proj=robin")
    with rasterio.open(f"netcdf:{path}:flux" if suffix == ".nc" else path) as raster:
        assert CRS.from_user_input(raster.crs).coordinate_operation.method_name == "Robinson"  # type: ignore[union-attr]
        values = raster.read(1)
        assert raster.bounds == pytest.approx(box)
        north_up = raster.transform.e < 0
    values = values if north_up else values[::-1]
    x, y = np.meshgrid(np.arange(-16.5e6, 17e6, 1e6), np.arange(8.5e6, -9e6, -1e6))
    lat = Transformer.from_crs("+proj=robin", 4326, always_xy=True).transform(x, y)[1]
    assert np.isnan(values[~np.isfinite(lat)]).all()
    assert 0.6 < np.isfinite(values).mean() < 0.8
    row = values[:, 17]
    assert np.isnan(row[[0, -1]]).all()
    assert np.isfinite(row[1:-1]).all()
    assert row[1] > row[-2] + 15
    source = xr.open_dataset(tmp_path / "in.nc")
    found = target_grid(path, Grid.from_dataset(source))
    assert found.projection is not None
    assert found.grid_mapping.keys() >= {"crs_wkt", "spatial_ref"}
    with pytest.raises(NarcfError, match="no longitude and latitude"):
        Grid.regular(*box, 1e6, crs="+proj=robin")


def test_the_extent_of_the_source_on_a_plane() -> None:
    source = Grid.regular(0, 45, 10, 55, 1)
    grid = target_grid(1e5, source, crs="EPSG:3035")
    to = Transformer.from_crs(4326, 3035, always_xy=True)
    lon, lat = np.meshgrid(np.linspace(0, 10, 500), np.linspace(45, 55, 500))
    x, y = to.transform(lon, lat)
    plane = grid.projection
    assert plane is not None
    for edges, values in ((plane.x_b, x), (plane.y_b, y)):
        assert not edges[0] % 1e5
        assert 0 <= values.min() - edges[0] < 1e5
        assert 0 <= edges[-1] - values.max() < 1e5
    assert target_grid((1e5, 5e4), source, crs=3035).shape[1] == grid.shape[1]
    box = (35e5, 25e5, 45e5, 35e5)
    assert target_grid(1e5, source, box, "EPSG:3035") == Grid.regular(*box, 1e5, crs="EPSG:3035")
    again = target_grid(25e4, TARGETS["EPSG:3035"], crs="EPSG:3035")
    assert again == TARGETS["EPSG:3035"]
    pole = target_grid(5e5, Grid.regular(-180, 60, 180, 90, 1), crs="EPSG:3413").projection
    assert pole is not None
    assert pole.x_b[0] == -pole.x_b[-1] == -3.5e6
    across = target_grid(1e5, Grid.regular(177, 50, 183, 55, 1), crs="EPSG:32601").projection
    assert across is not None
    assert np.ptp(across.x_b) < 1e6
    assert target_grid(1, source, crs="EPSG:4326") == target_grid(1, source)


@pytest.mark.parametrize("crs", ["EPSG:3035", "EPSG:32611", "EPSG:3857", "EPSG:3413"])
def test_a_source_beyond_a_projection_asks_for_bounds(crs: str) -> None:
    with pytest.raises(NarcfError, match="it is made for") as error:
        target_grid(1e5, Grid.from_dataset(globe()), crs=crs)
    assert "RuntimeWarning" not in str(error.value)


def test_the_command_line(tmp_path: Path, in_process: Callable) -> None:
    def command(*arguments: object) -> tuple[int, str]:
        done = in_process("regrid", *arguments)
        return done.returncode, done.stderr

    globe().to_netcdf(tmp_path / "in.nc")
    files = tmp_path / "in.nc", tmp_path / "out.nc"
    box = ("--bounds", 25e5, 15e5, 70e5, 50e5)
    code, text = command(*files, "--crs", "EPSG:3035", "--resolution", 25e4, *box)
    assert code == 0, text
    with xr.open_dataset(tmp_path / "out.nc") as out:
        assert Grid.from_dataset(out) == TARGETS["EPSG:3035"]
    for name in ("r36x18", "global_5", "n16", str(tmp_path / "out.nc")):
        code, text = command(*files[:1], tmp_path / "like.nc", "--like", name)
        assert code == 0, text
    (tmp_path / "grid.txt").write_text(
        "gridtype = lonlat\nxsize = 4\nysize = 2\nxfirst = 0\nxinc = 90\nyfirst = -45\nyinc = 90\n"
    )
    code, text = command(*files[:1], tmp_path / "d.nc", "--like", tmp_path / "grid.txt")
    assert code == 0, text
    with xr.open_dataset(tmp_path / "d.nc") as out:
        assert out.lon.values.tolist() == [0, 90, 180, 270]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--crs", "EPSG:3035"), "--crs and --resolution together"),
        (("--resolution", 1e4), "--crs and --resolution together"),
        (("--crs", "EPSG:3035", "--resolution", 1e4, "--grid", 1), "not both"),
        (("--crs", "EPSG:3035", "--resolution", 1e4, "--like", "r36x18"), "found both"),
        (("--crs", "EPSG:3035", "--resolution", 1e6), "give bounds"),
        (("--crs", "EPSG:3035", "--resolution", 0), "positive resolution"),
        (
            ("--crs", "EPSG:3035", "--resolution", 1e4, "--bounds", 0, 0, 40, 40),
            "in m of EPSG:3035",
        ),
        (("--crs", "EPSG:1", "--resolution", 1e4), "such as EPSG:3035"),
        (("--like", "r36x"), "no such file, and no name of a grid, such as r360x180"),
        (("--like", "N32"), "different lengths"),
    ],
)
def test_options_that_do_not_fit(
    options: tuple[object, ...], words: str, tmp_path: Path, in_process: Callable
) -> None:
    globe(10.0).to_netcdf(tmp_path / "in.nc")
    done = in_process("regrid", tmp_path / "in.nc", tmp_path / "out.nc", *options)
    assert done.returncode == 2, done.stderr
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert not (tmp_path / "out.nc").exists()
