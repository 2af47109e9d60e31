from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from narcf_geo.outputs.blocks import Statistics, quantile, windows


@pytest.fixture
def field() -> xr.DataArray:
    values = np.random.default_rng(5).normal(0, 3, (7, 30, 41)).astype("float32")
    values[:, :4] = np.nan
    values[2, 5, 5] = np.inf
    values[3] = np.round(values[3])
    return xr.DataArray(values, dims=("time", "lat", "lon"))


@pytest.mark.parametrize("q", [0.0, 0.5, 0.98, 0.99, 1.0])
@pytest.mark.parametrize("chunks", [None, {"time": 3, "lat": 7, "lon": 40}])
def test_a_quantile_of_blocks_is_exact(field, q, chunks):
    finite = np.abs(field.values[np.isfinite(field.values)]).astype(float)
    given = field if chunks is None else field.chunk(chunks)
    assert quantile(given, q) == pytest.approx(np.quantile(finite, q), rel=1e-15)


def test_nothing_has_no_quantile(field):
    assert quantile(field * np.nan, 0.5) is None
    assert quantile(field[:1, 4:5, :1], 0.98) == abs(field[0, 4, 0].item())


def test_statistics_of_blocks_are_those_of_the_whole(field):
    found = [Statistics() for _ in range(7)]
    pieces = np.full(field.shape, 9.0)
    for rows, columns, values in windows(field.chunk(time=2, lat=11, lon=6)):
        pieces[:, rows, columns] = values
        for band, statistics in zip(values, found, strict=True):
            statistics.add(band)
    np.testing.assert_array_equal(pieces, field)
    for band, statistics in zip(field.values, found, strict=True):
        valid = band[np.isfinite(band)].astype(float)
        assert (statistics.number, statistics.cells) == (valid.size, band.size)
        assert (statistics.low, statistics.high) == (valid.min(), valid.max())
        assert statistics.mean == pytest.approx(valid.mean(), rel=1e-12)
        assert statistics.std == pytest.approx(valid.std(), rel=1e-12)
