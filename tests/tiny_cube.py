"""A cube of 4 x 5 cells and two years, and settings to learn from it in a second."""

from __future__ import annotations

import numpy as np
import xarray as xr

from narcf_geo.core.months import month_starts, with_month_axis
from narcf_geo.grid import Grid
from narcf_geo.project.settings import Settings
from narcf_geo.project.split_settings import PeriodSplit

SPLIT = PeriodSplit.model_validate(
    {
        "train": {"start": "2007-01", "end": "2007-12"},
        "validation": {"start": "2008-01", "end": "2008-06"},
        "test": {"start": "2008-07", "end": "2008-12"},
    }
)


def tiny_settings(*predictors: str, **more: object) -> Settings:
    """Return settings for the cube: learn from 2007, validate and test on the halves of 2008."""
    return Settings.model_validate(
        {
            "region": {"west": -100, "south": 40, "east": -95, "north": 44},
            "period": {"start": "2007-01", "end": "2008-12"},
            "land_cover": {"source": "land"},
            "predictors": {"weather": list(predictors)},
            "target": {"source": "flux"},
            "split": SPLIT,
            "model": {"preset": "narcf-25", "epochs": 3, "batch_size": 64},
            **more,
        }
    )


def tiny_cube() -> xr.Dataset:
    """4 x 5 cells, two years; a lake, the sea, and gaps in one predictor."""
    rng = np.random.default_rng(2)
    grid = Grid.regular(-100, 40, -95, 44, 1)
    months = month_starts("2007-01", "2008-12")
    dims, shape = ("time", "lat", "lon"), (24, *grid.shape)
    biome = np.full(grid.shape, 5, np.int8)
    biome[0, 0], biome[3, 4], biome[1, 2] = 0, -1, 12
    fraction = np.zeros((18, *grid.shape), np.float32)
    for number in (0, 5, 12):
        fraction[number][biome == number] = 1
    temp = rng.normal(10, 8, shape).astype(np.float32)
    sif = rng.normal(1, 0.5, shape).astype(np.float32)
    sif[5, 2, 1], sif[20] = np.nan, np.nan
    units = "umol m-2 s-1"
    ds = xr.Dataset(
        {
            "temp": (dims, temp, {"units": "degC"}),
            "sif": (dims, sif, {"units": "mW m-2 nm-1 sr-1"}),
            "static": (dims[1:], rng.normal(0, 1, grid.shape).astype("f4"), {"units": "1"}),
            "flux_target": (dims, 0.1 * temp - np.nan_to_num(sif), {"units": units}),
            "biome": (dims[1:], biome),
            "land_fraction": (dims[1:], (biome > 0).astype("f4")),
            "class_fraction": (("igbp_class", *dims[1:]), fraction),
            "cell_area": (dims[1:], grid.area, {"units": "m2"}),
        },
        coords=grid.coords(),
    )
    return with_month_axis(ds.assign_coords(time=months), months)
