"""What kind of variable a field is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from narcf_geo.fields.formats import open_format
from narcf_geo.fields.meaning import area_measures, meaning_of, nodata_classes, stored_dtype


def kind(dtype: str = "f4", name: str = "v", encoding: dict | None = None, **attrs: Any) -> str:
    field = xr.DataArray(np.zeros(2, dtype), name=name, attrs=attrs)
    field.encoding = encoding or {}
    return meaning_of(field).kind


@pytest.mark.parametrize(
    "units",
    [
        "K",
        "kg m-2",
        "kg m-2 s-1",
        "W m-2",
        "J m-2",
        "J kg-1",
        "kg kg-1",
        "%",
        "1",
        "",
        "Pa",
        "m",
        "mm/day",
        "g C m-2 month-1",
        "umol m-2 s-1",
        "t ha-1",
        "m2 m-2",
        "people km-2",
        "K day",
        "Persons per square kilometer",
        "degC",
        "kg m-3",
        "m s-1",
        "dBZ",
    ],
)
def test_values_per_area_or_without_one_are_measures(units: str) -> None:
    assert kind(units=units) == "intensive"


@pytest.mark.parametrize(
    "units",
    [
        "kg",
        "g",
        "t",
        "mol",
        "Tg C yr-1",
        "kg s-1",
        "mol s-1",
        "Pg month-1 cell-1",
        "W",
        "MW",
        "J",
        "m3",
        "people",
        "persons",
        "kg C / month",
        "tonnes",
        "t CO2eq yr-1",
        "Gg CO2-eq",
        "kt yr-1",
        "people cell-1",
        "persons per grid cell",
        "Fires/pixel",
    ],
)
def test_amounts_in_a_cell_are_added_up(units: str) -> None:
    assert kind(units=units) == "extensive"


@pytest.mark.parametrize("units", ["m3 s-1", "m3/s", "m**3 s**-1", "m3 day-1", "km3 yr-1"])
def test_volumes_per_time_are_asked_about(units: str) -> None:
    assert kind(units=units) == "unclear"


def test_cell_methods_say_more_than_units() -> None:
    assert kind(units="1", cell_methods="time: mean area: sum") == "extensive"
    assert kind(units="kg", cell_methods="area: mean") == "intensive"
    assert kind(units="1", cell_methods="area: mode") == "categorical"
    assert kind("i4", units="1", cell_methods="lat: lon: sum") == "extensive"
    assert kind(units="1", cell_methods="longitude: latitude: sum") == "extensive"
    assert kind(units="1", cell_methods="area: time: sum") == "extensive"
    assert kind(units="1", cell_methods="time: sum") == "intensive"
    assert kind(units="1", cell_methods="area: mean time: sum") == "intensive"


@pytest.mark.parametrize("dtype", ["i1", "u1", "f4", "f8", "i4"])
def test_flag_values_make_classes_of_any_type(dtype: str) -> None:
    assert kind(dtype, flag_values=[1, 2], units="1") == "categorical"
    assert kind(dtype, flag_masks=[1, 2], flag_values=[1, 2]) == "flags"
    assert kind(dtype, color_interpretation="palette") == "categorical"


def test_small_integers_are_classes_and_wide_ones_are_asked_about() -> None:
    assert kind("u1") == kind("i1") == "categorical"
    assert kind("f4", encoding={"dtype": "uint8", "_FillValue": 255}) == "categorical"
    assert kind("i2") == kind("u2") == kind("i4") == kind("i8") == "unclear"
    assert kind("u1", units="1") == "unclear"
    assert not meaning_of(xr.DataArray(np.zeros(2, "u1"))).stated


@pytest.mark.parametrize("units", ["K", "%", "m", "kg m-2"])
def test_integers_with_a_unit_are_measures(units: str) -> None:
    assert kind("i2", units=units) == kind("u1", units=units) == "intensive"


def test_packed_integers_are_no_classes() -> None:
    packed = {"dtype": "int8", "scale_factor": 0.5}
    assert kind("f4", encoding=packed) == "intensive"
    assert kind("i1", scale_factor=0.5) == "intensive"
    assert kind("f4", encoding={"dtype": "int16", "scales": (0.1, 0.5)}) == "intensive"
    # GDAL's way of saying that nothing is packed.
    assert kind("f4", encoding={**packed, "scale_factor": 1.0, "add_offset": 0.0}) == "categorical"


@pytest.mark.parametrize(
    "attrs",
    [{"name": "population"}, {"name": "n_obs"}, {"name": "x", "long_name": "number of people"}],
)
@pytest.mark.parametrize("dtype", ["f4", "u1", "i4"])
def test_counts_are_asked_about(dtype: str, attrs: dict) -> None:
    assert kind(dtype, **attrs) == "unclear"
    assert kind(dtype, units="count") == "unclear"
    assert kind("f4", name="population_density") == "intensive"


def test_masks_are_fractions() -> None:
    assert kind("?") == kind("i1", standard_name="land_binary_mask", units="1") == "intensive"


def test_areas() -> None:
    assert kind(units="m2", standard_name="cell_area") == "cell_area"
    assert kind(units="km2", name="areacella") == "cell_area"
    assert kind(units="m2", name="burned_area") == "extensive"
    ds = xr.Dataset({"t": ((), 1.0, {"cell_measures": "area: a volume: v"}), "a": ((), 1.0)})
    assert area_measures(ds) == {"a"}
    named = ds["a"].assign_attrs(units="m2")
    assert meaning_of(named).kind == "extensive"
    assert meaning_of(named, area_measures(ds)).kind == "cell_area"


def test_directions() -> None:
    assert kind(units="degree", standard_name="wind_from_direction") == "direction"
    assert kind(units="degrees", name="mwd", long_name="Mean wave direction") == "direction"
    assert kind(units="radians", name="aspect") == "direction"
    for units in ("°", "Degree true", "degrees_true", "degree_T", "rad"):
        assert kind(units=units, name="winddirection") == "direction", units
    assert kind(units="degrees_east", name="direction") == "intensive"
    assert kind(units="degrees", name="slope") == "intensive"
    assert kind(units="m s-1", name="direction") == "intensive"


def test_minus_one_is_nodata_unless_it_is_a_class() -> None:
    field = xr.DataArray([1], attrs={"missing_value": 7, "flag_values": np.array([-1, 1])})
    assert nodata_classes(field) == [7.0]
    assert nodata_classes(xr.DataArray([1])) == [-1.0]


@pytest.mark.parametrize("nodata", [None, 255])
def test_rasters_of_classes_and_of_heights(tmp_path: Path, nodata: int | None) -> None:
    import rasterio
    from rasterio.transform import from_bounds

    place = {"crs": "EPSG:4326", "transform": from_bounds(0, 0, 4, 3, 4, 3), "nodata": nodata}
    shape = {"count": 1, "width": 4, "height": 3, "driver": "GTiff"}
    for name, dtype, palette, expected in (
        ("cover", "uint8", False, "categorical"),
        ("height", "int16", False, "unclear"),
        ("coloured", "uint16", True, "categorical"),
    ):
        path = tmp_path / f"{name}.tif"
        with rasterio.open(path, "w", dtype=dtype, **shape, **place) as raster:
            raster.write(np.arange(12, dtype=dtype).reshape(1, 3, 4))
            if palette:
                raster.write_colormap(1, {k: (k, k, k, 255) for k in range(12)})
        field = open_format(path)["band_data"]
        assert stored_dtype(field) == dtype
        assert meaning_of(field).kind == expected
