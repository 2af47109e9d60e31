"""What a project reports of itself: the scores of each part, and figures of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from narcf_geo.budget import monthly_total
from narcf_geo.cube import FLUX_NAMES
from narcf_geo.evaluate import by_biome, by_month, compare
from narcf_geo.model.fit import cross_validation
from narcf_geo.model.splits import PARTS
from narcf_geo.settings import PeriodSplit, Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    cube: xr.Dataset, prediction: xr.Dataset, settings: Settings, model: Path
) -> dict[str, Any]:
    """Return the content of ``metrics.json``.

    ``train``, ``validation`` and ``test`` score the estimate against the target; ``by_month`` and
    ``by_biome`` the test part alone. ``region`` holds the total of the prediction. Where the
    project has them, ``reference`` and ``truth`` score it against these on all months they share,
    and ``cross_validation`` compares folds of blocks with folds of single cells.
    """
    area, biome = cube["cell_area"], cube["biome"]
    target = cube["flux_target"]
    parts = estimates_by_part(prediction, settings, model)

    def observed(estimate: xr.DataArray, flux: xr.DataArray) -> xr.DataArray:
        return flux.sel(time=estimate["time"])

    metrics: dict[str, Any] = {
        part: compare(estimate, observed(estimate, target), area)
        for part, estimate in parts.items()
    }
    test = parts["test"]
    metrics["by_month"] = by_month(test, observed(test, target), area)
    metrics["by_biome"] = by_biome(test, observed(test, target), area, biome)
    metrics["region"] = region_total(prediction["flux"], area)
    if "flux_reference" in cube:
        metrics["reference"] = compare(prediction["flux"], cube["flux_reference"], area)
    if "flux_truth" in cube:
        metrics["truth"] = {
            part: compare(estimate, observed(estimate, cube["flux_truth"]), area)
            for part, estimate in parts.items()
        }
        metrics["truth"]["target_itself"] = compare(target, cube["flux_truth"], area)
    if settings.split.kind == "blocks":
        folds = cross_validation(model)
        metrics["cross_validation"] = {
            "blocks": metrics["test"],
            "random": compare(folds["random_test"], target, area),
        }
    return _plain(metrics)


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


def _plain(value: Any) -> Any:
    """Return `value` with NaN as None, which JSON can hold."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def evaluation_figures(
    cube: xr.Dataset,
    prediction: xr.Dataset,
    metrics: dict[str, Any],
    settings: Settings,
    model: Path,
) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure: the scatter of the test part, and the seasonal cycle."""
    from narcf_geo.figures import charts

    synthetic = cube.attrs.get("synthetic")
    test = estimates_by_part(prediction, settings, model)["test"]
    observed = cube["flux_target"].sel(time=test["time"])
    first, last = metrics["test"]["period"]
    yield (
        "scatter",
        charts.scatter(
            test,
            observed,
            metrics=metrics["test"],
            labels=("Estimate", str(observed.attrs["product"])),
            title="Estimate on data the model has not seen",
            subtitle=first if first == last else f"{first} to {last}",
            synthetic=synthetic,
        ),
    )
    if cube.sizes["time"] < 12:
        return
    area = cube["cell_area"]
    known = prediction["flux"].notnull()
    fluxes = {"Estimate": prediction["flux"]} | {
        str(cube[name].attrs["product"]): cube[name].where(known)
        for name in FLUX_NAMES.values()
        if name in cube
    }
    series = {
        label: monthly_total(flux, area).assign_attrs(units="TgC month-1")
        for label, flux in fluxes.items()
    }
    yield (
        "seasonal_cycle",
        charts.seasonal_cycle(
            series,
            title=f"Seasonal cycle of {settings.region.name}",
            subtitle=str(settings.period),
            synthetic=synthetic,
        ),
    )
