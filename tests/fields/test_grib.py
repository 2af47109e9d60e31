"""GRIB files of both editions, in the layouts of ECMWF and NCEP, through the real commands."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.fields.formats import Opening, open_format

PACKAGE = Path(__file__).parents[2] / "narcf_geo"
VALUES = np.arange(12.0).reshape(3, 4)
GRID = {
    "Ni": 4,
    "Nj": 3,
    "latitudeOfFirstGridPointInDegrees": 42,
    "latitudeOfLastGridPointInDegrees": 40,
    "longitudeOfFirstGridPointInDegrees": 250,
    "longitudeOfLastGridPointInDegrees": 253,
    "iDirectionIncrementInDegrees": 1,
    "jDirectionIncrementInDegrees": 1,
}


@pytest.fixture
def write() -> Callable[..., None]:
    """Return a function that adds a field to a GRIB file; skips where ecCodes is absent."""
    import pyproj

    assert pyproj
    pytest.importorskip("cfgrib", reason="the extra grib (cfgrib, ecCodes) is not installed")
    import eccodes

    def add(path: Path, values: np.ndarray, edition: int = 2, **keys: Any) -> None:
        kind = "pl" if "level" in keys else "sfc"
        message = eccodes.codes_grib_new_from_samples(f"regular_ll_{kind}_grib{edition}")
        # The end of an interval is told from the date at the time its step is set.
        steps = {key: keys.pop(key) for key in ("stepType", "stepRange") if key in keys}
        for key, value in {**GRID, "dataTime": 0, **keys, **steps}.items():
            eccodes.codes_set(message, key, value)
        eccodes.codes_set_values(message, values.ravel())
        with path.open("ab") as file:
            eccodes.codes_write(message, file)
        eccodes.codes_release(message)

    return add


def run(*args: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "narcf_geo", *args]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("edition", [1, 2])
def test_every_variable_and_a_clean_end(
    tmp_path: Path, write: Callable[..., None], edition: int
) -> None:
    path = tmp_path / "many.grib"
    for month in (1, 2, 3):
        at = {"dataDate": 20080001 + 100 * month, "edition": edition}
        write(path, 280 + VALUES + month, shortName="2t", **at)
        write(path, VALUES - month, shortName="10u", **at)
        write(path, 99000 + 100 * VALUES, shortName="sp", **at)
        for level in (850, 500):
            write(path, 200 + level / 10 + VALUES + month, shortName="t", level=level, **at)
    added = run("catalog", "add", "many.grib", folder=tmp_path)
    shown = run("catalog", "show", "many", "--catalog", "data_catalog.yaml", folder=tmp_path)
    for done in (added, shown):
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
    for text in ('temp: {name: "t2m"}', '"u10"', 'pres: {name: "sp"}', "isobaricInhPa: 850.0"):
        assert text in added.stdout
    assert "2008-01 to 2008-03, 3 months" in shown.stdout
    ds = open_format(path)
    np.testing.assert_allclose(ds["t2m"][1], 282 + VALUES, atol=1e-2)
    np.testing.assert_allclose(ds["u10"][2], VALUES - 3, atol=1e-2)
    levels = ds["t"].sel(isobaricInhPa=500).isel(time=0)
    np.testing.assert_allclose(levels, 251 + VALUES, atol=1e-2)
    assert ds["t"].chunks is not None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data_catalog.yaml", "many.grib"]


def test_proj_works_after_a_grib_file(tmp_path: Path, write: Callable[..., None]) -> None:
    write(tmp_path / "a.grib", VALUES, shortName="2t", dataDate=20080101)
    text = (
        "import sys; from pathlib import Path\n"
        "{first}"
        "import pyproj; print(pyproj.CRS(32613).name)\n"
    )
    ours = "from narcf_geo.fields.formats import open_format\nopen_format(Path('a.grib')).load()\n"
    done = subprocess.run(
        [sys.executable, "-c", text.format(first=ours)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "WGS 84 / UTM zone 13N\n"


def test_a_mean_is_stamped_within_its_interval(tmp_path: Path, write: Callable[..., None]) -> None:
    # As NCEP writes a mean over January: from its first moment to the first of February.
    path = tmp_path / "mean.grib2"
    hours = {"20080101": 744, "20080201": 696}
    for date, length in hours.items():
        write(
            path,
            280 + VALUES,
            shortName="ssrd",
            stepType="accum",
            stepRange=f"0-{length}",
            dataDate=int(date),
        )
    stamps = pd.DatetimeIndex(open_format(path)["time"].values)
    assert stamps.month.tolist() == [1, 2]
    assert ((stamps.day >= 14) & (stamps.day <= 18)).all()


def test_steps_of_forecasts_become_valid_times(tmp_path: Path, write: Callable[..., None]) -> None:
    path = tmp_path / "steps.grib2"
    for day in (2, 1):
        for step in (0, 12):
            at = {"dataDate": 20080100 + day, "stepRange": str(step)}
            write(path, VALUES + 100 * day + step, shortName="2t", **at)
    ds = open_format(path)
    assert ds["time"].values.tolist() == (
        pd.date_range("2008-01-01", periods=4, freq="12h").as_unit("ns").values.tolist()
    )
    first = ds["t2m"].isel(latitude=0, longitude=0).values
    np.testing.assert_allclose(first, [100, 112, 200, 212], atol=0.1)
    # A forecast of the first day for the second is there beside that of the second.
    write(path, VALUES, shortName="2t", dataDate=20080101, stepRange="24")
    write(path, VALUES, shortName="2t", dataDate=20080102, stepRange="24")
    with pytest.raises(NarcfError, match=r"'t2m': expected one field for each time.*filter_by_key"):
        open_format(path)
    chosen = {"backend_kwargs": {"filter_by_keys": {"step": 12}}}
    assert open_format(path, how=Opening(xarray_kwargs=chosen)).sizes["time"] == 2


def test_unlike_times_are_refused_unless_one_is_wanted(
    tmp_path: Path, write: Callable[..., None]
) -> None:
    path = tmp_path / "unlike.grib2"
    write(path, VALUES, shortName="sp", dataDate=20080101)
    for day in (1, 2):
        write(path, VALUES + day, shortName="2t", dataDate=20080100 + day)
    with pytest.raises(NarcfError, match="other times than"):
        open_format(path)
    assert open_format(path, how=Opening(wanted=("t2m",)))["t2m"].sizes["time"] == 2


def test_a_file_cut_short_is_said_in_words(tmp_path: Path, write: Callable[..., None]) -> None:
    path = tmp_path / "cut.grib2"
    for month in (1, 2):
        write(path, VALUES, shortName="2t", dataDate=20080001 + 100 * month)
    path.write_bytes(path.read_bytes()[:-20])
    done = run("catalog", "add", "cut.grib2", folder=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "damaged or incomplete" in " ".join(done.stderr.split())


def test_an_unlike_name_where_a_variable_is_on_two_kinds_of_level(
    tmp_path: Path, write: Callable[..., None]
) -> None:
    path = tmp_path / "kinds.grib2"
    write(path, VALUES, shortName="t", level=850, dataDate=20080101)
    other = {"typeOfFirstFixedSurface": 1, "dataDate": 20080101}
    write(path, VALUES + 50, parameterCategory=0, parameterNumber=0, **other)
    ds = open_format(path)
    assert len(ds.data_vars) == 2
    assert {round(float(a.max())) for a in ds.data_vars.values()} == {11, 61}


def test_nothing_opens_a_file_without_naming_an_engine() -> None:
    """Asked to guess, xarray loads cfgrib, and with it a second PROJ, before pyproj's."""
    unnamed, named = [], 0
    for path in PACKAGE.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            if call.func.attr not in ("open_dataset", "load_dataset", "open_mfdataset"):
                continue
            keys = {key.arg for key in call.keywords}
            # None stands for `**kwargs`, of which formats.py puts the engine first.
            if "engine" in keys or (None in keys and path.name == "formats.py"):
                named += 1
            else:
                unnamed.append(f"{path}:{call.lineno}")
    assert unnamed == []
    assert named > 3


def test_times_of_a_climatology_stay_numbers(tmp_path: Path, write: Callable[..., None]) -> None:
    path = tmp_path / "clim.grib2"
    for month in (1, 2):
        write(path, VALUES, shortName="2t", dataDate=20080001 + 100 * month)
    ds = open_format(path, how=Opening(decode_times=False))
    assert ds["time"].dtype.kind in "if"
    dated = xr.decode_cf(ds)
    assert pd.DatetimeIndex(dated["time"].values).month.tolist() == [1, 2]
