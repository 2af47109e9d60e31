"""Cells between parallels against polygons of great circles: exact integrals and invariants."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.spatial.transform import Rotation
from strategies import rectilinear_grids, rotated_grids

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid import Grid
from narcf_geo.grid.sphere import to_lonlat
from narcf_geo.kernels.conservative import conservative_weights
from narcf_geo.kernels.lonlat import RectilinearCells
from narcf_geo.kernels.overlap import areas, overlap_areas
from narcf_geo.kernels.parallels import _crossing, segment_area
from narcf_geo.kernels.polygons import Polygons, unit_vectors

NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(16)


def turned_globe(seed: int, ny: int, nx: int) -> Grid:
    """A global grid turned about a random axis: poles and dateline anywhere in its cells."""
    lon, lat = np.meshgrid(np.linspace(-180, 180, nx + 1), np.linspace(-90, 90, ny + 1))
    xyz = Rotation.random(random_state=seed).apply(unit_vectors(lon, lat).reshape(-1, 3))
    lon, lat = to_lonlat(xyz.reshape(*lon.shape, 3))
    return Grid.from_corners(lon, lat)


def mean_latitude(south: float, north: float) -> float:
    """Area mean of latitude between two parallels, degrees, in closed form."""
    s, n = np.radians([south, north])
    integral = n * np.sin(n) + np.cos(n) - s * np.sin(s) - np.cos(s)
    return float(np.degrees(integral / (np.sin(n) - np.sin(s))))


def length_inside(z: np.ndarray, normals: np.ndarray, west: float, width: float) -> np.ndarray:
    """Radians of longitude, east of `west`, in which circles of latitude are inside all planes."""
    radius = np.sqrt(1 - z * z)[:, None]
    plane = np.hypot(normals[:, 0], normals[:, 1])
    centre = np.arctan2(normals[:, 1], normals[:, 0])
    half = np.arccos(
        np.clip(-normals[:, 2] * z[:, None] / np.maximum(radius * plane, 1e-300), -1, 1)
    )
    ends = (np.concatenate([centre - half, centre + half], 1) - west) % (2 * np.pi)
    cuts = np.sort(np.concatenate([ends.clip(0, width), 0 * z[:, None], 0 * z[:, None] + width], 1))
    middle = west + (cuts[:, 1:] + cuts[:, :-1]) / 2
    xyz = np.stack([radius * np.cos(middle), radius * np.sin(middle)], -1)
    heights = xyz @ normals[:, :2].T + z[:, None, None] * normals[:, 2]
    return np.asarray((np.diff(cuts) * (heights >= 0).all(-1)).sum(1))


def exact_overlap(ring: np.ndarray, west: float, east: float, south: float, north: float) -> float:
    """Area common to a convex polygon (counter-clockwise, unit vectors) and a cell, in degrees.

    The integral over the sine of latitude of the longitudes inside: between the latitudes at
    which something begins or ends, by Gauss's rule, endpoints with square roots smoothed.
    """
    normals = np.cross(ring, np.roll(ring, -1, axis=0))
    low, high = np.sin(np.radians([south, north]))
    breaks = [low, high, *ring[:, 2]]
    for normal in normals / np.linalg.norm(normals, axis=1, keepdims=True):
        top = np.hypot(normal[0], normal[1])
        breaks += [top, -top]
        for lon in np.radians([west, east]):
            toward = normal[0] * np.cos(lon) + normal[1] * np.sin(lon)
            crossing = np.sin(np.arctan2(-toward, normal[2]))
            breaks += [crossing, -crossing]
    # An edge that just misses a pole has its scale close to where it begins.
    closer = np.concatenate([[0.0], 10.0 ** -np.arange(1, 8), -(10.0 ** -np.arange(1, 8))])
    cuts = np.unique(np.clip(np.add.outer(breaks, (high - low) * closer), low, high))
    middle, half = (cuts[1:] + cuts[:-1]) / 2, np.diff(cuts) / 2
    angle = NODES * np.pi / 2
    z = middle[:, None] + half[:, None] * np.sin(angle)
    weight = half[:, None] * np.cos(angle) * np.pi / 2 * NODE_WEIGHTS
    inside = length_inside(z.ravel(), normals, np.radians(west), np.radians(east - west))
    return float((inside * weight.ravel()).sum())


def quadrilateral(rng: np.random.Generator, size: float, centre: np.ndarray) -> np.ndarray:
    """A convex polygon of four corners about a point, as unit vectors, counter-clockwise."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, 4))
    plane = size * np.stack([np.cos(angles), np.sin(angles)], 1) * rng.uniform(0.2, 1, 2)
    xyz = np.column_stack([plane, np.ones(4)])
    turn = Rotation.align_vectors([centre], [[0, 0, 1.0]])[0]
    turn = turn * Rotation.from_rotvec([0, 0, rng.uniform(0, 6)])
    xyz = turn.apply(xyz)
    return np.asarray(xyz / np.linalg.norm(xyz, axis=1, keepdims=True))


def cell_of(ring: np.ndarray) -> Polygons:
    lon, lat = to_lonlat(ring)
    return Polygons.from_corners(*(a[[0, 1, 3, 2]].reshape(2, 2) for a in (lon, lat)))


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    size=st.sampled_from([1.5, 0.7, 0.2, 0.03]),
    width=st.sampled_from([0.01, 1.0, 10.0, 89.0, 130.0, 200.0, 360.0]),
    height=st.sampled_from([0.01, 1.0, 20.0, 90.0]),
    polar=st.booleans(),
)
def test_overlap_of_any_two_cells_is_the_integral_over_latitude(
    seed: int, size: float, width: float, height: float, polar: bool
) -> None:
    rng = np.random.default_rng(seed)
    west, south = rng.uniform(-180, 180), rng.uniform(-90, 90 - height)
    if polar:
        south = rng.choice([-90.0, 90.0 - height])
    place = west + rng.uniform(0, width), min(south + rng.uniform(-0.3, 1.3) * height, 90.0)
    ring = quadrilateral(rng, size, unit_vectors(*place))
    cell = RectilinearCells.from_edges([west, west + width], [south, south + height])
    polygon = cell_of(ring)
    ours = overlap_areas(polygon, cell).sum()
    theirs = exact_overlap(ring, west, west + width, south, south + height)
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)
    assert overlap_areas(cell, polygon).sum() == ours


def test_a_polar_cell_within_a_wide_polygon_is_found_whole() -> None:
    lon, lat = (
        np.array([[-10.0, 80.0], [-100.0, 170.0]]),
        np.array([[-36.0, -37.0], [-68.0, -41.0]]),
    )
    polygon = Polygons.from_corners(lon, lat)
    for south, north in ((-90.0, -89.99), (-89.99, -89.9)):
        cell = RectilinearCells.from_edges([120.0, 120.01], [south, north])
        assert overlap_areas(polygon, cell).sum() == pytest.approx(cell.areas[0], rel=1e-8)


def test_an_arc_that_crosses_a_parallel_twice_is_seen() -> None:
    """Both ends south of 60 N, the middle north of it; and the same at the equator's other side."""
    for sign in (1, -1):
        lon, lat = [-60.0, 60.0], np.array([[59.0, 59.0], [30.0, 30.0]]) * sign
        polygon = Polygons.from_corners(np.array([lon, lon]), lat)
        ring = polygon.vertices[polygon.parts[0]]
        for south, north in ((60.0, 80.0), (59.0, 60.0), (0.0, 59.0)):
            bounds = sorted([sign * south, sign * north])
            cell = RectilinearCells.from_edges([-60.0, 60.0], bounds)
            ours = overlap_areas(polygon, cell).sum()
            assert ours > 1e-3
            assert ours == pytest.approx(exact_overlap(ring, -60, 60, *bounds), rel=1e-12)


@pytest.mark.parametrize("width", [10, 30, 90, 120, 180, 270, 360])
@pytest.mark.parametrize("step", [1.0, pytest.param(0.25, marks=pytest.mark.slow)])
@pytest.mark.parametrize("band", [(40, 50), (-50, -40), (70, 90), (-90, -60), (-10, 10), (-90, 90)])
def test_mean_latitude_of_a_wide_cell(width: float, step: float, band: tuple[float, float]) -> None:
    source = turned_globe(5, round(180 / step), round(360 / step))
    target = Grid.from_corners([-width / 2, width / 2], list(band))
    lat = np.degrees(np.arcsin(centroids(source)[..., 2]))
    weights = conservative_weights(source, target, edges="parallels")
    bound = 0.005 * step
    assert (weights @ lat.ravel())[0] == pytest.approx(mean_latitude(*band), abs=bound)
    if width == 120 and band == (40, 50):
        circles = conservative_weights(source, target)
        assert abs((circles @ lat.ravel())[0] - mean_latitude(*band)) > 5


def centroids(grid: Grid) -> np.ndarray:
    xyz = unit_vectors(*grid.corners())
    middle = xyz[1:, 1:] + xyz[1:, :-1] + xyz[:-1, 1:] + xyz[:-1, :-1]
    return np.asarray(middle / np.linalg.norm(middle, axis=-1, keepdims=True))


@pytest.mark.skipif(shutil.which("cdo") is None, reason="cdo is not installed")
@pytest.mark.parametrize(
    ("box", "step", "bound"),
    [((-180, -90, 180, 90), (30, 10), 2e-9), ((-130, 20, -70, 70), (1, 1), 1e-11)],
)
def test_weights_are_those_of_cdo(
    box: tuple[int, ...], step: tuple[int, int], bound: float, tmp_path: Path
) -> None:
    """CDO too cuts along parallels; near poles it keeps fewer digits."""
    source, target = turned_globe(3, 60, 90), Grid.regular(*box, step)
    zero = xr.Dataset({"zero": (source.dims, np.zeros(source.shape))}, source.coords())
    zero.to_netcdf(tmp_path / "source.nc")
    (tmp_path / "target.txt").write_text(
        f"gridtype = lonlat\nxsize = {target.shape[1]}\nysize = {target.shape[0]}\n"
        f"xfirst = {target.lon[0]}\nxinc = {step[0]}\nyfirst = {target.lat[0]}\nyinc = {step[1]}\n"
    )
    command = ["cdo", "-s", "gencon,target.txt", "source.nc", "weights.nc"]
    subprocess.run(command, cwd=tmp_path, check=True)
    with xr.open_dataset(tmp_path / "weights.nc") as ds:
        at = ds.dst_address.values - 1, ds.src_address.values - 1
        theirs = sparse.csr_array((ds.remap_matrix.values[:, 0], at))
    theirs.resize((target.area.size, source.area.size))
    normed = {"normalisation": "conservative_normed"}
    ours = conservative_weights(source, target, edges="parallels", **normed)
    assert abs(ours - theirs).max() < bound
    circles = conservative_weights(source, target, **normed)
    assert abs(circles - theirs).max() > 1e-4


SIZES = st.integers(4, 40)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), ny=SIZES, nx=SIZES, grid=rectilinear_grids(whole_globe=True))
def test_rows_sum_to_one_and_areas_are_kept_both_ways(
    seed: int, ny: int, nx: int, grid: Grid
) -> None:
    globe = turned_globe(seed, ny, nx)
    sizes = [g.area.ravel() / EARTH_RADIUS**2 for g in (globe, grid)]
    for source, target, (area, other) in (
        (globe, grid, sizes),
        (grid, globe, sizes[::-1]),
    ):
        weights = conservative_weights(source, target, edges="parallels")
        assert_allclose(weights.sum(axis=1), 1.0, rtol=0, atol=1e-12)
        assert_allclose(weights.T @ other, area, rtol=1e-13, atol=1e-14)
        assert weights.data.min() > 0


@settings(max_examples=60, deadline=None)
@given(patch=rotated_grids(), grid=rectilinear_grids())
def test_both_ways_are_the_same_overlap(patch: Grid, grid: Grid) -> None:
    there = conservative_weights(patch, grid, edges="parallels").toarray()
    back = conservative_weights(grid, patch, edges="parallels").toarray()
    overlap = there * grid.area.ravel()[:, None] / EARTH_RADIUS**2
    again = (back * patch.area.ravel()[:, None] / EARTH_RADIUS**2).T
    assert_allclose(overlap, again, rtol=0, atol=1e-15)
    assert there.sum(axis=1).max() < 1 + 1e-11
    assert back.sum(axis=1).max() < 1 + 1e-11


def test_a_grid_given_as_corners_fills_its_own_parallels_but_for_the_segments() -> None:
    """Corners coincide: between parallel and chord only slivers go to the neighbouring row."""
    grid = Grid.regular(-180, -90, 180, 90, (10, 5))
    chords = Grid.from_corners(*grid.corners())
    weights = conservative_weights(chords, grid, edges="parallels")
    assert_allclose(weights.sum(axis=1), 1.0, rtol=0, atol=1e-13)
    row, column = (np.array(i) // 36 for i in weights.nonzero())
    assert set((column - row).tolist()) == {-1, 0, 1}
    own_column = np.repeat(np.arange(weights.shape[0]) % 36, np.diff(weights.indptr))
    assert_array_equal(weights.indices % 36, own_column)
    diagonal = weights.diagonal().reshape(36, 36)
    assert diagonal[18:, 0][:-1].min() < 1 - 1e-4
    assert conservative_weights(grid, grid, edges="parallels").nnz == grid.area.size


def test_order_of_rows_and_columns_and_turns_of_longitude_change_nothing() -> None:
    globe, grid = turned_globe(2, 15, 22), Grid.regular(-170, -80, 185, 85, (71, 15))
    straight = conservative_weights(globe, grid, edges="parallels").toarray()
    turned = Grid.from_corners(grid.lon_b[::-1] + 360, grid.lat_b[::-1])
    again = conservative_weights(globe, turned, edges="parallels").toarray()
    again = again.reshape(*grid.shape, -1)[::-1, ::-1].reshape(straight.shape)
    assert_allclose(again, straight, rtol=0, atol=1e-14)


def test_cells_of_half_a_turn_have_no_great_circles() -> None:
    globe, wide = turned_globe(4, 9, 14), Grid.from_corners([-100, 100], [40, 50])
    for pair in ((globe, wide), (wide, globe)):
        with pytest.raises(NarcfError, match=r"found 200 in the (source|target) grid.*parallels"):
            conservative_weights(*pair)
        assert conservative_weights(*pair, edges="parallels").nnz > 0


def test_masks_and_normalisation() -> None:
    globe, grid = turned_globe(4, 9, 14), Grid.regular(-180, -90, 180, 90, (40, 20))
    rng = np.random.default_rng(2)
    keep = {"globe": rng.random(globe.shape) > 0.3, "grid": rng.random(grid.shape) > 0.4}
    for (a, one), (b, two) in (
        (("globe", globe), ("grid", grid)),
        (("grid", grid), ("globe", globe)),
        (("grid", grid), ("grid", grid)),
    ):
        every = conservative_weights(one, two, edges="parallels").toarray()
        some = conservative_weights(
            one, two, edges="parallels", source_mask=keep[a], target_mask=keep[b]
        ).toarray()
        expected = every * keep[a].ravel() * keep[b].ravel()[:, None]
        assert_allclose(some, expected, rtol=0, atol=1e-15)
        normed = conservative_weights(
            one, two, edges="parallels", source_mask=keep[a], normalisation="conservative_normed"
        )
        sums = normed.sum(axis=1)
        assert_allclose(sums[sums > 0], 1.0, rtol=1e-14)
    with pytest.raises(UsageError, match="'parallels' or 'great_circles', found 'rhumb'"):
        conservative_weights(globe, grid, edges="rhumb")  # type: ignore[arg-type]


@pytest.mark.parametrize("lat", [0.3, 45.0, 67.0, 85.0])
@pytest.mark.parametrize("step", [3e-4, 3e-2])
def test_cells_of_30_m_and_3_km_keep_their_digits(lat: float, step: float) -> None:
    """The rounding of a corner, seen from a cell of that size, and no more."""
    target = Grid.regular(0, lat, 8 * step, lat + 8 * step, step)
    lon, lat_c = np.meshgrid(target.lon_b + 0.1 * step, target.lat_b + 0.03 * step)
    weights = conservative_weights(Grid.from_corners(lon, lat_c), target, edges="parallels")
    inside = weights.sum(axis=1).reshape(target.shape)[1:, 1:]
    assert_allclose(inside, 1.0, rtol=0, atol=3e-15 / np.radians(step))


def test_areas_are_those_of_the_grid() -> None:
    grid = Grid.from_corners([300.0, 10, -30], [90, 89.9, 10, -89.99, -90])
    mask = np.ones(grid.shape)
    mask[1, 1] = 0
    cells = RectilinearCells.from_edges(grid.lon_b, grid.lat_b, mask)
    expected = np.where(mask, grid.area / EARTH_RADIUS**2, 0)
    assert_allclose(areas(cells), expected.ravel(), rtol=1e-14)


@pytest.mark.parametrize("lat", [1e-5, 12.0, -48.0, 89.9999])
@pytest.mark.parametrize("width", [1e-4, 0.1, 5.0, 6.0, 90.0, 170.0])
def test_area_between_parallel_and_great_circle(lat: float, width: float) -> None:
    """Against the integral of the difference of sines of latitude, series and formula alike."""
    xyz = unit_vectors([0.0, width], lat)
    sine, squared_cosine = xyz[0, 2], xyz[0, 0] ** 2
    ours = segment_area(xyz, 0, 1, sine, squared_cosine)
    half = np.radians(width) / 2
    nodes, node_weights = np.polynomial.legendre.leggauss(60)
    at = half * nodes
    low = np.tan(np.radians(lat))
    high = low * np.cos(at) / np.cos(half)
    apart = low * 2 * np.sin((half + at) / 2) * np.sin((half - at) / 2) / np.cos(half)
    squares = apart * (high + low) / ((1 + high**2) * (1 + low**2))
    sines = squares / (high / np.hypot(1, high) + low / np.hypot(1, low))
    assert ours == pytest.approx(half * (sines * node_weights).sum(), rel=1e-9)
    assert segment_area(xyz, 1, 0, sine, squared_cosine) == pytest.approx(-ours, rel=1e-12)


def test_crossings_are_the_roots() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        squared, bulge = rng.uniform(1e-6, 1.9), rng.uniform(0, 1)
        a, b = rng.uniform(0, 1), -rng.uniform(0, 1)

        root = _crossing(a, b, bulge, squared, 0.0)
        height = a * (1 - root) + b * root - bulge * (1 - np.sqrt(1 - root * (1 - root) * squared))
        assert height == pytest.approx(0, abs=1e-15)
        back = _crossing(b, a, bulge, squared, 1.0)
        assert root == pytest.approx(1 - back, abs=1e-14)
