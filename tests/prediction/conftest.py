"""A cube larger than a chunk, and a bundle with all that one may have, made without training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from narcf_geo.core.months import month_starts, with_month_axis
from narcf_geo.grid import Grid
from narcf_geo.model.bundle import write
from narcf_geo.model.samples.features import Features
from narcf_geo.project.settings import DerivedFeature
from narcf_geo.statistics.applicability import Applicability, left_out

UNITS = {"temp": "degC", "sif": "mW m-2 nm-1 sr-1", "height": "m"}
DERIVED = {"temp_before": DerivedFeature(of="temp", mean=2, lag=1)}


@pytest.fixture(scope="session")
def fine_cube() -> xr.Dataset:
    """26 months of 60 x 70 cells: land with lakes and a coast, gaps in every predictor."""
    rng = np.random.default_rng(3)
    grid = Grid.regular(-100, 40, -93, 46, 0.1)
    months = month_starts("2007-01", "2009-02")
    dims, shape = ("time", "lat", "lon"), (len(months), *grid.shape)
    biome = rng.choice([1, 5, 10, 12], grid.shape).astype(np.int8)
    biome[rng.random(grid.shape) < 0.1] = 0
    biome[:, 60:] = -1
    fraction = np.zeros((18, *grid.shape), np.float32)
    np.put_along_axis(fraction, np.maximum(biome, 0)[None].astype(int), 0.75, axis=0)
    fraction[10] += 0.25
    temp = rng.normal(10, 8, shape).astype(np.float32)
    sif = rng.normal(1, 0.5, shape).astype(np.float32)
    temp[4, 20:30, 10:25], sif[rng.random(shape) < 0.05], sif[14] = np.nan, np.nan, np.nan
    height = rng.normal(300, 90, grid.shape).astype(np.float32)
    ds = xr.Dataset(
        {
            "temp": (dims, temp, {"units": UNITS["temp"]}),
            "sif": (dims, sif, {"units": UNITS["sif"]}),
            "height": (dims[1:], height, {"units": UNITS["height"]}),
            "biome": (dims[1:], biome),
            "land_fraction": (dims[1:], (biome > 0).astype("f4")),
            "class_fraction": (("igbp_class", *dims[1:]), fraction),
            "cell_area": (dims[1:], grid.area, {"units": "m2"}),
        },
        coords=grid.coords(),
        attrs={"title": "A test cube"},
    )
    return with_month_axis(ds.assign_coords(time=months), months)


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs of halves with noise of their own, calibrated, with an area of applicability."""
    features = Features(
        ("temp", "sif", "height", "temp_before"),
        (*UNITS.values(), "degC"),
        ("sif",),
        "fractions",
        DERIVED,
    )
    return _bundle(tmp_path_factory.mktemp("bundle"), features, [10, 1, 300, 10], [8, 0.5, 90, 8])


@pytest.fixture(scope="session")
def climate_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that takes the climate of two predictors over 2007 and 2008."""
    root = f"sqrt({UNITS['sif']})"
    derived = {
        "temp_anomaly": DerivedFeature(of="temp", climate="anomaly", lag=1),
        "sif_normal": DerivedFeature(of="sif", transform="sqrt", climate="monthly_mean"),
        "sif_mean": DerivedFeature(of="sif", transform="sqrt", climate="annual_mean"),
    }
    features = Features(
        ("temp", "sif", *derived),
        (UNITS["temp"], UNITS["sif"], "degC", root, root),
        ("sif", "sif_normal"),
        "fractions",
        derived,
        climate=("2007-01", "2008-12"),
    )
    return _bundle(
        tmp_path_factory.mktemp("climate"), features, [10, 1, 0, 1, 1], [8, 0.5, 8, 0.2, 0.1]
    )


def _bundle(folder: Path, features: Features, means: list[float], spreads: list[float]) -> Path:
    import keras

    rng = np.random.default_rng(5)
    n, given = len(features.names), len(means)
    mean = np.array([*means, *[0.1] * (n - given)], np.float32)
    spread = np.array([*spreads, *[0.3] * (n - given)], np.float32)
    paths = []
    for k in range(4):
        keras.utils.set_random_seed(k)
        layers = [
            keras.Input((n,)),
            keras.layers.Normalization(mean=mean, variance=spread**2),
            keras.layers.Dense(24, activation="relu"),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(2),
        ]
        paths.append(folder / f"raw_{k}.keras")
        keras.Sequential(layers).save(paths[-1])
    error = {"apart": 0.6, "noise": 0.04, "recurring": 0.01, "factors": {"0.95": 2.0}}
    write(
        folder / "model",
        features,
        paths,
        noise=0.0,
        calibration={"0.95": 2.1},
        recipe={"halves": True},
        flux_error=error,
    )
    rows = (mean + spread * rng.normal(size=(300, n))).astype(np.float32)
    weights = np.array([1] * given + [0] * (n - given), np.float32)
    area = Applicability.fit(rows, left_out(np.arange(300) % 4), weights, prototypes=50)
    area.save(folder / "model" / "applicability.npz")
    return folder / "model"


@pytest.fixture
def stored(fine_cube: xr.Dataset, tmp_path: Path) -> Path:
    """The cube as a Zarr store whose chunks are not those of the prediction."""
    path = tmp_path / "cube.zarr"
    chunked = fine_cube.chunk({"time": 5, "lat": 22, "lon": 70, "igbp_class": 18})
    chunked.drop_encoding().to_zarr(path, consolidated=False)
    return path


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several chunks along each axis."""
    monkeypatch.setattr("narcf_geo.core.layout.CHUNK", (12, 32, 32))


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Return all files of a store."""

    def read(store: Path) -> dict[str, bytes]:
        files = (path for path in store.rglob("*") if path.is_file())
        return {str(path.relative_to(store)): path.read_bytes() for path in files}

    return read
