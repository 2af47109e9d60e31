"""Overlaps of polygons with rectangles against shapely, and on maps against the sphere."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.core.errors import UsageError
from narcf_geo.grid.coverage import covered, covered_moments
from narcf_geo.grid.plane import Plane
from narcf_geo.grid.shares import sphere_area, valid

GLOBE = 4 * np.pi * EARTH_RADIUS**2


@st.composite
def shapes(draw: st.DrawFn) -> shapely.Geometry:
    """Polygons of any form, with holes and parts, made valid; corners on cell edges too."""
    place = st.one_of(st.floats(-3, 13), st.integers(-2, 12).map(float))
    rings = draw(
        st.lists(st.lists(st.tuples(place, place), min_size=3, max_size=9), min_size=1, max_size=3)
    )
    found = shapely.Polygon()
    for k, ring in enumerate(rings):
        part = shapely.make_valid(shapely.Polygon(ring))
        found = found.symmetric_difference(part) if k else part
    polygons = [p for p in shapely.get_parts(found) if p.geom_type == "Polygon"]
    return valid(np.array([shapely.MultiPolygon(polygons)], dtype=object))[0]


@settings(max_examples=100, deadline=None)
@given(shapes(), st.lists(st.floats(0.2, 3), min_size=1, max_size=6))
def test_areas_are_those_of_shapely(shape: shapely.Geometry, steps: list[float]) -> None:
    x, y = np.concatenate([[0], np.cumsum(steps)]), np.arange(0.0, 9.0, 1.5)
    cells = shapely.box(*np.meshgrid(x[:-1], y[:-1]), *np.meshgrid(x[1:], y[1:]))
    # Part by part: of parts that only just touch, GEOS has returned a whole cell outside of all.
    pieces = [shapely.intersection(cells, part) for part in shapely.get_parts(shape)]
    wanted = np.sum([shapely.area(piece) for piece in pieces], axis=0) * np.ones(cells.shape)
    area, along, up = covered_moments(x, y, shape)
    np.testing.assert_allclose(area, wanted, atol=1e-12)
    large = wanted > 1e-3
    for found, axis in ((along, 0), (up, 1)):
        moment = np.zeros(cells.shape)
        for piece in pieces:
            solid = shapely.area(piece) > 0
            center = shapely.get_coordinates(shapely.centroid(piece[solid]))[:, axis]
            moment[solid] += shapely.area(piece[solid]) * center
        found, moment = found[large] / area[large], moment[large] / wanted[large]
        np.testing.assert_allclose(found, moment, atol=1e-8)


def test_the_direction_of_rings_does_not_matter() -> None:
    shell, hole = [(0, 0), (4, 0), (4, 4), (0, 4)], [(1, 1), (2, 1), (2, 3), (1, 3)]
    edges = np.arange(6.0)
    wanted = covered(edges, edges, shapely.Polygon(shell, [hole]))
    assert wanted.sum() == pytest.approx(14, abs=1e-14)
    for turned in (shapely.Polygon(shell[::-1], [hole]), shapely.Polygon(shell, [hole[::-1]])):
        np.testing.assert_array_equal(covered(edges, edges, turned), wanted)
    # The control: without its hole it covers more.
    assert covered(edges, edges, shapely.Polygon(shell)).sum() == pytest.approx(16)


def plane(crs: str, box: tuple[float, float, float, float], n: int) -> Plane:
    """Cells of a box on a map, rows from the north."""
    west, south, east, north = box
    return Plane(np.linspace(west, east, n + 1), np.linspace(north, south, n + 1), CRS(crs))


MAPS = {
    "UTM across 180 degrees": ("EPSG:32660", (2e5, 6e6, 9e5, 7e6), (177, 57, 180, 61)),
    "Mercator": ("EPSG:3857", (-2e7, -2e7, 2e7, 2e7), (-110, 35, -80, 50)),
    "Albers": ("EPSG:5070", (-2.4e6, 2e5, 2.3e6, 3.2e6), (-95, 37, -92, 44)),
    "sinusoidal, off the globe in the corners": (
        "+proj=sinu +R=6371007.181",
        (-2.0015e7, -1.00075e7, 2.0015e7, 1.00075e7),
        (165, -20, 180, 75),
    ),
    "the pole on a corner": ("EPSG:3995", (-4e6, -4e6, 4e6, 4e6), (-180, 65, 180, 90)),
    "the south pole": ("EPSG:3031", (-3e6, -3e6, 4e6, 4e6), (-180, -90, 180, -70)),
    "rotated pole": (
        "+proj=ob_tran +o_proj=longlat +o_lat_p=39.25 +o_lon_p=0 +lon_0=18",
        (-20, -20, 15, 22),
        (10, 45, 30, 60),
    ),
    "Mercator of the Pacific": ("EPSG:3832", (-6e6, -6e6, 6e6, 6e6), (165, -20, 180, 40)),
}


@pytest.mark.parametrize("n", [37, 40, 300])
@pytest.mark.parametrize("name", MAPS)
def test_areas_on_maps_are_those_on_the_sphere(name: str, n: int) -> None:
    crs, extent, box = MAPS[name]
    cells = plane(crs, extent, n)
    region = np.array([shapely.box(*box)])
    _, _, share, area = cells.cell_areas(cells.drawn(region))
    assert area.sum() == pytest.approx(sphere_area(region)[0], rel=2e-6)
    assert (share > 0).all()
    assert (share <= 1).all()
    # The control: areas on the plane are other ones, but of equal-area maps on the sphere.
    flat = shapely.area(cells.drawn(region))[0]
    assert (abs(flat / area.sum() - 1) > 1e-4) == (not name.startswith("sinusoidal"))


@pytest.mark.parametrize("n", [20, 64, 700])
def test_cells_of_a_polar_map_add_up(n: int) -> None:
    """The cap within a circle about the pole, the cells inside it and parts of those on it."""
    cells = plane("EPSG:3995", (-2e6, -2e6, 2e6, 2e6), n)
    ring = shapely.Polygon(
        [(lon, 75.0) for lon in np.linspace(-180, 180, 7201)] + [(180, 90), (-180, 90)]
    )
    _, _, _, area = cells.cell_areas(cells.drawn(np.array([ring])))
    cap = 2 * np.pi * EARTH_RADIUS**2 * (1 - np.sin(np.deg2rad(75)))
    assert area.sum() == pytest.approx(cap, rel=1e-6)


def test_what_a_map_cannot_show_is_left_out_or_refused() -> None:
    cells = plane("EPSG:32615", (2e5, 4e6, 8e5, 5e6), 20)
    here, there = shapely.box(-94, 37, -92, 44), shapely.box(90, 20, 100, 30)
    world = shapely.box(-180, -90, 180, 90)
    drawn = cells.drawn(np.array([here, there, world]))
    owner, _, _, area = cells.cell_areas(drawn)
    found = np.bincount(owner, area, 3)
    assert found[0] == pytest.approx(sphere_area(np.array([here]))[0], rel=1e-6)
    assert found[1] == 0
    every = cells.areas(*np.divmod(np.arange(400), 20))
    assert found[2] == pytest.approx(every.sum(), rel=1e-9)
    disk = plane("+proj=geos +h=35785831 +lon_0=-75 +sweep=x", (-5e6, -5e6, 5e6, 5e6), 20)
    with pytest.raises(UsageError, match="reaches beyond"):
        disk.drawn(np.array([world]))
