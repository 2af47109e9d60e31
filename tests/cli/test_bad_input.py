"""Bad input through the real command: one message, the right exit code, nothing half written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from refusals import contents, refused


@pytest.fixture
def project(tiny_inputs: Path, copy_of: Callable) -> Path:
    return copy_of(tiny_inputs)


def edit(project: Path, name: str, before: str, after: str) -> None:
    text = (project / name).read_text()
    assert before in text
    (project / name).write_text(text.replace(before, after, 1))


def rewrite(path: Path, change: Callable[[xr.Dataset], xr.Dataset], **kwargs: str) -> None:
    with xr.open_dataset(path) as ds:
        changed = change(ds.load())
    changed.to_netcdf(path, **kwargs)


NARCF, CATALOG = "narcf.yaml", "data_catalog.yaml"


@pytest.mark.parametrize(
    ("name", "before", "after", "code", "words"),
    [
        (NARCF, "[temp, R_sw]", "[temp, R_sv]", 1, ["'weather'", "R_sv", "variables:"]),
        (NARCF, "region: {name: Tiny, west: -100, south: 40, east: -88, north: 50}",
         "region: {name: Tiny, west: 10, south: 40, east: 22, north: 50}", 1,
         ["'weather'", "source touches"]),
        (NARCF, "start: 2007-01, end: 2009-12}\nland", "start: 2007-01, end: 2010-12}\nland", 1,
         ["'weather'", "2010-01 to 2010-12", "12 of them are absent", "2007-01 to 2009-12"]),
        (CATALOG, "name: air", "name: temperature", 1,
         ["weather.nc", "'temperature'", "not in the file", "air, dswrf"]),
        (CATALOG, "{name: dswrf}", "{name: dswrf, units: K}", 1,
         ["weather.nc", "'K' does not convert to 'W m-2'"]),
        (CATALOG, "{{ data }}/weather.nc", "{{ data }}/wether.nc", 1,
         ["'weather'", "wether.nc", "found none"]),
        (CATALOG, "{{ data }}/weather.nc", "{{ date }}/weather.nc", 2,
         ["'weather'", "{{ date }}", "parameter"]),
        (CATALOG, "product: fluxcom", "product: fluxnet", 2, ["'fluxnet'", "narr"]),
    ],
)  # fmt: skip
def test_settings_and_catalog(
    project: Path,
    in_process: Callable,
    name: str,
    before: str,
    after: str,
    code: int,
    words: list[str],
) -> None:
    edit(project, name, before, after)
    inputs = contents(project)
    refused(in_process("run", "-C", project), code, *words)
    after = contents(project)
    # Sources that were regridded before are kept, and known to be.
    kept = ("regridded/", "manifest.json", ".narcf/hashes.json")
    assert {k: v for k, v in after.items() if not k.startswith(kept)} == inputs
    assert not [k for k in after if ".partial" in k]


def test_as_a_user_sees_it(project: Path, cli: Callable) -> None:
    edit(project, NARCF, "title:", "tilte:")
    done = cli("run", "-C", project)
    refused(done, 2, "narcf.yaml:1", "did you mean 'title'")
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_a_unit_that_is_missing(project: Path, in_process: Callable) -> None:
    def strip(ds: xr.Dataset) -> xr.Dataset:
        del ds["air"].attrs["units"]
        return ds

    rewrite(project / "data" / "weather.nc", strip)
    refused(in_process("regrid", "-C", project), 1, "weather.nc", "'air'", "'degC'", "units:")
    assert not (project / "regridded").exists()


@pytest.mark.parametrize("share", [0.02, 0.7])
def test_a_truncated_file(project: Path, in_process: Callable, share: float) -> None:
    path = project / "data" / "inversion.nc"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    refused(in_process("run", "-C", project), 1, "inversion.nc", "'inversion'", "damaged")
    assert not (project / "cube.zarr").exists()
    assert not (project / "regridded" / "inversion.zarr").exists()


def test_a_file_whose_data_are_damaged(project: Path, in_process: Callable) -> None:
    path = project / "data" / "inversion.nc"
    with xr.open_dataset(path) as ds:
        ds.load()
    encoding = {n: {"zlib": True, "fletcher32": True} for n in ds.data_vars}
    path.unlink()
    ds.to_netcdf(path, engine="netcdf4", encoding=encoding)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(data)
    refused(in_process("run", "-C", project), 1, "inversion", "damaged")
    assert not (project / "regridded" / "inversion.zarr").exists()


def test_a_damaged_land_cover(project: Path, in_process: Callable) -> None:
    path = project / "data" / "igbp.tif"
    path.write_bytes(path.read_bytes()[:1500])
    refused(in_process("biomes", "-C", project), 1, "igbp")
    assert not (project / "biomes.zarr").exists()


def test_a_target_without_a_value(project: Path, in_process: Callable) -> None:
    rewrite(project / "data" / "inversion.nc", lambda ds: ds * np.nan)
    words = ["'inversion'", "'flux'"]
    edit(project, CATALOG, "name: sink}", "name: sink, units: mol m-2 s-1}")
    edit(project, CATALOG, "name: sink_error}", "name: sink_error, units: mol m-2 s-1}")
    refused(in_process("run", "-C", project), 1, *words, "no valid value in the region")


def test_parameters_of_the_catalog(project: Path, in_process: Callable) -> None:
    missing = project / "nowhere"
    refused(
        in_process("regrid", "-C", project, "--set", f"data={missing}"), 1, "nowhere/weather.nc"
    )


def test_init_does_not_overwrite(project: Path, in_process: Callable, tmp_path: Path) -> None:
    inputs = contents(project)
    refused(in_process("init", project), 2, "narcf.yaml", "not overwritten")
    assert contents(project) == inputs
    file = tmp_path / "file"
    file.write_text("mine")
    refused(in_process("init", file), 2, "expected a folder")
    assert file.read_text() == "mine"


def test_a_failed_stage_keeps_what_was_done(
    tiny_run: Path, copy_of: Callable, in_process: Callable
) -> None:
    project = copy_of(tiny_run)
    settings = project / "narcf.yaml"
    text = settings.read_text()
    settings.write_text(f"{text}\nregions: parts.geojson\n")
    (project / "parts.geojson").write_text("no polygons")
    before = contents(project)
    done = in_process("predict", "-C", project, "--force")
    refused(done, 2, "parts.geojson")
    after = contents(project)
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    places = {"manifest.json", ".narcf", "prediction.zarr"}
    assert {name.split("/")[0] for name in changed} <= places
    # What was asked for and failed is done the next time.
    settings.write_text(text)
    shown = in_process("predict", "-C", project).stdout
    assert shown.count("up to date") == 4
    assert "predict     up to date" not in shown
