"""Fields of meshes, swaths and ocean grids on a grid: conservation, constants, brute force."""

from __future__ import annotations

import pickle
from pathlib import Path

import dask.array as da
import geopandas as gpd
import numpy as np
import pytest
import shapely
import xarray as xr
from meshes import (
    R2,
    common_area,
    fibonacci,
    four,
    lonlat_of,
    ocean,
    padded,
    rings_of,
    swath,
    triangles,
    tripolar,
    voronoi,
    xyz_of,
)

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid import Grid, Mesh, cells_of
from narcf_geo.kernels.conservative import conservative_weights
from narcf_geo.kernels.doubled import doubled
from narcf_geo.kernels.overlap import polygons_of
from narcf_geo.regridding import compute_weights, regrid, regrid_file


def skewed_globe(step: float = 15.0) -> Grid:
    """A global grid of great circles with its poles turned away."""
    lon, lat = np.meshgrid(np.arange(-180, 180 + step / 2, step), np.arange(-90, 90.1, step))
    p = xyz_of(lon, lat)
    a = np.radians(37.0)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    return Grid.from_corners(*lonlat_of(p @ turn.T))


TARGET = skewed_globe()


def field_on(mesh: Mesh) -> np.ndarray:
    """Values that differ from cell to cell and from place to place."""
    return (
        3
        + np.sin(np.radians(mesh.lon * 2)) * np.cos(np.radians(mesh.lat))
        + np.arange(mesh.lon.size).reshape(mesh.shape) % 5
    )


def icon() -> xr.Dataset:
    lon_v, lat_v, corners = triangles(900)
    p = xyz_of(lon_v, lat_v)[corners].sum(1)
    lon, lat = (np.radians(v) for v in lonlat_of(p))
    lat_attrs = {"units": "radian", "standard_name": "latitude", "bounds": "clat_vertices"}
    lon_attrs = {"units": "radian", "standard_name": "longitude", "bounds": "clon_vertices"}
    return xr.Dataset(
        coords={
            "clat": ("ncells", lat, lat_attrs),
            "clon": ("ncells", lon, lon_attrs),
            "clat_vertices": (("ncells", "nv"), np.radians(lat_v[corners])),
            "clon_vertices": (("ncells", "nv"), np.radians(lon_v[corners])),
        }
    )


def ugrid() -> xr.Dataset:
    lon_v, lat_v, regions, _ = voronoi(700)
    faces = padded(regions, -999, start=1).T
    return xr.Dataset(
        {
            "mesh": (
                (),
                0,
                {
                    "cf_role": "mesh_topology",
                    "topology_dimension": 2,
                    "node_coordinates": "node_x node_y",
                    "face_node_connectivity": "face_nodes",
                    "face_dimension": "face",
                },
            ),
            "face_nodes": (("corner", "face"), faces, {"start_index": 1, "_FillValue": -999}),
            "node_x": ("node", lon_v, {"standard_name": "longitude", "units": "degrees_east"}),
            "node_y": ("node", lat_v, {"standard_name": "latitude", "units": "degrees_north"}),
        }
    )


def healpix() -> xr.Dataset:
    about = {"grid_mapping_name": "healpix", "healpix_nside": 64, "healpix_order": "nest"}
    ds = xr.Dataset({"crs": ((), 0, about)})
    return (
        ds.expand_dims({"cell": 12 * 64**2})
        .isel(cell=0)
        .assign_coords(lev=("cell", np.zeros(12 * 64**2)))
    )


def with_values(ds: xr.Dataset) -> tuple[xr.Dataset, Mesh]:
    probe = ds.assign(v=(_cell_dim(ds), np.zeros(ds.sizes[_cell_dim(ds)])))
    mesh = cells_of(probe)
    assert isinstance(mesh, Mesh)
    attrs = {"mesh": "mesh", "location": "face"} if "mesh" in ds else {}
    return ds.assign(v=(mesh.dims, field_on(mesh), attrs)), mesh


def _cell_dim(ds: xr.Dataset) -> str:
    return next(d for d in ("ncells", "face", "cell") if d in ds.sizes)


@pytest.mark.parametrize("make", [healpix, icon, ugrid])
def test_global_meshes_conserve_keep_constants_and_agree_with_brute_force(make) -> None:  # type: ignore[no-untyped-def]
    ds, mesh = with_values(make())
    assert mesh.area.sum() == pytest.approx(4 * np.pi * R2, rel=1e-12)
    out = regrid(ds, TARGET, min_coverage=0)
    area = polygons_area(TARGET)
    whole = (out.v.values * out.v_valid_fraction.values * area).sum()
    assert whole == pytest.approx((ds.v.values * mesh.area).sum(), rel=1e-10)
    constant = regrid(ds.assign(v=ds.v * 0 + 7.25), TARGET)
    assert np.abs(constant.v.values - 7.25).max() < 1e-12 * 7.25
    assert np.abs(constant.v_valid_fraction.values - 1).max() < 1e-10
    rings, targets = rings_of(mesh), rings_of(Mesh.from_grid(TARGET))
    value = ds.v.values.ravel()
    sampled = np.random.default_rng(1).choice(len(targets), 6, replace=False)
    off = shifted = 0.0
    for t in sampled:
        near = [s for s, ring in enumerate(rings) if (ring[0] @ targets[t].mean(0)) > 0.8]
        shared = np.array([common_area(rings[s], targets[t]) for s in near])
        expected = (shared * value[near]).sum() / shared.sum()
        found = out.v.values.ravel()
        off = max(off, abs(found[t] - expected))
        shifted = max(shifted, abs(found[(t + 1) % found.size] - expected))
    assert off < 1e-8
    assert shifted > 1e-3


def polygons_area(cells: Grid | Mesh) -> np.ndarray:
    from narcf_geo.kernels.overlap import areas

    return areas(polygons_of(cells)).reshape(cells.shape) * R2


def test_an_ocean_grid_with_fold_and_halo_gives_what_it_gives_without() -> None:
    with_halo, single = ocean()
    without, _ = ocean(halo=False)
    value = with_halo.v.values[single]
    np.testing.assert_array_equal(value, without.v.values.ravel())
    mesh = Mesh.from_dataset(without)
    total = (without.v.values * mesh.area).sum()
    for quantity, expected in (("mean", total), ("total", without.v.values.sum())):
        found, twin = (
            regrid(ds, TARGET, min_coverage=0, quantity=quantity)  # type: ignore[arg-type]
            for ds in (with_halo, without)
        )
        weight = found.v_valid_fraction.values * polygons_area(TARGET) if quantity == "mean" else 1
        assert np.nansum(found.v.values * weight) == pytest.approx(expected, rel=1e-10)
        np.testing.assert_allclose(found.v, twin.v, rtol=1e-10)
        np.testing.assert_allclose(found.v_valid_fraction, twin.v_valid_fraction, atol=1e-10)
    constant = regrid(with_halo.assign(v=with_halo.v * 0 - 3.5), TARGET, min_coverage=0).v.values
    assert np.nanmax(np.abs(constant + 3.5)) < 1e-12 * 3.5
    # The control: with the copies the integral is too large.
    cells = cells_of(with_halo)
    matrix = conservative_weights(cells, TARGET)
    doubled_sum = (matrix @ with_halo.v.values.ravel() * polygons_area(TARGET).ravel()).sum()
    assert doubled_sum > 1.02 * total


def test_copies_are_found_and_nothing_else() -> None:
    ds, single = ocean()
    cells = cells_of(ds)
    found = doubled(polygons_of(cells))
    copies = np.zeros(single.size, bool)
    copies[found.copies] = True
    assert copies.sum() == (~single).sum()
    # Which of two is the copy is a matter of order: values are the same.
    np.testing.assert_array_equal(
        ds.v.values.ravel()[found.copies], ds.v.values.ravel()[found.originals]
    )
    assert not found.partly.size
    twin, _ = ocean(halo=False)
    assert not doubled(polygons_of(cells_of(twin))).copies.size


@pytest.mark.parametrize("lazy", [False, True])
def test_the_copy_that_holds_a_value_stands_for_both(lazy: bool) -> None:
    """Halos are masked in some files, and the western one comes first."""
    ds, single = ocean()
    masked = ds.assign(v=ds.v.where(single).expand_dims(time=2))
    if lazy:
        masked = masked.chunk(time=1, j=5, i=7)
    found, expected = (regrid(d, TARGET, min_coverage=0) for d in (masked, ds))
    np.testing.assert_allclose(found.v.values[1], expected.v.values, rtol=1e-12)
    np.testing.assert_allclose(found.v_valid_fraction[1], expected.v_valid_fraction, atol=1e-12)
    # The control: a cell that is missing in both copies is missing.
    gone = ds.v.isin(ds.v.values[-2, 5:8])
    less = regrid(ds.assign(v=ds.v.where(~gone)), TARGET, min_coverage=0)
    assert float((less.v_valid_fraction - expected.v_valid_fraction).min()) < -1e-3


def test_masked_zero_corners_take_no_part() -> None:
    ds, _ = ocean(halo=False)
    holed = ds.copy(deep=True)
    for name in ("vertices_longitude", "vertices_latitude"):
        holed[name].values[3:6, 10:15] = 0.0
        # Half written: only two corners of these are there.
        holed[name].values[8, 20:23, 2:] = 0.0
    mesh = cells_of(holed)
    assert isinstance(mesh, Mesh)
    gone = np.zeros(mesh.shape, bool)
    gone[3:6, 10:15] = gone[8, 20:23] = True
    np.testing.assert_array_equal(mesh.area == 0, gone)
    missing = ds.assign(v=ds.v.where(~gone))
    found, expected = (regrid(d, TARGET, min_coverage=0) for d in (holed, missing))
    np.testing.assert_allclose(found.v, expected.v, rtol=1e-12)


def test_footprints_over_the_dateline() -> None:
    ds = swath()
    mesh = cells_of(ds)
    assert isinstance(mesh, Mesh)
    assert mesh.shape == (30, 20)
    assert mesh.dims == ("scanline", "ground_pixel")
    target = Grid.from_corners(*np.meshgrid(np.arange(160.0, 206, 3), np.arange(12.0, 54, 3)))
    out = regrid(ds, target, min_coverage=0)
    assert out.xco.dims == ("time", "y", "x")
    area = polygons_area(target)
    found = np.nansum(out.xco.values[0] * out.xco_valid_fraction.values[0] * area)
    assert found == pytest.approx((ds.xco.values[0] * mesh.area).sum(), rel=1e-10)
    constant = regrid(ds.assign(xco=ds.xco * 0 + 4.0), target, min_coverage=0)
    assert np.nanmax(np.abs(constant.xco.values - 4)) < 4e-12
    # Gaps are gaps.
    covered = float((out.xco_valid_fraction.values[0] * area).sum() / mesh.area.sum())
    assert covered == pytest.approx(1, rel=1e-10)
    assert out.xco_valid_fraction.values.max() < 0.95
    rings, targets = rings_of(mesh), rings_of(Mesh.from_grid(target))
    inner = int(np.argmax(out.xco_valid_fraction.values[0]))
    shared = np.array([common_area(ring, targets[inner]) for ring in rings])
    expected = (shared * ds.xco.values[0].ravel()).sum() / shared.sum()
    assert out.xco.values[0].ravel()[inner] == pytest.approx(expected, rel=1e-9)
    assert out.xco.values[0].ravel()[inner + 1] != pytest.approx(expected, rel=1e-3)


def test_overlapping_footprints_are_a_mean_and_refused_for_totals() -> None:
    ds = swath()
    bounds = ds["latitude_bounds"]
    ds["latitude_bounds"] = bounds + 0.15 * (bounds - bounds.mean("corner"))
    target = Grid.regular(168, 20, 198, 40, 5)
    constant = regrid(ds.assign(xco=ds.xco * 0 + 4.0), target, min_coverage=0)
    assert np.nanmax(np.abs(constant.xco.values - 4)) < 4e-12
    assert constant.xco_valid_fraction.values.max() <= 1
    with pytest.raises(NarcfError, match="do not overlap for totals"):
        regrid(ds, target, quantity="total")


def test_lazy_and_eager_are_the_same_and_stay_lazy() -> None:
    ds, mesh = with_values(ugrid())
    both = xr.concat([ds.v, ds.v * 2], "time").rename("v")
    ds = ds.assign(v=both)
    lazy = ds.assign(v=ds.v.chunk(time=1, face=200))
    out, eager = regrid(lazy, TARGET), regrid(ds, TARGET)
    assert isinstance(out.v.data, da.Array)
    np.testing.assert_allclose(out.v.values, eager.v.values, rtol=1e-12)
    cells = regrid(eager, mesh)
    assert cells.v.dims == ("time", "face")
    assert cells.v.notnull().all()
    stacked = regrid(lazy, mesh.where(np.arange(700) % 2))
    assert int(stacked.v.isnull().sum()) == 700


def test_from_a_grid_to_polygons_of_a_table() -> None:
    grid = Grid.regular(-180, -90, 180, 90, 2)
    value = np.add.outer(grid.lat, 0.1 * grid.lon)
    ds = xr.Dataset({"v": (grid.dims, value)}, grid.coords())
    holed = shapely.box(10, 10, 30, 30).difference(shapely.box(14, 16, 20, 22))
    island = shapely.MultiPolygon([shapely.box(170, -10, 190, 10), shapely.box(-170, 40, -160, 44)])
    cap = shapely.box(-180, 70, 180, 90)
    table = gpd.GeoDataFrame(geometry=[holed, island, cap], crs=4326, index=["a", "b", "c"])
    out = regrid(ds, table)
    assert out.v.dims == ("cell",)
    assert out.cell.values.tolist() == ["a", "b", "c"]
    rows = np.diff(np.sin(np.radians(grid.lat_b)))

    def mean(boxes: list[tuple[float, float, float, float, int]]) -> float:
        """Even edges fall on cell edges: a sum over whole cells."""
        total = weight = 0.0
        for w, s, e, n, sign in boxes:
            j = (grid.lat > s) & (grid.lat < n)
            lon = np.where(grid.lon < w, grid.lon + 360, grid.lon)
            i = (lon > w) & (lon < e)
            part = np.outer(rows[j], np.ones(i.sum())) * sign
            total += (part * value[np.ix_(j, i)]).sum()
            weight += part.sum()
        return float(total / weight)

    expected = [
        mean([(10, 10, 30, 30, 1), (14, 16, 20, 22, -1)]),
        mean([(170, -10, 190, 10, 1), (190, 40, 200, 44, 1)]),
        mean([(-180, 70, 180, 90, 1)]),
    ]
    np.testing.assert_allclose(out.v.values, expected, atol=2e-3)
    wrong = mean([(10, 10, 30, 30, 1)])
    assert abs(out.v.values[0] - wrong) > 0.01


def test_weights_of_meshes_are_kept_in_files(tmp_path: Path) -> None:
    ds, mesh = with_values(ugrid())
    path = tmp_path / "w.nc"
    first = regrid(ds, TARGET, weights=path)
    again = regrid(ds, TARGET, weights=path)
    xr.testing.assert_identical(first, again)
    made = compute_weights(mesh, TARGET)
    np.testing.assert_array_equal(regrid(ds, TARGET, weights=made).v, first.v)
    with pytest.raises(NarcfError, match="differs"):
        regrid(ds, skewed_globe(30.0), weights=path)


def test_files_of_meshes(tmp_path: Path) -> None:
    ds, mesh = with_values(icon())
    ds["v"].encoding["coordinates"] = "clat clon"
    ds.to_netcdf(tmp_path / "icon.nc")
    rows = regrid_file(tmp_path / "icon.nc", tmp_path / "out.nc", grid=10, min_coverage=0)
    assert [r.variable for r in rows if r.fate == "regridded"] == ["v"]
    assert rows[0].coverage == pytest.approx(1, rel=1e-9)
    assert rows[0].integral_after == pytest.approx((ds.v.values * mesh.area).sum(), rel=1e-9)
    with xr.open_dataset(tmp_path / "out.nc") as out:
        assert out.v.shape == (18, 36)
    regrid_file(tmp_path / "out.nc", tmp_path / "back.nc", like=tmp_path / "icon.nc")
    with xr.open_dataset(tmp_path / "back.nc") as back:
        assert back.v.dims == ("ncells",)
        assert cells_of(back) == cells_of(xr.open_dataset(tmp_path / "back.nc"))


def test_masks_and_other_methods_of_meshes() -> None:
    ds, mesh = with_values(ugrid())
    north = mesh.lat > 0
    found = regrid(ds, TARGET, source_mask=xr.DataArray(north, dims="face"), min_coverage=0)
    expected = regrid(ds.assign(v=ds.v.where(north)), TARGET, min_coverage=0)
    np.testing.assert_array_equal(found.v, expected.v)
    back = regrid(found, mesh, target_mask=north, method="max")
    assert back.v.notnull().values[~north].sum() == 0
    with pytest.raises(UsageError, match=r"source_mask: expected one value.*\(699,\)"):
        regrid(ds, TARGET, source_mask=north[1:])
    nearest = regrid(ds, mesh, method="nearest_s2d")
    np.testing.assert_array_equal(nearest.v, ds.v)


def test_other_methods_are_refused_in_words() -> None:
    ds, _ = with_values(ugrid())
    with pytest.raises(UsageError, match="conservative"):
        regrid(ds, TARGET, method="bilinear")


def test_a_mesh_is_a_value() -> None:
    lon_v, lat_v, regions, _ = voronoi(60)
    table = padded(regions)
    corners, counts = table[table >= 0], (table >= 0).sum(1)
    mesh = Mesh(lon_v, lat_v, corners, counts)
    back = pickle.loads(pickle.dumps(mesh))
    assert back == mesh
    assert hash(back) == hash(mesh)
    # Other numbers of the same vertices.
    order = np.random.default_rng(0).permutation(lon_v.size)
    rank = np.argsort(order)
    assert Mesh(lon_v[order], lat_v[order], rank[corners], counts) == mesh
    moved = lat_v.copy()
    moved[3] += 1e-6
    assert Mesh(lon_v, moved, corners, counts) != mesh
    assert mesh.where(np.arange(60) > 0) != mesh
    with pytest.raises(ValueError, match="read-only"):
        mesh.lon_v[0] = 0
    shapes = mesh.cells()
    assert len(shapes) == 60
    assert shapes.is_valid.all()
    assert "<caption>narcf_geo.Mesh" in mesh._repr_html_()
    assert "60 cells" in repr(mesh)


def test_grids_and_their_meshes_have_the_same_weights() -> None:
    lon, lat = tripolar()
    source, target = Grid.from_corners(lon[:-3], lat[:-3]), TARGET
    expected = conservative_weights(source, target)
    for one, two in (
        (Mesh.from_grid(source), target),
        (source, Mesh.from_grid(target)),
        (Mesh.from_vertices(four(lon[:-3])[..., ::-1], four(lat[:-3])[..., ::-1]), target),
    ):
        found = conservative_weights(one, two)
        assert abs(found - expected).max() < 1e-14
    assert fibonacci(5).shape == (5, 3)
