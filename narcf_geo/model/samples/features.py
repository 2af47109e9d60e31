"""Which numbers the network sees, in which order and unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.constants import IGBP, LAND_COVER_PREFIXES
from narcf_geo.core.errors import NarcfError, UnitError
from narcf_geo.core.units import linear
from narcf_geo.core.variables import VARIABLES
from narcf_geo.model.samples.climate import Months, climate_of_slabs, months_of_climate
from narcf_geo.model.samples.derive import COORDINATE_COLUMNS, NO_CLIMATE, bases, climates, derive
from narcf_geo.project.settings import DerivedFeature, TrainingSettings

LAND_CLASSES = range(1, 17)


@dataclass(frozen=True)
class Features:
    """The schema of the design matrix: predictors first, then the biome.

    Attributes
    ----------
    predictors : tuple of str
        Names of variables: those of the cube, then what is made of them, then coordinates.
    units : tuple of str
        Unit of each predictor.
    masked : tuple of str
        Predictors that may be missing: each has a column more, ``has_<name>``, 1 where it is there
        and 0 where it is not. A row that lacks any other predictor is left out, and one that has
        none at all.
    biome : {"fractions", "sqrt_fractions", "majority", "none"}
        The 18 class fractions, their square roots (small shares then differ more), a one-hot of the
        majority class, or nothing.
    derived : mapping
        How the features are made that the cube has not.
    coordinates : tuple of str
        Coordinates and calendar, of ``lat``, ``lon``, ``month`` and ``year``. None by default: with
        them a model learns a map and a calendar instead of how the flux responds.
    climate : tuple of str, optional
        The first and last of the months over which features take the climate of a cell: training
        months. A cube to predict on must have them.
    """

    predictors: tuple[str, ...]
    units: tuple[str, ...]
    masked: tuple[str, ...]
    biome: str
    derived: Mapping[str, DerivedFeature] = field(default_factory=dict)
    coordinates: tuple[str, ...] = ()
    climate: Months | None = None

    @classmethod
    def of(cls, cube: xr.Dataset, settings: TrainingSettings) -> Features:
        """Take units from the cube and, to mask, which features have gaps on land.

        Raises
        ------
        NarcfError
            When the cube lacks a predictor, or one states no unit.
        """
        for name in settings.predictor_names:
            _stated_units(_predictor(cube, name), name)
        months = months_of_climate(settings, pd.DatetimeIndex(cube["time"].values))
        climate = climates(cube, settings.features, months) if months else NO_CLIMATE
        cube = derive(cube, settings.features, settings.coordinates, climate)
        replaced = {how.of for how in settings.features.values() if how.replace}
        names = [name for name in settings.predictor_names if name not in replaced]
        names += settings.features
        for coordinate in settings.coordinates:
            names += COORDINATE_COLUMNS[coordinate]
        gaps = []
        if settings.missing == "mask":
            gaps = [n for n in names if bool((cube[n].isnull() & land_cells(cube)).any())]
        return cls(
            predictors=tuple(names),
            units=tuple(cube[n].attrs["units"] for n in names),
            masked=tuple(gaps),
            biome=settings.biome_features,
            derived=settings.features,
            coordinates=tuple(settings.coordinates),
            climate=months,
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The variables that a cube must have, to be predictors or to make features of."""
        return tuple(self._units_in_cube())

    @property
    def halo(self) -> int:
        """Months before the first that its features are made of."""
        return max((how.mean - 1 + how.lag for how in self.derived.values()), default=0)

    @property
    def climates(self) -> int:
        """Of how many predictors, transformed or not, its features take the climate."""
        return len({how.base for how in self.derived.values() if how.climate})

    @property
    def takes_fractions(self) -> bool:
        """Whether the class fractions are needed, not the majority class alone."""
        return self.biome in ("fractions", "sqrt_fractions")

    @property
    def land_cover(self) -> slice:
        """Which columns are of land cover: the last ones."""
        n = len(self.names)
        return slice(n - len(IGBP) if self.biome in LAND_COVER_PREFIXES else n, n)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Features:
        """Read what `to_json` returned."""
        return cls(
            predictors=tuple(content["predictors"]),
            units=tuple(content["units"]),
            masked=tuple(content["masked"]),
            biome=content["biome"],
            derived={
                name: DerivedFeature.model_validate(how)
                for name, how in content.get("derived", {}).items()
            },
            coordinates=tuple(content.get("coordinates", ())),
            climate=tuple(content["climate"]) if content.get("climate") else None,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the schema as plain values."""
        derived = {k: v.model_dump() for k, v in self.derived.items()}
        return {**vars(self), "derived": derived, "names": self.names}

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each column."""
        prefix = LAND_COVER_PREFIXES.get(self.biome)
        return (
            *self.predictors,
            *(f"has_{name}" for name in self.masked),
            *(f"{prefix}_{c.code}" for c in IGBP if prefix),
        )

    def prepare(self, cube: xr.Dataset, climate: xr.Dataset | None = None) -> xr.Dataset:
        """Return `cube` with every feature in it, in the unit of the schema.

        Parameters
        ----------
        cube : xarray.Dataset
            Predictors (time, lat, lon) or (lat, lon), in any unit that converts.
        climate : xarray.Dataset, optional
            Of its cells, as from `climate_by_slabs`, for a cube of a few months; by default it is
            taken from the cube.

        Raises
        ------
        UnitError
            When a predictor states no unit, or one that does not convert.
        TimeError
            When the cube lacks a month of the climate.
        NarcfError
            When the cube lacks a predictor.
        """
        cube = self._in_units(cube)
        if climate is None:
            climate = climates(cube, self.derived, self.climate) if self.climate else NO_CLIMATE
        return derive(cube, self.derived, self.coordinates, climate)

    def climate_by_slabs(self, slabs: Iterable[xr.Dataset]) -> xr.Dataset:
        """Return the climate of the cells of `slabs`: the months of `climate`, a few at a time."""
        return climate_of_slabs(bases(self._in_units(slab), self.derived) for slab in slabs)

    def _in_units(self, cube: xr.Dataset) -> xr.Dataset:
        return cube.assign(
            {
                name: _converted(_predictor(cube, name, units), name, units)
                for name, units in self._units_in_cube().items()
            }
        )

    def _units_in_cube(self) -> dict[str, str]:
        """Return the variables that the cube must have, and the unit that each is wanted in."""
        units = dict(zip(self.predictors, self.units, strict=True))
        made = {*self.derived, *(c for n in self.coordinates for c in COORDINATE_COLUMNS[n])}
        wanted = {name: unit for name, unit in units.items() if name not in made}
        for name, how in self.derived.items():
            # Of a predictor that was dropped, the unit stands in that of the feature alone.
            inner = units[name].removeprefix(f"{how.transform}(") if how.transform else None
            wanted.setdefault(how.of, units[name] if inner is None else inner.removesuffix(")"))
        return wanted

    def complete(self, predictors: Sequence[np.ndarray]) -> np.ndarray:
        """Return where every predictor that must be there is, and at least one of all.

        The arrays are in the order of `predictors`, of one shape.
        """
        valid = [np.isfinite(values) for values in predictors]
        needed = [
            there
            for name, there in zip(self.predictors, valid, strict=True)
            if name not in self.masked
        ]
        return np.logical_and.reduce(needed) if needed else np.logical_or.reduce(valid)

    def matrix(self, predictors: Sequence[np.ndarray], static: np.ndarray) -> np.ndarray:
        """Return the design matrix, shape (n_rows, n_features), float32.

        `predictors` have shape (n_rows,), `static` (n_rows, n). A missing value of a masked
        predictor stays NaN; the network puts the mean of its training rows there.
        """
        has = [
            np.isfinite(values)
            for name, values in zip(self.predictors, predictors, strict=True)
            if name in self.masked
        ]
        # Each column contiguous: so they are gathered, and so the network reads them.
        return np.vstack([*predictors, *has, static.T]).astype(np.float32, copy=False).T

    def static(self, biome: np.ndarray, class_fraction: np.ndarray) -> np.ndarray:
        """Return the biome columns, shape (..., n), float32.

        `biome` has shape (...), `class_fraction` (18, ...).
        """
        if self.takes_fractions:
            shares = np.moveaxis(class_fraction, 0, -1).astype(np.float32, copy=False)
            return np.sqrt(shares) if self.biome == "sqrt_fractions" else shares
        if self.biome == "majority":
            return (biome[..., None] == np.arange(len(IGBP))).astype(np.float32)
        return np.empty((*biome.shape, 0), np.float32)


def is_land(biome: xr.DataArray) -> xr.DataArray:
    """Return where the majority class is one of land (1 to 16)."""
    return biome.isin(list(LAND_CLASSES))


def land_cells(cube: xr.Dataset) -> xr.DataArray:
    """Return where samples may lie: land, or everywhere in a cube without biomes."""
    if "biome" in cube:
        return is_land(cube["biome"])
    return xr.ones_like(cube["cell_area"], bool)


def _predictor(cube: xr.Dataset, name: str, units: str = "") -> xr.DataArray:
    if name not in cube:
        raise NarcfError(
            f"the model needs the predictor {name!r}{f' ({units})' if units else ''}, which the "
            f"cube has not; it has: {', '.join(map(str, cube.data_vars))}"
        )
    return cube[name]


def _stated_units(array: xr.DataArray, name: str) -> str:
    units = str(array.attrs.get("units", "")).strip()
    if not units:
        raise UnitError(
            f"predictor {name!r}: expected a unit, found none; set cube[{name!r}].attrs['units'], "
            "to '1' where it has no dimension"
        )
    return units


def _converted(array: xr.DataArray, name: str, units: str) -> xr.DataArray:
    """Return a predictor in `units`, lazily where it is; as it is where it has them."""
    found = _stated_units(array, name)
    if found == units:
        return array
    known = VARIABLES.get(name)
    try:
        scale, offset = linear(found, units, known.substance if known else None)
    except NarcfError as error:
        raise UnitError(
            f"predictor {name!r}: the model was trained in {units!r}, the cube has {found!r}: "
            f"{error}"
        ) from None
    if (scale, offset) != (1.0, 0.0):
        # In double precision first: 0.01 K matters more than the few bytes of a chunk.
        array = (array.astype(np.float64) * scale + offset).astype(np.float32)
    return array.assign_attrs(units=units)
