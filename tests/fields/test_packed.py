"""Files packed with gzip."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from narcf_geo.core.errors import UnreadableError
from narcf_geo.fields import open_fields
from narcf_geo.fields import packed as module


def write(folder: Path) -> Path:
    path = folder / "air.nc"
    ds = xr.Dataset(
        {"air": (("lat", "lon"), np.arange(6.0).reshape(2, 3), {"units": "K"})},
        {"lat": [46.5, 45.5], "lon": [-100.5, -99.5, -98.5]},
    )
    ds.to_netcdf(path)
    with open(path, "rb") as plain, gzip.open(f"{path}.gz", "wb") as file:
        shutil.copyfileobj(plain, file)
    return Path(f"{path}.gz")


def test_a_packed_file_is_that_file(tmp_path: Path) -> None:
    path = write(tmp_path)
    before = sorted(tmp_path.iterdir())
    found = open_fields(path)["air"]
    assert found.sel(lat=46.5).values.tolist() == [0.0, 1.0, 2.0]
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_damaged_or_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path)
    cut = tmp_path / "cut.nc.gz"
    cut.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UnreadableError, match=r"cut\.nc\.gz: cannot be unpacked"):
        open_fields(cut)
    monkeypatch.setattr(module, "LARGEST", 1000)
    again = tmp_path / "again.nc.gz"
    shutil.copyfile(path, again)
    with pytest.raises(UnreadableError, match="when unpacked, found more"):
        open_fields(again)
