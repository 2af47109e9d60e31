"""The response to drought, of fluxes whose response is known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from places import cells, monthly

from narcf_geo.evaluation.drought import DRIEST, drought_response, dry_months
from narcf_geo.grid import Grid

GRID = Grid.regular(-110, 30, -98, 42, 2)
YEARS = 12
MONTH = np.arange(12 * YEARS) % 12 + 1
SUMMER = (MONTH >= 5) & (MONTH <= 9)


def field(values: np.ndarray) -> xr.DataArray:
    return monthly(values, "2001-01", "2012-12", GRID.lat, GRID.lon)


def rain() -> np.ndarray:
    """Rain that is more in winter, with anomalies of its own in each cell."""
    rng = np.random.default_rng(4)
    season = 3 + np.cos(2 * np.pi * (MONTH - 1) / 12)[:, None, None]
    return season + rng.normal(0, 0.4, (MONTH.size, *GRID.shape))


def response(size: float, wet: np.ndarray, noise: float = 0.05, seed: int = 0) -> xr.DataArray:
    """A flux with uptake in summer, and less of it after months without rain."""
    mean = np.zeros_like(wet)
    mean[2:] = (wet[2:] + wet[1:-1] + wet[:-2]) / 3
    clim = np.stack([mean[m == MONTH][1:].mean(axis=0) for m in range(1, 13)])
    season = np.where(SUMMER, -2.0, 0.5)[:, None, None]
    rng = np.random.default_rng(seed)
    return field(season - size * (mean - clim[MONTH - 1]) + rng.normal(0, noise, wet.shape))


def area() -> xr.DataArray:
    return cells(GRID.area, GRID.lat, GRID.lon, units="m2")


def test_dry_is_the_driest_tenth_of_each_cells_summer() -> None:
    wet = rain()
    dry = dry_months(wet, MONTH, np.broadcast_to(SUMMER[:, None, None], wet.shape))
    assert not dry[~SUMMER].any()
    share = dry[SUMMER].mean(axis=0)
    assert (np.abs(share - DRIEST) < 0.02).all()
    mean = (wet[2:] + wet[1:-1] + wet[:-2]) / 3
    summer = SUMMER[2:]
    off = mean - np.stack([mean[MONTH[2:] == m].mean(axis=0) for m in range(1, 13)])[MONTH[2:] - 1]
    assert off[dry[2:]].max() < np.quantile(off[summer], 0.25)
    # The control: the least rain without its season would choose one end of the summer.
    assert np.ptp([dry[m == MONTH].mean() for m in (5, 7, 9)]) < 0.15


def test_half_the_response_is_found_to_be_half() -> None:
    wet = rain()
    observed, estimate = response(1.0, wet), response(0.5, wet, seed=1)
    tested = np.arange(MONTH.size) >= 60
    found = drought_response(estimate, observed, field(wet), area(), tested)
    assert found["observed"]["mean"] > 0.2
    assert found["estimate"]["mean"] / found["observed"]["mean"] == pytest.approx(0.5, abs=0.05)
    difference = found["difference"]
    assert difference["mean"] == pytest.approx(
        found["estimate"]["mean"] - found["observed"]["mean"], abs=1e-12
    )
    assert difference["lower"] < difference["mean"] < difference["upper"] < 0
    dry = dry_months(wet, MONTH, np.broadcast_to(SUMMER[:, None, None], wet.shape))
    assert found["n"] == dry[tested].sum()
    # Cells of another area count otherwise: the mean by hand.
    anomaly = (
        observed.values
        - np.stack([observed.values[m == MONTH].mean(axis=0) for m in range(1, 13)])[MONTH - 1]
    )
    weight = np.where(dry & tested[:, None, None], GRID.area, 0)
    assert found["observed"]["mean"] == pytest.approx(np.average(anomaly, weights=weight), abs=1e-9)


def test_no_response_is_not_found_where_there_is_none() -> None:
    wet = rain()
    same = response(0.0, wet, noise=0.3), response(0.0, wet, noise=0.3, seed=1)
    tested = np.ones(MONTH.size, bool)
    found = drought_response(*same, field(wet), area(), tested)
    assert found["difference"]["lower"] < 0 < found["difference"]["upper"]
    lazy = [f.chunk(time=30, lat=2) for f in same]
    assert drought_response(*lazy, field(wet), area(), tested) == found


def test_few_years_and_no_dry_month_tell_nothing() -> None:
    wet = rain()
    flux = response(1.0, wet)
    short = slice(0, 48)
    months = np.ones(48, bool)
    fields = [f.isel(time=short) for f in (flux, flux, field(wet))]
    assert drought_response(*fields, area(), months) == {}
    none = np.zeros(MONTH.size, bool)
    assert drought_response(flux, flux, field(wet), area(), none) == {}
