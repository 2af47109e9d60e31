"""Training without a project: the same model as a project's, from a cube in any shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from tiny_cube import SPLIT, tiny_cube, tiny_settings

import narcf_geo as ng
from narcf_geo.core.errors import FieldError, NarcfError, UnitError, UsageError
from narcf_geo.evaluation import compare
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.fit import cross_validation, fit_bundle
from narcf_geo.model.samples.training_cube import training_cube
from narcf_geo.model.train import cross_validate, train
from narcf_geo.project.settings import ModelSettings

MODEL = {"preset": "narcf-25", "epochs": 3, "batch_size": 64, "unbiased": True}
HOW: dict[str, Any] = {"split": SPLIT, "model": MODEL, "missing": "mask"}
GRAMS = 12.011e-6 * 86400


def kernels(bundle: Bundle) -> list[np.ndarray]:
    network = bundle.ensemble.networks[0]
    return [network.mean, *(layer.kernel for layer in network.layers)]


def alike(one: Bundle, other: Bundle, **tolerance: float) -> bool:
    pairs = zip(kernels(one), kernels(other), strict=True)
    return all(np.allclose(a, b, **(tolerance or {"rtol": 0, "atol": 0})) for a, b in pairs)


@pytest.fixture(scope="module")
def project_bundle(cube: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    directory = tmp_path_factory.mktemp("project") / "model"
    fit_bundle(cube, tiny_settings("temp", "sif", missing="mask", model=MODEL), directory)
    return Bundle.load(directory)


@pytest.fixture(scope="module")
def bundle(cube: xr.Dataset) -> Bundle:
    return train(cube, ["temp", "sif"], **HOW)


def foreign(cube: xr.Dataset) -> xr.Dataset:
    """The same data as another house writes them."""
    other = cube.drop_vars(["lat_bnds", "lon_bnds", "time_bnds", "cell_area", "biome"])
    kelvin = (cube["temp"].astype(float) + 273.15).assign_attrs(units="K")
    sink = (-cube["flux_target"].astype(float) * GRAMS).assign_attrs(
        units="g C m-2 day-1", standard_name="surface_downward_mass_flux_of_carbon_dioxide"
    )
    percent = (100 * cube["class_fraction"]).assign_attrs(units="%")
    labelled = percent.assign_coords(igbp_class=np.arange(18)).isel(
        igbp_class=slice(None, None, -1)
    )
    other = other.drop_vars(["flux_target", "class_fraction"]).assign(
        temp=kelvin, nep=sink, class_fraction=labelled
    )
    other["time"] = other["time"] + np.timedelta64(14, "D")
    other = other.assign_coords(lon=other["lon"] % 360).rename(lat="latitude", lon="longitude")
    other = other.isel(latitude=slice(None, None, -1), time=slice(None, None, -1))
    return other.transpose("longitude", "latitude", "time", "igbp_class")


def test_it_is_the_model_of_a_project(bundle: Bundle, project_bundle: Bundle) -> None:
    assert alike(bundle, project_bundle)
    for key in ("metrics", "calibration", "samples", "missing", "recipe", "importance", "split"):
        assert bundle.information[key] == project_bundle.information[key], key
    assert "title" not in bundle.information["settings"]


@pytest.mark.parametrize("lazy", [False, True])
def test_a_cube_in_another_order_and_unit(cube: xr.Dataset, bundle: Bundle, lazy: bool) -> None:
    other = foreign(cube)
    found = train(
        other.chunk({"time": 5}) if lazy else other,
        ["temp", "sif"],
        "nep",
        **{**HOW, "model": ModelSettings(**MODEL)},
    )
    # The mean of a feature in kelvin is that in degC: in 300, float32 keeps 5 digits of the rest.
    assert found.features.units[0] == "K"
    means = kernels(found)[0][0] - 273.15, kernels(bundle)[0][0]
    assert means[0] == pytest.approx(means[1], abs=1e-4)
    metrics = (b.information["metrics"]["test"] for b in (found, bundle))
    r, expected = (m["r"] for m in metrics)
    assert r == pytest.approx(expected, abs=5e-3)
    assert found.information["samples"] == bundle.information["samples"]
    np.testing.assert_allclose(kernels(found)[1], kernels(bundle)[1], atol=0.02)


def test_the_control_of_other_orders(cube: xr.Dataset, bundle: Bundle) -> None:
    """Read by position, rows from north to south would be other rows."""
    by_position = cube.copy()
    by_position["flux_target"] = cube["flux_target"].copy(data=cube["flux_target"].values[:, ::-1])
    assert not alike(train(by_position, ["temp", "sif"], **HOW), bundle, atol=0.02)


def test_the_door_gives_the_same_cube(cube: xr.Dataset) -> None:
    settings = {"split": SPLIT, "missing": "mask", "seed": 1}
    house, _ = training_cube(cube, ["temp"], "flux_target", **settings)
    other, _ = training_cube(foreign(cube), ["temp"], "nep", **settings)
    for name in ("flux_target", "cell_area", "class_fraction"):
        np.testing.assert_allclose(other[name], house[name], rtol=1e-6, atol=1e-6)
        assert other[name].dims[-2:] == ("lat", "lon")
    np.testing.assert_allclose(other["temp"], house["temp"] + 273.15, rtol=1e-6)
    np.testing.assert_array_equal(other["time"], house["time"])
    np.testing.assert_array_equal(other["lon"], house["lon"])
    np.testing.assert_array_equal(other["biome"] > 0, house["biome"] > 0)
    # The control: the fluxes differ from cell to cell, so another order would show.
    assert not np.allclose(other["flux_target"].values[:, ::-1], house["flux_target"])


def test_predictors_by_default_are_no_fluxes_and_no_land_cover(cube: xr.Dataset) -> None:
    more = cube.assign(
        flux_truth=cube["flux_target"],
        gpp=cube["flux_target"].assign_attrs(units="g C m-2 day-1"),
        temp_valid_fraction=cube["land_fraction"],
        quality=("time", np.arange(24)),
    )
    _, settings = training_cube(more, None, "flux_target", split=SPLIT)
    assert settings.predictor_names == ["temp", "sif", "static"]


def test_without_land_cover_every_cell_counts(cube: xr.Dataset) -> None:
    bare = cube[["temp", "flux_target"]]
    found = train(bare, split=SPLIT, model=MODEL, biome_features="none")
    assert found.features.names == ("temp",)
    assert found.information["samples"]["train"] == 20 * 12
    with pytest.raises(FieldError, match=r"expected the variable 'class_fraction'.*ng.map_biomes"):
        train(bare, split=SPLIT, model=MODEL)
    with pytest.raises(FieldError, match="expected the variable 'biome'"):
        train(bare, split=SPLIT, model=MODEL, biome_features="majority")
    with pytest.raises(NarcfError, match="at least 3 biomes"):
        train(bare, split={"kind": "biomes"}, model=MODEL, biome_features="none")


def spoiled(cube: xr.Dataset, name: str, **changes: Any) -> xr.Dataset:
    return cube.assign({name: cube[name].assign_attrs(**changes)})


@pytest.mark.parametrize(
    ("change", "arguments", "error", "words"),
    [
        (None, {"target": "nee"}, UsageError, "expected the target 'nee', found"),
        (None, {"predictors": ["rain"]}, UsageError, "expected the predictor 'rain', found"),
        (None, {"predictors": ["biome"]}, UsageError, "'biome' cannot be one"),
        (None, {"predictors": ["flux_target"]}, UsageError, "it is the target"),
        (None, {"predictors": ["temp", "temp"]}, UsageError, "named twice: temp"),
        (None, {"model": "bets"}, UsageError, "model.preset: unknown preset 'bets'.*'best'"),
        (None, {"model": {"preset": "best", "epoch": 3}}, UsageError, "model.epoch: "),
        (None, {"missing": "zero"}, UsageError, "missing: .*'drop' or 'mask'.*'zero'"),
        (None, {"coordinates": ["altitude"]}, UsageError, "coordinates.0: .*'altitude'"),
        (None, {"features": {"x": {"of": "rain", "lag": 1}}}, UsageError, "'rain' is no predictor"),
        (None, {"split": {"kind": "month"}}, UsageError, "split: .*'month'"),
        ({"temp": {"units": ""}}, {}, UnitError, "predictor 'temp': expected a unit, found none"),
        ({"flux_target": {"units": "K"}}, {}, UnitError, "target 'flux_target': .*'K'"),
        ({"class_fraction": {"units": "m2"}}, {}, UnitError, "class_fraction: .*'m2'"),
    ],
)
def test_what_it_refuses(
    cube: xr.Dataset, change: Any, arguments: dict, error: type[Exception], words: str
) -> None:
    for name, attrs in (change or {}).items():
        cube = spoiled(cube, name, **attrs)
    how = {"predictors": ["temp"], "split": SPLIT, "model": MODEL, **arguments}
    with pytest.raises(error, match=words):
        train(cube, **how)


def test_shapes_it_refuses(cube: xr.Dataset) -> None:
    with pytest.raises(FieldError, match="'co2': expected it along latitude and longitude"):
        train(cube.assign(co2=("time", np.ones(24), {"units": "ppm"})), ["co2"], **HOW)
    still = cube.assign(mean=cube["flux_target"].mean("time", keep_attrs=True))
    with pytest.raises(FieldError, match="expected months along time, found none"):
        train(still, None, "mean", **HOW)
    percent = cube.assign(class_fraction=100 * cube["class_fraction"])
    with pytest.raises(FieldError, match=r"at least 0 and at most 1 in all, found 0 and 100"):
        train(percent, ["temp"], **HOW)
    with pytest.raises(FieldError, match="expected the classes 0 to 17, each once"):
        train(cube.isel(igbp_class=slice(1, None)), ["temp"], **HOW)


def test_where_the_bundle_lies(cube: xr.Dataset, bundle: Bundle, tmp_path: Path) -> None:
    assert bundle.directory.exists()
    saved = bundle.save(str(tmp_path / "kept"))
    assert saved.directory == tmp_path / "kept"
    assert alike(saved, bundle)
    x = np.random.default_rng(1).normal(size=(5, len(bundle.features.names)))
    np.testing.assert_array_equal(
        Bundle.load(str(tmp_path / "kept")).estimate(x).flux, bundle.estimate(x).flux
    )
    bundle.save(tmp_path / "kept")  # a bundle may be replaced
    assert saved.save(tmp_path / "kept").directory == saved.directory
    other = tmp_path / "papers"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    for call in (lambda: bundle.save(other), lambda: train(cube, ["temp"], directory=other, **HOW)):
        with pytest.raises(UsageError, match="found other files"):
            call()
    assert (other / "thesis.tex").read_text() == "years of work"
    with pytest.raises(UsageError, match="found a file"):
        bundle.save(other / "thesis.tex")
    split = {**SPLIT.model_dump(), "test": {"start": "2019-01", "end": "2019-02"}}
    with pytest.raises(NarcfError, match="expected land cells"):
        train(cube, ["temp"], directory=tmp_path / "half", **{**HOW, "split": split})
    assert [p.name for p in tmp_path.iterdir() if "half" in p.name] == []
    written = train(cube, ["temp"], directory=str(tmp_path / "new"), **HOW)
    assert written.directory == tmp_path / "new"


def test_a_lazy_prediction_outlives_its_bundle(cube: xr.Dataset) -> None:
    lazy = ng.predict(cube.chunk({"time": 6}), train(cube, ["temp"], **HOW))
    assert np.isfinite(lazy["flux"].values).any()


def test_it_shows_itself(bundle: Bundle) -> None:
    text = repr(bundle)
    assert "preset narcf-25, 1 member\n" in text
    assert "features  temp, sif, has_sif, 18 of land cover" in text
    assert f"r {bundle.information['metrics']['test']['r']:.4g}," in text
    assert len(text) < 1000
    page = bundle._repr_html_()
    assert "<table>" in page
    assert "<td>temp</td>" in page
    assert bundle._repr_markdown_().startswith("# A flux model")
    sly = Bundle(bundle.directory, bundle.features, json.loads(json.dumps(bundle.information)))
    sly.information["settings"]["title"] = "<script>alert(1)</script>"
    assert "<script>" not in sly._repr_html_()


def test_cross_validation_is_that_of_the_bundle(cube: xr.Dataset, tmp_path: Path) -> None:
    how: dict[str, Any] = {**HOW, "split": {"kind": "blocks", "degrees": 2, "folds": 3}}
    told: list[tuple[int, int]] = []
    found = cross_validate(
        cube, ["temp", "sif"], progress=lambda done, total, text: told.append((done, total)), **how
    )
    assert told == [(1, 3), (2, 3), (3, 3)]
    directory = tmp_path / "model"
    trained = train(cube, ["temp", "sif"], directory=directory, **how)
    expected = cross_validation(str(directory))
    for name, theirs in (("flux", "blocks_test"), ("flux_std", "blocks_test_std")):
        np.testing.assert_array_equal(found[name], expected[theirs])
    assert found["flux"].notnull().sum() == found["scores"].sel(score="n")
    metrics = trained.information["metrics"]["test"]
    for name in ("r", "rmse", "bias", "n"):
        assert found["scores"].sel(score=name).item() == pytest.approx(metrics[name], rel=1e-12)
    again = compare(found["flux"], found["flux_target"], found["cell_area"])
    assert again["rmse"] == pytest.approx(found["scores"].sel(score="rmse").item(), rel=1e-5)
    rows = found["fold_scores"].sel(score="n")
    assert rows.sum() == found["scores"].sel(score="n")
    assert rows["fold"].values.tolist() == ["fold 1", "fold 2", "fold 3"]
    # The control: rows that were trained on are estimated otherwise.
    assert not np.allclose(found["flux"], expected["blocks_train"], equal_nan=True)


def test_cross_validation_tests_the_months_of_a_period(cube: xr.Dataset) -> None:
    found = cross_validate(cube, ["temp"], **HOW)
    months = found["flux"].notnull().any(["lat", "lon"])
    assert found["time"][months].dt.strftime("%Y-%m").values.tolist() == [
        f"2008-{month:02d}" for month in range(7, 13)
    ]


def test_a_lag_counts_calendar_months(cube: xr.Dataset) -> None:
    from narcf_geo.model.samples.derive import derive
    from narcf_geo.project.settings import DerivedFeature

    features = {
        "late": DerivedFeature(of="temp", lag=1),
        "mean": DerivedFeature(of="temp", mean=2),
    }
    whole = derive(cube, features, [])
    holed = derive(cube.drop_isel(time=[4, 5]), features, [])
    assert holed.sizes["time"] == 22
    for name in features:
        after = holed[name].isel(time=4)
        assert after.isnull().all(), name
        kept = holed[name].drop_isel(time=4)
        np.testing.assert_array_equal(kept, whole[name].sel(time=kept["time"]))


def test_predictors_in_another_unit_are_converted(cube: xr.Dataset) -> None:
    how = {"transform": "log1p", "mean": 2, "replace": True}
    bundle = train(
        cube,
        ["temp", "sif"],
        features={"warm": {"of": "temp", **how}},
        **{**HOW, "missing": "drop"},
    )
    assert bundle.features.predictors == ("sif", "warm")
    kelvin = (cube["temp"].astype(float) + 273.15).assign_attrs(units="K")
    watts = (cube["sif"] / 1000).assign_attrs(units="W m-2 nm-1 sr-1")
    expected = bundle.features.prepare(cube)
    found = bundle.features.prepare(cube.assign(temp=kelvin, sif=watts))
    for name in ("sif", "warm"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-5)
        assert found[name].attrs["units"] == expected[name].attrs["units"]
    lazy = bundle.features.prepare(cube.assign(temp=kelvin).chunk({"time": 4}))
    assert lazy["warm"].chunks is not None
    # The control: with the unit left out of account the feature would be another.
    unread = bundle.features.prepare(cube.assign(temp=kelvin.assign_attrs(units="degC")))
    assert not np.allclose(unread["warm"], expected["warm"], rtol=0.1, equal_nan=True)


def test_water_may_be_millimetres(cube: xr.Dataset) -> None:
    rain = (abs(cube["temp"]) + 1).assign_attrs(units="kg m-2 day-1")
    bundle = train(cube.assign(precip=rain), ["precip"], **HOW)
    centimetres = (rain / 10).assign_attrs(units="cm/day")
    found = bundle.features.prepare(cube.assign(precip=centimetres))
    np.testing.assert_allclose(found["precip"], rain, rtol=1e-6)


def test_the_tiny_cube_is_not_changed(cube: xr.Dataset) -> None:
    xr.testing.assert_identical(cube, tiny_cube())
