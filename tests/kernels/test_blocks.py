"""Weights made in blocks are those made at once, in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from narcf_geo.core.errors import NarcfError
from narcf_geo.grid import Grid
from narcf_geo.grid.sphere import to_lonlat, to_xyz
from narcf_geo.kernels import blocks, conservative
from narcf_geo.kernels.blocks import Side, weights_in_blocks
from narcf_geo.kernels.conservative import conservative_weights
from narcf_geo.kernels.lonlat import RectilinearCells
from narcf_geo.kernels.polygons import Polygons, unit_vectors


def turned(step: float, angle: float) -> Grid:
    """A global grid with its pole turned, both poles and the dateline inside it."""
    lon, lat = np.meshgrid(np.arange(-180, 181, step), np.arange(-90, 91, step))
    xyz, a = to_xyz(lon, lat), np.radians(angle)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    return Grid.from_corners(*to_lonlat(xyz @ turn.T))


GLOBE, OTHER = turned(3, 50), turned(5, 20)
EVEN = Grid.regular(-180, -90, 180, 90, (8, 4))
BOX = Grid.from_corners([170.0, 200, 330], [80.0, 30, 10, -5])


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 900)
    monkeypatch.setattr(blocks, "TILE", 17)


def assert_same(one: sparse.csr_array, other: sparse.csr_array) -> None:
    assert one.shape == other.shape
    assert_array_equal(one.indptr, other.indptr)
    assert_array_equal(one.indices, other.indices)
    assert_array_equal(one.data, other.data)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("edges", ["parallels", "great_circles"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("source", "target"),
    [(GLOBE, EVEN), (EVEN, GLOBE), (GLOBE, OTHER), (GLOBE, BOX), (BOX, GLOBE)],
    ids=["to-even", "from-even", "to-turned", "to-box", "from-box"],
)
def test_blocks_give_the_same_bytes(source: Grid, target: Grid, edges: str, masked: bool) -> None:
    rng = np.random.default_rng(4)
    masks = {}
    if masked:
        masks = {"source_mask": rng.random(source.shape) > 0.4}
        masks["target_mask"] = rng.random(target.shape) > 0.2
    whole = conservative_weights(source, target, edges=edges, **masks)
    sides = [
        Side.of(grid, masks.get(f"{which}_mask"), edges, which)
        for grid, which in ((source, "source"), (target, "target"))
    ]
    assert whole.nnz > 100
    assert_same(weights_in_blocks(*sides, "conservative"), whole)


@pytest.mark.usefixtures("small_blocks")
def test_large_grids_go_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = conservative_weights(GLOBE, EVEN, normalisation="conservative_normed")
    monkeypatch.setattr(conservative, "LARGE", 1000)
    worked = []
    original = blocks._block
    monkeypatch.setattr(blocks, "_block", lambda *a: worked.append(a[3]) or original(*a))
    assert_same(conservative_weights(GLOBE, EVEN, normalisation="conservative_normed"), whole)
    assert len(worked) > 5
    assert_array_equal(np.concatenate([np.r_[rows] for rows in worked]), np.arange(45))


@pytest.mark.usefixtures("small_blocks")
def test_grids_that_do_not_meet_and_cells_that_cannot_be_used() -> None:
    north = Grid.regular(0, 60, 90, 80, 1)
    lon, lat = (c.copy() for c in Grid.regular(0, -80, 60, -20, 1).corners())
    south = Grid.from_corners(lon + 0.1 * lat, lat)
    sides = Side.of(south, None, "parallels", "source"), Side.of(north, None, "parallels", "target")
    assert weights_in_blocks(*sides, "conservative").nnz == 0
    assert weights_in_blocks(*sides[::-1], "conservative").nnz == 0
    lon[40, 30], lon[40, 31] = lon[40, 31], lon[40, 30]
    crossed = Grid.from_corners(lon, lat)
    target = Grid.regular(0, -90, 60, -10, 1)
    sides = (
        Side.of(crossed, None, "parallels", "source"),
        Side.of(target, None, "parallels", "target"),
    )
    with pytest.raises(NarcfError, match=r"first the one at index \(39, 30\).*cross"):
        weights_in_blocks(*sides, "conservative")


@pytest.mark.usefixtures("small_blocks")
def test_workers_of_a_cluster_give_the_same_bytes() -> None:
    distributed = pytest.importorskip("distributed")
    whole = conservative_weights(GLOBE, EVEN, edges="parallels")
    sides = Side.of(GLOBE, None, "parallels", "source"), Side.of(EVEN, None, "parallels", "target")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=False,
            protocol="tcp",
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert_same(weights_in_blocks(*sides, "conservative"), whole)
        done = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.task_groups))
        assert done > 0


def test_boxes_hold_what_is_in_them() -> None:
    rng = np.random.default_rng(0)
    for grid in (EVEN, BOX, Grid.from_corners([-200.0, 0, 160], [-90.0, 10, 90])):
        cells = RectilinearCells.from_edges(grid.lon_b, grid.lat_b)
        share = rng.random((500, 2))
        lon = grid.lon_b[0] + share[:, 0] * (grid.lon_b[-1] - grid.lon_b[0])
        lat = grid.lat_b[0] + share[:, 1] * (grid.lat_b[-1] - grid.lat_b[0])
        points = unit_vectors(lon, lat)
        assert (points >= cells.box[:3]).all()
        assert (points <= cells.box[3:]).all()
        row, column = (
            [int(np.flatnonzero((v - edges[:-1]) * (v - edges[1:]) <= 0)[0]) for v in values]
            for values, edges in ((lat, grid.lat_b), (lon, grid.lon_b))
        )
        for point, r, c in zip(points[:100], row, column, strict=False):
            near = cells.touching(np.concatenate([point, point]))
            assert r * grid.shape[1] + c in near.owner
            assert len(near.owner) <= len(cells.owner)
    polygons = Polygons.from_corners(*GLOBE.corners())
    some = polygons.touching(np.array([0.2, 0.2, 0.2, 0.4, 0.4, 0.9]))
    assert 0 < len(some.owner) < len(polygons.owner) / 4
    assert (polygons.box[:3] <= -1).all()
