"""The table of samples: a row for each month and land cell with every value present."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import FieldError, NarcfError
from narcf_geo.fields.values import NODATA
from narcf_geo.model.samples.features import Features, land_cells


@dataclass(frozen=True)
class Table:
    """The rows to learn from.

    Attributes
    ----------
    features : Features
        The columns of `x`.
    x : numpy.ndarray
        Features, shape (n_rows, n_features), float32.
    y : numpy.ndarray
        Target flux, shape (n_rows,), umol m-2 s-1.
    month, cell : numpy.ndarray
        Position of each row on the time axis and on the flattened (lat, lon) grid.
    area : numpy.ndarray
        Cell area of each row, m2.
    lat, lon : numpy.ndarray
        Cell centre of each row, degrees.
    biome : numpy.ndarray
        Majority IGBP class of each row, -1 where it is not known.
    time : pandas.DatetimeIndex
        The time axis.
    missing : dict
        For each predictor and ``flux_target``: land cell-months without a value.
    """

    features: Features
    x: np.ndarray
    y: np.ndarray
    month: np.ndarray
    cell: np.ndarray
    area: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    biome: np.ndarray
    time: pd.DatetimeIndex
    missing: dict[str, int]

    @classmethod
    def of(cls, cube: xr.Dataset, features: Features) -> Table:
        """Gather the samples of `cube`; missing values are counted.

        Raises
        ------
        NarcfError
            When the cube lacks a predictor, a value is infinite, or no row is left.
        """
        cube = features.prepare(cube).transpose("time", ..., "lat", "lon", missing_dims="ignore")
        cells = np.flatnonzero(land_cells(cube).values)
        target = _by_month(cube["flux_target"], cube.sizes["time"])[:, cells]
        columns = [_by_month(cube[p], cube.sizes["time"])[:, cells] for p in features.predictors]
        if not cells.size:
            raise NarcfError(
                "expected land cells to learn from, found none: no cell of biome is of the classes "
                "1 to 16; check the region and the land cover map"
            )
        fields = {**dict(zip(features.predictors, columns, strict=True)), "flux_target": target}
        for name, values in fields.items():
            _require_finite(values, name, cube)
        missing = {name: int(np.isnan(values).sum()) for name, values in fields.items()}
        valid = np.isfinite(target) & features.complete(columns)
        month, position = np.nonzero(valid)
        if not month.size:
            counts = ", ".join(f"{name}: {count}" for name, count in missing.items())
            raise NarcfError(
                f"no land cell has every predictor and the target in any month; of "
                f"{target.size} land cell-months these are missing: {counts}"
            )
        cell = cells[position]
        biome, fractions = _land_cover(cube)
        static = features.static(biome, fractions)
        row, column = np.unravel_index(cell, cube["cell_area"].shape)
        return cls(
            features=features,
            x=features.matrix([c[valid] for c in columns], static[cell]),
            y=target[valid].astype(np.float32),
            month=month,
            cell=cell,
            area=cube["cell_area"].values.ravel()[cell],
            lat=cube["lat"].values[row],
            lon=cube["lon"].values[column],
            biome=biome[cell].astype(int),
            time=pd.DatetimeIndex(cube["time"].values),
            missing=missing,
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that is learned from."""
        digest = hashlib.sha256(repr(self.features.names).encode())
        for values in (self.x, self.y, self.area):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def on_grid(self, values: np.ndarray, template: xr.DataArray) -> xr.DataArray:
        """Return one value for each row as (time, lat, lon), NaN where there is no row."""
        raster = np.full((template.sizes["time"], template[0].size), np.nan, np.float32)
        raster[self.month, self.cell] = values
        return template.copy(data=raster.reshape(template.shape))


def _land_cover(cube: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the majority class (n_cells,) and class fractions (18, n_cells) of all cells.

    Without them: -1, and NaN.
    """
    n_cells = cube["cell_area"].size
    biome, fractions = np.full(n_cells, NODATA), np.full((len(IGBP), n_cells), np.nan, np.float32)
    if "biome" in cube:
        biome = cube["biome"].values.ravel()
    if "class_fraction" in cube:
        fractions = cube["class_fraction"].values.reshape(len(IGBP), -1)
    return biome, fractions


def _by_month(array: xr.DataArray, n_months: int) -> np.ndarray:
    """Return `array` as (time, cell); a static field is the same in every month."""
    values = array.values.reshape(*array.shape[:-2], -1)
    return np.broadcast_to(values, (n_months, values.shape[-1]))


def _require_finite(values: np.ndarray, name: str, cube: xr.Dataset) -> None:
    """Refuse infinite values, which are neither numbers nor missing."""
    infinite = np.isinf(values)
    if infinite.any():
        first = pd.Timestamp(cube["time"].values[infinite.any(axis=1).argmax()])
        raise FieldError(
            f"{name}: expected finite values, NaN where missing, found {int(infinite.sum()):,} "
            f"infinite ones on land, the first in {first:%Y-%m}; set them to NaN, or correct what "
            "made them"
        )
