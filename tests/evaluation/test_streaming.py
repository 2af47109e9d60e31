"""Scores of lazy fields in chunks of any size are those of the same fields in memory."""

from __future__ import annotations

from typing import Any

import dask.array
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from places import cells, like_a_map, like_an_inversion, monthly

from narcf_geo.core.pool import open_pool
from narcf_geo.evaluation import by_biome, by_season, compare, compare_on_common, components
from narcf_geo.evaluation.comparison import Pair
from narcf_geo.evaluation.density import BINS, density
from narcf_geo.evaluation.sums import Pairing, pair_sums
from narcf_geo.grid import Grid
from narcf_geo.statistics.conformal import coverage
from narcf_geo.statistics.scores import Moments, scores, taylor

GRID = Grid.regular(-100, 30, -89, 44, (1, 2))
AREA = cells(GRID.area, GRID.lat, GRID.lon, units="m2")
BIOME = cells(np.arange(77).reshape(7, 11) % 5 * 3 - 1, GRID.lat, GRID.lon)

CHUNKS = st.tuples(st.integers(8, 35), st.integers(3, 7), st.integers(4, 11))


def fluxes() -> tuple[xr.DataArray, xr.DataArray]:
    """Two fluxes of 35 months, asymmetric in each way, with a mean far from zero and gaps."""
    rng = np.random.default_rng(4)
    month = np.arange(35)
    season = np.cos(2 * np.pi * (month + 2) / 12)[:, None, None]
    place = np.arange(77).reshape(7, 11) ** 1.5 / 50
    observed = 30 + place - season * (1 + place / 5) + rng.normal(0, 0.3, (35, 7, 11))
    estimate = 0.8 * observed + 0.1 * place + rng.normal(0.1, 0.2, observed.shape)
    observed[:, :2, :3] = np.nan
    observed[rng.random(observed.shape) < 0.1] = np.nan
    estimate[7] = np.nan
    estimate[2:26, 5, 8] = np.nan
    first, second = (
        monthly(v.astype("f4"), "2007-05", "2010-03", GRID.lat, GRID.lon)
        for v in (estimate, observed)
    )
    return first, second


def close(one: Any, other: Any) -> None:
    """Fail unless nested scores are the same to rounding."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            close(one[key], other[key])
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-10, abs=1e-12, nan_ok=True)
    else:
        assert one == other


ESTIMATE, OBSERVED = fluxes()
IN_MEMORY = {
    "compare": compare(ESTIMATE, OBSERVED, AREA),
    "season": by_season(ESTIMATE, OBSERVED, AREA),
    "biome": by_biome(ESTIMATE, OBSERVED, AREA, BIOME),
    "components": components(ESTIMATE, OBSERVED, AREA),
    "common": compare_on_common({"a": ESTIMATE, "b": OBSERVED - 1}, OBSERVED, AREA),
}


@settings(max_examples=6, deadline=None)
@given(CHUNKS, CHUNKS)
def test_chunks_make_no_difference(first: tuple, second: tuple) -> None:
    dims = ("time", "lat", "lon")
    estimate = ESTIMATE.chunk(dict(zip(dims, first, strict=True)))
    observed = OBSERVED.chunk(dict(zip(dims, second, strict=True)))
    close(compare(estimate, observed, AREA), IN_MEMORY["compare"])
    close(by_season(estimate, observed, AREA), IN_MEMORY["season"])
    close(by_biome(estimate, observed, AREA, BIOME), IN_MEMORY["biome"])
    close(components(estimate, observed, AREA), IN_MEMORY["components"])
    found = compare_on_common({"a": estimate, "b": observed - 1}, observed, AREA)
    close(found, IN_MEMORY["common"])


def test_workers_give_the_same_scores_to_the_last_digit() -> None:
    estimate, observed = (f.chunk(time=9, lat=3, lon=4) for f in (ESTIMATE, OBSERVED))

    def found() -> list[Any]:
        pairs = density(estimate, observed, AREA)
        assert pairs
        scored = components(estimate, observed, AREA), by_biome(estimate, observed, AREA, BIOME)
        return [*scored, *(np.asarray(value).tolist() for value in pairs)]

    threads = found()
    with open_pool(workers=2):
        assert repr(found()) == repr(threads)


def test_scores_in_memory_are_those_of_all_pairs_at_once() -> None:
    weight = np.broadcast_to(AREA.values, ESTIMATE.shape)
    expected = scores(ESTIMATE.values, OBSERVED.values, weight)
    for name, value in expected.items():
        assert IN_MEMORY["compare"][name] == pytest.approx(value, rel=1e-10), name


def test_lazy_fields_in_other_orders_of_cells() -> None:
    estimate = like_an_inversion(ESTIMATE).chunk({"time": 8, "lat": 3, "lon": 4})
    observed = like_a_map(OBSERVED).chunk({"time": 5, "latitude": 2})
    close(compare(estimate, observed, like_a_map(AREA)), IN_MEMORY["compare"])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.floats(-1e6, 1e6))
def test_moments_of_parts_are_those_of_the_whole(sizes: list[int], mean: float) -> None:
    rng = np.random.default_rng(sum(sizes))
    o = mean + rng.standard_normal(sum(sizes))
    e = mean + 0.5 * (o - mean) + rng.normal(0.2, 0.1, o.size)
    w = rng.uniform(0, 2, o.size)
    e[::7], w[::5] = np.nan, 0
    parts = np.split(np.stack([e, o, w]), np.cumsum(sizes)[:-1], axis=1)
    found = Moments.together([Moments.of(*part) for part in parts])
    assert found.n == (np.isfinite(e) & (w > 0)).sum()
    tolerance = {"rel": 1e-7, "abs": 1e-8, "nan_ok": True}
    for one, other in ((found.scores(), scores(e, o, w)), (found.taylor(), taylor(e, o, w))):
        assert one == pytest.approx(other, **tolerance)


def test_without_what_lies_between_the_parts_moments_are_wrong() -> None:
    # The control of the test above: the mean of the scores of two years is not their score.
    halves = [compare(ESTIMATE[part], OBSERVED[part], AREA) for part in (slice(17), slice(17, 35))]
    assert np.mean([half["r"] for half in halves]) != pytest.approx(
        IN_MEMORY["compare"]["r"], rel=1e-6
    )
    inner = sum(
        Moments.of(
            ESTIMATE.values[t].ravel(), OBSERVED.values[t].ravel(), AREA.values.ravel()
        ).squares[1]
        for t in range(35)
    )
    whole = Pair.of(ESTIMATE, OBSERVED, AREA)
    every = Pairing("e", "o", np.ones(35, bool))
    fields = {"e": whole.estimate, "o": whole.observed}
    found = pair_sums(fields, whole.area, {"x": every})["x"].whole.merged()
    assert inner < 0.999 * found.squares[1]


def test_coverage_in_pieces() -> None:
    spread = np.random.default_rng(1).uniform(0.2, 3.0, OBSERVED.shape)
    std = OBSERVED.copy(data=spread).chunk({"time": 9, "lat": 4, "lon": 5})
    factors = {0.5: 3.0, 0.8: np.inf, 0.95: np.nan}
    months = np.arange(35) > 10
    fields = {"e": ESTIMATE, "o": OBSERVED, "s": std}
    asked = Pairing("e", "o", months, spread="s", factors=factors)
    found = pair_sums(fields, AREA, {"x": asked})["x"].interval_scores()["coverage"]
    weight = np.broadcast_to(AREA.values, ESTIMATE.shape)[months]
    rows = (f.values[months].ravel() for f in (OBSERVED, ESTIMATE, std))
    expected = coverage(*rows, factors, weight.ravel())
    assert found == pytest.approx(expected, rel=1e-12, nan_ok=True)
    assert 0.1 < found["0.5"] < 0.9


@pytest.mark.parametrize("chunks", [{}, {"time": 4, "lat": 3, "lon": 7}])
def test_the_density_counts_each_pair_once(chunks: dict[str, int]) -> None:
    lazy = (f.chunk(chunks) if chunks else f for f in (ESTIMATE, OBSERVED))
    found = density(*lazy, AREA)
    assert found is not None
    e, o = ESTIMATE.values.ravel(), OBSERVED.values.ravel()
    known = np.isfinite(e) & np.isfinite(o)
    e, o = e[known], o[known]
    assert found.number.sum() == known.sum() == IN_MEMORY["compare"]["n"]
    assert (found.low, found.high) == (min(e.min(), o.min()), max(e.max(), o.max()))
    assert found.span == (o.min(), o.max())
    step = (found.high - found.low) / BINS
    for centres, values in ((found.observed, o), (found.estimate, e)):
        mean = (centres * found.number).sum() / found.number.sum()
        assert mean == pytest.approx(values.mean(), abs=step / 2)
    weight = np.broadcast_to(AREA.values, ESTIMATE.shape).ravel()[known]
    slope, offset = np.polyfit(o.astype(float), e.astype(float), 1, w=np.sqrt(weight))
    assert (found.slope, found.offset) == pytest.approx((slope, offset), rel=1e-6)
    assert density(ESTIMATE * np.nan, OBSERVED, AREA) is None


def test_no_more_than_a_window_is_read_at_a_time() -> None:
    seen: list[tuple[int, ...]] = []

    def part(block: np.ndarray) -> np.ndarray:
        seen.append(block.shape)
        return block

    lazy = dask.array.from_array(ESTIMATE.values, chunks=(12, 4, 6))
    lazy = lazy.map_blocks(part, dtype=lazy.dtype, meta=np.array((), lazy.dtype))
    estimate = ESTIMATE.copy(data=lazy)
    compare(estimate, OBSERVED, AREA)
    # Three chunks of months, two of rows, two of columns: each once.
    assert len(seen) == 12
    assert max(seen) == (12, 4, 6)
    seen.clear()
    components(estimate, OBSERVED, AREA)
    assert len(seen) == 24
