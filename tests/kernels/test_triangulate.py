"""Polygons cut into convex parts, against areas of the plane and points inside."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from numpy.testing import assert_array_equal
from scipy.spatial.transform import Rotation

from narcf_geo.core.errors import NarcfError
from narcf_geo.kernels.overlap import areas
from narcf_geo.kernels.polygons import unit_vectors
from narcf_geo.kernels.triangulate import polygons

TURN = Rotation.from_euler("zyx", [37.0, -61.0, 15.0], degrees=True)


def on_sphere(plane: np.ndarray) -> np.ndarray:
    """Points of a plane that touches the sphere, seen from its centre: straight lines stay so."""
    xyz = TURN.apply(np.column_stack([plane, np.ones(len(plane))]))
    return np.asarray(xyz / np.linalg.norm(xyz, axis=1, keepdims=True))


def star(rng: np.random.Generator, corners: int) -> np.ndarray:
    """A ragged ring, mostly concave."""
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
    return rng.uniform(0.05, 0.4, corners)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)


def cut(plane: np.ndarray, *rings: list[int]) -> tuple[np.ndarray, np.ndarray]:
    cells = polygons(
        on_sphere(plane), np.concatenate(rings), np.array([len(ring) for ring in rings])
    )
    assert cells.size == len(rings)
    return cells.parts, cells.owner


def assert_tiles(plane: np.ndarray, ring: list[int], parts: np.ndarray) -> None:
    """The parts are convex, counter-clockwise, do not overlap and fill the polygon."""
    assert parts.shape[1] == 4
    whole = shapely.Polygon(plane[ring])
    pieces = [shapely.Polygon(plane[part]) for part in parts]
    for piece in pieces:
        assert shapely.is_ccw(piece.exterior)
        assert piece.convex_hull.area == pytest.approx(piece.area, rel=1e-9)
        assert piece.difference(whole).area < 1e-12
    assert sum(piece.area for piece in pieces) == pytest.approx(whole.area, rel=1e-9)


def test_ragged_polygons_in_both_directions() -> None:
    rng = np.random.default_rng(3)
    concave = 0
    for _ in range(60):
        count = int(rng.integers(3, 12))
        plane = star(rng, count)
        shape = shapely.Polygon(plane)
        if not shape.is_valid:
            continue
        concave += shape.convex_hull.area > shape.area * 1.01
        ring = list(np.roll(np.arange(count), int(rng.integers(count))))
        for turned in (ring, ring[::-1]):
            parts, owner = cut(plane, turned)
            assert_tiles(plane, turned, parts)
            convex = shape.convex_hull.area == pytest.approx(shape.area, rel=1e-9)
            assert len(parts) == ((count - 1) // 2 if convex else count - 2)
            assert not owner.any()
    assert concave > 30


def test_a_comb_with_corners_on_straight_edges() -> None:
    plane = np.array(
        [[0, 0], [1, 0], [2, 0], [3, 0], [3, 2], [2, 2], [2, 1], [1, 1], [1, 2], [0, 2], [0, 1]]
    )
    plane = plane * 0.1 - 0.05
    ring = list(range(len(plane)))
    for first in ring:
        for turned in (np.roll(ring, first), np.roll(ring, first)[::-1]):
            parts, _ = cut(plane, list(turned))
            assert_tiles(plane, list(turned), parts)


def test_rings_that_touch_themselves() -> None:
    """A cut leads from the outside to a hole: both its ends are there twice."""
    outside = [[0.0, 0.0], [0.4, 0.0], [0.4, 0.3], [0.0, 0.3]]
    hole = [[0.1, 0.1], [0.1, 0.2], [0.3, 0.2], [0.3, 0.1]]
    plane = np.array(outside + hole)
    parts, _ = cut(plane, [0, 1, 2, 3, 0, 4, 5, 6, 7, 4])
    area = sum(shapely.Polygon(plane[part[:3]]).area for part in parts)
    assert area == pytest.approx(0.12 - 0.02, rel=1e-9)
    for part in parts:
        assert shapely.Polygon(plane[part[:3]]).intersection(
            shapely.Polygon(hole)
        ).area == pytest.approx(0, abs=1e-12)


def test_owners_masks_and_cells_without_area() -> None:
    plane = np.array([[0, 0], [0.2, 0.01], [0.25, 0.2], [0.1, 0.3], [-0.1, 0.1]])
    rings = [[0, 1, 2], [0, 1, 1], [4, 3, 2, 1, 0], [2, 3, 4], [0, 2, 3, 4]]
    corners, counts = np.concatenate(rings), np.array([len(ring) for ring in rings])
    vertices = on_sphere(plane)
    cells = polygons(vertices, corners, counts, np.array([1, 1, 2, 0, 1]))
    assert cells.size == 5
    assert cells.columns == 0
    assert_array_equal(cells.owner, [0, 2, 2, 4])
    assert_array_equal(cells.degenerate, [1])
    for cell in (0, 2, 4):
        assert_tiles(plane, rings[cell], cells.parts[cells.owner == cell])
    nothing = polygons(vertices, corners, counts, np.zeros(5, int))
    assert nothing.parts.shape == (0, 4)
    assert nothing.owner.shape == nothing.degenerate.shape == (0,)


def test_edges_that_cross_are_refused_by_number() -> None:
    plane = np.array([[0, 0], [0.2, 0], [0.2, 0.2], [0, 0.2], [0.1, 0.35], [0.3, 0.1]])
    crossed = [0, 2, 3, 5, 4, 1]
    with pytest.raises(NarcfError, match=r"polygon 1 \(6 corners\)"):
        cut(plane, [0, 1, 2, 3], crossed)


@pytest.mark.parametrize(
    "crossed",
    [
        [[0, 0], [0.2, 0.2], [0.2, 0], [0, 0.2]],  # a bow tie whose two halves cancel
        [[0, 0.3], [0.18, -0.24], [-0.29, 0.09], [0.29, 0.09], [-0.18, -0.24]],  # a pentagram
        [[0, 0], [0.4, 0], [0.4, 0.3], [0.2, -0.1], [0.1, 0.3]],  # a dent through the other side
    ],
)
@pytest.mark.parametrize("step", [1, -1])
def test_every_kind_of_crossing_is_found(crossed: list, step: int) -> None:
    plane = np.array(crossed)
    for first in range(len(plane)):
        ring = list(np.roll(range(len(plane)), first))[::step]
        with pytest.raises(NarcfError, match="cross"):
            cut(plane, ring)
        left_out = polygons(on_sphere(plane), np.array(ring), np.array([len(ring)]), np.array([0]))
        assert not len(left_out.parts)


def test_cells_of_several_polygons_and_repeated_corners() -> None:
    plane = np.array([[0, 0], [0.2, 0], [0.2, 0.2], [0, 0.2], [0.4, 0], [0.5, 0], [0.45, 0.1]])
    rings = [[0, 1, 2, 3, 3, 0], [4, 5, 6, 4], [0, 0, 1]]
    corners, counts = np.concatenate(rings), np.array([len(ring) for ring in rings])
    cells = polygons(on_sphere(plane), corners, counts, owner=np.array([1, 1, 2]), shape=(2, 2))
    assert cells.size == 4
    assert_array_equal(cells.owner, [1, 1])
    assert_array_equal(cells.degenerate, [2])
    with pytest.raises(NarcfError, match=r"at index \(0, 1\) \(shape \(2, 2\)\)"):
        polygons(
            on_sphere(plane),
            np.array([0, 2, 1, 3]),
            np.array([4]),
            owner=np.array([1]),
            shape=(2, 2),
        )


def test_a_ring_from_pole_to_pole_is_cut_and_a_larger_one_refused() -> None:
    lat = np.arange(-90.0, 90, 5)
    lon = np.concatenate([np.zeros(lat.size), np.full(lat.size, 10.0)])
    ring = unit_vectors(lon, np.concatenate([lat, -lat]))
    corners, counts = np.arange(len(ring)), np.array([len(ring)])
    for order in (corners, corners[::-1], np.roll(corners, 7)):
        area = areas(polygons(ring, order, counts))[0]
        assert area == pytest.approx(2 * np.radians(10), rel=1e-12)
    around = np.arange(0.0, 360, 5)
    for equator in (around, np.delete(around, slice(2, 9))):
        ring = unit_vectors(equator, np.zeros(equator.size))
        with pytest.raises(NarcfError, match="half a sphere"):
            polygons(ring, np.arange(equator.size), np.array([equator.size]))
