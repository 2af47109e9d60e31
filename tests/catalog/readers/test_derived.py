"""Derived variables against numbers worked out by hand, and their inverses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from narcf_geo.catalog.readers import derived


def monthly(values: np.ndarray, first: str) -> xr.DataArray:
    time = pd.date_range(first, periods=len(values), freq="MS")
    return xr.DataArray(np.asarray(values, "float32"), dims="time", coords={"time": time})


@settings(deadline=None, derandomize=True)
@given(
    temp=st.floats(-40, 45),
    rel_hum=st.floats(1, 100),
    pres=st.floats(500, 1050),
)
def test_humidities_are_inverse(temp: float, rel_hum: float, pres: float) -> None:
    t, r, p = (xr.DataArray([v]) for v in (temp, rel_hum, pres))
    again = derived.relative_humidity(t, derived.specific_humidity(t, r, p), p)
    assert float(again[0]) == pytest.approx(rel_hum, rel=1e-9)


def test_relative_humidity_by_hand() -> None:
    # 0.01 kg kg-1 at 1000 hPa is 15.98 hPa of vapour; 20 degC saturates at 23.33 hPa here.
    found = derived.relative_humidity(*(xr.DataArray([v]) for v in (20.0, 0.01, 1000.0)))
    assert float(found[0]) == pytest.approx(100 * 15.98 / 23.33, rel=1e-3)
    wet = derived.relative_humidity(*(xr.DataArray([v]) for v in (0.0, 0.02, 1000.0)))
    assert float(wet[0]) == 100


def test_growing_degree_sum_by_hand() -> None:
    temp = monthly([0, 6, 10, 4, 20], "2008-01-01")
    expected = np.cumsum([0, 1 * 29, 5 * 31, 0, 15 * 31])
    np.testing.assert_allclose(derived.growing_degree_sum(temp), expected)
    np.testing.assert_allclose(derived.growing_degree_sum(temp.chunk(time=2)), expected)
    np.testing.assert_allclose(derived.growing_degree_sum(temp, base=0.0)[1], 6 * 29)


def test_growing_degree_sum_starts_with_the_year_and_needs_all_of_it() -> None:
    temp = monthly(np.full(16, 6.0), "2006-11-01")
    found = derived.growing_degree_sum(temp).values
    assert np.isnan(found[:2]).all()
    assert found[2] == 31
    assert found[13] == 365
    assert found[14] == 31
    gap = temp.isel(time=[2, 3, 5, 6, 14])
    assert np.isnan(derived.growing_degree_sum(gap)).values.tolist() == [0, 0, 1, 1, 0]


def test_one_month_has_none_before_it() -> None:
    rain = monthly(np.array([2.0]), "2008-01-01").chunk(time=1)
    assert np.isnan(derived.precipitation_30d(rain)).all()


def test_december_comes_before_january_in_a_climatology() -> None:
    rain = xr.DataArray(np.arange(1.0, 13), dims="time", coords={"time": np.arange(1, 13)})
    found = derived.precipitation_30d(rain)
    assert found.values[[0, 1, 11]].tolist() == [360, 30, 330]
    assert found["time"].values.tolist() == list(range(1, 13))


def test_add_takes_what_has_its_inputs() -> None:
    time = pd.date_range("2008-01-01", periods=2, freq="MS")
    attrs = {"units": "x", "grid_mapping": "crs"}
    names = ("temp", "sp_hum", "pres", "bio_flux", "fire_flux")
    numbers = (20, 0.01, 1000, -3, 1)
    ds = xr.Dataset(
        {
            name: (("time", "y"), np.full((2, 1), number), attrs)
            for name, number in zip(names, numbers, strict=True)
        },
        coords={"time": time},
    )
    found = derived.add(ds)
    assert {"rel_hum", "vpd", "gdd", "flux"} <= set(found)
    assert not {"nirv", "precip_30d"} & set(found)
    assert found["flux"].values.tolist() == [[-2], [-2]]
    assert found["flux"].attrs["sign"].startswith("positive: to the atmosphere")
    assert found["vpd"].attrs["grid_mapping"] == "crs"
    assert found["vpd"].dtype == np.float32
