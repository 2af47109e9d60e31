"""The steps that stamps stand for, and their days in each month, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.fields.averages import (
    _month_edges,
    _place_of_stamps,
    _steps,
    middle_of_bounds,
    monthly_mean,
    time_bounds,
)
from narcf_geo.fields.month_sums import Rule, Shares, _slab, shares_of_months

DAYS = np.array([0.0, 31.0, 59.0, 90.0])
"""Edges of the first three months of 1900."""


@pytest.mark.parametrize(
    ("stamps", "place", "start", "end"),
    [
        ([0, 0.125, 0.25], "", [0, 0.125, 0.25], [0.125, 0.25, 0.375]),
        ([0.05, 0.175, 0.3], "", [0, 0.125, 0.25], [0.125, 0.25, 0.375]),
        ([0, 1 / 3, 2 / 3], "", [0, 1 / 3, 2 / 3], [1 / 3, 2 / 3, 1]),
        # A step absent: the one before does not grow.
        ([0, 1, 2, 5], "", [0, 1, 2, 5], [1, 2, 3, 6]),
        # Rounding of a tenth of a second, and more than that.
        ([3 - 5e-7, 4 - 5e-7, 5 - 5e-7], "", [3, 4, 5], [4, 5, 6]),
        ([3 - 5e-6, 4 - 5e-6, 5 - 5e-6], "", [2, 3, 4], [3, 4, 5]),
        ([3 + 5e-7, 4 + 5e-7, 5 + 5e-7], "end", [2, 3, 4], [3, 4, 5]),
        ([3 + 5e-6, 4 + 5e-6, 5 + 5e-6], "end", [3, 4, 5], [4, 5, 6]),
        ([0.5, 1.5, 2.5], "middle", [0, 1, 2], [1, 2, 3]),
        ([0.5, 1.5, 2.5, 3.25], "middle", [0, 1, 2, 2.75], [1, 2, 2.75, 3.75]),
        ([0.25, 0.375, 0.5], "end", [0.125, 0.25, 0.375], [0.25, 0.375, 0.5]),
        ([0.2, 0.325, 0.45], "end", [0.125, 0.25, 0.375], [0.25, 0.375, 0.5]),
        ([1.5, 2.5, 3.5], "end", [1, 2, 3], [2, 3, 4]),
        # The first of a day and then finer steps.
        ([1, 2, 3, 3.5, 4, 5], "end", [0, 1, 2, 3, 3.5, 4], [1, 2, 3, 3.5, 4, 5]),
        ([1, 2, 3.25, 3.5, 4.5], "end", [0, 1, 2.25, 3.25, 3.5], [1, 2, 3.25, 3.5, 4.5]),
        ([0, 1, 1.5, 2, 3, 4], "", [0, 1, 1.5, 2, 3, 4], [1, 1.5, 2, 3, 4, 5]),
        ([0.25, 0.5, 0.75], "end of short steps", [0, 0.25, 0.5], [0.25, 0.5, 0.75]),
        ([1, 2, 3], "end of short steps", [1, 2, 3], [2, 3, 4]),
        ([5, 10, 15], "end", [0, 5, 10], [5, 10, 15]),
        ([5, 10, 15], "", [5, 10, 15], [10, 15, 20]),
        ([5.5, 10.5, 15.5], "", [3, 8, 13], [8, 13, 18]),
        ([3.5, 6.5, 9.5], "", [2, 5, 8], [5, 8, 11]),
        # At another hour, or of an even number of days, they begin with their day.
        ([5.25, 10.25, 15.25], "", [5, 10, 15], [10, 15, 20]),
        ([6.5, 12.5, 18.5], "", [6, 12, 18], [12, 18, 24]),
        # No whole part or number of days: stamps are taken as they are.
        ([1, 1.3, 1.6, 2], "", [1, 1.3, 1.6, 2], [1.3, 1.6, 1.9, 2.3]),
        ([1, 1.3, 1.6, 2], "end", [0.7, 1, 1.3, 1.7], [1, 1.3, 1.6, 2]),
        ([0.5, 1.5005, 2.501], "", [0, 1, 2], [1, 2, 3]),
        ([0.5, 1.5012, 2.5024], "", [0.5, 1.5012, 2.5024], [1.5012, 2.5024, 3.5036]),
        ([0.25, 5.254, 10.258], "", [0, 5, 10], [5, 10, 15]),
        ([0.25, 5.256, 10.262], "", [0.25, 5.256, 10.262], [5.256, 10.262, 15.268]),
    ],
)
def test_steps_of_stamps(stamps: list, place: str, start: list, end: list) -> None:
    found = _steps(np.array(stamps, float), place)
    np.testing.assert_allclose(found, [start, end], atol=1e-9)


@pytest.mark.parametrize(
    ("first", "last", "edges"),
    [
        (0, 31, [0, 31]),
        (30.5, 31.5, [0, 31, 59]),
        (31 - 1e-10, 59 + 1e-10, [31, 59]),
        (31 - 1e-4, 59, [0, 31, 59]),
        (31, 59 + 1e-4, [31, 59, 90]),
        (330, 370, [304, 334, 365, 396]),
        (364.5, 365, [334, 365]),
    ],
)
def test_edges_of_months(first: float, last: float, edges: list) -> None:
    assert _month_edges(first, last, "standard").tolist() == edges


def test_days_of_steps_in_each_month() -> None:
    start, end = np.array([0.0, 25, 31, 58, 80]), np.array([25.0, 31, 58, 91, 90])
    found = shares_of_months(start, end, DAYS)
    rows = list(zip(found.step.tolist(), found.month.tolist(), found.days.tolist(), strict=True))
    assert rows == [(0, 0, 25), (1, 0, 6), (2, 1, 27), (3, 1, 1), (3, 2, 31), (4, 2, 10)]
    whole = shares_of_months(np.array([0.5]), np.array([89.0]), DAYS)
    assert whole.month.tolist() == [0, 1, 2]
    assert whole.days.tolist() == [30.5, 28, 30]
    assert [(m, s.days.tolist()) for m, s in found.by_month()] == [
        (0, [25, 6]),
        (1, [27, 1]),
        (2, [31, 10]),
    ]
    assert isinstance(found.where(slice(1, 2)), Shares)


def test_a_mean_needs_its_share_of_the_days_of_its_month() -> None:
    rule = Rule(np.array([31.0, 28.0, 30.0]), 0.5)
    total, covered = np.array([[28.0, 28, 28, 0]]), np.array([[14.0, 14 - 1e-9, 13.9, 0]])
    found = rule.mean(total, covered, slice(1, 2))[0]
    assert found[:2] == pytest.approx([2, 2])
    assert np.isnan(found[2:]).all()
    assert np.isnan(rule.mean(total, covered, slice(2, 3))).all()
    assert np.isnan(Rule(np.array([31.0]), 0.5).mean(total, covered + 1.49, slice(0, 1))).all()
    # Half a day of a month is a mean where little is asked for.
    assert Rule(np.array([31.0]), 0.01).mean(total[:, :1], total[:, :1] / 56, slice(0, 1)) == 56


def test_a_slab_is_of_whole_chunks() -> None:
    variable = xr.Variable(("time", "x"), np.zeros((10, 4)))
    assert _slab(variable, 0) == 2**23 // 32
    variable.encoding = {"chunksizes": (3, 4)}
    assert _slab(variable, 0) == 3 * (2**23 // 96)
    variable.encoding = {"chunks": (5, 2)}
    assert _slab(variable, 0) == 5 * (2**23 // 160)
    variable.encoding = {"chunks": (5,)}
    assert _slab(variable, 0) == 2**23 // 32
    wide = xr.Variable(("x", "time"), np.broadcast_to(0.0, (2**21, 10)))
    assert _slab(wide, 1) == 1
    wide.encoding = {"chunksizes": (100, 7)}
    assert _slab(wide, 1) == 7
    nothing = xr.Variable(("time", "x"), np.zeros((10, 0)))
    assert _slab(nothing, 0) == 2**23


@pytest.mark.parametrize("chunks", [None, {"time": 10, "x": 17000}, {"time": 1, "x": 40000}])
def test_many_cells_with_gaps_of_their_own(chunks: dict[str, int] | None) -> None:
    rng = np.random.default_rng(8)
    values = rng.normal(5, 2, (45, 2 * 16384 + 5))
    values[rng.random(values.shape) < 0.05] = np.nan
    values[:, [3, 20000, 32770]] = np.nan
    time = pd.date_range("2001-01-01", periods=45)
    ds = xr.Dataset({"a": (("time", "x"), values)}, {"time": time})
    found = monthly_mean(ds if chunks is None else ds.chunk(chunks), 0.5)["a"].values
    np.testing.assert_allclose(found[0], pd.DataFrame(values[:31]).mean(), rtol=1e-12)
    assert np.isnan(found[1]).mean() > 0.5
    assert np.isnan(found[0]).sum() == 3


def stamped(hours: int, **fields: dict[str, str]) -> xr.Dataset:
    time = pd.date_range("2001-01-01", periods=4, freq=f"{hours}h")
    return xr.Dataset(
        {name: ("time", np.arange(4.0), attrs) for name, attrs in fields.items()}, {"time": time}
    )


def test_where_the_attributes_say_that_stamps_are() -> None:
    accum, instant = {"GRIB_stepType": "accum"}, {"GRIB_stepType": "instant"}
    assert _place_of_stamps(stamped(3, a=accum, b={"GRIB_stepType": "max"})) == "end of short steps"
    assert _place_of_stamps(stamped(3, a=accum, b=instant)) == ""
    assert _place_of_stamps(stamped(3, a=accum, b={})) == ""
    assert _place_of_stamps(stamped(3, a={}).drop_vars("a")) == ""
    # What lies not along time, or is text, says nothing of the steps.
    ds = stamped(3, a=accum).assign(mask=((), 1, instant), code=("time", [*"wxyz"], instant))
    assert _place_of_stamps(ds) == "end of short steps"
    for key in ("long_name", "comment", "description"):
        ds = stamped(3, a={})
        ds["time"].attrs[key] = "end of the hourly period"
        assert _place_of_stamps(ds) == "end"
        ds["time"].attrs[key] = "midpoint of the time interval"
        assert _place_of_stamps(ds) == "middle"


def test_bounds_are_those_that_time_names_else_the_usual_ones() -> None:
    time = pd.date_range("2001-01-02", periods=3)
    early = np.stack([time - pd.Timedelta(days=1), time], axis=1).astype("datetime64[ns]")
    late = early + np.timedelta64(12, "h")
    ds = xr.Dataset(
        {"time_bnds": (("time", "nv"), early), "mine": (("time", "nv"), late)}, {"time": time}
    )
    assert time_bounds(ds).name == "time_bnds"
    ds["time"].encoding["bounds"] = "mine"
    assert time_bounds(ds).name == "mine"
    wanted = (late[:, 0] + np.timedelta64(12, "h")).tolist()
    assert middle_of_bounds(ds)["time"].values.tolist() == wanted
    turned = ds.assign(mine=ds["mine"].T)
    assert time_bounds(turned).name == "time_bnds"
    renamed = ds.drop_vars("mine").rename(time_bnds="time_bounds")
    assert time_bounds(renamed).name == "time_bounds"
    # Numbers without a unit are no dates.
    assert time_bounds(renamed.assign(time_bounds=(("time", "nv"), np.ones((3, 2))))) is None
    square = ds.isel(time=slice(0, 2))
    assert middle_of_bounds(square)["time"].values.tolist() == wanted[:2]


def test_bounds_without_length_and_years_out_of_range_are_refused() -> None:
    time = pd.date_range("2001-01-01", periods=3)
    edges = np.stack([time, time + pd.Timedelta(days=1)], axis=1).astype("datetime64[ns]")
    edges[1, 1] = edges[1, 0]
    ds = xr.Dataset({"a": ("time", np.ones(3))}, {"time": time})
    with pytest.raises(NarcfError, match="end after they start"):
        monthly_mean(ds.assign(time_bnds=(("time", "nv"), edges)), 0.1)
    for year, holds in ((1677, False), (1678, True), (2261, True), (2262, False)):
        dates = xr.date_range(f"{year}-03-01", periods=3, calendar="noleap", use_cftime=True)
        old = ds.assign_coords(time=dates)
        if holds:
            assert monthly_mean(old, 0.01)["time"].dt.year.values.tolist() == [year]
        else:
            with pytest.raises(NarcfError, match=f"found {year} to {year}"):
                monthly_mean(old, 0.01)
