"""What predictors add to a flux: it adds up, and is what a known model makes of them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from tiny_cube import SPLIT, tiny_cube

import narcf_geo as ng
from narcf_geo.model.network.gradients import gradient, integrated_gradients
from narcf_geo.model.network.network import ACTIVATIONS, Layer, Network
from narcf_geo.prediction.attribution import attribute_file


def network(*widths: int, activation: str, seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)
    layers = [
        Layer(
            rng.normal(0, 0.7, (n_in, n_out)).astype(np.float32),
            rng.normal(0, 0.5, n_out).astype(np.float32),
            "linear" if n_out == widths[-1] and n_in == widths[-2] else activation,
        )
        for n_in, n_out in pairwise(widths)
    ]
    return Network(tuple(layers), rng.normal(0, 2, widths[0]).astype(np.float32))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_gradient_is_that_of_differences(activation: str) -> None:
    one = network(4, 9, 7, 2, activation=activation)
    away = np.random.default_rng(1).normal(0, 1, (6, 4))
    flux, slope = gradient(one, away)
    np.testing.assert_allclose(flux, one(away + one.mean)[:, 0], rtol=1e-4, atol=1e-5)
    for number in range(4):
        step = np.zeros(4)
        step[number] = 1e-6
        ahead, behind = (gradient(one, away + s)[0] for s in (step, -step))
        np.testing.assert_allclose(slope[:, number], (ahead - behind) / 2e-6, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_contributions_add_up_to_the_flux_less_that_of_the_mean(activation: str) -> None:
    members = [network(5, 30, 30, 2, activation=activation, seed=seed) for seed in (1, 2)]
    rng = np.random.default_rng(3)
    x = rng.normal(0, 3, (40, 5)).astype(np.float32)
    x[7, 2] = np.nan
    found = integrated_gradients(members, x)
    flux = np.mean([m(x)[:, 0] for m in members], axis=0)
    base = np.mean([m(m.mean[None])[0, 0] for m in members])
    np.testing.assert_allclose(found.sum(axis=1), flux - base, atol=1e-4)
    assert found[7, 2] == 0
    # The control: the gradient at the end alone, times the way, does not add up.
    away = np.nan_to_num(x - members[0].mean)
    wrong = (gradient(members[0], away)[1] * away).sum(axis=1)
    if activation != "linear":
        assert (
            np.abs(wrong - (members[0](x)[:, 0] - members[0](members[0].mean[None])[0, 0])).max()
            > 0.1
        )


def test_a_linear_model_is_split_as_its_weights_say() -> None:
    weights = np.array([[2.0], [-0.5], [0.0]], np.float32)
    one = Network((Layer(weights, np.array([3.0], np.float32), "linear"),), np.ones(3, np.float32))
    x = np.array([[2.0, 5.0, 9.0], [0.0, np.nan, 1.0]], np.float32)
    np.testing.assert_allclose(integrated_gradients([one], x), [[2, -2, 0], [-2, 0, 0]], atol=1e-9)


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    return tiny_cube()


@pytest.fixture(scope="module")
def bundle(cube: xr.Dataset) -> ng.Bundle:
    model: dict[str, Any] = {"preset": "best", "members": 2, "epochs": 4, "halves": False}
    return ng.train(cube, ["temp", "sif", "static"], split=SPLIT, model=model, missing="mask")


def test_every_cell_and_month_adds_up_lazily_too(cube: xr.Dataset, bundle: ng.Bundle) -> None:
    found = ng.attribute(cube, bundle)
    flux = ng.predict(cube, bundle)["flux"]
    assert found["contribution"].dims == ("feature", "time", "lat", "lon")
    assert found["feature"].values.tolist() == ["temp", "sif", "static", "land_cover"]
    whole = found["contribution"].sum("feature", skipna=False) + found["baseline"]
    np.testing.assert_array_equal(whole.isnull(), flux.isnull())
    assert flux.notnull().any()
    np.testing.assert_allclose(whole, flux, atol=1e-4)
    lazy = ng.attribute(cube.chunk(time=7, lat=2), bundle)
    assert lazy["contribution"].chunks
    np.testing.assert_allclose(lazy["contribution"], found["contribution"], atol=1e-6)
    # The control: the split of another row of cells does not add up to this one's flux.
    turned = whole.isel(lat=slice(None, None, -1)).values
    assert np.nanmax(np.abs(turned - flux.values)) > 0.1


def test_what_the_flux_follows_adds_most(cube: xr.Dataset, bundle: ng.Bundle) -> None:
    size = np.abs(ng.attribute(cube, bundle)["contribution"]).mean(("time", "lat", "lon"))
    assert float(size.sel(feature="temp")) > 3 * float(size.sel(feature="static"))


def test_a_predictor_that_the_cube_lacks_is_named(cube: xr.Dataset, bundle: ng.Bundle) -> None:
    with pytest.raises(ng.NarcfError, match="needs the predictor 'sif'"):
        ng.attribute(cube.drop_vars("sif"), bundle)


def test_a_file_holds_what_was_asked_for(
    cube: xr.Dataset, bundle: ng.Bundle, tmp_path: Path
) -> None:
    table = attribute_file(cube.chunk(time=6), bundle, tmp_path / "why.nc", "2008-03:2008-07")
    whole = ng.attribute(cube, bundle)["contribution"].sel(time=slice("2008-03", "2008-07"))
    with xr.open_dataset(tmp_path / "why.nc") as written:
        np.testing.assert_allclose(written["contribution"], whole, atol=1e-6)
        assert written["contribution"].attrs["units"] == "umol m-2 s-1"
    size = np.abs(whole).mean(("time", "lat", "lon")).sortby("feature")
    sorted_table = table.sort_index()
    assert sorted_table.index.tolist() == size["feature"].values.tolist()
    np.testing.assert_allclose(sorted_table["mean_magnitude"], size, rtol=1e-5)
    assert table["mean_magnitude"].is_monotonic_decreasing
    for name, months in (("why.zarr", None), ("b.nc", "2031"), ("b.nc", "July")):
        with pytest.raises(ng.UsageError):
            attribute_file(cube, bundle, tmp_path / name, months)
    assert not (tmp_path / "b.nc").exists()
