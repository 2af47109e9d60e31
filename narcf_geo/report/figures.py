"""The figures of a project: of its scores, and its maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from narcf_geo.budget.intervals import total_intervals
from narcf_geo.budget.totals import monthly_total
from narcf_geo.cube.cube import FLUX_NAMES
from narcf_geo.evaluation.project import estimates_by_part
from narcf_geo.figures.guard import Drawing, drawn
from narcf_geo.model.bundle import Bundle
from narcf_geo.project.settings import Settings
from narcf_geo.project.split_settings import PeriodSplit

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def evaluation_figures(
    cube: xr.Dataset,
    prediction: xr.Dataset,
    metrics: dict[str, Any],
    settings: Settings,
    model: Path,
) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure: of the test part, and of the region's totals through time.

    ``scatter`` and ``taylor`` show the test part; ``seasonal_cycle``, ``totals`` and ``anomalies``
    (with two years at least) all months, in the cells that all products have. See `drawn` for those
    without values.
    """
    return drawn(_scores(cube, prediction, metrics, settings, model))


def _scores(
    cube: xr.Dataset,
    prediction: xr.Dataset,
    metrics: dict[str, Any],
    settings: Settings,
    model: Path,
) -> Iterator[Drawing]:
    from narcf_geo.figures import agreement, charts, series

    synthetic = cube.attrs.get("synthetic")
    test = estimates_by_part(prediction, settings, model)["test"]
    observed = cube["flux_target"].sel(time=test["time"])
    label = str(observed.attrs["product"])
    ends = test["time"][[0, -1]].dt.strftime("%Y-%m").values
    first, last = metrics["test"]["period"] or ends
    period = first if first == last else f"{first} to {last}"
    yield (
        "scatter",
        partial(
            agreement.scatter,
            test,
            observed,
            metrics=metrics["test"],
            area=cube["cell_area"],
            labels=("Estimate", label),
            title="Estimate on data the model has not seen",
            subtitle=period,
            synthetic=synthetic,
        ),
    )
    products = _products(cube, test)
    if metrics["test"]["kge_alpha"] is not None:
        pairs = {name: flux.notnull() for name, flux in products.items()}
        names, common = _shared({"Estimate": pairs.pop("Estimate") & observed.notnull(), **pairs})
        yield (
            "taylor",
            partial(
                agreement.taylor,
                {n: products[n].where(common) for n in names if n != label},
                observed,
                area=cube["cell_area"],
                label=label,
                subtitle=f"{period}; cells and months that all have",
                synthetic=synthetic,
            ),
        )
    if cube.sizes["time"] < 12:
        return
    totals, common, share = _totals(_products(cube, prediction["flux"]), cube["cell_area"])
    errors = Bundle.load(model).errors
    interval = None
    if errors is not None and "flux_std" in prediction:
        parts = {"all": common.values}
        table = total_intervals(prediction, errors, cube["cell_area"], parts, by="month")
        ends = table.rename(columns={"month": "time"}).set_index("time")
        interval = ends["lower_TgC"].to_xarray(), ends["upper_TgC"].to_xarray()
    region = settings.region.name
    where = f"{settings.period}; cells that all have" + (
        f" ({share:.0%} of the estimate's area)" if share < 0.995 else ""
    )
    yield (
        "seasonal_cycle",
        partial(
            charts.seasonal_cycle,
            totals,
            interval=interval,
            title=f"Seasonal cycle of {region}",
            subtitle=where,
            synthetic=synthetic,
        ),
    )
    yield (
        "totals",
        partial(
            series.time_series,
            totals,
            title=f"Net CO₂ flux of {region}",
            subtitle=where,
            synthetic=synthetic,
        ),
    )
    names, months = _shared({n: total.notnull() for n, total in totals.items()}, least=24)
    if int(months.sum()) >= 24:
        seen = f"{settings.period}; not seen in training: {period}"
        yield (
            "anomalies",
            partial(
                series.anomalies,
                {name: totals[name].where(months) for name in names},
                title=f"Anomalies of {region} from its mean seasonal cycle",
                subtitle=seen if isinstance(settings.split, PeriodSplit) else where,
                synthetic=synthetic,
            ),
        )


def _products(cube: xr.Dataset, estimate: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return the estimate and the fluxes of the cube by their names, on the months of the first."""
    return {"Estimate": estimate} | {
        str(cube[name].attrs["product"]): cube[name].sel(time=estimate["time"])
        for name in FLUX_NAMES.values()
        if name in cube
    }


def _shared(masks: Mapping[str, xr.DataArray], least: int = 1) -> tuple[list[str], xr.DataArray]:
    """Return what the first mask shares with the others, and their names.

    A mask that would leave less than `least` is left out.
    """
    (first, common), *others = masks.items()
    names = [first]
    for name, mask in others:
        both = common & mask
        if int(both.sum()) >= least:
            names.append(name)
            common = both
    return names, common


def _totals(
    fluxes: Mapping[str, xr.DataArray], cell_area: xr.DataArray
) -> tuple[dict[str, xr.DataArray], xr.DataArray, float]:
    """Return monthly totals over the cells that all have, these, their share of the area."""
    import dask

    (known,) = dask.compute({name: flux.notnull().any("time") for name, flux in fluxes.items()})
    names, common = _shared(known)
    totals = {name: monthly_total(fluxes[name].where(common), cell_area) for name in names}
    for total in totals.values():
        total.attrs["units"] = "TgC month-1"
    whole = cell_area.where(known[names[0]]).sum()
    return totals, common, float(cell_area.where(common).sum() / whole)


def project_maps(cube: xr.Dataset, prediction: xr.Dataset) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure of each map that the months of the prediction allow; see `drawn`."""
    return drawn(_maps(cube, prediction))


def _maps(cube: xr.Dataset, prediction: xr.Dataset) -> Iterator[Drawing]:
    from narcf_geo.figures.draw import plot_map

    label: dict[str, Any] = {"synthetic": cube.attrs.get("synthetic") or None}
    years = prediction["time"].dt.year
    last = prediction["time"][years == years[-1]]
    month = last[last["time"].dt.month == 7] if 7 in last["time"].dt.month else last[-1:]
    stamp = str(month["time"].dt.strftime("%Y-%m").values[0])
    yield f"flux_{stamp}", partial(plot_map, prediction, months=stamp, **label)
    if last.sizes["time"] > 1:
        year = str(int(years[-1]))
        yield f"flux_{year}_months", partial(plot_map, prediction, "months", months=year, **label)
    for name in ("flux_target", "flux_reference"):
        if name in cube:
            labels = ("Estimate", str(cube[name].attrs["product"]))
            yield (
                f"comparison_{name.removeprefix('flux_')}",
                partial(
                    plot_map, prediction, "comparison", reference=cube[name], labels=labels, **label
                ),
            )
    whole_years = int((prediction["time"].groupby(years).count() == 12).sum())
    if whole_years:
        yield "seasons", partial(plot_map, prediction, "seasons", **label)
    if whole_years >= 3:
        yield "trend", partial(plot_map, prediction, "trend", **label)
        yield "variability", partial(plot_map, prediction, "variability", **label)
    if "flux_std" in prediction:
        yield "uncertainty", partial(plot_map, prediction, "uncertainty", **label)
    if "applicable" in prediction:
        yield "applicability", partial(plot_map, prediction, "applicability", **label)
    # The land cover is real, whatever the fluxes are.
    biome = prediction[["biome"]].drop_attrs(deep=False)
    yield "biomes", partial(plot_map, biome, "biomes")
    yield (
        "class_fractions",
        partial(plot_map, biome.assign(class_fraction=cube["class_fraction"]), "fractions"),
    )
