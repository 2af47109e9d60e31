from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from places import like_a_map, like_an_inversion

from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import NarcfError
from narcf_geo.outputs.netcdf import write_flux_netcdf, write_flux_zarr


def test_values_and_cells_survive(small_prediction, tmp_path):
    path = write_flux_netcdf(small_prediction, tmp_path / "flux.nc")
    with xr.open_dataset(path) as back:
        np.testing.assert_array_equal(back["flux"].values, small_prediction["flux"].values)
        np.testing.assert_array_equal(back["lat"].values, small_prediction["lat"].values)
        np.testing.assert_array_equal(back["lon_bnds"].values[0], [-101.0, -100.0])
        np.testing.assert_allclose(back["cell_area"].values, small_prediction["cell_area"].values)
        assert np.isnan(back["biome"].values[0, 0])
        assert back["biome"].values[1, 4] == 9
        assert str(back["time_bnds"].values[-1, 1])[:10] == "2015-03-01"


def test_metadata_says_unit_sign_and_method(small_prediction, tmp_path):
    path = write_flux_netcdf(small_prediction, tmp_path / "flux.nc")
    with netCDF4.Dataset(path) as raw:
        assert raw.Conventions == "CF-1.11, CF-1.8, ACDD-1.3"
        assert raw.synthetic == "twin experiment"
        flux = raw["flux"]
        assert (flux.units, flux.cell_methods) == (
            "umol m-2 s-1",
            "time: mean area: mean where land",
        )
        assert flux.sign.startswith("positive: to the atmosphere")
        assert flux.cell_measures == "area: cell_area"
        assert raw[flux.grid_mapping].grid_mapping_name == "latitude_longitude"
        assert flux.filters()["zlib"]
        assert raw["biome"].dtype == np.int8
        assert len(raw["biome"].flag_meanings.split()) == len(raw["biome"].flag_values) == len(IGBP)
        assert "_FillValue" not in raw["lat"].ncattrs()


def test_a_second_run_gives_the_same_bytes(small_prediction, tmp_path):
    first = write_flux_netcdf(small_prediction, tmp_path / "a.nc").read_bytes()
    assert write_flux_netcdf(small_prediction, tmp_path / "b.nc").read_bytes() == first
    small_prediction["flux"][0, 3, 3] = 1.0
    assert write_flux_netcdf(small_prediction, tmp_path / "c.nc").read_bytes() != first


def test_a_single_month_is_an_axis_of_one(small_prediction, tmp_path):
    month = small_prediction.isel(time=2)
    with xr.open_dataset(write_flux_netcdf(month, tmp_path / "flux.nc")) as back:
        assert back["time_bnds"].values.astype("datetime64[D]").astype(str).tolist() == [
            ["2015-01-01", "2015-02-01"]
        ]
        np.testing.assert_array_equal(back["flux"][0].values, month["flux"].values)


def with_uncertainty(ds: xr.Dataset) -> xr.Dataset:
    std = (0.1 + abs(ds["flux"]) * 0.1).assign_attrs(units="umol m-2 s-1", long_name="a std")
    index = (std * 3).assign_attrs(units="1")
    return ds.assign(
        flux_std=std,
        flux_lower=(ds["flux"] - 2 * std).assign_attrs(std.attrs),
        flux_upper=(ds["flux"] + 2 * std).assign_attrs(std.attrs),
        applicability=index,
        applicable=(index < index.median()).where(index.notnull()),
    )


def test_uncertainty_is_ancillary_and_area_is_computed_when_absent(small_prediction, tmp_path):
    ds = with_uncertainty(small_prediction)
    path = write_flux_netcdf(ds.drop_vars("cell_area"), tmp_path / "flux.nc")
    with xr.open_dataset(path, mask_and_scale=False) as back:
        names = back["flux"].attrs["ancillary_variables"].split()
        assert names == ["flux_std", "flux_lower", "flux_upper", "applicability", "applicable"]
        np.testing.assert_allclose(back["cell_area"], ds["cell_area"], rtol=1e-12)
        for name in names[:4]:
            np.testing.assert_array_equal(back[name].values, ds[name].values.astype("f4"))
            assert back[name].attrs["units"] == ds[name].attrs["units"]
            assert back[name].attrs["grid_mapping"] == "crs"
        assert back["flux_std"].attrs["standard_name"].endswith(" standard_error")
        assert "standard_name" not in back["flux_lower"].attrs
        flags = back["applicable"]
        assert flags.dtype == np.int8
        assert flags.attrs["flag_meanings"].split() == ["not_applicable", "applicable"]
        expected = ds["applicable"].fillna(-1).values
        np.testing.assert_array_equal(flags.values, expected)
        assert set(np.unique(expected)) == {-1, 0, 1}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda ds: ds.drop_vars("flux"), "expected the variable 'flux'"),
        (lambda ds: ds.isel(time=0, drop=True), "expected the month of the flux, found no time"),
        (lambda ds: ds.assign(flux=ds["flux"].assign_attrs(units="kg m-2 s-1")), "'kg m-2 s-1' do"),
        (lambda ds: ds.assign(flux=ds["flux"].drop_attrs(deep=False)), "found none; pass units="),
        (lambda ds: ds.assign(biome=ds["biome"] + 1), None),
        (lambda ds: ds.assign(biome=ds["biome"] + 100), "found 99"),
    ],
)
def test_refusals_leave_nothing_behind(small_prediction, tmp_path, broken, message):
    if message is None:  # the control of the classes
        assert write_flux_netcdf(broken(small_prediction), tmp_path / "flux.nc").exists()
        return
    with pytest.raises(NarcfError, match=message):
        write_flux_netcdf(broken(small_prediction), tmp_path / "flux.nc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "turned",
    [
        lambda ds: ds.transpose("lat", "time", "lon", ...),
        lambda ds: like_a_map(ds.drop_vars(["lat_bnds", "lon_bnds"])),
        lambda ds: like_an_inversion(ds.drop_vars("lon_bnds")).rename(lat="latitude", lon="x"),
    ],
    ids=["transposed", "like a map", "north to south"],
)
def test_the_order_of_the_input_makes_no_difference(small_prediction, tmp_path, turned):
    wanted = write_flux_netcdf(small_prediction, tmp_path / "a.nc").read_bytes()
    assert write_flux_netcdf(turned(small_prediction), tmp_path / "b.nc").read_bytes() == wanted
    wrong = small_prediction.assign(flux=small_prediction["flux"].copy())
    wrong["flux"].values[:] = wrong["flux"].values[:, ::-1]
    assert write_flux_netcdf(wrong, tmp_path / "c.nc").read_bytes() != wanted


def test_the_zarr_store_holds_the_same_and_is_consolidated(small_prediction, tmp_path):
    ds = with_uncertainty(small_prediction)
    store = write_flux_zarr(ds, tmp_path / "flux.zarr")
    consolidated = json.loads((store / "zarr.json").read_text("utf-8"))["consolidated_metadata"]
    file = write_flux_netcdf(ds, tmp_path / "flux.nc")
    with xr.open_dataset(file) as wanted, xr.open_zarr(store, consolidated=True) as found:
        assert set(wanted.variables) <= set(consolidated["metadata"])
        xr.testing.assert_equal(found.load(), wanted.load())
        assert found["flux"].attrs == wanted["flux"].attrs
        assert found.attrs == wanted.attrs


@pytest.fixture(scope="session")
def compliance_checker() -> Path:
    path = Path(sys.executable).with_name("compliance-checker")
    if not path.exists():
        pytest.skip("compliance-checker is in the extra 'checks'")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("version", ["cf:1.8", "cf:1.11"])
def test_the_compliance_checker_has_nothing_to_say(
    small_prediction, compliance_checker, tmp_path, version
):
    path = write_flux_netcdf(with_uncertainty(small_prediction), tmp_path / "flux.nc")

    def check() -> subprocess.CompletedProcess[str]:
        command = [compliance_checker, "--test", version, "--criteria", "strict", path]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    done = check()
    assert (done.returncode, "All tests passed!" in done.stdout) == (0, True), done.stdout
    with netCDF4.Dataset(path, "a") as raw:
        raw["flux"].standard_name = "flux_of_nothing"
    broken = check()
    assert broken.returncode != 0
    assert "flux_of_nothing" in broken.stdout


def test_a_catalog_finds_who_made_it_where_and_when(small_prediction, tmp_path):
    said = {"institution": "An institute", "creator_name": "A. Author", "doi": "10.5281/zenodo.1"}
    path = write_flux_netcdf(small_prediction.assign_attrs(said), tmp_path / "flux.nc")
    with netCDF4.Dataset(path) as raw:
        assert {name: raw.getncattr(name) for name in said} == said
        assert (raw.id, raw.naming_authority) == ("10.5281/zenodo.1", "org.doi")
        box = [f"geospatial_{axis}_{end}" for axis in ("lon", "lat") for end in ("min", "max")]
        assert [raw.getncattr(name) for name in box] == [-101, -96, 40, 44]
        assert raw.time_coverage_resolution == "P1M"


@pytest.mark.skipif(shutil.which("cdo") is None, reason="CDO is not installed")
def test_cdo_reads_every_variable_without_a_word(small_prediction, tmp_path):
    path = write_flux_netcdf(with_uncertainty(small_prediction), tmp_path / "flux.nc")

    def cdo(*arguments: object) -> str:
        done = subprocess.run(
            ["cdo", "-s", *map(str, arguments)], capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        return done.stdout

    names = cdo("showname", path).split()
    assert {"flux", "flux_std", "applicable", "biome"} <= set(names)
    cdo("infon", path)
    assert "cellbounds area" in cdo("sinfon", path)
    means = [float(text) for text in cdo("output", "-fldmean", "-selname,flux", path).split()]
    weighted = small_prediction["flux"].weighted(small_prediction["cell_area"]).mean(("lat", "lon"))
    np.testing.assert_allclose(means, weighted.values, rtol=1e-4)
    # By its own areas: those of the file are not needed to see the size of the cells.
    area = [float(text) for text in cdo("output", "-gridarea", "-selname,flux", path).split()]
    np.testing.assert_allclose(area, small_prediction["cell_area"].values.ravel(), rtol=1e-3)
