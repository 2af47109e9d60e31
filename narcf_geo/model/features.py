"""Which numbers the network sees, in which order and unit; and the table of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from narcf_geo.constants import IGBP
from narcf_geo.errors import NarcfError

LAND_CLASSES = range(1, 17)


@dataclass(frozen=True)
class Features:
    """The schema of the design matrix: predictors first, then the biome.

    Attributes
    ----------
    predictors : tuple of str
        Names of variables in the cube. Neither coordinates nor the calendar are among them.
    units : tuple of str
        Unit of each predictor.
    masked : tuple of str
        Predictors that may be missing: each has a column more, ``has_<name>``, 1 where it is there
        and 0 where it is not. A row that lacks any other predictor is left out.
    biome : {"fractions", "majority", "none"}
        The 18 class fractions, a one-hot of the majority class, or nothing.
    """

    predictors: tuple[str, ...]
    units: tuple[str, ...]
    masked: tuple[str, ...]
    biome: str

    @classmethod
    def of(cls, cube: xr.Dataset, predictors: list[str], *, missing: str, biome: str) -> Features:
        """Take the units of `predictors` from the cube and, to mask, which have gaps on land."""
        land = is_land(cube["biome"])
        gaps = [p for p in predictors if bool((cube[p].isnull() & land).any())]
        return cls(
            predictors=tuple(predictors),
            units=tuple(cube[p].attrs["units"] for p in predictors),
            masked=tuple(gaps) if missing == "mask" else (),
            biome=biome,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each column."""
        prefix = {"fractions": "fraction", "majority": "is"}.get(self.biome)
        return (
            *self.predictors,
            *(f"has_{name}" for name in self.masked),
            *(f"{prefix}_{c.code}" for c in IGBP if prefix),
        )

    def check(self, cube: xr.Dataset) -> None:
        """Raise NarcfError unless `cube` has every predictor in the unit of the schema."""
        for name, units in zip(self.predictors, self.units, strict=True):
            if name not in cube:
                raise NarcfError(
                    f"the model needs the predictor {name!r} ({units}), which the cube has not; it "
                    f"has: {', '.join(map(str, cube.data_vars))}"
                )
            found = cube[name].attrs.get("units")
            if found != units:
                raise NarcfError(
                    f"predictor {name!r}: the model was trained in {units!r}, the cube has "
                    f"{found!r}"
                )

    def complete(self, predictors: Sequence[np.ndarray]) -> np.ndarray:
        """Return where every predictor that must be there is; the arrays are in their order."""
        needed = [
            np.isfinite(values)
            for name, values in zip(self.predictors, predictors, strict=True)
            if name not in self.masked
        ]
        return np.logical_and.reduce(needed)

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
        return np.column_stack([*predictors, *has, static]).astype(np.float32, copy=False)

    def static(self, biome: np.ndarray, class_fraction: np.ndarray) -> np.ndarray:
        """Return the biome columns, shape (..., n), float32.

        `biome` has shape (...), `class_fraction` (18, ...).
        """
        if self.biome == "fractions":
            return np.moveaxis(class_fraction, 0, -1).astype(np.float32)
        if self.biome == "majority":
            return (biome[..., None] == np.arange(len(IGBP))).astype(np.float32)
        return np.empty((*biome.shape, 0), np.float32)


def is_land(biome: xr.DataArray) -> xr.DataArray:
    """Return where the majority class is one of land (1 to 16)."""
    return biome.isin(list(LAND_CLASSES))


@dataclass(frozen=True)
class Samples:
    """The rows to learn from: one for each month and land cell with every value present.

    Attributes
    ----------
    x : numpy.ndarray
        Features, shape (n_rows, n_features), float32.
    y : numpy.ndarray
        Target flux, shape (n_rows,), umol m-2 s-1.
    month, cell : numpy.ndarray
        Position of each row on the time axis and on the flattened (lat, lon) grid.
    missing : dict
        For each predictor and ``flux_target``: land cell-months without a value.
    """

    x: np.ndarray
    y: np.ndarray
    month: np.ndarray
    cell: np.ndarray
    missing: dict[str, int]

    @classmethod
    def of(cls, cube: xr.Dataset, features: Features) -> Samples:
        """Gather the samples of `cube`; missing values are counted.

        Raises
        ------
        NarcfError
            When no row is left.
        """
        features.check(cube)
        land = is_land(cube["biome"]).values.ravel()
        cells = np.flatnonzero(land)
        target = _table(cube["flux_target"], cube.sizes["time"])[:, cells]
        columns = [_table(cube[p], cube.sizes["time"])[:, cells] for p in features.predictors]
        missing = {
            name: int(np.isnan(values).sum())
            for name, values in zip(features.predictors, columns, strict=True)
        }
        missing["flux_target"] = int(np.isnan(target).sum())
        valid = np.isfinite(target) & features.complete(columns)
        month, position = np.nonzero(valid)
        if not month.size:
            counts = ", ".join(f"{name}: {count}" for name, count in missing.items())
            raise NarcfError(
                f"no land cell has every predictor and the target in any month; of "
                f"{target.size} land cell-months these are missing: {counts}"
            )
        cell = cells[position]
        static = features.static(
            cube["biome"].values.ravel(), cube["class_fraction"].values.reshape(len(IGBP), -1)
        )
        x = features.matrix([c[valid] for c in columns], static[cell])
        return cls(x, target[valid].astype(np.float32), month, cell, missing)


def _table(array: xr.DataArray, n_months: int) -> np.ndarray:
    """Return `array` as (time, cell); a static field is the same in every month."""
    values = array.values.reshape(*array.shape[:-2], -1)
    return np.broadcast_to(values, (n_months, values.shape[-1]))
