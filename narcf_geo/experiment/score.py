"""The scores of one case: its test rows against target, truth and reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from narcf_geo.budget.totals import cell_total, monthly_total
from narcf_geo.core.constants import IGBP
from narcf_geo.evaluation import compare
from narcf_geo.evaluation.mean_map import mean_map_scores
from narcf_geo.model.network.ensemble import Estimate
from narcf_geo.model.samples.splits import Split
from narcf_geo.model.samples.table import Table
from narcf_geo.statistics.conformal import conformal_factors
from narcf_geo.statistics.error_model import ErrorModel
from narcf_geo.statistics.flux_error import FluxError

LEVELS = (0.8, 0.95)
"""Of the intervals that are scored."""


@dataclass(frozen=True)
class Held:
    """What each row was estimated as when it was tested; NaN where never.

    Attributes
    ----------
    flux : numpy.ndarray
        The estimate, (n_rows,), umol m-2 s-1.
    observed, of_flux : dict of float to numpy.ndarray
        Level to half the width of the interval of an observed value, and of the flux.
    std : numpy.ndarray
        Standard deviation of the estimate about the flux.
    patterns : list of ErrorModel
        How errors of the flux hang together, of each fold that tells.
    """

    flux: np.ndarray
    observed: dict[float, np.ndarray]
    of_flux: dict[float, np.ndarray]
    std: np.ndarray
    patterns: list[ErrorModel]

    @classmethod
    def empty(cls, n_rows: int) -> Held:
        """Return one without any estimate."""

        def nothing() -> np.ndarray:
            return np.full(n_rows, np.nan, np.float32)

        observed, of_flux = ({level: nothing() for level in LEVELS} for _ in range(2))
        return cls(nothing(), observed, of_flux, nothing(), [])

    def add(
        self,
        split: Split,
        estimate: Estimate,
        observed: np.ndarray,
        error: FluxError | None = None,
        patterns: ErrorModel | None = None,
    ) -> None:
        """Take the test rows of `split`, with intervals that its validation rows calibrate."""
        test, held, std = split.test, split.validation, estimate.std
        factors = conformal_factors(observed[held], estimate.flux[held], std[held])
        self.flux[test] = estimate.flux[test]
        for level, half in self.observed.items():
            half[test] = factors[level] * std[test]
        if error is not None:
            self.std[test] = error.std(estimate.apart, estimate.noise)[test]
            for level, half in self.of_flux.items():
                half[test] = error.factors[level] * self.std[test]
        if patterns is not None:
            self.patterns.append(patterns)


def score(table: Table, cube: xr.Dataset, held: Held) -> dict[str, float | None]:
    """Return the scores of the test rows; None for what the project or the case has not.

    Parameters
    ----------
    table : Table
        The rows.
    cube : xarray.Dataset
        Of the project: ``flux_target``, and where there are any ``flux_truth``, ``flux_reference``.
    held : Held
        The estimates.

    Returns
    -------
    dict
        ``r``, ``rmse``, ``bias`` (umol m-2 s-1) and ``bias_TgC`` per year against the target; the
        same with ``truth_``; ``mean_map``, the RMSE of the map of the mean of the test months
        against the truth, and ``target_mean_map`` that of the target averaged over all months that
        are not tested; ``total_TgC`` per year, and of the truth, over the months of which every row
        was tested; ``coverage_80`` and ``coverage_95``, the shares of the target's values in their
        intervals, and ``width_95``; the same of the truth in the intervals of the flux with
        ``flux_``; ``biome_years_95``, the share of biome-years whose truth lies in their interval,
        ``biome_years_p`` of a two-sided test that it is 95 %, ``total_half_TgC``, half the interval
        of the region's annual total, and ``total_error_TgC``, the root mean square of what it errs;
        ``reference_r`` and ``reference_rmse`` of the reference against the target of the same
        months, and with ``misaligned_`` against those months of other years.
    """
    area = cube["cell_area"]
    flux = table.on_grid(held.flux, cube["flux_target"])
    found: dict[str, float | None] = _named(compare(flux, cube["flux_target"], area))
    found |= _held_by(held.flux, held.observed, table.y, table.area)
    tested = np.isfinite(held.flux)
    known = np.bincount(table.month[tested], minlength=table.time.size)
    whole = (known > 0) & (known == np.bincount(table.month, minlength=table.time.size))
    complete = flux.isel(time=np.flatnonzero(whole))
    if whole.any():
        found["total_TgC"] = float(monthly_total(complete, area).mean()) * 12
    if "flux_truth" in cube:
        truth = cube["flux_truth"]
        found |= _named(compare(flux, truth, area), "truth_")
        found |= _mean_maps(cube, flux)
        rows = truth.transpose("time", "lat", "lon").values.reshape(table.time.size, -1)
        of_flux = _held_by(held.flux, held.of_flux, rows[table.month, table.cell], table.area)
        found |= {f"flux_{name}": value for name, value in of_flux.items()}
        if whole.any():
            same = truth.sel(time=complete["time"]).where(complete.notnull())
            found["truth_total_TgC"] = float(monthly_total(same, area).mean()) * 12
            # Folds have patterns of their own each.
            if len(held.patterns) == 1:
                found |= _totals(table, cube, held, complete, same)
    if "flux_reference" in cube:
        found |= _reference(cube, flux)
    return {name: _plain(value) for name, value in found.items()}


def _held_by(
    flux: np.ndarray, half: dict[float, np.ndarray], observed: np.ndarray, area: np.ndarray
) -> dict[str, float | None]:
    """Return the coverage of intervals, and the width of the widest."""
    known = np.isfinite(half[0.95])
    if not known.any():
        return {}
    found: dict[str, float | None] = {}
    for level, one in half.items():
        inside = np.abs(observed - flux)[known] <= one[known]
        found[f"coverage_{level:.0%}".rstrip("%")] = float(np.average(inside, weights=area[known]))
    found["width_95"] = 2 * float(np.average(half[0.95][known], weights=area[known]))
    return found


def _mean_maps(cube: xr.Dataset, flux: xr.DataArray) -> dict[str, float | None]:
    """Score the mean map of the tested months, and the target averaged over all others."""
    tested = np.asarray(flux.notnull().any(["lat", "lon"]))
    if tested.all():
        return {}
    fields = {"estimate": flux, "target": cube["flux_target"], "truth": cube["flux_truth"]}
    found = mean_map_scores(fields, "estimate", ~tested, tested, cube["cell_area"])
    truth = found["test"]["truth"]
    return {"mean_map": truth["estimate"], "target_mean_map": truth["training_mean"]}


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


def _totals(
    table: Table, cube: xr.Dataset, held: Held, flux: xr.DataArray, truth: xr.DataArray
) -> dict[str, float | None]:
    """Score the intervals of annual totals, of biomes and of the region."""
    from scipy.stats import binomtest

    from narcf_geo.budget.intervals import total_intervals

    area, biome = cube["cell_area"], cube["biome"]
    std = table.on_grid(held.std, cube["flux_target"]).sel(time=flux["time"])
    names = {IGBP[n].name: (biome == n).values for n in np.unique(table.biome) if n >= 0}
    parts = {**names, "all": np.ones(biome.shape, bool)}
    (patterns,) = held.patterns
    fields = xr.Dataset({"flux": flux, "flux_std": std})
    intervals = total_intervals(fields, patterns, area, parts)
    total = cell_total(truth, area).groupby("time.year").sum()
    true = [
        float(total.sel(year=r.year).where(parts[r.part]).sum()) for r in intervals.itertuples()
    ]
    intervals = intervals.assign(error=intervals["flux_TgC"] - true)
    intervals["inside"] = intervals["error"].abs() <= intervals["upper_TgC"] - intervals["flux_TgC"]
    whole = intervals["part"] == "all"
    inside, region = intervals.loc[~whole, "inside"], intervals[whole]
    half = region["upper_TgC"] - region["flux_TgC"]
    return {
        "biome_years_95": float(inside.mean()),
        "biome_years_p": float(binomtest(int(inside.sum()), inside.size, 0.95).pvalue),
        "total_half_TgC": float(half.mean()),
        "total_error_TgC": float(np.sqrt(np.square(region["error"]).mean())),
    }
