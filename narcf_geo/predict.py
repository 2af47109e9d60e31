"""Prediction for every land cell and month, chunk by chunk with dask."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import xarray as xr

from narcf_geo.constants import FLUX_SIGN, FLUX_UNITS
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.features import is_land

_UNCERTAINTY = {
    "flux_std": "standard deviation of the target flux about the estimate",
    "flux_std_spread": "standard deviation of the members of the ensemble",
    "flux_std_noise": "standard deviation of the target about a member",
    "flux_lower": "lower end of the interval that holds 95 % of the target values",
    "flux_upper": "upper end of the interval that holds 95 % of the target values",
}


@lru_cache(maxsize=4)
def _bundle(directory: Path) -> Bundle:
    """Load a bundle once in each worker process, so that no graph has to carry it."""
    return Bundle.load(directory)


def _predict_block(
    land: np.ndarray, static: np.ndarray, *predictors: np.ndarray, directory: Path
) -> np.ndarray:
    """Return flux, spread and noise, shape (..., 3); NaN without a value."""
    bundle = _bundle(directory)
    shape = np.broadcast_shapes(land.shape, *(p.shape for p in predictors))
    columns = [np.broadcast_to(p, shape) for p in predictors]
    valid = np.broadcast_to(land, shape) & bundle.features.complete(columns)
    result = np.full((*shape, 3), np.nan, np.float32)
    if valid.any():
        places = np.broadcast_to(static, (*shape, static.shape[-1]))[valid]
        x = bundle.features.matrix([column[valid] for column in columns], places)
        estimate = bundle.estimate(x)
        result[valid] = np.column_stack([estimate.flux, estimate.spread, estimate.noise])
    return result


def predict(cube: xr.Dataset, bundle: Bundle) -> xr.Dataset:
    """Predict the flux of every land cell and month of `cube`, lazily where the cube is.

    Parameters
    ----------
    cube : xarray.Dataset
        Predictors (time, lat, lon) or (lat, lon), ``biome``, ``class_fraction``, ``land_fraction``
        and ``cell_area``.
    bundle : Bundle
        The trained model.

    Returns
    -------
    xarray.Dataset
        ``flux`` (time, lat, lon), umol m-2 s-1, positive to the atmosphere, NaN at sea and where a
        predictor is missing; ``flux_std`` and its parts ``flux_std_spread`` and ``flux_std_noise``;
        ``flux_lower`` and ``flux_upper``, the interval that holds 95 % of the target; ``biome``,
        ``land_fraction`` and ``cell_area``.

    Raises
    ------
    NarcfError
        When the cube lacks a predictor of the model, or has it in another unit.
    """
    cube = bundle.features.prepare(cube)
    static = xr.DataArray(
        bundle.features.static(cube["biome"].values, cube["class_fraction"].values),
        dims=("lat", "lon", "feature"),
    )
    names = bundle.features.predictors
    # At least one input with a time axis gives the result its own.
    first = cube[names[0]].broadcast_like(cube["time"]).transpose("time", "lat", "lon")
    predictors = [first, *(cube[n].drop_vars(cube[n].coords) for n in names[1:])]
    both = xr.apply_ufunc(
        _predict_block,
        is_land(cube["biome"]).drop_vars(cube["biome"].coords),
        static,
        *[p.drop_vars(p.coords) for p in predictors],
        kwargs={"directory": bundle.directory},
        input_core_dims=[[], ["feature"], *[[] for _ in predictors]],
        output_core_dims=[["statistic"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": {"statistic": 3}},
    ).transpose("time", "lat", "lon", "statistic")
    result = cube[["biome", "land_fraction", "cell_area"]].assign_coords(
        {name: cube[name] for name in ("time", "time_bnds")}
    )
    attrs = {"units": FLUX_UNITS, "cell_methods": "time: mean area: mean"}
    result["flux"] = both.isel(statistic=0)
    result["flux"].attrs = {
        **attrs,
        "long_name": "net land-to-atmosphere CO2 flux",
        "sign": FLUX_SIGN,
    }
    if bundle.features.coordinates:
        named = ", ".join(bundle.features.coordinates)
        result["flux"].attrs["comment"] = f"the model was given coordinates: {named}"
    spread, noise = both.isel(statistic=1), both.isel(statistic=2)
    if bundle.factors:
        result["flux_std"] = np.hypot(spread, noise)
        half = np.float32(bundle.factors[0.95]) * result["flux_std"]
        result["flux_lower"], result["flux_upper"] = result["flux"] - half, result["flux"] + half
        result["flux_std_spread"], result["flux_std_noise"] = spread, noise
        for name, text in _UNCERTAINTY.items():
            result[name].attrs = {**attrs, "long_name": text}
    result.attrs = dict(cube.attrs)
    return result
