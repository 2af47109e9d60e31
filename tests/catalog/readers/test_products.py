"""Each product in its own layout: values, units, sign, months and gaps come out right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
import yaml
from rasterio.transform import from_origin

from narcf_geo.catalog.catalog import Catalog, Entry
from narcf_geo.catalog.readers import derived
from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid import Grid

LATS = {"units": "degrees_north", "standard_name": "latitude"}
LONS = {"units": "degrees_east", "standard_name": "longitude"}


def entry(tmp_path: Path, urlpath: Any, driver: str = "netcdf", **metadata: Any) -> Entry:
    """Return the entry of a catalog of one source."""
    args = {"urlpath": urlpath, **metadata.pop("args", {})}
    source = {
        "description": "a test",
        "driver": driver,
        "args": args,
        "metadata": {"role": "predictor", **metadata},
    }
    path = tmp_path / "data_catalog.yaml"
    path.write_text(yaml.safe_dump({"sources": {"it": source}}))
    return Catalog.open(path)["it"]


def months(ds: xr.Dataset) -> list[str]:
    return pd.DatetimeIndex(ds["time"].values).strftime("%Y-%m-%d").tolist()


def write_narr(folder: Path, name: str, values: np.ndarray, units: str) -> None:
    """Write packed int16 on a corner of the Lambert grid, as NOAA PSL does."""
    ny, nx = values.shape[1:]
    with netCDF4.Dataset(folder / f"{name}.mon.mean.nc", "w") as nc:
        for dim, size in (("time", None), ("y", ny), ("x", nx)):
            nc.createDimension(dim, size)
        time = nc.createVariable("time", "f8", ("time",))
        time.units = "hours since 1800-1-1 00:00:0.0"
        stamps = pd.to_datetime(["2007-12-01", "2008-01-01", "2008-02-01"])
        time[:] = [(s - pd.Timestamp("1800-01-01")) / pd.Timedelta("1h") for s in stamps]
        for axis, size in (("y", ny), ("x", nx)):
            v = nc.createVariable(axis, "f4", (axis,))
            v.standard_name, v.units = f"projection_{axis}_coordinate", "m"
            v[:] = 32463.0 * (100 + np.arange(size))
        mapping = nc.createVariable("Lambert_Conformal", "i4")
        mapping.grid_mapping_name = "lambert_conformal_conic"
        mapping.standard_parallel = [50.0, 50.0]
        mapping.longitude_of_central_meridian = -107.0
        mapping.latitude_of_projection_origin = 50.0
        mapping.false_easting, mapping.false_northing = 5632642.22547, 4612545.65137
        variable = nc.createVariable(name, "i2", ("time", "y", "x"), fill_value=np.int16(32766))
        variable.missing_value = np.int16(32766)
        variable.scale_factor, variable.add_offset = np.float32(0.01), np.float32(187.65)
        variable.units, variable.grid_mapping = units, "Lambert_Conformal"
        # Masked cells still hold what is cast: NaN is no integer.
        variable[:] = np.ma.masked_array(np.nan_to_num(values), np.isnan(values))


def test_narr(tmp_path: Path) -> None:
    base = np.arange(3 * 3 * 4, dtype=float).reshape(3, 3, 4)
    air, rain, moist = 270 + base, 0.1 * base, 40 + base
    air[1, 2, 0] = np.nan
    pressure = 300 + 0 * base
    write_narr(tmp_path, "air", air, "degK")
    write_narr(tmp_path, "apcp", rain, "kg/m^2")
    write_narr(tmp_path, "rhum", moist, "%")
    write_narr(tmp_path, "pres", pressure, "mbar")
    names = {"temp": "air", "precip": "apcp", "rel_hum": "rhum", "pres": "pres"}
    ds = entry(
        tmp_path,
        [f"{n}.mon.mean.nc" for n in names.values()],
        product="narr",
        variables={k: {"name": n} for k, n in names.items()},
    ).read()
    assert months(ds) == ["2007-12-01", "2008-01-01", "2008-02-01"]
    assert ds["time_bnds"].values[1, 1] == np.datetime64("2008-02-01")
    np.testing.assert_allclose(ds["temp"], air - 273.15, atol=0.006)
    assert np.isnan(ds["temp"].values).sum() == 1
    assert ds["temp"].attrs["units"] == "degC"
    np.testing.assert_allclose(ds["precip"], rain, atol=0.006)
    assert ds["precip"].attrs["units"] == "kg m-2 day-1"
    assert ds["temp"].dtype == np.float32
    # Derived: 30 days at the rate of the month before.
    np.testing.assert_allclose(ds["precip_30d"][1:], 30 * ds["precip"][:-1], rtol=1e-6)
    assert ds["precip_30d"][0].isnull().all()
    assert {"vpd", "sp_hum"} <= set(ds)
    assert np.isnan(ds["vpd"].values).sum() == 1
    # On the sphere of 6371200 m; on an ellipsoid the corner lies 17 km off.
    grid = Grid.from_dataset(ds)
    assert grid.shape == (3, 4)
    assert float(np.sqrt(grid.area.mean())) == pytest.approx(32463, rel=0.25)


def test_narr_time_gap_gives_no_rain_of_another_month() -> None:
    time = pd.to_datetime(["2008-01-01", "2008-03-01", "2008-04-01"])
    rain = xr.DataArray([1.0, 2.0, 3.0], dims="time", coords={"time": time})
    found = derived.precipitation_30d(rain)
    np.testing.assert_array_equal(found, [np.nan, np.nan, 60.0])


def write_carbontracker(path: Path, stamp: str, bio: np.ndarray, fire: float, dim: str) -> None:
    """Write a global 30 x 60 degree month; old releases call the time dimension ``date``."""
    lat, lon = np.arange(-75, 90, 30.0), np.arange(-150, 180, 60.0)
    dims = (dim, "latitude", "longitude")
    attrs = {"units": "mol m-2 s-1"}
    ds = xr.Dataset(
        {
            "bio_flux_opt": (dims, bio[None], attrs),
            "fire_flux_imp": (dims, np.full((1, 6, 6), fire), attrs),
            "decimal_time": ((dim,), [2001.04]),
        },
        coords={
            dim: [pd.Timestamp(stamp)],
            "latitude": ("latitude", lat, {"units": "degrees_north"}),
            "longitude": ("longitude", lon, {"units": "degrees_east"}),
        },
    )
    ds.to_netcdf(path)


@pytest.mark.parametrize("dim", ["time", "date"])
def test_carbontracker(tmp_path: Path, dim: str) -> None:
    bio = (np.arange(36.0).reshape(6, 6) - 30) * 1e-8
    write_carbontracker(tmp_path / "CT2022.flux1x1.200102.nc", "2001-02-15", -bio, 4e-8, dim)
    write_carbontracker(tmp_path / "CT2022.flux1x1.200101.nc", "2001-01-15", bio, 2e-8, dim)
    variables = {"bio_flux": {"name": "bio_flux_opt"}, "fire_flux": {"name": "fire_flux_imp"}}
    kwargs = {"product": "carbontracker", "variables": variables}
    ds = entry(tmp_path, "CT2022.flux1x1.*.nc", **kwargs).read()
    assert months(ds) == ["2001-01-01", "2001-02-01"]
    assert ds["flux"].attrs["units"] == "umol m-2 s-1"
    np.testing.assert_allclose(ds["flux"][0], bio * 1e6 + 0.02, atol=1e-6)
    np.testing.assert_allclose(ds["flux"][1], -bio * 1e6 + 0.04, atol=1e-6)
    assert ds["flux"].attrs["sign"].startswith("positive: to the atmosphere")
    uptake = entry(tmp_path, "CT2022.flux1x1.*.nc", sign="uptake", **kwargs).read()
    np.testing.assert_allclose(uptake["flux"], -ds["flux"], atol=1e-9)
    one = entry(
        tmp_path,
        "CT2022.flux1x1.200101.nc",
        product="carbontracker",
        variables={"flux": {"name": "bio_flux_opt"}},
    ).read()
    np.testing.assert_allclose(one["flux"][0], bio * 1e6, atol=1e-6)


@pytest.mark.parametrize("units", ["gC m-2 d-1", "g C m-2 day-1", "g m-2 d-1"])
def test_fluxcom_north_to_south(tmp_path: Path, units: str) -> None:
    lat, lon = np.array([60.25, 59.75, 59.25]), np.array([-100.25, -99.75])
    values = np.arange(12 * 6, dtype=float).reshape(12, 3, 2) / 10 - 2
    values[3, 1, 1] = np.nan
    for year in (2008, 2007):
        xr.Dataset(
            {"NEE": (("time", "lat", "lon"), values + year - 2007, {"units": units})},
            coords={
                "time": pd.date_range(f"{year}-01-15", periods=12, freq="MS"),
                "lat": ("lat", lat, LATS),
                "lon": ("lon", lon, LONS),
            },
        ).to_netcdf(
            tmp_path / f"NEE_{year}_050_monthly.nc", encoding={"NEE": {"_FillValue": -9999}}
        )
    ds = entry(
        tmp_path,
        "NEE_{year}_050_monthly.nc",
        product="fluxcom",
        variables={"flux": {"name": "NEE"}},
    ).read()
    assert ds.sizes["time"] == 24
    grams = 12.011e-6 * 86400
    point = ds["flux"].sel(lat=60.25, lon=-99.75)
    np.testing.assert_allclose(point[:12], values[:, 0, 1] / grams, rtol=1e-6)
    np.testing.assert_allclose(point[12:], (values[:, 0, 1] + 1) / grams, rtol=1e-6)
    assert np.isnan(ds["flux"].values).sum() == 2


def test_gome2_takes_the_month_from_the_name(tmp_path: Path) -> None:
    stem = "ret_f_nr5_nsvd12_v26_waves734_nolog.grid_SIF_v27_"
    for month, last in ((2, 28), (1, 31)):
        xr.Dataset(
            {
                "SIF_daily_average": (
                    ("latitude", "longitude"),
                    np.full((2, 3), month / 10, "float32") + np.arange(3, dtype="float32"),
                    {"units": "mW/m^2/nm/sr"},
                )
            },
            coords={"latitude": [40.25, 40.75], "longitude": [-100.25, -99.75, -99.25]},
        ).to_netcdf(tmp_path / f"{stem}2007{month:02d}01_{last}.nc")
    kwargs = {"product": "gome2_sif", "variables": {"sif": {"name": "SIF_daily_average"}}}
    ds = entry(tmp_path, f"{stem}*.nc", **kwargs).read()
    assert months(ds) == ["2007-01-01", "2007-02-01"]
    np.testing.assert_allclose(ds["sif"][:, 0, 1], [1.1, 1.2], rtol=1e-6)
    (tmp_path / f"{stem}20070101_31.nc").rename(tmp_path / "sif.nc")
    with pytest.raises(NarcfError, match="YYYYMM01_DD"):
        entry(tmp_path, "sif.nc", **kwargs).read()


def write_geoinv(folder: Path, lon: list[float], lat: list[float], points: int) -> np.ndarray:
    values = np.arange(2 * points, dtype=float).reshape(2, points) - 1.5
    attrs = {"units": "umol m-2 s-1"}
    xr.Dataset(
        {
            "monthly_flux": (("time", "x"), values, attrs),
            "se_monthly_flux": (("time", "x"), values * 0 + 0.3, attrs),
            "time_bnds": (("time", "nv"), np.zeros((2, 2))),
        },
        coords={"time": pd.to_datetime(["2007-01-01", "2007-02-01"])},
    ).to_netcdf(folder / "geoinv.nc")
    xr.Dataset({"lon": ("x", lon), "lat": ("x", lat)}).to_netcdf(folder / "points.nc")
    return values


GEOINV = {
    "product": "geoinv",
    "companion": "points.nc",
    "variables": {"flux": {"name": "monthly_flux"}, "flux_std": {"name": "se_monthly_flux"}},
}


def test_geoinv_is_scattered_by_its_coordinates(tmp_path: Path) -> None:
    lon, lat = [-98.5, -100.5, -99.5, -98.5], [40.5, 41.5, 40.5, 43.5]
    values = write_geoinv(tmp_path, lon, lat, 4)
    ds = entry(tmp_path, "geoinv.nc", **GEOINV).read()
    assert ds["flux"].sizes == {"time": 2, "lat": 4, "lon": 3}
    for k in range(4):
        np.testing.assert_allclose(ds["flux"].sel(lat=lat[k], lon=lon[k]), values[:, k])
    assert np.isfinite(ds["flux"].values).sum() == 8
    assert np.isfinite(ds["flux_std"].values).sum() == 8
    assert Grid.from_dataset(ds).shape == (4, 3)


def test_geoinv_that_does_not_fit(tmp_path: Path) -> None:
    write_geoinv(tmp_path, [-98.5, -100.5], [40.5, 41.5], 3)
    with pytest.raises(NarcfError, match=r"points\.nc: expected 3 points.*found 2"):
        entry(tmp_path, "geoinv.nc", **GEOINV).read()
    without = {k: v for k, v in GEOINV.items() if k != "companion"}
    with pytest.raises(NarcfError, match="companion:"):
        entry(tmp_path, "geoinv.nc", **without).read()
    write_geoinv(tmp_path, [-98.5, -98.9, -97.5], [40.5, 41.5, 41.5], 3)
    with pytest.raises(NarcfError, match=r"points\.nc.*1 degree"):
        entry(tmp_path, "geoinv.nc", **GEOINV).read()


def write_classes(path: Path, classes: np.ndarray) -> None:
    with rasterio.open(
        path, "w", driver="GTiff", height=classes.shape[0], width=classes.shape[1], count=1,
        dtype="uint8", nodata=255, crs="EPSG:4008", transform=from_origin(-100, 50, 0.5, 0.5),
    ) as raster:  # fmt: skip
        raster.write(classes.astype("uint8"), 1)


def test_mcd12c1_geotiff(tmp_path: Path) -> None:
    classes = np.array([[0, 1, 12, 255], [16, 5, 10, 0], [0, 0, 3, 7]])
    write_classes(tmp_path / "igbp.tif", classes)
    ds = entry(
        tmp_path,
        "igbp.tif",
        "rasterio",
        product="landcover",
        legend="igbp_water0",
        role="landcover",
    ).read()
    np.testing.assert_array_equal(ds["land_cover"], np.where(classes == 255, -1, classes))
    np.testing.assert_allclose(ds["lat"], [49.75, 49.25, 48.75])
    assert float(ds["lon"][0]) == -99.75
    assert Grid.from_dataset(ds).is_rectilinear


def test_land_cover_with_water_as_17(tmp_path: Path) -> None:
    classes = np.array([[17, 1, 0], [16, 17, 5]], "int8")
    xr.Dataset(
        {"igbp": (("lat", "lon"), classes)},
        coords={"lat": ("lat", [10.0, 11.0], LATS), "lon": ("lon", [1.0, 2.0, 3.0], LONS)},
    ).to_netcdf(tmp_path / "lc.nc")
    kwargs: dict = {
        "product": "landcover", "role": "landcover", "variables": {"land_cover": {"name": "igbp"}},
    }  # fmt: skip
    ds = entry(tmp_path, "lc.nc", legend="igbp_water17", **kwargs).read()
    np.testing.assert_array_equal(ds["land_cover"], [[0, 1, 17], [16, 0, 5]])
    with pytest.raises(NarcfError, match="legend"):
        entry(tmp_path, "lc.nc", **kwargs).read()


def write_climatology(path: Path, units: str, time: Any, n: int = 12) -> None:
    values = np.arange(n * 4, dtype=float).reshape(n, 2, 2)
    xr.Dataset(
        {"precip": (("time", "lat", "lon"), values, {"units": "mm/day"})},
        coords={
            "time": ("time", time, {"units": units}),
            "lat": ("lat", [40.0, 42.0], LATS),
            "lon": ("lon", [-100.0, -98.0], LONS),
        },
    ).to_netcdf(path)


@pytest.mark.parametrize(
    ("units", "time"),
    [
        ("days since 0001-01-01 00:00:0.0", np.arange(12) * 30.4 + 1),
        ("months of the year", np.arange(12.0)),
        ("hours since 1800-01-01 00:00:0.0", np.arange(12) * 730.0 - 15769752),
    ],
)
def test_a_climatology_whatever_its_times(tmp_path: Path, units: str, time: np.ndarray) -> None:
    write_climatology(tmp_path / "ltm.nc", units, time)
    ds = entry(tmp_path, "ltm.nc", climatology=True, variables={"precip": {}}).read()
    assert ds["time"].values.tolist() == list(range(1, 13))
    assert float(ds["precip"].sel(time=7)[1, 0]) == 26
    fixed = {
        "precip_jul": {"name": "precip", "month": 7},
        "precip_jan": {"name": "precip", "month": 1},
    }
    ds = entry(tmp_path, "ltm.nc", climatology=True, variables=fixed).read()
    assert ds["precip_jul"].dims == ("lat", "lon")
    np.testing.assert_array_equal(ds["precip_jul"] - ds["precip_jan"], 24)


def test_a_climatology_has_twelve_months(tmp_path: Path) -> None:
    write_climatology(tmp_path / "ltm.nc", "days since 2001-01-01", np.arange(11) * 30.4, 11)
    with pytest.raises(NarcfError, match=r"12 months, found 11"):
        entry(tmp_path, "ltm.nc", climatology=True, variables={"precip": {}}).read()


def test_year_one_unsaid_is_refused(tmp_path: Path) -> None:
    write_climatology(tmp_path / "ltm.nc", "days since 0001-01-01", np.arange(12) * 30.4 + 1)
    with pytest.raises(NarcfError, match="climatology: true"):
        entry(tmp_path, "ltm.nc", variables={"precip": {}}).read()


def test_noleap_calendar(tmp_path: Path) -> None:
    time = xr.date_range("2007-12-01", periods=4, freq="MS", calendar="noleap", use_cftime=True)
    xr.Dataset(
        {"tas": (("time", "lat", "lon"), np.arange(8.0).reshape(4, 2, 1) + 273.15, {"units": "K"})},
        coords={"time": time, "lat": ("lat", [40.0, 42.0], LATS), "lon": ("lon", [260.0], LONS)},
    ).to_netcdf(tmp_path / "gcm.nc")
    ds = entry(tmp_path, "gcm.nc", variables={"temp": {"name": "tas"}}).read()
    assert months(ds) == ["2007-12-01", "2008-01-01", "2008-02-01", "2008-03-01"]
    assert ds["time"].dtype == "datetime64[ns]"
    np.testing.assert_allclose(ds["temp"].values.ravel(), np.arange(8.0), atol=1e-4)


def test_a_table_with_its_month_from_the_catalog(tmp_path: Path) -> None:
    lines = ["longitude,latitude,bio,nothing"]
    lines += [f"{x},{y},{(x + y) * 1e-8},0" for x in (-99.5, -98.5, -97.5) for y in (41.5, 40.5)]
    lines.remove(next(line for line in lines if line.startswith("-98.5,41.5")))
    (tmp_path / "ct.csv").write_text("\n".join(lines))
    ds = entry(
        tmp_path,
        "ct.csv",
        "csv",
        time="2001-01",
        variables={"flux": {"name": "bio", "units": "mol m-2 s-1", "scale": 2.0}},
    ).read()
    assert months(ds) == ["2001-01-01"]
    assert ds["flux"].sel(lat=40.5, lon=-97.5).item() == pytest.approx(-57 * 0.02, rel=1e-6)
    assert np.isnan(ds["flux"].sel(lat=41.5, lon=-98.5).item())
    (tmp_path / "ct.csv").write_text("a,b\n1,2\n")
    with pytest.raises(NarcfError, match=r"columns of longitude .* found a, b"):
        entry(tmp_path, "ct.csv", "csv", variables={"flux": {"name": "b"}}).read()


def test_a_level_left_unselected_is_named(tmp_path: Path) -> None:
    xr.Dataset(
        {"swl": (("lev", "lat", "lon"), np.arange(12.0).reshape(3, 2, 2), {"units": "kg m-2"})},
        coords={"lev": [1.0, 2.0, 3.0], "lat": ("lat", [1.0, 2.0], LATS),
                "lon": ("lon", [5.0, 6.0], LONS)},
    ).to_netcdf(tmp_path / "soil.nc")  # fmt: skip
    with pytest.raises(NarcfError, match=r"soil\.nc.*lev.*select"):
        entry(tmp_path, "soil.nc", variables={"soil_moisture": {"name": "swl"}}).read()
    chosen = {"soil_moisture": {"name": "swl", "select": {"lev": 2.0}}}
    ds = entry(tmp_path, "soil.nc", variables=chosen).read()
    np.testing.assert_array_equal(ds["soil_moisture"], [[4, 5], [6, 7]])
    with pytest.raises(NarcfError, match=r"select.*9"):
        entry(tmp_path, "soil.nc", variables={"a": {"name": "swl", "select": {"lev": 9.0}}}).read()


def test_an_unknown_product(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'era6'.*generic"):
        entry(tmp_path, "a.nc", product="era6").read()


def test_reading_is_lazy(tmp_path: Path) -> None:
    write_climatology(tmp_path / "a.nc", "days since 2001-01-01", np.arange(12) * 30.4)
    ds = entry(tmp_path, "a.nc", climatology=True, variables={"precip": {}}).read()
    assert ds["precip"].chunks is not None


def test_derived_by_hand() -> None:
    temp, rel_hum, pres = (xr.DataArray([v]) for v in (20.0, 60.0, 1000.0))
    # Tables give 23.37 hPa over water at 20 degC, 12.27 at 10 and 2.86 (supercooled) at -10.
    assert float(derived.saturation_vapour_pressure(temp)[0]) == pytest.approx(23.37, abs=0.05)
    assert float(derived.saturation_vapour_pressure(temp - 30)[0]) == pytest.approx(2.863, abs=0.01)
    assert float(derived.vapour_pressure_deficit(temp, rel_hum)[0]) == pytest.approx(9.35, abs=0.03)
    vapour = 0.6 * 23.37
    expected = 0.622 * vapour / (1000 - 0.378 * vapour)
    assert float(derived.specific_humidity(temp, rel_hum, pres)[0]) == pytest.approx(
        expected, rel=2e-3
    )
    assert expected == pytest.approx(0.00877, abs=1e-5)
    assert float(derived.vapour_pressure_deficit(temp, rel_hum * 2)[0]) == 0
