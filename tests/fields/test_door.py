"""The door: files of each format and objects come in alike, or are refused in words."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from places import cells, like_a_map, like_an_inversion, monthly

from narcf_geo.core.constants import FLUX_UNITS
from narcf_geo.core.errors import (
    FieldError,
    MissingFileError,
    TimeError,
    UnitError,
    UnreadableError,
    UsageError,
)
from narcf_geo.fields import open_fields, open_flux
from narcf_geo.fields.door import flux_name
from narcf_geo.fields.stored import valid_only

VALUES = np.arange(1.0, 13.0).reshape(3, 4)


@pytest.fixture
def flux() -> xr.DataArray:
    """Two months on 3 x 4 cells, all values different, one missing."""
    field = monthly(VALUES, "2014-01", "2014-02").rename("nee")
    field[1] += 100
    field[1, 0, 2] = np.nan
    return field


def write(ds: xr.Dataset, folder: Path, kind: str) -> Path:
    path = folder / f"file.{kind}"
    if kind == "nc":
        ds.to_netcdf(path)
    else:
        ds.to_zarr(path, zarr_format=2, consolidated=True)
    return path


@pytest.mark.parametrize("order", [like_an_inversion, like_a_map])
@pytest.mark.parametrize("source", ["nc", "zarr", "dataset", "array"])
def test_every_source_comes_in_alike(
    flux: xr.DataArray, tmp_path: Path, order: object, source: str
) -> None:
    given = order(flux) if source == "array" else order(flux).to_dataset(name="nee")
    if source in ("nc", "zarr"):
        given = write(given, tmp_path, source)
    found = open_fields(given if source != "nc" else str(given))
    assert found["nee"].dims == ("time", "lat", "lon")
    np.testing.assert_array_equal(found["nee"].values, flux.values)
    np.testing.assert_array_equal(found["lon"].values, flux["lon"].values)
    assert found["time_bnds"].shape == (2, 2)
    assert found["nee"].attrs["units"] == FLUX_UNITS
    product = open_flux(given)
    np.testing.assert_array_equal(product["flux"].values, flux.values)
    assert product["flux"].attrs["original_name"] == "nee"
    if source in ("nc", "zarr"):
        assert open_fields(given)["nee"].chunks is not None


def test_a_geotiff_comes_in_with_its_nodata_missing(tmp_path: Path) -> None:
    import rasterio
    from affine import Affine

    path = tmp_path / "one.tif"
    north_up = np.where(VALUES == 7, -9999, VALUES)[::-1].astype("f4")
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    transform = Affine(3, 0, -6, 0, -2, 46)
    with rasterio.open(
        path, "w", width=4, height=3, nodata=-9999, transform=transform, **profile
    ) as raster:
        raster.write(north_up, 1)
        raster.set_band_unit(1, "g C m-2 day-1")
    found = open_fields(path)["band_data"].squeeze("band")
    assert found["lat"].values.tolist() == [41, 43, 45]
    assert found["lon"].values.tolist() == [-4.5, -1.5, 1.5, 4.5]
    np.testing.assert_array_equal(found.values, np.where(VALUES == 7, np.nan, VALUES))
    rate = open_flux(path)["flux"]
    assert rate.dims == ("lat", "lon")
    np.testing.assert_allclose(
        rate.values, np.where(VALUES == 7, np.nan, VALUES) * 1e6 / 12.011 / 86400, rtol=1e-6
    )


def test_no_file_and_no_data_are_refused(flux: xr.DataArray, tmp_path: Path) -> None:
    for opener in (open_fields, open_flux):
        with pytest.raises(FileNotFoundError, match=r"gone\.nc: no such file") as error:
            opener(tmp_path / "gone.nc")
        assert isinstance(error.value, MissingFileError)
        for wrong in (flux.values, None, 3):
            with pytest.raises(UsageError, match=r"expected a path, an xarray\.Dataset or"):
                opener(wrong)
    broken = tmp_path / "broken.nc"
    broken.write_bytes(b"CDF no more")
    with pytest.raises(UnreadableError, match=r"broken\.nc: cannot be opened as netcdf"):
        open_fields(broken)
    text = tmp_path / "notes.md"
    text.write_text("# Notes")
    with pytest.raises(UnreadableError, match=r"known format, found the suffix '\.md'"):
        open_fields(text)
    with pytest.raises(FieldError, match="expected latitudes and longitudes"):
        open_fields(xr.Dataset({"a": ("x", [1.0])}))
    with pytest.raises(UsageError, match="expected gpp, found nee"):
        open_fields(flux, ["nee", "gpp"])


def test_variables_come_with_what_belongs_to_them(flux: xr.DataArray, tmp_path: Path) -> None:
    ds = flux.to_dataset(name="nee").assign(gpp=flux * 2)
    bounds = np.stack([flux["lat"] - 0.7, flux["lat"] + 1.3], axis=1)
    ds = ds.assign(edges=(("lat", "two"), bounds))
    ds["lat"].attrs["bounds"] = "edges"
    found = open_fields(write(ds, tmp_path, "nc"), ["gpp"])
    assert set(found.data_vars) - {"lat_bnds"} == {"gpp"}
    np.testing.assert_allclose(found["lat_bnds"].values, bounds)
    assert {"nee", "gpp"} <= set(open_fields(ds).data_vars)


def test_finer_steps_are_averaged_only_when_asked(flux: xr.DataArray) -> None:
    days = np.arange("2014-01-01", "2014-03-01", dtype="datetime64[D]").astype("datetime64[ns]")
    daily = flux.isel(time=0, drop=True).expand_dims(time=days).copy()
    daily += xr.DataArray(np.arange(59.0), dims="time")
    with pytest.raises(TimeError, match=r"found one for 1 days.*average=0\.9"):
        open_fields(daily)
    for opened in (open_fields(daily, average=0.9)["nee"], open_flux(daily, average=1)["flux"]):
        np.testing.assert_allclose(opened[0].values, VALUES + 15)
        np.testing.assert_allclose(opened[1].values, VALUES + 44.5)
    assert open_fields(daily, monthly=False).sizes["time"] == 59


@pytest.mark.parametrize("dtype", ["i2", "f4", "i1"])
def test_valid_range_is_in_the_unit_of_the_packed_values(tmp_path: Path, dtype: str) -> None:
    """CF 2.5.1: 0 to 100 of the numbers in the file are 5 to 10 in the unit of the variable."""
    path = tmp_path / "packed.nc"
    with netCDF4.Dataset(path, "w") as raw:
        for name, values, unit in (
            ("lat", [1.0, 0], "degrees_north"),
            ("lon", [5.0, 6], "degrees_east"),
        ):
            raw.createDimension(name, 2)
            raw.createVariable(name, "f8", (name,))[:] = values
            raw[name].units = unit
        packed = raw.createVariable("ndvi", dtype, ("lat", "lon"), fill_value=-7)
        packed.set_auto_maskandscale(False)
        packed.setncatts({"scale_factor": 0.05, "add_offset": 5.0})
        packed.valid_range = np.array([0, 100], dtype)
        packed[:] = np.array([[100, 101], [-1, 0]], dtype)
    found = open_fields(path)["ndvi"].values
    np.testing.assert_allclose(found, [[np.nan, 5.0], [10.0, np.nan]], atol=1e-5)


def test_valid_limits_of_what_is_not_packed() -> None:
    kept = np.array([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]])
    for attrs, low, high in (
        ({"valid_min": 3}, 3, 12),
        ({"valid_max": 9.0}, 1, 9),
        ({"valid_range": [2, 5]}, 2, 5),
        ({"valid_range": [2, 5], "valid_min": 4}, 4, 5),
    ):
        inside = (kept >= low) & (kept <= high)
        for values in (VALUES, VALUES.astype("f4"), kept, kept.astype("uint8")):
            ds = cells(values, **attrs).to_dataset(name="f")
            found = valid_only(ds)["f"]
            np.testing.assert_array_equal(found.values, np.where(inside, kept, np.nan))
            assert not any(key.startswith("valid_") for key in found.attrs)
    assert valid_only(cells(kept).to_dataset(name="f"))["f"].dtype == kept.dtype
    for attrs in ({"valid_range": "good"}, {"valid_range": [1]}, {"valid_min": "n/a"}):
        ds = cells(kept, **attrs).to_dataset(name="f")
        with pytest.raises(FieldError, match=r"variable 'f': expected .* as valid_"):
            valid_only(ds)


def test_the_flux_is_found_by_its_name_or_by_its_unit(flux: xr.DataArray) -> None:
    ds = flux.to_dataset(name="exchange").assign(temp=flux.assign_attrs(units="K"))
    assert flux_name(ds, "") == "exchange"
    assert flux_name(ds.assign(NEE=ds["temp"]), "") == "NEE"
    assert flux_name(ds.assign(nee=ds["temp"], flux=ds["temp"]), "") == "flux"
    series = ds["exchange"].isel(lat=0, lon=0)
    assert flux_name(ds.assign(site=series), "") == "exchange"
    carbon = "surface_upward_mass_flux_of_carbon_dioxide_expressed_as_carbon"
    for attrs in (
        {"units": "g C m-2 month-1"},
        {"units": "Tg C month-1 cell-1"},
        {"units": "kg m-2 s-1", "standard_name": carbon},
    ):
        other = flux.drop_attrs(deep=False).assign_attrs(attrs)
        assert flux_name(ds.assign(exchange=other), "") == "exchange"
    # A mass that does not say of what may be water.
    water = flux.assign_attrs(units="kg m-2 s-1")
    assert flux_name(ds.assign(evap=water), "") == "exchange"
    two = ds.assign(gpp=flux.assign_attrs(units="g C m-2 day-1"))
    with pytest.raises(UsageError, match=r"expected one flux.*exchange \(umol m-2 s-1\), gpp"):
        open_flux(two)
    assert float(open_flux(two, "gpp")["flux"][0, 0, 0]) == pytest.approx(1e6 / 12.011 / 86400)
    with pytest.raises(UsageError, match=r"found temp \(K\)"):
        open_flux(ds[["temp"]])
    with pytest.raises(UsageError, match="expected the variable 'er', found exchange, temp"):
        open_flux(ds, "er")
    with pytest.raises(UnitError, match=r"variable 'temp'.*'K' does not convert"):
        open_flux(ds, "temp")
    with pytest.raises(UnitError, match=r"variable 'flux'.*found none; pass units="):
        open_flux(ds.assign(flux=flux.drop_attrs(deep=False)))


def test_an_interval_turns_with_the_sign_of_its_flux(flux: xr.DataArray) -> None:
    milli = {"units": "mmol m-2 s-1"}
    ds = xr.Dataset(
        {
            "flux": flux.assign_attrs(standard_name="net_ecosystem_production"),
            "flux_std": (flux * 0 + 0.002).assign_attrs(
                milli, standard_name="net_ecosystem_production standard_error"
            ),
            "flux_lower": (flux / 1e3 - 0.002).assign_attrs(milli),
            "flux_upper": (flux / 1e3 + 0.006).assign_attrs(milli),
            "biome": cells(np.full((3, 4), 5)),
        }
    )
    known = flux.notnull().values

    def parts(found: xr.Dataset) -> list[float]:
        middle = found["flux"].values[known]
        return [
            float(np.unique(np.round(found[n].values[known] - (0 if "std" in n else middle), 6))[0])
            for n in ("flux_std", "flux_lower", "flux_upper")
        ]

    down = open_flux(ds)
    np.testing.assert_array_equal(down["flux"].values, -flux.values)
    # From the flux to its ends: 2 and 6 of uptake are 6 and 2 of release.
    assert parts(down) == [2, -6, 2]
    assert down["biome"].identical(open_fields(ds)["biome"])
    up = open_flux(ds, sign="to_atmosphere")
    np.testing.assert_array_equal(up["flux"].values, flux.values)
    assert parts(up) == [2, -2, 6]
    ds["flux"].attrs.pop("standard_name")
    assert parts(open_flux(ds)) == [2, -2, 6]
    assert parts(open_flux(ds, sign="uptake")) == [2, -6, 2]
    # A second pass changes nothing.
    xr.testing.assert_identical(open_flux(down), down)
    with pytest.raises(UnitError, match=r"variable 'flux_std'.*found none"):
        open_flux(ds.assign(flux_std=ds["flux_std"].drop_attrs(deep=False)))


def test_dimensions_of_one_are_dropped_and_others_refused(flux: xr.DataArray) -> None:
    level = flux.expand_dims(level=[850.0]).to_dataset(name="nee")
    assert open_flux(level)["flux"].dims == ("time", "lat", "lon")
    with pytest.raises(FieldError, match="found it along level too"):
        open_flux(xr.concat([level, level.assign_coords(level=[500.0])], "level"))
    # One month, row and column are axes all the same.
    one = flux[:1, :1, :1]
    assert open_flux(one)["flux"].sizes == {"time": 1, "lat": 1, "lon": 1}
