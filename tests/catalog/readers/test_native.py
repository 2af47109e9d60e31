"""Several files as one: each in its own unit, dated by its name, or refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin

from narcf_geo.core.errors import NarcfError, TimeError, UnitError

LAT, LON = [45.5, 44.5, 43.5], [-99.5, -98.5]


def write(path: Path, value: float, stamp: str, units: str | None, name: str = "air") -> None:
    values = np.full((1, 3, 2), value) + np.arange(6.0).reshape(3, 2)
    attrs = {} if units is None else {"units": units}
    coords = {"time": pd.to_datetime([stamp]), "lat": LAT, "lon": LON}
    ds = xr.Dataset({name: (("time", "lat", "lon"), values, attrs)}, coords)
    ds["lat"].attrs["units"], ds["lon"].attrs["units"] = "degrees_north", "degrees_east"
    ds.to_netcdf(path)


def test_each_file_is_read_in_its_own_unit(tmp_path: Path, entry: Callable) -> None:
    write(tmp_path / "a.nc", 283.15, "2001-01-16", "K")
    write(tmp_path / "b.nc", 11.0, "2001-02-16", "degC")
    write(tmp_path / "c.nc", 53.6, "2001-03-16", "degF")
    found = entry("*.nc", variables={"temp": {"name": "air"}}).read()["temp"]
    corner = found.sel(lat=45.5, lon=-99.5)
    np.testing.assert_allclose(corner, [10.0, 11.0, 12.0], atol=1e-4)
    assert found.attrs["units"] == "degC"


def test_a_file_without_the_unit_of_the_others_is_named(tmp_path: Path, entry: Callable) -> None:
    write(tmp_path / "a.nc", 283.15, "2001-01-16", "K")
    write(tmp_path / "b.nc", 11.0, "2001-02-16", None)
    with pytest.raises(
        UnitError, match=r"b\.nc: variable .air.: expected the unit of the other files, K"
    ):
        entry("*.nc", variables={"temp": {"name": "air"}}).read()
    write(tmp_path / "b.nc", 11.0, "2001-02-16", "hPa")
    with pytest.raises(UnitError, match=r"b\.nc: variable 'air': unit 'hPa' does not convert"):
        entry("*.nc", variables={"temp": {"name": "air"}}).read()
    # One unit stated for all is not compared with those in the files.
    stated = entry("*.nc", variables={"temp": {"name": "air", "units": "K"}}).read()["temp"]
    assert float(stated.isel(time=1).max()) < -200


def raster(path: Path, value: float) -> None:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=3,
        width=2,
        count=1,
        dtype="float32",
        crs="EPSG:4326",
        transform=from_origin(-100, 46, 1, 1),
    ) as file:
        file.write(np.full((3, 2), value, "float32"), 1)


def test_the_name_of_a_file_tells_its_month(tmp_path: Path, entry: Callable) -> None:
    for year, month in ((2000, 12), (2001, 1), (2001, 2)):
        raster(tmp_path / f"rain-v2.0.{year}.{month:02d}.tif", 10.0 * month)
    said = {"precip": {"name": "band_data", "units": "mm/month"}}
    found = entry("rain-v2.0.{year}.{month}.tif", "rasterio", variables=said).read()["precip"]
    assert found["time"].dt.strftime("%Y-%m").values.tolist() == ["2000-12", "2001-01", "2001-02"]
    means = found.mean(("lat", "lon")).values
    np.testing.assert_allclose(means, [120 / 31, 10 / 31, 20 / 28], rtol=1e-6)
    # A pattern without fields tells nothing: the files are of no month.
    with pytest.raises(NarcfError):
        entry("rain-v2.0.*.tif", "rasterio", variables=said).read()


def test_a_file_of_one_date_is_an_axis_of_one(tmp_path: Path, entry: Callable) -> None:
    write(tmp_path / "a.nc", 280.0, "2001-07-16", "K")
    with xr.open_dataset(tmp_path / "a.nc") as ds:
        ds.isel(time=0).to_netcdf(tmp_path / "scalar.nc")
    found = entry("scalar.nc", variables={"temp": {"name": "air"}}).read()["temp"]
    assert found["time"].dt.strftime("%Y-%m").values.tolist() == ["2001-07"]
    assert found.dims == ("time", "lat", "lon")


def test_a_climatology_keeps_the_months_of_its_dates(tmp_path: Path, entry: Callable) -> None:
    stamps = pd.to_datetime(
        [f"2001-{m}-16" for m in (10, 11, 12)] + [f"2002-{m}-16" for m in range(1, 10)]
    )
    values = stamps.month.values[:, None, None] / 20 + np.zeros((12, 3, 2))
    coords = {"time": stamps, "lat": LAT, "lon": LON}
    ds = xr.Dataset({"ndvi": (("time", "lat", "lon"), values, {"units": "1"})}, coords)
    ds.to_netcdf(tmp_path / "clim.nc")
    found = entry("clim.nc", climatology=True, variables={"ndvi": {}}).read()["ndvi"]
    assert found["time"].values.tolist() == list(range(1, 13))
    np.testing.assert_allclose(found[:, 0, 0], np.arange(1, 13) / 20, rtol=1e-6)
    twice = ds.assign_coords(time=[*stamps[:11], stamps[0]])
    twice.to_netcdf(tmp_path / "twice.nc")
    with pytest.raises(TimeError, match="each calendar month once"):
        entry("twice.nc", climatology=True, variables={"ndvi": {}}).read()


def test_a_stated_crs_places_x_and_y(tmp_path: Path, entry: Callable) -> None:
    from pyproj import Transformer

    from narcf_geo.grid import Grid

    x, y = -1.2e6 + 5e4 * np.arange(4), 2.1e6 - 5e4 * np.arange(3)
    values = np.arange(12.0).reshape(3, 4)
    xr.Dataset({"air": (("y", "x"), values, {"units": "K"})}, {"y": y, "x": x}).to_netcdf(
        tmp_path / "albers.nc"
    )
    said = {"temp": {"name": "air"}}
    grid = Grid.from_dataset(entry("albers.nc", variables=said, crs="EPSG:5070").read())
    lon, lat = Transformer.from_crs(5070, 4269, always_xy=True).transform(x[1], y[2])
    assert float(grid.lon[2, 1]) == pytest.approx(lon, abs=1e-6)
    assert float(grid.lat[2, 1]) == pytest.approx(lat, abs=1e-6)
    # The control: without a CRS nothing says where the cells are.
    with pytest.raises(NarcfError, match="expected latitude and longitude"):
        Grid.from_dataset(entry("albers.nc", variables=said).read())
    with pytest.raises(NarcfError, match=r"yaml:\d+: source 'it': expected a CRS such as"):
        entry("albers.nc", variables=said, crs="EPSG:nowhere").read()


DOWN = (
    "surface_net_downward_mass_flux_of_carbon_dioxide_expressed_as_carbon_due_to_all_land_processes"
)


@pytest.mark.parametrize(
    ("variable", "standard", "stated", "factor"),
    [
        ("nee", None, None, 1),
        ("flux", DOWN, None, -1),
        ("NBP", None, None, -1),
        ("nep", DOWN.replace("down", "up"), None, 1),
        ("flux", DOWN, "to_atmosphere", 1),
        ("nbp", None, "to_atmosphere", 1),
        ("nee", None, "uptake", -1),
    ],
)
def test_the_sign_of_an_entry_goes_before_that_of_its_file(
    tmp_path: Path, entry: Callable, variable: str, standard: str | None, stated: str, factor: int
) -> None:
    write(tmp_path / "a.nc", 1.0, "2001-01-16", "umol m-2 s-1", variable)
    with xr.open_dataset(tmp_path / "a.nc") as ds:
        raw = ds.load()
    if standard:
        raw[variable].attrs["standard_name"] = standard
        raw.to_netcdf(tmp_path / "a.nc")
    said = {"variables": {"flux": {"name": variable}}, **({"sign": stated} if stated else {})}
    found = entry("a.nc", role="target", **said).read()["flux"].isel(time=0)
    np.testing.assert_array_equal(found.sel(lat=LAT), factor * raw[variable][0].values)
