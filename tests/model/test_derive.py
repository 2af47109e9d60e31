"""Features made of predictors, and coordinates where they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from tiny_cube import tiny_settings

from narcf_geo.core.errors import NarcfError
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.fit import fit_bundle
from narcf_geo.model.samples.derive import derive
from narcf_geo.model.samples.features import Features
from narcf_geo.model.samples.table import Table
from narcf_geo.prediction import predict, predict_file
from narcf_geo.project.settings import DerivedFeature

HOW = {
    "late": {"of": "temp", "lag": 2},
    "smooth": {"of": "temp", "mean": 3},
    "both": {"of": "sif", "transform": "sqrt", "mean": 2, "lag": 1},
}


def made(**how: object) -> DerivedFeature:
    return DerivedFeature.model_validate(how)


def test_each_feature_is_what_a_loop_computes(cube: xr.Dataset) -> None:
    found = derive(cube, {name: made(**how) for name, how in HOW.items()}, [])
    temp = cube["temp"].values.astype(float)
    sif = cube["sif"].values.astype(float)
    assert np.nanmin(sif) < 0
    root = np.where(sif < 0, -np.sqrt(-np.minimum(sif, 0)), np.sqrt(np.maximum(sif, 0)))
    for t in range(24):
        late = temp[t - 2] if t >= 2 else np.nan * temp[0]
        smooth = temp[t - 2 : t + 1].mean(axis=0) if t >= 2 else np.nan * temp[0]
        both = (root[t - 2] + root[t - 1]) / 2 if t >= 2 else np.nan * temp[0]
        for name, values in (("late", late), ("smooth", smooth), ("both", both)):
            np.testing.assert_allclose(found[name].values[t], values, rtol=1e-5, atol=1e-6)
    assert found["late"].attrs["units"] == "degC"
    assert found["both"].attrs["units"] == "sqrt(mW m-2 nm-1 sr-1)"
    chunked = derive(cube.chunk(time=5), {"both": made(**HOW["both"])}, [])
    np.testing.assert_array_equal(chunked["both"], found["both"])


def test_coordinates_are_features_only_when_named(cube: xr.Dataset) -> None:
    plain = Features.of(cube, tiny_settings("temp"))
    named = Features.of(cube, tiny_settings("temp", coordinates=["lat", "month", "year"]))
    assert named.predictors == ("temp", "latitude", "month_sin", "month_cos", "year")
    assert plain.predictors == ("temp",)
    table = Table.of(cube, named)
    np.testing.assert_array_equal(table.x[:, 1], table.lat.astype("f4"))
    month = np.asarray(table.time.month)[table.month]
    np.testing.assert_allclose(table.x[:, 2], np.sin(2 * np.pi * (month - 1) / 12), atol=1e-6)
    assert set(table.x[:, 4]) == {2007, 2008}


def test_a_bundle_makes_its_features_itself(cube: xr.Dataset, tmp_path: Path) -> None:
    settings = tiny_settings("temp", "sif", missing="mask", features=HOW, coordinates=["lon"])
    fit_bundle(cube, settings, tmp_path / "model", lambda *_: None)
    bundle = Bundle.load(tmp_path / "model")
    assert bundle.features == Features.of(cube, settings)
    # Lags reach before the first month, and what is masked may be missing.
    assert {"late", "smooth", "both", "sif"} == set(bundle.features.masked)
    found = predict(cube, bundle)
    table = Table.of(cube, bundle.features)
    rows = found["flux"].values.reshape(24, -1)[table.month, table.cell]
    np.testing.assert_allclose(rows, bundle.estimate(table.x).flux, atol=1e-5)
    assert found["flux"].attrs["comment"] == "the model was given coordinates: lon"
    dropped = Features.of(cube, tiny_settings("temp", features={"late": HOW["late"]}))
    assert set(Table.of(cube, dropped).month) == set(range(2, 24))
    assert Table.of(cube, dropped).missing["late"] == 2 * 18


def test_a_feature_may_take_the_place_of_its_predictor(cube: xr.Dataset, tmp_path: Path) -> None:
    how = {"root": {"of": "sif", "transform": "sqrt", "replace": True}, "late": HOW["late"]}
    settings = tiny_settings("sif", "temp", missing="mask", features=how)
    features = Features.of(cube, settings)
    assert features.predictors == ("temp", "root", "late")
    assert features.names[3:5] == ("has_root", "has_late")
    kept = Features.of(cube, tiny_settings("sif", features={"root": {**how["root"], "replace": 0}}))
    assert kept.predictors == ("sif", "root")
    fit_bundle(cube, settings, tmp_path / "model", lambda *_: None)
    bundle = Bundle.load(tmp_path / "model")
    assert bundle.features == features
    table = Table.of(cube, features)
    expected = bundle.estimate(table.x).flux
    cube.chunk(time=12).to_zarr(tmp_path / "cube.zarr", zarr_format=2, consolidated=False)
    done = predict_file(tmp_path / "cube.zarr", tmp_path / "flux.zarr", tmp_path / "model")
    for found in (predict(cube, bundle), xr.open_zarr(done.path, consolidated=False)):
        rows = found["flux"].values.reshape(24, -1)[table.month, table.cell]
        np.testing.assert_allclose(rows, expected, atol=1e-5)


def test_what_cannot_be_made(cube: xr.Dataset) -> None:
    with pytest.raises(ValueError, match="is no predictor; there are: temp"):
        tiny_settings("temp", features={"late": {"of": "rain", "lag": 1}})
    with pytest.raises(ValueError, match="has this name already"):
        tiny_settings("temp", features={"temp": {"of": "temp", "lag": 1}})
    with pytest.raises(ValueError, match="a lag, found none"):
        made(of="temp")
    with pytest.raises(NarcfError, match="same in every month"):
        derive(cube, {"late": made(of="static", lag=1)}, [])
    with pytest.raises(NarcfError, match="which the cube has not"):
        derive(cube, {"late": made(of="rain", lag=1)}, [])
