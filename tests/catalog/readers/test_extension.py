"""A reader, a formula and a preset of another distribution, with no change of the package.

This is the example of docs/extending.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.catalog.catalog import Catalog
from narcf_geo.core.errors import UsageError
from narcf_geo.project.settings import ModelSettings

CODE = '''
"""Evapotranspiration of a product that counts days from 2000 and stores mm times ten."""

import xarray as xr

from narcf_geo.catalog.readers import derived
from narcf_geo.catalog.readers.canonical import canonical
from narcf_geo.catalog.readers.native import open_native
from narcf_geo.core.variables import Variable
from narcf_geo.project.presets import Recipe


def read(entry):
    native = open_native(entry)
    native["ET"] = (native["ET"] / 10).assign_attrs(units="mm/day")
    native["P"] = native["P"].assign_attrs(units="mm/day")
    return derived.add(canonical(native, entry))


def wetness(evaporation: xr.DataArray, precip: xr.DataArray) -> xr.DataArray:
    return precip - evaporation


WETNESS = derived.Formula(
    wetness,
    ("evaporation", "precip"),
    variable=Variable("kg m-2 day-1", "precipitation less evaporation", (-50.0, 200.0)),
)
WIDE = Recipe(hidden=(500,), epochs=7)
'''

ENTRY_POINTS = """\
[narcf_geo.readers]
wetland = wetland_narcf:read

[narcf_geo.derived]
wetness = wetland_narcf:WETNESS

[narcf_geo.presets]
wide = wetland_narcf:WIDE
"""

CATALOG = """\
sources:
  et:
    description: Evapotranspiration
    driver: netcdf
    args: {urlpath: "{{ CATALOG_DIR }}/et.nc"}
    metadata:
      product: PRODUCT
      role: predictor
      variables: {evaporation: {name: ET}, precip: {name: P}}
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site-packages"
    info = site / "wetland_narcf-0.3.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wetland-narcf\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (site / "wetland_narcf.py").write_text(CODE)
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "wetland_narcf", raising=False)


def catalog(folder: Path, product: str) -> Path:
    months = pd.date_range("2007-01", periods=3, freq="MS")
    rng = np.random.default_rng(1)
    shape = (3, 4, 5)
    xr.Dataset(
        {
            "ET": (("time", "lat", "lon"), rng.uniform(0, 80, shape)),
            "P": (("time", "lat", "lon"), rng.uniform(0, 9, shape)),
        },
        {"time": months, "lat": np.arange(40.5, 44), "lon": np.arange(-99.5, -95)},
    ).to_netcdf(folder / "et.nc")
    path = folder / "data_catalog.yaml"
    path.write_text(CATALOG.replace("PRODUCT", product))
    return path


@pytest.mark.usefixtures("installed")
def test_a_product_of_another_distribution(tmp_path: Path) -> None:
    found = Catalog.open(catalog(tmp_path, "wetland"))["et"].read()
    raw = xr.open_dataset(tmp_path / "et.nc")
    np.testing.assert_allclose(found["evaporation"], raw["ET"] / 10, rtol=1e-6)
    assert found["precip"].attrs["units"] == "kg m-2 day-1"
    np.testing.assert_allclose(found["wetness"], raw["P"] - raw["ET"] / 10, rtol=1e-4, atol=1e-5)
    assert found["wetness"].attrs["units"] == "kg m-2 day-1"
    assert found["wetness"].attrs["comment"] == "derived from evaporation, precip"


@pytest.mark.usefixtures("installed")
def test_a_preset_of_another_distribution() -> None:
    assert ModelSettings(preset="wide", epochs=3).recipe().hidden == (500,)
    with pytest.raises(ValueError, match=r"choose from .*best, wide; did you mean 'wide'"):
        ModelSettings(preset="wyde")


@pytest.mark.parametrize("product", ["wetland", "os:system", "narcf_geo.catalog.readers.narr:read"])
def test_without_it_the_name_is_refused(tmp_path: Path, product: str) -> None:
    path = catalog(tmp_path, f'"{product}"')
    with pytest.raises(UsageError, match=r"data_catalog\.yaml:7: source 'et': unknown reader"):
        Catalog.open(path)["et"].read()
