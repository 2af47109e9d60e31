"""Dates along time: read from what the file says, never guessed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.core.errors import TimeError
from narcf_geo.fields import on_month_axis
from narcf_geo.fields.dates import dated


def along(values: object, **attrs: str) -> xr.Dataset:
    """A series along a time axis of these values."""
    time = xr.DataArray(np.asarray(values), dims="time", attrs=attrs)
    return xr.Dataset({"x": ("time", np.arange(time.size, dtype=float))}, {"time": time})


def months(ds: xr.Dataset) -> list[str]:
    return on_month_axis(ds)["time"].dt.strftime("%Y-%m").values.tolist()


@pytest.mark.parametrize(
    ("values", "units", "expected"),
    [
        ([0.0, 1.0, 13.0], "months since 2000-07-01", ["2000-07", "2000-08", "2001-08"]),
        ([0.5, 1.5, 2.5], "months since 1999-11-01 00:00:00", ["1999-11", "1999-12", "2000-01"]),
        ([0.0, 1 / 12, 2 / 12], "years since 2003-01-01", ["2003-01", "2003-02", "2003-03"]),
        ([15, 45], "days since 2001-01-01", ["2001-01", "2001-02"]),
        ([200111, 200112, 200201], "", ["2001-11", "2001-12", "2002-01"]),
        ([20011116, 20011216], "", ["2001-11", "2001-12"]),
        ([20011116.5, 20011216.5], "day as %Y%m%d.%f", ["2001-11", "2001-12"]),
        ([1979.042, 1979.125, 1979.208], "", ["1979-01", "1979-02", "1979-03"]),
        ([1979.0, 1979 + 1 / 12, 1979 + 2 / 12], "year", ["1979-01", "1979-02", "1979-03"]),
    ],
)
def test_numbers_that_spell_dates(values: list, units: str, expected: list[str]) -> None:
    assert months(along(values, **({"units": units} if units else {}))) == expected


@pytest.mark.parametrize(
    "texts",
    [
        ["2001-07-16", "2001-08-16"],
        [b"2001-07-16_00:00:00", b"2001-08-16_00:00:00"],
        ["200107", "200108"],
        ["2001-07", "2001-08"],
    ],
)
def test_texts(texts: list) -> None:
    assert months(along(texts)) == ["2001-07", "2001-08"]


@pytest.mark.parametrize("values", [[0, 1, 2], [1, 2, 3], [0.1, 0.2, 0.3], [200113, 200114]])
def test_what_says_nothing_is_refused(values: list) -> None:
    with pytest.raises(TimeError, match="expected dates along time"):
        on_month_axis(along(values))


def test_whole_years_are_no_months() -> None:
    for values, units in (([2001, 2002, 2003], "year"), ([0, 1, 2], "years since 2001-01-01")):
        with pytest.raises(TimeError, match="found one for 365 days"):
            on_month_axis(along(values, units=units))


def test_a_date_that_is_missing_is_named() -> None:
    stamps = np.array(["2001-01-01", "NaT"], "datetime64[ns]")
    with pytest.raises(TimeError, match="NaT"):
        on_month_axis(along(stamps))
    with pytest.raises(TimeError, match="NaN"):
        on_month_axis(along([0.0, np.nan], units="days since 2001-01-01"))


def test_a_scalar_date_stays_a_scalar() -> None:
    ds = xr.Dataset({"x": 1.0}, {"time": ((), 200107)})
    found = on_month_axis(ds)["time"]
    assert found.dims == ()
    assert pd.Timestamp(found.values) == pd.Timestamp("2001-07-01")


def test_years_beyond_what_can_be_held_are_refused() -> None:
    with pytest.raises(TimeError, match="years 1678 to 2261"):
        dated(along([0, 1], units="months since 0001-01-01"))
