"""A synthetic cube of North America on 0.05 degree or coarser, and untrained bundles."""

from __future__ import annotations

from pathlib import Path

import numpy as np

PREDICTORS = ("temp", "R_sw", "precip", "ndvi", "nirv", "sif", "lst", "vpd", "wind", "soil_water")


def write_cube(path: Path, months: int, every: int = 1) -> int:
    """Write the cube, a year at a time; return its number of land cell-months.

    With `every` above 1 the step of the grid is `every` times 0.05 degree.
    """
    import rasterio
    import xarray as xr
    import zarr

    from narcf_geo.core.months import month_starts, with_month_axis
    from narcf_geo.grid import Grid
    from narcf_geo.prediction.store import codec

    raster = next(Path(__file__).parents[1].glob("narcf_geo/data/landcover/*.tif"))
    with rasterio.open(raster) as cover:
        biome = cover.read(1)[200:1600:every, 200:2600:every][::-1].astype("int8")
    grid = Grid.regular(-170, 10, -50, 80, 0.05 * every)
    land = (biome > 0) & (biome < 17)
    maps = ("lat", "lon")
    ds = xr.Dataset(
        {
            "biome": (maps, biome),
            "land_fraction": (maps, land.astype("f4")),
            "cell_area": (maps, grid.area.astype("f4"), {"units": "m2"}),
            "class_fraction": (
                ("igbp_class", *maps),
                (biome[None] == np.arange(18)[:, None, None]).astype("f4"),
            ),
        },
        coords=grid.coords(),
    )
    starts = month_starts("2001-01", "2040-12")[:months]
    encoding = {name: {"chunks": (256, 256)} for name in ("biome", "land_fraction", "cell_area")}
    encoding["class_fraction"] = {"chunks": (18, 256, 256)}
    with_month_axis(ds.assign_coords(time=starts), starts).to_zarr(
        path, mode="w", consolidated=False, encoding=encoding
    )
    group, rng = zarr.open_group(path), np.random.default_rng(0)
    for name in PREDICTORS:
        array = group.create_array(
            name,
            shape=(months, *grid.shape),
            chunks=(12, 256, 256),
            dtype="float32",
            fill_value=np.nan,
            compressors=codec(),
            dimension_names=("time", "lat", "lon"),
            attributes={"units": "1"},
        )
        for start in range(0, months, 12):
            block = np.full((min(12, months - start), *grid.shape), np.nan, "float32")
            block[:, land] = rng.standard_normal((len(block), land.sum()), dtype="float32")
            array[start : start + len(block)] = block
    return int(land.sum()) * months


def write_bundle(
    folder: Path,
    members: int = 1,
    *,
    preset: str = "narcf",
    mean: np.ndarray | None = None,
    std: np.ndarray | None = None,
    prototypes: int = 0,
) -> Path:
    """Write an untrained bundle: 28 features, the layers of a preset.

    `mean` and `std` are those of the features, shape (28,), by default 0 and 1; with `prototypes`
    the bundle has an area of applicability.
    """
    import keras

    from narcf_geo.model.bundle import write
    from narcf_geo.model.samples.features import Features
    from narcf_geo.project.presets import PRESETS
    from narcf_geo.statistics.applicability import APPLICABILITY, Applicability, left_out

    features = Features(PREDICTORS, ("1",) * len(PREDICTORS), (), "fractions")
    n = len(features.names)
    mean = np.zeros(n, np.float32) if mean is None else mean
    std = np.ones(n, np.float32) if std is None else std
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(members):
        keras.utils.set_random_seed(number)
        layers = [keras.Input((n,)), keras.layers.Normalization(mean=mean, variance=std**2)]
        layers += [keras.layers.Dense(w, activation="relu") for w in PRESETS[preset].hidden]
        paths.append(folder / f"raw_{number}.keras")
        keras.Sequential([*layers, keras.layers.Dense(1)]).save(paths[-1])
    model = folder / "model"
    write(model, features, paths, noise=0.5, calibration={"0.95": 2.0}, recipe={})
    if prototypes:
        rng = np.random.default_rng(0)
        rows = mean + std * rng.standard_normal((2 * prototypes, n), dtype=np.float32)
        area = Applicability.fit(rows, left_out(np.arange(len(rows)) % 4), prototypes=prototypes)
        area.save(model / APPLICABILITY)
    return model
