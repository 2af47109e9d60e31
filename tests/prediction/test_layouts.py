"""Cubes that are laid out otherwise: in memory and on disk, right or refused in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from narcf_geo.core.errors import (
    FieldError,
    GridMismatchError,
    NarcfError,
    TimeError,
    UnitError,
    UsageError,
)
from narcf_geo.model.bundle import Bundle
from narcf_geo.prediction import predict, predict_file, predict_netcdf

Change = Callable[[xr.Dataset], xr.Dataset]


def as_kelvin(cube: xr.Dataset) -> xr.Dataset:
    return cube.assign(temp=(cube["temp"] + 273.15).assign_attrs(units="K"))


def mid_month(cube: xr.Dataset) -> xr.Dataset:
    cube = cube.drop_vars("time_bnds", errors="ignore")
    cube["time"] = cube["time"] + np.timedelta64(14, "D")
    return cube


def east_of_greenwich(cube: xr.Dataset) -> xr.Dataset:
    return cube.drop_vars("lon_bnds", errors="ignore").assign_coords(lon=cube["lon"] + 360)


def as_in_era5(cube: xr.Dataset) -> xr.Dataset:
    """Rows north to south, 0 to 360, other names of axes, all axes in another order."""
    cube = east_of_greenwich(mid_month(cube)).drop_vars("lat_bnds", errors="ignore")
    cube = cube.rename(lat="latitude", lon="longitude", time="valid_time")
    for name in ("latitude", "longitude"):
        cube[name].attrs = {"units": {"latitude": "degrees_north"}.get(name, "degrees_east")}
    return cube.isel(latitude=slice(None, None, -1)).transpose("longitude", "latitude", ...)


def biome_with_nan(cube: xr.Dataset) -> xr.Dataset:
    return cube.assign(biome=cube["biome"].astype("float64").where(cube["biome"] >= 0))


def classes_backwards(cube: xr.Dataset) -> xr.Dataset:
    cube = cube.assign_coords(igbp_class=np.arange(18)).isel(igbp_class=slice(None, None, -1))
    percent = (cube["class_fraction"] * 100).assign_attrs(units="%")
    return cube.assign(class_fraction=percent.transpose("lat", "igbp_class", "lon"))


def shuffled(cube: xr.Dataset) -> xr.Dataset:
    return cube.isel(time=np.random.default_rng(1).permutation(cube.sizes["time"]))


LAYOUTS = [
    as_in_era5,
    as_kelvin,
    mid_month,
    east_of_greenwich,
    biome_with_nan,
    classes_backwards,
    shuffled,
    lambda cube: cube.isel(lat=slice(None, None, -1)),
    lambda cube: cube.transpose("lon", "lat", "time", "igbp_class", "bnds"),
    lambda cube: cube.assign(cell_area=(cube["cell_area"] / 1e6).assign_attrs(units="km2")),
]


def assert_same(found: xr.Dataset, expected: xr.Dataset) -> None:
    assert np.isfinite(expected["flux"]).any()
    assert set(found.data_vars) == set(expected.data_vars)
    for axis in ("time", "lat", "lon"):
        np.testing.assert_allclose(
            found[axis].values.astype(float), expected[axis].values.astype(float), atol=1e-9
        )
    for name in expected.data_vars:
        assert found[name].dims == expected[name].dims, name
        if name.startswith("applica"):
            # Looked for among the nearest groups of training rows: the last digit of a feature may
            # decide which group is among them.
            close = np.isclose(found[name], expected[name], rtol=2e-4, atol=2e-4, equal_nan=True)
            assert (~close).sum() <= 1e-4 * close.size
            continue
        np.testing.assert_allclose(
            found[name], expected[name], rtol=2e-4, atol=2e-4, err_msg=str(name)
        )
    assert found["biome"].dtype.kind == "i"


@pytest.mark.parametrize("change", LAYOUTS)
@pytest.mark.parametrize("lazy", [False, True])
def test_a_cube_in_memory_may_be_laid_out_otherwise(
    fine_cube: xr.Dataset, bundle_folder: Path, change: Change, lazy: bool
) -> None:
    bundle = Bundle.load(bundle_folder)
    cube = fine_cube.isel(lat=slice(20, 40), lon=slice(0, 30))
    expected = predict(cube, bundle)
    given = change(cube)
    assert_same(predict(given.chunk() if lazy else given, bundle), expected)


@pytest.mark.parametrize("change", LAYOUTS)
@pytest.mark.parametrize("suffix", [".zarr", ".nc"])
def test_a_cube_on_disk_may_be_laid_out_otherwise(
    fine_cube: xr.Dataset, bundle_folder: Path, tmp_path: Path, change: Change, suffix: str
) -> None:
    cube = fine_cube.isel(lat=slice(5, 55))
    write(cube, tmp_path / "house.zarr")
    write(change(cube), tmp_path / f"other{suffix}")
    house = predict_file(tmp_path / "house.zarr", tmp_path / "one.zarr", bundle_folder)
    other = predict_file(tmp_path / f"other{suffix}", tmp_path / "two.zarr", bundle_folder)
    one, two = (xr.open_zarr(done.path, consolidated=False) for done in (house, other))
    assert_same(two.load(), one.load())
    assert (other.land, other.rows, other.chunks) == (house.land, house.rows, house.chunks)


def write(cube: xr.Dataset, path: Path) -> None:
    cube = cube.drop_encoding()
    if path.suffix == ".nc":
        cube.to_netcdf(path)
    else:
        sizes = {"lat": 13, "latitude": 13, "lon": 17, "longitude": 17, "time": 5, "valid_time": 5}
        cube.chunk({d: n for d, n in sizes.items() if d in cube.dims}).to_zarr(
            path, consolidated=False
        )


def test_a_cube_whose_labels_are_wrong_gives_another_flux(
    fine_cube: xr.Dataset, bundle_folder: Path
) -> None:
    """The control of the tests above: rows turned without their latitudes."""
    bundle = Bundle.load(bundle_folder)
    cube = fine_cube.isel(time=slice(0, 4), lat=slice(20, 30), lon=slice(0, 30))
    wrong = cube.assign(temp=cube["temp"].copy(data=cube["temp"].values[:, ::-1]))
    off = abs(predict(wrong, bundle)["flux"] - predict(cube, bundle)["flux"])
    assert float(off.max()) > 0.1


def test_a_change_of_a_turned_store_is_found(
    fine_cube: xr.Dataset, bundle_folder: Path, tmp_path: Path
) -> None:
    """Only the chunks that a changed file of a store is read for are computed again."""
    turned = fine_cube.isel(lat=slice(None, None, -1)).drop_encoding()
    turned = turned.chunk(time=26, lat=10, lon=70, igbp_class=18)
    turned.to_zarr(tmp_path / "cube.zarr", consolidated=False)
    out = tmp_path / "out.zarr"
    first = predict_file(tmp_path / "cube.zarr", out, bundle_folder)
    assert predict_file(tmp_path / "cube.zarr", out, bundle_folder).computed == 0
    # The northernmost ten rows: the first chunk as stored, the last as predicted.
    region = {"lat": slice(0, 10)}
    new = turned[["sif"]].isel(region).load() + 1
    new["sif"].attrs = {}
    new.drop_vars(["time_bnds", "lat_bnds", "lon_bnds", "time", "lon"], errors="ignore").drop_vars(
        "lat", errors="ignore"
    ).to_zarr(
        tmp_path / "cube.zarr",
        consolidated=False,
        region={**region, "time": slice(0, 26), "lon": slice(0, 70)},
    )
    again = predict_file(tmp_path / "cube.zarr", out, bundle_folder)
    assert 0 < again.computed == first.chunks // 2
    cube = xr.open_zarr(tmp_path / "cube.zarr", consolidated=False).load()
    expected = predict(cube, Bundle.load(bundle_folder))["flux"]
    found = xr.open_zarr(out, consolidated=False)["flux"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)


def test_files_of_one_cube_may_differ_in_units_and_order(
    fine_cube: xr.Dataset, bundle_folder: Path, tmp_path: Path
) -> None:
    write(fine_cube, tmp_path / "house.zarr")
    expected = predict_file(tmp_path / "house.zarr", tmp_path / "one.zarr", bundle_folder).path
    fine_cube.drop_vars(["sif", "temp"]).drop_dims("time").to_netcdf(tmp_path / "a.nc")
    fine_cube[["temp"]].isel(time=slice(0, 10)).to_netcdf(tmp_path / "b1.nc")
    as_in_era5(as_kelvin(fine_cube[["temp"]].isel(time=slice(10, 26)))).to_netcdf(
        tmp_path / "b2.nc"
    )
    fine_cube[["sif"]].isel(lat=slice(None, None, -1)).to_netcdf(tmp_path / "c.nc")
    found = predict_file(tmp_path / "*.nc", tmp_path / "two.zarr", bundle_folder).path
    one, two = (xr.open_zarr(path, consolidated=False).load() for path in (expected, found))
    assert_same(two, one)
    wrong = fine_cube[["temp"]].isel(time=slice(10, 26))
    wrong["temp"].attrs["units"] = "mm"
    wrong.to_netcdf(tmp_path / "b2.nc")
    with pytest.raises(UnitError, match=r"b2\.nc: variable 'temp'.*'degC'.*found 'mm'"):
        predict_file(tmp_path / "*.nc", tmp_path / "three.zarr", bundle_folder)


def test_values_outside_the_valid_range_predict_nothing(
    fine_cube: xr.Dataset, bundle_folder: Path, tmp_path: Path
) -> None:
    cube = fine_cube.isel(time=slice(0, 4), lat=slice(0, 20))
    gap = cube["height"] > 350
    assert 0.1 < float(gap.mean()) < 0.9
    expected = predict(cube.assign(height=cube["height"].where(~gap)), Bundle.load(bundle_folder))
    limited = cube.assign(height=cube["height"].assign_attrs(valid_max=np.float32(350)))
    assert_same(predict(limited, Bundle.load(bundle_folder)), expected)
    limited.to_netcdf(tmp_path / "cube.nc")
    found = predict_file(tmp_path / "cube.nc", tmp_path / "out.zarr", bundle_folder).path
    assert_same(xr.open_zarr(found, consolidated=False).load(), expected)


def daily(cube: xr.Dataset) -> xr.Dataset:
    days = np.datetime64("2007-01-01", "ns") + np.arange(26) * np.timedelta64(1, "D")
    return cube.drop_vars("time_bnds").assign_coords(time=days)


def without(name: str) -> Change:
    return lambda cube: cube.drop_vars(name)


def unit(name: str, units: str) -> Change:
    return lambda cube: cube.assign({name: cube[name].assign_attrs(units=units)})


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (daily, TimeError, "expected a value a month, found one for 1 days"),
        (without("biome"), NarcfError, "'biome'"),
        (without("class_fraction"), NarcfError, "'class_fraction'"),
        (without("sif"), NarcfError, "'sif'"),
        (unit("temp", "mm"), NarcfError, "temp"),
        (lambda cube: cube.isel(time=[0, 1, 2, 5, 6]), TimeError, "2007-04 to 2007-05 is absent"),
        (lambda cube: cube.assign(biome=cube["biome"] + 0.5), FieldError, "found"),
        (lambda cube: cube.isel(igbp_class=slice(0, 17)), FieldError, "classes 0 to 17"),
        (lambda cube: cube.isel(time=0), FieldError, "time"),
        (lambda cube: cube.drop_vars("lat"), FieldError, "latitudes and longitudes"),
    ],
)
def test_what_cannot_be_predicted(
    fine_cube: xr.Dataset,
    bundle_folder: Path,
    tmp_path: Path,
    change: Change,
    error: type[NarcfError],
    words: str,
) -> None:
    cube = change(fine_cube.drop_vars(["lat_bnds", "lon_bnds"]))
    with pytest.raises(error, match=words):
        predict(cube, Bundle.load(bundle_folder))
    cube.to_netcdf(tmp_path / "cube.nc")
    with pytest.raises(error, match=words):
        predict_file(tmp_path / "cube.nc", tmp_path / "out.zarr", bundle_folder)
    assert not (tmp_path / "out.zarr").exists()


def test_one_step_to_another_grid_is_too_far(
    fine_cube: xr.Dataset, bundle_folder: Path, tmp_path: Path
) -> None:
    fine_cube.drop_vars("sif").to_netcdf(tmp_path / "a.nc")
    for shift, fits in ((1e-9, True), (0.01, False)):
        moved = fine_cube[["sif"]].assign_coords(lon=fine_cube["lon"] + shift)
        moved.drop_vars("lon_bnds", errors="ignore").to_netcdf(tmp_path / "b.nc")
        if fits:
            predict_file(tmp_path / "?.nc", tmp_path / "out.zarr", bundle_folder)
        else:
            with pytest.raises(GridMismatchError, match="expected the lon of"):
                predict_file(tmp_path / "?.nc", tmp_path / "out.zarr", bundle_folder)


def test_no_input_is_overwritten(
    fine_cube: xr.Dataset, bundle_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder.zarr").mkdir()
    path = tmp_path / "folder.zarr" / "cube.nc"
    fine_cube.to_netcdf(path)
    (tmp_path / "link.nc").symlink_to(path)
    before = path.read_bytes()
    for output in (path, tmp_path / "link.nc"):
        with pytest.raises(UsageError, match="found the input"):
            predict_netcdf(str(path), str(output), str(bundle_folder))
    for output in (tmp_path / "folder.zarr", bundle_folder, bundle_folder.parent):
        with pytest.raises(UsageError, match="found the input"):
            predict_file(str(path), str(output), str(bundle_folder))
    assert path.read_bytes() == before
    assert (bundle_folder / "bundle.json").exists()
