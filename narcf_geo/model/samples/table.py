"""The table of samples: a row for each month and land cell with every value present."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.slabs import slabs
from narcf_geo.fields.values import NODATA
from narcf_geo.model.samples.features import Features
from narcf_geo.model.samples.gather import gather


@dataclass(frozen=True)
class Cells:
    """What the rows of a cell share: for each cell of the flattened (lat, lon) grid.

    Attributes
    ----------
    lat, lon : numpy.ndarray
        Centre, degrees, shape (n_cells,).
    area : numpy.ndarray
        m2.
    biome : numpy.ndarray
        Majority IGBP class, -1 where it is not known.
    """

    lat: np.ndarray
    lon: np.ndarray
    area: np.ndarray
    biome: np.ndarray

    @classmethod
    def of(cls, cube: xr.Dataset) -> Cells:
        """Read the maps of a cube."""
        area = cube["cell_area"].transpose("lat", "lon")
        lat, lon = (
            np.broadcast_to(axis, area.shape).ravel()
            for axis in (cube["lat"].values[:, None], cube["lon"].values)
        )
        biome = np.full(area.size, NODATA)
        if "biome" in cube:
            biome = cube["biome"].transpose("lat", "lon").values.ravel()
        return cls(lat, lon, area.values.ravel(), biome.astype(np.int8))


@dataclass(frozen=True)
class Table:
    """The rows to learn from: about 4 bytes for each feature of a row, and 10 more.

    Attributes
    ----------
    features : Features
        The columns of `x`.
    x : numpy.ndarray
        Features, shape (n_rows, n_features), float32; a memory-mapped file where the table was
        given a folder.
    y : numpy.ndarray
        Target flux, shape (n_rows,), umol m-2 s-1.
    month, cell : numpy.ndarray
        Position of each row on the time axis and on the flattened (lat, lon) grid.
    cells : Cells
        Place, area and biome of every cell of the grid.
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
    cells: Cells
    time: pd.DatetimeIndex
    missing: dict[str, int]

    @classmethod
    def of(cls, cube: xr.Dataset, features: Features, folder: Path | None = None) -> Table:
        """Gather the samples of `cube`, a chunk at a time; missing values are counted.

        Rows are in the order of the chunks of `narcf_geo.core.layout`, within a chunk in that of
        time: whatever the memory, the same. With features of a climate all chunks of a place come
        one after the other.

        Parameters
        ----------
        cube : xarray.Dataset
            Lazy or in memory: no more than a chunk of it is held.
        features : Features
            The columns.
        folder : Path, optional
            Where `x` lies, in a file that the system reads as it is needed; without one `x` is in
            memory.

        Raises
        ------
        NarcfError
            When the cube lacks a predictor, a value is infinite, or no row is left.
        """
        x, y, month, cell, missing = gather(cube, features, folder)
        time = pd.DatetimeIndex(cube["time"].values)
        return cls(features, x, y, month, cell, Cells.of(cube), time, missing)

    @property
    def area(self) -> np.ndarray:
        """Cell area of each row, m2."""
        area: np.ndarray = self.cells.area[self.cell]
        return area

    @property
    def lat(self) -> np.ndarray:
        """Latitude of each row, degrees."""
        lat: np.ndarray = self.cells.lat[self.cell]
        return lat

    @property
    def lon(self) -> np.ndarray:
        """Longitude of each row, degrees."""
        lon: np.ndarray = self.cells.lon[self.cell]
        return lon

    @property
    def biome(self) -> np.ndarray:
        """Majority IGBP class of each row, -1 where it is not known."""
        biome: np.ndarray = self.cells.biome[self.cell]
        return biome

    @property
    def year(self) -> np.ndarray:
        """Calendar year of each row."""
        year: np.ndarray = np.asarray(self.time.year, np.int16)[self.month]
        return year

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that is learned from: values, months and cells of each row."""
        digest = hashlib.sha256(repr(self.features.names).encode())
        for part in self._parts():
            digest.update(part.data)
        return digest.hexdigest()

    def _parts(self) -> Iterator[np.ndarray]:
        for slab in slabs(len(self.y)):
            yield np.ascontiguousarray(self.x[slab])
        yield np.ascontiguousarray(self.y)
        yield self.time.values.astype("datetime64[M]").astype(np.int64)[self.month]
        for of_cell in (self.cells.lat, self.cells.lon, self.cells.area, self.cells.biome):
            for slab in slabs(len(self.y)):
                yield of_cell[self.cell[slab]]

    def on_grid(
        self, values: np.ndarray, template: xr.DataArray, rows: np.ndarray | None = None
    ) -> xr.DataArray:
        """Return one value for each row as (time, lat, lon), NaN where there is no row.

        With `rows`, row numbers, of these alone, and with the months alone that they lie in.
        """
        months = np.arange(template.sizes["time"])
        chosen: slice | np.ndarray = slice(None)
        if rows is not None:
            chosen, months = rows, np.unique(self.month[rows])
        template = template.isel(time=months)
        raster = np.full((months.size, template[0].size), np.nan, np.float32)
        raster[np.searchsorted(months, self.month[chosen]), self.cell[chosen]] = values[chosen]
        return template.copy(data=raster.reshape(template.shape))
