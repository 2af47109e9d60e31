"""``narcf-geo predict IN OUT``: own files, without a project."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr


@pytest.fixture(scope="module")
def months(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cube of the tiny project, a file for each month."""
    folder = tmp_path_factory.mktemp("months")
    cube = xr.open_zarr(tiny_run / "cube.zarr", consolidated=False).load()
    for number in range(cube.sizes["time"]):
        cube.isel(time=[number]).drop_encoding().to_netcdf(folder / f"cube_{number:02}.nc")
    return folder


def test_monthly_files_to_a_store(
    months: Path, tiny_run: Path, in_process: Callable, tmp_path: Path
) -> None:
    arguments = ["predict", months / "*.nc", tmp_path / "out.zarr", "--model", tiny_run / "model"]
    done = in_process(*arguments)
    assert done.returncode == 0, done.stderr
    found = xr.open_zarr(tmp_path / "out.zarr", consolidated=False)["flux"]
    expected = xr.open_zarr(tiny_run / "prediction.zarr", consolidated=False)["flux"]
    np.testing.assert_array_equal(found, expected)
    assert "10 x 12, 105 of them land" in done.stdout
    assert "36, 2007-01 to 2009-12" in done.stdout
    assert f"{int(found.notnull().sum()):,} in " in done.stdout
    assert f"Written: {tmp_path / 'out.zarr'}" in done.stdout
    assert "3 predicted, 0 of 3 were finished before" in done.stdout
    assert "0 predicted, 3 of 3 were finished before" in in_process(*arguments).stdout
    assert "3 predicted, 0 of 3" in in_process(*arguments, "--force").stdout


def test_workers_and_the_model_of_a_project(tiny_run: Path, cli: Callable, tmp_path: Path) -> None:
    done = cli(
        "predict", tiny_run / "cube.zarr", tmp_path / "out.nc", "-C", tiny_run,
        "--workers", 2, "--memory", "1.5GB",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    with xr.open_dataset(tmp_path / "out.nc") as found:
        expected = xr.open_zarr(tiny_run / "prediction.zarr", consolidated=False)["flux"]
        np.testing.assert_array_equal(found["flux"], expected)
    assert [path.name for path in tmp_path.iterdir()] == ["out.nc"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{cube}"], "name the .zarr store or .nc file"),
        (["{cube}", "{out}.tif"], "name the .zarr store or .nc file"),
        (["--model", "m"], "leave --model out"),
        (["absent.zarr", "{out}.zarr"], "absent.zarr: no such file or store"),
        (["{cube}", "{out}.zarr", "--memory", "much"], "a size such as 2GB, found 'much'"),
        (["{cube}", "{out}.zarr", "--memory", "1MB"], "not enough for a thread"),
        (["{cube}", "{out}.zarr", "--workers", "0"], "--workers"),
        (["{cube}", "{cube}"], "found the input"),
    ],
)
def test_wrong_questions(
    arguments: list[str], words: str, tiny_run: Path, in_process: Callable, tmp_path: Path
) -> None:
    places = {"cube": tiny_run / "cube.zarr", "out": tmp_path / "out"}
    texts = [text.format(**places) for text in arguments]
    model = [] if "--model" in texts else ["--model", tiny_run / "model"]
    if len(texts) == 1:
        model = []
    done = in_process("predict", *texts, *model)
    assert done.returncode == 2
    assert words in done.stderr
    assert not list(tmp_path.glob("*.zarr"))


def test_no_tensorflow_is_imported(tiny_run: Path, copy_of: Callable, tmp_path: Path) -> None:
    project = copy_of(tiny_run)
    code = """
import json, sys
from narcf_geo.cli import main
sys.argv = ["narcf-geo", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
names = {"tensorflow", "keras", "zarr"}
print("LOADED", json.dumps(sorted(names & {name.partition(".")[0] for name in sys.modules})))
"""
    for arguments in (
        ["predict", "-C", project, "--force"],
        ["predict", project / "cube.zarr", tmp_path / "out.zarr", "-C", project],
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        # The control: zarr is needed, and is seen.
        assert json.loads(done.stdout.rpartition("LOADED ")[2]) == ["zarr"]
