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
    assert out.attrs["history"].endswith("regridded from in.nc\nmade up")
    assert [row.variable for row in rows] == ["pr", "t"]
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
    assert len(strict) == 1
    assert strict[0].integral_after < 0.99 * strict[0].integral_before
    names = set(opened(tmp_path / "o.nc").variables)
    bounds = {"lat_bnds", "lon_bnds", "tb", "spatial_ref"}
    assert names == {"pr", "pr_valid_fraction", "time", "lat", "lon"} | bounds


def test_totals_and_bounds_and_weights(climatology: Path, tmp_path: Path) -> None:
    box = (-100.0, 30.0, -80.0, 50.0)
    weights = tmp_path / "w.nc"
    rows = regrid_file(
        *(climatology, tmp_path / "o.nc"),
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
    with pytest.raises(UsageError, match="twice"):
        regrid_file(climatology, climatology, grid=1)
    with pytest.raises(NarcfError, match="found nothing"):
        regrid_file(tmp_path / "absent.nc", out, grid=1)
    (tmp_path / "text.nc").write_text("no data")
    with pytest.raises(NarcfError, match="cannot be opened"):
        regrid_file(tmp_path / "text.nc", out, grid=1)
    assert not out.exists()


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
