"""Sums over pairs of fluxes, of which all scores are made, in one pass over fields of any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.budget.totals import TGC_PER_UMOL
from narcf_geo.budget.windows import Windows
from narcf_geo.core.constants import SECONDS_PER_DAY
from narcf_geo.statistics.climatology import Climatology
from narcf_geo.statistics.interval_scores import interval_scores, interval_sums
from narcf_geo.statistics.scores import Moments

if TYPE_CHECKING:
    from scipy import sparse


@dataclass(frozen=True, eq=False)
class Pairing:
    """Which fields are compared, and how.

    Attributes
    ----------
    estimate, observed : str
        Names of fields.
    months : numpy.ndarray
        Which months count, bool (time,).
    also : tuple of str
        Fields that must have a value, too.
    groups : scipy.sparse.csc_array, optional
        Share of each cell in groups of cells (group, cell) that are scored by themselves.
    components : bool
        Whether mean field, seasonal cycle and anomalies are.
    spread : str
        Field of the standard deviation of the estimate, for the coverage of its intervals.
    factors : mapping
        Half-widths of the intervals in standard deviations, by their level.
    """

    estimate: str
    observed: str
    months: np.ndarray
    also: tuple[str, ...] = ()
    groups: sparse.csc_array | None = None
    components: bool = False
    spread: str = ""
    factors: Mapping[Any, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class PairSums:
    """What the scores of a pairing are made of.

    Attributes
    ----------
    time : pandas.DatetimeIndex
        Its months.
    whole : Moments
        Of all cells, (time,).
    groups : list of Moments
        Of each group of cells, (time,).
    known : numpy.ndarray
        Number of values that the estimate has in each group.
    area : float
        Of the cells in which the estimate has a value in any month, m2.
    components : dict of str to Moments
        Of ``mean_field``, ``seasonal_cycle`` and ``anomalies``.
    intervals : numpy.ndarray
        Of all cells and of each group, (1 + group, time, sum), as from `interval_sums`.
    factors : mapping
        Of the intervals; without any, `intervals` are of no length.
    """

    time: pd.DatetimeIndex
    whole: Moments
    groups: list[Moments]
    known: np.ndarray
    area: float
    components: dict[str, Moments]
    intervals: np.ndarray
    factors: Mapping[Any, float]

    def of_months(self, which: np.ndarray) -> PairSums:
        """Return the sums with some of the months alone, bool (time,)."""
        whole, *groups = (moments.chosen(which) for moments in (self.whole, *self.groups))
        intervals = self.intervals[:, which]
        return replace(self, time=self.time[which], whole=whole, groups=groups, intervals=intervals)

    def with_cells(self, other: PairSums) -> PairSums:
        """Return the sums of the cells of both, in the same months."""
        return PairSums(
            self.time,
            Moments.together([self.whole, other.whole]),
            [Moments.together(pair) for pair in zip(self.groups, other.groups, strict=True)],
            self.known + other.known,
            self.area + other.area,
            {n: Moments.together([m, other.components[n]]) for n, m in self.components.items()},
            self.intervals + other.intervals,
            self.factors,
        )

    def compared(self, group: int | None = None, where: Any = slice(None)) -> dict[str, Any]:
        """Return the scores of all cells or of a group, in all months or in some; see `compare`."""
        moments = (self.whole if group is None else self.groups[group]).chosen(where)
        time = self.time[where]
        months = time[moments.n > 0]
        result: dict[str, Any] = moments.merged().scores()
        bias = moments.weight * moments.difference * tgc_per_month(time)
        per_year = 12 / len(months) if len(months) else np.nan
        result["bias_TgC_per_year"] = float(bias.sum() * per_year)
        result["period"] = [f"{m:%Y-%m}" for m in (months[[0, -1]] if len(months) else months)]
        return result

    def interval_scores(self, group: int | None = None, where: Any = slice(None)) -> dict[str, Any]:
        """Return the scores of the intervals of all cells or of a group, in all months or some."""
        sums = self.intervals[0 if group is None else group + 1][where]
        return interval_scores(sums.sum(axis=0), self.factors)

    def by_time(self, part: str, values: Sequence[Any] | None = None) -> dict[str, Any]:
        """Return the scores of each part of time that the months have, such as each ``month``."""
        label = getattr(xr.DataArray(self.time, dims="time").dt, part).values
        present = np.unique(label).tolist()
        chosen = present if values is None else [v for v in values if v in present]
        return {str(value): self.compared(where=label == value) for value in chosen}

    def monthly_totals(self) -> np.ndarray:
        """Return the totals of estimate and observed (2, time), TgC; NaN where there is no pair."""
        means = np.stack([self.whole.estimate, self.whole.observed])
        totals = means * self.whole.weight * tgc_per_month(self.time)
        return np.where(self.whole.n > 0, totals, np.nan)


def tgc_per_month(time: pd.DatetimeIndex) -> np.ndarray:
    """Return TgC of 1 umol m-2 s-1 on 1 m2 in each month."""
    return np.asarray(time.days_in_month * SECONDS_PER_DAY * TGC_PER_UMOL, dtype=np.float64)


def pair_sums(
    fields: Mapping[str, xr.DataArray],
    cell_area: xr.DataArray,
    pairings: Mapping[str, Pairing],
) -> dict[str, PairSums]:
    """Sum all pairings in one pass; lazy fields are read window by window.

    Only where components are wanted are the windows read twice: anomalies are known when the mean
    of their calendar month is.

    Parameters
    ----------
    fields : mapping of str to xarray.DataArray
        (time, lat, lon), umol m-2 s-1, on one grid and the same months.
    cell_area : xarray.DataArray
        (lat, lon), m2, the weight.
    pairings : mapping of str to Pairing

    Returns
    -------
    dict
        Name of each pairing to its sums.
    """
    windows = Windows(fields)
    area = cell_area.transpose(*windows.plane).values.astype(np.float64)
    time = next(iter(fields.values())).indexes["time"]
    asked = list(pairings.values())
    found = windows.total(partial(_of_place, area=area, time=time, pairings=asked), _together)
    return {
        name: sums.of_months(pairing.months)
        for (name, pairing), sums in zip(pairings.items(), found, strict=True)
    }


def _of_place(
    windows: Windows,
    number: int,
    *,
    area: np.ndarray,
    time: pd.DatetimeIndex,
    pairings: Sequence[Pairing],
) -> list[PairSums]:
    """Return the sums of each pairing over the cells of a place."""
    place = windows.places[number]
    size, cells = area[place].ravel(), windows.cells(place).ravel()
    passes = [_Pass(pairing, time, size, cells) for pairing in pairings]
    again = [one for one in passes if one.pairing.components]
    for window in windows.times:
        for months, values in windows.pieces(window, place):
            for one in passes:
                one.add(months, _flat(values, size.size))
    for window in windows.times if again else ():
        for months, values in windows.pieces(window, place):
            for one in again:
                one.add_anomalies(months, _flat(values, size.size))
    return [one.sums() for one in passes]


def _flat(values: Mapping[str, np.ndarray], cells: int) -> dict[str, np.ndarray]:
    return {name: value.reshape(-1, cells) for name, value in values.items()}


def _together(several: list[PairSums], others: list[PairSums]) -> list[PairSums]:
    """Return the sums of each pairing over the cells of both."""
    return [one.with_cells(other) for one, other in zip(several, others, strict=True)]


class _Pass:
    """The sums of one pairing over the cells of a place, months after months.

    Parameters
    ----------
    pairing : Pairing
    time : pandas.DatetimeIndex
        Months of the fields.
    size, cells : numpy.ndarray
        Areas, m2, and numbers of the cells.
    """

    def __init__(
        self, pairing: Pairing, time: pd.DatetimeIndex, size: np.ndarray, cells: np.ndarray
    ) -> None:
        self.pairing, self.time, self.size = pairing, time, size
        self.month = np.asarray(time.month)
        self.any = np.zeros(size.size, dtype=bool)
        # Of cells with a pair alone: many are sea.
        self.paired = np.zeros(size.size, dtype=bool)
        self.climatology = [Climatology(0), Climatology(0)]
        self.sets = []
        if pairing.groups is not None:
            rows = pairing.groups[:, cells].tocsr()
            for group in range(rows.shape[0]):
                of = slice(rows.indptr[group], rows.indptr[group + 1])
                inside = rows.indices[of]
                self.sets.append((inside, size[inside] * rows.data[of]))
        nothing = Moments.of(*np.zeros((3, time.size, 0)))
        self.moments = [nothing] * (1 + len(self.sets))
        self.known = np.zeros(len(self.sets), dtype=int)
        names = ("mean_field", "seasonal_cycle", "anomalies")
        self.components = dict.fromkeys(names, nothing.merged())
        lengths = 1 + len(self.sets), time.size, 3 * len(pairing.factors) + 2
        self.intervals = np.zeros(lengths if pairing.spread else (lengths[0], lengths[1], 0))

    def _pair(self, months: slice, values: Mapping[str, np.ndarray]) -> Any:
        """Return the months that count, estimate and observed where both have a value."""
        which = np.flatnonzero(self.pairing.months[months])
        ask = self.pairing
        e, o = (values[n][which].astype(np.float64) for n in (ask.estimate, ask.observed))
        valid = np.isfinite(e) & np.isfinite(o) & (self.size > 0)
        for name in ask.also:
            valid &= np.isfinite(values[name][which])
        return which, e, np.where(valid, o, np.nan), valid

    def add(self, months: slice, values: Mapping[str, np.ndarray]) -> None:
        """Add a window: months, and the values of all fields (month, cell)."""
        which, e, o, valid = self._pair(months, values)
        if not which.size:
            return
        self.any |= np.isfinite(e).any(axis=0)
        at = months.start + which
        some = Moments.of(*self._of_cells(valid.any(axis=0), e, o))
        self.moments[0] = _added(self.moments[0], some, at)
        for number, (cells, weight) in enumerate(self.sets):
            of_group = e[:, cells]
            self.known[number] += np.isfinite(of_group).sum()
            some = Moments.of(of_group, o[:, cells], np.broadcast_to(weight, of_group.shape))
            self.moments[number + 1] = _added(self.moments[number + 1], some, at)
        if self.pairing.components:
            self._pair_cells(valid.any(axis=0))
            for climatology, flux in zip(self.climatology, self._paired(valid, e, o), strict=True):
                climatology.add(flux, self.month[at])
        if self.pairing.spread:
            spread = values[self.pairing.spread][which]
            every = slice(None), self.size
            for number, (cells, weight) in enumerate([every, *self.sets]):
                rows = (o[:, cells], e[:, cells], spread[:, cells])
                weights = np.broadcast_to(weight, rows[0].shape)
                sums = interval_sums(*rows, self.pairing.factors, weights)
                self.intervals[number, at] += sums

    def _of_cells(self, cells: np.ndarray, *fields: np.ndarray) -> list[np.ndarray]:
        """Return fields (month, cell) of some cells, and their weights."""
        chosen = [field[:, cells] for field in fields]
        return [*chosen, np.broadcast_to(self.size[cells], chosen[0].shape)]

    def _pair_cells(self, found: np.ndarray) -> None:
        """Make room for cells that have a pair, and had none so far."""
        both = self.paired | found
        if both.sum() > self.paired.sum():
            to = np.flatnonzero(self.paired[both])
            self.climatology = [c.moved(to, int(both.sum())) for c in self.climatology]
            self.paired = both

    def _paired(self, valid: np.ndarray, *fields: np.ndarray) -> list[np.ndarray]:
        """Return fields (month, cell) in the cells with a pair, NaN where they have none."""
        known = valid[:, self.paired]
        return [np.where(known, field[:, self.paired], np.nan) for field in fields]

    def add_anomalies(self, months: slice, values: Mapping[str, np.ndarray]) -> None:
        """Add what the second reading is for."""
        which, e, o, valid = self._pair(months, values)
        if not which.size:
            return
        month = self.month[months.start + which]
        rest = [
            climatology.anomalies(flux, month)
            for climatology, flux in zip(self.climatology, self._paired(valid, e, o), strict=True)
        ]
        self._component("anomalies", *rest)

    def sums(self) -> PairSums:
        """Return the sums when all months were added."""
        if self.pairing.components:
            (e, e_cycle), (o, o_cycle) = (c.mean_and_cycle() for c in self.climatology)
            self._component("mean_field", e, o)
            seasonal = np.isfinite(e_cycle).sum(axis=0) >= 2
            self._component("seasonal_cycle", np.where(seasonal, e_cycle, np.nan), o_cycle)
        whole, *groups = self.moments
        area = float(np.nansum(self.size[self.any]))
        return PairSums(
            self.time,
            whole,
            groups,
            self.known,
            area,
            self.components,
            self.intervals,
            self.pairing.factors,
        )

    def _component(self, name: str, estimate: np.ndarray, observed: np.ndarray) -> None:
        weight = np.broadcast_to(self.size[self.paired], estimate.shape)
        some = Moments.of(estimate.ravel(), observed.ravel(), weight.ravel())
        self.components[name] = Moments.together([self.components[name], some])


def _added(moments: Moments, some: Moments, at: np.ndarray) -> Moments:
    """Return moments (time,) with some more in the months `at`."""
    both = Moments.together([moments.chosen(at), some])
    grown = Moments(*(values.copy() for values in moments))
    for whole, part in zip(grown, both, strict=True):
        whole[..., at] = part
    return grown
