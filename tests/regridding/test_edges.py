"""Parallels or great circles as edges: which is where, and that the two never mix."""

from __future__ import annotations

from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid import Grid
from narcf_geo.grid.sphere import great_circle_area
from narcf_geo.regridding import (
    SeparableWeights,
    SparseWeights,
    compute_weights,
    conservative_weights,
    load_weights,
    regrid,
    regrid_file,
    save_weights,
    stored_weights,
)

GLOBE = Grid.from_corners(*np.meshgrid(np.linspace(-180, 180, 121), np.linspace(-90, 90, 91)))
WIDE = Grid.from_corners([-60.0, 0.0, 60.0], [30.0, 40.0, 50.0, 70.0])
FINE = Grid.regular(-60, 30, 60, 70, 2)


def latitudes(grid: Grid) -> xr.DataArray:
    return xr.DataArray(grid.centers()[1], dims=grid.dims, name="latitude")


def band_mean(south: float, north: float) -> float:
    s, n = np.radians([south, north])
    integral = n * np.sin(n) + np.cos(n) - s * np.sin(s) - np.cos(s)
    return float(np.degrees(integral / (np.sin(n) - np.sin(s))))


@pytest.mark.parametrize("source", [GLOBE, FINE], ids=["curvilinear", "rectilinear"])
def test_the_mean_of_a_wide_cell_is_that_between_its_parallels(source: Grid) -> None:
    expected = [[band_mean(*row)] * 2 for row in ((30, 40), (40, 50), (50, 70))]
    out = regrid(latitudes(source), WIDE, source=source)
    np.testing.assert_allclose(out.values, expected, atol=0.05)
    circles = regrid(latitudes(source), WIDE, source=source, edges="great_circles")
    assert np.abs(circles.values - expected).min() > 1


@pytest.mark.parametrize("edges", ["parallels", "great_circles"])
@pytest.mark.parametrize(
    ("source", "target"), [(GLOBE, WIDE), (WIDE, GLOBE), (FINE, WIDE), (GLOBE, GLOBE)]
)
def test_areas_are_those_of_the_edges(source: Grid, target: Grid, edges: str) -> None:
    """What the weights take from the source is what it holds within the target."""
    weights = compute_weights(source, target, edges=edges)  # type: ignore[arg-type]
    inside = (weights.matrix().T @ weights.target_area.ravel()).reshape(source.shape)
    assert inside.max() > 0
    assert (inside / weights.source_area).max() == pytest.approx(1, abs=1e-11)
    for grid, area in ((source, weights.source_area), (target, weights.target_area)):
        chords = great_circle_area(*grid.corners())
        expected = grid.area if edges == "parallels" and grid.is_rectilinear else chords
        np.testing.assert_allclose(area, expected, rtol=1e-13)


def test_totals_are_kept_with_either_edges() -> None:
    people = xr.DataArray(np.random.default_rng(3).random(FINE.shape), dims=FINE.dims, name="p")
    around = Grid.from_corners(*np.meshgrid([-70.0, -20, 10, 70], [20.0, 50, 80]))
    for edges in ("parallels", "great_circles"):
        out = regrid(people, around, source=FINE, quantity="total", min_coverage=0, edges=edges)
        assert float(out.sum()) == pytest.approx(float(people.sum()), rel=1e-12)


def test_great_circles_between_rectilinear_grids_are_those_of_esmf() -> None:
    assert isinstance(compute_weights(FINE, WIDE), SeparableWeights)
    circles = compute_weights(FINE, WIDE, edges="great_circles")
    assert isinstance(circles, SparseWeights)
    assert abs(circles.csr - conservative_weights(FINE, WIDE)).max() == 0
    parallels = conservative_weights(FINE, WIDE, edges="parallels")
    assert abs(parallels - compute_weights(FINE, WIDE).matrix()).max() < 1e-14
    assert abs(parallels - circles.csr).max() > 1e-3


def test_lazy_results_of_both_edges_stand_side_by_side() -> None:
    field = latitudes(GLOBE).chunk(30)
    lazy = [regrid(field, WIDE, source=GLOBE, edges=e) for e in ("parallels", "great_circles")]
    parallels, circles = dask.compute(*lazy)
    assert np.abs(parallels.values - circles.values).min() > 1


def test_a_weight_file_tells_its_edges(tmp_path: Path) -> None:
    path = save_weights(compute_weights(GLOBE, WIDE), tmp_path / "w.nc")
    with xr.open_dataset(path) as ds:
        assert ds.attrs["narcf_edges"] == "parallels"
        np.testing.assert_allclose(ds.dst_grid_area.sum(), (WIDE.area / 6371007.2**2).sum())
    assert load_weights(path, GLOBE, WIDE).edges == "parallels"
    with pytest.raises(NarcfError, match=r"with great_circles from.*with parallels from"):
        load_weights(path, GLOBE, WIDE, edges="great_circles")
    for edges in ("parallels", "great_circles", "parallels"):
        for source, target in ((GLOBE, WIDE), (GLOBE, GLOBE), (FINE, WIDE)):
            (tmp_path / "folder").mkdir(exist_ok=True)
            kept = stored_weights(tmp_path / "folder", source, target, edges=edges)
            fresh = compute_weights(source, target, edges=edges)
            assert kept.edges == fresh.edges
            assert abs(kept.matrix() - fresh.matrix()).max() == 0
    # Edges make no difference to two curvilinear grids; one pair of rectilinear grids has no file.
    assert len(list((tmp_path / "folder").iterdir())) == 4


def test_files_and_the_command_line(tmp_path: Path) -> None:
    from narcf_geo.cli.app import app

    ds = latitudes(GLOBE).to_dataset().assign_coords(GLOBE.coords())
    ds.latitude.attrs["units"] = "degree"
    ds.to_netcdf(tmp_path / "in.nc")
    xr.Dataset({"v": (WIDE.dims, np.zeros(WIDE.shape))}, WIDE.coords()).to_netcdf(
        tmp_path / "like.nc"
    )
    summary = regrid_file(tmp_path / "in.nc", tmp_path / "parallels.nc", like=tmp_path / "like.nc")
    assert summary[0].coverage == pytest.approx(1)
    assert summary[0].integral_after == pytest.approx(summary[0].integral_before, rel=1e-6)
    arguments = ["regrid", "in.nc", "circles.nc", "--like", "like.nc", "--edges", "great_circles"]
    arguments = [str(tmp_path / a) if a.endswith(".nc") else a for a in arguments]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    for name, off in (("parallels", 0.05), ("circles", 9)):
        with xr.open_dataset(tmp_path / f"{name}.nc") as out:
            error = float(out.latitude[1, 0]) - band_mean(40, 50)
            assert abs(error) < off
            assert (abs(error) > 1) == (name == "circles")
    assert "great circles" in xr.open_dataset(tmp_path / "circles.nc").attrs["history"]


def test_other_names_are_refused() -> None:
    with pytest.raises(UsageError, match="'parallels' or 'great_circles', found 'circles'"):
        regrid(latitudes(FINE), WIDE, source=FINE, edges="circles")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="found 'circles'"):
        compute_weights(FINE, WIDE, edges="circles")  # type: ignore[arg-type]
