"""What a project writes into metrics.json, and draws, against its own cube and prediction."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import xarray as xr
from shapely.geometry import box

from narcf_geo.evaluation import compare
from narcf_geo.evaluation.project import evaluation_metrics
from narcf_geo.project.project import Project
from narcf_geo.report.figures import evaluation_figures

Run = tuple[xr.Dataset, xr.Dataset, Any, Path]


@pytest.fixture(scope="module")
def run(tiny_run: Path) -> Run:
    cube, prediction = (
        xr.open_zarr(tiny_run / f"{name}.zarr", consolidated=False).load()
        for name in ("cube", "prediction")
    )
    return cube, prediction, Project.open(tiny_run).settings, tiny_run / "model"


@pytest.fixture(scope="module")
def metrics(run: Run) -> dict[str, Any]:
    halves = [box(-100, 40, -94, 50), box(-94, 40, -88, 50)]
    regions = gpd.GeoDataFrame({"name": ["West", "East"]}, geometry=halves, crs="EPSG:4326")
    cube, prediction, *others = run
    target = cube["flux_target"]
    truth = (target - 0.05).assign_attrs(target.attrs, product="truth")
    return evaluation_metrics(cube.assign(flux_truth=truth), prediction, *others, regions)


def test_the_parts_make_up_the_test(metrics: dict[str, Any]) -> None:
    test = metrics["test"]
    for name in ("by_month", "by_season", "by_year", "by_biome", "by_region"):
        assert sum(part["n"] for part in metrics[name].values()) == test["n"], name
    assert list(metrics["by_year"]) == ["2009"]
    assert list(metrics["by_region"]) == ["West", "East"]
    assert metrics["components"]["test"]["anomalies"] is None
    assert metrics["components"]["all"]["anomalies"]["n"] > test["n"]
    json.dumps(metrics, allow_nan=False)


def test_the_reference_is_judged_where_all_have_values(run: Run, metrics: dict[str, Any]) -> None:
    cube, prediction, *_ = run
    area = cube["cell_area"]
    fields = [prediction["flux"], cube["flux_target"], cube["flux_reference"]]
    flux, target, reference = (f.sel(time="2009") for f in fields)
    common = flux.notnull() & target.notnull() & reference.notnull()
    found = metrics["reference"]["common"]
    assert found["estimate"]["n"] == found["reference"]["n"] == int(common.sum())
    for name, field in (("estimate", flux), ("reference", reference)):
        expected = compare(field.where(common), target, area)
        assert found[name]["rmse"] == pytest.approx(expected["rmse"], rel=1e-12)
    # The reference has no value in 2007.
    assert metrics["reference"]["period"] == ["2008-01", "2009-12"]
    assert metrics["reference"]["test"]["period"] == ["2009-01", "2009-12"]


def test_the_truth_is_asked_in_all_parts(metrics: dict[str, Any]) -> None:
    truth = metrics["truth"]
    for part in ("train", "validation", "test"):
        assert truth[part]["bias"] == pytest.approx(metrics[part]["bias"] + 0.05, abs=1e-6)
    assert truth["target_itself"]["bias"] == pytest.approx(0.05, abs=1e-6)
    assert truth["all"]["n"] == sum(truth[p]["n"] for p in ("train", "validation", "test"))


def test_the_mean_map_stands_beside_that_of_the_target_averaged(
    run: Run, metrics: dict[str, Any]
) -> None:
    cube, prediction, *_ = run
    flux, target = prediction["flux"].values, cube["flux_target"].values.astype(float)
    area = cube["cell_area"].values
    years = cube["time"].dt.year.values

    def mean(field: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Of whole years: each calendar month counts once, as often as it has a value."""
        months = field[which].reshape(-1, 12, *field.shape[1:])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # cells of the sea
            return np.nanmean(np.nanmean(months, axis=0), axis=0)

    def rmse(one: np.ndarray, other: np.ndarray, cells: np.ndarray) -> float:
        return float(np.sqrt(np.average((one - other)[cells] ** 2, weights=area[cells])))

    known = np.isfinite(flux) & np.isfinite(target)
    tested, trained = years == 2009, years < 2008
    observed = mean(np.where(known, target, np.nan), tested)
    estimate, average = mean(np.where(known, flux, np.nan), tested), mean(target, trained)
    cells = np.isfinite(observed) & np.isfinite(average)
    found = metrics["mean_map"]["test"]
    assert found["target"]["n"] == int(cells.sum()) > 0
    assert found["target"]["estimate"] == pytest.approx(rmse(estimate, observed, cells), rel=1e-5)
    assert found["target"]["training_mean"] == pytest.approx(
        rmse(average, observed, cells), rel=1e-5
    )
    assert found["truth"]["estimate"] == pytest.approx(
        rmse(estimate, observed - 0.05, cells), rel=1e-5
    )
    # The truth is the target less 0.05 everywhere.
    assert metrics["mean_map"]["all"]["target"] == pytest.approx(0.05, rel=1e-4)


def test_averaging_is_better_where_the_estimate_is_far_off(run: Run) -> None:
    cube, prediction, *others = run
    for shift, better in ((0.0, None), (5.0, True)):
        moved = prediction.assign(flux=prediction["flux"] + shift)
        moved["flux"].attrs = prediction["flux"].attrs
        found = evaluation_metrics(cube, moved, *others)["mean_map"]
        test = found["test"]["target"]
        said = found["averaging_is_better"]["target"]
        assert said is (test["training_mean"] < test["estimate"])
        assert better is None or said is better


def test_coverage_is_the_share_inside(run: Run, metrics: dict[str, Any]) -> None:
    cube, prediction, _, model = run
    calibration = json.loads((model / "bundle.json").read_text())["calibration"]
    for part, year in (("validation", "2008"), ("test", "2009")):
        flux, std = (prediction[n].sel(time=year) for n in ("flux", "observed_std"))
        error = abs(cube["flux_target"].sel(time=year) - flux)
        known = error.notnull() & std.notnull()
        weight = cube["cell_area"] * known
        for level, factor in calibration.items():
            share = float((weight * (error <= factor * std)).sum() / weight.sum())
            assert metrics["intervals"]["observed"][part]["coverage"][level] == pytest.approx(
                share, abs=1e-6
            )
    # Of the months that calibrated them the intervals hold what they promise; others need not be.
    for level, share in metrics["intervals"]["observed"]["validation"]["coverage"].items():
        assert share == pytest.approx(float(level), abs=0.02)
    upper = prediction["observed_upper"].sel(time="2008")
    inside = abs(cube["flux_target"].sel(time="2008") - prediction["flux"].sel(time="2008"))
    half = upper - prediction["flux"].sel(time="2008")
    weight = cube["cell_area"] * inside.notnull()
    share = float((weight * (inside <= half)).sum() / weight.sum())
    assert share == pytest.approx(
        metrics["intervals"]["observed"]["validation"]["coverage"]["0.95"], abs=2e-3
    )


def test_intervals_of_the_flux_are_judged_by_the_truth(run: Run, metrics: dict[str, Any]) -> None:
    cube, prediction, _, model = run
    factors = json.loads((model / "bundle.json").read_text())["flux_error"]["factors"]
    flux, std, target = (
        field.sel(time="2009").values.astype(float)
        for field in (prediction["flux"], prediction["flux_std"], cube["flux_target"])
    )
    error = np.abs(target - 0.05 - flux)
    known = np.isfinite(error)
    weight = np.broadcast_to(cube["cell_area"].values, error.shape)
    found = metrics["intervals"]["flux"]
    for level, factor in factors.items():
        inside = np.average((error <= factor * std)[known], weights=weight[known])
        assert found["test"]["coverage"][level] == pytest.approx(inside, abs=1e-6)
        width = np.average(2 * factor * std[known], weights=weight[known])
        assert found["test"]["width"][level] == pytest.approx(width, rel=1e-5)
    # Of one biome, and of the months of one season, alone.
    number = next(iter(found["by_biome"]))
    cells = known & (cube["biome"].values == int(number))
    inside = np.average((error <= factors["0.8"] * std)[cells], weights=weight[cells])
    assert found["by_biome"][number]["coverage"]["0.8"] == pytest.approx(inside, abs=1e-6)
    summer = known.copy()
    summer[[m - 1 not in (5, 6, 7) for m in range(1, 13)]] = False
    inside = np.average((error <= factors["0.8"] * std)[summer], weights=weight[summer])
    assert found["by_season"]["JJA"]["coverage"]["0.8"] == pytest.approx(inside, abs=1e-6)
    assert set(found["by_season"]) == {"DJF", "MAM", "JJA", "SON"}


def test_the_ceiling_is_what_the_error_of_the_target_allows(
    run: Run, metrics: dict[str, Any]
) -> None:
    cube, prediction, *others = run
    flux, target = (f.sel(time="2009").values for f in (prediction["flux"], cube["flux_target"]))
    known = np.isfinite(flux) & np.isfinite(target)
    weight = np.broadcast_to(cube["cell_area"].values, flux.shape)[known]
    square = cube["flux_target_std"].sel(time="2009").values[known].astype(float) ** 2
    values = target[known].astype(float)
    variance = np.average((values - np.average(values, weights=weight)) ** 2, weights=weight)
    error = np.average(square, weights=weight)
    found = metrics["ceiling"]
    assert found["rmse"] == pytest.approx(np.sqrt(error), rel=1e-5)
    assert found["r"] == pytest.approx(np.sqrt(1 - error / variance), rel=1e-5)
    # An error as large as all there is leaves nothing to find.
    blind = cube.assign(flux_target_std=cube["flux_target_std"] * 1e3)
    blind["flux_target_std"].attrs = cube["flux_target_std"].attrs
    assert evaluation_metrics(blind, prediction, *others)["ceiling"]["r"] == 0
    without = evaluation_metrics(cube.drop_vars("flux_target_std"), prediction, *others)
    assert "ceiling" not in without


def test_a_prediction_without_a_spread_has_no_coverage(run: Run) -> None:
    cube, prediction, settings, model = run
    found = evaluation_metrics(cube, prediction[["flux"]], settings, model / "absent")
    assert "intervals" not in found


def drawn(run: Run, metrics: dict[str, Any]) -> dict[str, Any]:
    cube, prediction, *others = run
    return dict(evaluation_figures(cube, prediction, metrics, *others))


def test_totals_are_over_cells_and_months_that_all_have(run: Run, metrics: dict[str, Any]) -> None:
    cube, prediction, *others = run
    west = cube["lon"] < -93
    part = cube.assign(flux_reference=cube["flux_reference"].where(west))
    figures = drawn((part, prediction, *others), metrics)
    assert list(figures) == ["scatter", "taylor", "seasonal_cycle", "totals", "anomalies"]
    upper = figures["totals"].axes[0]
    days = prediction["time"].dt.days_in_month
    total = (prediction["flux"] * cube["cell_area"]).where(west).sum(["lat", "lon"])
    estimate = upper.lines[0].get_ydata()
    np.testing.assert_allclose(estimate, total * days * 86400 * 12.011e-18, rtol=1e-5)
    # A year without a reference is not a year without a flux.
    assert len(upper.lines[2].get_xdata()) == 24
    assert len(upper.lines[0].get_xdata()) == 36
    text = " ".join(t.get_text() for t in figures["totals"].texts)
    assert "of the estimate's area" in text


def test_a_reference_elsewhere_does_not_stop_the_figures(run: Run, metrics: dict[str, Any]) -> None:
    cube, prediction, *others = run
    nowhere = cube["flux_reference"].where(prediction["flux"].isnull())
    figures = drawn((cube.assign(flux_reference=nowhere), prediction, *others), metrics)
    assert "taylor" in figures
    assert len(figures["totals"].axes[0].lines) == 3
