"""The flux as CMIP models give it: read by the house again, by CDO, and by ILAMB."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from places import monthly

from narcf_geo.fields import open_flux
from narcf_geo.outputs.nbp import write_nbp


def test_it_is_carbon_into_the_land_at_the_middle_of_each_month(small_prediction, tmp_path):
    path = write_nbp(small_prediction.assign_attrs(institution="An institute"), tmp_path)
    assert path.name == "nbp_Lmon_narcf-geo_201411-201502.nc"
    with netCDF4.Dataset(path) as raw:
        nbp = raw["nbp"]
        assert (nbp.units, nbp.dimensions) == ("kg m-2 s-1", ("time", "lat", "lon"))
        assert nbp.standard_name.endswith("expressed_as_carbon_due_to_all_land_processes")
        assert raw.institution == "An institute"
        flux = small_prediction["flux"].values
        wanted = -flux.astype(float) * 12.011e-9
        np.testing.assert_allclose(nbp[:].filled(np.nan), wanted, rtol=1e-6)
    with xr.open_dataset(path) as ds:
        stamps = ds["time"].values.astype("datetime64[h]").astype(str)
        assert stamps.tolist()[:2] == ["2014-11-16T00", "2014-12-16T12"]
        assert ds["time_bnds"].values[3].astype("datetime64[D]").astype(str).tolist() == [
            "2015-02-01",
            "2015-03-01",
        ]
    back = open_flux(path)["flux"]
    np.testing.assert_allclose(back.values, flux, rtol=1e-6)
    np.testing.assert_array_equal(back["time"].values, small_prediction["time"].values)


def test_it_is_exported_on_request(small_prediction, tmp_path, in_process):
    small_prediction.to_netcdf(tmp_path / "in.nc")
    done = in_process("export", tmp_path / "in.nc", tmp_path / "out", "--nbp")
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "out").glob("nbp_*.nc")
    refused = in_process("export", path, tmp_path / "out", "--nbp")
    assert refused.returncode != 0
    assert "expected another folder" in refused.stderr


@pytest.mark.skipif(shutil.which("cdo") is None, reason="CDO is not installed")
def test_cdo_sums_it_to_the_carbon_of_the_region(small_prediction, tmp_path):
    path = write_nbp(small_prediction, tmp_path)
    sums = ["-fldsum", "-mul", "-selname,nbp", path, "-gridarea", path]
    command = ["cdo", "-s", "output", *sums]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "warning" not in done.stderr.lower()
    total = (small_prediction["flux"] * small_prediction["cell_area"]).sum(("lat", "lon"))
    found = [float(text) for text in done.stdout.split()]
    np.testing.assert_allclose(found, -total.values * 12.011e-9, rtol=1e-4)


ILAMB = os.environ.get("NARCF_ILAMB_PYTHON", "")


@pytest.mark.slow
@pytest.mark.skipif(not ILAMB, reason="NARCF_ILAMB_PYTHON names no Python that has ilamb3")
def test_ilamb_finds_the_bias_that_was_put_in(tmp_path):
    """Of two fluxes a constant apart, positive into the land."""
    lat, lon = 40.5 + np.arange(6), -100.5 + np.arange(8)
    values = np.linspace(-2, 1, 48).reshape(6, 8)
    for name, shift in (("estimate", 0.5), ("observed", 0.0)):
        flux = monthly(values + shift, "2014-01", "2015-12", lat, lon)
        season = np.cos(2 * np.pi * np.arange(24) / 12)
        flux = flux + xr.DataArray(season, {"time": flux["time"]}, ("time",))
        ds = flux.assign_attrs(units="umol m-2 s-1").to_dataset(name="flux")
        write_nbp(ds, tmp_path / name)
    script = Path(__file__).with_name("run_ilamb.py")
    files = [next((tmp_path / name).glob("*.nc")) for name in ("observed", "estimate")]
    done = subprocess.run([ILAMB, script, *files], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    bias = float(done.stdout.split()[-1])
    assert bias == pytest.approx(-0.5 * 12.011e-9, rel=1e-3)
