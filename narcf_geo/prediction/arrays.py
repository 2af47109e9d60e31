"""What the predicted fields are called, and the prediction of a cube that is open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from narcf_geo.core.constants import FLUX_SIGN, FLUX_UNITS
from narcf_geo.core.errors import NarcfError
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.samples.features import is_land
from narcf_geo.prediction.block import LEVEL, Predictor, bundle_digest, predictor

_LONG_NAMES = {
    "flux": "net land-to-atmosphere CO2 flux",
    "flux_std": "standard deviation of the target flux about the estimate",
    "flux_std_spread": "standard deviation of the members of the ensemble",
    "flux_std_noise": "standard deviation of the target about a member",
    "flux_lower": f"lower end of the interval that holds {LEVEL:.0%} of the target values",
    "flux_upper": f"upper end of the interval that holds {LEVEL:.0%} of the target values",
    "applicability": "dissimilarity to the training data",
    "applicable": "1 where the model may be trusted: no less similar than training data are",
}

BOUNDS = ("time_bnds", "lat_bnds", "lon_bnds")

KEPT = ("biome", "land_fraction", "cell_area")
"""Variables (lat, lon) of the cube that go with a prediction."""


def attributes(name: str, bundle: Bundle) -> dict[str, str]:
    """Return the attributes of a predicted field."""
    attrs = {"long_name": _LONG_NAMES[name]}
    if not name.startswith("flux"):
        return {"units": "1", **attrs}
    attrs = {"units": FLUX_UNITS, "cell_methods": "time: mean area: mean", **attrs}
    if name == "flux":
        attrs["sign"] = FLUX_SIGN
        if bundle.features.coordinates:
            named = ", ".join(bundle.features.coordinates)
            attrs["comment"] = f"the model was given coordinates: {named}"
    return attrs


def inputs(cube: xr.Dataset, bundle: Bundle) -> tuple[np.ndarray, np.ndarray]:
    """Return where land is, shape (lat, lon), and the biome columns, shape (lat, lon, n).

    Raises
    ------
    NarcfError
        When the cube has no biomes, or others in each month.
    """
    fractions = bundle.features.takes_fractions
    for name in ("biome", *(("class_fraction",) if fractions else ())):
        if name not in cube:
            raise NarcfError(
                f"expected the variable {name!r}, found {', '.join(map(str, cube.data_vars))}; "
                "`narcf-geo biomes` makes it from a land cover map"
            )
    if cube["biome"].dims != ("lat", "lon"):
        raise NarcfError(f"expected 'biome' over (lat, lon), found {cube['biome'].dims}")
    shares = cube["class_fraction"].values if fractions else np.empty(0)
    static = bundle.features.static(cube["biome"].values, shares)
    return is_land(cube["biome"]).values, static


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
        predictor is missing. Where the bundle is calibrated: ``flux_std`` and its parts
        ``flux_std_spread`` and ``flux_std_noise``, and ``flux_lower`` and ``flux_upper``, the
        interval that holds 95 % of the target. Where it has an area of applicability:
        ``applicability``, the dissimilarity to the training data, and ``applicable``, 0 or 1.
        ``biome``, ``land_fraction`` and ``cell_area`` as in the cube.

    Raises
    ------
    NarcfError
        When the cube lacks a predictor of the model, or has it in another unit.

    See Also
    --------
    narcf_geo.prediction.predict_file : for what does not fit into memory.
    """
    cube = bundle.features.prepare(cube)
    land, static = inputs(cube, bundle)
    names = bundle.features.predictors
    # The first input, with all axes in their order, gives the result its own.
    columns = [cube[name].transpose(..., "lat", "lon") for name in names]
    columns[0] = columns[0].broadcast_like(cube["time"]).transpose("time", "lat", "lon")
    fields = Predictor(bundle).fields
    stacked = xr.apply_ufunc(
        _block,
        columns[0].drop_vars(columns[0].coords),
        xr.DataArray(land, dims=("lat", "lon")),
        xr.DataArray(static, dims=("lat", "lon", "feature")),
        *[c.drop_vars(c.coords) for c in columns[1:]],
        kwargs={"directory": bundle.directory, "digest": bundle_digest(bundle.directory)},
        input_core_dims=[[], [], ["feature"], *[[] for _ in columns[1:]]],
        output_core_dims=[["field"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": {"field": len(fields)}},
    ).transpose("field", "time", "lat", "lon")
    result = cube[[name for name in KEPT if name in cube]].assign_coords(
        {name: cube[name] for name in ("time", *BOUNDS) if name in cube.coords}
    )
    for number, name in enumerate(fields):
        result[name] = stacked.isel(field=number).assign_attrs(attributes(name, bundle))
    result.attrs = dict(cube.attrs)
    return result


def _block(
    first: np.ndarray,
    land: np.ndarray,
    static: np.ndarray,
    *others: np.ndarray,
    directory: Path,
    digest: str,
) -> np.ndarray:
    """Predict a block of a cube, shape (time, lat, lon, field)."""
    block = predictor(directory, digest).block(len(first), land, static, [first, *others])
    return np.moveaxis(block, 0, -1)
