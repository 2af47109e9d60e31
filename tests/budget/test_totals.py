"""Means over months and the share of months that are applicable, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.budget.totals import applicable_share, days_of, mean_over_months, summarise

MONTHS = pd.to_datetime(["2015-01-01", "2015-02-01"])
COORDS = {"time": MONTHS, "lat": [46.5, 45.5], "lon": [-100.5]}


def series(values: list) -> xr.DataArray:
    return xr.DataArray(
        np.array(values, float)[:, :, None], COORDS, ("time", "lat", "lon"), attrs={"units": "1"}
    )


def test_months_count_by_their_days() -> None:
    flux = series([[1.0, 5.0], [3.0, np.nan]])
    found = mean_over_months(flux).values.ravel()
    assert found[0] == pytest.approx((31 * 1 + 28 * 3) / 59, rel=1e-12)
    assert found[1] == 5.0
    applicable = series([[1.0, 0.0], [0.0, 1.0]])
    share = applicable_share(flux, applicable).values.ravel()
    # The second cell has no flux in February, so that its month there does not count.
    assert share.tolist() == pytest.approx([31 / 59, 0.0])
    assert applicable_share(flux[0], applicable[0]).values.ravel().tolist() == [1.0, 0.0]
    nothing = applicable_share(flux * np.nan, applicable)
    assert np.isnan(nothing).all()


def test_days_of_a_month_and_of_a_year() -> None:
    flux = series([[1.0, 1.0], [1.0, 1.0]])
    assert days_of(flux[1]) == 28
    assert days_of(flux) == pytest.approx(12 * (31 + 28) / 2)
    assert days_of(flux.isel(time=0, drop=True)) == 365.2425


def test_a_summary_by_hand() -> None:
    flux = series([[1.0, -3.0], [1.0, 1.0]])[0]
    area = xr.DataArray([[1e10], [3e10]], {"lat": [46.5, 45.5], "lon": [-100.5]}, ("lat", "lon"))
    found = summarise(flux, area, days=31)
    assert found.mean == pytest.approx((1 - 9) / 4)
    assert found.total == pytest.approx(-8e10 * 1e-6 * 12.011 * 86400 * 31 * 1e-12, rel=1e-12)
    missing = summarise(flux.where(flux > 0), area, days=31)
    assert missing.mean == 1.0
