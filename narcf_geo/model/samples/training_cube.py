"""The cube to learn from: one from outside, past the door, and what to learn from it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr
from pydantic import Field, ValidationError

from narcf_geo.core.constants import FLUX_UNITS
from narcf_geo.core.errors import FieldError, NarcfError, UsageError
from narcf_geo.core.units import linear
from narcf_geo.fields import area_field, flux_field, open_fields
from narcf_geo.grid import Grid
from narcf_geo.model.samples.landcover import land_cover
from narcf_geo.project.settings import ModelSettings, TrainingSettings

NO_PREDICTORS = ("biome", "class_fraction", "land_fraction", "cell_area")
"""Variables of a cube that describe its cells; land cover comes in as `biome_features`."""


class _Arguments(TrainingSettings):
    """The arguments of `train`, held to what ``narcf.yaml`` may say."""

    predictors: list[str] = Field(min_length=1)
    target: str

    @property
    def predictor_names(self) -> list[str]:
        return self.predictors


def training_cube(
    cube: xr.Dataset | str | os.PathLike[str],
    predictors: Sequence[str] | None,
    target: str,
    *,
    biome_features: str = "fractions",
    model: str | Mapping[str, Any] | ModelSettings = "best",
    features: Mapping[str, Any] | None = None,
    **settings: Any,
) -> tuple[xr.Dataset, TrainingSettings]:
    """Return what is needed of a cube from outside, past the door and in memory, and the settings.

    Parameters are those of `train`. The target is called ``flux_target`` in the result.
    """
    opened = open_fields(cube)
    where = str(opened.encoding.get("source", "the cube"))
    if opened["lat"].ndim != 1:
        raise FieldError(
            f"{where}: expected cells along latitudes and longitudes, found a curvilinear grid; "
            "regrid it first with ng.regrid"
        )
    flux = _target(opened, target, where)
    names = _predictors(opened, target) if predictors is None else [str(n) for n in predictors]
    try:
        arguments = _Arguments.model_validate(
            {
                **settings,
                "predictors": names,
                "target": target,
                "biome_features": biome_features,
                "model": {"preset": model} if isinstance(model, str) else model,
                "features": dict(features or {}),
                "coordinates": list(settings.get("coordinates", ())),
            }
        )
    except ValidationError as error:
        raise UsageError("\n".join(map(_sentence, error.errors()))) from None
    columns = {name: _column(opened, name, target, where) for name in names}
    area = opened.get("cell_area")
    prepared = xr.Dataset(
        {
            **columns,
            "flux_target": flux,
            "cell_area": _grid_area(opened) if area is None else area_field(area),
            **land_cover(opened, biome_features),
        },
        attrs=opened.attrs,
    )
    return prepared.load(), arguments


def _target(cube: xr.Dataset, target: str, where: str) -> xr.DataArray:
    if target not in cube.data_vars:
        raise UsageError(
            f"{where}: expected the target {target!r}, found "
            f"{', '.join(map(str, cube.data_vars))}; name it with target="
        )
    flux = flux_field(cube[target], monthly=False, where=f"{where}: target {target!r}")
    if "time" not in flux.dims:
        raise FieldError(f"{where}: target {target!r}: expected months along time, found none")
    return flux.assign_attrs(product=flux.attrs.get("product", target))


def _predictors(cube: xr.Dataset, target: str) -> list[str]:
    """Return the variables of a cube that can be predictors."""
    return [
        str(name)
        for name, array in cube.data_vars.items()
        if {"lat", "lon"} <= set(array.dims) <= {"time", "lat", "lon"}
        and array.dtype.kind in "fiub"
        and name not in (target, *NO_PREDICTORS)
        and not str(name).endswith("_valid_fraction")
        and not _is_flux(array)
    ]


def _is_flux(array: xr.DataArray) -> bool:
    """Tell a carbon flux: another product, or the truth, would give the target away."""
    try:
        linear(str(array.attrs.get("units", "")).strip(), FLUX_UNITS, "carbon")
    except NarcfError:
        return False
    return True


def _column(cube: xr.Dataset, name: str, target: str, where: str) -> xr.DataArray:
    if name == target or name in NO_PREDICTORS:
        what = "the target" if name == target else "land cover or area: see biome_features"
        raise UsageError(f"predictors: {name!r} cannot be one, it is {what}")
    if name not in cube.data_vars:
        raise UsageError(
            f"{where}: expected the predictor {name!r}, found {', '.join(map(str, cube.data_vars))}"
        )
    array = cube[name]
    if not {"lat", "lon"} <= set(array.dims) <= {"time", "lat", "lon"}:
        raise FieldError(
            f"{where}: predictor {name!r}: expected it along latitude and longitude, and time "
            f"where it has any, found it along {', '.join(map(str, array.dims))}; choose with "
            ".isel or .sel, or spread it over the grid with .broadcast_like"
        )
    if array.dtype.kind not in "fiub":
        raise FieldError(
            f"{where}: predictor {name!r}: expected numbers, found {array.dtype} values"
        )
    return array


def _grid_area(cube: xr.Dataset) -> xr.DataArray:
    coords = {name: cube[name] for name in ("lat", "lon")}
    return xr.DataArray(Grid.from_dataset(cube).area, coords, ("lat", "lon"), attrs={"units": "m2"})


def _sentence(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    found = problem["input"]
    shown = "" if isinstance(found, dict | list) else f" (found {found!r})"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message}{shown}" if where else message
