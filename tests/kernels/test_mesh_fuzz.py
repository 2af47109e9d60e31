"""Random meshes, rotated, stretched, masked: no integral is wrong and nothing crashes.

A few draws by default; ``pytest -m slow tests/kernels/test_mesh_fuzz.py`` goes on for ten minutes,
or for NARCF_FUZZ_SECONDS, from the seed NARCF_FUZZ_SEED.
"""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from meshes import common_area, four, lonlat_of, rings_of, tripolar, xyz_of
from scipy.spatial import ConvexHull, SphericalVoronoi
from scipy.spatial.transform import Rotation

from narcf_geo.core.errors import NarcfError
from narcf_geo.grid import Grid, Mesh
from narcf_geo.kernels.conservative import conservative_weights
from narcf_geo.kernels.doubled import single_cells
from narcf_geo.kernels.overlap import areas, polygons_of

WHOLE = 4 * np.pi


def _points(rng: np.random.Generator, n: int) -> np.ndarray:
    """Points all over the sphere, some of them crowded, turned anyhow."""
    p = rng.normal(size=(n, 3))
    if rng.random() < 0.5:
        p[: n // 2] = p[: n // 2] * 10.0 ** rng.uniform(-5, 0) + rng.normal(size=3)
    p /= np.linalg.norm(p, axis=1, keepdims=True)
    return np.asarray(Rotation.random(random_state=int(rng.integers(2**31))).apply(p))


def _flat(rng: np.random.Generator, regions: list, vertices: np.ndarray) -> Mesh:
    """A mesh of regions, each begun anywhere, in any direction, some corners there twice."""
    rings = []
    for region in regions:
        ring = list(np.roll(region, int(rng.integers(len(region)))))
        ring = ring[::-1] if rng.random() < 0.5 else ring
        if rng.random() < 0.2:
            k = int(rng.integers(len(ring)))
            ring = [*ring[: k + 1], *ring[k:]]
        rings.append(ring)
    lon, lat = lonlat_of(vertices)
    return Mesh(
        lon + 360 * rng.integers(-1, 2), lat, np.concatenate(rings), [len(r) for r in rings]
    )


def _hull(rng: np.random.Generator, least: int) -> tuple[np.ndarray, ConvexHull]:
    """Points whose triangles each fit in half a sphere: their hull holds the centre."""
    while True:
        p = _points(rng, int(rng.integers(least, 150)))
        hull = ConvexHull(p)
        if (hull.equations[:, 3] < -0.01).all():
            return p, hull


def triangulation(rng: np.random.Generator) -> Mesh:
    p, hull = _hull(rng, 8)
    return _flat(rng, hull.simplices.tolist(), p)


def tessellation(rng: np.random.Generator) -> Mesh:
    p, _ = _hull(rng, 20)
    found = SphericalVoronoi(p, threshold=1e-9)
    found.sort_vertices_of_regions()
    return _flat(rng, found.regions, found.vertices)


def ragged(rng: np.random.Generator) -> Mesh:
    """Triangles joined by twos and threes: concave cells of up to five corners."""
    p, hull = _hull(rng, 20)
    simplices = hull.simplices.tolist()
    edges: dict[tuple[int, int], int] = {}
    free = set(range(len(simplices)))
    regions = []
    for k, simplex in enumerate(simplices):
        middle = p[simplex].sum(0)
        if np.cross(p[simplex[1]] - p[simplex[0]], p[simplex[2]] - p[simplex[0]]) @ middle < 0:
            simplices[k] = simplex[::-1]
        for a, b in zip(simplices[k], np.roll(simplices[k], -1).tolist(), strict=True):
            edges[a, b] = k
    for k, simplex in enumerate(simplices):
        if k not in free:
            continue
        free.discard(k)
        ring = list(simplex)
        for _ in range(int(rng.integers(3))):
            at = int(rng.integers(len(ring)))
            a, b = ring[at], ring[(at + 1) % len(ring)]
            other = edges.get((b, a))
            if other in free:
                third = next(v for v in simplices[other] if v not in (a, b))
                if third not in ring:
                    ring.insert(at + 1, third)
                    free.discard(other)
        regions.append(ring)
    return _flat(rng, regions, p)


def stretched(rng: np.random.Generator) -> Mesh:
    """Rows and columns around the globe, squeezed towards one side, each cell on its own."""
    nx, ny = int(rng.integers(4, 30)), int(rng.integers(4, 20))
    lon, lat = np.meshgrid(np.linspace(-180, 180, nx + 1), np.linspace(-90, 90, ny + 1))
    p = xyz_of(lon, lat)
    p = p + rng.uniform(0, 0.7) * rng.normal(size=3) / 3
    p /= np.linalg.norm(p, axis=-1, keepdims=True)
    turn = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
    lon_c, lat_c = lonlat_of(p @ turn.T)
    return Mesh.from_vertices(four(lon_c), four(lat_c))


MAKERS = (triangulation, tessellation, ragged, stretched)


def usable(rng: np.random.Generator) -> Mesh:
    """A mesh whose cells fit in half a sphere."""
    while True:
        mesh = MAKERS[int(rng.integers(len(MAKERS)))](rng)
        try:
            polygons_of(mesh)
        except NarcfError as error:
            if "half a sphere" in str(error):
                continue
            raise
        return mesh


def check(seed: int) -> None:
    """One draw: two global meshes, one of them masked."""
    rng = np.random.default_rng(seed)
    source, target = usable(rng), usable(rng)
    n, m = source.area.size, target.area.size
    ours, theirs = (areas(polygons_of(c)) for c in (source, target))
    for size in (ours, theirs):
        assert abs(size.sum() / WHOLE - 1) < 1e-11
    np.testing.assert_allclose(ours, source.area.ravel() / 6371007.2**2, rtol=1e-6, atol=1e-15)
    weights = conservative_weights(source, target)
    assert weights.data.min(initial=1) >= 0
    covered = weights.sum(axis=1)
    big = theirs > 1e-12
    assert np.abs(covered[big] - 1).max() < 1e-9 + 1e-15 / theirs[big].min()
    inside = weights.T @ theirs
    assert np.abs(inside - ours).max() < 1e-12
    field = rng.normal(2, 1, n)
    assert (weights @ field * theirs).sum() == pytest.approx((field * ours).sum(), rel=1e-10)
    keep, wanted = rng.random(n) < 0.7, rng.random(m) < 0.7
    kept = source.where(keep.reshape(source.shape))
    masked = conservative_weights(kept, target.where(wanted.reshape(target.shape)))
    np.testing.assert_allclose(
        masked.toarray(), weights.toarray() * keep * wanted[:, None], atol=1e-13
    )
    assert single_cells(source) == (None, 0)
    with_copies = _doubled(rng, source)
    first, partly = single_cells(with_copies)
    single = conservative_weights(with_copies, target, source_mask=first)
    assert partly == 0
    np.testing.assert_allclose((single @ np.ones(single.shape[1])), covered, atol=1e-9)
    t = int(rng.integers(m))
    rings, ring = rings_of(source), rings_of(target)[t]
    if not np.array_equal(target.counts[t : t + 1], [3]) or np.unique(source.owner).size != n:
        return
    if theirs[t] > 1e-6 and (ring @ ring.mean(0) / np.linalg.norm(ring.mean(0))).min() > 0.5:
        for s in np.flatnonzero(weights[[t]].toarray()[0] > 1e-3)[:4]:
            middle = ring.mean(0) / np.linalg.norm(ring.mean(0))
            if (rings[s] @ middle).min() > 0.25:
                shared = common_area(rings[s], ring)
                assert weights[t, s] * theirs[t] == pytest.approx(shared, rel=1e-6, abs=1e-10)


def _doubled(rng: np.random.Generator, mesh: Mesh) -> Mesh:
    """The mesh with some of its cells there again, the other way round."""
    chosen = np.flatnonzero(rng.random(mesh.counts.size) < 0.3)
    start = np.cumsum(mesh.counts) - mesh.counts
    again = [mesh.connectivity[start[k] : start[k] + mesh.counts[k]][::-1] for k in chosen]
    size = mesh.area.size
    return Mesh(
        mesh.lon_v,
        mesh.lat_v,
        np.concatenate([mesh.connectivity, *again]),
        np.concatenate([mesh.counts, mesh.counts[chosen]]),
        np.concatenate([mesh.owner, size + np.arange(chosen.size)]),
        shape=(size + chosen.size,),
    )


@pytest.mark.parametrize("seed", range(25))
def test_some_random_meshes(seed: int) -> None:
    check(seed)


@pytest.mark.slow
def test_random_meshes_for_a_long_time() -> None:
    end = time.monotonic() + float(os.environ.get("NARCF_FUZZ_SECONDS", "600"))
    seed = int(os.environ.get("NARCF_FUZZ_SEED", "1000"))
    while time.monotonic() < end:
        try:
            check(seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
        seed += 1
    print(f"{seed} was the last seed")


def test_the_fuzz_would_notice() -> None:
    """Controls: a lost cell, a cell too many and a shifted weight break what is checked."""
    rng = np.random.default_rng(3)
    source, target = triangulation(rng), tessellation(rng)
    theirs = areas(polygons_of(target))
    lost = conservative_weights(source.where(np.arange(source.area.size) != 5), target)
    assert np.abs(lost.sum(axis=1) - 1).max() > 1e-6
    more = conservative_weights(_doubled(rng, source), target)
    assert (more.sum(axis=1) * theirs).sum() > 1.05 * WHOLE
    assert Grid.from_corners(*(c[:-2] for c in tripolar())).shape == (16, 36)
