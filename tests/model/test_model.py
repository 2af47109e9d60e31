"""Who learns from what, what the network computes, and what a bundle refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from tiny_cube import tiny_settings

from narcf_geo.core.errors import NarcfError, UnitError, UsageError
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.fit import fit_bundle
from narcf_geo.model.network.network import Network
from narcf_geo.model.samples.features import Features
from narcf_geo.model.samples.table import Table
from narcf_geo.prediction import predict
from narcf_geo.project.presets import PRESETS, Recipe
from narcf_geo.project.settings import ModelSettings

QUICK = Recipe(hidden=(8,), epochs=3, batch_size=64)


def table(rows: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = (rng.normal(0, 1, (rows, 3)) * [1, 20, 0.01] + [0, 300, 5]).astype(np.float32)
    y = (x[:, 0] - 0.05 * (x[:, 1] - 300) + 0.4).astype(np.float32)
    return x, y, rng.uniform(0.2, 5, rows)


@pytest.mark.parametrize("preset", [*PRESETS.built_in, "nll"])
def test_the_network_is_what_keras_predicts(preset: str, tmp_path: Path) -> None:
    from narcf_geo.model.network.training import Trainer

    x, y, area = table(300)
    named = {"preset": preset}
    if preset == "nll":
        named = {"preset": "narcf", "loss": "nll", "noise": 0.3}
    plan = ModelSettings.model_validate({**named, "epochs": 2, "batch_size": 64}).recipe()
    model = Trainer(plan, x, y, area).fit(np.arange(200), np.arange(200, 250), [1])[0].model
    model.save(tmp_path / "m.keras")
    network = Network.load(tmp_path / "m.keras")
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(network(x), expected, atol=1e-5 * max(1, np.abs(expected).max()))
    assert np.ptp(expected) > 1e-3
    # A missing feature counts as the mean of the training rows.
    holed, filled = x.copy(), x.copy()
    holed[:, 1], filled[:, 1] = np.nan, x[:200, 1].mean(dtype=np.float64)
    np.testing.assert_allclose(network(holed), network(filled), atol=1e-4)


def test_a_network_that_no_bundle_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    from narcf_geo.model.network.training import Trainer

    monkeypatch.setattr("narcf_geo.model.network.training.MAX_PARAMETERS", 40)
    with pytest.raises(UsageError, match="41 weights, expected at most 40"):
        Trainer(QUICK, *table(100))


@pytest.mark.parametrize(("row", "moves"), [(450, False), (550, False), (10, True)])
def test_normalisation_sees_training_rows_alone(row: int, moves: bool) -> None:
    from narcf_geo.model.network.training import Trainer

    x, y, area = table()
    train, validation = np.arange(400), np.arange(400, 500)
    planted = x.copy()
    planted[row, 1] = 1e6

    def mean(values: np.ndarray) -> float:
        model = Trainer(QUICK, values, y, area).fit(train, validation, [1])[0].model
        return float(np.ravel(model.layers[0].mean)[1])

    assert mean(x) == pytest.approx(x[:400, 1].mean(dtype=float), rel=1e-6)
    assert (abs(mean(planted) - mean(x)) > 1000) is moves


def test_land_cover_may_share_a_scale() -> None:
    from narcf_geo.model.network.training import Trainer

    x, y, area = table()
    rows = np.arange(400), np.arange(400, 500)
    for shared in (False, True):
        plan = Recipe(hidden=(4,), epochs=1, shared_scale=shared)
        model = Trainer(plan, x, y, area, slice(1, 3)).fit(*rows, [1])[0].model
        variance = x[:400].astype(float).var(axis=0)
        if shared:
            variance[1:] = variance[1:].mean()
        np.testing.assert_allclose(np.ravel(model.layers[0].variance), variance, rtol=1e-5)


def test_noise_in_training_smooths_and_is_gone_in_prediction() -> None:
    """A step in a feature, learned through noise of its own size, becomes a slope."""
    from narcf_geo.model.network.training import Trainer

    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, (2000, 1)).astype(np.float32)
    y = np.sign(x[:, 0])
    near = np.array([[-0.4], [0.4]], np.float32)
    rise = {}
    for noise in (0.0, 1.0):
        plan = Recipe(hidden=(30,), loss="mse", epochs=20, batch_size=50, noise=noise)
        trainer = Trainer(plan, x, y, np.ones(2000))
        model = trainer.fit(np.arange(1500), np.arange(1500, 2000), [1])[0].model
        first, second = (model.predict(near, verbose=0)[:, 0] for _ in range(2))
        np.testing.assert_array_equal(first, second)
        rise[noise] = float(first[1] - first[0])
    assert rise[0.0] > 1.2
    assert rise[1.0] < 0.7


def test_one_seed_gives_one_model_and_another_another() -> None:
    from narcf_geo.model.network.training import Trainer

    x, y, area = table()
    rows = np.arange(400), np.arange(400, 500)
    a, b, c = (Trainer(QUICK, x, y, area).fit(*rows, [s])[0].model.get_weights() for s in (3, 3, 4))
    for first, second in zip(a, b, strict=True):
        np.testing.assert_array_equal(first, second)
    assert any(not np.array_equal(first, third) for first, third in zip(a, c, strict=True))


@pytest.mark.parametrize("loss", ["mae", "nll"])
@pytest.mark.parametrize("unbiased", [True, False])
def test_unbiased_means_no_area_weighted_training_bias(unbiased: bool, loss: str) -> None:
    from narcf_geo.model.network.training import Trainer

    x, y, area = table()
    trainer = Trainer(Recipe(hidden=(8,), epochs=2, loss=loss, unbiased=unbiased), x, y, area)
    model = trainer.fit(np.arange(400), np.arange(400, 500), [1])[0].model
    error = (model.predict(x, verbose=0)[:, 0] - y)[:400]
    assert bool(abs(np.average(error, weights=area[:400])) < 1e-5) is unbiased
    assert abs(error.mean()) > 1e-5


@pytest.mark.parametrize("standardised", [True, False])
def test_a_target_of_any_size_is_learned_alike(standardised: bool) -> None:
    from narcf_geo.model.network.training import Trainer

    x, y, area = table()
    plan = Recipe(hidden=(8,), epochs=3, loss="nll", batch_size=32, standardised=standardised)

    def outputs(target: np.ndarray) -> np.ndarray:
        fits = Trainer(plan, x, target, area).fit(np.arange(400), np.arange(400, 500), [1])
        return np.asarray(fits[0].model.predict(x, verbose=0))

    plain, tiny = outputs(y), outputs(0.005 * y + 0.3)
    alike = np.allclose(tiny[:, 0], 0.005 * plain[:, 0] + 0.3, atol=1e-4)
    of_noise = np.allclose(tiny[:, 1], plain[:, 1] + 2 * np.log(0.005), atol=1e-2)
    assert alike is of_noise is standardised


@pytest.mark.parametrize(
    "plan",
    [
        Recipe(hidden=(8, 4), batch_normalization=True, epochs=3, batch_size=64),
        replace(PRESETS["best"], epochs=3, batch_size=64),
    ],
)
def test_members_trained_together_are_those_trained_alone(plan: Recipe) -> None:
    from narcf_geo.model.network.training import Trainer

    x, y, area = table()
    rows = np.arange(400), np.arange(400, 500)
    trainer = Trainer(plan, x, y, area)
    together = trainer.fit(*rows, [3, 4, 5])
    alone = [trainer.fit(*rows, [seed])[0] for seed in (3, 4, 5)]
    for one, other in zip(together, alone, strict=True):
        assert one.history.validation == pytest.approx(other.history.validation, rel=1e-3)
        for a, b in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, atol=2e-3)
    first, second, _ = (fit.model.get_weights()[0] for fit in together)
    assert np.abs(first - second).max() > 0.1


def test_each_member_stops_when_it_is_done() -> None:
    from narcf_geo.model.network.training import Trainer

    x, y, area = table()
    rows = np.arange(400), np.arange(400, 500)
    plan = Recipe(hidden=(8,), epochs=60, batch_size=64, learning_rate=0.1, patience=2)
    seeds = range(1, 5)
    together = Trainer(plan, x, y, area).fit(*rows, list(seeds))
    lengths = [len(fit.history.validation) for fit in together]
    assert len(set(lengths)) > 1
    for fit in together:
        losses = fit.history.validation
        assert fit.history.best_epoch == int(np.argmin(losses)) == len(losses) - 3
        estimate = fit.model.predict(x[400:500], verbose=0)[:, 0]
        assert np.abs(estimate - y[400:500]).mean() == pytest.approx(min(losses), rel=1e-4)


def test_no_rows_and_a_loss_that_explodes() -> None:
    from narcf_geo.model.network.training import Trainer

    x, y, area = table()
    trainer = Trainer(QUICK, x, y, area)
    with pytest.raises(NarcfError, match="found 10 and 0"):
        trainer.fit(np.arange(10), np.arange(0), [1])
    y[3] = np.inf
    with pytest.raises(NarcfError, match="loss became"):
        Trainer(QUICK, x, y, area).fit(np.arange(400), np.arange(400, 500), [1])


def test_samples_of_a_cube(cube: xr.Dataset) -> None:
    dropped = Features.of(cube, tiny_settings("temp", "sif", biome_features="majority"))
    samples = Table.of(cube, dropped)
    land = 4 * 5 - 2
    assert samples.y.size == land * 24 - land - 1
    assert samples.missing == {"temp": 0, "sif": land + 1, "flux_target": 0}
    assert dropped.names[:2] == ("temp", "sif")
    assert len(dropped.names) == samples.x.shape[1] == 20
    for row in (0, 77, -1):
        month, (i, j) = samples.month[row], divmod(samples.cell[row], 5)
        assert samples.x[row, 0] == cube["temp"].values[month, i, j]
        assert samples.y[row] == pytest.approx(cube["flux_target"].values[month, i, j])
        assert samples.x[row, 2:].argmax() == cube["biome"].values[i, j]
    masked = Features.of(cube, tiny_settings("temp", "sif", "static", missing="mask"))
    assert masked.masked == ("sif",)
    assert masked.names[3] == "has_sif"
    whole = Table.of(cube, masked)
    assert whole.y.size == land * 24
    np.testing.assert_array_equal(whole.x[:, 3], np.isfinite(whole.x[:, 1]))
    assert not {"lat", "lon", "month", "year"} & set(masked.names)
    gone = cube.assign(sif=(cube["sif"] * np.nan).assign_attrs(cube["sif"].attrs))
    with pytest.raises(NarcfError, match=f"sif: {land * 24}"):
        Table.of(gone, dropped)


def written(cube: xr.Dataset, directory: Path, missing: str, members: int = 1) -> Bundle:
    """Train on the first year and write a bundle."""
    settings = tiny_settings("temp", "sif", "static", missing=missing)
    model = settings.model.model_copy(update={"members": members})
    fit_bundle(cube, settings.model_copy(update={"model": model}), directory, lambda *_: None)
    return Bundle.load(directory)


@pytest.fixture(scope="module")
def masked(cube: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return written(cube, tmp_path_factory.mktemp("masked") / "model", "mask", members=2)


def test_prediction_is_missing_at_sea_and_without_a_predictor(
    cube: xr.Dataset, tmp_path: Path
) -> None:
    found = predict(cube, written(cube, tmp_path / "model", "drop"))
    known = (cube["biome"] > 0) & cube["sif"].notnull()
    np.testing.assert_array_equal(found["flux"].notnull(), known.transpose("time", "lat", "lon"))
    assert found["flux"].attrs["units"] == "umol m-2 s-1"


def test_prediction_with_a_masked_predictor(cube: xr.Dataset, masked: Bundle) -> None:
    found = predict(cube, masked)
    land = (cube["biome"] > 0).broadcast_like(found["flux"])
    np.testing.assert_array_equal(found["flux"].notnull(), land)
    table = Table.of(cube, masked.features)
    members = np.stack([network(table.x)[:, 0] for network in masked.ensemble.networks])

    def rows(name: str) -> np.ndarray:
        return found[name].values.reshape(24, -1)[table.month, table.cell]

    np.testing.assert_allclose(rows("flux"), members.mean(axis=0), atol=1e-6)
    assert members.std(axis=0).max() > 0
    np.testing.assert_allclose(
        rows("observed_std"), np.hypot(members.std(axis=0), masked.ensemble.noise), atol=1e-6
    )
    half = masked.factors[0.95] * rows("observed_std")
    np.testing.assert_allclose(rows("observed_upper") - rows("flux"), half, atol=1e-5)
    np.testing.assert_allclose(rows("flux") - rows("observed_lower"), half, atol=1e-5)
    # Members that learned the same do not tell how far they are from the flux.
    assert "flux_std" not in found
    with pytest.raises(NarcfError, match="'static'"):
        predict(cube.drop_vars("static"), masked)


@pytest.mark.parametrize("chunks", [{"time": 5}, {"time": 7, "lat": 3, "lon": 2}, {"time": -1}])
def test_chunks_do_not_matter_and_nothing_is_computed_early(
    cube: xr.Dataset, masked: Bundle, chunks: dict
) -> None:
    import dask

    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("computed while the graph was built")

    # Axes, their bounds and the map of classes are looked at; the fields are not.
    chunked = cube.chunk(chunks).chunk(igbp_class=5)
    chunked = chunked.assign(biome=cube["biome"]).assign_coords(cube.coords)
    with dask.config.set(scheduler=never):
        lazy = predict(chunked, masked)
    assert lazy["flux"].chunks is not None
    # A matrix product adds in an order that depends on the number of rows: the last bits differ.
    whole = predict(cube, masked)["flux"].values
    np.testing.assert_allclose(lazy["flux"].values, whole, rtol=0, atol=1e-6)


def test_what_a_bundle_refuses(cube: xr.Dataset, tmp_path: Path) -> None:
    with pytest.raises(NarcfError, match="narcf-geo train"):
        Bundle.load(tmp_path / "none")
    loaded = written(cube, tmp_path / "model", "mask")
    with pytest.raises(NarcfError, match=r"'temp'.*has:"):
        loaded.features.prepare(cube.drop_vars("temp"))
    other = cube.assign(temp=cube["temp"].assign_attrs(units="hPa"))
    with pytest.raises(UnitError, match=r"trained in 'degC', the cube has 'hPa'"):
        loaded.features.prepare(other)
    with pytest.raises(UnitError, match=r"'temp': expected a unit, found none"):
        loaded.features.prepare(cube.assign(temp=cube["temp"].drop_attrs()))
    path = tmp_path / "model" / "bundle.json"
    text = path.read_text()
    path.write_text(json.dumps({**json.loads(text), "bundle_version": 99}))
    with pytest.raises(NarcfError, match="version 99"):
        Bundle.load(tmp_path / "model")
    path.write_text(text)
    member = tmp_path / "model" / "member_0.keras"
    data = member.read_bytes()
    member.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(NarcfError, match="changed after training"):
        Bundle.load(tmp_path / "model")
    member.unlink()
    with pytest.raises(NarcfError, match="member_0"):
        Bundle.load(tmp_path / "model")
    path.write_text("{half")
    with pytest.raises(NarcfError, match=r"bundle\.json"):
        Bundle.load(tmp_path / "model")
