"""Folds of blocks and of single cells, from the settings to the estimates on the grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.core.months import with_month_axis
from narcf_geo.evaluation import compare
from narcf_geo.evaluation.project import evaluation_metrics
from narcf_geo.grid import Grid
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.fit import cross_validation, fit_bundle
from narcf_geo.prediction import predict
from narcf_geo.project.settings import Settings

SETTINGS = Settings.model_validate(
    {
        "region": {"west": -100, "south": 30, "east": -70, "north": 50},
        "resolution": 1,
        "period": {"start": "2001-07", "end": "2001-07"},
        "land_cover": {"source": "land"},
        "predictors": {"weather": ["a", "b", "c", "d"]},
        "biome_features": "none",
        "target": {"source": "flux"},
        "split": {"kind": "blocks", "degrees": 5, "folds": 4},
        "model": {
            "preset": "narcf-25",
            "loss": "mse",
            "epochs": 60,
            "batch_size": 64,
            "learning_rate": 0.02,
            "members": 2,
        },
    }
)


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    """A flux at random for each block of 5 degrees; predictors that only tell which block it is."""
    grid = Grid.regular(-100, 30, -70, 50, 1)
    rng = np.random.default_rng(4)
    rows, columns = np.indices(grid.shape)
    block = rows // 5 * 6 + columns // 5
    level, *codes = rng.normal(0, 1, (5, block.max() + 1))
    dims = ("time", "lat", "lon")
    fraction = np.zeros((18, *grid.shape), np.float32)
    fraction[5] = 1
    ds = xr.Dataset(
        {
            **{
                name: (dims, code[block][None].astype("f4"), {"units": "1"})
                for name, code in zip("abcd", codes, strict=True)
            },
            "flux_target": (dims, level[block][None].astype("f4"), {"units": "umol m-2 s-1"}),
            "biome": (dims[1:], np.full(grid.shape, 5, np.int8)),
            "land_fraction": (dims[1:], np.ones(grid.shape, "f4")),
            "class_fraction": (("igbp_class", *dims[1:]), fraction),
            "cell_area": (dims[1:], grid.area, {"units": "m2"}),
        },
        coords=grid.coords(),
    )
    month = pd.DatetimeIndex(["2001-07-01"])
    return with_month_axis(ds.assign_coords(time=month), month)


@pytest.fixture(scope="module")
def model(cube: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("blocks") / "model"
    fit_bundle(cube, SETTINGS, directory, lambda done, total, text: None)
    return directory


def test_every_cell_is_tested_once_under_both_protocols(cube: xr.Dataset, model: Path) -> None:
    folds = cross_validation(model)
    assert set(folds) == {
        f"{protocol}_{part}{suffix}"
        for protocol in ("blocks", "random")
        for part in ("train", "validation", "test")
        for suffix in ("", "_std")
    }
    for name, estimate in folds.items():
        assert estimate.notnull().all(), name


def test_random_cells_flatter_what_blocks_find_out(cube: xr.Dataset, model: Path) -> None:
    """Nothing can be known of a block from the others, and much from the cells beside."""
    folds = cross_validation(model)
    r = {
        protocol: compare(folds[f"{protocol}_test"], cube["flux_target"], cube["cell_area"])["r"]
        for protocol in ("blocks", "random")
    }
    assert r["random"] > 0.5
    assert r["blocks"] < 0.3


def test_metrics_test_the_blocks(cube: xr.Dataset, model: Path) -> None:
    bundle, folds = Bundle.load(model), cross_validation(model)
    assert len(bundle.ensemble.networks) == 2
    prediction = predict(cube, bundle)
    assert float(prediction["observed_std"].max()) > 0
    metrics = evaluation_metrics(cube, prediction, SETTINGS, model)
    assert metrics["test"] == metrics["cross_validation"]["blocks"]
    assert metrics["test"]["n"] == cube["flux_target"].size
    assert metrics["train"]["r"] > metrics["test"]["r"]
    # Blocks that validate and blocks that test are alike: the intervals hold as many of both.
    for part in ("validation", "test"):
        estimate, std = (folds[f"blocks_{part}{suffix}"] for suffix in ("", "_std"))
        error = abs(cube["flux_target"].astype(float) - estimate)
        inside = error <= bundle.factors[0.8] * std.astype(float)
        share = float(inside.weighted(cube["cell_area"]).mean())
        assert metrics["intervals"]["observed"][part]["coverage"]["0.8"] == pytest.approx(
            share, abs=5e-3
        )
        assert 0.6 < share < 0.95
    assert metrics["region"]["period"] == ["2001-07", "2001-07"]
