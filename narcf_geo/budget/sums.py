"""Sums over the cells of parts, in one pass over fields of any size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

from narcf_geo.budget.totals import TGC_PER_UMOL
from narcf_geo.budget.windows import Windows
from narcf_geo.core.constants import SECONDS_PER_DAY
from narcf_geo.core.months import days_in_month

if TYPE_CHECKING:
    from scipy import sparse


class Sums(NamedTuple):
    """Of each part and period (part, period).

    Attributes
    ----------
    period : numpy.ndarray
        Months as time stamps, or years.
    cells : numpy.ndarray
        Number of cells with a flux in the period.
    area : numpy.ndarray
        Their area in the part, m2.
    weight : numpy.ndarray
        Area times time with a flux, m2 s.
    flux : numpy.ndarray
        TgC.
    reference : numpy.ndarray
        TgC where both have a value; NaN without any such cell.
    """

    period: np.ndarray
    cells: np.ndarray
    area: np.ndarray
    weight: np.ndarray
    flux: np.ndarray
    reference: np.ndarray


@dataclass(frozen=True)
class PartSums:
    """Sums over months and over years, of one pass."""

    month: Sums
    year: Sums

    @classmethod
    def of(
        cls, fields: Mapping[str, xr.DataArray], cell_area: xr.DataArray, share: sparse.csc_array
    ) -> PartSums:
        """Sum fluxes, and a reference if there is one, over the cells of parts.

        Parameters
        ----------
        fields : mapping of str to xarray.DataArray
            ``flux`` and optionally ``reference`` (time, lat, lon), umol m-2 s-1, on one grid and
            the same months. Lazy fields are read once, window by window.
        cell_area : xarray.DataArray
            (lat, lon), m2.
        share : scipy.sparse.csc_array
            Share of each cell in each part (part, cell).
        """
        windows = Windows(fields)
        stamps = fields["flux"]["time"]
        years, year = np.unique(stamps.dt.year.values, return_inverse=True)
        seconds = days_in_month(stamps).values * SECONDS_PER_DAY
        area = cell_area.transpose(*windows.plane).values.astype(np.float64)
        of_place = partial(_of_place, area=area, share=share, year=year)
        cells, areas, flux, reference, pairs, year_cells, year_area = windows.total(
            of_place, _added
        )
        factor = seconds * TGC_PER_UMOL
        weight, flux, reference = areas * seconds, flux * factor, reference * factor
        in_year = np.eye(years.size)[year]
        weights, fluxes, others, both_in = (v @ in_year for v in (weight, flux, reference, pairs))
        return cls(
            Sums(stamps.values, cells, areas, weight, flux, _paired(reference, pairs)),
            Sums(years, year_cells, year_area, weights, fluxes, _paired(others, both_in)),
        )


def _of_place(
    windows: Windows, number: int, *, area: np.ndarray, share: sparse.csc_array, year: np.ndarray
) -> list[np.ndarray]:
    """Return the sums of a place: of its months (part, month), then of its years (part, year)."""
    place = windows.places[number]
    part = share[:, windows.cells(place).ravel()].tocsr()
    counted = part.copy()
    counted.data = (part.data > 0).astype(np.float64)
    size = area[place].ravel()
    shape = share.shape[0], year.size
    cells, areas, flux, reference, pairs = (np.zeros(shape) for _ in range(5))
    known = np.zeros((year.max(initial=-1) + 1, size.size), dtype=bool)
    pieces = (windows.pieces(time, place) for time in windows.times)
    for months, values in chain.from_iterable(pieces):
        one = values["flux"].reshape(-1, size.size).astype(np.float64) * size
        valid = np.isfinite(one)
        np.logical_or.at(known, year[months], valid)
        cells[:, months] += counted @ valid.T.astype(np.float64)
        areas[:, months] += part @ np.where(valid, size, 0.0).T
        flux[:, months] += part @ np.where(valid, one, 0.0).T
        if "reference" in values:
            other = values["reference"].reshape(-1, size.size).astype(np.float64) * size
            both = valid & np.isfinite(other)
            reference[:, months] += part @ np.where(both, other, 0.0).T
            pairs[:, months] += counted @ both.T.astype(np.float64)
    year_cells = counted @ known.T.astype(np.float64)
    year_area = part @ np.where(known, size, 0.0).T
    return [cells, areas, flux, reference, pairs, year_cells, year_area]


def _added(one: list[np.ndarray], other: list[np.ndarray]) -> list[np.ndarray]:
    return [a + b for a, b in zip(one, other, strict=True)]


def _paired(total: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return totals where there is a pair, else NaN."""
    return np.where(pairs > 0, total, np.nan)
