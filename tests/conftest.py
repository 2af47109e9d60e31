"""Data that several areas test with: small and asymmetric, so that flips and shifts show."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio  # noqa: F401 (GDAL's SQLite before TensorFlow's, as in training)
import pytest
import xarray as xr
from tiny_project import write_project

from narcf_geo.core.constants import EARTH_RADIUS, FLUX_SIGN, FLUX_UNITS
from narcf_geo.core.months import month_starts, with_month_axis


@pytest.fixture(autouse=True)
def files_closed_here() -> Iterator[None]:
    """Close the files of datasets that a test has left to the garbage collector.

    It may run in two threads of a later test at once, and HDF5 does not stand two threads.
    """
    yield
    gc.collect(1)


@pytest.fixture(autouse=True, scope="module")
def all_files_closed_here() -> Iterator[None]:
    """Close what earlier collections of the garbage have passed over."""
    yield
    gc.collect()


def prediction_dataset(
    lat: np.ndarray, lon: np.ndarray, biome: np.ndarray, first: str, last: str
) -> xr.Dataset:
    """A prediction on a regular grid whose flux differs in every cell and month."""
    months = month_starts(first, last)
    dlat, dlon = np.diff(lat)[0], np.diff(lon)[0]
    lat_bnds = np.stack([lat - dlat / 2, lat + dlat / 2], axis=1)
    lon_bnds = np.stack([lon - dlon / 2, lon + dlon / 2], axis=1)
    season = np.cos(2 * np.pi * (months.month.values - 1) / 12)[:, None, None]
    growth = np.exp(-(((lat - 48) / 14) ** 2))[None, :, None]
    east = (1 + 0.8 * (lon - lon.min()) / np.ptp(lon))[None, None, :]
    flux = 0.35 * east - 2.2 * growth * east * np.clip(0.1 - season, 0, None)
    flux = flux + 0.02 * (months.year.values - months.year.values[0])[:, None, None]
    land = (biome > 0) & (biome < 17)
    area = EARTH_RADIUS**2 * np.diff(np.sin(np.deg2rad(lat_bnds)), axis=1) * np.deg2rad(dlon)
    attrs = {"units": FLUX_UNITS, "sign": FLUX_SIGN, "long_name": "net CO2 flux"}
    ds = xr.Dataset(
        {
            "flux": (("time", "lat", "lon"), np.where(land, flux, np.nan).astype("float32"), attrs),
            "biome": (("lat", "lon"), biome.astype("int8")),
            "land_fraction": (("lat", "lon"), land.astype("float32")),
            "cell_area": (("lat", "lon"), np.repeat(area, lon.size, axis=1), {"units": "m2"}),
        },
        coords={
            "lat": lat,
            "lon": lon,
            "lat_bnds": (("lat", "bnds"), lat_bnds),
            "lon_bnds": (("lon", "bnds"), lon_bnds),
        },
        attrs={"title": "A test product", "synthetic": "twin experiment"},
    )
    return with_month_axis(ds.assign_coords(time=months.values), months)


@pytest.fixture
def small_prediction() -> xr.Dataset:
    """4 x 5 cells of 1 degree, west and south of nothing symmetric; 2014-11 to 2015-02."""
    biome = np.array([[-1, 0, 12, 10, 8], [5, 5, 0, 12, 9], [1, 5, 4, 14, 1], [1, 1, 16, 15, 0]])
    lat, lon = np.arange(40.5, 44.0), np.arange(-100.5, -96.0)
    return prediction_dataset(lat, lon, biome, "2014-11", "2015-02")


@pytest.fixture(scope="session")
def america() -> xr.Dataset:
    """North America on 1 degree with its real land and biomes; 2014 and 2015."""
    import rasterio

    path = next(Path(__file__).parents[1].glob("narcf_geo/data/landcover/*.tif"))
    with rasterio.open(path) as raster:
        classes = raster.read(1)
    lat, lon = np.arange(10.5, 80.0), np.arange(-169.5, -50.0)
    rows = ((90 - lat - 0.5) * 20).round().astype(int)
    columns = ((lon - 0.5 + 180) * 20).round().astype(int)
    biome = np.full((lat.size, lon.size), -1)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            counts = np.bincount(
                classes[row : row + 20, column : column + 20].ravel(), minlength=256
            )
            biome[i, j] = 0 if counts[0] > 200 else 1 + counts[1:18].argmax()
    return prediction_dataset(lat, lon, biome, "2014-01", "2015-12")


@pytest.fixture(scope="session")
def cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``narcf-geo`` as a user does: a process of its own."""
    command = Path(sys.executable).with_name("narcf-geo")

    def run(*arguments: object, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "COLUMNS": "200"},
            **kwargs,
        )

    return run


@pytest.fixture(scope="session")
def tiny_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny project, its inputs alone. Copy it before changing it."""
    return write_project(tmp_path_factory.mktemp("tiny") / "inputs")


@pytest.fixture(scope="session")
def tiny_run(tiny_inputs: Path, cli: Callable) -> Path:
    """The tiny project, run once. Copy it before changing it."""
    project = Path(shutil.copytree(tiny_inputs, tiny_inputs.with_name("finished")))
    done = cli("run", "-C", project)
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Path], Path]:
    """Copy a project, its time stamps too."""

    def copy(project: Path) -> Path:
        return Path(shutil.copytree(project, tmp_path / "project", symlinks=True))

    return copy


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """A scheduler and two workers on loopback, as one would start them by hand."""
    place = tmp_path / "scheduler.json"
    dask = Path(sys.executable).with_name("dask")
    command = [dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    processes = [subprocess.Popen([*command, "--scheduler-file", place], **quiet)]  # type: ignore[call-overload]
    while not place.exists():
        time.sleep(0.1)
    for _ in range(2):
        worker = [dask, "worker", "--scheduler-file", place, "--nthreads", "1", "--no-dashboard"]
        processes.append(subprocess.Popen([*worker, "--nanny"], **quiet))  # type: ignore[call-overload]
    yield json.loads(place.read_text())["address"], processes
    for process in reversed(processes):
        process.terminate()
    for process in processes:
        process.wait(30)


@pytest.fixture
def in_process(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the entry point of ``narcf-geo`` in this process, which saves its imports."""
    from narcf_geo.cli import main
    from narcf_geo.cli.show import console

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        argv = ["narcf-geo", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", argv)
        monkeypatch.setenv("COLUMNS", "200")
        # Its width is that of the first test which used it in this process.
        monkeypatch.setattr(console, "_width", 200)
        capfd.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        return subprocess.CompletedProcess(argv, code, *capfd.readouterr())

    return run
