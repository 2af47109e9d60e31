"""Unit strings as the products write them, against factors worked out by hand."""

from __future__ import annotations

import contextlib
import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from narcf_geo.core.errors import NarcfError, UnitError
from narcf_geo.core.units import convert, is_convertible, linear, parse

DAY = 86400.0
CARBON = "umol m-2 s-1"


@pytest.mark.parametrize(
    ("units", "factor"),
    [
        ("g C m-2 day-1", 1e6 / 12.011 / DAY),
        ("gC m-2 d-1", 1e6 / 12.011 / DAY),
        ("gC m**-2 day**-1", 1e6 / 12.011 / DAY),
        ("kg C m-2 s-1", 1e9 / 12.011),
        ("mol m-2 s-1", 1e6),
        ("mol C m-2 s-1", 1e6),
        ("kg(C) m-2 s-1", 1e9 / 12.011),
        ("Kg C/m2/s", 1e9 / 12.011),
        ("t C ha-1 yr-1", 1e12 / 12.011 / 1e4 / (365.25 * DAY)),
        ("g C-CO2 m-2 d-1", 1e6 / 12.011 / DAY),
        ("kg CO2 m-2 s-1", 1e9 / 44.009),
        ("kgCO2/m2/s", 1e9 / 44.009),
        ("gCO2 m-2 d-1", 1e6 / 44.009 / DAY),
        ("umolCO2 m-2 s-1", 1.0),
        ("umol(CO2) m-2 s-1", 1.0),
        ("umol CO2 m-2 s-1", 1.0),
        ("µmol m-2 s-1", 1.0),
        ("micromol/m^2/s", 1.0),
    ],
)
def test_flux_units(units: str, factor: float) -> None:
    scale, offset = linear(units, CARBON, "carbon")
    assert scale == pytest.approx(factor, rel=1e-12)
    assert offset == 0


def test_one_umol_of_co2_is_so_many_grams_of_carbon_a_day() -> None:
    scale, _ = linear("umol CO2 m-2 s-1", CARBON, "carbon")
    assert scale / linear("g C m-2 day-1", CARBON, "carbon")[0] == pytest.approx(1.0378, abs=5e-5)


@pytest.mark.parametrize("units", ["kg m-2 s-1", "mg m-2 s-1", "g m-2 day-1"])
def test_a_mass_that_may_be_of_co2_is_refused(units: str) -> None:
    with pytest.raises(NarcfError, match=r"does not say of what.*'g C m-2 day-1'.*`of: CO2`"):
        linear(units, CARBON, "carbon")
    carbon, dioxide = (linear(units, CARBON, "carbon", of)[0] for of in ("C", "CO2"))
    assert carbon / dioxide == pytest.approx(44.009 / 12.011)


@pytest.mark.parametrize("units", ["gC m-2 month-1", "gC/m2/month"])
def test_a_month_has_no_fixed_length(units: str) -> None:
    with pytest.raises(NarcfError, match=r"month"):
        linear(units, CARBON, "carbon")


@pytest.mark.parametrize(
    ("units", "target", "value", "expected"),
    [
        ("K", "degC", 300.0, 26.85),
        ("degK", "degC", 273.15, 0.0),
        ("degrees_Celsius", "degC", -4.5, -4.5),
        ("degF", "degC", 212.0, 100.0),
        ("Kelvin", "degC", 300.0, 26.85),
        ("degrees K", "degC", 300.0, 26.85),
        ("deg C", "degC", 4.5, 4.5),
        ("degree Celsius", "degC", 4.5, 4.5),
        ("degrees_C", "degC", 4.5, 4.5),
        ("°C", "degC", 4.5, 4.5),
        ("Watts/m^2", "W m-2", 17.0, 17.0),
        ("W m**-2", "W m-2", 17.0, 17.0),
        ("Pa", "hPa", 101325.0, 1013.25),
        ("mb", "hPa", 1013.25, 1013.25),
        ("1", "%", 0.37, 37.0),
        ("g/kg", "kg kg-1", 7.0, 0.007),
        ("W/m^2", "W m-2", 17.0, 17.0),
        ("mW/m^2/nm/sr", "mW m-2 nm-1 sr-1", 1.3, 1.3),
    ],
)
def test_weather_units(units: str, target: str, value: float, expected: float) -> None:
    scale, offset = linear(units, target)
    assert value * scale + offset == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("units", "target", "factor"),
    [
        ("mm/day", "kg m-2 day-1", 1.0),
        ("kg m-2 s-1", "kg m-2 day-1", DAY),
        ("m s-1", "kg m-2 day-1", 1000 * DAY),
        ("mm", "kg m-2", 1.0),
        ("cm", "kg m-2", 10.0),
        ("kg/m^2", "kg m-2", 1.0),
    ],
)
def test_water_units(units: str, target: str, factor: float) -> None:
    assert linear(units, target, "water") == (pytest.approx(factor), 0.0)


def test_a_depth_is_a_mass_of_water_alone() -> None:
    with pytest.raises(NarcfError, match="does not convert"):
        linear("mm/day", "kg m-2 day-1")


def test_a_total_is_no_rate() -> None:
    with pytest.raises(NarcfError, match="does not convert"):
        linear("kg/m^2", "kg m-2 day-1", "water")


def test_convert_keeps_missing_and_attributes() -> None:
    array = xr.DataArray([250.0, np.nan, 301.25], dims="x", attrs={"units": "K", "note": "kept"})
    result = convert(array, "degC", where="f.nc")
    np.testing.assert_allclose(result, [-23.15, np.nan, 28.1], atol=1e-5)
    assert result.dtype == np.float32
    assert result.attrs == {"units": "degC", "note": "kept"}
    assert array.attrs["units"] == "K"


@pytest.mark.parametrize("attrs", [{}, {"units": " "}])
def test_an_absent_unit_names_the_one_accepted(attrs: dict) -> None:
    with pytest.raises(NarcfError, match=r"air\.nc.*'degC'.*found none.*units:"):
        convert(xr.DataArray([1.0], attrs=attrs), "degC", where="air.nc")


@pytest.mark.parametrize("units", ["bananas", "2 K", "kg", "%%"])
def test_an_unknown_or_other_unit_names_the_one_accepted(units: str) -> None:
    with pytest.raises(NarcfError, match=r"air\.nc.*expected a unit that converts to 'degC'"):
        convert(xr.DataArray([1.0], attrs={"units": units}), "degC", where="air.nc")


def test_amounts_of_a_month_are_divided_by_its_days() -> None:
    months = pd.date_range("2008-01", periods=3, freq="MS")
    rain = xr.DataArray([62.0, 58.0, 31.0], {"time": months}, attrs={"units": "mm/month"})
    found = convert(rain, "kg m-2 day-1", where="f.nc", kind="water")
    np.testing.assert_allclose(found, [2.0, 2.0, 1.0], rtol=1e-6)
    year = xr.DataArray([28.25], {"time": [2]}, ("time",), attrs={"units": "kg m-2 month-1"})
    assert float(convert(year, "kg m-2 day-1", where="f.nc", kind="water")[0]) == 1.0
    with pytest.raises(NarcfError, match="no time axis"):
        convert(rain.drop_vars("time"), "kg m-2 day-1", where="f.nc", kind="water")
    # The control: months of one length would be 3 % off.
    assert float(found[1]) != pytest.approx(58 / 30.4, rel=1e-3)


def test_totals_of_a_cell_are_divided_by_its_area() -> None:
    total = xr.DataArray([[1.0, 2.0]], dims=("lat", "lon"), attrs={"units": "Gg C yr-1 cell-1"})
    area = xr.DataArray([[1e10, 1.1e10]], dims=("lat", "lon"))
    found = convert(total, CARBON, where="f.nc", kind="carbon", area=area)
    seconds = 365.25 * DAY
    wanted = np.array([[1.0 / 1e10, 2.0 / 1.1e10]]) * 1e9 / 12.011 * 1e6 / seconds
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    with pytest.raises(NarcfError, match="area of the cells"):
        convert(total, CARBON, where="f.nc", kind="carbon")


@pytest.mark.parametrize(
    "text",
    [
        *("K**9**9**9", "m^999999", "m999999", "9^9^9^9", "m**(9*9*9)", "m**1e9", "m 10⁹⁹⁹⁹⁹⁹⁹⁹"),
        *("9 " + "cubed " * 15, "((((9**99)**99)**99)**99)", "m**(99)**(99)**(99)", "m^-99"),
        *("(" * 100, "m" * 1_000_000, "10**99999999 m", "9" * 99, "1e99999", "- " * 49 + "m"),
        *("m\0", "m.__class__", "__import__('os')"),
    ],
)
def test_a_unit_that_would_take_hours_is_refused_at_once(text: str) -> None:
    begin = time.process_time()
    with pytest.raises(UnitError, match="not understood"):
        parse(text)
    assert time.process_time() - begin < 3  # the registry may be loaded first
    assert not is_convertible(text, "m")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        *(("m²", "m2"), ("kg m⁻² s⁻¹", "kg m-2 s-1"), ("(m2)^2", "m4"), ("m**(-2)", "m-2")),
        *(("(umol m-2 s-1)^-1", "m2 s umol-1"), ("square meter", "m2"), ("m0.5", "m**(1/2)")),
    ],
)
def test_a_unit_with_honest_powers_is_read(text: str, plain: str) -> None:
    assert parse(text).unit == parse(plain).unit


def test_a_factor_that_is_no_number_is_refused() -> None:
    with pytest.raises(UnitError, match="does not convert"):
        linear("Ym30", "ym30")


@settings(deadline=2000, max_examples=150)
@given(
    st.lists(
        st.sampled_from([*"0123456789", *"m kg(K)^*/-+.e⁹°%[]", "**", "**9", "cubed ", " s-1"]),
        max_size=40,
    ).map("".join)
)
def test_any_text_is_a_unit_or_refused_at_once(text: str) -> None:
    with contextlib.suppress(UnitError):
        parse(text)
    is_convertible(text, "m2 s-1")
