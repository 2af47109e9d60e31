"""Second-order conservative regridding: error, order, integrals, gaps and seams."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import rectilinear_grids, rotated_grids

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid import Grid
from narcf_geo.grid.sphere import EdgeKind, to_lonlat, to_xyz
from narcf_geo.kernels.moments import slopes
from narcf_geo.regridding import bands, regrid
from narcf_geo.regridding.bands import neighbours
from narcf_geo.regridding.gradients import Gradients, _centroids, overlaps

TARGET = Grid.regular(-180, -90, 180, 90, 0.5)
COARSE = Grid.regular(-180, -90, 180, 90, 2.5)


def harmonic(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """A spherical harmonic of degree 2 and order 2, turned so that no axis is one of the grid's."""
    return 2 + (0.6 * x + 0.8 * z) ** 2 - y**2


def means(grid: Grid, n: int = 6) -> np.ndarray:
    """Cell means by Gauss-Legendre points in longitude and sine of latitude."""
    place, weight = np.polynomial.legendre.leggauss(n)
    points = []
    for edges in (np.sin(np.radians(grid.lat_b)), np.radians(grid.lon_b)):
        middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
        points.append(middle[:, None] + half[:, None] * place)
    z, lon = points[0][:, :, None, None], points[1]
    radius = np.sqrt(1 - z**2)
    values = harmonic(radius * np.cos(lon), radius * np.sin(lon), z + 0 * lon)
    return np.einsum("yixj,i,j->yx", values, weight / 2, weight / 2)


def turned(grid: Grid) -> Grid:
    """The same cells with the poles elsewhere, as corners."""
    a, b = np.radians([40, 25])
    first = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    second = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return Grid.from_corners(*to_lonlat(to_xyz(*grid.corners()) @ (second @ first).T))


def curved_means(grid: Grid, n: int = 10) -> np.ndarray:
    """Cell means by small pieces of each cell, weighted by their area."""
    p = to_xyz(*grid.corners())
    u = np.linspace(0, 1, n + 1)

    def at(a: float, b: float) -> np.ndarray:
        q = (1 - a) * ((1 - b) * p[:-1, :-1] + b * p[:-1, 1:])
        q = q + a * ((1 - b) * p[1:, :-1] + b * p[1:, 1:])
        return q / np.linalg.norm(q, axis=-1, keepdims=True)

    total, areas = np.zeros(grid.shape), np.zeros(grid.shape)
    for i in range(n):
        for j in range(n):
            c = [at(u[i], u[j]), at(u[i + 1], u[j]), at(u[i + 1], u[j + 1]), at(u[i], u[j + 1])]
            area = np.linalg.norm(np.cross(c[2] - c[0], c[3] - c[1]), axis=-1)
            middle = at((u[i] + u[i + 1]) / 2, (u[j] + u[j + 1]) / 2)
            total += area * harmonic(*np.moveaxis(middle, -1, 0))
            areas += area
    return total / areas


def on(grid: Grid, values: np.ndarray) -> xr.DataArray:
    dims = ("time", *grid.dims)[-values.ndim :]
    return xr.DataArray(values, dims=dims, name="v", attrs={"units": "K"})


def errors(source: Grid, values: np.ndarray, exact: np.ndarray) -> dict[str, float]:
    found = {}
    for method in ("conservative", "conservative2"):
        out = regrid(on(source, values), TARGET, source=source, method=method).values
        found[method] = float(np.sqrt(np.average((out - exact) ** 2, weights=TARGET.area)))
    return found


def test_ten_times_less_error_than_the_first_order_and_its_order_of_convergence() -> None:
    exact = means(TARGET)
    found = []
    for step in (10, 5, 2.5):
        source = Grid.regular(-180, -90, 180, 90, step)
        found.append(errors(source, means(source), exact))
    assert found[2]["conservative"] > 50 * found[2]["conservative2"]
    for coarse, fine in itertools.pairwise(found):
        assert np.log2(coarse["conservative2"] / fine["conservative2"]) > 1.9
        assert 0.8 < np.log2(coarse["conservative"] / fine["conservative"]) < 1.2


def test_between_any_grids() -> None:
    source = turned(COARSE)
    found = errors(source, curved_means(source), means(TARGET))
    assert found["conservative"] > 40 * found["conservative2"]


@pytest.mark.parametrize("source", [COARSE, turned(COARSE)])
def test_integrals_are_kept_with_gaps_and_without(source: Grid) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(5, 3, (2, *source.shape))
    values[1][rng.random(source.shape) < 0.3] = np.nan
    target = turned(Grid.regular(-180, -90, 180, 90, 4))
    for goal in (target, Grid.regular(-180, -90, 180, 90, (6, 3))):
        out = regrid(on(source, values), goal, source=source, method="conservative2",
                     min_coverage=0)  # fmt: skip
        weights = overlaps(source, goal)
        area = weights.target_area
        after = np.nansum(out.values * out.v_valid_fraction.values * area, axis=(1, 2))
        before = np.nansum(values * weights.source_area, axis=(1, 2))
        assert_allclose(after, before, rtol=1e-12)
        # The integral over half the globe is not kept: the field slopes within its cells.
        plain = regrid(on(source, values), goal, source=source, min_coverage=0)
        assert_array_equal(np.isnan(plain), np.isnan(out))
        assert not np.allclose(plain, out, equal_nan=True)


grids = st.one_of(rectilinear_grids(whole_globe=True), rotated_grids())


@given(
    grids,
    st.one_of(rectilinear_grids(), rotated_grids()),
    st.integers(0, 99),
    st.sampled_from(("parallels", "great_circles")),
)
@settings(max_examples=30, deadline=None)
def test_constants_stay_and_moments_add_up(
    source: Grid, target: Grid, seed: int, edges: EdgeKind
) -> None:
    if source.is_rectilinear != target.is_rectilinear:
        edges = "great_circles"
    try:
        weights = overlaps(source, target, edges)
    except NarcfError as error:  # a few cells around the globe have no great circles as edges
        assume("half a sphere" not in str(error))
        raise
    if weights.matrix().sum(axis=1).max() < 1e-6:
        return
    values = np.full(source.shape, 7.25)
    values[np.random.default_rng(seed).random(source.shape) < 0.2] = np.nan
    out = regrid(on(source, values), target, source=source, method="conservative2", min_coverage=0,
                 edges=edges)  # fmt: skip
    assert np.nanmax(np.abs(out.values - 7.25), initial=0) < 1e-11
    if source.is_rectilinear or target.is_rectilinear:
        return
    found = Gradients(weights)._places[1]
    inside = np.zeros((*source.shape, 3)).reshape(-1, 3)
    area = np.repeat(weights.target_area.ravel(), np.diff(weights.matrix().indptr))
    np.add.at(inside, weights.matrix().indices, found * area[:, None])
    covered = weights.matrix().T @ weights.target_area.ravel() / weights.source_area.ravel()
    whole = covered > 1 - 1e-10
    scale = weights.source_area.max()
    assert np.abs(inside[whole]).max(initial=0) < 1e-10 * scale


def test_wide_cells_between_grids_of_two_kinds_are_refused() -> None:
    lat = xr.DataArray(turned(COARSE).centers()[1], dims=("y", "x"), name="v", attrs={"units": "K"})
    options: dict[str, Any] = {"source": turned(COARSE), "method": "conservative2"}
    wide, narrow = Grid.regular(0, 40, 30, 50, (30, 10)), Grid.regular(0, 40, 30, 50, (2, 2))
    with pytest.raises(UsageError, match=r"30 degrees wide .* edges='great_circles'"):
        regrid(lat, wide, **options)
    with pytest.raises(UsageError, match="360 degrees wide"):
        regrid(lat, Grid.regular(0, 40, 360, 50, (360, 10)), **options)
    exact = float(regrid(lat, wide, source=turned(COARSE)).values[0, 0])
    inside = float(np.average(regrid(lat, narrow, **options), weights=narrow.area))
    assert abs(inside - exact) < 0.02
    # Between great circles a cell of 30 degrees lies two thirds of a degree further north.
    asked = float(regrid(lat, wide, **options, edges="great_circles").values[0, 0])
    assert 0.6 < asked - exact < 0.7


def test_great_circles_between_rectilinear_grids_on_request() -> None:
    values = np.repeat(COARSE.lat[:, None], COARSE.shape[1], axis=1)
    box = Grid.regular(0, 40, 30, 50, (30, 10))
    found = {
        (method, edges): float(regrid(on(COARSE, values), box, source=COARSE, method=method,
                                      edges=edges).values[0, 0])
        for method in ("conservative", "conservative2")
        for edges in ("parallels", "great_circles")
    }  # fmt: skip
    for edges in ("parallels", "great_circles"):
        assert abs(found["conservative2", edges] - found["conservative", edges]) < 0.05
    assert 0.6 < found["conservative2", "great_circles"] - found["conservative2", "parallels"] < 0.7


@pytest.mark.parametrize("source", [COARSE, turned(COARSE)])
@pytest.mark.parametrize("chunks", [(1, 72, 144), (2, 7, 50), (2, 30, 11)])
@pytest.mark.parametrize("limit", [2**20, 2000])
def test_blocks_give_the_same(
    source: Grid, chunks: tuple, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bands, "BAND_CELLS", limit)
    rng = np.random.default_rng(0)
    values = rng.normal(5, 3, (2, *source.shape))
    values[1][rng.random(source.shape) < 0.3] = np.nan
    target = Grid.regular(-180, -90, 180, 90, 5)
    field = on(source, values)
    options: dict[str, Any] = {"source": source, "method": "conservative2"}
    eager = regrid(field, target, **options)
    lazy = regrid(field.chunk(dict(zip(field.dims, chunks, strict=True))), target, **options)
    assert_array_equal(lazy.values, eager.values)
    monkeypatch.setattr(bands, "BAND_CELLS", 2**30)
    assert_array_equal(regrid(field, target, **options).values, eager.values)


def test_an_isolated_cell_is_flat_and_a_row_slopes_along_itself() -> None:
    source = Grid.regular(0, 0, 6, 6, 1)
    values = np.full(source.shape, np.nan)
    values[1, 1] = 4.0
    values[4, :] = np.arange(6.0)
    out = regrid(on(source, values), Grid.regular(0, 0, 6, 6, 0.5), source=source,
                 method="conservative2")  # fmt: skip
    assert_array_equal(out.values[2:4, 2:4], 4.0)
    assert_allclose(out.values[8], np.repeat(np.arange(6.0), 2) + [-0.25, 0.25] * 6, atol=2e-3)
    assert_allclose(out.values[8], out.values[9], atol=2e-3)
    flat = regrid(on(source, values), Grid.regular(0, 0, 6, 6, 0.5), source=source)
    assert_array_equal(np.isnan(flat), np.isnan(out))


def test_the_seam_and_the_poles_slope_as_the_rest() -> None:
    values = means(COARSE)
    out = regrid(on(COARSE, values), TARGET, source=COARSE, method="conservative2").values
    off = np.abs(out - means(TARGET))
    rest = off[90:270, 90:630].max()
    assert off[:, [0, -1]].max() < 2 * rest
    assert off[[0, -1]].max() < 4 * rest
    rolled = Grid.regular(-180 + 37.5, -90, 180 + 37.5, 90, 2.5)
    around = np.roll(values, -15, axis=1)
    again = regrid(on(rolled, around), TARGET, source=rolled, method="conservative2").values
    assert_allclose(again, out, rtol=1e-12)


def test_slopes_of_a_plane_are_exact() -> None:
    grid = Grid.regular(-180, -90, 180, 90, 10)
    numbers = np.arange(grid.shape[0] * grid.shape[1])
    centroid = _centroids(grid, slice(None), slice(None))
    around = neighbours(grid, numbers)
    wanted = np.array([0.3, -0.5, 0.7])
    found = np.empty((numbers.size, 3))
    slopes(centroid @ wanted, around, centroid, found)
    normal = centroid / np.linalg.norm(centroid, axis=1, keepdims=True)
    tangential = wanted - normal * (normal @ wanted)[:, None]
    # Neighbours lie below the plane by the bulge of the sphere.
    assert np.abs(found - tangential).max() < 0.02
    assert np.abs((found * normal).sum(axis=1)).max() < 1e-12


def test_totals_classes_and_weight_files_are_refused(tmp_path: Any) -> None:
    field = on(COARSE, means(COARSE))
    with pytest.raises(UsageError, match="does not keep totals"):
        regrid(field, TARGET, source=COARSE, method="conservative2", quantity="total")
    with pytest.raises(UsageError, match="does not keep the slopes"):
        regrid(field, TARGET, source=COARSE, method="conservative2", weights=tmp_path / "w.nc")
    with pytest.raises(UsageError, match="class numbers have no mean"):
        regrid(field, TARGET, source=COARSE, method="conservative2", categorical="v")


@pytest.mark.parametrize("rows", [slice(0, 3), slice(2, 5), slice(15, 18), slice(0, 18)])
@pytest.mark.parametrize("columns", [slice(0, 36), slice(0, 5), slice(30, 36)])
def test_neighbours_in_a_box(rows: slice, columns: slice) -> None:
    grid = Grid.regular(-180, -90, 180, 90, 10)
    numbers = np.add.outer(36 * np.arange(18)[rows], np.arange(36)[columns]).ravel()
    around = neighbours(grid, numbers)
    local = bands.box_neighbours(grid, (rows, columns))
    found = np.where(local < 0, -1, numbers[local])
    assert_array_equal(found, np.where(np.isin(around, numbers), around, -1))
