"""What a grid is equal to, what it matches, and how it is shown."""

from __future__ import annotations

import numpy as np
import pytest

from narcf_geo.grid import Grid
from narcf_geo.grid.sphere import places_differ

GRID = Grid.regular(-100, 40, -90, 46, (2, 0.5))
LON_C, LAT_C = GRID.corners()
TURNED = Grid.from_corners(LON_C + 0.1 * (LAT_C - 43), LAT_C + 0.05 * (LON_C + 95))


def moved(grid: Grid, lon: float = 0.0, lat: float = 0.0) -> Grid:
    return Grid.from_corners(grid.lon_b + lon, grid.lat_b + lat, dims=grid.dims)


@pytest.mark.parametrize("grid", [GRID, TURNED])
def test_equal_and_matching(grid: Grid) -> None:
    assert grid == moved(grid)
    assert moved(GRID, lat=1e-11) == GRID
    assert grid != moved(grid, lat=1e-7)
    assert grid != moved(grid, lon=360)
    assert hash(grid) == hash(moved(grid))
    assert grid.matches(moved(grid, lon=360))
    assert grid.matches(moved(grid, lon=-1e-6, lat=2e-7))
    # A millionth of 2 degrees of longitude, and of half a degree of latitude.
    assert not grid.matches(moved(grid, lon=4e-6))
    assert not grid.matches(moved(grid, lat=1e-6))
    assert grid.matches(moved(grid, lon=0.3), tolerance=0.2)
    assert not grid.matches(Grid.regular(-100, 40, -90, 46, 1))


def test_the_other_direction_does_not_match() -> None:
    assert not GRID.matches(Grid.from_corners(GRID.lon_b, GRID.lat_b[::-1]))
    assert not GRID.matches(TURNED)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_places_apart(dtype: str) -> None:
    lon = np.arange(200.05, 210, 0.1)
    assert not places_differ(lon, lon.astype(dtype))
    assert not places_differ(lon, lon + 1e-8)
    assert places_differ(lon, lon.astype(dtype) + 1e-3)
    assert places_differ(lon, lon[:-1])
    assert not places_differ(lon[:1], lon[:1] + 1e-7)


def test_a_notebook_shows_cells_size_extent_and_area() -> None:
    shown = GRID._repr_html_()
    area = float(GRID.area.sum()) / 1e12
    words = "12 x 5 = 60", "0.5 x 2 degree", "40 to 46", "-100 to -90", f"{area:.6g} million"
    for text in words:
        assert text in shown
    assert 0.4 < area < 0.6
    assert "curvilinear" in TURNED._repr_html_()
    assert shown.count("<tr>") == shown.count("</tr>") == 5
