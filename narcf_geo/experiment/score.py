"""The scores of one case: its test rows against target, truth and reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from narcf_geo.budget.totals import cell_total, monthly_total
from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import NarcfError
from narcf_geo.evaluation import compare
from narcf_geo.model.network.ensemble import Estimate
from narcf_geo.model.samples.splits import Split
from narcf_geo.model.samples.table import Table
from narcf_geo.statistics.conformal import conformal_factors
from narcf_geo.statistics.error_model import ErrorModel

LEVEL = 0.8
"""Share of the test values that the interval of a cell and month is to hold."""


@dataclass(frozen=True)
class Held:
    """What each row was estimated as when it was tested, and when it validated; NaN where never.

    Arrays of shape (n_rows,), umol m-2 s-1; `half` is half the width of the calibrated interval of
    `LEVEL` of the test rows.
    """

    flux: np.ndarray
    std: np.ndarray
    half: np.ndarray
    validation_flux: np.ndarray
    validation_std: np.ndarray

    @classmethod
    def empty(cls, n_rows: int) -> Held:
        """Return one without any estimate."""
        return cls(*np.full((5, n_rows), np.nan, np.float32))

    def add(self, split: Split, estimate: Estimate, observed: np.ndarray) -> None:
        """Take the test and validation rows of `split`."""
        test, held, std = split.test, split.validation, estimate.std
        factors = conformal_factors(observed[held], estimate.flux[held], std[held])
        self.flux[test], self.std[test] = estimate.flux[test], std[test]
        self.half[test] = factors[LEVEL] * std[test]
        self.validation_flux[held], self.validation_std[held] = estimate.flux[held], std[held]


def score(
    table: Table, cube: xr.Dataset, held: Held, *, biome_years: bool
) -> dict[str, float | None]:
    """Return the scores of the test rows; None for what the project or the case has not.

    Parameters
    ----------
    table : Table
        The rows.
    cube : xarray.Dataset
        Of the project: ``flux_target``, and where there are any ``flux_truth``, ``flux_reference``.
    held : Held
        The estimates.
    biome_years : bool
        Give the totals of biomes and years their intervals.

    Returns
    -------
    dict
        ``r``, ``rmse``, ``bias`` (umol m-2 s-1) and ``bias_TgC`` per year against the target; the
        same with ``truth_``; ``total_TgC`` per year, and of the truth, over the months of which
        every row was tested; ``coverage_80``, the share of the target's values in its interval, and
        ``biome_years_95``, the share of biome-years whose truth lies in theirs;
        ``reference_r`` and ``reference_rmse`` of the reference against the target of the same
        months, and with ``misaligned_`` against those months of other years.
    """
    area = cube["cell_area"]
    flux = table.on_grid(held.flux, cube["flux_target"])
    found: dict[str, float | None] = _named(compare(flux, cube["flux_target"], area))
    tested = np.isfinite(held.flux)
    inside = np.abs(table.y - held.flux)[tested] <= held.half[tested]
    found["coverage_80"] = float(np.average(inside, weights=table.area[tested]))
    known = np.bincount(table.month[tested], minlength=table.time.size)
    whole = (known > 0) & (known == np.bincount(table.month, minlength=table.time.size))
    complete = flux.isel(time=np.flatnonzero(whole))
    if whole.any():
        found["total_TgC"] = float(monthly_total(complete, area).mean()) * 12
    if "flux_truth" in cube:
        truth = cube["flux_truth"]
        found |= _named(compare(flux, truth, area), "truth_")
        if whole.any():
            same = truth.sel(time=complete["time"]).where(complete.notnull())
            found["truth_total_TgC"] = float(monthly_total(same, area).mean()) * 12
            if biome_years:
                found["biome_years_95"] = _biome_years(table, cube, held, complete, same)
    if "flux_reference" in cube:
        found |= _reference(cube, flux)
    return {name: _plain(value) for name, value in found.items()}


def _named(scores: dict, prefix: str = "") -> dict[str, float | None]:
    names = {"r": "r", "rmse": "rmse", "bias": "bias", "bias_TgC_per_year": "bias_TgC"}
    return {prefix + short: scores[name] for name, short in names.items()}


def _plain(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _reference(cube: xr.Dataset, flux: xr.DataArray) -> dict[str, float | None]:
    """Score the reference against the target of the tested months, and of months years apart."""
    area, reference = cube["cell_area"], cube["flux_reference"]
    target = cube["flux_target"].where(flux.notnull())
    aligned = compare(reference, target, area)
    found = {"reference_r": aligned["r"], "reference_rmse": aligned["rmse"]}
    months = np.flatnonzero(flux.notnull().any(["lat", "lon"]).values)
    # The leak: the earliest months of the data in the place of those tested, by whole years.
    earlier = months - months[0] // 12 * 12
    if earlier[0] != months[0]:
        moved = reference.isel(time=earlier).assign_coords(time=cube["time"].values[months])
        leaky = compare(moved.drop_vars("time_bnds", errors="ignore"), target, area)
        found |= {"misaligned_r": leaky["r"], "misaligned_rmse": leaky["rmse"]}
    return found


def _biome_years(
    table: Table, cube: xr.Dataset, held: Held, flux: xr.DataArray, truth: xr.DataArray
) -> float | None:
    """Return the share of biome-years whose true total lies in the interval of the estimate."""
    from narcf_geo.budget.intervals import total_intervals

    area, biome = cube["cell_area"], cube["biome"]
    grid = cube["flux_target"]
    try:
        errors = ErrorModel.of(
            grid,
            table.on_grid(held.validation_flux, grid),
            table.on_grid(held.validation_std, grid),
            area,
        )
    except NarcfError:
        return None
    std = table.on_grid(held.std, grid).sel(time=flux["time"])
    present = np.unique(table.biome)
    intervals = total_intervals(
        xr.Dataset({"flux": flux, "flux_std": std}),
        errors,
        area,
        {IGBP[n].name: (biome == n).values for n in present},
    )
    total = cell_total(truth, area).groupby("time.year").sum()
    inside = []
    for row in intervals.itertuples():
        cells = biome == [cls.name for cls in IGBP].index(row.part)
        true = float(total.sel(year=row.year).where(cells).sum())
        inside.append(row.lower_TgC <= true <= row.upper_TgC)
    return float(np.mean(inside)) if inside else None
