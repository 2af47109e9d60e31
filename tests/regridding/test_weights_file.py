"""Weight files: read by other programs, refused when they belong to something else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid import Grid
from narcf_geo.regridding import (
    compute_weights,
    load_weights,
    regrid,
    save_weights,
    stored_weights,
    weights_file,
)
from narcf_geo.regridding.exchange import xesmf_grid

LON, LAT = np.meshgrid(np.linspace(-30, 20, 12), np.linspace(30, 60, 9))
SOURCE = Grid.from_corners(LON + 0.2 * LAT, LAT + 0.1 * LON)
TARGET = Grid.regular(-20, 32, 30, 62, (2.5, 2))


def field() -> xr.DataArray:
    values = np.random.default_rng(3).random((2, *SOURCE.shape))
    return xr.DataArray(values, dims=("time", *SOURCE.dims), name="f")


def test_round_trip(tmp_path: Path) -> None:
    path = save_weights(compute_weights(SOURCE, TARGET), tmp_path / "w.nc")
    loaded = load_weights(path, SOURCE, TARGET)
    difference = loaded.matrix() - compute_weights(SOURCE, TARGET).matrix()
    assert abs(difference).max() == 0
    out = regrid(field(), TARGET, source=SOURCE, weights=path)
    xr.testing.assert_identical(out, regrid(field(), TARGET, source=SOURCE))


def test_xesmf_reads_it(tmp_path: Path) -> None:
    import xesmf

    path = save_weights(compute_weights(SOURCE, TARGET), tmp_path / "w.nc")
    regridder = xesmf.Regridder(
        xesmf_grid(SOURCE), xesmf_grid(TARGET), "conservative", weights=str(path)
    )
    out = regrid(field(), TARGET, source=SOURCE, min_coverage=0)
    sums = (out * out.f_valid_fraction).fillna(0)
    np.testing.assert_allclose(regridder(field()).values, sums.values, atol=1e-14)


@pytest.mark.skipif(shutil.which("cdo") is None, reason="cdo is not installed")
def test_cdo_reads_it(tmp_path: Path) -> None:
    save_weights(compute_weights(SOURCE, TARGET), tmp_path / "w.nc")
    ds = field().to_dataset().assign_coords(SOURCE.coords()).assign_coords(time=[0.0, 1.0])
    ds["f"].attrs["coordinates"] = "lat lon"
    ds.to_netcdf(tmp_path / "in.nc")
    like = xr.Dataset({"g": (TARGET.dims, np.zeros(TARGET.shape))}, coords=TARGET.coords())
    like.to_netcdf(tmp_path / "like.nc")
    subprocess.run(["cdo", "-s", "remap,like.nc,w.nc", "in.nc", "out.nc"], cwd=tmp_path, check=True)
    with xr.open_dataset(tmp_path / "out.nc") as result:
        theirs = result["f"].values
    out = regrid(field(), TARGET, source=SOURCE, min_coverage=0)
    valid = np.isfinite(theirs) & np.isfinite(out.values)
    assert valid.mean() > 0.5
    np.testing.assert_allclose(
        theirs[valid], (out * out.f_valid_fraction).values[valid], atol=1e-14
    )


def test_rectilinear_grids_in_a_file(tmp_path: Path) -> None:
    source = Grid.regular(-20, 30, 30, 60, 2)
    data = xr.DataArray(
        np.random.default_rng(1).random(source.shape), dims=("lat", "lon"), name="f"
    )
    out = regrid(data, TARGET, source=source, weights=tmp_path / "w.nc")
    np.testing.assert_allclose(out.values, regrid(data, TARGET, source=source).values, rtol=1e-13)


def test_a_file_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_file, "MAX_ENTRIES", 100)
    weights = compute_weights(Grid.regular(-20, 30, 30, 60, 2), TARGET)
    with pytest.raises(UsageError, match="need no weight file"):
        save_weights(weights, tmp_path / "w.nc")


def test_stored_once_per_pair_of_grids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored_weights(tmp_path, SOURCE, TARGET)
    stored_weights(tmp_path, SOURCE, TARGET, "nearest_s2d")
    stored_weights(tmp_path, Grid.regular(-20, 30, 30, 60, 2), TARGET)
    assert len(list(tmp_path.iterdir())) == 2

    def fail(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(weights_file, "compute_weights", fail)
    stored_weights(tmp_path, SOURCE, TARGET)
    with pytest.raises(AssertionError, match="computed again"):
        stored_weights(tmp_path, SOURCE, Grid.regular(-20, 32, 30, 62, 2))


def test_files_of_other_grids_or_methods_are_refused(tmp_path: Path) -> None:
    path = save_weights(compute_weights(SOURCE, TARGET), tmp_path / "w.nc")
    moved = Grid.from_corners(SOURCE.lon_b + 1e-7, SOURCE.lat_b)
    with pytest.raises(NarcfError, match="narcf_source differs"):
        load_weights(path, moved, TARGET)
    with pytest.raises(NarcfError, match="narcf_target differs"):
        load_weights(path, SOURCE, Grid.regular(-20, 32, 30, 62, (2.5, 3)))
    with pytest.raises(NarcfError, match="narcf_method differs"):
        regrid(field(), TARGET, source=SOURCE, method="bilinear", weights=path)


def test_foreign_damaged_and_changed_files_are_refused(tmp_path: Path) -> None:
    path = save_weights(compute_weights(SOURCE, TARGET), tmp_path / "w.nc")
    with xr.open_dataset(path) as ds:
        ds = ds.load()
    foreign = ds[["S", "row", "col"]].drop_attrs()
    foreign.to_netcdf(tmp_path / "foreign.nc")
    with pytest.raises(NarcfError, match=r"without its marks.*reuse_weights"):
        load_weights(tmp_path / "foreign.nc", SOURCE, TARGET)
    changed = ds.copy(deep=True)
    changed["S"][5] *= 1.001
    changed.to_netcdf(tmp_path / "changed.nc")
    with pytest.raises(NarcfError, match="checksum differs"):
        load_weights(tmp_path / "changed.nc", SOURCE, TARGET)
    (tmp_path / "half.nc").write_bytes(path.read_bytes()[:3000])
    with pytest.raises(NarcfError, match="cannot be read as one"):
        load_weights(tmp_path / "half.nc", SOURCE, TARGET)
