"""A gridded flux at towers: the cell that contains each, and what is scored."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.evaluation.towers import anomalies, evaluate_towers
from narcf_geo.grid import Grid
from narcf_geo.outputs.scores import COLUMNS, score_table, write_scores

MONTHS = pd.date_range("2003-01", "2005-12", freq="MS")
SITES = pd.DataFrame(
    {
        "site": ["US-Ne1", "US-Ne3", "CA-Man", "US-UMB"],
        "lat": [41.165, 41.18, 55.88, 45.56],
        "lon": [-96.477, -96.44, -98.481, -84.714],
        "igbp": ["CRO", "CRO", "ENF", "DBF"],
    }
)


def field(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """A flux, umol m-2 s-1, that tells every cell and month from every other."""
    season = np.cos(2 * np.pi * (MONTHS.month.to_numpy() - 7) / 12)
    trend = np.arange(36) / 50
    return (
        -season[:, None, None] * (2 + (lat % 7)[:, None] / 5)
        + (lon % 11) / 9
        + trend[:, None, None]
    )


def dataset(**attrs: str) -> xr.Dataset:
    lat, lon = np.arange(38.5, 60), np.arange(-105.5, -80)
    coords = {
        "time": MONTHS,
        "lat": ("lat", lat, {"units": "degrees_north"}),
        "lon": ("lon", lon, {"units": "degrees_east"}),
    }
    flux = ("time", "lat", "lon"), field(lat, lon), {"units": "umol m-2 s-1"}
    ds = xr.Dataset({"flux": flux}, coords, attrs)
    ds["biome"] = ("lat", "lon"), (np.arange(lat.size * lon.size) % 16 + 1).reshape(22, 26)
    return ds


def rows(seed: int = 5) -> pd.DataFrame:
    """Towers in g C m-2 day-1 with an error, in an order of their own."""
    rng = np.random.default_rng(seed)
    table = SITES.merge(pd.DataFrame({"time": MONTHS}), how="cross")
    here = [
        field(np.floor(t.lat) + np.array([0.5]), np.floor(t.lon) + np.array([0.5]))[
            t.time == MONTHS
        ]
        for t in table.itertuples()
    ]
    table["truth"] = np.ravel(here)
    table["umol"] = table["truth"] + rng.normal(0.3, 0.5, len(table))
    table["NEE (g C m-2 day-1)"] = table["umol"] * 12.011e-6 * 86400
    table["month"] = table.pop("time").dt.strftime("%Y-%m")
    return table.sample(frac=1, random_state=1)


def towers(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=["truth", "umol"])


def right(table: pd.DataFrame) -> dict[str, float]:
    """Scores by the definitions, with pandas alone."""
    error = table["truth"] - table["umol"]
    return {
        "r": table["truth"].corr(table["umol"]),
        "rmse": (error**2).mean() ** 0.5,
        "bias": error.mean(),
        "n": len(table),
    }


def assert_right(found: dict[str, Any], table: pd.DataFrame) -> None:
    expected = right(table)
    assert {k: found[k] for k in expected} == pytest.approx(expected, rel=1e-9)


def test_every_part_is_scored_by_its_definition(tmp_path: Path) -> None:
    table = rows()
    dataset().to_netcdf(tmp_path / "flux.nc")
    towers(table).to_csv(tmp_path / "towers.csv", index=False)
    found = evaluate_towers(tmp_path / "flux.nc", tmp_path / "towers.csv")
    assert_right(found["all"], table)
    assert list(found["by_site"]) == sorted(SITES["site"])
    assert_right(found["by_site"]["CA-Man"], table[table["site"] == "CA-Man"])
    assert found["by_site"]["CA-Man"]["igbp"] == "ENF"
    assert list(found["by_igbp"]) == ["ENF", "DBF", "CRO"]
    assert found["by_igbp"]["CRO"]["sites"] == 2
    assert_right(found["by_igbp"]["CRO"], table[table["igbp"] == "CRO"])
    assert list(found["by_month"]) == [str(m) for m in range(1, 13)]
    assert_right(found["by_month"]["9"], table[table["month"].str.endswith("-09")])
    assert_right(found["site_means"], table.groupby("site")[["truth", "umol"]].mean())
    means = table.groupby(["site", table["month"].str[-2:]])[["truth", "umol"]].transform("mean")
    assert_right(found["anomalies"], table[["truth", "umol"]] - means)
    assert found["unmatched"] == {}
    assert found["notes"] == ["2 towers share a cell with another: US-Ne1, US-Ne3"]
    # A control: the cells north of these have other scores.
    moved = evaluate_towers(dataset(), towers(table).assign(lat=lambda t: t["lat"] + 1))
    assert abs(moved["all"]["rmse"] - found["all"]["rmse"]) > 0.01


def turned(ds: xr.Dataset) -> xr.Dataset:
    return ds.isel(lat=slice(None, None, -1)).assign_coords(
        lon=("lon", ds["lon"].values + 360, {"units": "degrees_east"})
    )


def daily(ds: xr.Dataset) -> xr.Dataset:
    days = pd.date_range("2003-01-01", "2005-12-31")
    return ds.drop_vars("biome").reindex(time=days, method="ffill")


def grams_of_uptake(ds: xr.Dataset) -> xr.Dataset:
    nbp = (-ds["flux"] * 12.011e-6 * 86400).assign_attrs(units="g C m-2 day-1")
    return xr.Dataset({"nbp": nbp})


@pytest.mark.parametrize("change", [turned, daily, grams_of_uptake, lambda ds: ds["flux"]])
def test_files_of_any_convention_score_the_same(change: Callable) -> None:
    table = rows()
    found = evaluate_towers(change(dataset()), towers(table))
    assert_right(found["all"], table)


def test_a_projected_grid() -> None:
    grid = Grid.projected("EPSG:5070", np.arange(-12e5, 13e5, 5e4), np.arange(37e5, 15e5, -5e4))
    ny, nx = grid.shape
    values = np.arange(ny * nx, dtype=float).reshape(ny, nx) / 100 + np.arange(36)[:, None, None]
    dims = ("time", *grid.dims)
    flux = xr.DataArray(values, dims=dims, attrs={"units": "umol m-2 s-1", "grid_mapping": "crs"})
    ds = xr.Dataset({"flux": flux}, coords={**grid.coords(), "time": MONTHS})
    ds["crs"] = ((), 0, grid.grid_mapping)
    found = evaluate_towers(ds, towers(rows()))
    # Where pyproj says that the tower is.
    from pyproj import Transformer

    x, y = Transformer.from_crs("EPSG:4326", "EPSG:5070", always_xy=True).transform(
        SITES["lon"], SITES["lat"]
    )
    cell = ((37e5 - np.array(y)) // 5e4) * nx + (np.array(x) + 12e5) // 5e4
    table = rows()
    number = dict(zip(SITES["site"], cell, strict=True))
    month = pd.to_datetime(table["month"])
    table["truth"] = (
        table["site"].map(number) / 100 + (month.dt.year - 2003) * 12 + month.dt.month - 1
    )
    assert_right(found["all"], table)


def test_what_does_not_match_is_named() -> None:
    table = towers(rows())
    table["share_good"] = np.where(table["month"] < "2003-03", 0.2, 0.9)
    lone = table[table["site"] == "US-UMB"]
    more = [
        table,
        lone.assign(site="Far", lat=-10.0),
        lone.assign(site="Old", month=lone["month"].str.replace("200", "198")),
        lone.assign(site="Sea", lat=50.2, lon=-90.3),
        lone.assign(site="Bad", share_good=0.1),
        lone.assign(site="Gap", **{"NEE (g C m-2 day-1)": -9999.0}),
    ]
    ds = dataset(synthetic="a test")
    ds["flux"].loc[{"lat": 50.5, "lon": -90.5}] = np.nan
    found = evaluate_towers(ds, pd.concat(more))
    assert found["unmatched"] == {
        "off_grid": ["Far"],
        "no_common_months": ["Old"],
        "no_estimate": ["Sea"],
        "no_observation": ["Bad", "Gap"],
    }
    assert list(found["by_site"]) == sorted(SITES["site"])
    assert found["all"]["n"] == 4 * 34
    text = "\n".join(found["notes"])
    assert "1 of 9 towers were not compared, off the grid: Far" in text
    assert "52 of 324 months of towers have a quality share under 0.5" in text
    assert "flux.nc is synthetic" not in text
    assert "is synthetic: a test" in text
    every = evaluate_towers(ds, pd.concat(more), min_quality=0)
    assert every["all"]["n"] == 5 * 36


def test_classes_of_the_cells_where_the_table_has_none() -> None:
    ds = dataset()
    found = evaluate_towers(ds, towers(rows()).drop(columns="igbp"))
    at = ds["biome"].sel(lat=55.5, lon=-98.5).item()
    code = found["by_site"]["CA-Man"]["igbp"]
    assert found["by_igbp"][code]["sites"] == 1
    from narcf_geo.core.constants import IGBP

    assert code == IGBP[at].code
    plain = evaluate_towers(ds.drop_vars("biome"), towers(rows()).drop(columns="igbp"))
    assert "by_igbp" not in plain


def test_nothing_in_common_is_said_in_words() -> None:
    table = towers(rows())
    with pytest.raises(NarcfError, match=r"found none in.*4 off the grid of 4"):
        evaluate_towers(dataset(), table.assign(lat=table["lat"] - 60))
    # Places where latitude and longitude are both possible.
    lat, lon = np.arange(45.5, 55), np.arange(0.5, 20)
    europe = dataset().isel(lat=slice(10), lon=slice(20)).assign_coords(lat=lat, lon=lon)
    exchanged = table.assign(lat=11.0, lon=50.0)
    with pytest.raises(NarcfError, match="latitude and longitude exchanged"):
        evaluate_towers(europe, exchanged)
    with pytest.raises(UsageError, match="least quality from 0 to 1, found 50"):
        evaluate_towers(dataset(), table, min_quality=50)
    with pytest.raises(UsageError, match="months along 'time'"):
        evaluate_towers(dataset().isel(time=0, drop=True), table)


def test_the_wrong_sign_is_pointed_out() -> None:
    found = evaluate_towers(dataset(), towers(rows()), sign="uptake")
    assert found["all"]["r"] < -0.5
    assert "count uptake as positive" in found["notes"][-1]
    assert found["towers"]["positive"] == "uptake"


def test_anomalies_need_two_years() -> None:
    table = rows().rename(columns={"truth": "estimate", "umol": "flux"})
    table["time"] = pd.to_datetime(table["month"])
    one_year = table[(table["site"] != "US-UMB") | (table["time"].dt.year == 2004)]
    assert len(anomalies(table)) == 144
    assert len(anomalies(one_year)) == 108


def test_files_of_scores(tmp_path: Path) -> None:
    found = evaluate_towers(dataset(), towers(rows()).replace({"site": {"CA-Man": "=1+1"}}))
    write_scores(found, tmp_path / "scores.csv")
    table = pd.read_csv(tmp_path / "scores.csv", dtype={"name": str})
    assert tuple(table.columns) == COLUMNS
    assert table["part"].value_counts().to_dict() == {
        "by_month": 12, "by_site": 4, "by_igbp": 3, "all": 1, "site_means": 1, "anomalies": 1,
    }  # fmt: skip
    assert table.set_index("part").loc["all", "rmse"] == pytest.approx(found["all"]["rmse"])
    assert "'=1+1" in set(table["name"])
    assert len(score_table(found)) == 22
    write_scores(found, tmp_path / "scores.json")
    assert json.loads((tmp_path / "scores.json").read_text()) == found
    with pytest.raises(UsageError, match=r"\.csv or \.json"):
        write_scores(found, tmp_path / "scores.txt")
    with pytest.raises(UsageError, match="towers"):
        write_scores(found, tmp_path / "towers.csv", [tmp_path / "towers.csv"])


def test_the_command(tmp_path: Path, cli: Callable) -> None:
    dataset().to_netcdf(tmp_path / "flux.nc")
    table = towers(rows()).rename(columns={"NEE (g C m-2 day-1)": "nee"})
    table.to_csv(tmp_path / "towers.csv", index=False)
    refused = cli("evaluate", "flux.nc", "towers.csv", cwd=tmp_path)
    assert refused.returncode == 1
    assert "'nee': expected its unit, found none" in re.sub(r"\s+", " ", refused.stderr)
    arguments = ("flux.nc", "towers.csv", "--units", "g C m-2 day-1", "--out", "scores.json")
    done = cli("evaluate", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "scores.json").read_text())
    assert_right(found["all"], rows())
    line = next(line.split() for line in done.stdout.splitlines() if "CA-Man" in line)
    expected = found["by_site"]["CA-Man"]
    assert line == [
        "CA-Man", "ENF", "36", f"{expected['r']:.3f}", f"{expected['rmse']:.3f}",
        f"{expected['bias']:+.3f}",
    ]  # fmt: skip
    assert "2 towers share a cell with another" in done.stdout
    wrong = cli("evaluate", "flux.nc", "flux.nc", "--units", "g C m-2 day-1", cwd=tmp_path)
    assert wrong.returncode == 2
