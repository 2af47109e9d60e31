"""Mean maps are of the months that all of them have."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from places import cells, monthly

from narcf_geo.evaluation.mean_map import mean_map_scores
from narcf_geo.grid import Grid

GRID = Grid.regular(-100, 40, -96, 43, 1)
AREA = cells(GRID.area, GRID.lat, GRID.lon, units="m2")
YEAR = np.repeat([2007, 2008, 2009], 12)


@pytest.mark.parametrize("lazy", [False, True])
def test_months_that_a_part_lacks_count_in_no_map(lazy: bool) -> None:
    rng = np.random.default_rng(8)
    season = np.tile(np.cos(np.arange(12) * np.pi / 6), 3)[:, None, None]
    target = season * rng.uniform(1, 3, (3, 4)) + rng.normal(0, 1, (3, 4))
    estimate = target + 0.25
    estimate[(YEAR == 2009) & (np.arange(36) % 12 < 2), 0, :2] = np.nan  # no winter in the north
    target[(YEAR < 2009) & (np.arange(36) % 12 == 6), 2, 3] = np.nan  # no July in training
    fields = {
        name: monthly(values, "2007-01", "2009-12", GRID.lat, GRID.lon)
        for name, values in (("flux", estimate), ("target", target), ("truth", target - 0.1))
    }
    if lazy:
        fields = {name: field.chunk(time=7, lat=2) for name, field in fields.items()}
    found = mean_map_scores(fields, "flux", YEAR < 2009, YEAR == 2009, AREA)
    # Each year is like the others, so that averaging the target makes no error at all.
    assert found["test"]["target"] == pytest.approx(
        {"estimate": 0.25, "training_mean": 0.0, "n": 12}, abs=1e-6
    )
    assert found["test"]["truth"]["training_mean"] == pytest.approx(0.1, abs=1e-6)
    assert found["all"] == pytest.approx({"estimate": 0.35, "target": 0.1}, abs=1e-6)
    assert found["averaging_is_better"] == {"target": True, "truth": True}


def test_a_mean_over_other_months_would_be_far_off() -> None:
    """The control: what lacks the winter differs from the mean of the year by far."""
    season = xr.DataArray(np.cos(np.arange(12) * np.pi / 6), dims="month")
    assert abs(float(season[2:].mean() - season.mean())) > 0.1
