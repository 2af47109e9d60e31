"""Batches: every row once an epoch, in an order that the seed alone decides."""

from __future__ import annotations

import numpy as np
import pytest

from narcf_geo.model.network import batches as module
from narcf_geo.model.network.batches import Standardised, ahead, batches, shuffled


def epoch(n: int, members: int, size: int, count: int, seed: int = 0) -> list:
    rngs = [np.random.default_rng(seed + k) for k in range(members)]
    rows = np.arange(n, dtype=np.int32) * 3
    return list(batches([rows] * members, rngs, size, count))


@pytest.mark.parametrize(
    ("n", "size", "count"), [(100, 10, 4), (105, 10, 4), (9, 9, 1), (64, 4, 3)]
)
@pytest.mark.parametrize("window", [2**20, 32])
def test_every_row_once(
    n: int, size: int, count: int, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WINDOW_ROWS", window)
    monkeypatch.setattr(module, "BLOCK_ROWS", 8)
    found = epoch(n, 2, size, count)
    assert {order.shape for order, _ in found} == {(count, 2, size)}
    assert sum(full for _, full in found) == n // size
    for member in range(2):
        rows = np.concatenate([order[:full, member].ravel() for order, full in found])
        assert np.unique(rows).size == rows.size == n // size * size
        assert set(rows) <= set(range(0, 3 * n, 3))
    (first, _), *_ = found
    assert not np.array_equal(first[:, 0], first[:, 1])
    (again, _), *_ = epoch(n, 2, size, count)
    np.testing.assert_array_equal(first, again)


def test_a_member_of_fewer_rows_goes_through_them_again() -> None:
    rows = [np.arange(100, dtype=np.int32), np.arange(200, 223, dtype=np.int32)]
    rngs = [np.random.default_rng(k) for k in range(2)]
    found = list(batches(rows, rngs, 10, 4))
    assert sum(full for _, full in found) == 10
    many, few = (
        np.concatenate([order[:full, member].ravel() for order, full in found])
        for member in range(2)
    )
    assert np.unique(many).size == 100
    # 100 of 23: four times each, and some once more; each round has all of them.
    _, counts = np.unique(few, return_counts=True)
    assert (counts.size, set(counts)) == (23, {4, 5})
    assert np.unique(few[:23]).size == 23
    assert few[:23].tolist() != few[23:46].tolist()


def test_a_table_of_one_window_is_shuffled_as_a_whole() -> None:
    rows = np.arange(1000, dtype=np.int32)
    (order,) = shuffled(rows, np.random.default_rng(7))
    np.testing.assert_array_equal(order, np.random.default_rng(7).permutation(np.arange(1000)))


def test_a_window_is_made_of_blocks_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW_ROWS", 1000)
    monkeypatch.setattr(module, "BLOCK_ROWS", 10)
    windows = list(shuffled(np.arange(10_007), np.random.default_rng(1)))
    # One block is of 7 rows.
    assert {w.size for w in windows[:-1]} <= {1000, 997}
    assert sorted(np.concatenate(windows)) == list(range(10_007))
    for window in windows[:-1]:
        assert np.ptp(window) > 9000
        # Within a window rows of a block do not follow one another.
        assert (np.diff(window) == 1).mean() < 0.05


def test_rows_are_normalised_when_they_are_read() -> None:
    x = np.array([[1.0, np.nan], [5.0, 3.0], [9.0, 7.0]], np.float32)
    table = Standardised(x, np.array([5.0, 5.0]), np.array([2.0, 4.0]))
    found = table.read(np.array([[2, 0], [1, 1]]))
    assert found.tolist() == [[[2.0, 0.5], [-2.0, 0.0]], [[0.0, -0.5], [0.0, -0.5]]]


def test_what_fails_ahead_fails_here() -> None:
    def items():
        yield 1
        raise ValueError("broken")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="broken"):
        next(found)
