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


@pytest.mark.parametrize(
    ("values", "units", "expected"),
    [
        ([150001, 249912], "", None),
        ([14.0], "months since 2000-03-31", ["2001-05-01T00"]),
        ([2.0, 2.51], "years since 2000-03-01", ["2002-03-01T00", "2002-09-01T00"]),
        ([1.0], "yr since 1999-12-01", ["2000-12-01T00"]),
        ([170001, 170012], "", ["1700-01-01T00", "1700-12-01T00"]),
        ([19990101, 19991231], "", ["1999-01-01T00", "1999-12-31T00"]),
        ([20000229.25, 20000301.75], "", ["2000-02-29T06", "2000-03-01T18"]),
        ([19990100, 19990101], "", None),
        ([19990132, 19990101], "", None),
        ([19990001, 19990101], "", None),
        ([199900, 199901], "", None),
        ([199913, 199912], "", None),
        ([149912, 150001], "", None),
        ([250001, 249912], "", None),
        ([1999.5, 2000.9168, 2001.99], "", ["1999-07-01T00", "2000-12-01T00", "2001-12-01T00"]),
        ([2000.0, 2001.0], "decimal year", ["2000-01-01T00", "2001-01-01T00"]),
        ([2000.0, 2001.0], "calendar years AD", ["2000-01-01T00", "2001-01-01T00"]),
        ([2000.0, 2001.0], "", None),
        ([2499.5, 2500.5], "", None),
        ([1499.5, 1500.5], "", None),
        ([0.5, 1999.5], "", None),
        ([np.nan, 200001.0], "", None),
        ([], "", None),
    ],
)
def test_numbers_at_the_ends_of_what_they_may_be(
    values: list, units: str, expected: list[str] | None
) -> None:
    ds = along(np.array(values, float), **({"units": units} if units else {}))
    if values == [150001, 249912]:
        with pytest.raises(TimeError, match="years 1678 to 2261, found 1500 to 2499"):
            dated(ds)
        return
    found = dated(ds)
    if expected is None:
        assert found.identical(ds)
    else:
        assert np.datetime_as_string(found["time"].values, "h").tolist() == expected


def test_years_that_can_just_be_held() -> None:
    for year, holds in ((1677, False), (1678, True), (2261, True), (2262, False)):
        ds = along([float(12 * (year - 1900))], units="months since 1900-01-01")
        if holds:
            assert dated(ds)["time"].dt.year.values.tolist() == [year]
        else:
            with pytest.raises(TimeError, match=f"found {year} to {year}"):
                dated(ds)


def test_texts_are_read_to_the_second_and_others_are_refused() -> None:
    found = dated(along(["2001-07-16_06:30:15", "2001-08-16_18:00:00"]))["time"].values
    assert found.astype("datetime64[s]").astype(str).tolist() == [
        "2001-07-16T06:30:15",
        "2001-08-16T18:00:00",
    ]
    objects = along(np.array(["2001-07", "2001-08"], object))
    assert dated(objects)["time"].dt.month.values.tolist() == [7, 8]
    for texts in (["July", "August"], np.array(["July", "August"], object)):
        with pytest.raises(TimeError, match="found 'July'; write them as 2001-07-16"):
            dated(along(texts))


def test_units_that_cannot_be_read_are_refused_and_odd_ones_left() -> None:
    with pytest.raises(TimeError, match="expected a time axis of dates"):
        dated(along([1.0], units="fortnights since 2001-01-01"))
    attrs = {"units": "months since 2000-01-01", "calendar": "standard", "long_name": "when"}
    ds = along([0.0, 1.0], **attrs).assign(time_bnds=(("time", "nv"), [[0.0, 1.0], [1.0, 2.0]]))
    ds["time"].attrs["bounds"] = "time_bnds"
    found = dated(ds)
    assert found["time"].attrs == {"long_name": "when"}
    assert found["time_bnds"].dt.month.values.tolist() == [[1, 2], [2, 3]]
