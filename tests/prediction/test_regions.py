"""Into which regions a store is cut, and how often they make the inputs be decoded."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narcf_geo.core.layout import Layout
from narcf_geo.prediction.regions import OFTEN, Need, Region, regions


def need(chunk: tuple[int, ...], halo: int) -> Need:
    """What the shipped model reads: nine inputs in chunks of the store."""
    return Need([chunk] * 9, halo, maps=19, predictors=12, fields=3, features=29, slab=2**16)


def decodings(found: list[Region], layout: Layout, halo: int) -> float:
    """Return how often a chunk of the inputs is decoded, counted chunk by chunk."""
    total = 0
    for region in found:
        time, *plane = layout.slices(region.first, region.last)
        first = max(time.start - halo, 0) // layout.chunk[0]
        last = (time.stop - 1) // layout.chunk[0]
        cells = (
            (s.stop - 1) // c - s.start // c + 1
            for s, c in zip(plane, layout.chunk[1:], strict=True)
        )
        total += (last - first + 1) * math.prod(cells)
    return total / math.prod(layout.counts)


@settings(deadline=None)
@given(
    months=st.integers(1, 500),
    rows=st.integers(1, 1500),
    columns=st.integers(1, 1500),
    halo=st.integers(0, 14),
    slots=st.integers(1, 16),
    memory=st.floats(1e8, 2e9),
)
def test_each_chunk_is_in_one_region(
    months: int, rows: int, columns: int, halo: int, slots: int, memory: float
) -> None:
    layout = Layout.of((months, rows, columns))
    found = regions(layout, need(layout.chunk, halo), memory, slots)
    chunks = [chunk for region in found for chunk in region.chunks()]
    assert sorted(chunks) == sorted(layout.chunks())
    assert len(found) >= min(slots, len(chunks))


@pytest.mark.parametrize("halo", [0, 2, 12])
@pytest.mark.parametrize(
    ("shape", "memory"),
    [
        ((108, 60, 120), 0.8e9),  # North America, 1 degree, in 2 GB with two threads
        ((108, 240, 480), 0.8e9),  # 0.25 degree
        ((432, 60, 120), 0.8e9),
        ((108, 3600, 7200), 0.6e9),  # the globe, 0.05 degree, in 1 GB with one
    ],
)
def test_inputs_are_decoded_at_most_one_and_a_half_times(
    shape: tuple[int, int, int], memory: float, halo: int
) -> None:
    layout = Layout.of(shape)
    asked = need(layout.chunk, halo)
    found = regions(layout, asked, memory, 2)
    often = decodings(found, layout, halo)
    assert often <= OFTEN
    first = tuple(b - a + 1 for a, b in zip(found[0].first, found[0].last, strict=True))
    assert asked.amplification(layout, first) == pytest.approx(often)
    # Control: chunk by chunk, the months before are decoded again each time.
    one_by_one = [Region(chunk, chunk) for chunk in layout.chunks()]
    assert (decodings(one_by_one, layout, halo) > OFTEN) == (halo > 0)
