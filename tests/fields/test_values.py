"""Values: fluxes in one unit and sign, areas in m2, classes of IGBP; anything else is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from places import cells, like_a_map, like_an_inversion, monthly

from narcf_geo.core.constants import FLUX_UNITS
from narcf_geo.core.errors import FieldError, GridMismatchError, TimeError, UnitError, UsageError
from narcf_geo.fields import area_field, class_field, flux_field, open_flux
from narcf_geo.fields.values import in_flux_units, plane_of, sign_of
from narcf_geo.grid import Grid

VALUES = np.array([[1.0, -2.0, 4.0], [0.5, np.nan, -8.0]])

FACTORS = {
    "umol m-2 s-1": 1,
    "µmol m-2 s-1": 1,
    "umol CO2 m-2 s-1": 1,
    "mol m-2 s-1": 1e6,
    "nmol m-2 s-1": 1e-3,
    "umol km-2 s-1": 1e-6,
    "mol m-2 day-1": 1e6 / 86400,
    "g C m-2 day-1": 1e6 / 12.011 / 86400,
    "gC m-2 d-1": 1e6 / 12.011 / 86400,
    "kg C m-2 s-1": 1e9 / 12.011,
    "kg CO2 m-2 s-1": 1e9 / 44.009,
    "mg C m-2 h-1": 1e3 / 12.011 / 3600,
    "GgC km-2 day-1": 1e9 / 12.011 / 86400,
    "TgC km-2 day-1": 1e12 / 12.011 / 86400,
    "Tg C km-2 day-1": 1e12 / 12.011 / 86400,
    "PgC km-2 day-1": 1e15 / 12.011 / 86400,
    "MgC km-2 day-1": 1e6 / 12.011 / 86400,
}
"""By hand: umol m-2 s-1 in one of the unit; 12.011 g C mol-1, 86400 s, 1e6 m2 km-2."""


@pytest.mark.parametrize("unit", FACTORS)
def test_units_against_factors_by_hand(unit: str) -> None:
    found = flux_field(cells(VALUES, units=unit))
    np.testing.assert_allclose(found.values, VALUES * FACTORS[unit], rtol=1e-12)
    assert found.attrs["units"] == FLUX_UNITS
    assert "to the atmosphere" in found.attrs["sign"]
    stated = flux_field(cells(VALUES, units="K"), units=unit)
    np.testing.assert_array_equal(stated.values, found.values)


def test_the_grams_of_another_substance_would_be_seen() -> None:
    one = flux_field(cells(VALUES, units="g C m-2 day-1"))
    assert abs(float(one[0, 0]) - 1e6 / 44.009 / 86400) > 0.5


@pytest.mark.parametrize(
    ("unit", "found"),
    [
        (None, "found none; pass units="),
        ("", "found none"),
        ("kg m-2 s-1", "does not say of what"),
        ("g m-2 day-1", "does not say of what"),
        ("K", "'K' does not convert"),
        ("g C m-2", "'g C m-2' does not convert"),
        ("g C m-2 month-1", "a month has no fixed length"),
        ("1", "'1' does not convert"),
        ("bananas", "'bananas' is not understood"),
    ],
)
def test_a_unit_that_is_not_of_a_flux_is_refused(unit: str | None, found: str) -> None:
    attrs = {} if unit is None else {"units": unit}
    with pytest.raises(UnitError, match=rf"'nee': .*{found}") as error:
        flux_field(cells(VALUES, **attrs).rename("nee"))
    assert "umol m-2 s-1, mol m-2 s-1, g C m-2 day-1" in str(error.value)
    assert isinstance(error.value, ValueError)
    assert not isinstance(error.value, UsageError)
    assert error.value.exit_code == 1


@pytest.mark.parametrize(
    "name",
    [
        "surface_downward_mole_flux_of_carbon_dioxide",
        "surface_net_downward_mass_flux_of_carbon_dioxide_expressed_as_carbon_due_to_all_land_"
        "processes",
        "net_ecosystem_production_expressed_as_carbon",
        "net_primary_productivity_of_biomass_expressed_as_carbon",
        "gross_primary_productivity_of_biomass_expressed_as_carbon",
    ],
)
def test_the_sign_by_its_standard_name(name: str) -> None:
    flux = cells(VALUES, units="mol m-2 s-1", standard_name=name)
    assert sign_of(flux) == "uptake"
    found = flux_field(flux)
    np.testing.assert_allclose(found.values, -1e6 * VALUES)
    assert "standard_name" not in found.attrs
    # Past the door once more it stays.
    np.testing.assert_array_equal(flux_field(found).values, found.values)


@pytest.mark.parametrize(
    ("name", "standard", "factor"),
    [
        ("NBP", None, -1),
        ("nep", None, -1),
        ("netAtmosLandCO2Flux", None, -1),
        ("nee", None, 1),
        ("nbp_std_error", None, 1),
        ("nbp", "surface_upward_mole_flux_of_carbon_dioxide", 1),
    ],
)
def test_the_sign_by_the_name_of_the_variable(name: str, standard: str, factor: int) -> None:
    attrs = {"standard_name": standard} if standard else {}
    found = flux_field(cells(VALUES, units=FLUX_UNITS, **attrs).rename(name))
    np.testing.assert_array_equal(found.values, factor * VALUES)
    np.testing.assert_array_equal(flux_field(found).values, found.values)
    again = open_flux(monthly(found, "2014-01", "2014-02").assign_attrs(found.attrs).rename(name))
    np.testing.assert_array_equal(again["flux"][1].values, found.values)


def test_the_sign_by_argument_goes_before_the_name() -> None:
    upward = "surface_upward_mole_flux_of_carbon_dioxide"
    for name, sign, factor in (
        (None, None, 1),
        (None, "uptake", -1),
        (upward, None, 1),
        (upward, "uptake", -1),
        (upward.replace("up", "down"), "to_atmosphere", 1),
    ):
        attrs = {"standard_name": name} if name else {}
        found = flux_field(cells(VALUES, units=FLUX_UNITS, **attrs), sign=sign)
        np.testing.assert_array_equal(found.values, factor * VALUES)
        np.testing.assert_array_equal(flux_field(found).values, found.values)
    with pytest.raises(UsageError, match="expected sign 'to_atmosphere' or 'uptake', found 'sink'"):
        flux_field(cells(VALUES, units=FLUX_UNITS), sign="sink")


def test_numbers_as_they_lie_in_a_file_are_unpacked() -> None:
    values = np.array([[1.5, -2.25], [np.nan, 0.75]])
    raw = xr.DataArray(
        np.where(np.isnan(values), -999, values * 100).astype("int16"),
        {"lat": [40.5, 41.5], "lon": [0.5, 1.5]},
        ("lat", "lon"),
        attrs={"units": FLUX_UNITS, "scale_factor": 0.01, "_FillValue": np.int16(-999)},
    )
    np.testing.assert_allclose(flux_field(raw), values, rtol=1e-6)
    assert flux_field(raw).name is None
    # Of an earlier file, which the attributes of now go before.
    again = raw.copy()
    again.encoding = {"_FillValue": 7, "scale_factor": 3.0}
    np.testing.assert_allclose(flux_field(again), values, rtol=1e-6)
    limited = raw.assign_attrs(valid_range=[-200, 200])
    np.testing.assert_allclose(
        flux_field(limited), np.where(values < -2, np.nan, values), rtol=1e-6
    )
    area = raw.assign_attrs(units="km2")
    np.testing.assert_allclose(area_field(area), values * 1e6, rtol=1e-6)
    classes = xr.DataArray(
        np.array([[1, 255], [5, 16]], "uint8"), raw.coords, raw.dims, attrs={"_FillValue": 255}
    )
    assert class_field(classes).values.tolist() == [[1, -1], [5, 16]]


def test_a_standard_deviation_has_no_sign() -> None:
    std = cells(abs(VALUES), units="mol m-2 s-1", standard_name="surface_downward_x")
    found = in_flux_units(std, signed=False)
    np.testing.assert_allclose(found.values, 1e6 * abs(VALUES))
    assert "sign" not in found.attrs
    assert (in_flux_units(std) <= 0).where(found.notnull(), True).all()


def test_a_flux_in_any_order_comes_in_one() -> None:
    flux = monthly(VALUES, "2014-01", "2014-02")
    for turned in (like_an_inversion(flux), like_a_map(flux)):
        found = flux_field(turned)
        assert found.dims == ("time", "lat", "lon")
        np.testing.assert_array_equal(found.values, flux.values)
        assert not np.array_equal(turned.values, flux.values, equal_nan=True)


def test_other_dimensions_and_times_are_refused() -> None:
    flux = monthly(VALUES, "2014-01", "2014-02")
    with pytest.raises(FieldError, match=r"found it along member too; choose one"):
        flux_field(flux.expand_dims(member=2))
    with pytest.raises(TimeError, match="flux: expected dates along time, found none"):
        flux_field(flux.drop_vars("time"))
    daily = flux.assign_coords(time=np.array(["2014-01-01", "2014-01-02"], "datetime64[ns]"))
    with pytest.raises(TimeError, match="found one for 1 days"):
        flux_field(daily)
    assert flux_field(daily, monthly=False).sizes["time"] == 2
    for wrong in (flux.to_dataset(name="flux"), flux.values):
        with pytest.raises(UsageError, match=r"expected an xarray\.DataArray, found"):
            flux_field(wrong)


GRID = Grid.from_corners([-6.0, -3, 0, 3], [40.0, 42, 44])


def test_areas_in_any_unit_of_area() -> None:
    area = cells(GRID.area, GRID.lat, GRID.lon, units="m2")
    for unit, factor in (("m2", 1), ("m^2", 1), ("km2", 1e-6), ("km^2", 1e-6), ("hectare", 1e-4)):
        found = area_field((area * factor).assign_attrs(units=unit))
        np.testing.assert_allclose(found.values, GRID.area, rtol=1e-12)
        assert found.attrs["units"] == "m2"
    np.testing.assert_array_equal(area_field(like_a_map(area)).values, area.values)
    np.testing.assert_array_equal(area_field(area.drop_attrs(deep=False)).values, area.values)


def test_what_is_no_area_is_refused() -> None:
    area = cells(GRID.area, GRID.lat, GRID.lon)
    for wrong in (area * 1e-6, xr.ones_like(area), area * 1e6):
        with pytest.raises(UnitError, match=r"expected areas in m2, such as .* without a unit"):
            area_field(wrong)
    # Shares of a cell within reason, or cells of a sphere of another radius, are areas.
    area_field(area * 0.3)
    for unit in ("m", "K", "1", "rad2"):
        with pytest.raises(UnitError, match="expected a unit of area, such as m2"):
            area_field(area.assign_attrs(units=unit))
    with pytest.raises(FieldError, match="expected areas along lat and lon"):
        area_field(area.expand_dims(time=2))


def test_classes_are_integers_and_minus_one() -> None:
    classes = cells(np.array([[0, 5.0, np.nan], [17, -1, 12]]))
    found = class_field(classes)
    assert found.dtype == np.int16
    assert found.values.tolist() == [[0, 5, -1], [17, -1, 12]]
    assert class_field(like_an_inversion(classes)).values.tolist() == found.values.tolist()
    small = classes.fillna(-1).astype("int8")
    assert class_field(small).dtype == np.int8


@pytest.mark.parametrize("wrong", [100, 18, -2, 1.5, np.inf])
def test_a_class_that_igbp_has_not_is_refused(wrong: float) -> None:
    values = np.array([[0, 5.0, wrong], [17, -1, 12]])
    with pytest.raises(FieldError, match=rf"biome: expected IGBP classes 0 to 17.*found {wrong:g}"):
        class_field(cells(values))
    if wrong == 100:
        with pytest.raises(FieldError, match="found 100"):
            class_field(cells(values.astype("uint8") % 101))
    with pytest.raises(FieldError, match="expected classes along lat and lon"):
        class_field(cells(values).expand_dims(time=2))


def test_the_plane_of_a_field() -> None:
    assert plane_of(cells(VALUES)) == ("lat", "lon")
    y, x = np.mgrid[:2, :3]
    bent = xr.DataArray(
        VALUES, {"lat": (("j", "i"), 40.0 + y), "lon": (("j", "i"), 5.0 + x + 0.1 * y)}, ("j", "i")
    )
    assert plane_of(bent) == ("j", "i")


def test_kinds_of_errors() -> None:
    for kind in (FieldError, UnitError, TimeError, GridMismatchError):
        assert issubclass(kind, ValueError)
        assert not issubclass(kind, UsageError)
        assert kind.exit_code == 1
    assert UsageError.exit_code == 2
