"""A synthetic cube of North America on 0.05 degree, and bundles of the preset narcf."""

from __future__ import annotations

from pathlib import Path

import numpy as np

PREDICTORS = ("temp", "R_sw", "precip", "ndvi", "nirv", "sif", "lst", "vpd", "wind", "soil_water")


def write_cube(path: Path, months: int) -> int:
    """Write the cube, a year at a time; return its number of land cell-months."""
    import rasterio
    import xarray as xr
    import zarr

    from narcf_geo.grid import Grid
    from narcf_geo.months import month_starts, with_month_axis
    from narcf_geo.predict.store import codec

    raster = next(Path(__file__).parents[1].glob("narcf_geo/data/landcover/*.tif"))
    with rasterio.open(raster) as cover:
        biome = cover.read(1)[200:1600, 200:2600][::-1].astype("int8")
    grid = Grid.regular(-170, 10, -50, 80, 0.05)
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


def write_bundle(folder: Path, members: int = 1) -> Path:
    """Write an untrained bundle: 28 features, the layers of the preset narcf."""
    import keras

    from narcf_geo.model.bundle import write
    from narcf_geo.model.features import Features
    from narcf_geo.model.presets import PRESETS

    features = Features(PREDICTORS, ("1",) * len(PREDICTORS), (), "fractions")
    paths = []
    for number in range(members):
        keras.utils.set_random_seed(number)
        layers = [
            keras.Input((28,)),
            keras.layers.Normalization(mean=[0.0] * 28, variance=[1] * 28),
        ]
        layers += [keras.layers.Dense(n, activation="relu") for n in PRESETS["narcf"].hidden]
        paths.append(folder / f"raw_{number}.keras")
        keras.Sequential([*layers, keras.layers.Dense(1)]).save(paths[-1])
    write(folder / "model", features, paths, noise=0.5, calibration={"0.95": 2.0}, recipe={})
    return folder / "model"
