"""Cells as polygons, and their parts inside polygons, against areas known in closed form."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import Transformer
from shapely import Point, Polygon, box

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.grid import Grid
from narcf_geo.grid.polygons import cell_shapes
from narcf_geo.grid.rings import enclosed, within_180
from narcf_geo.grid.shares import cell_shares, sphere_area

GLOBES = {
    "from -180": Grid.regular(-180, -90, 180, 90, 2),
    "from 0": Grid.regular(0, -90, 360, 90, 2),
    "from -1": Grid.regular(-1, -90, 359, 90, 2),
    "falling": Grid.from_corners(np.arange(360, -1, -2.0), np.arange(90, -91, -2.0)),
}


def box_area(west: float, south: float, east: float, north: float) -> float:
    height = np.sin(np.deg2rad(north)) - np.sin(np.deg2rad(south))
    return EARTH_RADIUS**2 * np.deg2rad(east - west) * height


def projected(crs: str, x: np.ndarray, y: np.ndarray) -> Grid:
    transformer = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    return Grid.from_corners(*transformer.transform(*np.meshgrid(x, y)))


def areas(grid: Grid, *shapes: shapely.Geometry) -> np.ndarray:
    return cell_shares(grid, np.array(shapes, dtype=object)) @ grid.area.ravel()


@pytest.mark.parametrize("globe", GLOBES)
def test_boxes_keep_their_area_on_any_longitudes(globe: str) -> None:
    grid = GLOBES[globe]
    boxes = [
        (-110, 30, -100.5, 40.3),
        (-3, -12, 5, 77),
        (-180, 60, 180, 90),
        (12.1, 3.2, 12.3, 3.4),
    ]
    found = areas(grid, *(box(*b) for b in boxes))
    np.testing.assert_allclose(found, [box_area(*b) for b in boxes], rtol=1e-12)
    # The control: by centres of cells the small box is not there.
    assert areas(grid, box(12.1, 3.2, 12.3, 3.4))[0] < grid.area.max() / 50


@pytest.mark.parametrize(
    "grid", [Grid.regular(170, 50, 190, 60, 1), Grid.regular(-190, 50, -170, 60, 1)]
)
def test_a_grid_across_180_meets_both_sides(grid: Grid) -> None:
    shape = within_180(box(172.5, 51, 187.25, 58))
    share = cell_shares(grid, np.array([shape], dtype=object)).toarray().reshape(grid.shape)
    expected = np.zeros(grid.shape)
    expected[1:8, 3:17] = 1.0
    expected[1:8, 2] = 0.5
    expected[1:8, 17] = 0.25
    np.testing.assert_allclose(share, expected, atol=1e-12)


def test_shares_follow_the_order_of_the_axes() -> None:
    rising = Grid.from_corners([10, 11, 13, 16], [40, 41, 43])
    falling = Grid.from_corners([16, 13, 11, 10], [43, 41, 40])
    shape = np.array([box(10, 40, 12, 40.5)], dtype=object)
    one, other = (cell_shares(g, shape).toarray().reshape(2, 3) for g in (rising, falling))
    np.testing.assert_array_equal(one, other[::-1, ::-1])
    height = np.diff(np.sin(np.deg2rad([40, 40.5]))) / np.diff(np.sin(np.deg2rad([40, 41])))
    np.testing.assert_allclose(one, [[height[0], height[0] / 2, 0], [0, 0, 0]], rtol=1e-12)


def test_slanted_edges_against_the_integral() -> None:
    triangle = Polygon([(-120, 30), (-60, 35), (-90, 65)])
    edges = np.linspace(30, 65, 200_001)
    lat = (edges[1:] + edges[:-1]) / 2
    east = np.where(lat < 35, -120 + (lat - 30) * 12, -60 - (lat - 35))
    width = np.deg2rad(east - (-120 + (lat - 30) * 30 / 35))
    expected = EARTH_RADIUS**2 * (width * np.diff(np.sin(np.deg2rad(edges)))).sum()
    grid = Grid.regular(-180, 0, 0, 90, 1)
    assert areas(grid, triangle)[0] == pytest.approx(expected, rel=1e-7)
    assert sphere_area(np.array([triangle], dtype=object))[0] == pytest.approx(expected, rel=1e-7)
    # The control: edges drawn straight on the plane of equal areas.
    coarse = shapely.transform(triangle, lambda p: np.c_[p[:, 0], np.sin(np.deg2rad(p[:, 1]))])
    straight = EARTH_RADIUS**2 * np.deg2rad(1) * coarse.area
    assert abs(straight / expected - 1) > 1e-3


def test_neighbours_share_cells_out_completely() -> None:
    rng = np.random.default_rng(3)
    points = shapely.multipoints(np.stack([rng.uniform(-30, 30, 40), rng.uniform(20, 70, 40)], 1))
    region = box(-30, 20, 30, 70)
    parts = shapely.intersection(shapely.get_parts(shapely.voronoi_polygons(points)), region)
    for grid in (
        Grid.regular(-30, 20, 30, 70, 1.25),
        projected("EPSG:3035", np.arange(3e6, 5e6, 1e5), np.arange(2e6, 4e6, 1e5)),
    ):
        share = cell_shares(grid, parts)
        np.testing.assert_allclose(share.sum(axis=0), 1, rtol=1e-9)
        assert share.nnz < 3 * grid.area.size


@pytest.mark.parametrize("first", [-3e6, -3.05e6])
def test_curvilinear_cells_about_the_pole(first: float) -> None:
    """The pole is a corner of four cells, or lies inside one."""
    edges = np.arange(first, -first + 1, 1e5)
    grid = projected("EPSG:3413", edges, edges)
    cap = enclosed(np.stack([np.arange(-180.0, 180), np.full(360, 75.0)], 1))
    assert areas(grid, cap)[0] == pytest.approx(box_area(0, 75, 360, 90), rel=3e-5)
    assert areas(grid, box(-100, 75, -30, 80))[0] == pytest.approx(
        box_area(-100, 75, -30, 80), rel=1e-4
    )
    drawn = sphere_area(cell_shapes(grid, 8))
    assert np.abs(drawn / grid.area.ravel() - 1).max() < 1e-4
    # The control: edges drawn straight between the corners.
    straight = sphere_area(cell_shapes(grid))
    assert np.abs(straight / grid.area.ravel() - 1).max() > 1e-2


def test_cells_of_any_polar_grid_are_valid_and_cover_it_once() -> None:
    grid = projected("EPSG:3031", np.arange(-1e6, 1.01e6, 2e5), np.arange(-1e6, 1.01e6, 2e5))
    cells = grid.cells()
    assert cells.geometry.is_valid.all()
    union = cells.union_all()
    assert union.area == pytest.approx(shapely.area(cells.geometry).sum(), rel=1e-9)
    assert union.bounds == pytest.approx((-180, -90, 180, cells.total_bounds[3]))
    assert len(shapely.get_parts(union)) == 1


def test_one_cell_round_the_globe() -> None:
    grid = Grid.regular(-180, -90, 180, 90, (360, 60))
    assert [c.area for c in grid.cells().geometry] == [360 * 60] * 3
    shape = np.array([box(10, -30, 46, 0)], dtype=object)
    expected = box_area(10, -30, 46, 0) / box_area(0, -30, 360, 30)
    assert cell_shares(grid, shape).toarray()[0] == pytest.approx([0, expected, 0], abs=1e-12)


def test_a_polygon_of_many_vertices_costs_no_more_than_its_edge() -> None:
    angle = np.linspace(0, 2 * np.pi, 20_001)[:-1]
    radius = 20 + np.sin(301 * angle)
    coast = Polygon(np.stack([radius * np.cos(angle), 40 + radius * np.sin(angle)], axis=1))
    grid = Grid.regular(-180, -90, 180, 90, 0.25)
    shapes = np.array([coast, Point(100, 0).buffer(0.01)], dtype=object)
    found = areas(grid, *shapes)
    np.testing.assert_allclose(found, sphere_area(shapes), rtol=1e-10)
    assert gpd.GeoSeries(shapes).is_valid.all()
