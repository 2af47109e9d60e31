"""Years unlike those that were learned from are named, and others are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.evaluation.shift import climate_shift, dissimilarity_by_year, shift_warning


@pytest.fixture
def cube() -> xr.Dataset:
    """Eight years of three cells of unlike area, the last of sea: a season and unlike years."""
    rng = np.random.default_rng(3)
    time = pd.date_range("2001-01", periods=96, freq="MS")
    season = 10 * np.sin(2 * np.pi * time.month / 12).to_numpy()
    year = np.repeat(rng.normal(0, 0.5, 8), 12)
    temp = (season + year)[:, None, None] + rng.normal(0, 0.3, (96, 1, 3))
    coords = {"time": time, "lat": [50.0], "lon": [0.0, 1.0, 2.0]}
    return xr.Dataset(
        {
            "temp": (("time", "lat", "lon"), temp, {"units": "degC"}),
            "same": (("time", "lat", "lon"), np.ones_like(temp), {"units": "1"}),
            "slope": (("lat", "lon"), np.ones((1, 3)), {"units": "1"}),
            "cell_area": (("lat", "lon"), [[1.0, 3.0, 100.0]]),
            "biome": (("lat", "lon"), np.array([[5, 5, 0]])),
        },
        coords,
    )


def months(last: str) -> pd.DatetimeIndex:
    return pd.date_range("2001-01", last, freq="MS")


def test_departures_are_those_of_a_loop(cube: xr.Dataset) -> None:
    found = climate_shift(cube, ["temp", "same", "slope"], months("2006-12"))
    assert set(found) == {"temp"}
    assert found["temp"]["units"] == "degC"
    assert set(found["temp"]["by_year"]) == {"2007", "2008"}
    region = cube["temp"].values[:, 0, :2] @ [0.25, 0.75]
    normal = region[:72].reshape(6, 12).mean(axis=0)
    days = cube["time"].dt.days_in_month.values.reshape(8, 12)
    off = np.sum((region.reshape(8, 12) - normal) * days, axis=1) / days.sum(axis=1)
    for place, year in ((6, "2007"), (7, "2008")):
        one = found["temp"]["by_year"][year]
        assert one["departure"] == pytest.approx(off[place])
        assert one["spreads"] == pytest.approx(off[place] / np.std(off[:6], ddof=1))
    assert climate_shift(cube, ["temp"], months("2002-12")) == {}


def test_two_kelvin_more_are_named_and_none_is_not(cube: xr.Dataset) -> None:
    warmer = cube.copy(deep=True)
    warmer["temp"][84:] += 6
    found, control = (
        shift_warning({"shift": climate_shift(c, ["temp"], months("2006-12"))})
        for c in (warmer, cube)
    )
    assert control == ""
    assert found.startswith("The climate has shifted: over the region temp is off")
    assert "degC in 2008" in found
    assert "2007" not in found


def test_the_three_furthest_predictors_are_named_in_their_furthest_year() -> None:
    shift = {
        name: {
            "units": "K",
            "by_year": {
                "2014": {"departure": 1.0, "spreads": far},
                "2015": {"departure": -2.0, "spreads": -far - 1},
            },
        }
        for name, far in (("a", 5.0), ("b", 9.0), ("c", 7.0), ("d", 4.5), ("e", 2.0))
    }
    found = shift_warning({"shift": shift})
    order = [found.index(f"{name} is off") for name in "bca"]
    assert order == sorted(order)
    assert found.count("in 2015") == 3
    assert "2014" not in found
    assert "and 1 predictors more" in found
    assert "-2 K in 2015 (10 times" in found
    assert "e is off" not in found


def test_years_that_are_dissimilar_are_named() -> None:
    time = pd.date_range("2001-01", periods=24, freq="MS")
    index = np.where(time.year == 2001, 0.1, 0.3)[:, None, None] * [[1.0, 2.0]]
    index[3, 0, 0] = np.nan
    coords = {"time": time, "lat": [0.5], "lon": [0.5, 1.5]}
    dims = ("time", "lat", "lon")
    prediction = xr.Dataset(
        {
            "applicability": (dims, index),
            "applicable": (dims, np.where(np.isnan(index), np.nan, index < 0.5)),
            "cell_area": (dims[1:], [[1.0, 3.0]]),
        },
        coords,
    )
    found = dissimilarity_by_year(prediction)
    assert found["2002"] == {"mean": pytest.approx(0.525), "outside": pytest.approx(0.75)}
    assert found["2001"]["mean"] == pytest.approx((11 * 0.175 + 0.2) / 12)
    said = shift_warning({"dissimilarity": {"held_out": 0.21, "by_year": found}})
    assert said == (
        "The conditions of 2002 are up to 2.5 times as dissimilar to those of the training as "
        "held-out rows are."
    )
    assert shift_warning({"dissimilarity": {"held_out": 0.36, "by_year": found}}) == ""
