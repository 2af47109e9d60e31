"""A bundle says what it is, refuses what it was not trained for, and reads the version before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from tiny_cube import tiny_settings

from narcf_geo.core.errors import NarcfError
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.card import model_card
from narcf_geo.model.fit import fit_bundle
from narcf_geo.model.samples.splits import splits_of
from narcf_geo.model.samples.table import Table
from narcf_geo.statistics.scores import scores

MODEL = {"preset": "narcf-25", "epochs": 20, "batch_size": 64, "members": 2}


@pytest.fixture(scope="module")
def directory(cube: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = tiny_settings(
        "temp",
        "sif",
        missing="mask",
        model=MODEL,
        coordinates=["lat"],
        features={"late": {"of": "temp", "lag": 1}},
    )
    directory = tmp_path_factory.mktemp("bundle") / "model"
    fit_bundle(cube, settings, directory, lambda *_: None)
    return directory


def altered(directory: Path, folder: Path, **changes: object) -> Path:
    """Copy a bundle with changes to its JSON; a change to None removes the key."""
    copy = folder / "copy"
    shutil.copytree(directory, copy)
    content = json.loads((copy / "bundle.json").read_text())
    content.update(changes)
    content = {k: v for k, v in content.items() if v is not None}
    (copy / "bundle.json").write_text(json.dumps(content))
    return copy


def test_the_metrics_are_those_of_the_parts(cube: xr.Dataset, directory: Path) -> None:
    bundle = Bundle.load(directory)
    table = Table.of(cube, bundle.features)
    settings = tiny_settings("temp")
    (split,) = splits_of(settings.split, table, settings.seed)
    estimate = bundle.estimate(table.x)
    for part in ("train", "validation", "test"):
        rows = getattr(split, part)
        expected = scores(estimate.flux[rows], table.y[rows], table.area[rows])
        found = bundle.information["metrics"][part]
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-6), (part, name)
        for level, factor in bundle.factors.items():
            error = abs(table.y.astype(float) - estimate.flux)[rows]
            inside = error <= factor * estimate.std[rows].astype(float)
            share = np.average(inside, weights=table.area[rows])
            assert found[f"coverage_{level}"] == pytest.approx(share, abs=1e-6)
    assert bundle.information["data"]["sha256"] == table.digest


def test_columns_absent_or_in_another_order(directory: Path, tmp_path: Path) -> None:
    bundle = Bundle.load(directory)
    rng = np.random.default_rng(3)
    rows = pd.DataFrame(
        rng.normal(0, 1, (7, len(bundle.features.names))), columns=list(bundle.features.names)
    )
    np.testing.assert_array_equal(
        bundle.estimate(rows).flux, bundle.estimate(rows.to_numpy(np.float32)).flux
    )
    with pytest.raises(NarcfError, match="found them without temp"):
        bundle.estimate(rows.drop(columns="temp"))
    with pytest.raises(NarcfError, match="in another order"):
        bundle.estimate(rows[rows.columns[::-1]])
    with pytest.raises(NarcfError, match=f"expected {rows.shape[1]} features"):
        bundle.estimate(rows.to_numpy(np.float32)[:, :-1])
    features = json.loads((directory / "bundle.json").read_text())["features"]
    names = features["names"]
    swapped = {**features, "names": [names[1], names[0], *names[2:]]}
    with pytest.raises(NarcfError, match="in another order than the network was trained with"):
        Bundle.load(altered(directory, tmp_path, features=swapped))


def test_a_network_of_another_width(directory: Path, tmp_path: Path) -> None:
    features = json.loads((directory / "bundle.json").read_text())["features"]
    fewer = {**features, "biome": "none", "names": features["names"][:-18]}
    bundle = Bundle.load(altered(directory, tmp_path, features=fewer))
    with pytest.raises(NarcfError, match=r"takes \d+ features, bundle\.json names"):
        _ = bundle.ensemble


def test_the_version_before_loads(directory: Path, tmp_path: Path) -> None:
    bundle = Bundle.load(directory)
    features = json.loads((directory / "bundle.json").read_text())["features"]
    old = altered(
        directory,
        tmp_path,
        bundle_version=1,
        noise=None,
        calibration=None,
        recipe=None,
        metrics=None,
        data=None,
        grid=None,
        split=None,
        features=features,
    )
    loaded = Bundle.load(old)
    x = np.random.default_rng(5).normal(0, 1, (9, len(features["names"]))).astype("f4")
    np.testing.assert_array_equal(loaded.estimate(x).flux, bundle.estimate(x).flux)
    assert loaded.factors == {}
    assert "not recorded" in model_card(loaded)


def test_the_card_says_what_matters(directory: Path) -> None:
    card = model_card(Bundle.load(directory))
    for text in (
        "umol m-2 s-1",
        "Coordinates are among the features (lat)",
        "no month in two parts",
        "| temp | degC |",
        "of temp, lag 1",
        "2 members",
        "95%",
    ):
        assert text in card, text
    plain = card.replace("Coordinates are among", "")
    assert "undefined" not in plain
