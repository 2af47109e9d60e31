"""Conservative weights: against ESMF's, against planar geometry, and their invariants."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numba as nb
import numpy as np
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.spatial.transform import Rotation

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid import Grid
from narcf_geo.kernels.conservative import conservative_weights
from narcf_geo.kernels.overlap import areas, overlap_areas
from narcf_geo.kernels.polygons import Polygons, unit_vectors

HERE = Path(__file__).parents[1] / "data" / "esmf_weights"
SHARED = Path(__file__).parents[2] / ".." / "shared" / "reference" / "esmf_weights"
FULL = ["narr_to_1deg", "narr_masked_to_1deg_normed"]


class Cells:
    """Corners without the checks of Grid, for the cells that Grid refuses."""

    is_rectilinear = False

    def __init__(self, lon: np.ndarray, lat: np.ndarray) -> None:
        self.lon, self.lat = np.asarray(lon, float), np.asarray(lat, float)
        self.shape = (self.lon.shape[0] - 1, self.lon.shape[1] - 1)

    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        return self.lon, self.lat


def reference(path: Path) -> tuple[xr.Dataset, Grid, Grid]:
    with xr.open_dataset(path) as opened:
        ds = opened.load()
    source = Grid.from_corners(ds.source_lon_b.values, ds.source_lat_b.values)
    target = Grid.from_corners(ds.target_lon_b.values, ds.target_lat_b.values)
    return ds, source, target


def computed(ds: xr.Dataset, source: Grid, target: Grid) -> sparse.csr_array:
    mask = ds.source_mask.values if "source_mask" in ds else None
    weights = conservative_weights(
        source, target, normalisation=ds.attrs["method"], source_mask=mask
    )
    if "block" not in ds.attrs["case"]:
        return weights
    whole = np.isin(np.arange(weights.shape[0]), ds.row.values)
    return sparse.csr_array(sparse.diags_array(whole.astype(float)) @ weights)


def assert_as_esmf(ds: xr.Dataset, weights: sparse.csr_array) -> None:
    theirs = sparse.csr_array((ds.S.values, (ds.row.values, ds.col.values)), shape=weights.shape)
    assert abs(weights - theirs).max() <= 1e-11
    entries = [sparse.csr_array(w > 1e-10) for w in (weights, theirs)]
    assert (entries[0] != entries[1]).nnz == 0


@pytest.mark.parametrize("path", sorted(HERE.glob("*.nc")), ids=lambda p: p.stem)
def test_weights_are_those_of_esmf(path: Path) -> None:
    ds, source, target = reference(path)
    assert_as_esmf(ds, computed(ds, source, target))


@pytest.mark.parametrize("name", FULL)
def test_weights_of_the_whole_narr_grid_are_those_of_esmf(name: str) -> None:
    path = SHARED / f"{name}.nc"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the repository")
    ds, source, target = reference(path)
    weights = computed(ds, source, target)
    assert_as_esmf(ds, weights)
    assert weights.nnz == ds.sizes["n"]


def test_a_corner_moved_by_ten_metres_is_noticed() -> None:
    ds, source, target = reference(HERE / "narr_block_to_1deg.nc")
    lon, lat = source.corners()
    lon = lon.copy()
    lon[25, 30] += 1e-4
    with pytest.raises(AssertionError):
        assert_as_esmf(ds, computed(ds, Grid.from_corners(lon, lat), target))


def rotated(seed: int, ny: int, nx: int) -> Cells:
    """A global grid turned about a random axis: both poles and the dateline inside cells."""
    lon, lat = np.meshgrid(np.linspace(-180, 180, nx + 1), np.linspace(-90, 90, ny + 1))
    xyz = Rotation.random(random_state=seed).apply(unit_vectors(lon, lat).reshape(-1, 3))
    turned = np.rad2deg(np.arctan2(xyz[:, 1], xyz[:, 0]))
    raised = np.rad2deg(np.arcsin(np.clip(xyz[:, 2], -1, 1)))
    return Cells(turned.reshape(lon.shape), raised.reshape(lon.shape))


def steradians(grid: Cells | Grid) -> np.ndarray:
    return areas(Polygons.from_corners(*grid.corners()))


SIZES = st.integers(4, 24)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), ny=SIZES, nx=SIZES, my=SIZES, mx=SIZES)
def test_invariants_on_random_rotated_grids(seed: int, ny: int, nx: int, my: int, mx: int) -> None:
    source, target = rotated(seed, ny, nx), rotated(seed + 1, my, mx)
    weights = conservative_weights(source, target)
    assert_allclose(weights.sum(axis=1), 1.0, rtol=0, atol=1e-12)
    area, covered = steradians(source), weights.T @ steradians(target)
    assert_allclose(covered, area, rtol=0, atol=1e-12)
    assert area.sum() == pytest.approx(4 * np.pi, rel=1e-13)
    back = conservative_weights(target, source)
    assert_array_equal((weights > 1e-12).toarray(), (back.T > 1e-12).toarray())


def test_order_of_cells_changes_nothing() -> None:
    source = Cells(*np.meshgrid(np.linspace(-171, 189, 31), np.linspace(-90, 90, 19)))
    target = rotated(3, 11, 13)
    weights = conservative_weights(source, target).toarray().reshape(-1, *source.shape)
    for turn in (
        lambda a: a[::-1],
        lambda a: a[:, ::-1],
        lambda a: a[::-1, ::-1],
        lambda a: a.T,
        lambda a: a[::-1].T,
    ):
        turned = Cells(*(np.ascontiguousarray(turn(c)) for c in source.corners()))
        again = conservative_weights(turned, target).toarray()
        straight = np.stack([turn(w) for w in weights]).reshape(again.shape)
        assert_allclose(again, straight, rtol=0, atol=1e-13)
    lon, lat = source.corners()
    again = conservative_weights(Cells(lon + 360, lat), target).toarray()
    assert_allclose(again, weights.reshape(again.shape), rtol=0, atol=1e-13)


def test_a_grid_onto_itself_is_the_identity_without_slivers() -> None:
    south_first = Cells(*np.meshgrid(np.linspace(-180, 180, 181), np.linspace(-90, 90, 91)))
    north_first = Cells(*np.meshgrid(np.linspace(0, 360, 181), np.linspace(90, -90, 91)))
    weights = conservative_weights(south_first, north_first)
    assert weights.nnz == 90 * 180
    assert_allclose(weights.data, 1.0, rtol=0, atol=1e-13)
    j, i = np.unravel_index(weights.indices, south_first.shape)
    row, column = np.unravel_index(np.arange(90 * 180), south_first.shape)
    assert_array_equal(j, 89 - row)
    assert_array_equal(i, (column + 90) % 180)


def spherical_area(ring: np.ndarray) -> float:
    """Area on the sphere of a polygon of the gnomonic plane: l'Huilier's formula on a fan."""
    total = 0.0
    for b, c in pairwise(ring[1:]):
        plane = np.array([ring[0], b, c])
        xyz = np.column_stack([plane, np.ones(3)])
        xyz /= np.linalg.norm(xyz, axis=1, keepdims=True)
        sides = 2 * np.arcsin(np.linalg.norm(xyz - np.roll(xyz, 1, axis=0), axis=1) / 2)
        s = sides.sum() / 2
        squared = np.tan(s / 2) * np.tan(np.clip(s - sides, 0, None) / 2).prod()
        u, v = plane[1:] - plane[0]
        total += np.sign(u[0] * v[1] - u[1] * v[0]) * 4 * np.arctan(np.sqrt(max(squared, 0)))
    return abs(total)


def test_overlap_of_any_two_cells_is_that_of_the_gnomonic_plane() -> None:
    rng = np.random.default_rng(7)
    compared = concave = 0
    for _ in range(300):
        plane = rng.uniform(-0.4, 0.4, (2, 4, 2))
        shapes = [shapely.Polygon(corners) for corners in plane]
        if not all(shape.is_valid for shape in shapes):
            continue
        concave += any(s.convex_hull.area > s.area * (1 + 1e-9) for s in shapes)
        turn = Rotation.random(random_state=rng.integers(2**31))
        cells = []
        for corners in plane:
            xyz = turn.apply(np.column_stack([corners, np.ones(4)]))
            lon = np.rad2deg(np.arctan2(xyz[:, 1], xyz[:, 0]))
            lat = np.rad2deg(np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1])))
            ring = [0, 1, 3, 2]  # corners (0, 0), (0, 1), (1, 0), (1, 1) of the array
            cells.append(Polygons.from_corners(lon[ring].reshape(2, 2), lat[ring].reshape(2, 2)))
        ours = overlap_areas(*cells).sum()
        parts = shapely.get_parts(shapely.intersection(*shapes))
        theirs = sum(
            spherical_area(shapely.get_coordinates(part)[:-1])
            for part in parts
            if part.geom_type == "Polygon"
        )
        assert ours == pytest.approx(theirs, abs=1e-9)
        compared += theirs > 0
    assert compared > 50
    assert concave > 20


def test_normalisation_by_target_and_by_covered_area() -> None:
    source = Cells(*np.meshgrid([0.0, 10, 20], [40.0, 50, 60]))
    target = Cells(*np.meshgrid([-5.0, 5, 15, 40], [45.0, 55]))
    fraction = conservative_weights(source, target).sum(axis=1)
    assert fraction[0] == pytest.approx(0.5, rel=0.01)
    assert fraction[1] == pytest.approx(1.0, rel=1e-12)
    assert fraction[2] == pytest.approx(0.2, rel=0.01)
    normed = conservative_weights(source, target, normalisation="conservative_normed")
    assert_allclose(normed.sum(axis=1), 1.0, rtol=1e-14)


def test_masks_of_source_and_target() -> None:
    source, target = rotated(5, 9, 14), rotated(6, 8, 11)
    rng = np.random.default_rng(2)
    keep_source, keep_target = rng.random(source.shape) > 0.3, rng.random(target.shape) > 0.4
    every = conservative_weights(source, target).toarray()
    some = conservative_weights(
        source, target, source_mask=keep_source, target_mask=keep_target.astype(int)
    ).toarray()
    expected = every * keep_source.ravel() * keep_target.ravel()[:, None]
    assert_allclose(some, expected, rtol=0, atol=1e-15)
    assert not some[~keep_target.ravel()].any()


def test_grids_that_do_not_meet_have_no_weights() -> None:
    source = Cells(*np.meshgrid([0.0, 10], [0.0, 10]))
    target = Cells(*np.meshgrid([180.0, 190], [-10.0, 0]))
    assert conservative_weights(source, target).nnz == 0
    nothing = conservative_weights(source, source, source_mask=np.zeros((1, 1)))
    assert nothing.shape == (1, 1)
    assert nothing.nnz == 0


def test_cells_without_area_have_no_weights() -> None:
    lon, lat = np.meshgrid([0.0, 10, 10, 20], [0.0, 10])
    weights = conservative_weights(Cells(lon, lat), Cells(*np.meshgrid([0.0, 20], [0.0, 10])))
    assert_array_equal(weights.indices, [0, 2])
    degenerate = Polygons.from_corners(lon, lat).degenerate
    assert_array_equal(degenerate, [1])


@pytest.mark.parametrize(
    ("lon", "lat", "reason"),
    [
        ([[0.0, 10], [10, 0]], [[0.0, 0], [10, 10]], "cross each other"),
        ([[0.0, 180], [0, 180]], [[-80.0, -80], [10, 10]], "half a sphere"),
        ([[0.0, 10], [0, np.nan]], [[0.0, 0], [10, 10]], "NaN"),
    ],
)
def test_unusable_cells_are_refused_by_name(lon: list, lat: list, reason: str) -> None:
    good = Cells(*np.meshgrid([0.0, 20], [0.0, 20]))
    bad = Cells(np.array(lon), np.array(lat))
    with pytest.raises(NarcfError, match=rf"index \(0, 0\).*{reason}"):
        conservative_weights(bad, good)
    assert conservative_weights(bad, good, source_mask=np.zeros((1, 1))).nnz == 0


def test_wrong_questions() -> None:
    grid = Cells(*np.meshgrid([0.0, 10, 20], [0.0, 20]))
    with pytest.raises(UsageError, match=r"source_mask has shape \(2, 1\).*\(1, 2\)"):
        conservative_weights(grid, grid, source_mask=np.ones((2, 1)))
    with pytest.raises(UsageError, match="conservative_normed"):
        conservative_weights(grid, grid, normalisation="area")  # type: ignore[arg-type]


def test_number_of_threads_changes_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = rotated(8, 20, 30), rotated(9, 25, 17)
    results = []
    for threads in (1, 3):
        monkeypatch.setattr(nb.config, "NUMBA_NUM_THREADS", threads)
        results.append(conservative_weights(source, target))
    assert_array_equal(results[0].data, results[1].data)
    assert_array_equal(results[0].indices, results[1].indices)
