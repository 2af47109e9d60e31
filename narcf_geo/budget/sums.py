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
    months : numpy.ndarray
        Number of months in which a cell has a flux.
    coverage, reference_coverage : numpy.ndarray
        Share of area and time with a flux, and with both, 0 to 1: of the cells that have a flux in
        any period, and of the whole calendar month or year.
    """

    period: np.ndarray
    cells: np.ndarray
    area: np.ndarray
    weight: np.ndarray
    flux: np.ndarray
    reference: np.ndarray
    months: np.ndarray
    coverage: np.ndarray
    reference_coverage: np.ndarray


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
        cells, areas, flux, reference, both, year_cells, year_area, ever = windows.total(
            of_place, _added
        )
        factor = seconds * TGC_PER_UMOL
        weight, flux, reference, pairs = (
            areas * seconds,
            flux * factor,
            reference * factor,
            both * seconds,
        )
        in_year = np.eye(years.size)[year]
        known = (cells > 0).astype(np.int64)
        weights, fluxes, others, pairs_in = (v @ in_year for v in (weight, flux, reference, pairs))
        of_year = np.where(stamps.dt.is_leap_year.values, 366, 365) * SECONDS_PER_DAY
        length = np.array([of_year[year == y][0] for y in range(years.size)])
        return cls(
            Sums(
                stamps.values,
                cells,
                areas,
                weight,
                flux,
                _paired(reference, pairs),
                known,
                _share(weight, ever * seconds),
                _share(pairs, ever * seconds),
            ),
            Sums(
                years,
                year_cells,
                year_area,
                weights,
                fluxes,
                _paired(others, pairs_in),
                (known @ in_year).astype(np.int64),
                _share(weights, ever * length),
                _share(pairs_in, ever * length),
            ),
        )


def _of_place(
    windows: Windows, number: int, *, area: np.ndarray, share: sparse.csc_array, year: np.ndarray
) -> list[np.ndarray]:
    """Return the sums of a place: (part, month), (part, year), and of all its months (part, 1)."""
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
            pairs[:, months] += part @ np.where(both, size, 0.0).T
    year_cells = counted @ known.T.astype(np.float64)
    year_area = part @ np.where(known, size, 0.0).T
    ever = part @ np.where(known.any(axis=0), size, 0.0)
    return [cells, areas, flux, reference, pairs, year_cells, year_area, ever[:, None]]


def _added(one: list[np.ndarray], other: list[np.ndarray]) -> list[np.ndarray]:
    return [a + b for a, b in zip(one, other, strict=True)]


def _share(known: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return what is known of the whole, 0 to 1; 0 where there is nothing to know."""
    share = np.divide(known, whole, out=np.zeros_like(known), where=whole > 0)
    return np.minimum(share, 1.0)


def _paired(total: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return totals where there is a pair, else NaN."""
    return np.where(pairs > 0, total, np.nan)
