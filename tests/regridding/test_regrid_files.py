"""Files in, files out: formats, times left alone, summary, whole or absent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid import Grid
from narcf_geo.regridding import regrid, regrid_file

SOURCE = Grid.regular(-120, 20, -60, 60, 2)


@pytest.fixture
def climatology(tmp_path: Path) -> Path:
    """Two fields in a 360-day calendar, north to south, with gaps."""
    rng = np.random.default_rng(5)
    values = rng.normal(5, 2, (3, *SOURCE.shape)).astype("float32")
    values[:, :4, 5:] = np.nan
    ds = xr.Dataset(
        {
            "pr": (
                ("time", "lat", "lon"),
                values,
                {"units": "kg m-2", "cell_methods": "time: sum"},
            ),
            "t": (("lat", "lon"), values[0] + 280, {"units": "K"}),
        },
        coords={**SOURCE.coords(), "time": [15.0, 45.0, 75.0]},
        attrs={"history": "made up"},
    )
    ds["time"].attrs = {"units": "days since 1-01-01", "calendar": "360_day", "bounds": "tb"}
    ds["tb"] = (("time", "bnds"), [[0.0, 30], [30, 60], [60, 90]])
    path = tmp_path / "in.nc"
    ds.isel(lat=slice(None, None, -1)).to_netcdf(path)
    return path


def opened(path: Path) -> xr.Dataset:
    if path.suffix == ".zarr":
        return xr.open_zarr(path, decode_times=False, consolidated=False).load()
    with xr.open_dataset(path, decode_times=False) as ds:
        return ds.load()


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_regrid_a_file(climatology: Path, tmp_path: Path, suffix: str) -> None:
    target_path = tmp_path / f"out{suffix}"
    rows = regrid_file(climatology, target_path, grid=3, min_coverage=0)
    ds = opened(climatology)
    out = opened(target_path)
    target = Grid.regular(-120, 18, -60, 60, 3)
    expected = regrid(ds, target, min_coverage=0)
    np.testing.assert_array_equal(out["pr"].values, expected["pr"].values)
    np.testing.assert_array_equal(out["lat"].values, target.lat)
    np.testing.assert_array_equal(out["tb"].values, ds["tb"].values)
    assert out["time"].attrs == ds["time"].attrs
    assert out["pr"].dtype == np.float32
    assert out["pr"].attrs["cell_methods"] == "time: sum area: mean"
    assert out.attrs["history"].endswith("longitude -120 to -60)\nmade up")
    assert [row.variable for row in rows if row.fate == "regridded"] == ["pr", "t"]
    pr = rows[0]
    area = SOURCE.area[::-1]
    assert pr.integral_before == pytest.approx((ds["pr"] * area).sum().item() / 3, rel=1e-6)
    assert pr.integral_after == pytest.approx(pr.integral_before, rel=1e-6)
    assert pr.units == "kg m-2 m2"
    share = (ds["pr"].notnull() * area).sum().item() / 3 / target.area.sum()
    assert pr.coverage == pytest.approx(share, rel=1e-6)
    assert pr.seconds > 0
    assert not [p for p in tmp_path.iterdir() if "partial" in p.name]


def test_less_coverage_shows_in_the_integral(climatology: Path, tmp_path: Path) -> None:
    strict = regrid_file(climatology, tmp_path / "o.nc", grid=3, min_coverage=1, variables=["pr"])
    assert strict[0].integral_after < 0.99 * strict[0].integral_before
    names = set(opened(tmp_path / "o.nc").variables)
    bounds = {"lat_bnds", "lon_bnds", "tb", "spatial_ref"}
    assert names == {"pr", "pr_valid_fraction", "time", "lat", "lon"} | bounds


def test_totals_and_bounds_and_weights(climatology: Path, tmp_path: Path) -> None:
    box = (-100.0, 30.0, -80.0, 50.0)
    weights = tmp_path / "w.nc"
    rows = regrid_file(
        climatology,
        tmp_path / "o.nc",
        grid=5,
        bounds=box,
        quantity="total",
        variables=["t"],
        weights=weights,
    )
    inside = opened(climatology)["t"].sel(lat=slice(50, 30), lon=slice(-100, -80)).sum().item()
    assert rows[0].integral_before == pytest.approx(inside, rel=1e-6)
    assert rows[0].integral_after == pytest.approx(inside, rel=1e-6)
    assert rows[0].units == "K"
    assert weights.exists()


def test_raster_round_trip(climatology: Path, tmp_path: Path) -> None:
    import rasterio

    regrid_file(climatology, tmp_path / "pr.tif", grid=4, variables=["pr"])
    with rasterio.open(tmp_path / "pr.tif") as raster:
        assert raster.crs.to_epsg() == 4326
        assert raster.bounds[:] == (-120, 20, -60, 60)
        assert raster.transform.e < 0
        assert raster.count == 3
        assert raster.descriptions[1] == "pr 0001-02-16"
        first = raster.read(1)
    expected = regrid(opened(climatology), Grid.regular(-120, 20, -60, 60, 4))["pr"]
    np.testing.assert_array_equal(first, expected.values[0, ::-1])
    like = tmp_path / "like.nc"
    regrid_file(tmp_path / "pr.tif", like, grid=4, bounds=(-120, 20, -60, 60))
    np.testing.assert_allclose(opened(like)["pr"].values, expected.values, rtol=1e-6)
    with pytest.raises(UsageError, match="for a GeoTIFF"):
        regrid_file(climatology, tmp_path / "both.tif", grid=4)
    assert not (tmp_path / "both.tif").exists()


def test_like_another_file(climatology: Path, tmp_path: Path) -> None:
    other = Grid.from_corners([-110.0, -100, -80], [60.0, 50, 20])
    ds = xr.Dataset({"f": (other.dims, np.zeros(other.shape))}, coords=other.coords())
    ds.to_netcdf(tmp_path / "like.nc")
    regrid_file(climatology, tmp_path / "o.nc", like=tmp_path / "like.nc")
    assert Grid.from_dataset(opened(tmp_path / "o.nc")) == other


def test_wrong_questions(climatology: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.nc"
    for wrong in (
        {},
        {"grid": 1, "like": climatology},
        {"like": climatology, "bounds": (0, 0, 1, 1)},
        {"grid": -1},
        {"grid": 1, "variables": ["nonsense"]},
    ):
        with pytest.raises(UsageError, match="expected"):
            regrid_file(climatology, out, **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="ending in"):
        regrid_file(climatology, tmp_path / "o.hdf", grid=1)
    with pytest.raises(UsageError, match="found the input"):
        regrid_file(climatology, climatology, grid=1)
    with pytest.raises(NarcfError, match="no such file"):
        regrid_file(tmp_path / "absent.nc", out, grid=1)
    (tmp_path / "text.nc").write_text("no data")
    with pytest.raises(NarcfError, match="cannot be opened"):
        regrid_file(tmp_path / "text.nc", out, grid=1)
    assert not out.exists()


def test_no_input_is_overwritten(climatology: Path, tmp_path: Path) -> None:
    before = climatology.read_bytes()
    (tmp_path / "link.nc").symlink_to(climatology)
    holder = tmp_path / "holder.zarr"
    holder.mkdir()
    inside = holder / "in.nc"
    inside.write_bytes(before)
    store = tmp_path / "store.zarr"
    opened(climatology).to_zarr(store, consolidated=False)
    coarse = tmp_path / "coarse.nc"
    regrid_file(climatology, coarse, grid=5)
    for source, target, more in (
        (climatology, tmp_path / "link.nc", {}),
        (tmp_path / "link.nc", climatology, {}),
        (str(climatology), str(tmp_path / "x" / ".." / "in.nc"), {}),
        (inside, holder, {}),
        (store, store, {}),
        (store, store / "out.nc", {}),
        (climatology, coarse, {"like": coarse}),
        (climatology, coarse, {"grid": 5, "weights": coarse}),
    ):
        with pytest.raises(UsageError, match="found the input"):
            regrid_file(source, target, **(more or {"grid": 5}))
    assert climatology.read_bytes() == inside.read_bytes() == before
    assert opened(store)["pr"].equals(opened(climatology)["pr"])


def test_what_stood_there_is_replaced_when_the_new_is_whole(
    climatology: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.nc"
    out.write_text("older")
    with pytest.raises(NarcfError, match="the source touches"):
        regrid_file(climatology, out, grid=5, bounds=(0, 20, 40, 60))
    assert out.read_text() == "older"
    regrid_file(str(climatology), str(out), grid=5)
    assert "pr" in opened(out)
    folder = tmp_path / "thesis.zarr"
    folder.mkdir()
    (folder / "years.txt").write_text("of work")
    for wrong in (folder, tmp_path / "folder.nc"):
        wrong.mkdir(exist_ok=True)
        with pytest.raises(UsageError, match="give another name"):
            regrid_file(climatology, wrong, grid=5)
    assert (folder / "years.txt").exists()
    regrid_file(climatology, tmp_path / "o.zarr", grid=5)
    regrid_file(climatology, tmp_path / "o.zarr", grid=10)
    assert opened(tmp_path / "o.zarr").sizes["lat"] == 4


def test_packed_values_outside_their_valid_range_are_missing(tmp_path: Path) -> None:
    """The range is in packed numbers, and does not stay with the unpacked result."""
    values = np.full(SOURCE.shape, 300.0)
    values[:, :10] = 400.0
    ds = xr.Dataset({"v": (SOURCE.dims, values, {"units": "K"})}, coords=SOURCE.coords())
    ds["v"].attrs["valid_range"] = np.array([7500, 32767], "i2")
    packed = {"dtype": "i2", "scale_factor": 0.02, "add_offset": 100.0, "_FillValue": 0}
    ds.to_netcdf(tmp_path / "in.nc", encoding={"v": packed})
    ds["v"].attrs["valid_range"] = np.array([7500, 12000], "i2")
    ds.to_netcdf(tmp_path / "narrow.nc", encoding={"v": packed})
    for name, share in (("in", 1.0), ("narrow", 2 / 3)):
        regrid_file(tmp_path / f"{name}.nc", tmp_path / "out.nc", grid=4)
        found = opened(tmp_path / "out.nc")["v"]
        assert float(found.notnull().mean()) == pytest.approx(share)
        assert "valid_range" not in found.attrs
    assert float(found.max()) == pytest.approx(300, abs=0.02)


def test_bands_keep_names_scales_and_gaps(tmp_path: Path) -> None:
    import rasterio
    from rasterio.transform import from_bounds

    profile = {"driver": "GTiff", "count": 2, "width": 60, "height": 40, "dtype": "int16"}
    place = {"crs": "EPSG:4326", "transform": from_bounds(-120, 20, -60, 60, 60, 40)}
    with rasterio.open(tmp_path / "in.tif", "w", nodata=-9, **profile, **place) as raster:
        raster.write(np.full((40, 60), 30, "i2"), 1)
        rows = np.full((40, 60), 50, "i2")
        rows[:20] = -9
        raster.write(rows, 2)
        raster.scales, raster.offsets = (0.1, 0.5), (0.0, 1.0)
        raster.set_band_description(1, "January")
        raster.set_band_description(2, "July")
    regrid_file(tmp_path / "in.tif", tmp_path / "out.tif", grid=5)
    with rasterio.open(tmp_path / "out.tif") as raster:
        assert raster.descriptions == ("January", "July")
        first, second = raster.read()
    np.testing.assert_allclose(first, 3.0, rtol=1e-6)
    np.testing.assert_allclose(second[4:], 26.0, rtol=1e-6)
    assert np.isnan(second[:4]).all()


def test_a_geotiff_of_uneven_rows_is_refused(climatology: Path, tmp_path: Path) -> None:
    uneven = Grid.from_corners([-120.0, -100, -80], [20.0, 30, 50, 60])
    xr.Dataset({"f": (uneven.dims, np.zeros(uneven.shape))}, coords=uneven.coords()).to_netcdf(
        tmp_path / "like.nc"
    )
    with pytest.raises(UsageError, match="evenly spaced"):
        regrid_file(climatology, tmp_path / "o.tif", like=tmp_path / "like.nc", variables=["t"])
    assert not (tmp_path / "o.tif").exists()


def test_a_geotiff_says_what_it_does_not_hold(climatology: Path, tmp_path: Path) -> None:
    with xr.open_dataset(climatology, decode_times=False) as ds:
        ds.assign(site=((), "here"), length=("n", [1.0, 2.0])).to_netcdf(tmp_path / "more.nc")
    of = {"grid": 5, "variables": ["t"]}
    rows = regrid_file(tmp_path / "more.nc", tmp_path / "o.tif", **of)
    fates = {row.variable: row.fate for row in rows}
    assert (fates["t"], fates["site"], fates["length"]) == ("regridded", "dropped", "dropped")
    # The control: a NetCDF file holds them.
    rows = regrid_file(tmp_path / "more.nc", tmp_path / "o.nc", **of)
    assert {row.fate for row in rows if row.variable in ("site", "length")} == {"copied"}


def test_whole_cells_beyond_a_map_of_the_world_ask_for_bounds(tmp_path: Path) -> None:
    globe = Grid.regular(-180, -60, 180, 60, 10)
    ds = xr.Dataset({"f": (globe.dims, np.zeros(globe.shape), {"units": "K"})}, globe.coords())
    ds.to_netcdf(tmp_path / "in.nc")
    of = {"grid": 500_000, "crs": "EPSG:3857"}
    with pytest.raises(UsageError, match=r"give bounds, such as -2\d{7} "):
        regrid_file(tmp_path / "in.nc", tmp_path / "o.nc", **of)
    regrid_file(tmp_path / "in.nc", tmp_path / "o.nc", bounds=(-2e7, -5e6, 2e7, 5e6), **of)
    assert opened(tmp_path / "o.nc")["f"].shape == (20, 80)


@pytest.mark.slow
def test_a_field_larger_than_the_memory_it_takes(tmp_path: Path) -> None:
    """A field of 648 MB passes through in less than 300 MB beyond the libraries."""
    fine = Grid.regular(-180, -90, 180, 90, 0.02)
    lazy = da.random.default_rng(0).random(fine.shape, chunks=(1000, 1000), dtype="float32")
    ds = xr.Dataset({"sst": (fine.dims, lazy)}, coords={"lat": fine.lat, "lon": fine.lon})
    ds["lat"].attrs["units"], ds["lon"].attrs["units"] = "degrees_north", "degrees_east"
    ds.to_zarr(tmp_path / "fine.zarr", consolidated=False)
    script = (
        "import resource, sys\n"
        "from narcf_geo.grid import Grid\n"
        "from narcf_geo.regridding import regrid_file\n"
        "import dask.array, netCDF4, numba, zarr, narcf_geo.kernels.apply\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "before = peak()\n"
        "row = regrid_file(sys.argv[1], sys.argv[2], grid=1)[0]\n"
        "print(row.integral_before, row.integral_after, peak() - before)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "fine.zarr", tmp_path / "coarse.nc"],
        check=True,
        capture_output=True,
        text=True,
    )
    before, after, mib = map(float, result.stdout.split())
    assert after == pytest.approx(before, rel=1e-6)
    assert mib < 300


def test_a_mask_counts_before_and_after_and_areas_are_named(tmp_path: Path) -> None:
    ds = xr.Dataset(
        {
            "t": (
                SOURCE.dims,
                np.random.default_rng(0).normal(280, 5, SOURCE.shape),
                {"units": "K"},
            ),
            "area": (SOURCE.dims, SOURCE.area, {"units": "m2", "standard_name": "cell_area"}),
        },
        coords=SOURCE.coords(),
    )
    ds.to_netcdf(tmp_path / "in.nc")
    keep = np.zeros(SOURCE.shape)
    keep[:, :11] = 1
    everything = regrid_file(
        tmp_path / "in.nc", tmp_path / "o.nc", grid=4, min_coverage=0, source_mask=keep
    )
    rows = [row for row in everything if row.fate == "regridded"]
    assert [row.variable for row in rows] == ["t", "area"]
    inside = (ds["t"].values * keep * SOURCE.area).sum()
    assert rows[0].integral_before == pytest.approx(inside, rel=1e-12)
    assert rows[0].integral_after == pytest.approx(inside, rel=1e-12)
    rows = regrid_file(tmp_path / "in.nc", tmp_path / "o.nc", grid=4, variables=["area"])
    np.testing.assert_allclose(opened(tmp_path / "o.nc")["area"].sum(), SOURCE.area.sum())
