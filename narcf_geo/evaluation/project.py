"""What a project reports of itself: the scores of each part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from narcf_geo.budget.parts import class_shares
from narcf_geo.budget.totals import flux_and_area
from narcf_geo.core.constants import IGBP
from narcf_geo.evaluation.comparison import SEASONS, scored_biomes, scored_regions
from narcf_geo.evaluation.drought import PRECIPITATION, drought_response
from narcf_geo.evaluation.interannual import interannual_scores, region_total
from narcf_geo.evaluation.mean_map import mean_map_scores
from narcf_geo.evaluation.shift import climate_shift, dissimilarity_by_year
from narcf_geo.evaluation.sums import Pairing, PairSums, pair_sums
from narcf_geo.evaluation.variability import scored_components
from narcf_geo.fields import class_field, flux_field, on_one_grid
from narcf_geo.fields.regions import open_regions, region_shares
from narcf_geo.grid import Grid
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.fit import cross_validation
from narcf_geo.model.samples.splits import PARTS
from narcf_geo.project.settings import Settings
from narcf_geo.project.split_settings import PeriodSplit
from narcf_geo.statistics.scores import for_json

if TYPE_CHECKING:
    import geopandas as gpd
    from scipy import sparse

FLUXES = ("target", "reference", "truth")
"""What an estimate is compared with, as the cube calls it after ``flux_``."""


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
    months. ``mean_map``, with a split by period, is as from `mean_map_scores`. ``intervals`` scores
    those of ``observed`` values, and of the ``flux`` where the truth is known, as
    `narcf_geo.statistics.interval_scores.interval_scores` does, by part and of the test part by
    biome and season. ``ceiling`` is what the flux itself would score against the target, where the
    error of the target is known. ``region`` holds the total of the prediction; ``interannual``
    trends and interannual correlations, of all months and of the test part; ``drought``, with
    precipitation among the predictors, how both fluxes depart in dry test months. ``shift``, where
    training months are apart, is how far predictors are from their training years, as from
    `climate_shift`; ``dissimilarity`` is that of each year and of held-out rows.

    Where the project has them, ``reference`` scores the prediction against it on all months they
    share, and ``truth`` each part; ``reference.common`` scores estimate and reference against the
    target on the cells and test months that all three have. ``cross_validation`` compares folds of
    blocks with folds of single cells.
    """
    told = {"observed_std", "flux_std", "applicability"} & {*map(str, prediction.data_vars)}
    bundle = Bundle.load(model) if told else None
    fields, parts, area, groups = _fields(cube, prediction, settings, model, regions)
    pairings = _pairings(fields, parts, groups, _Factors.of(bundle, fields))
    sums = pair_sums(fields, area, pairings)
    test = sums["test"]
    metrics: dict[str, Any] = {
        **{part: sums[part].compared() for part in PARTS},
        "by_month": test.by_time("month"),
        "by_season": test.by_time("season", SEASONS),
        "by_year": test.by_time("year"),
        "by_biome": scored_biomes(test),
        "components": _components(sums, "target"),
        "region": region_total(sums["region"]),
    }
    names = groups.regions[1] if groups.regions else ()
    metrics["interannual"] = {
        "all": interannual_scores(sums["all target"], names),
        "test": interannual_scores(test, names),
    }
    if rain := next((name for name in PRECIPITATION if name in cube), None):
        field = on_one_grid(area, cube[rain])[1].reindex(time=fields["flux"]["time"])
        part = parts["test"]
        flux, target = fields[part.estimate], fields["target"]
        if found := drought_response(flux, target, field, area, part.months):
            metrics["drought"] = {"predictor": rain, **found}
    if isinstance(settings.split, PeriodSplit):
        train, tested = parts["train"].months, parts["test"]
        metrics["mean_map"] = mean_map_scores(fields, tested.estimate, train, tested.months, area)
    if settings.periods is not None:
        months = settings.periods.train.months()
        metrics["shift"] = climate_shift(cube, settings.predictor_names, months)
    trust = bundle.information.get("applicability") if bundle else None
    if trust and "applicability" in prediction:
        years = dissimilarity_by_year(prediction)
        metrics["dissimilarity"] = {"held_out": trust["mean"], "by_year": years}
    if groups.regions is not None:
        shares, names = groups.regions
        metrics["by_region"] = scored_regions(test, names, shares, area, first=len(IGBP))
    if intervals := _intervals(sums):
        metrics["intervals"] = intervals
    if "ceiling" in sums:
        metrics["ceiling"] = _ceiling(sums["ceiling"])
    if "reference" in fields:
        metrics["reference"] = {
            **sums["all reference"].compared(),
            "test": sums["test reference"].compared(),
            "components": _components(sums, "reference"),
            "common": {
                name: sums[f"common {name}"].compared() for name in ("estimate", "reference")
            },
        }
    if "truth" in fields:
        metrics["truth"] = {
            **{part: sums[f"{part} truth"].compared() for part in PARTS},
            "all": sums["all truth"].compared(),
            "target_itself": sums["target truth"].compared(),
            "components": _components(sums, "truth"),
        }
    if settings.split.kind == "blocks":
        metrics["cross_validation"] = {
            "blocks": metrics["test"],
            "random": sums["random"].compared(),
        }
    plain: dict[str, Any] = for_json(metrics)
    return plain


class _Part(NamedTuple):
    """Estimate of a part of the split and its standard deviation, as fields, and its months."""

    estimate: str
    spread: str
    months: np.ndarray


class _Factors(NamedTuple):
    """Of the intervals of an observed value and of the flux; empty where there are none."""

    observed: Mapping[float, float]
    flux: Mapping[float, float]

    @classmethod
    def of(cls, bundle: Bundle | None, fields: Mapping[str, Any]) -> _Factors:
        if bundle is None:
            return cls({}, {})
        flux = bundle.flux_error.factors if bundle.flux_error and "flux_std" in fields else {}
        return cls(bundle.factors if "std" in fields else {}, flux)


class _Groups(NamedTuple):
    """Biomes, and regions after them, in which the test part is scored."""

    share: sparse.csc_array
    regions: tuple[sparse.csr_array, list[str]] | None


def _fields(
    cube: xr.Dataset,
    prediction: xr.Dataset,
    settings: Settings,
    model: Path,
    regions: gpd.GeoDataFrame | None,
) -> tuple[dict[str, xr.DataArray], dict[str, _Part], xr.DataArray, _Groups]:
    """Return all fluxes through the door on one grid and time axis, the parts, areas and groups."""
    from scipy import sparse

    flux, area = flux_and_area(prediction["flux"], cube["cell_area"])
    found = {name: cube[f"flux_{name}"] for name in FLUXES if f"flux_{name}" in cube}
    parts = {}
    spreads = {"std": "observed_std", "flux_std": "flux_std"}
    found |= {name: prediction[of] for name, of in spreads.items() if of in prediction}
    if "flux_target_std" in cube:
        found["target_std"] = cube["flux_target_std"]
    if isinstance(settings.split, PeriodSplit):
        for part in PARTS:
            period = getattr(settings.split, part)
            months = flux["time"].to_index().slice_indexer(f"{period.start}-01", f"{period.end}-28")
            chosen = np.zeros(flux.sizes["time"], dtype=bool)
            chosen[months] = True
            parts[part] = _Part("flux", "std", chosen)
    else:
        folds, kind = cross_validation(model), settings.split.kind
        for part in PARTS:
            found[part] = folds[f"{kind}_{part}"]
            if "std" in found:
                found[f"{part}_std"] = folds[f"{kind}_{part}_std"]
            parts[part] = _Part(part, f"{part}_std", np.isin(flux["time"], found[part]["time"]))
        if kind == "blocks":
            found["random"] = folds["random_test"]
    through = [
        flux_field(f, sign="to_atmosphere" if "std" in name else None, where=name)
        for name, f in found.items()
    ]
    _, *on_grid = on_one_grid(flux, *through)
    fields = {"flux": flux} | {
        name: f.reindex(time=flux["time"]) for name, f in zip(found, on_grid, strict=True)
    }
    if (error := fields.pop("target_std", None)) is not None:
        fields["target_variance"] = error**2
    share = class_shares(on_one_grid(flux, class_field(cube["biome"]))[1])
    if regions is None:
        return fields, parts, area, _Groups(share, None)
    shapes = open_regions(regions)
    inside = region_shares(Grid.from_dataset(flux), shapes)
    both = sparse.vstack([share, inside], format="csc")
    return fields, parts, area, _Groups(both, (inside, [str(n) for n in shapes.index]))


def _pairings(
    fields: Mapping[str, xr.DataArray],
    parts: Mapping[str, _Part],
    groups: _Groups,
    factors: _Factors,
) -> dict[str, Pairing]:
    """Return what is compared with what."""
    every = np.ones(next(iter(fields.values())).sizes["time"], dtype=bool)
    test = parts["test"]
    pairings = {"region": Pairing("flux", "flux", every)}
    for part, (estimate, spread, months) in parts.items():
        inside = part != "train" and bool(factors.observed)
        pairings[part] = Pairing(
            estimate,
            "target",
            months,
            groups=groups.share if part == "test" else None,
            components=part == "test",
            spread=spread if inside else "",
            factors=factors.observed if inside else {},
        )
        if "truth" in fields:
            # Of folds, no estimate out of fold says how far it is from the flux.
            known = part != "train" and estimate == "flux" and bool(factors.flux)
            pairings[f"{part} truth"] = Pairing(
                estimate,
                "truth",
                months,
                groups=groups.share if known and part == "test" else None,
                components=part == "test",
                spread="flux_std" if known else "",
                factors=factors.flux if known else {},
            )
    for observed in FLUXES:
        if observed in fields:
            share = groups.share if observed == "target" else None
            pairings[f"all {observed}"] = Pairing(
                "flux", observed, every, groups=share, components=True
            )
    if "target_variance" in fields:
        pairings["ceiling"] = Pairing(
            "target_variance", "target", test.months, also=(test.estimate,)
        )
    if "reference" in fields:
        pairings["test reference"] = Pairing(
            test.estimate, "reference", test.months, components=True
        )
        for name, flux in (("estimate", test.estimate), ("reference", "reference")):
            also = test.estimate, "reference"
            pairings[f"common {name}"] = Pairing(flux, "target", test.months, also)
    if "truth" in fields:
        pairings["target truth"] = Pairing("target", "truth", every)
    if "random" in fields:
        pairings["random"] = Pairing("random", "target", every)
    return pairings


def _intervals(sums: Mapping[str, PairSums]) -> dict[str, Any]:
    """Return the scores of the intervals of observed values, and where it is known of the flux."""
    found: dict[str, Any] = {}
    for kind, suffix in (("observed", ""), ("flux", " truth")):
        of_parts = {part: sums.get(part + suffix) for part in ("validation", "test")}
        known = {part: one for part, one in of_parts.items() if one and one.factors}
        if "test" not in known:
            continue
        test = known["test"]
        season = test.time.map(lambda month: SEASONS[month.month % 12 // 3])
        found[kind] = {
            **{part: one.interval_scores() for part, one in known.items()},
            "by_biome": {
                str(number): {"name": igbp.name, **test.interval_scores(number)}
                for number, igbp in enumerate(IGBP)
                if test.known[number]
            },
            "by_season": {
                name: test.interval_scores(where=season == name)
                for name in SEASONS
                if (season == name).any()
            },
        }
    return found


def _ceiling(sums: PairSums) -> dict[str, float]:
    """Return what the flux itself would score against the target, by the target's own error."""
    moments = sums.whole.merged()
    error = float(moments.estimate)
    share = error * float(moments.weight) / float(moments.squares[1])
    return {"r": float(np.sqrt(max(0.0, 1 - share))), "rmse": float(np.sqrt(error))}


def _components(sums: Mapping[str, PairSums], observed: str) -> dict[str, Any]:
    test = "test" if observed == "target" else f"test {observed}"
    return {
        "test": scored_components(sums[test]),
        "all": scored_components(sums[f"all {observed}"]),
    }
