"""How the errors of an estimate hang together in space and time, and draws of such errors.

Errors of neighbouring cells and months share their sign, so those of a total do not average out as
independent ones would. Patterns of errors are kept on the grid, standardised, and drawn again in
blocks (Künsch 1989; Politis and Romano 1994; signs as in the wild bootstrap, Liu 1988): each block
of the region takes the errors of another place of the same shape, with its months in their order
and one random sign. A small biome so learns from the whole region, not from its few cells.

Errors of a grid finer than one degree are first gathered in cells of about one degree: the error of
such a cell over the standard deviation it would have if its parts erred alike. The size of a model,
and of its draws, depends on the region and not on the resolution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.core.archives import require_regular
from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.core.contained import require_contained
from narcf_geo.core.errors import NarcfError, UnreadableError, UsageError, reason
from narcf_geo.core.files import atomic_path
from narcf_geo.statistics.blocks import (
    calendar_years,
    correlation_length,
    donors,
    local_size,
    step_of,
)
from narcf_geo.statistics.gathering import gathered, narrow_side, standardised_errors

FILE = "errors.nc"
MAX_BYTES = 2**30
"""Of the file, and of each of its arrays in single precision."""

LENGTHS_IN_BLOCK = 6.0
"""Edge of a block in e-folding lengths: what is lost between blocks is then small."""

_SMALLEST_BLOCK = 10.0
_CHUNK = 50


@dataclass(frozen=True)
class ErrorModel:
    """Patterns of errors of an estimate, ready to be drawn again.

    Attributes
    ----------
    standardised : xarray.DataArray
        Errors (time, lat, lon) over ``flux_std`` and `scale`: without unit, of size one. On the
        grid of the flux, or on cells of `every` of it.
    scale : xarray.DataArray
        Size of the errors over ``flux_std`` (month, lat, lon), 1 where the latter is right.
    common : xarray.DataArray
        Error over ``flux_std`` that the whole region shares (year, month): what its mean error
        has beyond what blocks explain.
    length_km : float
        Distance in which the correlation of two cells falls to 1/e.
    block_degrees : float
        Edge of a block in degrees of latitude.
    block_months : int
        Length of a block, a divisor of 12.
    every : tuple of int
        How many rows and columns of the flux one cell of the model has; at its end fewer.
    independent : int
        How many years of the errors are independent; the others resemble them.
    """

    standardised: xr.DataArray
    scale: xr.DataArray
    common: xr.DataArray
    length_km: float
    block_degrees: float
    block_months: int
    every: tuple[int, int] = (1, 1)
    independent: int = 1

    @classmethod
    def of(
        cls,
        error: xr.DataArray,
        std: xr.DataArray,
        cell_area: xr.DataArray,
        *,
        independent: int | None = None,
        block_degrees: float | None = None,
        block_months: int = 12,
    ) -> ErrorModel:
        """Learn from errors; NaN is left out.

        Parameters
        ----------
        error, std : xarray.DataArray
            Errors such as the estimate's, and the standard deviation of each, (time, lat, lon),
            umol m-2 s-1.
        cell_area : xarray.DataArray
            (lat, lon), m2.
        independent : int, optional
            How many of the years err independently; by default all.
        block_degrees : float, optional
            By default six e-folding lengths of the errors, at least 10 and at most half the grid.
        block_months : int
            By default a year, since a place may err in the same way all year.

        Raises
        ------
        NarcfError
            When there is no error to learn from.
        UsageError
            When the blocks are not of a positive size or do not divide the year.
        """
        if block_months < 1 or 12 % block_months or (block_degrees or 1.0) <= 0:
            raise UsageError(
                "expected blocks of a positive edge and of 1, 2, 3, 4, 6 or 12 months, found "
                f"{block_degrees} degrees and {block_months} months"
            )
        every = gathered(std["lat"].values, std["lon"].values)
        z, mass = standardised_errors(error, std, cell_area, every)
        if not z.size:
            raise NarcfError(
                "expected months with errors and a positive std, found none; without them a total "
                "has no interval"
            )
        length = correlation_length(z.values, z["lat"].values, z["lon"].values)
        half = 0.5 * narrow_side(z["lat"].values, z["lon"].values)
        edge = block_degrees or float(
            max(
                min(LENGTHS_IN_BLOCK * np.rad2deg(1e3 * length / EARTH_RADIUS), half),
                min(_SMALLEST_BLOCK, half),
            )
        )
        month = z["time"].dt.month.values
        width = 0.25 * edge / step_of(z["lat"].values)
        scale = local_size(z.values, month, width)
        calendar = {"month": np.arange(1, 13)}
        model = cls(
            standardised=z / scale[month - 1],
            scale=xr.DataArray(
                scale, {**calendar, "lat": z["lat"], "lon": z["lon"]}, ("month", "lat", "lon")
            ),
            common=xr.DataArray(np.zeros((1, 12)), dims=("year", "month")),
            length_km=length,
            block_degrees=edge,
            block_months=block_months,
            every=every,
            independent=independent or np.unique(z["time"].dt.year).size,
        )
        return model._with_common(z.values, mass)

    def _with_common(self, z: np.ndarray, weight: np.ndarray) -> ErrorModel:
        """Return the model with the errors of the region that its blocks do not explain."""
        cells = np.isfinite(z).any(axis=0)
        total = weight.sum(axis=(1, 2))
        mean = np.nansum(z * weight, axis=(1, 2)) / total
        share = weight[:, cells] / total[:, None]
        time = self.standardised["time"].dt
        month = time.month.values - 1
        drawn = [np.einsum("tdc,tc->dt", part[month], share) for part in self.draws(cells, 200, 0)]
        explained = np.concatenate(drawn).var(axis=0)
        years, year = np.unique(time.year.values, return_inverse=True)
        common = np.zeros((years.size, 12))
        common[year, month] = np.sign(mean) * np.sqrt(np.maximum(mean**2 - explained, 0.0))
        calendar = {"year": years, "month": np.arange(1, 13)}
        return replace(self, common=xr.DataArray(common, calendar, ("year", "month")))

    def draws(self, cells: np.ndarray, number: int, seed: int) -> Iterator[np.ndarray]:
        """Draw errors over ``flux_std`` of a calendar year, some draws at a time.

        Parameters
        ----------
        cells : numpy.ndarray
            Which cells of the model are wanted, bool (lat, lon).
        number : int
            How many draws in all.
        seed : int
            The same seed gives the same draws.

        Yields
        ------
        numpy.ndarray
            Errors (month, draw, cell), without unit.
        """
        rng = np.random.default_rng(seed)
        years = calendar_years(
            self.standardised.values,
            self.standardised["time"].dt.year.values,
            self.standardised["time"].dt.month.values,
        )
        valid = np.isfinite(self.standardised.values).any(axis=0)
        row, column = np.nonzero(cells)
        size = self.scale.values[:, row, column]
        flat = years.transpose(1, 0, 2, 3).reshape(12, -1)
        height, length = valid.shape
        for first in range(0, number, _CHUNK):
            block, shifts = self._blocks(cells, valid, rng)
            count = np.array([len(s) for s in shifts])
            drawn = np.empty((12, min(_CHUNK, number - first), row.size))
            for start in range(0, 12, self.block_months):
                months = slice(start, start + self.block_months)
                for one in range(drawn.shape[1]):
                    pick = rng.integers(count)
                    shift = np.array([s[k] for s, k in zip(shifts, pick, strict=True)])[block]
                    i = np.clip(row + shift[:, 0], 0, height - 1)
                    j = np.clip(column + shift[:, 1], 0, length - 1)
                    year = rng.integers(len(years), size=len(shifts))[block]
                    sign = rng.choice([-1.0, 1.0], size=len(shifts))[block]
                    place = (year * height + i) * length + j
                    drawn[months, one] = flat[months].take(place, axis=1) * sign
            drawn *= size[:, None]
            of_all = self.common.values[rng.integers(len(self.common), size=drawn.shape[1])]
            of_all *= rng.standard_normal((len(of_all), 1))
            yield drawn + of_all.T[:, :, None]

    def _blocks(
        self, cells: np.ndarray, valid: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the block of each wanted cell, and of each block the shifts to its donors.

        The net of blocks is laid at random, so that its seams are nowhere in particular.
        """
        edge = self._edge()
        row, column = np.nonzero(cells)
        offset = [rng.integers(n) for n in edge]
        label = (row + offset[0]) // edge[0] * 10_000 + (column + offset[1]) // edge[1]
        _, block = np.unique(label, return_inverse=True)
        shifts = [
            donors(cells.shape, row[block == b], column[block == b], valid)
            for b in range(block.max() + 1)
        ]
        return block, shifts

    def _edge(self) -> tuple[int, int]:
        """Return the edges of a block in cells, of about the same length in km."""
        lat, lon = self.standardised["lat"].values, self.standardised["lon"].values
        known = self.standardised.notnull().sum(["time", "lon"]).values
        narrow = np.cos(np.deg2rad(np.average(lat, weights=known)))
        steps = step_of(lat), step_of(lon) * narrow
        high, wide = (max(1, round(self.block_degrees / step)) for step in steps)
        return high, wide

    def place(self, lat: np.ndarray, lon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the row of the model of each latitude, and the column of each longitude.

        Raises
        ------
        UsageError
            When the model was learned on another grid.
        """
        found = []
        for axis, name, every in zip((lat, lon), ("lat", "lon"), self.every, strict=True):
            own = self.standardised[name].values
            number = np.arange(axis.size) // every
            centre = np.bincount(number, axis) / np.bincount(number)
            if centre.size != own.size or not np.allclose(centre, own):
                raise UsageError(
                    f"expected errors on the grid of the prediction, {lat.size} x {lon.size} "
                    f"cells, found {self.scale.sizes['lat']} x {self.scale.sizes['lon']} "
                    f"for {self.every[0]} x {self.every[1]} cells each, or other coordinates; "
                    "train again on this grid"
                )
            found.append(number)
        return found[0], found[1]

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the spread of the draws: how many blocks of errors are known."""
        years = np.unique(self.standardised["time"].dt.year).size
        blocks = self.standardised.notnull().sum() / (np.prod(self._edge()) * self.block_months)
        return max(2.0, float(blocks) * self.independent / years)

    def save(self, directory: Path) -> Path:
        """Write the model into `directory`; return the path."""
        path = directory / FILE
        with atomic_path(path) as temporary:
            ds = xr.Dataset(
                {
                    "standardised_error": self.standardised.astype(np.float32),
                    "scale": self.scale.astype(np.float32),
                    "common_error": self.common,
                },
                attrs={
                    "title": "Patterns of errors of the estimate over their standard deviation",
                    "independent_years": np.int32(self.independent),
                    "correlation_length_km": self.length_km,
                    "block_degrees": self.block_degrees,
                    "block_months": self.block_months,
                    "cells_gathered": np.array(self.every, dtype="int32"),
                },
            )
            encoding = {"zlib": True, "complevel": 4}
            ds.to_netcdf(
                temporary,
                engine="netcdf4",
                encoding={"standardised_error": encoding, "scale": encoding},
            )
        return path

    @classmethod
    def load(cls, directory: Path) -> ErrorModel | None:
        """Read the model that `save` wrote into `directory`; None when there is none.

        Raises
        ------
        NarcfError
            When the file holds something else.
        """
        path = directory / FILE
        if not path.exists():
            return None
        try:
            require_regular(path, MAX_BYTES)
            require_contained(path)
            with xr.open_dataset(path, engine="netcdf4") as ds:
                _check(ds)
                ds = ds.load()
            standardised, scale, common = (ds[name].astype(np.float64) for name in _DIMS)
            for array in (standardised, scale, common):
                if np.isinf(array).any():
                    raise ValueError(f"{array.name}: expected no infinite values, found some")
            length, degrees, months = (_positive(ds.attrs, name) for name in _NUMBERS)
            if months != int(months) or 12 % int(months):
                raise ValueError(f"block_months: expected a divisor of 12, found {months:g}")
            every = _every(ds.attrs)
            independent = int(_positive(ds.attrs, "independent_years"))
        except UnreadableError:
            raise
        except Exception as error:  # HDF5 and decoding let many kinds through
            raise NarcfError(
                f"{path}: expected the errors of a model, found another file ({reason(error)}); "
                "train again with `narcf-geo train`"
            ) from None
        return cls(standardised, scale, common, length, degrees, int(months), every, independent)


_DIMS = {
    "standardised_error": ("time", "lat", "lon"),
    "scale": ("month", "lat", "lon"),
    "common_error": ("year", "month"),
}
_NUMBERS = ("correlation_length_km", "block_degrees", "block_months")


def _check(ds: xr.Dataset) -> None:
    """Refuse a file with other arrays than those of an error model, before any is read."""
    for name, dims in _DIMS.items():
        if name not in ds:
            raise ValueError(f"no {name}")
        array = ds[name]
        if array.dims != dims or array.dtype.kind != "f" or not array.size:
            raise ValueError(
                f"{name}: expected numbers along {', '.join(dims)}, found {array.dtype} along "
                f"{', '.join(map(str, array.dims)) or 'nothing'}"
            )
        if array.size > MAX_BYTES // 4:
            raise ValueError(f"{name}: {array.size:,} values, expected at most {MAX_BYTES // 4:,}")
        for dim in set(dims) - {"year"}:
            if dim not in ds.coords:
                raise ValueError(f"{name}: no coordinate {dim}")
    if ds.sizes["month"] != 12 or ds["time"].dtype.kind != "M":
        raise ValueError("expected 12 months in a year, and times that are dates")
    for name in ("lat", "lon"):
        if ds[name].dtype.kind != "f" or not np.isfinite(ds[name]).all():
            raise ValueError(f"{name}: expected finite degrees")


def _positive(attrs: Mapping[Any, Any], name: str) -> float:
    value = float(attrs[name])
    if not 0 < value < np.inf:
        raise ValueError(f"{name}: expected a number greater than 0, found {value}")
    return value


def _every(attrs: Mapping[Any, Any]) -> tuple[int, int]:
    """Return how many rows and columns were gathered, of an older file one."""
    values = np.atleast_1d(attrs.get("cells_gathered", (1, 1)))
    if values.shape != (2,) or values.dtype.kind not in "iu" or (values < 1).any():
        raise ValueError(f"cells_gathered: expected two numbers from 1, found {values}")
    return int(values[0]), int(values[1])
