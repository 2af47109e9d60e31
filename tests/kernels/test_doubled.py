"""Cells that lie on each other, found at the rim of large grids tile by tile."""

from __future__ import annotations

import numpy as np
import pytest

from narcf_geo.grid import Grid
from narcf_geo.kernels import blocks, doubled
from narcf_geo.kernels.overlap import polygons_of


def skewed(rows: int = 21, columns: int = 31) -> tuple[np.ndarray, np.ndarray]:
    lon, lat = np.meshgrid(np.linspace(-120.0, -60, columns), np.linspace(20.0, 60, rows))
    return lon + 0.3 * (lat - 40), lat + 0.05 * (lon + 90)


def with_last_row_twice() -> Grid:
    return Grid.from_corners(*(np.concatenate([a, a[-2:-1]]) for a in skewed()))


def with_two_columns_of_halo() -> Grid:
    lon, lat = np.meshgrid(np.linspace(-180.0, 180, 37), np.linspace(-60.0, 60, 13))
    lat = lat + 5 * np.cos(np.radians(lon))
    return Grid.from_corners(*(np.concatenate([a, a[:, 1:3]], axis=1) for a in (lon, lat)))


@pytest.mark.parametrize(
    ("grid", "number"), [(with_last_row_twice(), 30), (with_two_columns_of_halo(), 24)]
)
def test_the_rim_of_a_large_grid_shows_copies(
    grid: Grid, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = doubled.doubled(polygons_of(grid))
    monkeypatch.setattr(doubled, "LARGE", 10)
    monkeypatch.setattr(blocks, "TILE", 7)
    doubled.doubled_cells.cache_clear()
    found = doubled.doubled_cells(grid)
    assert found.copies.size == number
    np.testing.assert_array_equal(found.copies, plain.copies)
    np.testing.assert_array_equal(found.originals, plain.originals)


def test_a_large_grid_without_copies_is_looked_at_by_its_rim_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doubled, "LARGE", 10)
    monkeypatch.setattr(blocks, "TILE", 7)

    def refused(cells: object) -> None:
        raise AssertionError("compared all cells")

    monkeypatch.setattr(doubled, "doubled", refused)
    doubled.doubled_cells.cache_clear()
    assert doubled.doubled_cells(Grid.from_corners(*skewed())).copies.size == 0
    with pytest.raises(AssertionError, match="compared all cells"):
        doubled.doubled_cells(with_last_row_twice())
    doubled.doubled_cells.cache_clear()
