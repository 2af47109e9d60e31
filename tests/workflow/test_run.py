"""The whole run through the real command, and the files it leaves."""

from __future__ import annotations

import hashlib
import html
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
import zarr
from tiny_project import _axes, true_flux

from narcf_geo.budget.tables import COLUMNS, INTERVAL_COLUMNS
from narcf_geo.budget.totals import monthly_total
from narcf_geo.grid import Grid
from narcf_geo.project.project import Project
from narcf_geo.workflow import STAGES, run

Copy = Callable[[Path], Path]


def ran(project: Path, *stages: str) -> set[str]:
    """Return the stages that were not up to date."""
    return {r.stage for r in run(Project.open(project), *stages) if r.seconds is not None}


def edit(project: Path, before: str, after: str, name: str = "narcf.yaml") -> None:
    path = project / name
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def partials(project: Path) -> list[Path]:
    return [p for p in project.rglob("*") if ".partial" in p.name]


def same_bytes(project: Path) -> dict[str, str]:
    """Return the hash of each file that two runs from the same inputs write alike."""
    names = {p: p.relative_to(project) for p in project.rglob("*") if p.is_file()}
    return {
        str(name): hashlib.sha256(path.read_bytes()).hexdigest()
        for path, name in names.items()
        if name.parts[0] not in (".narcf", "model", "manifest.json")
    }


@pytest.fixture(scope="module")
def metrics(tiny_run: Path) -> dict[str, Any]:
    return json.loads((tiny_run / "evaluation" / "metrics.json").read_text())


@pytest.fixture(scope="module")
def table(tiny_run: Path) -> pd.DataFrame:
    return pd.read_csv(tiny_run / "report" / "biome_budget.csv")


@pytest.fixture(scope="module")
def cube(tiny_run: Path) -> xr.Dataset:
    return xr.open_zarr(tiny_run / "cube.zarr", consolidated=False).load()


@pytest.fixture(scope="module")
def prediction(tiny_run: Path) -> xr.Dataset:
    return xr.open_zarr(tiny_run / "prediction.zarr", consolidated=False).load()


def test_the_cube_holds_what_the_inputs_say(cube: xr.Dataset) -> None:
    assert cube["flux_target"].dims == ("time", "lat", "lon")
    assert cube["flux_target"].shape == (36, 10, 12)
    assert cube["flux_target"].attrs["units"] == "umol m-2 s-1"
    assert cube["flux_target"].attrs["sign"].startswith("positive: to the atmosphere")
    np.testing.assert_allclose(cube["lat"], np.arange(40.5, 50))
    np.testing.assert_allclose(cube["lon"], np.arange(-99.5, -88))
    np.testing.assert_allclose(cube["cell_area"], Grid.regular(-100, 40, -88, 50, 1).area)
    months = pd.date_range("2007-01", "2009-12", freq="MS")
    lat, lon = _axes(1)
    truth = xr.DataArray(
        true_flux(1, months),
        dims=("time", "lat", "lon"),
        coords={"time": months, "lat": lat, "lon": lon},
    ).sel(lat=cube["lat"], lon=cube["lon"])
    error = cube["flux_target"] - truth
    assert abs(float(error.mean())) < 0.01
    assert float(error.std()) == pytest.approx(0.1, abs=0.01)
    # The control: with the sign of the file it would be far off.
    assert float((cube["flux_target"] + truth).std()) > 1
    np.testing.assert_allclose(cube["flux_target_std"], 0.1, rtol=1e-5)
    assert cube["flux_reference"].sel(time="2007").isnull().all()
    bias = float((cube["flux_reference"] - truth).sel(time=["2008-07-01", "2009-01-01"]).mean())
    assert bias == pytest.approx(0.2, abs=0.01)
    january = cube["temp"].sel(time="2008-01-01", lat=40.5, lon=-99.5)
    assert float(january) == pytest.approx(281 - 14 + 0.7 * 4 - 273.15, abs=0.5)
    july = cube["ndvi"].sel(time="2009-07-01", lat=40.5)
    np.testing.assert_allclose(july, 0.65 + 0.01 * (cube["lon"] + 94), atol=1e-5)


def test_water_and_land(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    lake = cube.sel(lat=slice(45, 48), lon=slice(-99, -94))
    assert (lake["biome"] == 0).all()
    assert (lake["land_fraction"] == 0).all()
    assert int((cube["biome"] == 0).sum()) == lake["biome"].size == 15
    assert (cube["biome"].sel(lon=slice(-90, None)) == 5).all()
    np.testing.assert_allclose(cube["class_fraction"].sum("igbp_class"), 1, atol=1e-5)
    known = prediction["flux"].notnull()
    assert (known == (cube["biome"] > 0)).all()


def test_geotiffs_are_north_up_and_hold_the_prediction(
    tiny_run: Path, prediction: xr.Dataset
) -> None:
    with rasterio.open(tiny_run / "products" / "flux_2009.tif") as raster:
        assert raster.count == 12
        assert raster.crs.to_epsg() == 4326
        assert raster.transform.e < 0
        assert tuple(raster.bounds) == (-100, 40, -88, 50)
        assert "2009-07" in raster.descriptions[6]
        values = raster.read(7, masked=True).filled(np.nan)
    expected = prediction["flux"].sel(time="2009-07-01")
    np.testing.assert_allclose(values, expected.values[::-1], rtol=1e-6)
    with rasterio.open(tiny_run / "products" / "biomes.tif") as raster:
        np.testing.assert_array_equal(raster.read(1), prediction["biome"].values[::-1])


def test_netcdf_and_zarr_hold_the_prediction(tiny_run: Path, prediction: xr.Dataset) -> None:
    with xr.open_dataset(tiny_run / "products" / "flux.nc", engine="netcdf4") as ds:
        assert ds.attrs["Conventions"].startswith("CF-1.")
        np.testing.assert_allclose(ds["flux"], prediction["flux"], rtol=1e-6)
        assert ds["flux"].attrs["units"] == "umol m-2 s-1"
        assert "synthetic" in " ".join([*ds.attrs, *map(str, ds.attrs.values())])
    group = zarr.open_group(tiny_run / "prediction.zarr", mode="r")
    assert group["flux"].shape == (36, 10, 12)
    for stage in ("maps", "evaluation", "report"):
        for png in (tiny_run / stage).glob("*.png"):
            assert png.stat().st_size > 5000


def test_keys_and_columns(metrics: dict, table: pd.DataFrame) -> None:
    for part in ("train", "validation", "test"):
        assert {"r", "rmse", "bias", "bias_TgC_per_year", "n", "period"} <= set(metrics[part])
    assert {"by_month", "by_biome"} <= set(metrics)
    assert metrics["test"]["period"] == ["2009-01", "2009-12"]
    assert metrics["train"]["period"] == ["2007-01", "2007-12"]
    assert set(table.columns) == {*COLUMNS, *INTERVAL_COLUMNS, "target_TgC"}
    assert len(table) == 3 * (1 + table.query("biome != 'all'")["biome"].nunique())


def test_the_model_learned_and_only_training_is_unbiased(metrics: dict) -> None:
    assert metrics["test"]["r"] > 0.9
    assert abs(metrics["train"]["bias"]) < 1e-5
    assert abs(metrics["test"]["bias"]) > 1e-3


def test_metrics_table_and_report_agree(
    tiny_run: Path, metrics: dict, table: pd.DataFrame, cube: xr.Dataset, prediction: xr.Dataset
) -> None:
    whole = table[table["biome"] == "all"].set_index("year")
    years = metrics["region"]["by_year_TgC"]
    for year, total in years.items():
        assert whole.loc[int(year), "flux_TgC"] == pytest.approx(total, rel=1e-5)
        parts = table[(table["year"] == int(year)) & (table["biome"] != "all")]
        assert parts["flux_TgC"].sum() == pytest.approx(total, rel=1e-5)
    mean = sum(years.values()) / 3
    assert metrics["region"]["flux_TgC_per_year"] == pytest.approx(mean, rel=1e-9)
    # The reference of the table and its scores tell of one difference.
    both = whole.loc[[2008, 2009]]
    bias = (both["flux_TgC"] - both["reference_TgC"]).sum() / 2
    assert metrics["reference"]["bias_TgC_per_year"] == pytest.approx(bias, rel=1e-4)
    target = cube["flux_target"].where(prediction["flux"].notnull()).sel(time="2009")
    observed = float(monthly_total(target, cube["cell_area"]).sum())
    assert metrics["test"]["bias_TgC_per_year"] == pytest.approx(years["2009"] - observed, rel=1e-5)
    assert sum(m["n"] for m in metrics["by_month"].values()) == metrics["test"]["n"]

    page = (tiny_run / "report" / "index.html").read_text(encoding="utf-8")
    text = html.unescape(re.sub(r"<[^>]+>", " ", page)).replace("−", "-")
    assert "A tiny region" in text
    assert "synthetic" in text.lower()
    assert f"{metrics['test']['r']:.2f}" in text
    assert f"{abs(metrics['region']['flux_TgC_per_year']):,.0f}" in text
    assert f"{abs(metrics['test']['bias_TgC_per_year']):,.0f}" in text
    assert not re.search(r"""(?:src|href)=["']https?:""", page)


def test_a_second_run_does_nothing(tiny_run: Path, cli: Callable) -> None:
    before = {p: p.stat().st_mtime_ns for p in tiny_run.rglob("*") if p.is_file()}
    done = cli("run", "-C", tiny_run)
    assert done.returncode == 0
    assert done.stdout.count("up to date") == len(STAGES)
    assert {p: p.stat().st_mtime_ns for p in tiny_run.rglob("*") if p.is_file()} == before
    assert not partials(tiny_run)


def test_a_moved_project_and_another_working_directory_run_nothing(
    tiny_run: Path, copy_of: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_of(tiny_run)
    edit(project, '"{{ CATALOG_DIR }}/data"', "data", "data_catalog.yaml")
    assert ran(project) == set()
    monkeypatch.chdir(project)
    assert ran(Path()) == set()


def test_a_lost_output_is_made_again(tiny_run: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_run)
    (project / "report" / "index.html").unlink()
    assert ran(project) == {"report"}
    assert (project / "report" / "index.html").exists()


def test_files_of_another_period_do_not_stay(tiny_run: Path, copy_of: Copy) -> None:
    project = copy_of(tiny_run)
    # The last year goes; its maps and bands would else stand beside the new ones.
    edit(project, "end: 2009-12}\nland", "end: 2009-06}\nland")
    edit(project, "start: 2009-01, end: 2009-12", "start: 2009-01, end: 2009-06")
    edit(project, "period: {start: 2007-01", "period: {start: 2007-02")
    edit(project, "train: {start: 2007-01", "train: {start: 2007-02")
    mine = project / "maps" / "mine.png"
    mine.write_bytes(b"kept")
    edit(project, "2009-06}\nland", "2008-12}\nland")
    edit(project, "train: {start: 2007-02, end: 2007-12}", "train: {start: 2007-02, end: 2007-10}")
    edit(project, "start: 2008-01, end: 2008-12", "start: 2007-11, end: 2007-12")
    edit(project, "start: 2009-01, end: 2009-06", "start: 2008-01, end: 2008-12")
    assert ran(project) == set(STAGES) - {"biomes"}
    names = {p.name for folder in ("maps", "products") for p in (project / folder).iterdir()}
    assert not [n for n in names if "2009" in n]
    assert "flux_2008.tif" in names
    assert mine.exists()


def test_a_killed_run_goes_on(tiny_inputs: Path, tiny_run: Path, copy_of: Copy, cli: Any) -> None:
    project = copy_of(tiny_inputs)
    command = Path(sys.executable).with_name("narcf-geo")
    running = subprocess.Popen(
        [command, "run", "-C", project], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    manifest = project / "manifest.json"
    for _ in range(1200):
        if manifest.exists() and "cube" in json.loads(manifest.read_text())["steps"]:
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert not (project / "model").exists()
    done = cli("run", "-C", project)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("up to date") == 3
    assert not partials(project)
    assert same_bytes(project) == same_bytes(tiny_run)
