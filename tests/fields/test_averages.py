"""Monthly means of finer steps: weights by time, gaps, calendars."""

from __future__ import annotations

from pathlib import Path

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


def months_of(ds: xr.Dataset, name: str) -> dict[str, np.ndarray]:
    months = pd.DatetimeIndex(ds["time"].values).strftime("%Y-%m")
    fields = np.moveaxis(ds[name].values, ds[name].dims.index("time"), 0)
    return dict(zip(months, fields, strict=True))


HOURS = {"start": 0.0, "middle": 0.5, "anywhere": 1 / 3}


@pytest.mark.parametrize("place", HOURS)
@pytest.mark.parametrize("hours", [0.5, 1, 3, 6, 12, 24])
def test_a_stamp_may_lie_anywhere_in_its_step(hours: float, place: str) -> None:
    starts = pd.date_range("2001-01-01", "2001-03-01", freq=f"{60 * hours:.0f}min")[:-1]
    time = starts + pd.Timedelta(hours=hours * HOURS[place])
    found = monthly_mean(xr.Dataset({"a": ("time", starts.month.values)}, {"time": time}), 1.0)
    assert months_of(found, "a") == {"2001-01": 1.0, "2001-02": 2.0}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_stamps_in_the_middle_of_steps_in_a_file_of_few_digits(tmp_path: Path, dtype: str) -> None:
    days = (np.arange(24 * 59) + 0.5) / 24 + 400
    values = np.where(days - 400 < 31, 1.0, 2.0)
    ds = xr.Dataset({"a": ("time", values)}, {"time": ("time", days.astype(dtype))})
    ds["time"].attrs = {"units": "days since 1999-11-28", "calendar": "standard"}
    ds.to_netcdf(tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc") as opened:
        assert months_of(monthly_mean(opened, 1.0), "a") == {"2001-01": 1.0, "2001-02": 2.0}


def test_five_days_stamped_at_noon_are_centred() -> None:
    starts = pd.date_range("2001-01-01", "2001-12-31", freq="5D")
    ds = xr.Dataset({"a": ("time", np.arange(73.0))}, {"time": starts + pd.Timedelta(hours=60)})
    days = pd.Series(np.repeat(np.arange(73.0), 5), pd.date_range("2001-01-01", "2001-12-31"))
    expected = days.resample("MS").mean()
    np.testing.assert_allclose(monthly_mean(ds, 1.0)["a"], expected)
    # Control: five days that begin at midnight keep their stamps.
    later = monthly_mean(ds.assign_coords(time=starts + pd.Timedelta(days=2)), 0.5)["a"]
    assert later.sel(time="2001-03").item() != pytest.approx(expected["2001-03"].item())


def test_a_short_step_ends_where_the_next_begins() -> None:
    years = [pd.date_range(f"{y}-01-01", f"{y}-12-31", freq="8D") for y in (2001, 2002)]
    time = years[0].append(years[1])
    found = monthly_mean(xr.Dataset({"a": ("time", time.year.values)}, {"time": time}), 0.9)["a"]
    assert found.sel(time="2001-12").item() == 2001
    assert found.sel(time="2002-01").item() == 2002


AT_END = {"long_name": "time at the end of the averaging interval"}


def test_stamps_at_the_end_of_steps_where_the_attributes_say_so() -> None:
    ends = pd.date_range("2001-01-01 03:00", "2001-03-01", freq="3h")
    month = (ends - pd.Timedelta(hours=3)).month.values
    ds = xr.Dataset({"a": ("time", month)}, {"time": ends})
    wanted = {"2001-01": 1.0, "2001-02": 2.0}
    said = ds.assign_coords(time=ds["time"].assign_attrs(AT_END))
    assert months_of(monthly_mean(said, 1.0), "a") == wanted
    said = ds.assign(a=ds["a"].assign_attrs(cell_methods="time: mean (comment: end of interval)"))
    assert months_of(monthly_mean(said, 1.0), "a") == wanted
    said = ds.assign(a=ds["a"].assign_attrs(GRIB_stepType="accum"))
    assert months_of(monthly_mean(said, 1.0), "a") == wanted
    # Control: without a word of it they are starts, of a month more.
    assert [*months_of(monthly_mean(ds, 0.1), "a")] == ["2001-01", "2001-02", "2001-03"]
    daily = pd.date_range("2001-01-01", "2001-01-31")
    said = xr.Dataset({"a": ("time", daily.day, {"GRIB_stepType": "accum"})}, {"time": daily})
    assert months_of(monthly_mean(said, 1.0), "a") == {"2001-01": 16.0}


def test_stamps_in_the_middle_where_the_attributes_say_so() -> None:
    time = pd.date_range("2001-01-01", "2001-02-28 21:00", freq="3h")
    ds = xr.Dataset({"a": ("time", np.ones(time.size))}, {"time": time})
    ds["time"].attrs["long_name"] = "centre of time step"
    assert [*months_of(monthly_mean(ds, 0.9), "a")] == ["2000-12", "2001-01", "2001-02"]


@pytest.mark.parametrize("numbers", [False, True])
def test_bounds_by_their_usual_name(numbers: bool) -> None:
    ends = pd.date_range("2001-01-02", "2001-02-01")
    ds = xr.Dataset({"a": ("time", np.arange(31.0))}, {"time": ends})
    edges = np.stack([ends - pd.Timedelta(days=1), ends], axis=1).astype("datetime64[ns]")
    if numbers:
        edges = (edges - np.datetime64("2000-01-01")) / np.timedelta64(1, "D")
        ds["time"].encoding = {"units": "days since 2000-01-01", "calendar": "standard"}
    found = monthly_mean(ds.assign(time_bnds=(("time", "nv"), edges)), 1.0)
    assert months_of(found, "a") == {"2001-01": 15.0}
    assert "time_bnds" not in found.variables


def test_text_along_time_is_left_out_and_durations_are_refused() -> None:
    time = pd.date_range("2001-01-01", "2001-01-31")
    ds = xr.Dataset({"a": ("time", np.ones(31)), "code": ("time", ["x"] * 31)}, {"time": time})
    ds["stamp"] = ("time", time.values)
    assert [*monthly_mean(ds, 0.9).data_vars] == ["a"]
    ds["sun"] = (("time", "lat"), np.full((31, 2), np.timedelta64(3, "h")))
    with pytest.raises(NarcfError, match=r"found timedelta64.*'sun'.*decode_timedelta=False"):
        monthly_mean(ds, 0.9)


def test_integers_and_truth() -> None:
    time = pd.date_range("2001-01-01", "2001-01-31")
    ds = xr.Dataset({"n": ("time", np.arange(31, dtype="int16"))}, {"time": time})
    ds["wet"] = ds["n"] < 10
    found = monthly_mean(ds.chunk(time=3), 0.9).compute()
    assert found["n"].item() == 15
    assert found["wet"].item() == pytest.approx(10 / 31)


def test_cell_methods_of_other_axes_stay() -> None:
    time = pd.date_range("2001-01-01", "2001-01-31")
    said = "area: mean where land time: maximum within days (interval: 1 hour)"
    ds = xr.Dataset({"a": ("time", np.ones(31), {"cell_methods": said})}, {"time": time})
    assert monthly_mean(ds, 0.9)["a"].attrs["cell_methods"] == "area: mean where land time: mean"


def test_steps_without_a_date_and_bounds_that_are_wrong() -> None:
    time = pd.DatetimeIndex(["2001-01-01", "NaT", "2001-01-03"])
    with pytest.raises(NarcfError, match="found NaT"):
        monthly_mean(steps(time, np.ones(3)), 0.9)
    days = pd.date_range("2001-01-01", periods=4)
    edges = np.stack([days[:3], days[1:]], axis=1)
    good = steps(days[:3], np.ones(3)).assign(time_bnds=(("time", "nv"), edges))
    assert monthly_mean(good, 0.01)["air"][0, 0, 0] == 1
    with pytest.raises(NarcfError, match="end after they start"):
        monthly_mean(good.assign(time_bnds=(("time", "nv"), edges[:, ::-1])), 0.9)
    with pytest.raises(NarcfError, match="twice"):
        monthly_mean(good.isel(time=[0, 1, 1]), 0.9)


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
