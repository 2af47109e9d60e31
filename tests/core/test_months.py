"""The month axis: true lengths, any calendar, one value a month."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.months import (
    days_in_month,
    gaps,
    month_starts,
    to_month_starts,
    with_month_axis,
)


def test_lengths_of_a_leap_year_and_its_neighbour() -> None:
    time = xr.DataArray(month_starts("2007-12", "2008-03"), dims="time")
    assert days_in_month(time).values.tolist() == [31, 31, 29, 31]
    other = xr.DataArray(month_starts("2009-02", "2009-02"), dims="time")
    assert days_in_month(other).values.tolist() == [28]


def test_a_century_that_is_no_leap_year() -> None:
    time = xr.DataArray(month_starts("1900-02", "1900-02"), dims="time")
    assert days_in_month(time).item() == 28


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day", "proleptic_gregorian"])
def test_any_stamp_and_calendar_becomes_its_month(calendar: str) -> None:
    days = {"noleap": [15, 45.5, 59], "360_day": [15, 45.5, 60]}.get(calendar, [15, 45.5, 60])
    time = xr.decode_cf(
        xr.Dataset(
            coords={
                "time": ("time", days, {"units": "days since 2008-01-01", "calendar": calendar})
            }
        )
    )["time"]
    found = to_month_starts(time)
    assert found.dtype == "datetime64[ns]"
    assert found.astype("datetime64[M]").astype(str).tolist() == ["2008-01", "2008-02", "2008-03"]


def test_two_stamps_in_a_month_are_refused() -> None:
    time = xr.DataArray(np.array(["2008-02-01", "2008-02-29"], "datetime64[ns]"), dims="time")
    with pytest.raises(NarcfError, match=r"2 time stamps in 2008-02"):
        to_month_starts(time)


def test_years_that_are_none_are_refused() -> None:
    time = xr.date_range("0001-01-01", periods=3, freq="MS", use_cftime=True)
    with pytest.raises(NarcfError, match="climatology: true"):
        to_month_starts(xr.DataArray(time, dims="time"))


def test_numbers_are_no_dates() -> None:
    with pytest.raises(NarcfError, match=r"dates.*float64"):
        to_month_starts(xr.DataArray([1.0, 2.0], dims="time"))


def test_the_axis_has_bounds_that_touch() -> None:
    ds = xr.Dataset({"a": ("time", [1.0, 2.0, 3.0])}, coords={"time": [9, 8, 7]})
    ds["time_bnds"] = (("time", "nv"), np.zeros((3, 2)))
    found = with_month_axis(ds, month_starts("2007-12", "2008-02"))
    assert found["time"].values.astype("datetime64[D]").astype(str).tolist() == [
        "2007-12-01",
        "2008-01-01",
        "2008-02-01",
    ]
    bounds = found["time_bnds"].values
    np.testing.assert_array_equal(bounds[1:, 0], bounds[:-1, 1])
    assert bounds[-1, 1] == np.datetime64("2008-03-01")
    assert found["a"].values.tolist() == [1, 2, 3]


def test_a_gap_across_new_year_is_one() -> None:
    present = month_starts("2007-01", "2007-11").union(month_starts("2008-03", "2008-12"))
    (gap,) = gaps(present)
    assert (f"{gap.first:%Y-%m}", f"{gap.last:%Y-%m}", gap.months) == ("2007-12", "2008-02", 3)
    # The control: a month between makes two of it.
    assert [g.months for g in gaps(present.union(month_starts("2008-01", "2008-01")))] == [1, 1]
