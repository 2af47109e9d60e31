"""Several files, second grids, and every variable of the input accounted for."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from narcf_geo.core.errors import (
    FieldError,
    GridMismatchError,
    MissingFileError,
    NarcfError,
    TimeError,
    UnitError,
    UsageError,
)
from narcf_geo.grid import Grid
from narcf_geo.regridding import regrid, regrid_file
from narcf_geo.regridding.summary import Summary

SOURCE = Grid.regular(-120, 20, -60, 60, 2)


def month(number: int, value: float | None = None, **changes: object) -> xr.Dataset:
    """A month with a value of its own, its time counted in days since its year began."""
    value = float(number) if value is None else value
    rows = np.arange(SOURCE.shape[0])[:, None]
    values = np.full((1, *SOURCE.shape), value) + 0.01 * rows
    ds = xr.Dataset(
        {
            "t": (("time", *SOURCE.dims), values, {"units": "K"}),
            "height": (SOURCE.dims, np.full(SOURCE.shape, 7.0), {"units": "m"}),
            "time_bnds": (("time", "bnds"), [[30.0 * number, 30.0 * number + 30]]),
        },
        SOURCE.coords(),
    )
    axis = {"units": "days since 2001-01-01", "calendar": "360_day", "bounds": "time_bnds"}
    return ds.assign_coords(time=("time", [30.0 * number + 15], axis)).assign(**changes)


def written(folder: Path, numbers: range | list[int]) -> list[Path]:
    paths = [folder / f"a_{n}.nc" for n in numbers]
    for n, path in zip(numbers, paths, strict=True):
        month(n).to_netcdf(path)
    return paths


def opened(path: Path) -> xr.Dataset:
    with xr.open_dataset(path, decode_times=False) as ds:
        return ds.load()


def regridded(rows: list[Summary]) -> list[str]:
    return [row.variable for row in rows if row.fate == "regridded"]


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_files_of_a_series_are_one(tmp_path: Path, suffix: str) -> None:
    paths = written(tmp_path, range(12))
    whole = xr.concat([month(n) for n in range(12)], "time", data_vars="minimal")
    expected = regrid(whole, 4)
    out = tmp_path / f"out{suffix}"
    for source in (str(tmp_path / "a_*.nc"), paths[::-1], [paths[3], *paths[:3], *paths[4:]]):
        rows = regrid_file(source, out, grid=4)
        kwargs = {"consolidated": False} if suffix == ".zarr" else {}
        opener = xr.open_zarr if suffix == ".zarr" else xr.open_dataset
        with opener(out, decode_times=False, **kwargs) as found:  # type: ignore[operator]
            np.testing.assert_array_equal(found["t"], expected["t"])
            np.testing.assert_array_equal(found["time"], 30.0 * np.arange(12) + 15)
            np.testing.assert_array_equal(found["time_bnds"][:, 0], 30.0 * np.arange(12))
            assert found["time"].attrs["calendar"] == "360_day"
            assert found["height"].dims == ("lat", "lon")
            assert "a_0.nc, a_1.nc and 10 more" in found.attrs["history"] or source is not str
        assert regridded(rows) == ["t", "height"]
    assert rows[0].integral_after == pytest.approx(rows[0].integral_before)


def test_each_file_in_its_own_unit_packing_and_time_unit(tmp_path: Path) -> None:
    month(0, 300).to_netcdf(tmp_path / "a.nc")
    packed = {"dtype": "i2", "scale_factor": 0.1, "add_offset": 290.0, "_FillValue": -9}
    month(1, 301).to_netcdf(tmp_path / "b.nc", encoding={"t": packed})
    celsius = month(2, 302 - 273.15)
    celsius["t"].attrs["units"] = "degC"
    celsius["time"] = celsius["time"].copy(data=[15.0])
    celsius["time"].attrs["units"] = "days since 2001-03-01"
    celsius["time_bnds"] = celsius["time_bnds"] - 60
    celsius.to_netcdf(tmp_path / "c.nc")
    regrid_file([tmp_path / f"{n}.nc" for n in "abc"], tmp_path / "out.nc", grid=4)
    out = opened(tmp_path / "out.nc")
    np.testing.assert_allclose(out["t"][:, 0, 0] - out["t"][0, 0, 0], [0, 1, 2], atol=0.06)
    np.testing.assert_allclose(out["time"], [15, 45, 75])
    np.testing.assert_allclose(out["time_bnds"], [[0, 30], [30, 60], [60, 90]])
    assert out["t"].attrs["units"] == "K"


def test_files_that_are_no_series_are_refused(tmp_path: Path) -> None:
    first, out = tmp_path / "a_0.nc", tmp_path / "out.nc"
    month(0).to_netcdf(first)
    other = Grid.regular(-120, 20, -60, 60, 4)
    zeros = np.zeros((1, *other.shape))
    elsewhere = xr.Dataset({"t": (("time", *other.dims), zeros, {"units": "K"}),
                            "height": (other.dims, zeros[0] + 7.0)}, other.coords())  # fmt: skip
    elsewhere = elsewhere.assign(month(1)[["time_bnds"]]).assign_coords(time=month(1)["time"])
    gregorian, unitless, ounces = month(1), month(1), month(1)
    gregorian["time"].attrs["calendar"] = "standard"
    del unitless["t"].attrs["units"]
    ounces["t"].attrs["units"] = "kg"
    wrong = {
        "grid": (elsewhere, GridMismatchError, "expected the lat"),
        "same": (month(0), TimeError, "after those of"),
        "more": (month(1, wind=month(1)["t"]), UsageError, "with wind besides"),
        "less": (month(1).drop_vars("height"), UsageError, "without height"),
        "static": (month(1, height=month(1)["height"] + 1), FieldError, "height of .*a_0.nc"),
        "calendar": (gregorian, TimeError, "a_0.nc, '360_day', found 'standard'"),
        "unitless": (unitless, UnitError, "found none"),
        "unit": (ounces, UnitError, "'K'"),
        "timeless": (month(1).isel(time=0, drop=True), UsageError, "expected a time axis"),
    }
    for name, (ds, kind, text) in wrong.items():
        path = tmp_path / f"{name}.nc"
        ds.to_netcdf(path)
        with pytest.raises(kind, match=text) as caught:
            regrid_file([first, path], out, grid=4)
        assert f"{name}.nc" in str(caught.value)
    assert not out.exists()
    with pytest.raises(MissingFileError, match="no file matches"):
        regrid_file(tmp_path / "b_*.nc", out, grid=4)
    for address, text in (("ftp://a.org/x.nc", "found one that starts with ftp"),
                          ("https://a.org/x.grib", "grib"),
                          ("https://a.org/*.nc", "found a pattern")):  # fmt: skip
        with pytest.raises(UsageError, match=text):
            regrid_file(address, out, grid=4)


@pytest.mark.parametrize(("one", "other"), [(10.0, 370.0), (1e-8, 3e-8)])
def test_a_static_field_is_no_position(tmp_path: Path, one: float, other: float) -> None:
    """Whole turns and small differences are rounding of a longitude alone."""
    for number, value in enumerate((one, other)):
        height = xr.DataArray(np.full(SOURCE.shape, value, "f4"), dims=SOURCE.dims)
        month(number, height=height).to_netcdf(tmp_path / f"a_{number}.nc")
    with pytest.raises(FieldError, match=r"height of .*a_0\.nc"):
        regrid_file(tmp_path / "a_*.nc", tmp_path / "out.nc", grid=4)


@pytest.mark.parametrize("shift", [360.0, 1e-9])
def test_the_same_places_written_otherwise(tmp_path: Path, shift: float) -> None:
    month(0).to_netcdf(tmp_path / "a_0.nc")
    moved = month(1)
    moved["lon"] = moved["lon"] + shift
    moved["lon_bnds"] = moved["lon_bnds"] + shift
    moved.to_netcdf(tmp_path / "a_1.nc")
    regrid_file(tmp_path / "a_*.nc", tmp_path / "out.nc", grid=4)
    found = opened(tmp_path / "out.nc")
    np.testing.assert_array_equal(found["lon"], np.arange(-118.0, -60, 4))
    np.testing.assert_array_equal(found["t"][1], regrid(month(1), 4)["t"][0])


def test_groups_are_named(tmp_path: Path) -> None:
    month(0).to_netcdf(tmp_path / "in.nc")
    month(0).to_netcdf(tmp_path / "in.nc", group="model", mode="a")
    rows = regrid_file(tmp_path / "in.nc", tmp_path / "out.nc", grid=4)
    assert [(r.fate, r.how) for r in rows if r.variable == "model/"] == [
        ("dropped", "groups are not read")
    ]
    month(0).to_netcdf(tmp_path / "only.nc", group="model")
    with pytest.raises(NarcfError, match=r"only\.nc: expected variables, .* groups \(model\)"):
        regrid_file(tmp_path / "only.nc", tmp_path / "out2.nc", grid=4)


def test_a_folder_takes_each_file_by_itself(tmp_path: Path) -> None:
    paths = written(tmp_path, range(2))
    rows = regrid_file(paths, f"{tmp_path}/out/", grid=4)
    assert [p.name for p in sorted((tmp_path / "out").iterdir())] == ["a_0.nc", "a_1.nc"]
    assert {row.path.name for row in rows} == {"a_0.nc", "a_1.nc"}
    for n in range(2):
        expected = regrid(month(n), 4)["t"]
        np.testing.assert_array_equal(opened(tmp_path / "out" / f"a_{n}.nc")["t"], expected)
    (tmp_path / "b").mkdir()
    month(0).to_netcdf(tmp_path / "b" / "a_0.nc")
    with pytest.raises(UsageError, match="files of different names"):
        regrid_file([paths[0], tmp_path / "b" / "a_0.nc"], f"{tmp_path}/out/", grid=4)
    with pytest.raises(UsageError, match="found the input"):
        regrid_file(paths, f"{tmp_path}/", grid=4)


def staggered() -> xr.Dataset:
    """Fields on the cells of two grids and on the sides of the first, and much besides."""
    fine, coarse = Grid.regular(-120, 20, -60, 60, 2), Grid.regular(-120, 20, -60, 60, 5)
    rng = np.random.default_rng(2)
    sides = fine.lon_b[1:]
    east = {"units": "degrees_east"}
    ds = xr.Dataset(
        {
            "v": (fine.dims, rng.random(fine.shape)),
            "sst": (("month", "lat2", "lon2"), rng.random((2, *coarse.shape))),
            "u": (("lat", "lon_u"), rng.random(fine.shape)),
            "name": (fine.dims, np.full(fine.shape, "x")),
            "zonal": ("lat", rng.random(fine.shape[0])),
            "series": ("month", [1.0, 2.0]),
            "station": ("place", ["a", "b"]),
            "v_valid_fraction": (fine.dims, np.ones(fine.shape)),
            "crs": ((), 0, {"grid_mapping_name": "latitude_longitude"}),
        },
        {**fine.coords(), "lon_u": ("lon_u", sides, east)},
    )
    axes = coarse.coords()
    second = {
        f"{n}2": (f"{n}2", axes[n].values, {"units": axes[n].attrs["units"]})
        for n in ("lat", "lon")
    }
    return ds.assign_coords(second)


def test_fields_on_every_grid_are_regridded_and_all_else_is_named(tmp_path: Path) -> None:
    ds = staggered()
    ds.to_netcdf(tmp_path / "in.nc")
    rows = regrid_file(tmp_path / "in.nc", tmp_path / "out.nc", grid=10)
    out = opened(tmp_path / "out.nc")
    fates = {row.variable: row.fate for row in rows}
    assert set(fates) == set(map(str, ds.variables))
    assert regridded(rows) == ["v", "sst", "u"]
    for name in ("lat", "lon", "lat2", "lon2", "lon_u", "crs", "lat_bnds", "lon_bnds"):
        assert fates[name] == "replaced"
    assert fates["series"] == fates["station"] == "copied"
    reasons = {row.variable: row.how for row in rows if row.fate == "dropped"}
    assert set(reasons) == {"name", "zonal", "v_valid_fraction"}
    assert "text" in reasons["name"]
    assert "along lat without" in reasons["zonal"]
    target = Grid.regular(-120, 20, -60, 60, 10)
    for name, axes in (("v", "lat lon"), ("sst", "lat2 lon2"), ("u", "lat lon_u")):
        y, x = axes.split()
        alone = ds[name].rename({y: "lat", x: "lon"} if y != "lat" or x != "lon" else {})
        expected = regrid(alone.drop_vars("lon_bnds", errors="ignore"), target)
        np.testing.assert_allclose(out[name], expected, rtol=1e-12)
    np.testing.assert_array_equal(out["station"], ["a", "b"])
    assert "lat2" not in out.variables
    only = regrid_file(tmp_path / "in.nc", tmp_path / "o.nc", grid=10, variables=["sst"])
    assert regridded(only) == ["sst"]
    assert {row.how for row in only if row.variable in ("u", "v")} == {"not among those asked for"}
    for name, reason in (("name", "text"), ("series", "no dimensions of a grid")):
        with pytest.raises(NarcfError, match=f"{name}.*{reason}"):
            regrid_file(tmp_path / "in.nc", tmp_path / "o.nc", grid=10, variables=[name])


def test_a_history_of_a_given_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = written(tmp_path, range(2))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        regrid_file(paths, tmp_path / name / "o.nc", grid=4, min_coverage=0.25, command="typed")
    with netCDF4.Dataset(tmp_path / "a" / "o.nc") as ds:
        assert ds.Conventions == "CF-1.11"
        assert ds.history.startswith("2001-09-09T01:46:40Z narcf-geo ")
        for word in ("typed", "a_0.nc, a_1.nc", "conservative", "0.25", "4 x 4 degree", "weights"):
            assert word in ds.history
    assert opened(tmp_path / "a" / "o.nc").identical(opened(tmp_path / "b" / "o.nc"))
