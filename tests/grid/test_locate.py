"""Which cell contains a place: against areas of cells and the map itself."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from narcf_geo.grid import Grid
from narcf_geo.grid.locate import cells_at

LON = np.array([-98.7, 262.4, -97.01, -100.2, -94.9, -98.7, 620.6])
LAT = np.array([41.3, 43.9, 40.02, 41.0, 41.0, 46.0, 42.5])


@pytest.mark.parametrize("west", [-100, 260])
@pytest.mark.parametrize("north_first", [False, True])
def test_a_regular_grid_in_any_turn_and_direction(west: float, north_first: bool) -> None:
    edges = np.array([40.0, 41, 42.5, 43, 45])  # rows of different heights
    grid = Grid.from_corners(west + np.arange(6.0), edges[::-1] if north_first else edges)
    found = cells_at(grid, LON, LAT)
    row = [1, 3, 0, -1, -1, -1, 2]
    column = [1, 2, 2, -1, -1, -1, 0]
    expected = [
        -1 if r < 0 else (3 - r if north_first else r) * 5 + c
        for r, c in zip(row, column, strict=True)
    ]
    assert found.tolist() == expected


def test_edges_belong_to_one_cell_and_the_globe_has_no_seam() -> None:
    grid = Grid.regular(-180, -90, 180, 90, 30)
    lon, lat = np.array([180.0, -180.0, 30.0, 179.9, 0.0]), np.array([0.0, 0, 60, -90, 90])
    assert cells_at(grid, lon, lat).tolist() == [36, 36, 67, 11, 66]
    small = Grid.regular(0, 0, 3, 2, 1)
    assert cells_at(small, np.array([3.0, 1.0]), np.array([2.0, 1.0])).tolist() == [5, 4]


@pytest.mark.parametrize(
    "grid",
    [
        Grid.projected("EPSG:5070", np.arange(-5e5, 6e5, 1e5), np.arange(2.4e6, 1.6e6, -8e4)),
        Grid.projected(
            "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=42.5 +lon_0=83 +R=6371229",
            np.arange(-10.0, 11), np.arange(-8.0, 9),
        ),
    ],
    ids=["conic", "rotated"],
)  # fmt: skip
def test_a_projected_grid_is_searched_on_its_plane(grid: Grid) -> None:
    lon, lat = (v.ravel() for v in grid.centers())
    assert cells_at(grid, lon + 360, lat).tolist() == list(range(lon.size))
    # As the polygons have it that know no plane.
    rng = np.random.default_rng(3)
    lon = rng.uniform(lon.min() - 2, lon.max() + 2, 400)
    lat = rng.uniform(lat.min() - 2, lat.max() + 2, 400)
    found = cells_at(grid, lon, lat)
    shapes = grid.cells().geometry.to_numpy()
    inside = shapely.contains_xy(shapes[:, None], lon, lat)
    expected = np.where(inside.any(0), inside.argmax(0), -1)
    # Great circles and straight lines of the map differ by a little at the edges of cells.
    assert (found == expected).mean() > 0.99
    assert 0.2 < (found >= 0).mean() < 0.95
    loose = Grid.from_corners(grid.lon_b, grid.lat_b)
    assert (cells_at(loose, lon, lat) == expected).all()
