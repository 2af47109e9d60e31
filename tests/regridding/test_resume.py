"""Killed at several moments and run again: the same bytes, and nothing half-written is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from narcf_geo.core.pool import open_pool
from narcf_geo.grid import Grid
from narcf_geo.regridding import regrid_file

SOURCE = Grid.regular(-180, -90, 180, 90, 1)
OPTIONS = ("--grid", "2", "--chunks", "time=4")


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """48 steps that are read four at a time."""
    rng = np.random.default_rng(0)
    values = rng.random((48, *SOURCE.shape), dtype="float32")
    values[:, 20:30, 50:90] = np.nan
    ds = xr.Dataset({"t": (("time", *SOURCE.dims), values, {"units": "K"})}, SOURCE.coords())
    ds = ds.assign_coords(time=("time", np.arange(48.0), {"units": "days since 2001-01-01"}))
    ds.to_netcdf(tmp_path / "in.nc", encoding={"t": {"chunksizes": (1, *SOURCE.shape)}})
    return tmp_path / "in.nc"


def started(source: Path, out: Path, *options: str) -> subprocess.Popen:
    out.parent.mkdir(exist_ok=True)
    script = (
        "import signal, sys, narcf_geo.regridding.inputs as inputs\n"
        # Which shells let a job in the background ignore.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "inputs.BLOCK_BYTES = 2**20\n"
        "from narcf_geo.cli import main\n"
        "main()"
    )
    command = [sys.executable, "-c", script, "regrid", str(source), out.name, *OPTIONS, *options]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1000000000"}
    with open(source.with_name("errors.txt"), "w") as errors:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": errors}
        return subprocess.Popen(command, cwd=out.parent, env=environment, **quiet)  # type: ignore[call-overload]


def finished(out: Path) -> int:
    return len(list(out.with_name(f".{out.name}").glob("*/done/*")))


def contents(store: Path) -> dict[str, bytes]:
    files = (p for p in store.rglob("*") if p.is_file())
    return {str(p.relative_to(store)): p.read_bytes() for p in files}


def test_a_killed_run_goes_on_and_writes_the_same_bytes(series: Path, tmp_path: Path) -> None:
    reference, out = tmp_path / "a" / "out.zarr", tmp_path / "b" / "out.zarr"
    process = started(series, reference)
    assert process.wait() == 0
    seen = []
    for number, options in enumerate(((), ("--workers", "2"), ())):
        process = started(series, out, *options)
        while process.poll() is None and finished(out) < 3 * number + 1:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not out.exists()
        seen.append(finished(out))
    assert seen == sorted(seen)
    assert seen[-1] > 3
    time.sleep(1)  # workers of a killed run end by themselves
    stamps = {p.name: p.stat().st_mtime_ns for p in out.with_name(".out.zarr").glob("*/done/*")}
    process = started(series, out)
    # What was finished is not done again: its marks stay until all is there.
    while process.poll() is None and finished(out) < len(stamps) + 1:
        time.sleep(0.002)
    marks = out.with_name(".out.zarr").glob("*/done/*")
    found = {p.name: p.stat().st_mtime_ns for p in marks if p.name in stamps}
    assert all(stamps[name] == stamp for name, stamp in found.items())
    assert process.wait() == 0
    assert contents(out) == contents(reference)
    assert [p.name for p in out.parent.iterdir()] == ["out.zarr"]


def test_what_was_finished_of_another_input_is_not_taken(series: Path, tmp_path: Path) -> None:
    out = tmp_path / "b" / "out.zarr"
    process = started(series, out)
    while process.poll() is None and finished(out) < 4:
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert finished(out) >= 4
    with xr.open_dataset(series, decode_times=False) as ds:
        changed = (ds.load() + 1).assign_coords(ds.coords)
    changed["t"].attrs["units"] = "K"
    changed.to_netcdf(series, encoding={"t": {"chunksizes": (1, *SOURCE.shape)}})
    process = started(series, out)
    assert process.wait() == 0
    found = xr.open_zarr(out, consolidated=False, decode_times=False)["t"]
    assert float(found.min()) > 1  # a value of the first input would be below


@pytest.mark.parametrize("suffix", [".nc", ".tif"])
def test_a_killed_run_leaves_no_half_written_file(
    series: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / "b" / f"out{suffix}"
    process = started(series, out, *(["--chunks", "lat=16"] if suffix == ".tif" else []))
    while process.poll() is None and not list(out.parent.glob(f".out.*.partial{suffix}")):
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    errors = (tmp_path / "errors.txt").read_text()
    assert "Interrupted; nothing was written" in errors
    assert list(out.parent.iterdir()) == []


def test_an_interrupted_store_says_how_to_go_on(series: Path, tmp_path: Path) -> None:
    out = tmp_path / "b" / "out.zarr"
    process = started(series, out)
    while process.poll() is None and finished(out) < 2:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    errors = (tmp_path / "errors.txt").read_text()
    assert "run the same command again to go on" in errors
    assert [p.name for p in out.parent.iterdir()] == [".out.zarr"]


@pytest.mark.parametrize("name", ["out.nc", "out.tif", "out.zarr"])
def test_processes_write_what_threads_write(series: Path, tmp_path: Path, name: str) -> None:
    dtype = "int16" if name == "out.tif" else None
    with open_pool(workers=2) as pool:
        for folder, used in (("a", None), ("b", pool)):
            (tmp_path / folder).mkdir()
            out = tmp_path / folder / name
            rows = regrid_file(series, out, grid=2, dtype=dtype, pool=used)
            assert rows[0].coverage == pytest.approx(1 - 400 / 64800, abs=0.01)
            assert [p.name for p in out.parent.iterdir()] == [name]
    if name == "out.tif":
        import rasterio

        one, other = (rasterio.open(tmp_path / f / name).read() for f in "ab")
        np.testing.assert_array_equal(one, other)
    else:
        engine = {"engine": "zarr", "consolidated": False} if name == "out.zarr" else {}
        one, other = (
            xr.open_dataset(tmp_path / f / name, decode_times=False, **engine) for f in "ab"
        )
        assert one.drop_attrs().identical(other.drop_attrs())
