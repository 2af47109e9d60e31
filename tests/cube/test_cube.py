"""Months aligned by their stamps, and pieces joined cell by cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.months import month_starts, with_month_axis
from narcf_geo.cube.cube import join, on_months
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
    with pytest.raises(NarcfError, match=r"expected data on the target grid \(2, 3\)"):
        join(predictors.isel(lat=[0]), biomes, {}, GRID)
