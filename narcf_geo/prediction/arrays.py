"""What the predicted fields are called, and the prediction of a cube that is open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.constants import FLUX_SIGN, FLUX_UNITS, IGBP
from narcf_geo.core.errors import FieldError, NarcfError, TimeError, UsageError
from narcf_geo.core.months import gaps
from narcf_geo.core.units import linear
from narcf_geo.fields import area_field, class_field, in_house_order, on_month_axis
from narcf_geo.fields.stored import valid_only
from narcf_geo.fields.values import whole_classes
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.samples.climate import at_months
from narcf_geo.model.samples.features import LAND_CLASSES
from narcf_geo.prediction.block import LEVEL, Predictor, bundle_digest, predictor

_LONG_NAMES = {
    "flux": "net land-to-atmosphere CO2 flux",
    "flux_std": "standard deviation of the estimate about the flux",
    "flux_lower": f"lower end of the {LEVEL:.0%} interval of the flux",
    "flux_upper": f"upper end of the {LEVEL:.0%} interval of the flux",
    "observed_std": "standard deviation of an observed value about the estimate",
    "observed_lower": f"lower end of the {LEVEL:.0%} interval of an observed value",
    "observed_upper": f"upper end of the {LEVEL:.0%} interval of an observed value",
    "applicability": "dissimilarity to the training data",
    "applicable": "1 where the model may be trusted: no less similar than training data are",
}

BOUNDS = ("time_bnds", "lat_bnds", "lon_bnds")

_CLASSES = list(range(len(IGBP)))

KEPT = ("biome", "land_fraction", "cell_area")
"""Variables (lat, lon) of the cube that go with a prediction."""


def attributes(name: str, bundle: Bundle) -> dict[str, str]:
    """Return the attributes of a predicted field."""
    attrs = {"long_name": _LONG_NAMES[name]}
    if name.startswith("applica"):
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
    maps = [array.values for array in land_cover(cube, bundle)]
    return _columns(bundle, whole_classes(maps[0]), *maps[1:])


def land_cover(cube: xr.Dataset, bundle: Bundle) -> list[xr.DataArray]:
    """Return ``biome`` (lat, lon) and, where the model takes it, ``class_fraction``.

    Raises
    ------
    NarcfError
        When one of them is absent, or along other dimensions.
    """
    names = ["biome", *(["class_fraction"] if bundle.features.takes_fractions else [])]
    for name in names:
        if name not in cube:
            raise NarcfError(
                f"expected the variable {name!r}, found {', '.join(map(str, cube.data_vars))}; "
                "`narcf-geo biomes` makes it from a land cover map"
            )
    if cube["biome"].dims != ("lat", "lon"):
        raise FieldError(f"expected 'biome' over (lat, lon), found {cube['biome'].dims}")
    return [cube["biome"], *(_shares(cube[name]) for name in names[1:])]


def _shares(fraction: xr.DataArray) -> xr.DataArray:
    """Return class fractions with the 18 classes in order, as parts of 1."""
    if set(fraction.dims) != {"igbp_class", "lat", "lon"}:
        raise FieldError(
            f"expected 'class_fraction' over (igbp_class, lat, lon), found {fraction.dims}"
        )
    found = fraction["igbp_class"].values.tolist()
    if found != _CLASSES:
        if sorted(found) != _CLASSES:
            raise FieldError(
                f"expected the 18 IGBP classes 0 to 17 along igbp_class, found {found}"
            )
        fraction = fraction.sel(igbp_class=_CLASSES)
    units = str(fraction.attrs.get("units", "1"))
    if units not in ("1", ""):
        scale, _ = linear(units, "1")
        fraction = (fraction * scale).astype(np.float32)
    return fraction.transpose("igbp_class", "lat", "lon")


def _columns(
    bundle: Bundle, biome: np.ndarray, shares: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    static = bundle.features.static(biome, np.empty(0) if shares is None else shares)
    return np.isin(biome, LAND_CLASSES) & np.isfinite(static).all(axis=-1), static


def in_house_terms(cube: xr.Dataset, bundle: Bundle) -> xr.Dataset:
    """Return a cube with house axes, months and classes, and every feature of the model.

    Raises
    ------
    NarcfError
        When something is absent, or is not what it must be.
    """
    where = "the cube"
    if not isinstance(cube, xr.Dataset):
        raise UsageError(f"expected a cube as an xarray.Dataset, found {type(cube).__name__}")
    cube = on_month_axis(in_house_order(valid_only(cube), where), where=where)
    if "time" not in cube.dims or cube["lat"].dims != ("lat",) or cube["lon"].dims != ("lon",):
        raise FieldError(
            f"{where}: expected the dimensions time, lat and lon, found "
            f"{', '.join(map(str, cube.dims))}"
        )
    require_months(cube.indexes["time"], bundle, where)
    land_cover(cube, bundle)
    kept = {"biome": class_field(cube["biome"])}
    if "cell_area" in cube:
        kept["cell_area"] = area_field(cube["cell_area"])
    cube = bundle.features.prepare(cube.assign(kept))
    for name in bundle.features.predictors:
        if extra := [str(d) for d in cube[name].dims if d not in ("time", "lat", "lon")]:
            raise FieldError(
                f"{where}: expected the predictor {name!r} along time, lat and lon, found it along "
                f"{', '.join(extra)} too; choose one with .isel or .sel"
            )
    return cube


def require_months(months: pd.DatetimeIndex, bundle: Bundle, where: str) -> None:
    """Refuse a time axis that lacks months of which a feature is made.

    Raises
    ------
    TimeError
        When there is a gap and a feature is made of months before, or a month of the climate is
        absent.
    """
    features = bundle.features
    if any(how.lag or how.mean > 1 for how in features.derived.values()):
        for gap in gaps(months):
            raise TimeError(
                f"{where}: expected every month from {months[0]:%Y-%m} to {months[-1]:%Y-%m}, "
                "because the model takes features of the months before; "
                f"{gap.first:%Y-%m} to {gap.last:%Y-%m} is absent"
            )
    if features.climate:
        at_months(months, features.climate, where)


def predict(cube: xr.Dataset, bundle: Bundle) -> xr.Dataset:
    """Predict the flux of every land cell and month of a cube, lazily where the cube is.

    Parameters
    ----------
    cube : xarray.Dataset
        Predictors (time, lat, lon) or (lat, lon) in any unit that converts, ``biome``, and
        ``class_fraction`` if the model takes it; ``land_fraction`` and ``cell_area`` go with the
        prediction. Axes of any names, order and direction; a value a month.
    bundle : Bundle
        The trained model.

    Returns
    -------
    xarray.Dataset
        ``flux`` (time, lat, lon), umol m-2 s-1, positive to the atmosphere, NaN at sea and where a
        predictor is missing. Of members in halves: ``flux_std``, the standard deviation of the
        estimate about the flux itself, and ``flux_lower`` and ``flux_upper``, its 95 % interval.
        Where the bundle is calibrated: ``observed_std``, ``observed_lower`` and
        ``observed_upper``, the same of a value of the target. Where it has an area of
        applicability: ``applicability``, the dissimilarity to the training data, and
        ``applicable``, 0 or 1.
        ``biome``, ``land_fraction`` and ``cell_area`` of the cube. Latitudes and longitudes rise;
        time is at month starts.

    Raises
    ------
    UnitError
        When a predictor states no unit, or one that does not convert.
    TimeError
        When the cube is not monthly.
    NarcfError
        When the cube lacks a predictor of the model, or biomes.

    See Also
    --------
    narcf_geo.predict_file : for what does not fit into memory.

    Examples
    --------
    With a project that ran:

    >>> import narcf_geo as ng
    >>> bundle = ng.Bundle.load("demo/model")  # doctest: +SKIP
    >>> prediction = ng.predict(ng.open_cube("demo"), bundle)  # doctest: +SKIP
    """
    cube = in_house_terms(cube, bundle)
    fields = Predictor(bundle).fields
    stacked = blocks(cube, bundle, predictor, len(fields))
    result = cube[[name for name in KEPT if name in cube]].assign_coords(
        {name: cube[name] for name in ("time", *BOUNDS) if name in cube.coords}
    )
    for number, name in enumerate(fields):
        result[name] = stacked.isel(field=number).assign_attrs(attributes(name, bundle))
    result.attrs = dict(cube.attrs)
    return result


def blocks(
    cube: xr.Dataset, bundle: Bundle, opened: Callable[[Path, str], Predictor], number: int
) -> xr.DataArray:
    """Return the `number` fields of a `Predictor` (field, time, lat, lon), lazily if the cube is.

    Parameters
    ----------
    cube : xarray.Dataset
        As from `in_house_terms`.
    bundle : Bundle
        The trained model.
    opened : callable
        Opens a bundle by its folder and digest, in each process.
    number : int
        Of fields.
    """
    names = bundle.features.predictors
    # The first input, with all axes in their order, gives the result its own.
    columns = [cube[name].transpose(..., "lat", "lon") for name in names]
    columns[0] = columns[0].broadcast_like(cube["time"]).transpose("time", "lat", "lon")
    arrays = [columns[0], *land_cover(cube, bundle), *columns[1:]]
    digest = bundle_digest(bundle.directory)
    return xr.apply_ufunc(
        _block,
        *[array.drop_vars(array.coords) for array in arrays],
        kwargs={"opened": opened, "directory": bundle.directory, "digest": digest},
        input_core_dims=[["igbp_class"] if "igbp_class" in a.dims else [] for a in arrays],
        output_core_dims=[["field"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": {"field": number}, "allow_rechunk": True},
    ).transpose("field", "time", "lat", "lon")


def _block(
    first: np.ndarray,
    *others: np.ndarray,
    opened: Callable[[Path, str], Predictor],
    directory: Path,
    digest: str,
) -> np.ndarray:
    """Return a block (time, lat, lon, field) of the arrays of `blocks`."""
    known = opened(directory, digest)
    number = 2 if known.bundle.features.takes_fractions else 1
    # The classes, which a map has first, come last here.
    maps = [np.moveaxis(m, -1, 0) if m.ndim == 3 else m for m in others[:number]]
    land, static = _columns(known.bundle, *maps)
    block = known.block(len(first), land, static, [first, *others[number:]])
    return np.moveaxis(block, 0, -1)
