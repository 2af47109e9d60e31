"""The stand-in for ESMPy: what xESMF does with it, and when it is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from shapely.geometry import Polygon, box

import narcf_geo.esmpy as stand_in
from narcf_geo.grid import Grid
from narcf_geo.kernels.conservative import conservative_weights

if not stand_in.register():
    pytest.skip("a real ESMPy is installed", allow_module_level=True)

xesmf = pytest.importorskip("xesmf")

pytestmark = pytest.mark.filterwarnings("ignore")

SOURCE = Grid.regular(-120, 20, -60, 62, 3)
TARGET = Grid.regular(-110, 25, -70, 60, (4, 5))


def dataset(grid: Grid) -> xr.Dataset:
    return xr.Dataset(
        coords={"lon": grid.lon, "lat": grid.lat, "lon_b": grid.lon_b, "lat_b": grid.lat_b}
    )


def matrix(regridder: xesmf.Regridder) -> np.ndarray:
    return regridder.weights.data.todense()


def _esmf(grid: Grid) -> stand_in.Grid:
    esmf = stand_in.Grid(np.array(grid.shape[::-1]), staggerloc=stand_in.StaggerLoc.CENTER)
    lon, lat = np.meshgrid(grid.lon, grid.lat)
    esmf.get_coords(0)[...] = lon.T
    esmf.get_coords(1)[...] = lat.T
    esmf.add_coords(stand_in.StaggerLoc.CORNER)
    for axis, corners in enumerate(grid.corners()):
        esmf.get_coords(axis, stand_in.StaggerLoc.CORNER)[...] = corners.T
    return esmf


@pytest.mark.parametrize("method", ["conservative", "conservative_normed"])
def test_xesmf_gets_the_kernels_weights(method: str) -> None:
    regridder = xesmf.Regridder(dataset(SOURCE), dataset(TARGET), method)
    ours = conservative_weights(SOURCE, TARGET, normalisation=method)
    assert_array_equal(matrix(regridder), ours.toarray())


def test_masks_reach_the_kernel_in_the_right_order() -> None:
    rng = np.random.default_rng(4)
    source, target = dataset(SOURCE), dataset(TARGET)
    source["mask"] = ("lat", "lon"), rng.integers(0, 2, SOURCE.shape)
    target["mask"] = ("lat", "lon"), rng.integers(0, 2, TARGET.shape)
    regridder = xesmf.Regridder(source, target, "conservative")
    ours = conservative_weights(
        SOURCE, TARGET, source_mask=source.mask, target_mask=target.mask
    ).toarray()
    assert_array_equal(np.nan_to_num(matrix(regridder)), ours)


@pytest.mark.parametrize("method", ["bilinear", "nearest_s2d", "conservative"])
def test_a_linear_field_comes_out_on_the_right_cells(method: str) -> None:
    source = dataset(SOURCE)
    field = source.lon + 10 * source.lat
    out = xesmf.Regridder(source, dataset(TARGET), method)(field.transpose("lat", "lon"))
    expected = TARGET.lon + 10 * TARGET.lat[:, None]
    assert_allclose(out, expected, atol=20 if method == "nearest_s2d" else 3)


def test_nearest_d2s_sums_what_arrives() -> None:
    regridder = xesmf.Regridder(dataset(SOURCE), dataset(TARGET), "nearest_d2s")
    assert_array_equal(matrix(regridder).sum(axis=0), 1)


def test_points_as_source_and_as_target() -> None:
    places = xr.Dataset({"lon": ("site", [-100.0, -75.3, -83.1]), "lat": ("site", [50.0, 31, 44])})
    source = dataset(SOURCE)
    field = (source.lon + 10 * source.lat).transpose("lat", "lon")
    to_points = xesmf.Regridder(source, places, "bilinear", locstream_out=True)
    assert_allclose(to_points(field), [400, 234.7, 356.9], atol=0.5)
    from_points = xesmf.Regridder(places, dataset(TARGET), "nearest_s2d", locstream_in=True)
    nearest = from_points(xr.DataArray([1.0, 2, 3], dims="site"))
    assert_array_equal(nearest.values[[-1, 0, 3], [0, -1, 6]], [1, 2, 3])


@pytest.mark.parametrize("how", ["nearest_s2d", "inverse_dist"])
def test_extrapolation_fills_what_is_unmapped(how: str) -> None:
    small = Grid.regular(-100, 30, -80, 50, 2)
    plain = matrix(xesmf.Regridder(dataset(small), dataset(TARGET), "bilinear"))
    filled = matrix(xesmf.Regridder(dataset(small), dataset(TARGET), "bilinear", extrap_method=how))
    mapped = plain.any(axis=1)
    assert 0 < mapped.sum() < mapped.size
    assert_array_equal(filled[mapped], plain[mapped])
    assert_allclose(filled.sum(axis=1), 1, atol=1e-12)
    per_row = (filled[~mapped] > 0).sum(axis=1)
    assert_array_equal(per_row, 1 if how == "nearest_s2d" else 8)


SHAPES = [
    box(-98, 2, -92, 8),
    Polygon([(-98, 2), (-92, 2), (-92, 8), (-95, 8), (-95, 5), (-98, 5)]),
    box(-98, 2, -92, 8).difference(box(-95, 4, -93, 6)),
]
EAST_OF_95_W = [18 / 36, 18 / 27, 14 / 32]


def test_polygons_of_any_shape_and_direction() -> None:
    fine = Grid.regular(-100, 0, -90, 10, 0.25)
    rings = [shape.exterior.coords[:-1] for shape in SHAPES[:2]]
    corners = np.array([*rings[0], *rings[1][::-1]])
    mesh = stand_in.Mesh(2, 2, coord_sys=stand_in.CoordSys.SPH_DEG)
    mesh.add_nodes(10, np.arange(10), corners.ravel(), np.zeros(10))
    mesh.add_elements(2, [1, 2], [4, 6], np.arange(10))
    source = stand_in.Field(_esmf(fine))
    source.data[...] = fine.lon[:, None] > -95
    target = stand_in.Field(mesh, meshloc=stand_in.MeshLoc.ELEMENT)
    regrid = stand_in.Regrid(source, target, regrid_method=stand_in.RegridMethod.CONSERVE)
    assert_allclose(regrid(source, target).data, EAST_OF_95_W[:2], atol=2e-3)


@pytest.mark.slow
def test_spatial_averager_with_holes() -> None:
    fine = Grid.regular(-100, 0, -90, 10, 0.25)
    east = np.broadcast_to(fine.lon > -95, fine.shape).astype(float)
    out = xesmf.SpatialAverager(dataset(fine), SHAPES)(xr.DataArray(east, dims=("lat", "lon")))
    assert_allclose(out, EAST_OF_95_W, atol=2e-3)


def test_crossing_polygons_are_refused() -> None:
    mesh = stand_in.Mesh(2, 2)
    mesh.add_nodes(4, np.arange(4), [0, 0, 10, 10, 10, 0, 0, 10], np.zeros(4))
    with pytest.raises(ValueError, match=r"polygon 0 \(4 corners\).*make_valid"):
        mesh.add_elements(1, [1], [4], np.arange(4))


def test_cell_area_is_that_of_the_sphere() -> None:
    area = xesmf.util.cell_area(dataset(Grid.regular(-180, -90, 180, 90, 10)))
    assert float(area.sum()) == pytest.approx(4 * np.pi, rel=1e-12)


def test_a_weight_file_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "weights.nc"
    first = xesmf.Regridder(dataset(SOURCE), dataset(TARGET), "conservative", filename=str(path))
    again = xesmf.Regridder(dataset(SOURCE), dataset(TARGET), "conservative", weights=str(path))
    assert_array_equal(matrix(first), matrix(again))


def test_degenerate_cells_are_refused_unless_ignored() -> None:
    source = dataset(SOURCE)
    edges = SOURCE.lon_b.copy()
    edges[4] = edges[3]
    source = source.assign_coords(lon_b=edges)
    with pytest.raises(ValueError, match="ignore_degenerate"):
        xesmf.Regridder(source, dataset(TARGET), "conservative")
    regridder = xesmf.Regridder(source, dataset(TARGET), "conservative", ignore_degenerate=True)
    assert not matrix(regridder)[:, 3 :: SOURCE.shape[1]].any()


def test_what_is_missing_names_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"PATCH.*conda-forge"):
        xesmf.Regridder(dataset(SOURCE), dataset(TARGET), "patch")
    with pytest.raises(ValueError, match=r"CART.*conda-forge"):
        stand_in.Grid(np.array([3, 4]), coord_sys=stand_in.CoordSys.CART)
    with pytest.raises(AttributeError, match=r"CubedSphere.*conda-forge"):
        stand_in.CubedSphere  # noqa: B018
    source, target = (stand_in.Field(_esmf(grid)) for grid in (SOURCE, TARGET))
    with pytest.raises(ValueError, match=r"vector_regrid needs.*\(east, north\)"):
        stand_in.Regrid(source, target, vector_regrid=True)
    with pytest.raises(ValueError, match=r"rh_filename.*conda-forge"):
        stand_in.Regrid(source, target, rh_filename="handle")


def test_vectors_are_regridded_as_vectors_in_space() -> None:
    source, target = (
        stand_in.Field(_esmf(grid), ndbounds=[2])
        for grid in (Grid.regular(0, 70, 60, 88, (10, 1)), Grid.regular(10, 75, 50, 85, (8, 5)))
    )
    # A flow along the x axis of space, whose components turn with longitude.
    lon, lat = (np.deg2rad(c) for c in source.grid.get_coords())
    source.data[...] = np.stack([-np.sin(lon), -np.sin(lat) * np.cos(lon)], axis=-1)
    lon, lat = (np.deg2rad(c) for c in target.grid.get_coords())
    truth = np.stack([-np.sin(lon), -np.sin(lat) * np.cos(lon)], axis=-1)
    errors = []
    for vector in (True, False):
        regrid = stand_in.Regrid(source, target, vector_regrid=vector)
        errors.append(np.abs(regrid(source, target).data - truth).max())
    assert errors[0] < errors[1] / 5 < 1e-3


def test_unmapped_points_are_an_error_by_default() -> None:
    source, target = (stand_in.Field(_esmf(grid)) for grid in (TARGET, SOURCE))
    with pytest.raises(ValueError, match=r"of 280 destination points.*IGNORE"):
        stand_in.Regrid(source, target)


def run(code: str, **environment: str) -> str:
    """Run Python in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("first", ["xesmf", "narcf_geo.regridding"])
def test_xesmf_can_be_imported_whatever_comes_first(first: str) -> None:
    out = run(
        f"import {first}, xesmf, narcf_geo.regridding, esmpy\n"
        "print(xesmf.backend.ESMF.Grid is esmpy.Grid, esmpy.__name__)"
    )
    assert out == "True narcf_geo.esmpy"


def test_a_process_that_only_unpickles_a_regridder_can_use_it() -> None:
    import cloudpickle

    source, target = dataset(SOURCE), dataset(TARGET)
    task = cloudpickle.dumps((xesmf.Regridder, source, target))
    out = run(
        f"import pickle\nmake, source, target = pickle.loads({task!r})\n"
        "print(make(source, target, 'conservative').weights.data.nnz)"
    )
    assert int(out) == conservative_weights(SOURCE, TARGET).nnz


def test_an_installed_esmpy_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "esmpy.py").write_text("real = True\n")
    code = (
        "import narcf_geo.regridding\nfrom narcf_geo.esmpy import register\n"
        "import esmpy\nprint(esmpy.real, register(), register(replace=True))\n"
        "import esmpy\nprint(esmpy.__name__)"
    )
    out = run(code, PYTHONPATH=str(tmp_path))
    assert out.split() == ["True", "False", "True", "narcf_geo.esmpy"]
    assert run("import ESMF\nprint(ESMF.real)", PYTHONPATH=str(tmp_path)) == "True"


def test_an_esmpy_that_cannot_be_imported_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "esmpy.py").write_text("raise ImportError('ESMFMKFILE is not set')\n")
    code = "import xesmf\nprint(xesmf.backend.ESMF.RegridMethod.__module__)"
    assert run(code, PYTHONPATH=str(tmp_path)) == "narcf_geo.esmpy.constants"


def test_importing_the_stand_in_compiles_nothing() -> None:
    assert run("import sys, narcf_geo.esmpy\nprint('numba' in sys.modules)") == "False"
