"""What a project reports of itself: the scores of each part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from narcf_geo.budget.totals import monthly_total
from narcf_geo.evaluation import (
    by_biome,
    by_month,
    by_region,
    by_season,
    by_year,
    compare,
    compare_on_common,
)
from narcf_geo.evaluation.variability import components
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.fit import cross_validation
from narcf_geo.model.samples.splits import PARTS
from narcf_geo.project.settings import PeriodSplit, Settings
from narcf_geo.statistics.conformal import coverage
from narcf_geo.statistics.scores import for_json

if TYPE_CHECKING:
    import geopandas as gpd


def estimates_by_part(
    prediction: xr.Dataset, settings: Settings, model: Path
) -> dict[str, xr.DataArray]:
    """Return the estimate that each part of the split is judged by.

    With a split by period these are the months of the part. With blocks they are the out-of-fold
    estimates: each cell by the models that trained on it, were stopped by it, or never saw it.
    """
    if isinstance(settings.split, PeriodSplit):
        periods = {part: getattr(settings.split, part) for part in PARTS}
        return {
            part: prediction["flux"].sel(time=slice(f"{p.start}-01", f"{p.end}-28"))
            for part, p in periods.items()
        }
    folds = cross_validation(model)
    return {part: folds[f"{settings.split.kind}_{part}"] for part in PARTS}


def evaluation_metrics(
    cube: xr.Dataset,
    prediction: xr.Dataset,
    settings: Settings,
    model: Path,
    regions: gpd.GeoDataFrame | None = None,
) -> dict[str, Any]:
    """Return the content of ``metrics.json``.

    ``train``, ``validation`` and ``test`` score the estimate against the target; ``by_month``,
    ``by_season``, ``by_year``, ``by_biome`` and, with `regions`, ``by_region`` the test part alone.
    ``components`` scores mean field, seasonal cycle and anomalies, of the test part and of all
    months. ``coverage`` is the share of the target within the 50, 80 and 95 % intervals, where the
    prediction has them. ``region`` holds the total of the prediction.

    Where the project has them, ``reference`` scores the prediction against it on all months they
    share, and ``truth`` each part; ``reference.common`` scores estimate and reference against the
    target on the cells and test months that all three have. ``cross_validation`` compares folds of
    blocks with folds of single cells.
    """
    area, biome = cube["cell_area"], cube["biome"]
    target, flux = cube["flux_target"], prediction["flux"]
    parts = estimates_by_part(prediction, settings, model)
    test = parts["test"]

    def split_in_parts(observed: xr.DataArray) -> dict[str, Any]:
        return {part: compare(estimate, observed, area) for part, estimate in parts.items()}

    def both_components(observed: xr.DataArray) -> dict[str, Any]:
        return {
            "test": components(test, observed, area),
            "all": components(flux, observed, area),
        }

    metrics: dict[str, Any] = {
        **split_in_parts(target),
        "by_month": by_month(test, target, area),
        "by_season": by_season(test, target, area),
        "by_year": by_year(test, target, area),
        "by_biome": by_biome(test, target, area, biome),
        "components": both_components(target),
        "region": region_total(flux, area),
    }
    if regions is not None:
        metrics["by_region"] = by_region(test, target, area, regions)
    if shares := _coverage(cube, prediction, settings, model):
        metrics["coverage"] = shares
    if "flux_reference" in cube:
        reference = cube["flux_reference"]
        metrics["reference"] = {
            **compare(flux, reference, area),
            "test": compare(test, reference, area),
            "components": both_components(reference),
            "common": compare_on_common({"estimate": test, "reference": reference}, target, area),
        }
    if "flux_truth" in cube:
        truth = cube["flux_truth"]
        metrics["truth"] = {
            **split_in_parts(truth),
            "all": compare(flux, truth, area),
            "target_itself": compare(target, truth, area),
            "components": both_components(truth),
        }
    if settings.split.kind == "blocks":
        folds = cross_validation(model)
        metrics["cross_validation"] = {
            "blocks": metrics["test"],
            "random": compare(folds["random_test"], target, area),
        }
    plain: dict[str, Any] = for_json(metrics)
    return plain


def _coverage(
    cube: xr.Dataset, prediction: xr.Dataset, settings: Settings, model: Path
) -> dict[str, dict[str, float]]:
    """Return the shares of the target within the intervals, of validation and test; or nothing."""
    if "flux_std" not in prediction or not (factors := Bundle.load(model).factors):
        return {}
    fluxes = estimates_by_part(prediction, settings, model)
    if isinstance(settings.split, PeriodSplit):
        spreads = {part: prediction["flux_std"].sel(time=f["time"]) for part, f in fluxes.items()}
    else:
        folds, kind = cross_validation(model), settings.split.kind
        spreads = {part: folds[f"{kind}_{part}_std"] for part in fluxes}
    shares: dict[str, dict[str, float]] = {}
    for part in ("validation", "test"):
        flux = fluxes[part]
        values = (cube["flux_target"].sel(time=flux["time"]), flux, spreads[part])
        weight = np.broadcast_to(cube["cell_area"].values, flux.shape)
        observed, estimate, std = (v.values.ravel() for v in values)
        shares[part] = coverage(observed, estimate, std, factors, weight.ravel())
    return shares


def region_total(flux: xr.DataArray, cell_area: xr.DataArray) -> dict[str, Any]:
    """Return the region's total over all months, per 12 months, and over each year's months."""
    monthly = monthly_total(flux, cell_area)
    yearly = monthly.groupby("time.year").sum()
    return {
        "flux_TgC": float(monthly.sum()),
        "flux_TgC_per_year": float(monthly.mean()) * 12,
        "period": [str(monthly["time"].dt.strftime("%Y-%m").values[i]) for i in (0, -1)],
        "area_km2": float(cell_area.where(flux.notnull().any("time")).sum()) / 1e6,
        "by_year_TgC": {str(int(y)): float(yearly.sel(year=y)) for y in yearly["year"]},
    }
