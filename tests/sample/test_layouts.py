"""The files look like the products they stand for."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pyproj
import pytest
import xarray as xr

NARR = {
    "air.2m.mon.mean.nc": ("air", "K"),
    "rhum.2m.mon.mean.nc": ("rhum", "%"),
    "apcp.mon.mean.nc": ("apcp", "kg/m^2"),
    "dswrf.mon.mean.nc": ("dswrf", "W/m^2"),
    "soilm.mon.mean.nc": ("soilm", "kg/m^2"),
    "pres.sfc.mon.mean.nc": ("pres", "Pa"),
}
MONTHS = [f"{year}-{month:02d}" for year in range(2007, 2016) for month in range(1, 13)]


def months_of(ds: xr.Dataset) -> list[str]:
    return ds.indexes["time"].strftime("%Y-%m").tolist()


def test_there_is_nothing_but_the_products(sample: Path) -> None:
    found = sorted(p.relative_to(sample).as_posix() for p in sample.rglob("*") if p.is_file())
    sif = "sif/ret_f_nr5_nsvd12_v26_waves734_nolog.grid_SIF_v27_{}01_31.nc"
    fluxcom = "fluxcom/NEE.RS_METEO.FP-NONE.MLM-ALL.METEO-ERA5.720_360.monthly.{}.nc"
    assert found == sorted(
        [
            *(f"narr/{name}" for name in NARR),
            *(sif.format(month.replace("-", "")) for month in MONTHS),
            *(fluxcom.format(year) for year in range(2007, 2016)),
            "vegetation/ndvi_nirv_0p5deg_2007-2015.nc",
            "inversion/geoinv-sif-monthly-2007-to-2015.nc",
            "inversion/geoinv_coordinates.nc",
            "truth/truth_flux_1deg_2007-2015.nc",
        ]
    )
    assert sum(p.stat().st_size for p in sample.rglob("*.nc")) < 60e6


def test_every_file_says_that_it_is_synthetic(sample: Path) -> None:
    for path in sample.rglob("*.nc"):
        with netCDF4.Dataset(path) as file:
            assert file.synthetic == "twin experiment", path
            for name in ("title", "comment", "source"):
                text = getattr(file, name).lower()
                assert "synthetic twin experiment" in text, f"{path}: {name}"
            assert "only the land cover" in file.comment.lower()


@pytest.mark.parametrize("name", NARR)
def test_narr(sample: Path, name: str) -> None:
    variable, units = NARR[name]
    with netCDF4.Dataset(sample / "narr" / name) as file:
        assert file[variable].dimensions == ("time", "y", "x")
        assert file[variable].shape == (109, 93, 117)
        assert file[variable].units == units
        assert file[variable].grid_mapping == "Lambert_Conformal"
        assert file["time"].units.startswith("hours since 1800-1-1")
        mapping = file["Lambert_Conformal"]
        assert mapping.grid_mapping_name == "lambert_conformal_conic"
        assert "earth_radius" not in mapping.ncattrs()
        assert "semi_major_axis" not in mapping.ncattrs()
        assert mapping.false_easting == 5632642.22547
        assert mapping.false_northing == 4612545.65137
    with xr.open_dataset(sample / "narr" / name) as ds:
        assert months_of(ds) == ["2006-12", *MONTHS]
        assert np.isfinite(ds[variable].values).all()


def test_narr_corners_are_those_of_grid_221(sample: Path) -> None:
    corners = {(0, 0): (1.0, -145.5), (0, -1): (0.897, -68.318)}
    corners |= {(-1, -1): (46.352, -2.566), (-1, 0): (46.635, 148.639)}
    with xr.open_dataset(sample / "narr" / "air.2m.mon.mean.nc") as ds:
        assert np.diff(ds.x.values) == pytest.approx(97389.0)
        for (row, column), (lat, lon) in corners.items():
            assert float(ds.lat[row, column]) == pytest.approx(lat, abs=0.003)
            assert float(ds.lon[row, column]) == pytest.approx(lon, abs=0.003)
        sphere = pyproj.Proj("+proj=lcc +lat_1=50 +lat_2=50 +lat_0=50 +lon_0=-107 +R=6371200")
        x, y = sphere(float(ds.lon[40, 70]), float(ds.lat[40, 70]))
        assert x + 5632642.22547 == pytest.approx(float(ds.x[70]), abs=5)
        assert y + 4612545.65137 == pytest.approx(float(ds.y[40]), abs=5)


def test_vegetation(sample: Path) -> None:
    with xr.open_dataset(sample / "vegetation" / "ndvi_nirv_0p5deg_2007-2015.nc") as ds:
        assert months_of(ds) == MONTHS
        assert ds.ndvi.dims == ds.nirv.dims == ("time", "lat", "lon")
        assert ds.ndvi.attrs["units"] == ds.nirv.attrs["units"] == "1"
        np.testing.assert_allclose(ds.lat_bnds[[0, -1]], [[10, 10.5], [69.5, 70]])
        np.testing.assert_allclose(ds.lon_bnds[[0, -1]], [[-170, -169.5], [-50.5, -50]])
        sea = ds.ndvi.sel(lat=35.25, lon=-60.25)
        assert sea.isnull().all()


def test_sif(sample: Path) -> None:
    path = next((sample / "sif").glob("*_20100701_31.nc"))
    with netCDF4.Dataset(path) as file:
        sif = file["SIF_daily_average"]
        assert sif.dimensions == ("latitude", "longitude")
        assert sif.shape == (360, 720)
        assert sif.units == "mW/m^2/nm/sr"
        assert sif._FillValue == -999
        outside = sif[:].mask.copy()
        outside[200:320, 20:260] = True
        assert outside.all(), "nothing outside the box 170W-50W, 10N-70N"
        assert 0.2 < (~sif[200:320, 20:260].mask).mean() < 0.6


def test_inversion_is_a_vector_of_land_cells(sample: Path) -> None:
    folder = sample / "inversion"
    with (
        xr.open_dataset(folder / "geoinv-sif-monthly-2007-to-2015.nc") as flux,
        xr.open_dataset(folder / "geoinv_coordinates.nc") as cells,
    ):
        assert months_of(flux) == MONTHS
        for name in ("monthly_flux", "se_monthly_flux"):
            assert flux[name].dims == ("time", "x")
            assert flux[name].attrs["units"] == "umol m-2 s-1"
            assert flux[name].notnull().all()
        assert cells.lat.dims == cells.lon.dims == ("x",)
        assert flux.sizes["x"] == cells.sizes["x"]
        assert 2500 < cells.sizes["x"] < 2800
        assert set(np.unique(cells.lat % 1)) == set(np.unique(cells.lon % 1)) == {0.5}
        assert len(set(zip(cells.lat.values, cells.lon.values, strict=True))) == cells.sizes["x"]


def test_fluxcom(sample: Path) -> None:
    path = next((sample / "fluxcom").glob("*.2012.nc"))
    with netCDF4.Dataset(path) as file:
        assert file["NEE"].dimensions == ("time", "lat", "lon")
        assert file["NEE"].shape == (12, 360, 720)
        assert file["NEE"].units == "gC m-2 d-1"
        assert file["NEE"]._FillValue == -9999
        assert file["lat"][0] == 89.75
        np.testing.assert_allclose(file["lat_bnds"][0], [90, 89.5])
    with xr.open_dataset(path) as ds:
        assert months_of(ds) == MONTHS[60:72]
        inside = ds.NEE.sel(lat=slice(70, 10), lon=slice(-170, -50)).notnull().sum()
        assert ds.NEE.notnull().sum() == inside


def test_truth(sample: Path) -> None:
    with xr.open_dataset(sample / "truth" / "truth_flux_1deg_2007-2015.nc") as ds:
        assert months_of(ds) == MONTHS
        assert ds.flux.dims == ("time", "lat", "lon")
        assert ds.flux.shape == (108, 60, 120)
        assert ds.flux.attrs["units"] == "umol m-2 s-1"
        assert "to the atmosphere" in ds.flux.attrs["sign"]
