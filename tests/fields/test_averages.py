"""Monthly means of finer steps: weights by time, gaps, calendars."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.fields.averages import monthly_mean


def steps(
    time: pd.DatetimeIndex | xr.DataArray, values: np.ndarray, units: str = "K"
) -> xr.Dataset:
    data = np.stack([values, values + 100], axis=1)[:, :, None] * np.ones(3)
    return xr.Dataset(
        {"air": (("time", "lat", "lon"), data, {"units": units}), "orog": ("lat", [1.0, 2.0])},
        coords={"time": time, "lat": [40.0, 41.0], "lon": [5.0, 6.0, 7.0]},
    )


@pytest.mark.parametrize("hour", [0, 12])
def test_days(hour: int) -> None:
    time = pd.date_range("2008-02-01", "2008-03-31", freq="D") + pd.Timedelta(hours=hour)
    found = monthly_mean(steps(time, np.arange(60.0)).chunk(time=7), 0.9)
    assert found["time"].values.astype("datetime64[D]").astype(str).tolist() == [
        "2008-02-01",
        "2008-03-01",
    ]
    np.testing.assert_allclose(found["air"][:, 0, 1], [np.arange(29).mean(), 44.0])
    np.testing.assert_allclose(found["air"][:, 1, 0], [114.0, 144.0])
    assert found["air"].attrs["units"] == "K"
    assert found["orog"].dims == ("lat",)
    assert found["air"].chunks is not None


def test_hours_agree_with_pandas() -> None:
    time = pd.date_range("2007-12-01", "2008-02-29 23:00", freq="3h")
    values = np.sin(np.arange(time.size) / 5) + np.arange(time.size) / 50
    found = monthly_mean(steps(time, values), 1.0)
    expected = pd.Series(values, time).resample("MS").mean()
    np.testing.assert_allclose(found["air"][:, 0, 0], expected)


def test_an_interval_across_two_months_counts_by_its_time_in_each() -> None:
    starts = np.array(["2007-01-01", "2007-01-29"], "datetime64[ns]")
    ends = np.array(["2007-01-29", "2007-03-01"], "datetime64[ns]")
    ds = steps(pd.DatetimeIndex(ends), np.array([1.0, 5.0]))
    ds["time_bnds"] = (("time", "nv"), np.stack([starts, ends], axis=1))
    ds["time"].attrs["bounds"] = "time_bnds"
    found = monthly_mean(ds, 0.9)
    np.testing.assert_allclose(found["air"][:, 0, 0], [(28 * 1 + 3 * 5) / 31, 5.0])
    assert "time_bnds" not in found


def test_a_month_too_little_covered_is_missing() -> None:
    time = pd.date_range("2007-01-01", "2007-02-20", freq="D")
    values = np.arange(51.0)
    values[3:6] = np.nan
    ds = steps(time, values)
    found = monthly_mean(ds, 0.8)["air"][:, 0, 0].values
    assert found[0] == pytest.approx(np.nanmean(values[:31]))
    assert np.isnan(found[1])
    assert np.isnan(monthly_mean(ds, 0.95)["air"][0, 0, 0])
    assert monthly_mean(ds, 0.5)["air"][1, 0, 0] == pytest.approx(40.5)


def test_a_month_without_any_step_is_missing() -> None:
    time = pd.date_range("2007-01-01", "2007-03-31", freq="D")
    found = monthly_mean(steps(time, np.ones(90)).isel(time=time.month != 2), 0.9)
    np.testing.assert_array_equal(found["air"][:, 0, 0], [1, np.nan, 1])


@pytest.mark.parametrize(("calendar", "days"), [("noleap", 28), ("360_day", 30), ("standard", 29)])
def test_calendars(calendar: str, days: int) -> None:
    time = xr.date_range("2008-02-01", periods=days, calendar=calendar, use_cftime=True)
    found = monthly_mean(steps(time, np.arange(float(days))), 1.0)
    assert found.sizes["time"] == 1
    assert found["air"][0, 0, 0] == pytest.approx((days - 1) / 2)
    assert found["time"].dtype == "datetime64[ns]"


def test_order_of_the_steps_is_of_no_matter() -> None:
    time = pd.date_range("2007-01-01", "2007-02-28", freq="D")
    ds = steps(time, np.arange(59.0) ** 2)
    shuffled = ds.isel(time=np.random.default_rng(1).permutation(59))
    xr.testing.assert_allclose(monthly_mean(ds, 0.9), monthly_mean(shuffled, 0.9))


def test_what_cannot_be_averaged() -> None:
    one = pd.DatetimeIndex(["2007-01-01"])
    with pytest.raises(NarcfError, match=r"single stamp.*metadata\.time"):
        monthly_mean(steps(one, np.ones(1)), 0.9)
    twice = pd.DatetimeIndex(["2007-01-01", "2007-01-02", "2007-01-02"])
    with pytest.raises(NarcfError, match="twice"):
        monthly_mean(steps(twice, np.ones(3)), 0.9)
    with pytest.raises(NarcfError, match="dates along time"):
        monthly_mean(steps(xr.DataArray([1.0, 2.0], dims="time"), np.ones(2)), 0.9)


def test_gaps_are_told_as_a_table() -> None:
    from narcf_geo.core.months import month_starts
    from narcf_geo.cube.cube import on_months

    months = month_starts("2007-01", "2007-12")
    held = months[[0, 1, 5, 11]]
    ds = xr.Dataset({"a": ("time", np.arange(4.0))}, coords={"time": held})
    with pytest.raises(NarcfError, match="8 of them are absent") as caught:
        on_months(ds, months, months, where="source 'a'")
    rows = [line.split() for line in str(caught.value).splitlines()[2:]]
    assert rows == [["2007-03", "to", "2007-05", "3"], ["2007-07", "to", "2007-11", "5"]]
    found = on_months(ds, months, held, where="source 'a'")
    assert np.isfinite(found["a"].values).nonzero()[0].tolist() == [0, 1, 5, 11]


def test_a_climatology_repeats() -> None:
    from narcf_geo.core.months import month_starts
    from narcf_geo.cube.cube import on_months

    ds = xr.Dataset({"a": ("time", np.arange(1.0, 13.0))}, coords={"time": np.arange(1, 13)})
    months = month_starts("2007-11", "2008-02")
    found = on_months(ds, months, months, where="a")
    assert found["a"].values.tolist() == [11, 12, 1, 2]
