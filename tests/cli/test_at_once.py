"""Commands at the same time, and on systems that lack what Linux has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import geopandas as gpd
import pytest
import xarray as xr
from shapely import box

HOLD = """
import sys
from pathlib import Path
from narcf_geo.core.lock import hold
with hold(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    sys.stdin.read()
"""
ELSEWHERE = """
import os, signal, sys
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
for name in ("fork", "forkpty", "getuid", "geteuid", "pread", "pwrite", "killpg", "mkfifo"):
    delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1"):
    delattr(signal, name)
"""
NO_LOCKS = """
import errno, fcntl
def refuse(*arguments):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = fcntl.lockf = refuse
"""


@pytest.fixture
def folder(tmp_path: Path, small_prediction: xr.Dataset) -> Path:
    """A flux file and polygons."""
    small_prediction.to_netcdf(tmp_path / "in.nc")
    polygons = gpd.GeoDataFrame({"name": ["West"]}, geometry=[box(-101, 40, -98, 44)], crs=4326)
    polygons.to_file(tmp_path / "west.geojson")
    (tmp_path / "out").mkdir()
    return tmp_path


@pytest.fixture
def holder(folder: Path) -> Iterator[Callable[[str], int]]:
    """Have another process hold a lock file below ``out/``; give its number."""
    started = []

    def begin(name: str) -> int:
        code = [sys.executable, "-c", HOLD, str(folder / "out" / name)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(code, **pipes))
        assert started[-1].stdout.readline() == "held\n"
        return started[-1].pid

    yield begin
    for process in started:
        process.communicate("")


@pytest.mark.parametrize(
    ("lock", "output", "command"),
    [
        (".a.nc.lock", "a.nc", ["regrid", "in.nc", "out/a.nc", "--grid", "2"]),
        (".a.zarr.lock", "a.zarr", ["regrid", "in.nc", "out/a.zarr", "--grid", "2"]),
        (".a.csv.lock", "a.csv", ["zonal", "in.nc", "west.geojson", "out/a.csv"]),
        (".a.gpkg.lock", "a.gpkg", ["zonal", "in.nc", "west.geojson", "out/a.gpkg"]),
        (".a.json.lock", "a.json", ["evaluate", "in.nc", "in.nc", "--out", "out/a.json"]),
        (".a.png.lock", "a.png", ["map", "in.nc", "out/a.png"]),
        (".lock", "out", ["export", "in.nc", "out"]),
    ],
)
def test_an_output_that_another_command_writes(
    folder: Path,
    holder: Callable[[str], int],
    in_process: Callable,
    monkeypatch: pytest.MonkeyPatch,
    lock: str,
    output: str,
    command: list[str],
) -> None:
    monkeypatch.chdir(folder)
    pid = holder(lock)
    done = in_process(*command)
    assert done.returncode == 1
    assert f"{output} is in use by process {pid} on " in done.stderr
    assert "wait until it has ended, or stop it" in done.stderr
    assert os.listdir("out") == [lock]


def test_two_at_once(folder: Path, cli: Callable) -> None:
    def regrid(_: int) -> subprocess.CompletedProcess[str]:
        return cli("regrid", "in.nc", "out/a.nc", "--grid", "0.05", cwd=folder)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(regrid, range(2)))
    assert 0 in {done.returncode for done in found}
    for done in found:
        assert done.returncode == 0 or "a.nc is in use by " in done.stderr, done.stderr
    assert os.listdir(folder / "out") == ["a.nc"]
    with xr.open_dataset(folder / "out" / "a.nc") as ds:
        assert ds["flux"].notnull().any()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes begin without what only POSIX has."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(ELSEWHERE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hook"))


def test_without_locks_a_warning_says_so(
    folder: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "hook").mkdir()
    (folder / "hook" / "sitecustomize.py").write_text(NO_LOCKS)
    monkeypatch.setenv("PYTHONPATH", str(folder / "hook"))
    done = cli("evaluate", "in.nc", "in.nc", "--out", "out/a.json", cwd=folder)
    assert done.returncode == 0
    assert f"Warning: {folder / 'out'}: no locks on this file system" in done.stderr
    assert done.stderr.count("\n") == 1
    assert os.listdir(folder / "out") == ["a.json"]


@pytest.mark.usefixtures("elsewhere")
def test_without_what_only_posix_has(folder: Path, cli: Callable) -> None:
    # The control: it is gone.
    code = "import os; os.fork"
    gone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "AttributeError" in gone.stderr
    done = cli("regrid", "in.nc", "out/a.zarr", "--grid", "2", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert os.listdir(folder / "out") == ["a.zarr"]
