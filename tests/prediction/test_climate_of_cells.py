"""A climate is taken from the cube on disk: in any pieces the same, and again when it changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from narcf_geo.core.pool import Threads
from narcf_geo.model.bundle import Bundle
from narcf_geo.prediction import open_pool, predict, predict_file

Contents = Callable[[Path], dict[str, bytes]]


def predicted(cube: Path, out: Path, model: Path, **options: object) -> Path:
    return predict_file(cube, out, model, **options).path  # type: ignore[arg-type]


def test_in_any_pieces_it_is_what_is_predicted_in_memory(
    fine_cube: xr.Dataset,
    stored: Path,
    climate_folder: Path,
    tmp_path: Path,
    contents: Contents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle = Bundle.load(climate_folder)
    expected = predict(fine_cube, bundle)
    temp, sif = (fine_cube[name].isel(time=slice(24)) for name in ("temp", "sif"))
    root = np.sign(sif) * np.sqrt(np.abs(sif))
    normal = root.astype("f8").groupby("time.month").mean()
    prepared = bundle.features.prepare(fine_cube)
    np.testing.assert_allclose(prepared["sif_mean"], normal.mean("month"), atol=1e-6)
    late = temp.astype("f8").groupby("time.month").mean().sel(month=2)
    np.testing.assert_allclose(
        prepared["temp_anomaly"][14], fine_cube["temp"][13] - late, atol=1e-4
    )
    lazy = predict(fine_cube.chunk({"time": 7, "lat": 13, "lon": 31}), bundle)
    one = predicted(stored, tmp_path / "1.zarr", climate_folder, pool=Threads(1))
    for found in (lazy, xr.open_zarr(one, consolidated=False)):
        for name in ("flux", "flux_std", "applicability"):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=2e-6)
    many = predicted(stored, tmp_path / "3.zarr", climate_folder, pool=Threads(3), memory="2GB")
    assert contents(many) == contents(one)
    with open_pool(2, None) as pool:
        workers = predicted(stored, tmp_path / "2.zarr", climate_folder, pool=pool)
    assert contents(workers) == contents(one)
    assert [p.name for p in (tmp_path / ".1.zarr").iterdir()] == ["record.json"]


def test_what_changed_in_the_climate_is_computed_again_for_all_months(
    fine_cube: xr.Dataset,
    stored: Path,
    climate_folder: Path,
    tmp_path: Path,
    contents: Contents,
) -> None:
    out = predicted(stored, tmp_path / "out.zarr", climate_folder)

    def change(months: slice, rows: slice) -> int:
        piece = fine_cube["temp"].isel(time=months, lat=rows) + np.float32(1)
        plain = piece.drop_vars([*piece.coords]).to_dataset(name="temp")
        where = {"time": months, "lat": rows, "lon": slice(0, 70)}
        plain.to_zarr(stored, consolidated=False, region=where)
        summary = predict_file(stored, out, climate_folder)
        fresh = predicted(stored, tmp_path / "fresh.zarr", climate_folder)
        assert contents(fresh) == contents(out)
        return summary.computed

    # 3 x 2 x 3 chunks: after the climate the last of time alone, in its months a row of all.
    assert change(slice(25, 26), slice(44, 60)) == 3
    assert change(slice(5, 10), slice(44, 60)) == 9
