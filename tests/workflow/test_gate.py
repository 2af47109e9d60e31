"""The gate on sources in a run: what is impossible stops it, unless it is allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr

from narcf_geo.core.datasets import open_zarr
from narcf_geo.core.errors import FieldError, UsageError
from narcf_geo.project.project import Project
from narcf_geo.workflow import run
from narcf_geo.workflow.state import State

FIRST = {"time": 4, "lat": 2, "lon": 3}


@pytest.fixture
def project(tiny_inputs: Path, copy_of: Callable) -> Path:
    return copy_of(tiny_inputs)


def put(file: Path, **values: float) -> None:
    """Put a value into the fifth month of a variable of a file."""
    ds = xr.load_dataset(file)
    for name, value in values.items():
        ds[name][FIRST] = value
    ds.to_netcdf(file)


def draw(file: Path, number: float, dtype: str, **more: Any) -> None:
    """Put a number into three cells of the map of classes."""
    with rasterio.open(file) as raster:
        classes, profile = raster.read(1).astype(dtype), raster.profile
    classes[50, 60:63] = number
    with rasterio.open(file, "w", **{**profile, "dtype": dtype, **more}) as raster:
        raster.write(classes, 1)


def words_of(done: Any) -> str:
    return " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("file", "values", "words"),
    [
        ("weather.nc", {"air": -9999.0}, ["'weather'", "'temp'", "2007-05 in weather.nc",
                                          "-9999 in the file", "--allow weather.temp"]),
        ("inversion.nc", {"sink": 1e20}, ["'inversion'", "'flux'", "--allow inversion.flux"]),
        ("inversion.nc", {"sink_error": -1.0}, ["'flux_std'", "from 0 to 100"]),
        ("NEE_2009.nc", {"NEE": np.inf}, ["'fluxcom'", "inf", "2009-05 in NEE_2009.nc"]),
        ("ndvi.nc", {"ndvi": 5000.0}, ["'ndvi'", "from -1 to 1, found 5000 in 1 value of 4,320",
                                     "in month 5 in ndvi.nc"]),
    ],
)  # fmt: skip
def test_regrid_refuses_the_impossible(
    project: Path, in_process: Callable, file: str, values: dict[str, float], words: list[str]
) -> None:
    put(project / "data" / file, **values)
    done = in_process("regrid", "-C", project)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in words_of(done)
    source = words[0].strip("'") if "'" in words[0] else "inversion"
    assert not (project / "regridded" / f"{source}.zarr").exists()
    assert f"regrid {source}" not in State.open(Project.open(project)).manifest.steps


def test_what_a_variable_is_made_of_is_looked_at(project: Path, in_process: Callable) -> None:
    """A humidity of -999 would be clipped away in the vapour pressure deficit made of it."""
    file = project / "data" / "weather.nc"
    ds = xr.load_dataset(file)
    ds["rh"] = xr.full_like(ds["air"], 50.0).assign_attrs(units="%")
    ds["rh"][:, 0] = 60.0
    ds["rh"][FIRST] = -999.0
    ds.to_netcdf(file)
    for name, before, after in (
        ("data_catalog.yaml", "{temp: {name: air},", "{temp: {name: air}, rel_hum: {name: rh},"),
        ("narcf.yaml", "[temp, R_sw]", "[vpd, R_sw]"),
    ):
        text = (project / name).read_text()
        assert before in text
        (project / name).write_text(text.replace(before, after))
    done = in_process("regrid", "-C", project)
    assert done.returncode == 1
    assert "variable 'rel_hum': expected values from 0 to 105 %, found -999" in words_of(done)


def test_what_is_allowed_passes_and_is_recorded(project: Path, in_process: Callable) -> None:
    put(project / "data" / "weather.nc", air=400.0, dswrf=-0.1)
    for name in ("ndvi", "weather.R_sw"):
        assert in_process("regrid", "-C", project, "--allow", name).returncode == 1
    done = in_process("regrid", "-C", project, "--allow", "ndvi", "--allow", "weather.temp")
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.split())
    assert "Allowed: " in shown
    assert "found 126.85 in 1 value" in shown
    temp = open_zarr(project / "regridded" / "weather.zarr", "regrid").load()["temp"]
    assert float(temp.max()) == pytest.approx(126.85)
    state = State.open(Project.open(project))
    found = [odd for step in state.manifest.steps.values() for odd in step.findings]
    assert {(f["source"], f["variable"], f["verdict"]) for f in found} == {
        ("weather", "temp", "allowed"),
        ("weather", "R_sw", "warning"),
    }
    assert all("2007-05 in weather.nc" in f["message"] for f in found)
    # Done once, it is done; anew, it is to be allowed anew.
    assert in_process("regrid", "-C", project).returncode == 0
    assert in_process("regrid", "-C", project, "--force").returncode == 1


def test_allow_names_what_is_there(project: Path, in_process: Callable) -> None:
    for stage in ("run", "regrid", "biomes", "train", "predict", "evaluate", "map", "report"):
        done = in_process(stage, "-C", project, "--allow", "wether")
        assert done.returncode == 2
        assert "--allow wether: expected a source" in words_of(done)
        assert "did you mean 'weather'" in words_of(done)
    assert not (project / "regridded").exists()
    with pytest.raises(UsageError, match=r"weather\.flux.*there are: .*weather\.R_sw"):
        run(project, "biomes", allow=["weather.flux"])
    assert run(project, "biomes", allow=["igbp.land_cover", "inversion.flux_std"])


@pytest.mark.parametrize(
    ("number", "dtype", "words"),
    [
        (100, "uint8", ["found 100 in 3 of 5,760", "igbp.tif", "missing: [100]"]),
        (18, "int16", ["found 18"]),
        (-9999, "int16", ["found -9999"]),
        (12.5, "float32", ["found 12.5", "cannot be interpolated or averaged"]),
        (np.inf, "float32", ["found inf"]),
        (70000, "int32", ["found 70000"]),
    ],
)
def test_biomes_refuses_what_is_no_class(
    project: Path, in_process: Callable, number: float, dtype: str, words: list[str]
) -> None:
    draw(project / "data" / "igbp.tif", number, dtype)
    done = in_process("biomes", "-C", project)
    assert done.returncode == 1
    for word in ("'igbp'", "expected IGBP classes 0 to 17", "--allow igbp.land_cover", *words):
        assert word in words_of(done)
    assert not (project / "biomes.zarr").exists()


def test_what_is_no_class_is_nodata_where_it_is_allowed_or_stated(project: Path) -> None:
    file = project / "data" / "igbp.tif"
    draw(file, 255, "uint8")
    run(project, "biomes")
    expected = open_zarr(project / "biomes.zarr", "biomes").load()
    for number, dtype in ((100, "uint8"), (12.5, "float32")):
        draw(file, number, dtype)
        with pytest.raises(FieldError):
            run(project, "biomes")
        (done,) = run(project, "biomes", allow=["igbp"])
        assert [(f.variable, f.allowed) for f in done.findings] == [("land_cover", True)]
        xr.testing.assert_identical(open_zarr(project / "biomes.zarr", "biomes").load(), expected)
    draw(file, 100, "uint8")
    catalog = project / "data_catalog.yaml"
    text = catalog.read_text()
    stated = "legend: igbp_water0, variables: {land_cover: {missing: [100]}}"
    catalog.write_text(text.replace("legend: igbp_water0", stated))
    (done,) = run(project, "biomes")
    assert done.findings == []
    xr.testing.assert_identical(open_zarr(project / "biomes.zarr", "biomes").load(), expected)
    # As nodata of the file itself, too.
    catalog.write_text(text)
    draw(file, 100, "uint8", nodata=100)
    assert run(project, "biomes")[0].findings == []


def test_the_other_legend_stops_a_run(project: Path) -> None:
    """Land as class 0 is water well inland."""
    file = project / "data" / "igbp.tif"
    with rasterio.open(file) as raster:
        classes, profile = raster.read(1), raster.profile
    classes[:, :35] = 0
    with rasterio.open(file, "w", **profile) as raster:
        raster.write(classes, 1)
    with pytest.raises(FieldError, match=r"expected land well inland.*--allow igbp\.land_cover"):
        run(project, "biomes")
    assert run(project, "biomes", allow=["igbp"])[0].findings[0].allowed


def test_the_other_sign_is_a_warning(project: Path) -> None:
    """The inversion of the small project counts uptake as positive."""
    (done,) = run(project, "regrid")
    assert done.findings == []
    catalog = project / "data_catalog.yaml"
    catalog.write_text(catalog.read_text().replace("sign: uptake", "sign: to_atmosphere"))
    (done,) = run(project, "regrid")
    (warning,) = done.findings
    assert (warning.source, warning.variable, warning.allowed) == ("inversion", "flux", False)
    assert "the sign is probably the other" in warning.text
