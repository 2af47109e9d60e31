"""The true flux adds up, and the products err as much as they say."""

from __future__ import annotations

import calendar
import math
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from narcf_geo.sample.geography import class_fractions, read_land_cover

MICROMOL_TO_GRAMS = 12.011e-6


def row_area(lat: float, step: float) -> float:
    """Area in m2 of a cell of `step` degrees."""
    edges = (math.radians(lat - step / 2), math.radians(lat + step / 2))
    return 6371007.2**2 * math.radians(step) * (math.sin(edges[1]) - math.sin(edges[0]))


def monthly_totals(field: np.ndarray, lats: np.ndarray, step: float, grams: float) -> np.ndarray:
    """TgC per month and year (9, 12) of a flux (108, lat, lon); `grams` per unit and day."""
    totals = np.zeros((9, 12))
    for index in range(108):
        year, month = divmod(index, 12)
        days = calendar.monthrange(2007 + year, month + 1)[1]
        rows = np.nansum(field[index], axis=1)
        grams_a_day = sum(r * row_area(float(lat), step) for r, lat in zip(rows, lats, strict=True))
        totals[year, month] = grams_a_day * grams * days / 1e12
    return totals


@pytest.fixture(scope="module")
def truth(sample: Path) -> xr.DataArray:
    with xr.open_dataset(sample / "truth" / "truth_flux_1deg_2007-2015.nc") as ds:
        return ds.flux.load()


@pytest.fixture(scope="module")
def true_totals(truth: xr.DataArray) -> np.ndarray:
    return monthly_totals(truth.values, truth.lat.values, 1.0, MICROMOL_TO_GRAMS * 86400)


@pytest.fixture(scope="module")
def inversion(sample: Path, truth: xr.DataArray) -> xr.Dataset:
    with (
        xr.open_dataset(sample / "inversion" / "geoinv-sif-monthly-2007-to-2015.nc") as flux,
        xr.open_dataset(sample / "inversion" / "geoinv_coordinates.nc") as cells,
    ):
        ds = flux.load().assign_coords(lat=cells.lat.load(), lon=cells.lon.load())
    return ds.assign(truth=truth.sel(lat=ds.lat, lon=ds.lon))


def test_land_cover_is_the_real_one() -> None:
    """Class areas against those of another year's raster, Mkm2 (2005, at 0.1 degree)."""
    expected = {1: 1.187, 4: 0.880, 5: 0.849, 7: 2.409, 8: 3.822, 10: 4.960, 12: 2.130}
    fractions = class_fractions(read_land_cover())
    np.testing.assert_allclose(fractions.sum(axis=0), 1)
    area = np.array([row_area(10.25 + 0.5 * row, 0.5) for row in range(120)])[:, None] / 1e12
    for number, value in expected.items():
        assert (fractions[number] * area).sum() == pytest.approx(value, rel=0.12)
    assert ((1 - fractions[0]) * area).sum() == pytest.approx(20.468, rel=0.002)


def test_land_cover_lies_where_it_should() -> None:
    """South is the first row, 170 W the first column; no row or column is lost."""
    fractions = class_fractions(read_land_cover())

    def at(lat: float, lon: float) -> np.ndarray:
        return fractions[:, int((lat - 10) / 0.5), int((lon + 170) / 0.5)]

    assert at(42.2, -93.6)[12] > 0.8, "Iowa grows crops"
    assert at(35.0, -60.0)[0] == pytest.approx(1), "the Atlantic is water"
    assert at(69.7, -50.3)[15] > 0.3, "Greenland is ice"
    assert at(10.1, -84.0)[0] < 0.5, "Costa Rica is land"


def test_sink_is_in_the_published_range(true_totals: np.ndarray) -> None:
    years = true_totals.sum(axis=1)
    assert years.mean() == pytest.approx(-699, abs=82)
    assert 0.05 < years.std(ddof=1) / -years.mean() < 0.30


def test_seasonal_cycle(true_totals: np.ndarray, truth: xr.DataArray) -> None:
    cycle = true_totals.mean(axis=0)
    assert cycle.argmin() in (5, 6)
    assert -1000 < cycle.min() < -700
    assert (cycle[[0, 1, 10, 11]] > 100).all()
    corn_belt = truth.sel(lat=slice(40, 45), lon=slice(-97, -88))
    july = corn_belt[truth["time"].dt.month == 7]
    assert -9 < float(july.min()) < -4


def test_truth_covers_the_cells_of_the_inversion(
    truth: xr.DataArray, inversion: xr.Dataset
) -> None:
    assert int(truth[0].notnull().sum()) == inversion.sizes["x"]
    assert inversion.truth.notnull().all()


def test_inversion_errs_as_its_standard_error_says(inversion: xr.Dataset) -> None:
    normalised = (inversion.monthly_flux - inversion.truth) / inversion.se_monthly_flux
    assert float(normalised.std()) == pytest.approx(1, abs=0.03)
    assert float(normalised.mean()) == pytest.approx(0, abs=0.03)
    inside = float((abs(normalised) < 1).mean())
    assert inside == pytest.approx(0.683, abs=0.02)
    se = inversion.se_monthly_flux
    assert float(se.min()) >= 0.2
    assert float(se.max()) < 1.0
    july, january = (se[se["time"].dt.month == month].mean() for month in (7, 1))
    assert july > january


def test_inversion_error_is_correlated(inversion: xr.Dataset) -> None:
    """exp(-d / 250 km) in space, 0.2 from month to month; the shared-out annual mode is small."""
    z = ((inversion.monthly_flux - inversion.truth) / inversion.se_monthly_flux).values
    assert np.mean(z[1:] * z[:-1]) == pytest.approx(0.2, abs=0.03)
    number = {
        (lat, lon): index
        for index, (lat, lon) in enumerate(
            zip(inversion.lat.values, inversion.lon.values, strict=True)
        )
    }
    for steps, km in ((1, 111.2), (3, 333.6)):
        pairs = [
            (index, number[lat + steps, lon])
            for (lat, lon), index in number.items()
            if (lat + steps, lon) in number
        ]
        south, north = np.array(pairs).T
        assert np.mean(z[:, south] * z[:, north]) == pytest.approx(math.exp(-km / 250), abs=0.03)


def test_continental_error_is_that_of_the_published_inversions(
    inversion: xr.Dataset, truth: xr.DataArray
) -> None:
    """42 TgC/yr a year: nine draws lie within the 99.9 % range of chi-square with 9 degrees."""
    error = xr.full_like(truth, np.nan)
    rows = np.searchsorted(truth.lat.values, inversion.lat.values)
    columns = np.searchsorted(truth.lon.values, inversion.lon.values)
    error.values[:, rows, columns] = (inversion.monthly_flux - inversion.truth).values
    totals = monthly_totals(error.values, truth.lat.values, 1.0, MICROMOL_TO_GRAMS * 86400)
    square = float((totals.sum(axis=1) ** 2).sum()) / 42**2
    assert 0.97 < square < 29.7


def test_fluxcom_is_too_strong_a_sink_and_too_calm(
    sample: Path, truth: xr.DataArray, true_totals: np.ndarray
) -> None:
    years = []
    for year in range(2007, 2016):
        with xr.open_dataset(next((sample / "fluxcom").glob(f"*.{year}.nc"))) as ds:
            years.append(ds.NEE.load())
    nee = xr.concat(years, "time").sortby("lat")
    totals = monthly_totals(nee.values, nee.lat.values, 0.5, 1.0).sum(axis=1)
    assert 1.5 < totals.mean() / true_totals.sum(axis=1).mean() < 3
    assert 0.35 < totals.std() / true_totals.sum(axis=1).std() < 0.65
    one_degree = nee.sel(lat=slice(10, 70), lon=slice(-170, -50)).coarsen(lat=2, lon=2).mean()
    r = xr.corr(one_degree.drop_vars("time"), truth.drop_vars("time"))
    assert float(r) > 0.9
