"""A cube on disk, predicted piece by piece, is the cube predicted at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from narcf_geo.model.bundle import Bundle
from narcf_geo.predict import predict, predict_file


def test_it_is_what_is_predicted_in_memory(
    fine_cube: xr.Dataset, stored: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    path = predict_file(
        stored,
        tmp_path / "out.zarr",
        bundle_folder,
        progress=lambda done, total, text: seen.append((done, total)),
    )
    found = xr.open_zarr(path, consolidated=False).load()
    expected = predict(fine_cube, Bundle.load(bundle_folder))
    assert set(found.data_vars) == set(expected.data_vars)
    assert len(found.data_vars) == 11
    for name in expected.data_vars:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
        assert found[name].attrs == expected[name].attrs
    assert found.coords.keys() == expected.coords.keys()
    assert found.attrs == fine_cube.attrs
    assert seen[0] == (0, 18)
    assert seen[-1] == (18, 18)
    assert [p.name for p in (tmp_path / ".out.zarr").iterdir()] == ["record.json"]
