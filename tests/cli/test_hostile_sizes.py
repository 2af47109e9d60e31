"""Absurd sizes, special files and endless patterns through the real command, refused at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

GRID = """gridtype = lonlat
xsize = {n}
ysize = {n}
xfirst = -99.5
xinc = 1
yfirst = 40.5
yinc = 1
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    ds = xr.Dataset(
        {"temp": (("lat", "lon"), np.ones((4, 6)), {"units": "K"})},
        {
            "lat": ("lat", np.arange(40.5, 44), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(-99.5, -94), {"units": "degrees_east"}),
        },
    )
    ds.to_netcdf(tmp_path / "in.nc", engine="netcdf4")
    (tmp_path / "grid.txt").write_text(GRID.format(n=1_000_000_000))
    (tmp_path / "small.txt").write_text(GRID.format(n=3))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
    else:
        (tmp_path / "pipe").symlink_to(os.devnull)
    return tmp_path / "in.nc"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--grid", "1e-6"], "4,000,000 x 6,000,000 cells"),
        (["--grid", "1e-320"], "expected a box"),
        (["--crs", "EPSG:5070", "--resolution", "0.001"], "at most 1,000,000,000 cells"),
        (["--crs", "EPSG:5070", "--resolution", "20"], "GB of memory on this computer"),
        (["--like", "r999999x999999"], "999,999 x 999,999 cells"),
        (["--like", "global_0.00000001"], "cells, which would take"),
        (["--like", "grid.txt"], "grid.txt: expected fewer or larger cells"),
        (["--like", "pipe"], "expected a file, found a pipe"),
        (["--grid", "1", "--weights", "pipe"], "expected a file, found a pipe"),
        (["--grid", "1", "--mask", "pipe:land"], "expected a file, found a pipe"),
        (["--like", "small.txt"], None),
    ],
)
def test_a_target_of_absurd_size_is_refused_with_it(
    source: Path,
    in_process: Callable,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    words: str | None,
) -> None:
    monkeypatch.chdir(source.parent)
    begin = time.process_time()
    done = in_process("regrid", "in.nc", "out.nc", *options)
    assert time.process_time() - begin < 20
    if words is None:
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode in (1, 2)
    assert words in " ".join(done.stderr.split())
    assert not list(source.parent.glob("*out*"))


def test_a_resolution_of_narcf_yaml_is_refused_with_its_line(
    tiny_inputs: Path, copy_of: Callable, in_process: Callable
) -> None:
    project = copy_of(tiny_inputs)
    text = (project / "narcf.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("resolution")]
    (project / "narcf.yaml").write_text("\n".join([*lines, "resolution: 1e-5"]))
    done = in_process("biomes", "-C", project)
    assert done.returncode == 2
    assert "resolution: 1e-05: expected larger cells" in done.stderr
    assert "GB" in done.stderr


def test_a_pattern_over_everything_is_refused(
    source: Path, in_process: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("narcf_geo.core.filenames.MOST_ENTRIES", 50)
    folder = source.parent
    for n in range(60):
        (folder / f"f{n}.txt").touch()
    (folder / "loop").symlink_to(folder)
    done = in_process("regrid", folder / "**" / "*.nope", folder / "out.nc", "--grid", "1")
    assert done.returncode == 2
    assert "leads through more than" in done.stderr
    monkeypatch.setattr("narcf_geo.core.filenames.MOST_ENTRIES", 500)
    done = in_process("regrid", folder / "**" / "*.nc", folder / "out.nc", "--grid", "1")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["a\nb.nc", "a\0b.nc", "x" * 5000, "*" * 30 + ".nc"])
def test_a_path_that_no_message_can_show(source: Path, in_process: Callable, name: str) -> None:
    done = in_process("regrid", name, source.parent / "out.nc", "--grid", "1")
    assert done.returncode in (1, 2)
    assert "expected" in done.stderr
    assert len(done.stderr) < 2000


def test_a_table_of_two_points_far_apart_is_no_raster(source: Path, in_process: Callable) -> None:
    rows = ["lat,lon,v", "0,0,1", "0.000000001,1,2", "80,2,3"]
    (source.parent / "in.csv").write_text("\n".join(rows))
    done = in_process("regrid", source.parent / "in.csv", source.parent / "out.nc", "--grid", "1")
    assert done.returncode == 1
    assert "in.csv: an axis of" in done.stderr


def test_links_in_a_circle_are_refused(source: Path, in_process: Callable) -> None:
    folder = source.parent
    for suffix in (".nc", ".zarr"):
        (folder / f"out{suffix}").symlink_to(folder / f"out{suffix}")
        done = in_process("regrid", folder / f"out{suffix}", folder / "other.nc", "--grid", "1")
        assert done.returncode == 2
        assert "no such file" in done.stderr
        done = in_process("regrid", source, folder / f"out{suffix}", "--grid", "1")
        assert done.returncode == 2
        assert "found a link that leads to nothing" in done.stderr
        (folder / f"out{suffix}").unlink()
        done = in_process("regrid", source, folder / f"out{suffix}", "--grid", "1")
        assert done.returncode == 0, done.stderr
