"""A drafted entry is valid, says what the file says, and leaves the catalog's comments alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.catalog.add import append, draft
from narcf_geo.catalog.catalog import Catalog
from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.filenames import month_in
from narcf_geo.core.lock import hold_output

OLD = """\
# mine
sources:
  first:
    description: x  # kept
    driver: netcdf
    args: {urlpath: a.nc}
    metadata: {role: predictor}

metadata:  # after the sources
  version: 1
"""


def hourly(path: Path) -> None:
    time = pd.date_range("2001-01-30", periods=96, freq="h")
    xr.Dataset(
        {
            "t2m": (("time", "lat", "lon"), np.full((96, 2, 3), 280.0), {"units": "K"}),
            "odd": (("time", "lat", "lon"), np.ones((96, 2, 3)), {"units": "furlong"}),
            "tp": (("time", "lat", "lon"), np.ones((96, 2, 3)), {"units": "K"}),
        },
        coords={
            "time": time,
            "lat": ("lat", [40.0, 41.0], {"units": "degrees_north"}),
            "lon": ("lon", [5.0, 6.0, 7.0], {"units": "degrees_east"}),
        },
        attrs={"title": 'A "model": run'},
    ).to_netcdf(path)


def test_the_entry_works(tmp_path: Path) -> None:
    hourly(tmp_path / "hourly.nc")
    catalog = tmp_path / "cat.yaml"
    catalog.write_text(OLD)
    append(draft(tmp_path / "hourly.nc", "model", catalog), "model", catalog)
    text = catalog.read_text()
    for line in OLD.splitlines():
        assert line in text
    entry = Catalog.open(catalog)["model"]
    assert entry.source.description == 'A "model": run'
    assert entry.metadata.monthly_mean == 0.9
    # A name alone does not make precipitation of a temperature.
    assert set(entry.metadata.variables) == {"temp", "odd", "tp"}
    assert "{{ CATALOG_DIR }}/hourly.nc" in text
    with pytest.raises(UsageError, match=r"cat\.yaml:\d+: 'model' is there already"):
        append(draft(tmp_path / "hourly.nc", "model", catalog), "model", catalog)


def test_a_new_catalog(tmp_path: Path, in_process: Callable) -> None:
    hourly(tmp_path / "2001 hourly.nc")
    done = in_process("catalog", "add", tmp_path / "2001 hourly.nc", "-C", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "source_2001_hourly" in done.stdout
    assert list(Catalog.open(tmp_path / "data_catalog.yaml")) == ["source_2001_hourly"]


def test_what_is_no_data_file(tmp_path: Path) -> None:
    (tmp_path / "a.doc").touch()
    (tmp_path / "a.nc").write_bytes(b"not a NetCDF file")
    with pytest.raises(UsageError, match="by hand"):
        draft(tmp_path / "a.doc", "a", tmp_path / "c.yaml")
    with pytest.raises(NarcfError, match=r"a\.nc: cannot be opened as netcdf"):
        draft(tmp_path / "a.nc", "a", tmp_path / "c.yaml")
    with pytest.raises(UsageError, match="no such file"):
        draft(tmp_path / "b.nc", "b", tmp_path / "c.yaml")


def test_real_files_need_little_editing(tmp_path: Path, real: Path) -> None:
    catalog = tmp_path / "c.yaml"
    for path in sorted(real.glob("*.nc")):
        name = path.stem.replace("-", "_")
        append(draft(path, name, catalog), name, catalog)
    entries = Catalog.open(catalog)
    climatologies = {n for n, e in entries.items() if e.metadata.climatology}
    assert climatologies == {
        "erainterim_tas_climatology_1989_2009",
        "gpcp_precip_mon_ltm_1991_2020",
        "soil_wetness_climatology_t30",
    }
    assert entries["mcd12c1_igbp_2005_0p1deg_water17"].metadata.legend == "igbp_water17"
    assert entries["canrcm4_nam44_pr_1950_01"].metadata.monthly_mean == 0.9
    assert {"temp"} == set(entries["ghcn_cams_air_0p5deg_2018"].metadata.variables)


def test_what_is_not_known_is_marked(tmp_path: Path) -> None:
    """A fill value that no attribute names, and a name that YAML takes for a truth value."""
    values = np.full((2, 2, 3), 0.5)
    values[0, 0, 0] = -9999
    dims = ("time", "lat", "lon")
    xr.Dataset(
        {"ndvi": (dims, values, {"units": "1"}), "NO": (dims, abs(values), {"units": "ppb"})},
        coords={
            "time": pd.to_datetime(["2001-01-16", "2001-02-15"]),
            "lat": ("lat", [40.0, 41.0], {"units": "degrees_north"}),
            "lon": ("lon", [5.0, 6.0, 7.0], {"units": "degrees_east"}),
        },
    ).to_netcdf(tmp_path / "a.nc")
    catalog = tmp_path / "c.yaml"
    text = draft(tmp_path / "a.nc", "a", catalog)
    assert "missing: [-9999.0]" in text
    append(text, "a", catalog)
    ds = Catalog.open(catalog)["a"].read().load()
    assert np.isnan(ds["ndvi"].values).sum() == 1
    assert float(ds["ndvi"].min()) == 0.5
    # A value that stands apart, but is none of those that stand for nothing, stays.
    assert float(ds["NO"].max()) == 9999


def test_a_range_of_months_in_a_name_is_no_month() -> None:
    assert month_in("nee_200101.nc") == "2001-01"
    assert month_in("nee_200101_200112.nc") is None
    assert month_in("nee_20010131.nc") is None


ADDS = """
import sys
from pathlib import Path
from narcf_geo.catalog.add import append
entry = "description: x, driver: netcdf, args: {urlpath: a.nc}, metadata: {role: predictor}"
print("ready", flush=True)
sys.stdin.readline()
for number in range(12):
    name = f"{sys.argv[2]}{number}"
    append(f"  {name}: {{{entry}}}\\n", name, Path(sys.argv[1]))
"""


def test_no_entry_is_lost_where_two_add_at_once(tmp_path: Path) -> None:
    catalog = tmp_path / "cat.yaml"
    catalog.write_text(OLD)
    before = list(Catalog.open(catalog))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [
        subprocess.Popen([sys.executable, "-c", ADDS, str(catalog), name], **pipes)
        for name in ("a", "b")
    ]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in both:
        process.communicate()
        assert process.returncode == 0
    added = {f"{name}{number}" for name in "ab" for number in range(12)}
    assert set(Catalog.open(catalog)) == {*before, *added}
    assert [path.name for path in tmp_path.iterdir()] == ["cat.yaml"]


def test_a_catalog_that_stays_locked_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("narcf_geo.catalog.add._PATIENCE", 0.1)
    catalog = tmp_path / "cat.yaml"
    catalog.write_text(OLD)
    hourly(tmp_path / "hourly.nc")
    text = draft(tmp_path / "hourly.nc", "model", catalog)
    with hold_output(catalog), ThreadPoolExecutor(1) as pool:
        other = pool.submit(append, text, "model", catalog)
        with pytest.raises(NarcfError, match=r"cat\.yaml is in use by process"):
            other.result()
    assert catalog.read_text() == OLD
    append(text, "model", catalog)
