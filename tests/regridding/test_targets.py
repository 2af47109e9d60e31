"""What may stand for a target, and sources that are laid out otherwise."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import narcf_geo as ng
from narcf_geo.core.errors import FieldError, MissingFileError, NarcfError, UsageError
from narcf_geo.grid import Grid
from narcf_geo.regridding import regrid
from narcf_geo.regridding.target import target_grid

SOURCE = Grid.regular(-101, 41, -89, 49, 1)
COARSE = Grid.regular(-102, 40, -88, 50, (2, 5))


def field() -> xr.DataArray:
    """Values that differ in every cell and month."""
    values = np.random.default_rng(7).normal(-2, 3, (2, *SOURCE.shape))
    values[0, 2:4, 5] = np.nan
    coords = {"time": [1.0, 2.0], "lat": SOURCE.lat, "lon": SOURCE.lon}
    return xr.DataArray(values, coords, ("time", "lat", "lon"), name="nee")


EXPECTED = regrid(field(), COARSE)


def test_a_dataset_an_array_or_a_file_is_a_target(tmp_path: Path) -> None:
    like = xr.Dataset({"x": (COARSE.dims, np.zeros(COARSE.shape))}, coords=COARSE.coords())
    like.to_netcdf(tmp_path / "like.nc")
    for target in (like, like["x"], tmp_path / "like.nc", str(tmp_path / "like.nc")):
        xr.testing.assert_identical(regrid(field(), target), EXPECTED)
    other = regrid(field(), like.isel(lat=slice(None, None, -1)))
    assert not np.array_equal(other.values, EXPECTED.values, equal_nan=True)
    np.testing.assert_array_equal(other.values[:, ::-1], EXPECTED.values)
    with pytest.raises(MissingFileError, match=r"none\.nc: no such file"):
        regrid(field(), tmp_path / "none.nc")


@pytest.mark.parametrize("resolution", [(2, 5), [2.0, 5.0], np.array([2, 5])])
def test_a_resolution_covers_the_source(resolution: object) -> None:
    assert target_grid(resolution, SOURCE) == COARSE  # type: ignore[arg-type]
    assert target_grid(5, SOURCE) == Grid.regular(-105, 40, -85, 50, 5)
    assert target_grid(5, SOURCE, (-100, 40, -90, 45)) == Grid.regular(-100, 40, -90, 45, 5)
    xr.testing.assert_identical(regrid(field(), resolution), EXPECTED)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [0, -1, np.nan, (1, -1), (1, 2, 3), None, {"lat": 1}, object()])
def test_what_is_no_target(wrong: object) -> None:
    with pytest.raises(UsageError, match="expected a"):
        regrid(field(), wrong)  # type: ignore[arg-type]


def test_bounds_stand_beside_a_resolution_only() -> None:
    with pytest.raises(UsageError, match="beside a whole grid"):
        target_grid(COARSE, SOURCE, (-100, 40, -90, 45))


def turned(ds: xr.DataArray) -> xr.DataArray:
    """The same cells on longitudes of 0 to 360."""
    return ds.assign_coords(lon=ds["lon"] + 360)


@pytest.mark.parametrize(
    "change",
    [
        lambda da: da.rename(lat="latitude", lon="longitude"),
        lambda da: da.transpose("lon", "time", "lat"),
        lambda da: da.isel(lat=slice(None, None, -1)),
        lambda da: da.isel(lon=slice(None, None, -1)),
        turned,
        lambda da: da.chunk(time=1, lat=3, lon=5),
        lambda da: turned(da).rename(lat="nav_lat", lon="nav_lon").transpose(..., "time")[::-1],
    ],
)
def test_a_source_may_be_laid_out_otherwise(change: object) -> None:
    found = regrid(change(field()), COARSE)  # type: ignore[operator]
    assert found.dims[-2:] == ("lat", "lon")
    np.testing.assert_allclose(found.transpose("time", ...).values, EXPECTED.values, rtol=1e-12)


def test_rows_of_another_order_give_other_values() -> None:
    """The control of the test above: values moved without their labels."""
    wrong = field().copy(data=field().values[:, ::-1])
    assert abs(regrid(wrong, COARSE) - EXPECTED).max() > 0.1


def in_radians(ds: xr.DataArray, *names: str) -> xr.DataArray:
    """The same cells, the positions along some axes in radians."""
    standard = {"lat": "latitude", "lon": "longitude"}
    for name in names:
        attrs = {"units": "radian", "standard_name": standard[name]}
        ds = ds.assign_coords({name: (name, np.radians(ds[name].values), attrs)})
    return ds


@pytest.mark.parametrize("names", [("lat",), ("lon",), ("lat", "lon")])
def test_radians_are_degrees(names: tuple[str, ...]) -> None:
    found = regrid(in_radians(field(), *names), COARSE)
    np.testing.assert_allclose(found.values, EXPECTED.values, rtol=1e-9)
    plain = in_radians(field(), *names)
    for name in names:
        plain[name].attrs["units"] = "degrees"
    with pytest.raises(NarcfError, match="that the source touches"):
        regrid(plain, COARSE)


def test_bounds_are_in_the_unit_of_their_axis() -> None:
    edges = np.radians(np.stack([SOURCE.lat_b[:-1], SOURCE.lat_b[1:]], 1))
    ds = in_radians(field(), "lat").to_dataset().assign(lat_edges=(("lat", "two"), edges))
    ds["lat"].attrs["bounds"] = "lat_edges"
    assert Grid.from_dataset(ds).matches(SOURCE)
    uneven = ds.assign(lat_edges=ds["lat_edges"] + 0.002)
    assert not Grid.from_dataset(uneven).matches(SOURCE)


@pytest.mark.parametrize("unit", ["m", "hours", "parsnips"])
def test_a_latitude_in_no_angle_is_refused(unit: str) -> None:
    attrs = {"units": unit, "standard_name": "latitude"}
    with pytest.raises(FieldError, match=f"degrees or radians as the unit of 'lat', found '{unit}"):
        regrid(field().assign_coords(lat=("lat", SOURCE.lat, attrs)), COARSE)


@pytest.mark.parametrize("kind", ["f4", "i2"])
def test_values_outside_the_valid_range_are_missing(kind: str) -> None:
    values = np.full(SOURCE.shape, 5, kind)
    values[3:5, :] = 120
    attrs = {"valid_min": np.array(0, kind), "valid_max": np.array(100, kind), "units": "K"}
    ds = xr.Dataset({"f": (SOURCE.dims, values, attrs)}, coords=SOURCE.coords())
    found = regrid(ds, COARSE, min_coverage=0)["f"]
    assert np.unique(found.values[np.isfinite(found.values)]).tolist() == [5]
    assert not [key for key in found.attrs if key.startswith("valid_")]
    ds["f"].attrs = {"units": "K"}
    assert regrid(ds, COARSE, min_coverage=0)["f"].max() > 30


def test_regrid_stays_a_function_and_xesmf_imports() -> None:
    code = (
        "import importlib, pkgutil, sys, narcf_geo as ng, narcf_geo.regridding as r\n"
        "for m in pkgutil.walk_packages(r.__path__, r.__name__ + '.'):\n"
        "    importlib.import_module(m.name)\n"
        "assert callable(ng.regrid) and ng.regrid is r.regrid\n"
        "import esmpy, ESMF\n"
        "assert esmpy is sys.modules['narcf_geo.esmpy'] or 'narcf' not in esmpy.__version__\n"
        "import xesmf\n"
        "print(callable(xesmf.Regridder))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "True", ran.stderr[-500:]
    for module in pkgutil.walk_packages(ng.regridding.__path__, "narcf_geo.regridding."):
        importlib.import_module(module.name)
    assert ng.regrid is regrid
