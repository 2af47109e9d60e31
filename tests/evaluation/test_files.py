"""Two files of a user: units, months, grids and names as products have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from places import cells, like_a_map, like_an_inversion
from shapely.geometry import box

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.evaluation import compare
from narcf_geo.evaluation.files import COLUMNS, evaluate_files, table_rows
from narcf_geo.evaluation.variability import components
from narcf_geo.grid import Grid

MONTHS = pd.date_range("2007-03", "2009-02", freq="MS")
LAT, LON = np.arange(40.5, 45), np.arange(-99.5, -93)
COORDS = {
    "lat": ("lat", LAT, {"units": "degrees_north"}),
    "lon": ("lon", LON, {"units": "degrees_east"}),
}
AREA = like_a_map(cells(Grid.regular(-100, 40, -93, 45, 1).area, LAT, LON, units="m2"))


def dataset(values: np.ndarray, name: str, units: str, time: Any = MONTHS) -> xr.Dataset:
    field = (("time", "lat", "lon"), values, {"units": units})
    return xr.Dataset({name: field}, coords={"time": time, **COORDS})


@pytest.fixture
def values() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(9)
    observed = rng.normal(0, 1, (24, 5, 7)) + np.arange(7) / 3
    return 0.7 * observed + rng.normal(0.1, 0.3, observed.shape), observed


@pytest.fixture
def files(tmp_path: Path, values: tuple) -> tuple[Path, Path]:
    estimate, observed = values
    one, other = tmp_path / "estimate.nc", tmp_path / "observed.nc"
    ours = dataset(estimate, "flux", "umol m-2 s-1")
    ours["flux_std"] = ours["flux"] * 0 + 0.3
    ours["biome"] = ("lat", "lon"), np.arange(35).reshape(5, 7) % 2 * 11 + 1
    like_an_inversion(ours).to_netcdf(one)
    grams = dataset(observed * 12.011e-6 * 86400, "NEE", "gC m-2 d-1", MONTHS + pd.Timedelta("14D"))
    like_a_map(grams).to_netcdf(other)
    return one, other


def expected(values: tuple) -> tuple[xr.DataArray, xr.DataArray]:
    ours, theirs = (dataset(v, "flux", "umol m-2 s-1")["flux"] for v in values)
    return ours, theirs


def test_scores_are_those_of_the_arrays(files: tuple, values: tuple, tmp_path: Path) -> None:
    out = tmp_path / "scores" / "metrics.json"
    found = evaluate_files(*files, out)
    pair = expected(values)
    for key, value in compare(*pair, AREA).items():
        assert found["all"][key] == (pytest.approx(value, rel=1e-9) if key != "period" else value)
    anomalies = components(*pair, AREA)["anomalies"]
    assert found["components"]["anomalies"]["r"] == pytest.approx(anomalies["r"], abs=1e-9)
    assert list(found["by_biome"]) == ["1", "12"]
    assert list(found["by_year"]) == ["2007", "2008", "2009"]
    assert found["notes"] == []
    assert found["observed"]["variable"] == "NEE"
    assert json.loads(out.read_text()) == found
    # The control: rows the other way round have other scores.
    turned = compare(pair[0], pair[1].copy(data=pair[1].values[:, ::-1]), AREA)
    assert abs(turned["r"] - found["all"]["r"]) > 0.1


def test_the_finer_grid_goes_to_the_coarser(files: tuple, values: tuple, tmp_path: Path) -> None:
    """Quarters of cells that average to the cell, on a larger box of other longitudes."""
    fine = np.repeat(np.repeat(values[1], 2, axis=1), 2, axis=2)
    wave = 0.4 * np.array([1, -1])
    fine = fine + np.tile(wave, 7) * np.ones((24, 10, 1))
    ds = xr.Dataset(
        {"NEE": (("time", "latitude", "longitude"), fine, {"units": "umol m-2 s-1"})},
        coords={
            "time": MONTHS,
            "latitude": ("latitude", np.arange(40.25, 45, 0.5), {"units": "degrees_north"}),
            "longitude": ("longitude", np.arange(260.25, 267, 0.5), {"units": "degrees_east"}),
        },
    )
    ds.attrs["synthetic"] = "twin experiment"
    path = tmp_path / "fine.nc"
    ds.to_netcdf(path)
    alike = compare(*expected(values), AREA)
    found = evaluate_files(files[0], path)
    assert found["all"]["rmse"] == pytest.approx(alike["rmse"], rel=1e-9)
    assert "fine.nc was regridded" in found["notes"][0]
    assert "synthetic" in found["notes"][1]
    back = evaluate_files(path, files[0])
    assert back["grid"] == found["grid"]
    assert back["all"]["bias"] == pytest.approx(-alike["bias"], rel=1e-9)
    assert "by_biome" not in back


def test_daily_values_become_months(files: tuple, values: tuple, tmp_path: Path) -> None:
    days = pd.date_range("2007-03-01", "2007-06-30", freq="D")
    daily = dataset(values[1][days.month - 3], "flux", "umol m-2 s-1", days)
    daily.to_netcdf(tmp_path / "daily.nc")
    found = evaluate_files(files[0], tmp_path / "daily.nc")
    one, other = expected(values)
    assert found["all"]["rmse"] == pytest.approx(compare(one[:4], other[:4], AREA)["rmse"], 1e-9)
    assert found["all"]["period"] == ["2007-03", "2007-06"]
    assert found["components"]["anomalies"] is None


def test_regions_and_the_table(files: tuple, tmp_path: Path) -> None:
    path = tmp_path / "states.gpkg"
    shapes = [box(-100, 40, -97, 45), box(-97, 40, -93, 45)]
    gpd.GeoDataFrame({"name": ["West", "East"]}, geometry=shapes, crs=4326).to_file(path)
    found = evaluate_files(*files, regions=path)
    assert found["by_region"]["West"]["n"] + found["by_region"]["East"]["n"] == found["all"]["n"]
    rows = [row for group in table_rows(found) for row in group]
    assert {len(row) for row in rows} == {len(COLUMNS)}
    table = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in rows}
    assert table["all"]["r"] == f"{found['all']['r']:.3f}"
    assert table["West"]["pairs"] == "360"
    assert table["croplands"]["RMSE"] == f"{found['by_biome']['12']['rmse']:.3f}"
    assert table["anomalies"]["bias"] == ""
    assert table["monthly total, TgC"]["r"]
    with pytest.raises(UsageError, match=r"no\.shp: no such file"):
        evaluate_files(*files, regions=tmp_path / "no.shp")
    with pytest.raises(UsageError, match="expected a file of polygons"):
        evaluate_files(*files, regions=files[0])
    with pytest.raises(UsageError, match="'state'"):
        evaluate_files(*files, regions=path, region_name="state")


def test_a_turned_sign_is_pointed_out(values: tuple, files: tuple, tmp_path: Path) -> None:
    dataset(-values[1], "flux", "umol m-2 s-1").to_netcdf(tmp_path / "sink.nc")
    (note,) = evaluate_files(files[0], tmp_path / "sink.nc")["notes"]
    assert "uptake" in note


def test_bad_files_say_what_is_wrong(values: tuple, files: tuple, tmp_path: Path) -> None:
    one = files[0]
    path = tmp_path / "bad.nc"

    def found(ds: xr.Dataset, **options: str) -> None:
        path.unlink(missing_ok=True)
        ds.to_netcdf(path)
        evaluate_files(one, path, **options)  # type: ignore[arg-type]

    good = dataset(values[1], "a", "umol m-2 s-1")
    with pytest.raises(UsageError, match=r"none\.nc: no such file"):
        evaluate_files(one, tmp_path / "none.nc")
    with pytest.raises(UsageError, match=r"found a \(umol m-2 s-1\), b .*; name the variable"):
        found(good.assign(b=good["a"]))
    with pytest.raises(UsageError, match="expected the variable 'c', found a"):
        found(good, observed_variable="c")
    with pytest.raises(UsageError, match=r"found temp \(K\)"):
        found(dataset(values[1], "temp", "K"))
    with pytest.raises(UsageError, match="does not say of what"):
        found(dataset(values[1], "flux", "g m-2 day-1"))
    with pytest.raises(UsageError, match="unit"):
        found(dataset(values[1], "flux", ""))
    with pytest.raises(UsageError, match="months along 'time'"):
        found(good.isel(time=0))
    with pytest.raises(UsageError, match="expected dates along time"):
        found(good.assign_coords(time=np.arange(24)))
    with pytest.raises(NarcfError, match=r"2007-03 to 2009-02 .* and 2017-03 to 2019-02"):
        found(good.assign_coords(time=MONTHS + pd.DateOffset(years=10)))
    with pytest.raises(NarcfError, match="expected cells with a value in both"):
        found(good.assign(a=good["a"].where(good["a"] > 99)))
    with pytest.raises(NarcfError, match="expected"):
        found(good.assign_coords(lat=("lat", LAT + 30, {"units": "degrees_north"})))
