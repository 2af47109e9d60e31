"""What is seen of values, block by block, and what the rules say of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from narcf_geo.catalog.catalog import Entry
from narcf_geo.catalog.check import check
from narcf_geo.catalog.gate import findings_of, looked_at
from narcf_geo.catalog.rules import Finding
from narcf_geo.catalog.values import Expected, look, together

MakeEntry = Callable[..., Entry]
EXPECTED = Expected(-1.0, 1.0, {-9999.0: -9999.0})


def field(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("time", "lat", "lon"), name="ndvi")


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    chunk=st.integers(1, 4),
    odd=st.lists(st.sampled_from([np.nan, np.inf, -np.inf, -9999.0, 5.0, -1.5]), max_size=6),
    seed=st.integers(0, 99),
)
def test_blocks_of_any_size_show_the_same(
    shape: tuple[int, int, int], chunk: int, odd: list[float], seed: int
) -> None:
    """The count, the range and the place of the first are those of plain numpy on the whole."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(-1, 1, shape)
    values.ravel()[rng.integers(values.size, size=len(odd))] = odd
    array = field(values)
    whole = together(look(array, EXPECTED))
    (blocks,) = dask.compute(look(array.chunk(chunk), EXPECTED))
    assert together(blocks) == whole
    plain = values[(values >= -1) & (values <= 1)]
    assert (whole.low, whole.high) == (
        (plain.min(), plain.max()) if plain.size else (np.inf, -np.inf)
    )
    masks = {
        ("infinite", 0.0): np.isinf(values),
        ("marker", -9999.0): values == -9999,
        ("beyond", 0.0): np.isin(values, [5.0, -1.5]),
    }
    assert set(whole.odd) == {key for key, mask in masks.items() if mask.any()}
    for key, found in whole.odd.items():
        assert found.count == masks[key].sum()
        assert found.place == tuple(np.argwhere(masks[key])[0])
        assert found.value == values[found.place]
        assert (found.low, found.high) == (values[masks[key]].min(), values[masks[key]].max())


def test_each_block_is_read_once_for_both() -> None:
    """What is made of a field and what is seen of it share the reading."""
    read: list[int] = []

    def block(info: dict | None = None, block_info: dict | None = None) -> np.ndarray:
        read.append(1)
        return np.full((1, 4, 4), 0.5)

    data = da.map_blocks(block, chunks=((1,) * 5, (4,), (4,)), dtype="float64", meta=np.empty(0))
    array = (field(data) + 1.0) * 0.5
    mean, seen = dask.compute(array.mean("time") * 2, look(array, EXPECTED))
    assert len(read) == 5
    assert float(mean[0, 0]) == 1.5
    assert together(seen).high == 0.75


def write(folder: Path, values: np.ndarray, units: str, name: str = "v", year: int = 2001) -> str:
    """Write twelve months of 4 x 5 cells, the given numbers in the first of them in March."""
    fields = np.linspace(0, 1, 12 * 20).reshape(12, 4, 5) * np.ptp(values[:2]) + values[:2].min()
    odd = values[2:]
    fields[2].ravel()[: odd.size] = odd
    path = folder / f"{name}_{year}.nc"
    xr.Dataset(
        {name: (("time", "lat", "lon"), fields, {"units": units})},
        {
            "time": pd.date_range(f"{year}-01", periods=12, freq="MS"),
            "lat": ("lat", np.arange(40.5, 44), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(-99.5, -95), {"units": "degrees_east"}),
        },
    ).to_netcdf(path)
    return path.name


def found_in(entry: Entry) -> list[Finding]:
    """Return what the gate finds in a source, as a run does."""
    ds = entry.read()
    ds = ds[list(entry.metadata.variables)]
    (seen,) = dask.compute(looked_at(entry, ds))
    return findings_of(entry, ds, seen)


@pytest.mark.parametrize(
    ("key", "units", "values", "words"),
    [
        ("temp", "K", [270, 290, -9999], ["found -10272.2 in 1 value of 240 (in 2001-03 in ",
                                          "-9999 in the file", "`missing: [-9999]`"]),
        ("temp", "K", [270, 290, 1e20, 1e20], ["found 1e+20 in 2 of 240 (the first in 2001-03"]),
        ("temp", "K", [270, 290, np.inf], ["expected finite values, found inf in 1 value"]),
        ("temp", "degC", [270, 290], ["from -80 to 60 degC, found 270 to 290", "`units:`"]),
        ("temp", "K", [-3, 17], ["found -276.1 to -256.1"]),
        ("ndvi", "1", [0.1, 0.9, 5000], ["from -1 to 1, found 5000"]),
        ("ndvi", "1", [0.1, 0.9, -0.3, 1.2], ["found 1.2 in 1 value"]),
        ("precip", "mm/day", [0, 9, -1], ["from 0 to 200 kg m-2 day-1, found -1"]),
        ("rel_hum", "%", [10, 90, -999], ["`missing: [-999]`"]),
        ("rel_hum", "1", [10, 90], ["found 1000 to 9000"]),
        ("gdd", "K day", [0, 900, 9999], ["expected values from 0 to 15000", "[9999]"]),
        ("height", "m", [0, 4000, -9999], ["expected values near the others", "[-9999]"]),
        ("height", "m", [0, 4000, 9.96921e36], ["[9.96921e+36]"]),
        ("height", "m", [0, 4000, -np.inf], ["expected finite values"]),
        ("flux", "mol m-2 s-1", [-1e-6, 2e-6, -9999], ["-9999 in the file"]),
        ("flux", "umol m-2 s-1", [-5, 5, -99], ["found -99", "`missing: [-99]`"]),
        ("flux", "umol m-2 s-1", [-1e-6, 1e-6], ["expected values beyond 0.01 umol m-2 s-1"]),
    ],
)  # fmt: skip
def test_the_impossible(
    tmp_path: Path, entry: MakeEntry, key: str, units: str, values: list[float], words: list[str]
) -> None:
    file = write(tmp_path, np.array(values, float), units)
    role = "target" if key == "flux" else "predictor"
    it = entry(file, role=role, variables={key: {"name": "v"}})
    (error,) = found_in(it)
    assert (error.level, error.source, error.variable) == ("error", "it", key)
    for word in ["data_catalog.yaml:", "source 'it'", f"variable {key!r}", *words]:
        assert word in error.text
    # check, which reads the whole, says the same.
    assert error in check(it)[0]
    # With what the message says to do, it passes.
    if "`missing: [" in error.text:
        missing = [v for v in values[2:] if abs(v) < 1e37]
        mended = entry(file, role=role, variables={key: {"name": "v", "missing": missing}})
        assert not [f for f in found_in(mended) if f.level == "error"]


@pytest.mark.parametrize(
    ("key", "units", "values"),
    [
        ("temp", "K", [220, 310, 200]),
        ("precip", "mm/day", [0, 50, 199]),
        ("height", "m", [-400, 8000, -1000, 8848]),
        ("height", "m", [0, 20000, 9999]),  # a marker among others of its size is a value
        ("soil_moisture", "kg m-2", [100, 2500, 999]),
        ("flux", "umol m-2 s-1", [-90, 90, -99]),
    ],
)
def test_the_possible_passes(
    tmp_path: Path, entry: MakeEntry, key: str, units: str, values: list[float]
) -> None:
    file = write(tmp_path, np.array(values, float), units)
    role = "target" if key == "flux" else "predictor"
    assert found_in(entry(file, role=role, variables={key: {"name": "v"}})) == []


@pytest.mark.parametrize(
    ("key", "units", "values", "words"),
    [
        ("precip", "mm/day", [0, 9, -0.01], "found -0.01 in 1 value of 240"),
        ("temp", "K", [280, 280], "expected values that vary, found 6.85 degC everywhere"),
    ],
)
def test_the_doubtful_is_a_warning(
    tmp_path: Path, entry: MakeEntry, key: str, units: str, values: list[float], words: str
) -> None:
    file = write(tmp_path, np.array(values, float), units)
    (warning,) = found_in(entry(file, variables={key: {"name": "v"}}))
    assert warning.level == "warning"
    assert words in warning.text


def test_the_file_of_the_first_is_named(tmp_path: Path, entry: MakeEntry) -> None:
    write(tmp_path, np.array([270.0, 290]), "K", "air", 2001)
    write(tmp_path, np.array([270.0, 290, 900]), "K", "air", 2002)
    write(tmp_path, np.array([270.0, 290, 900]), "K", "air", 2003)
    for pattern in ("air_*.nc", "air_{year}.nc"):
        (error,) = found_in(entry(pattern, variables={"temp": {"name": "air"}}))
        assert "in 2 of 720 (the first in 2002-03 in air_2002.nc)" in error.text


def test_a_range_of_ones_own_holds(tmp_path: Path, entry: MakeEntry) -> None:
    file = write(tmp_path, np.array([0.0, 50, 101]), "%")
    variables = {"frost": {"name": "v", "valid_range": [0, 100]}}
    assert "from 0 to 100 %, found 101" in found_in(entry(file, variables=variables))[0].text
    variables["frost"]["valid_range"] = [0, 200]
    assert found_in(entry(file, variables=variables)) == []
    # Of a number that often stands for no value, too.
    file = write(tmp_path, np.array([0.0, 50, -9999]), "m")
    variables = {"depth": {"name": "v"}}
    assert "missing: [-9999]" in found_in(entry(file, variables=variables))[0].text
    variables["depth"]["valid_range"] = [-11000, 9000]
    assert found_in(entry(file, variables=variables)) == []


def test_a_marker_beyond_single_precision_is_no_other_value() -> None:
    """1e36 mol is infinite as umol in single precision, and near no number that is finite."""
    values = np.array([[0.5, -1.0, np.inf]], np.float32)
    seen = together(look(xr.DataArray(values), Expected(-100, 100, {1e42: 1e36, -1e42: -1e36})))
    assert list(seen.odd) == [("infinite", 0.0)]
    assert seen.odd["infinite", 0.0].count == 1
    assert (seen.low, seen.high) == (-1.0, 0.5)
