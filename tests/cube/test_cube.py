"""Months aligned by their stamps, and pieces joined cell by cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.core.errors import (
    FieldError,
    GridMismatchError,
    NarcfError,
    TimeError,
    UnitError,
    UsageError,
)
from narcf_geo.core.months import month_starts, with_month_axis
from narcf_geo.cube.cube import build_cube, join, on_months
from narcf_geo.grid import Grid

GRID = Grid.regular(-100, 40, -97, 42, 1)


def monthly(first: str, last: str, name: str = "temp") -> xr.Dataset:
    """Values that tell year and month, and the cell."""
    months = month_starts(first, last)
    stamp = (months.year * 100 + months.month).values.astype(float)
    values = stamp[:, None, None] + np.arange(6).reshape(2, 3) / 10
    ds = xr.Dataset({name: (("time", "lat", "lon"), values)}, coords={"time": months})
    return with_month_axis(ds.assign_coords(GRID.coords()), months)


def test_months_are_aligned_by_stamp() -> None:
    months = month_starts("2007-03", "2008-02")
    found = on_months(monthly("2007-01", "2007-12"), months, months[:10], where="x")
    assert found["temp"][:, 0, 0].values[:10].tolist() == [200700 + m for m in range(3, 13)]
    assert found["temp"][10:].isnull().all()
    assert pd.DatetimeIndex(found["time"].values).equals(months)
    assert found["time_bnds"].values[-1, 1] == np.datetime64("2008-03-01")


def test_stamps_in_the_middle_and_backwards() -> None:
    ds = monthly("2007-01", "2007-04")
    ds = ds.assign_coords(time=ds["time"] + np.timedelta64(14, "D")).isel(time=[3, 0, 2, 1])
    months = month_starts("2007-01", "2007-04")
    found = on_months(ds, months, months, where="x")
    assert found["temp"][:, 0, 0].values.tolist() == [200701, 200702, 200703, 200704]


def test_a_climatology_repeats_and_the_static_stays() -> None:
    values = np.arange(1.0, 13)[:, None, None] * np.ones((12, 2, 3))
    ds = xr.Dataset({"ndvi": (("time", "lat", "lon"), values)}, coords={"time": np.arange(1, 13)})
    months = month_starts("2007-11", "2009-02")
    found = on_months(ds, months, months, where="x")
    assert found["ndvi"][:, 1, 2].values.tolist() == months.month.tolist()
    static = ds.isel(time=0, drop=True)
    assert on_months(static, months, months, where="x") is static


@pytest.mark.parametrize(
    ("required", "words"),
    [
        ("2008-03", "2008-01 to 2008-03; 3 of them are absent.*2007-01 to 2007-12"),
        (None, "2010-01"),
    ],
)
def test_absent_months_are_named(required: str | None, words: str) -> None:
    ds = monthly("2007-01", "2007-12")
    months = month_starts("2007-01", "2008-03") if required else month_starts("2010-01", "2010-12")
    with pytest.raises(NarcfError, match=f"(?s)sif: expected every month from {words}"):
        on_months(ds, months, months if required else months[:0], where="sif")


def test_join() -> None:
    months = month_starts("2007-01", "2007-03")
    biomes = xr.Dataset(
        {"biome": (("lat", "lon"), np.arange(6, dtype="int8").reshape(2, 3))}
    ).assign_coords(GRID.coords())
    predictors = monthly("2007-01", "2007-03")
    # Coordinates that went through a file may differ in the last bits.
    predictors["lat"] = predictors["lat"] + 1e-13
    flux = monthly("2007-01", "2007-03", "flux")["flux"]
    cube = join(predictors, biomes, {"flux_target": flux}, GRID)
    assert cube["temp"].shape == cube["flux_target"].shape == (3, 2, 3)
    np.testing.assert_array_equal(cube["temp"], cube["flux_target"])
    np.testing.assert_allclose(cube["cell_area"], GRID.area)
    assert pd.DatetimeIndex(cube["time"].values).equals(months)
    with pytest.raises(ValueError, match="time"):
        join(predictors, biomes, {"flux_target": flux[1:]}, GRID)
    with pytest.raises(GridMismatchError, match=r"'temp' on the grid of 'the cube' \(2 x 3 cells"):
        join(predictors.isel(lat=[0]), biomes, {}, GRID)
    moved = flux.assign_coords(lon=flux["lon"] + 0.5)
    with pytest.raises(GridMismatchError, match="'flux_target'"):
        join(predictors, biomes, {"flux_target": moved}, GRID)
    turned = join(predictors[["temp"]].isel(lat=[1, 0]), biomes, {"flux_target": flux}, GRID)
    xr.testing.assert_identical(turned, cube)
    # Predictors of one month may all be without time: maps of a climate.
    maps = predictors[["temp"]].isel(time=0, drop=True).drop_vars("time_bnds", errors="ignore")
    still = join(maps, biomes, {"flux_target": flux}, GRID)
    np.testing.assert_array_equal(still["temp"], predictors["temp"][0])
    assert pd.DatetimeIndex(still["time"].values).equals(months)
    words = "'flux_truth': expected the time axis of 'flux_target' .3 from 2007-01 to 2007-03"
    with pytest.raises(ValueError, match=words):
        join(maps, biomes, {"flux_target": flux, "flux_truth": flux[1:]}, GRID)


def carbon(first: str, last: str) -> xr.DataArray:
    """A flux that counts uptake as positive, in g C a day, rows north to south, 0 to 360."""
    flux = monthly(first, last, "nbp")["nbp"].isel(lat=[1, 0]).transpose("lon", "lat", "time")
    flux = flux.assign_coords(lon=flux["lon"] % 360).rename(lat="latitude", lon="longitude")
    name = "surface_net_downward_mass_flux_of_carbon_dioxide_expressed_as_carbon"
    attrs = {"units": "g C m-2 day-1", "standard_name": f"{name}_due_to_all_land_processes"}
    return (flux * 12.011e-6 * 86400).assign_attrs(attrs)


CLASSES = xr.DataArray(
    [[5.0, 12, np.nan], [0, 12, 10]], {"lat": GRID.lat, "lon": GRID.lon}, ("lat", "lon")
)


def temperature(first: str = "2007-01", last: str = "2007-06") -> xr.DataArray:
    return monthly(first, last)["temp"].assign_attrs(units="degC")


def test_a_cube_of_arrays_laid_out_otherwise() -> None:
    height = xr.DataArray(
        [[6.0, 5, 4], [3, 2, 1]],
        {"y": [41.5, 40.5], "x": [260.5, 261.5, 262.5]},
        ("y", "x"),
        "height",
        {"units": "m"},
    ).rename(y="latitude", x="longitude")
    mid_month = temperature().assign_coords(time=temperature()["time"] + np.timedelta64(14, "D"))
    exchange = (-carbon("2007-01", "2007-02")).rename("nee")
    exchange.attrs = {"units": "g C m-2 day-1"}
    fluxes = {"target": carbon("2007-03", "2007-12"), "reference": exchange}
    cube = build_cube([mid_month, height], CLASSES, fluxes)
    assert cube["temp"].dims == ("time", "lat", "lon")
    months = month_starts("2007-01", "2007-06")
    assert pd.DatetimeIndex(cube["time"].values).equals(months)
    np.testing.assert_array_equal(cube["temp"], temperature())
    np.testing.assert_array_equal(cube["height"], [[3, 2, 1], [6, 5, 4]])
    np.testing.assert_array_equal(cube["biome"], [[5, 12, -1], [0, 12, 10]])
    np.testing.assert_allclose(cube["flux_target"][2:], -temperature()[2:], rtol=1e-12)
    assert cube["flux_target"][:2].isnull().all()
    np.testing.assert_allclose(cube["flux_reference"][:2], -temperature()[:2], rtol=1e-12)
    assert cube["flux_target"].attrs["units"] == "umol m-2 s-1"
    np.testing.assert_allclose(cube["cell_area"], GRID.area)
    again = build_cube([mid_month, height], cube[["biome", "class_fraction"]], fluxes, GRID)
    np.testing.assert_array_equal(again["class_fraction"], cube["class_fraction"])


def test_a_climatology_repeats_in_a_cube() -> None:
    values = np.arange(1.0, 13)[:, None, None] * np.ones((12, 2, 3))
    ndvi = xr.DataArray(
        values,
        {"time": np.arange(1, 13), "lat": GRID.lat, "lon": GRID.lon},
        ("time", "lat", "lon"),
        "ndvi",
        {"units": "1"},
    )
    winter = "2007-11", "2008-02"
    cube = build_cube([temperature(*winter), ndvi], CLASSES, carbon(*winter))
    assert cube["ndvi"][:, 1, 2].values.tolist() == [11, 12, 1, 2]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"predictors": temperature().drop_attrs()}, UnitError, "'temp': expected a unit"),
        ({"predictors": []}, UsageError, "at least one predictor"),
        ({"predictors": [temperature(), temperature()]}, UsageError, "temp twice"),
        ({"predictors": temperature().expand_dims(level=2)}, FieldError, "along level too"),
        (
            {"predictors": [temperature(), temperature("2007-02", "2007-07").rename("t2")]},
            TimeError,
            r"'t2' 2007-02 to 2007-07; pass months=\('2007-02', '2007-06'\)",
        ),
        ({"months": ("2007-01", "2007-07")}, NarcfError, "'temp': expected every month"),
        ({"fluxes": carbon("2009-01", "2009-02")}, NarcfError, "flux_target: expected every month"),
        ({"fluxes": carbon("2007-01", "2007-03").drop_attrs()}, UnitError, "flux_target: expected"),
        ({"fluxes": carbon("2007-01", "2007-03")[1:]}, GridMismatchError, "'flux_target' on the"),
        ({"fluxes": {"observed": carbon("2007-01", "2007-03")}}, UsageError, "'observed'"),
        ({"land_cover": xr.Dataset({"x": 1})}, UsageError, "expected biomes"),
        ({"target": Grid.regular(-100, 40, -97, 42, (1, 0.5))}, GridMismatchError, "'temp'"),
    ],
)
def test_what_makes_no_cube(changes: dict, error: type[NarcfError], words: str) -> None:
    given = {
        "predictors": temperature(),
        "land_cover": CLASSES,
        "fluxes": carbon("2007-01", "2007-06"),
    }
    assert build_cube(**given).sizes["time"] == 6
    with pytest.raises(error, match=words):
        build_cube(**{**given, **changes})
