"""Files of a project or a bundle that come from others are read with the care of any file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from narcf_geo.core.datasets import load_netcdf, open_zarr, write_zarr
from narcf_geo.core.errors import UnreadableError
from narcf_geo.model.fit import CROSS_VALIDATION, cross_validation


@pytest.fixture
def ds() -> xr.Dataset:
    return xr.Dataset({"temp": (("lat", "lon"), np.arange(6.0).reshape(2, 3))})


@pytest.mark.parametrize("read", [load_netcdf, lambda path: cross_validation(path.parent)])
def test_a_link_to_another_file_is_not_followed(
    tmp_path: Path, ds: xr.Dataset, read: Callable[[Path], xr.Dataset]
) -> None:
    path = tmp_path / CROSS_VALIDATION
    ds.to_netcdf(path)
    ds.to_netcdf(tmp_path / "other.nc")
    xr.testing.assert_identical(read(path), ds)
    with h5py.File(path, "r+") as file:
        del file["temp"]
        file["temp"] = h5py.ExternalLink("other.nc", "/temp")
    with pytest.raises(UnreadableError, match=r"'temp': expected its values in this file"):
        read(path)


def test_a_codec_that_runs_code_is_refused(tmp_path: Path, ds: xr.Dataset) -> None:
    path = tmp_path / "cube.zarr"
    write_zarr(ds, path)
    xr.testing.assert_identical(open_zarr(path, "regrid").load(), ds)
    described = path / "temp" / "zarr.json"
    content = json.loads(described.read_text())
    content["codecs"].append({"name": "numcodecs.pickle", "configuration": {}})
    described.write_text(json.dumps(content))
    with pytest.raises(UnreadableError, match=r"cube\.zarr"):
        open_zarr(path, "regrid")


def test_the_order_of_variables_is_not_that_of_the_file_system(tmp_path: Path) -> None:
    """A store made anew or copied has its folders in another order; what is made of it has not."""
    values = {n: ("x", np.arange(3.0)) for n in ("wind", "air", "flux")}
    write_zarr(xr.Dataset(values, {"lon": ("x", np.zeros(3)), "area": 1.0}), tmp_path / "a.zarr")
    names = ["air", "area", "flux", "lon", "wind"]
    assert list(open_zarr(tmp_path / "a.zarr", "cube").variables) == names
    assert set(open_zarr(tmp_path / "a.zarr", "cube").coords) == {"lon", "area"}
