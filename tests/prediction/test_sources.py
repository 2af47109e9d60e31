"""Cubes as they lie: many files, references to files, remote stores; and files that change."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.model.bundle import Bundle
from narcf_geo.prediction import predict, predict_file, predict_netcdf

CHUNKS = {"time": 6, "lat": 30, "lon": 35}


def write_netcdf(ds: xr.Dataset, path: Path) -> Path:
    """Write a file in compressed chunks."""
    encoding = {
        name: {
            "chunksizes": [min(CHUNKS.get(str(d), n), n) for d, n in ds[name].sizes.items()],
            "zlib": True,
            "shuffle": True,
        }
        for name in ds.data_vars
    }
    ds.to_netcdf(path, engine="netcdf4", encoding=encoding)
    return path


def assert_equal(found: Path, expected: Path) -> None:
    one, other = (xr.open_zarr(path, consolidated=False).load() for path in (found, expected))
    assert np.isfinite(one["flux"]).any()
    xr.testing.assert_identical(one.drop_attrs(), other.drop_attrs())


@pytest.fixture
def expected(stored: Path, bundle_folder: Path, tmp_path: Path) -> Path:
    return predict_file(stored, tmp_path / "expected.zarr", bundle_folder).path


def test_a_file_a_month_and_variable(
    fine_cube: xr.Dataset, expected: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    moving = [name for name in fine_cube.data_vars if "time" in fine_cube[name].dims]
    fine_cube.drop_dims("time").to_netcdf(tmp_path / "maps.nc")
    for name in moving:
        for number in range(fine_cube.sizes["time"]):
            month = fine_cube[[name]].isel(time=[number])
            month.to_netcdf(tmp_path / f"{name}_{number:02}.nc")
    found = predict_file(tmp_path / "*.nc", tmp_path / "out.zarr", bundle_folder)
    assert_equal(found.path, expected)
    assert (found.shape, found.months) == ((26, 60, 70), ("2007-01", "2009-02"))
    assert found.land == int((fine_cube["biome"] > 0).sum())
    flux = xr.open_zarr(found.path, consolidated=False)["flux"]
    assert found.rows == int(np.isfinite(flux).sum())


def references(path: Path) -> dict[str, Any]:
    """Return what kerchunk writes of a NetCDF file: where in it each chunk is."""
    refs: dict[str, Any] = {".zgroup": json.dumps({"zarr_format": 2})}
    with h5py.File(path) as file, xr.open_dataset(path, decode_cf=False) as ds:
        for name, variable in ds.variables.items():
            stored = file[name]
            chunks = stored.chunks or stored.shape
            shuffle = [{"id": "shuffle", "elementsize": stored.dtype.itemsize}]
            array = {
                "zarr_format": 2,
                "shape": stored.shape,
                "chunks": chunks,
                "dtype": stored.dtype.str,
                "fill_value": None,
                "order": "C",
                "filters": shuffle if stored.shuffle else None,
                "compressor": {"id": "zlib", "level": 4} if stored.compression else None,
            }
            attrs = {k: v for k, v in variable.attrs.items() if isinstance(v, str)}
            refs[f"{name}/.zarray"] = json.dumps(array)
            refs[f"{name}/.zattrs"] = json.dumps({**attrs, "_ARRAY_DIMENSIONS": variable.dims})
            for number in range(stored.id.get_num_chunks() if stored.chunks else 0):
                chunk = stored.id.get_chunk_info(number)
                key = ".".join(str(o // c) for o, c in zip(chunk.chunk_offset, chunks, strict=True))
                refs[f"{name}/{key}"] = [str(path), chunk.byte_offset, chunk.size]
            if not stored.chunks:
                key = ".".join("0" * stored.ndim)
                size = stored.id.get_storage_size()
                refs[f"{name}/{key}"] = [str(path), stored.id.get_offset(), size]
    return {"version": 1, "refs": refs}


def test_references_of_kerchunk(
    fine_cube: xr.Dataset, expected: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    path = write_netcdf(fine_cube, tmp_path / "cube.nc")
    (tmp_path / "cube.json").write_text(json.dumps(references(path)))
    found = predict_file(tmp_path / "cube.json", tmp_path / "out.zarr", bundle_folder)
    assert_equal(found.path, expected)
    again = predict_file(tmp_path / "cube.json", tmp_path / "out.zarr", bundle_folder)
    assert (again.computed, again.rows) == (0, 0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """What lies in a folder, over HTTP."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    (tmp_path / "served").mkdir()
    handler = partial(Quiet, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def test_files_and_stores_over_http(
    fine_cube: xr.Dataset,
    expected: Path,
    bundle_folder: Path,
    tmp_path: Path,
    server: str,
) -> None:
    pytest.importorskip("aiohttp")
    write_netcdf(fine_cube, tmp_path / "served" / "cube.nc")
    fine_cube.drop_encoding().to_zarr(tmp_path / "served" / "cube.zarr", consolidated=True)
    for name in ("cube.nc", "cube.zarr"):
        found = predict_file(f"{server}/{name}", tmp_path / f"{name}.out.zarr", bundle_folder)
        assert_equal(found.path, expected)
    with pytest.raises(NarcfError, match=r"absent\.zarr: expected a Zarr store or a NetCDF file"):
        predict_file(f"{server}/absent.zarr", tmp_path / "none.zarr", bundle_folder)


def test_a_pattern_of_remote_files(
    fine_cube: xr.Dataset, expected: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    import fsspec

    bucket = fsspec.filesystem("memory")
    for start in (0, 13):
        path = write_netcdf(fine_cube.isel(time=slice(start, start + 13)), tmp_path / "part.nc")
        bucket.put(str(path), f"/parts/part_{start}.nc")
    found = predict_file("memory://parts/*.nc", tmp_path / "out.zarr", bundle_folder)
    assert_equal(found.path, expected)
    with pytest.raises(UsageError, match="matches"):
        predict_file("memory://parts/*.none", tmp_path / "none.zarr", bundle_folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lat": slice(0, 59)}, r"expected the lat of .*40\.05 to 45\.95, 60 cells"),
        ({"lon": slice(0, 69)}, r"found -99\.95 to -93\.15, 69 cells"),
    ],
)
def test_files_on_other_grids_are_not_joined(
    fine_cube: xr.Dataset,
    bundle_folder: Path,
    tmp_path: Path,
    change: dict[str, slice],
    message: str,
) -> None:
    fine_cube.drop_vars("sif").to_netcdf(tmp_path / "a.nc")
    fine_cube[["sif"]].isel(change).to_netcdf(tmp_path / "b.nc")
    with pytest.raises(NarcfError, match=message):
        predict_file(tmp_path / "?.nc", tmp_path / "out.zarr", bundle_folder)


def test_a_month_in_two_files(fine_cube: xr.Dataset, bundle_folder: Path, tmp_path: Path) -> None:
    fine_cube.to_netcdf(tmp_path / "a.nc")
    fine_cube[["sif"]].isel(time=slice(20, 26)).to_netcdf(tmp_path / "b.nc")
    with pytest.raises(NarcfError, match=r"'sif': 2008-09 is in .*a\.nc and in .*b\.nc"):
        predict_file(tmp_path / "?.nc", tmp_path / "out.zarr", bundle_folder)


def test_a_file_replaced_between_two_calls_is_read_anew(
    fine_cube: xr.Dataset, bundle_folder: Path, tmp_path: Path, contents: Callable
) -> None:
    path, out = tmp_path / "cube.nc", tmp_path / "out.zarr"
    for number, cube in enumerate((fine_cube, fine_cube.assign(sif=fine_cube["sif"] + 1))):
        cube = cube.assign(sif=cube["sif"].assign_attrs(fine_cube["sif"].attrs))
        write_netcdf(cube, tmp_path / "new.nc").replace(path)
        os.utime(path, ns=(0, number + 1))
        found = predict_file(path, out, bundle_folder)
        assert found.computed == found.chunks
        flux = predict(cube, Bundle.load(bundle_folder))["flux"]
        written = xr.open_zarr(out, consolidated=False)["flux"]
        np.testing.assert_allclose(written, flux, rtol=1e-5, atol=2e-6)


def test_attributes_come_and_go(
    fine_cube: xr.Dataset, bundle_folder: Path, tmp_path: Path, contents: Callable
) -> None:
    attrs = {"version": np.float32(1.5), "levels": np.arange(3), "title": "Of a file"}
    fine_cube.assign_attrs(attrs).to_netcdf(tmp_path / "cube.nc")
    out = tmp_path / "out.zarr"

    def run(**added: str) -> dict[str, Any]:
        predict_file(tmp_path / "cube.nc", out, bundle_folder, attrs=added)
        return xr.open_zarr(out, consolidated=False).attrs

    assert run() == {"version": 1.5, "levels": [0, 1, 2], "title": "Of a file"}
    before = contents(out)
    assert run(title="Other", license="CC0")["license"] == "CC0"
    assert "license" not in run()
    assert contents(out) == before
    assert {"lat_bnds", "time_bnds"} <= set(xr.open_zarr(out, consolidated=False).coords)


def test_what_is_no_store_is_not_replaced(
    fine_cube: xr.Dataset, stored: Path, bundle_folder: Path, tmp_path: Path, contents: Callable
) -> None:
    before = contents(stored)
    with pytest.raises(UsageError, match="found the input"):
        predict_file(stored, stored, bundle_folder)
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="expected a Zarr store to replace"):
        predict_file(stored, folder, bundle_folder)
    assert contents(stored) == before
    assert (folder / "thesis.txt").exists()
    cube = fine_cube.assign(biome=fine_cube["biome"].expand_dims(time=fine_cube["time"]))
    cube.to_netcdf(tmp_path / "cube.nc")
    with pytest.raises(NarcfError, match=r"'biome' over \(lat, lon\)"):
        predict_file(tmp_path / "cube.nc", tmp_path / "out.zarr", bundle_folder)


def test_force_predicts_all_again(stored: Path, bundle_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    done = [
        predict_file(stored, out, bundle_folder, force=f).computed for f in (False, False, True)
    ]
    assert done == [18, 0, 18]


def test_a_netcdf_file(stored: Path, expected: Path, bundle_folder: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one.nc", tmp_path / "other.nc"
    for path in (one, other):
        assert predict_netcdf(stored, path, bundle_folder).path == path
    assert one.read_bytes() == other.read_bytes()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".one", ".other"))]
    with xr.open_dataset(one) as found:
        assert found.attrs["Conventions"].startswith("CF")
        store = xr.open_zarr(expected, consolidated=False)
        for name in ("flux", "flux_std", "observed_lower", "applicability"):
            np.testing.assert_array_equal(found[name], store[name])
