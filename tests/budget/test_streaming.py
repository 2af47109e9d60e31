"""Budgets and intervals of lazy fields in chunks of any size, and errors of a finer grid."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from places import cells, monthly

from narcf_geo.budget import biome_budget, biome_series, fraction_budget
from narcf_geo.budget.intervals import total_draws
from narcf_geo.core.errors import UsageError
from narcf_geo.core.pool import open_pool
from narcf_geo.grid import Grid
from narcf_geo.statistics import gathering
from narcf_geo.statistics.error_model import ErrorModel

GRID = Grid.regular(-100, 30, -89, 37, 1)
AREA = cells(GRID.area, GRID.lat, GRID.lon, units="m2")
BIOME = cells(np.arange(77).reshape(7, 11) % 5 * 3 - 1, GRID.lat, GRID.lon)
DIMS = ("time", "lat", "lon")


def given_fields() -> dict[str, xr.DataArray]:
    """Flux, reference and std of 19 months from August on, with gaps in each."""
    rng = np.random.default_rng(5)
    found = {}
    for name, mean in (("flux", -0.3), ("reference", 0.1), ("std", 3.0)):
        values = mean + rng.normal(0, 0.5, (19, 7, 11)) + np.arange(77).reshape(7, 11) / 100
        values[rng.random(values.shape) < 0.15] = np.nan
        values[:, 0, :4] = np.nan
        found[name] = monthly(values, "2007-08", "2009-02", GRID.lat, GRID.lon)
    found["reference"][:6] = np.nan
    return found


FIELDS = given_fields()
ERRORS = ErrorModel.of(FIELDS["flux"] * 0.5, FIELDS["std"], AREA, block_degrees=3.0)
FRACTION = xr.concat([(n == BIOME) * 1.0 for n in range(17)], "igbp_class")
FRACTION = 0.5 * FRACTION + 0.5 * FRACTION.roll(lon=1)
FRACTION = FRACTION.assign_coords(igbp_class=np.arange(17))


def tables(fields: dict[str, xr.DataArray], fraction: xr.DataArray) -> list[pd.DataFrame]:
    flux, reference, std = fields.values()
    return [
        biome_budget(flux, BIOME, AREA, reference, std=std, errors=ERRORS),
        biome_budget(flux, BIOME, AREA, reference, by="month"),
        fraction_budget(flux, fraction, AREA, reference, std=std, errors=ERRORS),
    ]


IN_MEMORY = tables(FIELDS, FRACTION)


@settings(max_examples=5, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(4, 19), st.integers(3, 7), st.integers(4, 11)), min_size=3, max_size=3
    )
)
def test_chunks_make_no_difference(chunks: list[tuple[int, int, int]]) -> None:
    lazy = {
        name: field.chunk(dict(zip(DIMS, sizes, strict=True)))
        for (name, field), sizes in zip(FIELDS.items(), chunks, strict=True)
    }
    fraction = FRACTION.chunk({"lat": chunks[0][1]})
    for found, expected in zip(tables(lazy, fraction), IN_MEMORY, strict=True):
        pd.testing.assert_frame_equal(found, expected, rtol=1e-11)
    series = biome_series(lazy["flux"], BIOME, AREA)
    for number, total in biome_series(FIELDS["flux"], BIOME, AREA).items():
        xr.testing.assert_allclose(series[number], total, rtol=1e-12)


def test_workers_give_the_same_numbers_to_the_last_digit() -> None:
    lazy = {name: field.chunk(time=5, lat=3, lon=4) for name, field in FIELDS.items()}
    threads = tables(lazy, FRACTION)
    with open_pool(workers=2):
        workers = tables(lazy, FRACTION)
    for one, other in zip(workers, threads, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_tables_are_those_of_a_loop() -> None:
    year, month, _ = (t.set_index(["biome", t.columns[2]]) for t in IN_MEMORY)
    days = FIELDS["flux"]["time"].dt.days_in_month.values
    factor = 12.011e-18 * 86400
    flux, other = FIELDS["flux"].values, FIELDS["reference"].values
    for number in (2, 5, 8, 11):
        for which, keys, table in (
            (FIELDS["flux"]["time"].dt.year.values, (2007, 2008, 2009), year),
            (FIELDS["flux"]["time"].values, FIELDS["flux"]["time"].values[[0, 7]], month),
        ):
            for key in keys:
                total = reference = area = 0.0
                for i, j in np.argwhere(BIOME.values == number):
                    known = False
                    for t in np.flatnonzero(which == key):
                        if np.isfinite(flux[t, i, j]):
                            known = True
                            cell = AREA.values[i, j] * days[t] * factor
                            total += flux[t, i, j] * cell
                            reference += np.nan_to_num(other[t, i, j]) * cell
                    area += known * AREA.values[i, j] / 1e6
                row = table.loc[(str(number), key)]
                assert row["flux_TgC"] == pytest.approx(total, rel=1e-12)
                assert row["area_km2"] == pytest.approx(area, rel=1e-12)
                if np.isfinite(row["reference_TgC"]):
                    assert row["reference_TgC"] == pytest.approx(reference, rel=1e-12)
                else:
                    assert reference == 0


def fine(step: float) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Smooth errors of a year, their std and areas, on 40 x 48 degrees."""
    grid = Grid.regular(-110, 20, -62, 60, step)
    lon, lat = np.meshgrid(grid.lon, grid.lat)
    rng = np.random.default_rng(7)
    waves = np.zeros((12, *lat.shape))
    for _ in range(60):
        ky, kx, phase = rng.normal(0, 0.25), rng.normal(0, 0.25), rng.uniform(0, 2 * np.pi)
        turn = rng.normal(0, 0.2)
        months = np.arange(12)[:, None, None]
        waves += np.cos(ky * lat + kx * lon + phase + turn * months) / np.sqrt(30)
    std = 0.3 + 0.2 * np.exp(-(((lat - 40) / 9) ** 2)) + 0 * waves
    errors, spread = (
        monthly(np.where(lon + lat / 2 < -50, v, np.nan), "2013-01", "2013-12", grid.lat, grid.lon)
        for v in (waves * std, std)
    )
    return errors, spread, cells(grid.area, grid.lat, grid.lon, units="m2")


def spread_of_totals(step: float) -> tuple[np.ndarray, ErrorModel]:
    errors, std, area = fine(step)
    model = ErrorModel.of(errors, std, area, block_degrees=12.0)
    lon, lat = np.meshgrid(std["lon"], std["lat"])
    parts = np.stack([lon < 0, lon < -95, (lat > 40) & (lat < 48), (lat - lon) % 16 < 4]) * 1.0
    drawn = [total_draws(std, model, area, parts, draws=400, seed=s).sum(axis=2) for s in range(3)]
    return np.concatenate(drawn).std(axis=0), model


def test_errors_of_a_finer_grid_are_gathered_and_totals_are_as_sure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gathered, model = spread_of_totals(0.5)
    assert model.every == (2, 2)
    assert model.scale.shape == (12, 40, 48)
    monkeypatch.setattr(gathering, "FINEST_STEP", 0.1)
    alone, plain = spread_of_totals(0.5)
    assert plain.every == (1, 1)
    assert plain.scale.shape == (12, 80, 96)
    # 1,200 draws of a block bootstrap: the noise of a standard deviation is 0.02.
    assert gathered == pytest.approx(alone, rel=0.08)
    # The control: cells as large as the errors reach are too large.
    monkeypatch.setattr(gathering, "FINEST_STEP", 12.0)
    monkeypatch.setattr(gathering, "LEAST_ACROSS", 2)
    large, _ = spread_of_totals(0.5)
    assert abs(large / alone - 1).max() > 0.15


def test_a_gathered_model_is_saved_with_its_grid_and_no_other_fits(tmp_path) -> None:
    errors, std, area = (f.isel(lat=slice(79), lon=slice(95)) for f in fine(0.5))
    model = ErrorModel.of(errors, std, area)
    assert model.every == (1, 1)  # 39.5 degrees are less than forty cells of a degree
    errors, std, area = fine(0.5)
    model = ErrorModel.of(errors, std, area)
    model.save(tmp_path)
    again = ErrorModel.load(tmp_path)
    assert again is not None
    assert again.every == (2, 2)
    row, column = again.place(std["lat"].values, std["lon"].values)
    assert (row[-1], column[-1]) == (39, 47)
    for other in (std.isel(lat=slice(78)), std.assign_coords(lon=std["lon"] + 0.5)):
        with pytest.raises(UsageError, match="errors on the grid of the prediction"):
            total_draws(other, again, area, np.ones((1, *other.shape[1:])))
    ds = xr.load_dataset(tmp_path / "errors.nc")
    ds.attrs["cells_gathered"] = np.array([2, 0], "int32")
    ds.to_netcdf(tmp_path / "errors.nc")
    with pytest.raises(Exception, match="cells_gathered"):
        ErrorModel.load(tmp_path)
