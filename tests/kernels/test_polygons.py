"""Quadrilaterals put in order, boxed and cut, each piece by itself."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.transform import Rotation

from narcf_geo.core.errors import NarcfError
from narcf_geo.kernels.clip import beyond_an_edge, clip, edge_planes
from narcf_geo.kernels.overlap import areas, overlap_areas
from narcf_geo.kernels.polygons import BoxTree, Polygons, bounding_box, unit_vectors

TURN = Rotation.from_euler("zyx", [-48.0, 33.0, 71.0], degrees=True)


def on_sphere(plane: np.ndarray) -> np.ndarray:
    """Points of a plane that touches the sphere, seen from its centre: straight lines stay so."""
    plane = np.asarray(plane, float)
    xyz = TURN.apply(np.column_stack([plane, np.ones(len(plane))]))
    return np.asarray(xyz / np.linalg.norm(xyz, axis=1, keepdims=True))


def back(xyz: np.ndarray) -> np.ndarray:
    turned = TURN.inv().apply(xyz)
    return np.asarray(turned[:, :2] / turned[:, 2:])


def degrees(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    lon = np.rad2deg(np.arctan2(xyz[:, 1], xyz[:, 0]))
    return lon, np.rad2deg(np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1])))


def one_cell(plane: list) -> Polygons:
    """A cell whose corners are given around it."""
    lon, lat = (a[[0, 1, 3, 2]].reshape(2, 2) for a in degrees(on_sphere(np.array(plane))))
    return Polygons.from_corners(lon, lat)


def shapes(cells: Polygons) -> list[shapely.Polygon]:
    return [shapely.Polygon(back(cells.vertices[part])) for part in cells.parts]


SQUARE = [[0.0, 0.0], [0.2, 0.02], [0.25, 0.3], [-0.05, 0.2]]
ARROW = [[0.0, 0.0], [0.3, 0.0], [0.1, 0.08], [0.05, 0.4]]


@pytest.mark.parametrize("size", [1.0, 0.1, 1e-3, 1e-5])
@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize(("plane", "parts"), [(SQUARE, 1), (ARROW, 2)])
def test_cells_run_counter_clockwise_and_convex(
    plane: list, parts: int, first: int, step: int, size: float
) -> None:
    ring = np.roll(np.array(plane) * size, first, axis=0)[::step]
    cells = one_cell(ring.tolist())
    assert len(cells.parts) == parts
    assert not cells.degenerate.size
    whole = shapely.Polygon(ring)
    found = shapes(cells)
    for shape in found:
        assert shapely.is_ccw(shape.exterior)
        assert shape.convex_hull.area == pytest.approx(shape.area, rel=1e-5)
        assert shape.difference(whole).area < 1e-6 * whole.area
    assert sum(s.area for s in found) == pytest.approx(whole.area, rel=1e-5)


@pytest.mark.parametrize("gone", range(4))
@pytest.mark.parametrize("step", [1, -1])
def test_a_repeated_corner_leaves_a_triangle(gone: int, step: int) -> None:
    ring = np.array(SQUARE)[::step].copy()
    ring[gone] = ring[(gone + 1) % 4]
    cells = one_cell(ring.tolist())
    assert_array_equal(cells.parts[:, 2], cells.parts[:, 3])
    (shape,) = shapes(cells)
    assert shapely.is_ccw(shape.exterior)
    assert shape.area == pytest.approx(shapely.Polygon(ring).area, rel=1e-9)


@pytest.mark.parametrize("plane", [SQUARE, ARROW])
@pytest.mark.parametrize("swapped", [(0, 1), (1, 2), (2, 3), (3, 0)])
def test_crossed_edges_are_refused(plane: list, swapped: tuple[int, int]) -> None:
    ring = list(plane)
    ring[swapped[0]], ring[swapped[1]] = ring[swapped[1]], ring[swapped[0]]
    if shapely.Polygon(ring).is_valid:
        assert plane is ARROW
        return
    with pytest.raises(NarcfError, match="cross each other"):
        one_cell(ring)


def test_cells_that_are_left_out() -> None:
    """Two rows, five columns: a crossed cell and one with a gap are masked, one has no area."""
    lon, lat = np.meshgrid([10.0, 20, 20, 33, 41, 60], [5.0, 12, 30])
    lat = lat + 0.1 * lon
    lat[0, 5] = np.nan
    lon[2, 0], lon[2, 1] = 20.0, 10.0
    mask = np.ones((2, 5))
    mask[0, 4] = mask[1, 0] = 0
    cells = Polygons.from_corners(lon, lat, mask)
    assert cells.size == 10
    assert cells.columns == 5
    # Cell 6, beside the crossed one, is a triangle.
    assert_array_equal(cells.owner, [0, 2, 3, 6, 7, 8, 9])
    assert_array_equal(cells.degenerate, [1])
    for row, column in ((0, 4), (1, 0)):
        again = mask.copy()
        again[row, column] = 1
        where = rf"1 of 10 cells.*index \({row}, {column}\).*\(2, 5\)"
        with pytest.raises(NarcfError, match=where):
            Polygons.from_corners(lon, lat, again)


def test_longitudes_of_any_turn_give_the_same_bytes() -> None:
    lon = np.array([-180.0, -179.5, -90.0, 0.0, 13.0, 90.0, 179.0])
    lat = np.array([10.0, -80.0, 90.0, -90.0, 45.0, 0.0, 3.0])
    straight = unit_vectors(lon, lat)
    lam, phi = np.radians(lon), np.radians(lat)
    by_hand = [np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)]
    assert_allclose(straight, np.stack(by_hand, axis=-1), atol=1e-15)
    for turn in (360.0, -360.0, 720.0):
        assert_array_equal(unit_vectors(lon + turn, lat), straight)
    assert_array_equal(unit_vectors(180.0, 5.0), unit_vectors(-180.0, 5.0))
    assert_array_equal(straight[2:4, :2], 0)
    assert unit_vectors(np.empty(0), np.empty(0)).shape == (0, 3)


def inside_points(corners: np.ndarray) -> np.ndarray:
    share = np.random.default_rng(0).dirichlet(np.full(len(corners), 0.4), 400)
    xyz = share @ corners
    return np.asarray(xyz / np.linalg.norm(xyz, axis=1, keepdims=True))


@pytest.mark.parametrize("plane", [SQUARE, [[-0.7, -0.9], [0.8, -0.3], [-0.2, 1.1]]])
@pytest.mark.parametrize("first", range(4))
def test_a_box_holds_its_polygon_and_little_more(plane: list, first: int) -> None:
    corners = np.roll(on_sphere(plane), first, axis=0)
    box = np.full(6, np.nan)
    bounding_box(corners, len(corners), box)
    held = np.vstack([inside_points(corners), corners])
    assert (held >= box[:3]).all()
    assert (held <= box[3:]).all()
    # No wider than the corners by the height of the cap around the first that holds the others.
    bulge = 1 - (corners @ corners[0]).min()
    assert_allclose(box[:3], corners.min(axis=0) - bulge, atol=1e-13)
    assert_allclose(box[3:], corners.max(axis=0) + bulge, atol=1e-13)


@pytest.mark.parametrize("columns", [0, 9])
def test_boxes_of_every_level_hold_those_below(columns: int) -> None:
    lon, lat = np.meshgrid(np.linspace(-120, -40, 10), np.linspace(20, 75, 8))
    cells = Polygons.from_corners(lon, lat)
    tree = BoxTree.build(cells.vertices, cells.parts, cells.owner, columns)
    assert_array_equal(tree.starts, [0, 16, 20, 21])
    assert_array_equal(np.sort(tree.owner), np.arange(63))
    assert_array_equal(tree.parts, cells.parts[tree.owner])
    own = np.empty((63, 6))
    for part, box in zip(tree.parts, own, strict=True):
        bounding_box(cells.vertices[part], 4, box)
    below = own
    for begin, end in zip(tree.starts[:-1], tree.starts[1:], strict=True):
        level = tree.boxes[begin:end]
        for k, box in enumerate(level):
            held = below[4 * k : 4 * k + 4]
            assert_array_equal(box, np.r_[held[:, :3].min(axis=0), held[:, 3:].max(axis=0)])
        below = level


def test_clipping_is_that_of_the_plane() -> None:
    rng = np.random.default_rng(11)
    cut = whole = nothing = 0
    for _ in range(150):
        hulls = [
            shapely.convex_hull(shapely.MultiPoint(rng.uniform(-0.4, 0.4, (4, 2)) + shift))
            for shift in (0.0, rng.uniform(-0.4, 0.4, 2))
        ]
        rings = [shapely.get_coordinates(shapely.normalize(h).exterior)[:0:-1] for h in hulls]
        source, target = (on_sphere(ring) for ring in rings)
        edges, side = np.empty((4, 7)), np.empty(32)
        edge_planes(target, len(target), edges)
        buffers = np.full((2, 32, 3), np.nan)
        buffers[0, : len(source)] = source
        n, at = clip(buffers, len(source), edges, len(target), side)
        wanted = hulls[0].intersection(hulls[1])
        if n < 3:
            assert wanted.area < 1e-12
            nothing += 1
            continue
        found = shapely.Polygon(back(buffers[at, :n]))
        assert found.symmetric_difference(wanted).area < 1e-12
        assert_allclose(np.linalg.norm(buffers[at, :n], axis=1), 1, rtol=1e-14)
        assert n == len(shapely.get_coordinates(wanted)) - 1
        whole += at == 0 and n == len(source)
        cut += at == 1
    assert cut > 20
    assert whole + nothing > 5


def test_a_box_beyond_an_edge_holds_nothing_of_the_cell() -> None:
    """Never true of a box that meets the cell, mostly true of a box far away."""
    corners = on_sphere(SQUARE)
    edges = np.empty((4, 7))
    edge_planes(corners, 4, edges)
    rng = np.random.default_rng(5)
    points = inside_points(corners)
    for at in points[:100]:
        low, high = at - rng.uniform(0, 0.1, 3), at + rng.uniform(0, 0.1, 3)
        assert not beyond_an_edge(np.array([[*low, *high]]), 0, edges, 4)
    beyond = 0
    shift = np.array([[0.3, 0], [-0.3, 0], [0, 0.4], [0, -0.4]])
    away = on_sphere(np.mean(SQUARE, axis=0) + shift)
    for at in away:
        box = np.array([[*(at - 0.02), *(at + 0.03)]])
        beyond += beyond_an_edge(box, 0, edges, 4)
    assert beyond == 4


def test_one_cell_over_many() -> None:
    """More overlaps than room was made for at first, and areas in steradians."""
    many = Polygons.from_corners(*np.meshgrid(np.linspace(10, 30, 21), np.linspace(-40, -25, 16)))
    one = Polygons.from_corners(*np.meshgrid([5.0, 35.0], [-45.0, -20.0]))
    overlap = overlap_areas(many, one)
    assert overlap.shape == (1, 300)
    assert_allclose(overlap.toarray()[0], areas(many), rtol=1e-11)
    # Great circles between corners a degree apart leave the parallels by little.
    parallels = np.radians(20) * np.diff(np.sin(np.radians([-40.0, -25.0])))[0]
    assert areas(many).sum() == pytest.approx(parallels, rel=1e-3)
    assert_array_equal(overlap_areas(one, many).toarray()[:, 0] > 0, True)
