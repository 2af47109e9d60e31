"""Climate and anomalies of predictors: of training months alone, the same however they are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from tiny_cube import SPLIT, tiny_cube, tiny_settings

from narcf_geo.core import layout
from narcf_geo.core.errors import NarcfError, TimeError
from narcf_geo.core.months import month_starts, with_month_axis
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.fit import fit_bundle, learns_the_same, tabulate
from narcf_geo.model.samples.climate import climate_of, climate_of_slabs
from narcf_geo.model.samples.features import Features
from narcf_geo.model.train import cross_validate, train
from narcf_geo.prediction import predict, predict_file
from narcf_geo.project.settings import DerivedFeature, Settings

HOW = {
    "temp_mean": {"of": "temp", "climate": "annual_mean"},
    "temp_normal": {"of": "temp", "climate": "monthly_mean"},
    "temp_anomaly": {"of": "temp", "climate": "anomaly", "lag": 1},
    "sif_anomaly": {"of": "sif", "transform": "sqrt", "climate": "anomaly"},
}
TRAIN = {**SPLIT.model_dump(mode="json"), "train": {"start": "2007-01", "end": "2008-03"}}
TRAIN |= {"validation": {"start": "2008-04", "end": "2008-08"}}
TRAIN |= {"test": {"start": "2008-09", "end": "2008-12"}}


@pytest.fixture
def cube() -> xr.Dataset:
    return tiny_cube()


@pytest.fixture
def settings() -> Settings:
    return tiny_settings("temp", "sif", missing="mask", features=HOW, split=TRAIN)


def root(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.sqrt(np.abs(values))


def test_each_feature_is_what_a_loop_computes(cube: xr.Dataset, settings: Settings) -> None:
    features = Features.of(cube, settings)
    assert features.climate == ("2007-01", "2008-03")
    found = features.prepare(cube)
    temp, sif = (cube[name].values.astype(float) for name in ("temp", "sif"))
    for y, x in np.ndindex(4, 5):
        of_month = []
        of_root = []
        for month in range(12):
            trained = [t for t in range(15) if t % 12 == month]
            of_month.append(np.mean([temp[t, y, x] for t in trained]))
            known = [root(sif[t, y, x]) for t in trained if not np.isnan(sif[t, y, x])]
            of_root.append(np.mean(known) if known else np.nan)
        for t in range(24):
            here = {name: found[name].values[..., y, x] for name in HOW}
            assert here["temp_mean"] == pytest.approx(np.mean(of_month), abs=1e-5)
            assert here["temp_normal"][t] == pytest.approx(of_month[t % 12], abs=1e-5)
            before = temp[t - 1, y, x] - of_month[(t - 1) % 12] if t else np.nan
            assert here["temp_anomaly"][t] == pytest.approx(before, abs=1e-5, nan_ok=True)
            rest = root(sif[t, y, x]) - of_root[t % 12]
            assert here["sif_anomaly"][t] == pytest.approx(rest, abs=1e-5, nan_ok=True)
    assert found["temp_mean"].dims == ("lat", "lon")
    assert found["temp_anomaly"].attrs["units"] == "degC"
    assert found["sif_anomaly"].attrs["units"] == "sqrt(mW m-2 nm-1 sr-1)"


def test_nothing_of_the_climate_comes_from_validation_or_test(
    cube: xr.Dataset, settings: Settings
) -> None:
    expected = tabulate(cube, settings)
    learned = expected.month < 15

    def trained_rows(changed: xr.Dataset) -> np.ndarray:
        table = tabulate(changed, settings)
        np.testing.assert_array_equal(table.cell, expected.cell)
        return table.x[learned]

    later = cube.copy(deep=True)
    for name in ("temp", "sif", "flux_target"):
        later[name][15:] = 7 - 3 * later[name][15:]
    np.testing.assert_array_equal(trained_rows(later), expected.x[learned])
    for name in ("temp", "sif"):
        base = climate_of(cube[name], ("2007-01", "2008-03"))
        np.testing.assert_array_equal(climate_of(later[name], ("2007-01", "2008-03")), base)
    # The control: one value of the last training month reaches every year of its month.
    earlier = cube.copy(deep=True)
    earlier["temp"][14, 2, 3] += 5
    changed = trained_rows(earlier) != expected.x[learned]
    names = expected.features.names
    march = expected.cell[learned] == 13
    for name in ("temp_normal", "temp_mean"):
        assert changed[march, names.index(name)].any()
        assert not changed[~march, names.index(name)].any()


@pytest.mark.parametrize("chunk", [(24, 4, 5), (5, 2, 3), (1, 1, 1)])
def test_the_climate_does_not_depend_on_how_it_is_read(
    cube: xr.Dataset, chunk: tuple[int, int, int], settings: Settings
) -> None:
    months = ("2007-02", "2008-11")
    lazy = cube[["temp", "sif"]].chunk(dict(zip(("time", "lat", "lon"), chunk, strict=True)))
    expected = cube[["temp", "sif"]].map(climate_of, months=months)
    np.testing.assert_array_equal(lazy["sif"].pipe(climate_of, months), expected["sif"])
    inside = cube[["temp", "sif"]].isel(time=slice(1, 23), lat=slice(1, 3))
    slabs = (inside.isel(time=slice(i, i + chunk[0])) for i in range(0, 22, chunk[0]))
    xr.testing.assert_identical(
        climate_of_slabs(slabs).drop_attrs(), expected.isel(lat=slice(1, 3)).drop_attrs()
    )
    found = Features.of(cube, settings).prepare(lazy)
    for name in HOW:
        np.testing.assert_array_equal(found[name], Features.of(cube, settings).prepare(cube)[name])


def test_rows_do_not_depend_on_how_the_cube_is_cut(
    cube: xr.Dataset, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = tabulate(cube, settings)
    monkeypatch.setattr(layout, "CHUNK", (5, 2, 3))
    found = tabulate(cube.chunk({"time": 7, "lat": 3, "lon": 2}), settings, tmp_path)
    order, of_expected = (np.lexsort((t.cell, t.month)) for t in (found, expected))
    np.testing.assert_array_equal(found.x[order], expected.x[of_expected])
    np.testing.assert_array_equal(found.y[order], expected.y[of_expected])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that takes climates."""
    model = tmp_path_factory.mktemp("climate") / "model"
    settings = tiny_settings("temp", "sif", missing="mask", features=HOW, split=TRAIN)
    fit_bundle(tiny_cube(), settings, model)
    return model


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[xr.Dataset], Path]:
    def store(cube: xr.Dataset) -> Path:
        cube.chunk(time=12).drop_encoding().to_zarr(tmp_path / "cube.zarr", consolidated=False)
        return tmp_path / "cube.zarr"

    return store


def test_a_bundle_takes_the_climate_of_the_cube_it_predicts(
    cube: xr.Dataset, settings: Settings, folder: Path, stored: Callable, tmp_path: Path
) -> None:
    bundle = Bundle.load(folder)
    assert bundle.features == Features.of(cube, settings)
    table = tabulate(cube, settings)
    rows = bundle.estimate(table.x).flux
    done = predict_file(stored(cube), tmp_path / "flux.zarr", folder)
    for found in (predict(cube, bundle), xr.open_zarr(done.path, consolidated=False)):
        there = found["flux"].values.reshape(24, -1)[table.month, table.cell]
        np.testing.assert_allclose(there, rows, atol=1e-5)
    # Another region, 3 K warmer and in kelvin: its own climate, so no anomaly is another.
    other = cube.assign_coords(lat=cube["lat"] + 10).drop_vars("lat_bnds", errors="ignore")
    other["temp"] = (other["temp"] + 276.15).assign_attrs(units="K")
    prepared, here = bundle.features.prepare(other), bundle.features.prepare(cube)
    np.testing.assert_allclose(prepared["temp_anomaly"], here["temp_anomaly"], atol=1e-4)
    np.testing.assert_allclose(prepared["temp_mean"], here["temp_mean"] + 3, atol=1e-4)


def test_later_months_change_neither_model_nor_prediction(
    cube: xr.Dataset, settings: Settings, folder: Path, tmp_path: Path
) -> None:
    longer = xr.concat([cube, cube.isel(time=slice(3))], "time", data_vars="minimal")
    months = month_starts("2007-01", "2009-03")
    longer = longer.drop_vars("time_bnds", errors="ignore").assign_coords(time=months)
    longer["temp"][24:] += 9
    longer = with_month_axis(longer, months)
    assert learns_the_same(longer, settings, folder, tmp_path)
    bundle = Bundle.load(folder)
    found, expected = predict(longer, bundle), predict(cube, bundle)
    np.testing.assert_allclose(found["flux"][:24], expected["flux"], atol=1e-6)
    assert found["flux"][24:].notnull().any()


def test_a_cube_without_the_months_of_the_climate_is_refused(
    cube: xr.Dataset, folder: Path, stored: Callable, tmp_path: Path
) -> None:
    late = cube.isel(time=slice(2, None))
    words = r"every month from 2007-01 to 2008-03, .* 2 of them absent \(the first is 2007-01\)"
    with pytest.raises(TimeError, match=words):
        predict(late, Bundle.load(folder))
    with pytest.raises(TimeError, match=words):
        predict_file(stored(late), tmp_path / "flux.zarr", folder)
    assert not (tmp_path / "flux.zarr").exists()


def test_what_cannot_be_a_climate(cube: xr.Dataset, settings: Settings) -> None:
    with pytest.raises(ValueError, match="same in every month; drop mean and lag"):
        DerivedFeature.model_validate({"of": "temp", "climate": "annual_mean", "lag": 1})
    static = {"flat": {"of": "static", "climate": "anomaly"}}
    with pytest.raises(NarcfError, match="'static' is the same in every month; remove climate"):
        Features.of(cube, tiny_settings("static", features=static))
    with pytest.raises(TimeError, match=r"1 of them absent .*2007-06"):
        Features.of(cube.drop_isel(time=5), settings)


def test_folds_take_the_climate_of_all_their_training_months(
    cube: xr.Dataset, settings: Settings
) -> None:
    blocks = {"kind": "blocks", "degrees": 2, "folds": 3}
    whole = tiny_settings("temp", features=HOW | {"sif_anomaly": HOW["temp_normal"]}, split=blocks)
    assert Features.of(cube, whole).climate == ("2007-01", "2008-12")
    within = settings.model_copy(update={"split": whole.split.model_copy(update={"period": SPLIT})})
    assert Features.of(cube, within).climate == ("2007-01", "2007-12")
    found = cross_validate(
        cube,
        ["temp"],
        split=blocks,
        model={"preset": "linear", "epochs": 2},
        features={"temp_mean": HOW["temp_mean"]},
    )
    assert found["flux"].notnull().any()


def test_a_notebook_trains_and_predicts(cube: xr.Dataset) -> None:
    bundle = train(
        cube,
        ["temp"],
        split=TRAIN,
        model={"preset": "linear", "epochs": 2},
        features={"normal": HOW["temp_normal"]},
    )
    assert bundle.features.climate == ("2007-01", "2008-03")
    assert predict(cube, bundle)["flux"].notnull().any()


@pytest.mark.parametrize(
    ("climate", "words"),
    [
        (None, "expected the months it is taken over"),
        (["2007-13", "2008-03"], "climate"),
        (["2009-01", "2008-03"], "2009-01 is after 2008-03"),
    ],
)
def test_a_bundle_with_a_damaged_climate_is_refused(
    folder: Path, tmp_path: Path, climate: object, words: str
) -> None:
    copy = Bundle.load(folder).save(tmp_path / "copy").directory
    content = json.loads((copy / "bundle.json").read_text(encoding="utf-8"))
    content["features"]["climate"] = climate
    (copy / "bundle.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(NarcfError, match=words):
        Bundle.load(copy)
