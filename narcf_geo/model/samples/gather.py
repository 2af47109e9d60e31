"""Rows out of a cube, a chunk at a time: cube and rows may be larger than memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import FieldError, NarcfError
from narcf_geo.core.layout import Layout
from narcf_geo.fields.values import NODATA
from narcf_geo.model.samples.climate import Months, at_months, runs_of
from narcf_geo.model.samples.features import Features, land_cells

FILE = "features.f32"
"""The rows of features, one after the other, float32."""


class Rows(NamedTuple):
    """Rows of a table, and for each variable the land cell-months without a value."""

    x: np.ndarray
    y: np.ndarray
    month: np.ndarray
    cell: np.ndarray
    missing: dict[str, int]


def gather(
    cube: xr.Dataset,
    features: Features,
    folder: Path | None = None,
    wanted: np.ndarray | None = None,
) -> Rows:
    """Return the rows of `cube` with the target and all that `features` must have.

    Parameters
    ----------
    cube : xarray.Dataset
        Lazy or in memory.
    features : Features
        The columns.
    folder : Path, optional
        Where the features are kept, in a file; without one they are in memory.
    wanted : numpy.ndarray, optional
        Where a row is wanted, whatever it lacks: of shape (n_months, n_cells).

    Raises
    ------
    FieldError
        When a value is infinite.
    NarcfError
        When there is no land, or no row.
    """
    cube = cube.transpose("time", ..., "lat", "lon", missing_dims="ignore")
    land = land_cells(cube).transpose("lat", "lon").values
    n_months = cube.sizes["time"]
    if not land.any():
        raise NarcfError(
            "expected land cells to learn from, found none: no cell of biome is of the classes "
            "1 to 16; check the region and the land cover map"
        )
    missing: Counter[str] = Counter(dict.fromkeys([*features.predictors, "flux_target"], 0))
    infinite = _Infinite()
    # The most that there can be: of memory and of the file, only what is written is taken.
    most = n_months * int(land.sum())
    x = _empty((most, len(features.names)), folder)
    y, month, cell = np.empty(most, np.float32), np.empty(most, np.int16), np.empty(most, np.int32)
    n = 0
    for piece in _pieces(cube, features, land):
        infinite.look(piece)
        missing.update({k: int(np.isnan(v).sum()) for k, v in piece.fields.items()})
        *columns, target = piece.fields.values()
        if wanted is None:
            valid = np.isfinite(target) & features.complete(columns)
        else:
            valid = wanted[piece.month : piece.month + len(target), piece.cell]
        row, position = np.nonzero(valid)
        rows = slice(n, n + row.size)
        x[rows] = features.matrix([c[valid] for c in columns], piece.static[position])
        y[rows], month[rows], cell[rows] = target[valid], piece.month + row, piece.cell[position]
        n = rows.stop
    infinite.refuse(cube)
    if not n:
        counts = ", ".join(f"{name}: {count}" for name, count in missing.items())
        raise NarcfError(
            f"no land cell has every predictor and the target in any month; of "
            f"{most} land cell-months these are missing: {counts}"
        )
    return Rows(x[:n], y[:n], month[:n], cell[:n], dict(missing))


class _Piece(NamedTuple):
    """A chunk of a cube on its land: the first month, cells, static features and fields.

    Cells are numbered on the whole grid; fields, by name, have shape (time, n_land), the target
    last.
    """

    month: int
    cell: np.ndarray
    static: np.ndarray
    fields: dict[str, np.ndarray]


def _pieces(cube: xr.Dataset, features: Features, land: np.ndarray) -> Iterator[_Piece]:
    """Yield the chunks with land in order of time; with a climate, place by place."""
    layout = Layout.of((cube.sizes["time"], *land.shape))
    number = np.arange(land.size, dtype=np.int32).reshape(land.shape)
    wanted = [n for n in (*features.inputs, "flux_target", *_CELLS) if n in cube]
    windows = list(layout.windows())
    if features.climate:  # so that it is read once for each place
        windows.sort(key=lambda window: (window[1].start, window[2].start))
    climate = None
    for time, lat, lon in windows:
        here = land[lat, lon]
        if not here.any():
            continue
        if features.climate and time.start == 0:
            climate = _climate(cube.isel(lat=lat, lon=lon), features, features.climate)
        before = max(time.start - features.halo, 0)
        part = cube[wanted].isel(time=slice(before, time.stop), lat=lat, lon=lon).load()
        static = features.static(*_land_cover(part))[here.ravel()]
        part = features.prepare(part, climate).isel(time=slice(time.start - before, None))
        fields = {
            name: _by_month(part[name], time.stop - time.start)[:, here.ravel()]
            for name in (*features.predictors, "flux_target")
        }
        yield _Piece(time.start, number[lat, lon][here], static, fields)


_CELLS = ("cell_area", "biome", "class_fraction")


def _climate(cube: xr.Dataset, features: Features, months: Months) -> xr.Dataset:
    """Return the climate of a place, read a year at a time."""
    time = pd.DatetimeIndex(cube["time"].values)
    runs = [at_months(time, run) for run in runs_of(months)]
    years = (slice(i, min(i + 12, at.stop)) for at in runs for i in range(at.start, at.stop, 12))
    slabs = (cube[[*features.inputs]].isel(time=year) for year in years)
    return features.climate_by_slabs(slab.load() for slab in slabs)


def _empty(shape: tuple[int, int], folder: Path | None) -> np.ndarray:
    if folder is None:
        return np.empty(shape, np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    # A file that rows are still read from is left to them.
    (folder / FILE).unlink(missing_ok=True)
    return np.asarray(np.memmap(folder / FILE, np.float32, "w+", shape=shape))


class _Infinite:
    """Infinite values, which are neither numbers nor missing: counted, and refused at the end."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._first: dict[str, int] = {}

    def look(self, piece: _Piece) -> None:
        for name, values in piece.fields.items():
            months = np.flatnonzero(np.isinf(values).any(axis=1))
            if months.size:
                self._count[name] += int(np.isinf(values).sum())
                first = piece.month + int(months[0])
                self._first[name] = min(first, self._first.get(name, first))

    def refuse(self, cube: xr.Dataset) -> None:
        for name, count in self._count.items():
            first = pd.Timestamp(cube["time"].values[self._first[name]])
            raise FieldError(
                f"{name}: expected finite values, NaN where missing, found {count:,} infinite "
                f"ones on land, the first in {first:%Y-%m}; set them to NaN, or correct what made "
                "them"
            )


def _land_cover(cube: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the majority class (n_cells,) and class fractions (18, n_cells) of all cells.

    Without them: -1, and NaN.
    """
    n_cells = cube["cell_area"].size
    biome = np.full(n_cells, NODATA)
    fractions: np.ndarray = np.broadcast_to(np.float32(np.nan), (len(IGBP), n_cells))
    if "biome" in cube:
        biome = cube["biome"].values.ravel()
    if "class_fraction" in cube:
        fractions = cube["class_fraction"].values.reshape(len(IGBP), -1)
    return biome, fractions


def _by_month(array: xr.DataArray, n_months: int) -> np.ndarray:
    """Return `array` as (time, cell); a static field is the same in every month."""
    values = array.values.reshape(*array.shape[:-2], -1)
    return np.broadcast_to(values, (n_months, values.shape[-1]))
