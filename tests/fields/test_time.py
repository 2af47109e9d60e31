"""Time: months from stamps anywhere in them and from bounds, or a refusal that says why."""

from __future__ import annotations

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from narcf_geo.core.errors import TimeError
from narcf_geo.fields import on_month_axis


def series(stamps: object, **more: object) -> xr.Dataset:
    """Return values 0, 1, 2... at the stamps."""
    times = pd.to_datetime(stamps) if isinstance(stamps, list) else stamps
    return xr.Dataset({"f": ("time", np.arange(len(times), dtype=float))}, {"time": times, **more})


def with_bounds(ds: xr.Dataset, starts: list[str], ends: list[str]) -> xr.Dataset:
    bounds = np.stack([pd.to_datetime(starts).values, pd.to_datetime(ends).values], axis=1)
    ds = ds.assign(edges=(("time", "two"), bounds))
    ds["time"].attrs["bounds"] = "edges"
    return ds


def months(ds: xr.Dataset) -> dict[str, float]:
    """Return the values by month, after a look at the axis itself."""
    starts = pd.DatetimeIndex(ds["time"].values)
    assert (starts.day == 1).all()
    assert starts.is_monotonic_increasing
    assert (ds["time_bnds"].values[:, 0] == starts.values).all()
    assert (ds["time_bnds"].values[:, 1] == (starts + pd.offsets.MonthBegin()).values).all()
    return dict(zip(starts.strftime("%Y-%m"), ds["f"].values.tolist(), strict=True))


THREE = {"2013-12": 0.0, "2014-01": 1.0, "2014-02": 2.0}


@pytest.mark.parametrize(
    "stamps",
    [
        ["2013-12-01", "2014-01-01", "2014-02-01"],
        ["2013-12-16 12:00", "2014-01-16 12:00", "2014-02-15 00:00"],
        ["2013-12-31", "2014-01-31", "2014-02-28"],
        ["2013-12-15", "2014-01-15", "2014-02-15"],
    ],
    ids=["start", "middle", "end", "the 15th"],
)
def test_a_stamp_may_lie_anywhere_in_its_month(stamps: list[str]) -> None:
    assert months(on_month_axis(series(stamps))) == THREE


def test_bounds_tell_the_month_where_the_stamp_does_not() -> None:
    ds = series(["2014-01-01", "2014-02-01", "2014-03-01"])
    starts = ["2013-12-01", "2014-01-01", "2014-02-01"]
    assert months(on_month_axis(with_bounds(ds, starts, list(ds["time"].values.astype(str))))) == (
        THREE
    )
    # The control: without bounds the same stamps are of the months after.
    assert list(months(on_month_axis(ds))) == ["2014-01", "2014-02", "2014-03"]


@given(st.lists(st.integers(0, 2400), min_size=1, max_size=20, unique=True), st.integers(1, 28))
def test_months_in_any_order_are_sorted_with_their_values(numbers: list[int], day: int) -> None:
    starts = np.datetime64("1850-01", "M") + np.array(numbers, "timedelta64[M]")
    ds = series(pd.DatetimeIndex(starts.astype("datetime64[D]") + np.timedelta64(day - 1, "D")))
    apart = np.diff(np.sort(numbers))
    if apart.size and apart.min() == apart.max() > 1 and apart[0] % 3 == 0:
        with pytest.raises(TimeError, match="time bounds"):
            on_month_axis(ds)
        return
    expected = {str(month): float(n) for n, month in enumerate(starts)}
    assert months(on_month_axis(ds)) == expected


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "standard", "julian"])
@pytest.mark.parametrize("day", [1, 16, 28])
def test_dates_of_other_calendars(calendar: str, day: int) -> None:
    dates = [cftime.datetime(y, m, day, calendar=calendar) for y, m in ((2013, 12), (2014, 1))]
    last = cftime.datetime(2014, 2, 30 if calendar == "360_day" else 28, calendar=calendar)
    ds = series(xr.CFTimeIndex([*dates, last]))
    if calendar == "360_day" and day == 1:
        ds = ds.isel(time=[2, 0, 1])
        assert months(on_month_axis(ds)) == {"2013-12": 0, "2014-01": 1, "2014-02": 2}
    found = on_month_axis(ds)
    assert found["time"].dtype.kind == "M"
    assert months(found) == THREE


def test_bounds_of_another_calendar() -> None:
    edges = [cftime.DatetimeNoLeap(2016, m, 1) for m in (1, 2, 3, 4)]
    ds = series(xr.CFTimeIndex(edges[1:]))
    pairs = np.array([edges[:-1], edges[1:]], dtype=object).T
    ds = ds.assign(edges=(("time", "two"), pairs))
    ds["time"].encoding["bounds"] = "edges"
    assert list(months(on_month_axis(ds))) == ["2016-01", "2016-02", "2016-03"]


@pytest.mark.parametrize(
    ("freq", "words"),
    [
        ("1D", r"found one for 1 days; average it to months first .*average=0\.9"),
        ("3h", "found one for 3 hours; average"),
        ("8D", "found one for 8 days; average"),
        ("16D", "found one for 16 days; average"),
    ],
)
def test_finer_steps_are_refused_and_averaged_when_asked(freq: str, words: str) -> None:
    ds = series(pd.date_range("2014-01-01", "2014-04-30 23:59", freq=freq))
    with pytest.raises(TimeError, match=f"the file: expected a value a month, {words}"):
        on_month_axis(ds, where="the file")
    found = months(on_month_axis(ds, average=0.9))
    assert list(found)[:3] == ["2014-01", "2014-02", "2014-03"]
    if freq == "1D":
        # Days 0 to 30, 31 to 58, 59 to 89: by hand.
        assert [found[f"2014-0{m}"] for m in (1, 2, 3)] == [15.0, 44.5, 74.0]


def test_a_month_too_little_covered_is_missing() -> None:
    ds = series(pd.date_range("2014-01-01", "2014-02-20"))
    found = months(on_month_axis(ds, average=0.9))
    assert found["2014-01"] == 15
    assert np.isnan(found["2014-02"])
    # The control: 20 of 28 days are more than 0.7.
    assert months(on_month_axis(ds, average=0.7))["2014-02"] == 40.5


@pytest.mark.parametrize(
    ("stamps", "days"),
    [
        (["2012-01-01", "2013-01-01", "2014-01-01"], 365),
        (["2013-12-01", "2014-03-01", "2014-06-01", "2014-09-01"], 92),
        (["2014-01-15", "2014-07-15", "2015-01-15"], 182),
    ],
    ids=["years", "seasons", "half years"],
)
def test_longer_steps_are_refused_even_when_averages_are_asked_for(
    stamps: list[str], days: int
) -> None:
    for average in (None, 0.9):
        with pytest.raises(TimeError, match=f"found one for {days}.*cannot be made of it"):
            on_month_axis(series(stamps), average=average)
    # Single months that far apart are known by their bounds.
    starts = pd.to_datetime(stamps).to_period("M")
    ends = [str((p + 1).start_time) for p in starts]
    alone = with_bounds(series(stamps), [str(p.start_time) for p in starts], ends)
    assert list(months(on_month_axis(alone))) == [str(p) for p in starts]


@pytest.mark.parametrize(
    ("starts", "ends", "words"),
    [
        (["2014-01-01", "2014-02-01"], ["2015-01-01", "2015-02-01"], "365 days"),
        (["2014-01-01", "2014-02-01"], ["2014-01-02", "2014-02-02"], "1 days"),
        (["2014-01-01", "2014-02-01"], ["2014-02-01", "2014-02-09"], "8 days"),
    ],
    ids=["years", "days", "one of them eight days"],
)
def test_bounds_are_believed_before_the_spacing(starts: list, ends: list, words: str) -> None:
    ds = series(["2014-01-15", "2014-02-05"])
    with pytest.raises(TimeError, match=f"expected a value a month, found one for {words}"):
        on_month_axis(with_bounds(ds, starts, ends))
    whole = with_bounds(ds, ["2014-01-01", "2014-02-01"], ["2014-02-01", "2014-03-01"])
    assert list(months(on_month_axis(whole))) == ["2014-01", "2014-02"]


def test_months_with_gaps_are_months() -> None:
    stamps = ["2013-11-01", "2013-12-01", "2014-03-01", "2015-07-01"]
    assert list(months(on_month_axis(series(stamps)))) == [s[:7] for s in stamps]


def test_two_values_of_one_month_are_refused() -> None:
    with pytest.raises(TimeError, match="expected a value a month, found one for 10 days"):
        on_month_axis(series(["2014-01-05", "2014-01-15", "2014-02-14"]))
    with pytest.raises(TimeError, match=r"expected one value a month, found 2 .* in 2014-01"):
        on_month_axis(series(["2014-01-01", "2014-01-31", "2014-03-01"]))
    same = series(["2014-01-01", "2014-01-01", "2014-02-01"])
    with pytest.raises(TimeError):
        on_month_axis(same)


def test_a_month_as_a_scalar() -> None:
    ds = series(["2014-02-15"]).isel(time=0)
    assert str(on_month_axis(ds)["time"].values)[:10] == "2014-02-01"
    noleap = ds.assign_coords(time=cftime.DatetimeNoLeap(2014, 2, 15))
    assert str(on_month_axis(noleap)["time"].values)[:10] == "2014-02-01"
    with pytest.raises(TimeError, match="expected dates along time, found int"):
        on_month_axis(ds.assign_coords(time=2))


def test_without_time_nothing_changes() -> None:
    ds = xr.Dataset({"f": ("lat", [1.0])})
    assert on_month_axis(ds) is ds


def test_numbers_with_a_unit_of_time_are_dates() -> None:
    attrs = {"units": "days since 2013-12-01", "calendar": "noleap"}
    ds = series(np.array([0, 31, 62])).assign(season=("time", [1.0, 2.0, 3.0], {"units": "days"}))
    ds["time"].attrs = attrs
    found = on_month_axis(ds)
    assert months(found) == THREE
    assert found["season"].values.tolist() == [1, 2, 3]
    with pytest.raises(TimeError, match="expected a time axis of dates"):
        on_month_axis(ds.assign_coords(time=ds["time"].assign_attrs(units="fortnights since 1990")))


@pytest.mark.parametrize("numbers", [np.arange(1, 13), np.arange(12.0), np.array(["Jan", "Feb"])])
def test_a_climatology_is_no_time_axis(numbers: np.ndarray) -> None:
    with pytest.raises(TimeError, match=r"ndvi: expected dates .*along time, found"):
        on_month_axis(series(numbers), where="ndvi")
    with pytest.raises(TimeError, match="found none"):
        on_month_axis(series(numbers).drop_vars("time"))


def test_years_that_numpy_does_not_hold_are_refused() -> None:
    ds = series(xr.CFTimeIndex([cftime.DatetimeNoLeap(1, m, 15) for m in (1, 2)]))
    with pytest.raises(
        TimeError, match=r"expected years 1678 to 2261, found 1 to 1; .*climatology"
    ):
        on_month_axis(ds)


def bounded(days: float, step: int = 0) -> xr.Dataset:
    """Three months from May 2001, one of which stands for this many days."""
    starts = pd.to_datetime(["2001-05-01", "2001-06-01", "2001-07-01"])
    edges = np.stack([starts, starts + pd.Timedelta(days=30)], axis=1).astype("datetime64[ns]")
    edges[step, 1] = edges[step, 0] + np.timedelta64(round(24 * days), "h")
    middle = starts + pd.Timedelta(days=14)
    ds = xr.Dataset({"x": ("time", [1.0, 2.0, 4.0])}, {"time": middle})
    return ds.assign(time_bnds=(("time", "nv"), edges))


@pytest.mark.parametrize("step", [0, 1, 2])
def test_bounds_of_just_a_month(step: int) -> None:
    for days in (27, 27.5, 31.5, 32):
        found = on_month_axis(bounded(days, step))
        assert found["time"].dt.month.values.tolist() == [5, 6, 7]
        assert found["x"].values.tolist() == [1, 2, 4]
    for days in (26.5, 33, 60, 2):
        with pytest.raises(TimeError, match=f"found one for {days:g} days"):
            on_month_axis(bounded(days, step))
    with pytest.raises(TimeError, match="found one for 12 hours"):
        on_month_axis(bounded(0.5, step))
    with pytest.raises(TimeError, match="found one for 1 days"):
        on_month_axis(bounded(1, step))


@pytest.mark.parametrize(("apart", "fine"), [(1, True), (2, True), (3, False), (4, True)])
def test_seasons_and_years_are_no_months_with_gaps(apart: int, fine: bool) -> None:
    time = pd.date_range("2000-11-01", periods=4, freq=f"{apart}MS") + pd.Timedelta(days=9)
    ds = xr.Dataset({"x": ("time", np.arange(4.0))}, {"time": time})
    if fine:
        found = on_month_axis(ds)["time"].values
        assert (found == time.values.astype("datetime64[M]")).all()
    else:
        with pytest.raises(TimeError, match=r"found one for 9[0-2] days"):
            on_month_axis(ds)
    two = ds.isel(time=[0, 1]) if apart != 3 else ds.isel(time=[0, 1, 3])
    assert on_month_axis(two).sizes["time"] == two.sizes["time"]


def test_months_in_order_keep_their_bounds_and_others_get_true_ones() -> None:
    starts = pd.date_range("2001-11-01", periods=4, freq="MS")
    ds = xr.Dataset({"x": ("time", np.arange(3.0))}, {"time": starts[:3]})
    edges = np.stack([starts[:-1], starts[1:]], axis=1).astype("datetime64[ns]")
    for months in (ds, ds.assign(time_bnds=(("time", "nv"), edges))):
        found = on_month_axis(months)
        assert found["time_bnds"].values.tolist() == edges.tolist()
        assert "time_bnds" in found.coords
    # Stamps at the end of what they stand for, as the bounds say.
    back = np.stack([starts[:-1] - pd.DateOffset(months=1), starts[:-1]], axis=1)
    moved = ds.assign(time_bnds=(("time", "nv"), back.astype("datetime64[ns]")))
    assert on_month_axis(moved)["time"].dt.month.values.tolist() == [10, 11, 12]


def test_a_stamp_that_stands_twice_is_named() -> None:
    time = pd.DatetimeIndex(["2001-03-10", "2001-01-10", *["2001-02-10 06:00"] * 2])
    ds = xr.Dataset({"x": ("time", np.arange(4.0))}, {"time": time})
    with pytest.raises(TimeError, match="found 2001-02-10T06:00:00 twice"):
        on_month_axis(ds)


@pytest.mark.parametrize("scalar", [False, True])
@pytest.mark.parametrize(
    ("ends", "fine"), [(("2001-01-01", "2001-02-01"), True), (("2001-01-01", "2002-01-01"), False)]
)
def test_bounds_of_a_single_value_are_believed(
    scalar: bool, ends: tuple[str, str], fine: bool
) -> None:
    ds = with_bounds(series(["2001-01-16"]), [ends[0]], [ends[1]])
    ds = ds.isel(time=0) if scalar else ds
    if fine:
        assert str(np.atleast_1d(on_month_axis(ds)["time"].values)[0])[:10] == "2001-01-01"
        return
    with pytest.raises(TimeError, match="one for 365 days"):
        on_month_axis(ds)


@pytest.mark.parametrize("scalar", [False, True])
@pytest.mark.parametrize(
    ("attrs", "words"),
    [
        ({"frequency": "yr"}, "years"),
        ({"frequency": "day"}, "days"),
        ({"frequency": "3hr"}, "hours"),
        ({"time_coverage_resolution": "P1Y"}, "years"),
        ({"time_coverage_resolution": "P3M"}, "seasons"),
        ({"frequency": "mon"}, None),
        ({"time_coverage_resolution": "P1M"}, None),
    ],
)
def test_what_a_file_says_of_its_steps_counts_for_a_single_value(
    scalar: bool, attrs: dict[str, str], words: str | None
) -> None:
    ds = series(["2001-07-02"]).assign_attrs(attrs)
    ds = ds.isel(time=0) if scalar else ds
    if words is None:
        assert str(np.atleast_1d(on_month_axis(ds)["time"].values)[0])[:10] == "2001-07-01"
        return
    with pytest.raises(TimeError, match=f"in a file of {words}; if"):
        on_month_axis(ds)
    bounded = with_bounds(series(["2001-07-02"]), ["2001-07-01"], ["2001-08-01"])
    assert on_month_axis(bounded.assign_attrs(attrs))["time"].dt.month.values == [7]


def test_a_single_year_counted_in_years_is_no_month() -> None:
    time = xr.DataArray([107.0], dims="time", attrs={"units": "years since 1900-01-01"})
    year = xr.Dataset({"f": ("time", [1.0])}, {"time": time})
    with pytest.raises(TimeError, match="file of years"):
        on_month_axis(year)
    month = year.assign_coords(time=time + 0.25)
    month["time"].attrs = time.attrs
    assert on_month_axis(month)["time"].dt.strftime("%Y-%m").values == ["2007-04"]


def test_bounds_counted_in_months_are_believed() -> None:
    attrs = {"units": "months since 2000-01-01", "bounds": "ends"}
    time = xr.DataArray([6.0], dims="time", attrs=attrs)
    ds = xr.Dataset({"f": ("time", [1.0])}, {"time": time})
    year = ds.assign_coords(ends=(("time", "nv"), [[0.0, 12.0]]))
    with pytest.raises(TimeError, match="one for 366 days"):
        on_month_axis(year)
    month = ds.assign_coords(ends=(("time", "nv"), [[6.0, 7.0]]))
    assert on_month_axis(month)["time"].dt.month.values == [7]
