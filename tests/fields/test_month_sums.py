"""Sums over months: lazily and in memory, against brute force."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from narcf_geo.fields.averages import monthly_mean


def steps(
    time: pd.DatetimeIndex | xr.DataArray, values: np.ndarray, units: str = "K"
) -> xr.Dataset:
    data = np.stack([values, values + 100], axis=1)[:, :, None] * np.ones(3)
    return xr.Dataset(
        {"air": (("time", "lat", "lon"), data, {"units": units}), "orog": ("lat", [1.0, 2.0])},
        coords={"time": time, "lat": [40.0, 41.0], "lon": [5.0, 6.0, 7.0]},
    )


def months_of(ds: xr.Dataset, name: str) -> dict[str, np.ndarray]:
    months = pd.DatetimeIndex(ds["time"].values).strftime("%Y-%m")
    fields = np.moveaxis(ds[name].values, ds[name].dims.index("time"), 0)
    return dict(zip(months, fields, strict=True))


def brute_force(ds: xr.Dataset, name: str, least: float, hours: int) -> dict[str, np.ndarray]:
    """Average the hours of each month, from steps of `hours` that begin at their stamps."""
    values = np.moveaxis(ds[name].values.astype("float64"), ds[name].dims.index("time"), 0)
    found: dict[str, list[np.ndarray]] = {}
    for stamp, field in zip(pd.DatetimeIndex(ds["time"].values), values, strict=True):
        for hour in range(hours):
            month = (stamp + pd.Timedelta(hours=hour)).strftime("%Y-%m")
            found.setdefault(month, []).append(field)
    means = {}
    for month, fields in found.items():
        stacked = np.stack(fields)
        valid = np.isfinite(stacked).sum(axis=0)
        share = valid / (24 * pd.Period(month, "M").days_in_month)
        mean = np.where(valid > 0, np.nansum(stacked, axis=0) / np.maximum(valid, 1), np.nan)
        means[month] = np.where(share >= least - 1e-9, mean, np.nan)
    return means


@st.composite
def fields(draw: st.DrawFn) -> xr.Dataset:
    """Draw fields of a few dimensions in any order, with values missing and steps shuffled."""
    hours = draw(st.sampled_from([6, 12, 24, 120]))
    first = pd.Timestamp("2003-12-20") + pd.Timedelta(days=draw(st.integers(0, 45)))
    number = draw(st.integers(2, 700 // hours + 2))
    time = first + pd.to_timedelta(np.arange(number) * hours, unit="h")
    dims = draw(st.permutations(["time", "level", "lat", "lon"]))[: draw(st.integers(1, 4))]
    dims = dims if "time" in dims else ["time", *dims[1:]]
    sizes = {"time": number, "level": 2, "lat": 3, "lon": 4}
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    values = random.normal(280, 20, [sizes[d] for d in dims]).astype("float32")
    values[random.random(values.shape) < draw(st.sampled_from([0.0, 0.1, 0.9]))] = np.nan
    ds = xr.Dataset({"air": (dims, values)}, {"time": time}, {"hours": hours})
    return ds.isel(time=random.permutation(number)) if draw(st.booleans()) else ds


@given(fields(), st.sampled_from([0.05, 0.5, 0.9]), st.integers(1, 40), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_against_every_hour_on_its_own(
    ds: xr.Dataset, least: float, steps: int, cells: int
) -> None:
    expected = brute_force(ds, "air", least, ds.attrs["hours"])
    chunks = {d: steps if d == "time" else cells for d in ds["air"].dims}
    for given_as in (ds, ds.chunk(chunks), ds.chunk(time=1)):
        mean = monthly_mean(given_as, least)
        assert mean["air"].dims == ds["air"].dims
        assert mean["air"].dtype == "float64"
        found = months_of(mean, "air")
        assert [*found] == sorted(expected)
        for month, field in expected.items():
            np.testing.assert_allclose(found[month], field, rtol=1e-12)


@given(st.integers(1, 200), st.sampled_from([1, 3, 24]), st.sampled_from(["noleap", "360_day"]))
@settings(max_examples=10, deadline=None)
def test_months_weighted_by_their_days_have_the_mean_of_all(
    seed: int, hours: int, calendar: str
) -> None:
    time = xr.date_range(
        "2003-11-01", "2004-03-01", freq=f"{hours}h", calendar=calendar, use_cftime=True
    )[:-1]
    values = np.random.default_rng(seed).gamma(1.0, 50.0, (time.size, 3)).astype("float32")
    ds = xr.Dataset({"a": (("time", "x"), values), "one": ("time", np.full(time.size, 0.1))})
    ds = ds.assign_coords(time=time)
    mean = monthly_mean(ds.chunk(time=50), 1.0)
    days = [30, 31, 31, 28] if calendar == "noleap" else [30] * 4
    np.testing.assert_allclose(
        np.average(mean["a"], axis=0, weights=days), values.mean(axis=0, dtype="f8"), rtol=1e-12
    )
    np.testing.assert_allclose(mean["one"], 0.1, rtol=1e-12)
    # Control: months of different length that count alike have another mean.
    if calendar == "noleap":
        assert not np.allclose(mean["a"].mean("time"), values.mean(axis=0), rtol=1e-9)


def test_lazy_fields_are_read_chunk_by_chunk() -> None:
    import dask
    import dask.array as da

    read: list[int] = []
    held: set[int] = set()
    most = 0

    def block(block_info: dict) -> np.ndarray:
        nonlocal most
        (first, _), *_ = block_info[None]["array-location"]
        field = np.full((1, 600, 800), first, "float32")
        read.append(first)
        held.add(first)
        weakref.finalize(field, held.discard, first)
        most = max(most, len(held))
        return field

    time = pd.date_range("2007-01-01", "2007-06-30")
    data = da.map_blocks(
        block, chunks=((1,) * time.size, (600,), (800,)), dtype="float32", meta=np.empty((0, 0, 0))
    )
    ds = xr.Dataset({"air": (("time", "lat", "lon"), data)}, {"time": time})
    mean = monthly_mean(ds, 1.0)["air"]
    assert read == []
    assert mean.data.npartitions == 6
    # Beside the chunks read: one task a month, and one for each four chunks of 2 MB added.
    assert len(dict(mean.data.dask)) - len(dict(data.dask)) <= 6 * (1 + 8)
    with dask.config.set(scheduler="synchronous"):
        found = mean.compute()
    assert sorted(read) == [*range(time.size)]
    assert most <= 8
    expected = pd.Series(np.arange(time.size), time).resample("MS").mean()
    np.testing.assert_allclose(found[:, 7, 9], expected)


def test_chunks_of_the_result_hold_as_many_months_as_those_of_the_steps() -> None:
    time = pd.date_range("2001-01-01", "2004-12-31")
    ds = steps(time, np.arange(time.size, dtype="f8"))
    for length, months in ((1, 1), (31, 1), (366, 12), (time.size, 48)):
        found = monthly_mean(ds.chunk(time=length), 1.0)["air"]
        assert max(found.chunks[0]) == months
        xr.testing.assert_allclose(found.compute(), monthly_mean(ds, 1.0)["air"])


def test_a_file_opened_without_dask(tmp_path: Path) -> None:
    time = pd.date_range("2001-01-01", "2001-05-31")
    ds = steps(time, np.arange(time.size, dtype="f8"))
    encoding = {"air": {"chunksizes": (20, 2, 3), "dtype": "int16", "_FillValue": -9}}
    ds["air"][40:44, 0, 0] = np.nan
    ds.to_netcdf(tmp_path / "a.nc", encoding=encoding)
    with xr.open_dataset(tmp_path / "a.nc") as opened:
        xr.testing.assert_allclose(monthly_mean(opened, 0.8), monthly_mean(ds, 0.8))
        assert np.isnan(monthly_mean(opened, 0.9)["air"][1, 0, 0])
    with xr.open_dataset(tmp_path / "a.nc", chunks={}) as opened:
        xr.testing.assert_allclose(monthly_mean(opened, 0.8).compute(), monthly_mean(ds, 0.8))


def test_sums_are_of_double_precision() -> None:
    time = pd.date_range("2001-01-01", "2001-01-31 23:00", freq="h")
    values = (1e6 + np.random.default_rng(1).random(time.size)).astype("float32")
    ds = xr.Dataset({"p": ("time", values)}, {"time": time})
    truth = values.astype("float64").mean()
    for given_as in (ds, ds.chunk(time=1)):
        assert float(monthly_mean(given_as, 1.0)["p"][0]) == pytest.approx(truth, rel=1e-14)
    # Control: sums of float32 are off by more.
    total = np.float32(0)
    for value in values:
        total += value
    assert total / np.float32(time.size) != pytest.approx(truth, rel=1e-9)


def test_infinite_values_stay_infinite() -> None:
    time = pd.date_range("2001-01-01", "2001-02-28")
    values = np.ones(59)
    values[3], values[4], values[40] = np.inf, np.nan, np.inf
    found = monthly_mean(xr.Dataset({"p": ("time", values)}, {"time": time}), 0.5)
    assert found["p"].values.tolist() == [np.inf, np.inf]
