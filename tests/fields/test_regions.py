"""Polygons through their door: longitudes, dateline, poles, names, slivers."""

from __future__ import annotations

import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from pyproj import Transformer
from shapely import MultiPolygon, Point, Polygon, box

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.core.errors import MissingFileError, UsageError
from narcf_geo.fields.regions import (
    inside,
    off_grid,
    open_regions,
    read_regions,
    region_areas,
    region_shares,
    without_overlap,
)
from narcf_geo.grid import Grid

GLOBES = {
    "from -180": Grid.regular(-180, -90, 180, 90, 3),
    "from 0": Grid.regular(0, -90, 360, 90, 3),
    "from -1": Grid.regular(-1, -90, 359, 90, 3),
}


def box_area(west: float, south: float, east: float, north: float) -> float:
    height = np.sin(np.deg2rad(north)) - np.sin(np.deg2rad(south))
    return EARTH_RADIUS**2 * np.deg2rad(east - west) * height


def one(shape: shapely.Geometry, crs: object = "EPSG:4326") -> gpd.GeoSeries:
    return gpd.GeoSeries([shape], crs=crs)


def table(names: list, shapes: list, **columns: list) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"name": names, **columns}, geometry=shapes, crs="EPSG:4326")


def on_globes(regions: gpd.GeoSeries) -> list[float]:
    return [float((inside(g, regions) * g.area).sum()) for g in GLOBES.values()]


def ring(lat: float, first: int, last: int, step: int = 10) -> Polygon:
    return Polygon([(x, lat) for x in range(first, last + 1, step)])


AS_DRAWN = {
    "0 to 360": (box(250, 30, 260, 40), (-110, 30, -100, 40)),
    "170 to 190": (box(170, 50, 190, 60), (170, 50, 190, 60)),
    "-190 to -170": (box(-190, 50, -170, 60), (170, 50, 190, 60)),
    "across 0": (box(350, -20, 365, 10), (-10, -20, 5, 10)),
    "whole globe": (box(-180, -90, 180, 90), (-180, -90, 180, 90)),
    "whole globe from 0": (box(0, -90, 360, 90), (-180, -90, 180, 90)),
    "band": (box(-180, 30, 180, 40), (-180, 30, 180, 40)),
    "band from 0": (box(0, 30, 360, 40), (-180, 30, 180, 40)),
    "cap": (box(-180, 60, 180, 90), (-180, 60, 180, 90)),
    "closed round a pole": (ring(60, -180, 180), (-180, 60, 180, 90)),
    "closed round the south pole": (ring(-72, 0, 360), (-180, -90, 180, -72)),
    "half of the globe": (box(-170, 10, 10, 20), (-170, 10, 10, 20)),
    "a turn and a half away": (box(520, 10, 540, 20), (160, 10, 180, 20)),
    "cap with vertices on its rim": (
        Polygon([*((x, 60) for x in range(-180, 181, 10)), (180, 90), (-180, 90)]),
        (-180, 60, 180, 90),
    ),
}
JUMPING = {
    "corners": (Polygon([(170, 50), (-170, 50), (-170, 60), (170, 60)]), (170, 50, 190, 60)),
    "179 to -179": (
        Polygon(
            [
                (170, 50),
                (179, 50),
                (-179, 50),
                (-170, 50),
                (-170, 60),
                (-179, 60),
                (179, 60),
                (170, 60),
            ]
        ),
        (170, 50, 190, 60),
    ),
    "350 to 10": (Polygon([(350, 50), (10, 50), (10, 60), (350, 60)]), (-10, 50, 10, 60)),
    "round a pole": (ring(60, -175, 175), (-180, 60, 180, 90)),
    "a box up to the pole": (box(-170, 60, 170, 90), (170, 60, 190, 90)),
    "up to the pole": (Polygon([(170, 80), (0, 90), (-170, 80)]), (170, 80, 190, 90)),
    "round a pole and up to it": (
        Polygon([*((x, 60) for x in range(-180, 181, 10)), (180, 90)]),
        (-180, 60, 180, 90),
    ),
    "over 270.5 degrees": (
        Polygon([(-135.25, 50), (135.25, 50), (135.25, 60), (-135.25, 60)]),
        (135.25, 50, 224.75, 60),
    ),
    "a fraction of a degree": (
        Polygon([(179.75, 50), (-179.875, 50), (-179.875, 60), (179.75, 60)]),
        (179.75, 50, 180.125, 60),
    ),
    "just no frame": (box(-179.994, 50, 179.994, 60), (179.994, 50, 180.006, 60)),
}


@pytest.mark.parametrize("kind", AS_DRAWN)
def test_longitudes_of_any_turn(kind: str) -> None:
    shape, bounds = AS_DRAWN[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regions = open_regions(one(shape))
    assert regions.is_valid.all()
    assert regions.total_bounds[0] >= -180
    assert regions.total_bounds[2] <= 180
    assert region_areas(regions).iloc[0] == pytest.approx(box_area(*bounds), rel=1e-12)
    assert on_globes(regions) == pytest.approx([box_area(*bounds)] * 3, rel=1e-12)


@pytest.mark.parametrize("kind", JUMPING)
def test_an_edge_that_jumps_crosses_180_with_a_warning(kind: str) -> None:
    shape, bounds = JUMPING[kind]
    with pytest.warns(UserWarning, match=r"regions '1'.*taken to cross 180"):
        regions = open_regions(one(shape))
    assert on_globes(regions) == pytest.approx([box_area(*bounds)] * 3, rel=1e-12)


def test_a_jump_across_a_map_of_the_world_crosses_180() -> None:
    fiji = box(177, -19, 182, -16)
    crossing = one(fiji).to_crs("EPSG:3857")
    assert np.ptp(crossing.total_bounds[::2]) > 3.9e7
    with pytest.warns(UserWarning, match="taken to cross 180"):
        regions = open_regions(crossing)
    expected = box_area(177, -19, 182, -16)
    assert region_areas(regions).iloc[0] == pytest.approx(expected, rel=1e-9)
    corners = shapely.get_coordinates(crossing.iloc[0])[:-1]
    for first in range(4):  # whichever vertex the ring begins with
        turned = one(Polygon(np.roll(corners, first, axis=0)), "EPSG:3857")
        with pytest.warns(UserWarning, match="taken to cross 180"):
            found = region_areas(open_regions(turned)).iloc[0]
        assert found == pytest.approx(expected, rel=1e-9)
    for crs in ("EPSG:3832", "EPSG:3460", "EPSG:32601"):
        local = one(shapely.segmentize(fiji, 0.1)).to_crs(crs)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = region_areas(open_regions(local)).iloc[0]
        assert found == pytest.approx(expected, rel=1e-5)
    # What spans the whole circle does not jump.
    world = open_regions(one(box(-20037508.342789244, 0, 20037508.342789244, 5e6), "EPSG:3857"))
    assert world.total_bounds[:3] == pytest.approx((-180, 0, 180), abs=1e-9)
    assert world.iloc[0].area == pytest.approx(360 * world.total_bounds[3])


@pytest.mark.parametrize(("crs", "east", "north"), [(4326, 179.9999, 80), (6933, 17367520, 7e6)])
def test_the_frame_of_a_world_map_is_the_world(crs: int, east: float, north: float) -> None:
    regions = open_regions(one(box(-east, -north, east, north), f"EPSG:{crs}"))
    assert regions.total_bounds[[0, 2]] == pytest.approx((-180, 180), abs=2e-4)
    assert regions.iloc[0].area > 359 * 140


def test_an_edge_that_could_go_either_way_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'1'.*from -10 to 180 degrees.*either way; add a vertex"):
        open_regions(one(box(-10, 35, 180, 80)))
    for width in (180.5, 225, 270, 360.5, 361.5):
        with pytest.raises(UsageError, match=rf"from -170 to {width - 170:g} degrees"):
            open_regions(one(box(-170, 35, width - 170, 80)))
    one_wide = Polygon([(-100, 10), (0, 10), (100, 10), (100, 30), (-100, 20)])
    with pytest.raises(UsageError, match=r"from -100 to 100 degrees"):
        open_regions(one(one_wide))
    # With vertices on the way it is clear.
    clear = shapely.segmentize(box(-10, 35, 180, 80), 90)
    assert region_areas(open_regions(one(clear)))["1"] == pytest.approx(
        box_area(-10, 35, 180, 80), rel=1e-12
    )


@pytest.mark.parametrize(("lon", "lat"), [(0, 90.5), (0, -91), (540.5, 40), (-541, 40)])
def test_what_lies_beyond_a_pole_or_many_turns_away_is_refused(lon: float, lat: float) -> None:
    shape = Polygon([(lon - 1, 30), (lon + 0.0, lat), (lon - 2, 35)])
    with pytest.raises(UsageError, match=r"'1'.*longitudes and latitudes in degrees"):
        open_regions(one(shape))


def test_a_warning_names_up_to_five_regions() -> None:
    shape = JUMPING["corners"][0]
    names = list("abcdef")
    with pytest.warns(UserWarning, match=r"regions 'a', 'b', 'c', 'd', 'e' and others: "):
        open_regions(table(names, [shape] * 6))
    with pytest.warns(UserWarning, match=r"regions 'a', 'b', 'c', 'd', 'e': "):
        open_regions(table([*names[:5], "plain"], [*[shape] * 5, box(0, 0, 1, 1)]))


def test_a_hole_and_parts_on_both_sides() -> None:
    holed = box(100, 0, 200, 50).difference(box(170, 10, 190, 20))
    both = MultiPolygon([box(175, -20, 180, -10), box(-180, -20, -170, -10)])
    regions = open_regions(table(["holed", "both"], [holed, both]))
    expected = [box_area(100, 0, 200, 50) - box_area(170, 10, 190, 20), box_area(0, -20, 15, -10)]
    np.testing.assert_allclose(region_areas(regions), expected, rtol=1e-12)
    grid = GLOBES["from -1"]
    np.testing.assert_allclose(region_shares(grid, regions) @ grid.area.ravel(), expected)


def test_what_is_opened_opens_again_the_same(tmp_path: Path) -> None:
    shapes = {kind: shape for kind, (shape, _) in AS_DRAWN.items()}
    regions = open_regions(gpd.GeoSeries(shapes, crs="EPSG:4326"))
    frame = gpd.GeoDataFrame({"name": regions.index}, geometry=[*regions], crs=regions.crs)
    frame.to_file(tmp_path / "regions.gpkg")
    for again in (open_regions(regions), open_regions(tmp_path / "regions.gpkg")):
        assert again.index.tolist() == list(AS_DRAWN)
        assert shapely.area(shapely.symmetric_difference(again, [*regions])).max() < 1e-9


@pytest.mark.parametrize(("crs", "sign"), [("EPSG:3413", 1), ("EPSG:3031", -1)])
def test_a_circle_about_a_pole_and_its_parts(crs: str, sign: int) -> None:
    radius = 1e6
    circle = Point(0, 0).buffer(radius, quad_segs=256)
    square = box(0, 0, radius, radius)
    parts = {
        "circle": circle,
        "quarter": circle & square,
        "three quarters": circle - square,
        "half": circle & box(-radius, 0, radius, radius),
        "ring": circle - Point(0, 0).buffer(radius / 2, quad_segs=256),
    }
    edges = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(
        [radius, radius / 2], [0, 0]
    )[1]
    cap, inner = (box_area(0, abs(lat), 360, 90) for lat in edges)
    regions = open_regions(gpd.GeoSeries(parts, crs=crs))
    expected = [cap, cap / 4, 3 * cap / 4, cap / 2, cap - inner]
    np.testing.assert_allclose(region_areas(regions), expected, rtol=2e-5)
    for grid in GLOBES.values():
        found = region_shares(grid, regions) @ grid.area.ravel()
        np.testing.assert_allclose(found, expected, rtol=2e-5)
    assert (np.sign(regions.bounds["miny"]) == sign).all()
    # The control: vertices alone, turned into longitudes and latitudes, miss the pole.
    plain = one(circle, crs).to_crs("EPSG:4326").make_valid()
    assert abs(region_areas(plain).iloc[0] / cap - 1) > 0.1


def test_a_ring_beyond_the_equator_holds_the_pole_of_its_projection() -> None:
    north = "+proj=laea +lat_0=90 +R=6371007.2"
    radius = 2 * EARTH_RADIUS * np.sin(np.deg2rad(110 / 2))
    regions = open_regions(one(Point(0, 0).buffer(radius, quad_segs=256), north))
    area = region_areas(regions).iloc[0]
    assert area == pytest.approx(box_area(0, -20, 360, 90), rel=1e-4)


def test_edges_keep_their_course_in_their_own_crs() -> None:
    """On an equal-area projection of the sphere the area of a square is known."""
    crs = "+proj=laea +lat_0=52 +lon_0=10 +R=6371007.2"
    square = box(-2e6, -1.5e6, 1e6, 1.5e6)
    regions = open_regions(one(square, crs))
    assert region_areas(regions).iloc[0] == pytest.approx(9e12, rel=1e-7)
    assert on_globes(regions) == pytest.approx([9e12] * 3, rel=1e-7)
    corners = one(square, crs).to_crs("EPSG:4326")
    assert abs(region_areas(corners).iloc[0] / 9e12 - 1) > 1e-2


def test_an_s_shaped_edge_keeps_its_course() -> None:
    """A straight line through the equator of Mercator's map has its middle where a chord has it."""
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(60, 60)
    triangle = Polygon([(-x, -y), (x, y), (-x, y)])
    # What the S adds in one hemisphere it takes in the other: one is measured.
    half = open_regions(one(triangle, "EPSG:3857")).intersection(box(-180, 0, 180, 90))
    found = region_areas(half).iloc[0]
    fine = shapely.segmentize(triangle, y / 5000)
    lon, lat = Transformer.from_crs("EPSG:3857", "EPSG:4326", always_xy=True).transform(
        *shapely.get_coordinates(fine).T
    )
    plane = Polygon(np.stack([np.deg2rad(lon), np.sin(np.deg2rad(lat))], axis=1)) & box(-4, 0, 4, 1)
    assert found == pytest.approx(plane.area * EARTH_RADIUS**2, rel=1e-6)


def test_another_datum_and_a_prime_meridian_elsewhere() -> None:
    shape = box(250, 30, 260, 40)
    nad27 = open_regions(one(shape, "EPSG:4267"))
    assert region_areas(nad27).iloc[0] == pytest.approx(box_area(250, 30, 260, 40), rel=1e-4)
    # Both datums differ by tens of metres there.
    moved = np.abs(nad27.total_bounds - (-110, 30, -100, 40))
    assert 1e-4 < moved.max() < 2e-3
    to_wgs84 = Transformer.from_crs("EPSG:4267", "EPSG:4326", always_xy=True)
    west = min(to_wgs84.transform([-110, -110], [30, 40])[0])
    assert nad27.total_bounds[0] == pytest.approx(west, abs=1e-9)
    # With heights they are longitudes and latitudes too, of any turn and within their limits.
    deep = open_regions(one(shape, "EPSG:4979"))
    assert deep.total_bounds == pytest.approx((-110, 30, -100, 40))
    with pytest.raises(UsageError, match="either way"):
        open_regions(one(box(-10, 35, 180, 80), "EPSG:4979"))
    paris = open_regions(one(box(-2, 45, 2, 50), "+proj=longlat +pm=paris +R=6371007.2"))
    assert paris.total_bounds == pytest.approx((0.3372, 45, 4.3372, 50), abs=1e-3)


def test_names_by_column_text_number_or_index() -> None:
    shapes = [box(0, 0, 1, 1), box(2, 0, 3, 1)]
    crs = "EPSG:4326"
    named = gpd.GeoDataFrame({"code": ["x", "y"], "NAME": ["A", "B"]}, geometry=shapes, crs=crs)
    assert open_regions(named).index.tolist() == ["A", "B"]
    assert open_regions(named, "code").index.tolist() == ["x", "y"]
    assert open_regions(named, "Code").index.tolist() == ["x", "y"]
    numbers = gpd.GeoDataFrame({"name": [7.0, 8.5]}, geometry=shapes, crs=crs)
    assert open_regions(numbers).index.tolist() == ["7", "8.5"]
    assert open_regions(gpd.GeoSeries(shapes, crs=crs)).index.tolist() == ["1", "2"]
    assert open_regions(gpd.GeoSeries(shapes, ["p", "q"], crs=crs)).index.tolist() == ["p", "q"]
    counted = gpd.GeoDataFrame({5: [1, 2]}, geometry=shapes, crs=crs)
    assert open_regions(counted).index.tolist() == ["1", "2"]
    assert open_regions(counted, "5").index.tolist() == ["1", "2"]
    with pytest.raises(UsageError, match=r"column 'state'.*found \['NAME', 'code'\]"):
        open_regions(named, "state")


def test_polygons_of_one_name_are_one_region() -> None:
    boxes = [box(0, 0, 2, 1), box(5, 5, 6, 6), box(1, 0, 3, 1)]
    regions = open_regions(table(["A", "B", "A"], boxes))
    assert regions.index.tolist() == ["A", "B"]
    expected = [box_area(0, 0, 3, 1), box_area(5, 5, 6, 6)]
    np.testing.assert_allclose(region_areas(regions), expected, rtol=1e-12)


@pytest.mark.parametrize("missing", [None, np.nan, "", "  ", pd.NA])
def test_a_missing_name_is_refused_by_its_row(missing: object) -> None:
    frame = table(["A", missing, "C"], [box(k, 0, k + 1, 1) for k in range(3)])
    with pytest.raises(UsageError, match=r"a name of each region.*'name'.*row 2 of 3"):
        open_regions(frame)


def test_what_is_no_polygon_is_refused_by_name() -> None:
    bad = {
        "an empty geometry": Polygon(),
        "found a Point": Point(1, 2),
        "without area": Polygon([(0, 0), (1, 1), (0, 0)]),
        "longitudes and latitudes in degrees": box(5e5, 4e6, 6e5, 5e6),
    }
    for message, shape in bad.items():
        with pytest.raises(UsageError, match=f"'B'.*{message}"):
            open_regions(table(["A", "B"], [box(0, 0, 1, 1), shape]))
    with pytest.raises(UsageError, match=r"'B'.*an empty geometry"):
        open_regions(table(["A", "B"], [box(0, 0, 1, 1), None]))
    with pytest.raises(UsageError, match=r"'1'.*no longitude and latitude"):
        open_regions(one(box(1e7, 1e7, 9e7, 9e7), "+proj=laea +lat_0=52 +R=6371007.2"))


def test_a_missing_crs_is_refused_with_the_way_to_set_it() -> None:
    with pytest.raises(UsageError, match=r"a CRS, found none; set it with .*set_crs"):
        open_regions(one(box(0, 0, 1, 1), None))


def test_invalid_polygons_are_made_valid() -> None:
    bow = Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    for crs, scale in (("EPSG:4326", 1.0), ("EPSG:6933", 1e5)):
        tie = shapely.transform(bow, lambda xy, by=scale: xy * by)
        regions = open_regions(one(tie, crs))
        assert regions.is_valid.all()
        assert regions.iloc[0].contains(Point(1, 5))
        assert not regions.iloc[0].contains(Point(5, 1))
    flat = shapely.force_3d(box(0, 0, 1, 1), 5.0)
    assert not open_regions(one(flat)).iloc[0].has_z


def test_files(tmp_path: Path) -> None:
    frame = table(["A", "B"], [box(0, 0, 1, 1), box(2, 0, 3, 1)])
    for suffix in ("gpkg", "shp", "geojson"):
        frame.to_file(tmp_path / f"regions.{suffix}")
        assert open_regions(str(tmp_path / f"regions.{suffix}")).index.tolist() == ["A", "B"]
    with pytest.raises(MissingFileError, match=r"none\.gpkg: no such file"):
        read_regions(tmp_path / "none.gpkg")
    (tmp_path / "a.csv").write_text("name,value\nA,1\n")
    (tmp_path / "a.gpkg").write_text("no polygons\n")
    for name in ("a.csv", "a.gpkg"):
        with pytest.raises(UsageError, match=rf"{name}: expected a file of polygons"):
            open_regions(tmp_path / name)
    with pytest.raises(UsageError, match="found dict"):
        open_regions({"A": box(0, 0, 1, 1)})  # type: ignore[arg-type]


def test_regions_beside_the_grid_are_named() -> None:
    frame = table(
        ["Spain", "Ohio", "edge"],
        [box(-9, 36, 3, 43), box(275, 38, 280, 42), box(-110, 30, -100, 40)],
    )
    regions = open_regions(frame)
    grid = Grid.regular(-100, 30, -60, 50, 1)
    assert off_grid(grid, regions) == ["Spain", "edge"]
    share = inside(grid, regions)
    assert share.shape == (3, *grid.shape)
    assert share.sum(axis=(1, 2)).tolist() == pytest.approx([0, 20, 0])
    assert off_grid(grid, regions[["Spain"]]) == ["Spain"]


def test_slivers_are_shared_out_and_real_overlap_is_refused() -> None:
    shapes = [box(-110, 30, -105, 40), box(-105.001, 30, -100, 40), box(-100.002, 30, -95, 40)]
    regions = open_regions(table(["Iowa", "Ohio", "Utah"], shapes))
    apart = without_overlap(regions)
    assert apart.index.tolist() == ["Iowa", "Ohio", "Utah"]
    assert region_areas(apart).sum() == pytest.approx(box_area(-110, 30, -95, 40), rel=1e-12)
    assert region_areas(regions).sum() > (1 + 1e-4) * box_area(-110, 30, -95, 40)
    share = inside(Grid.regular(-112, 28, -92, 42, 1), apart).sum(axis=0)
    assert share.max() == pytest.approx(1, abs=1e-12)
    with pytest.raises(UsageError, match=r"do not overlap.*'Iowa' and 'Ohio' share"):
        without_overlap(regions, tolerance=1e-5)
    # Overlap inside one coarse cell, which no sum of shares would show.
    small = open_regions(table(["a", "b"], [box(0.1, 0.1, 0.2, 0.2), box(0.15, 0.1, 0.3, 0.2)]))
    assert inside(Grid.regular(0, 0, 2, 2, 1), small).sum(axis=0).max() < 1
    with pytest.raises(UsageError, match=r"'a' and 'b' share .*\(0\.5 of the smaller\)"):
        without_overlap(small)


def test_a_region_within_another_is_overlap() -> None:
    regions = open_regions(table(["whole", "part"], [box(0, 0, 50, 50), box(1, 1, 1.1, 1.1)]))
    with pytest.raises(UsageError, match="'whole' and 'part' share"):
        without_overlap(regions)
    alone = regions[["whole"]]
    assert without_overlap(alone).equals(alone)
