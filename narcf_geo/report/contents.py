"""The report of a project: its budget table and its page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from narcf_geo.budget.tables import INTERVAL_COLUMNS, biome_budget
from narcf_geo.budget.totals import biome_series, monthly_total
from narcf_geo.core.errors import NarcfError
from narcf_geo.cube.cube import FLUX_NAMES
from narcf_geo.evaluation.shift import shift_warning
from narcf_geo.figures import charts
from narcf_geo.figures.guard import drawn
from narcf_geo.figures.style import save_figure
from narcf_geo.model import contents
from narcf_geo.model.samples.features import is_land
from narcf_geo.project.project import Project
from narcf_geo.report import OtherRun, ReportContext, ReportFigure, interactive_map, write_report
from narcf_geo.report.budgets import Budgets, project_budgets, write_budgets

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

_PUBLISHED = (-1000.0, -300.0)
"""TgC per year: what studies of North America's land find, widely drawn."""

# Folder and pattern of a figure's file, its heading, and what it shows.
_FIGURES = (
    ("maps", "flux_*_months", "The year by month", "Maps of the net CO2 flux of twelve months"),
    ("maps", "flux_*-[01][0-9]", "One month", "Map of the net CO2 flux of a month"),
    ("maps", "seasons", "Seasons", "Maps of the mean flux of the four seasons"),
    ("maps", "trend", "Trend", "Map of the trend of the annual mean flux"),
    ("maps", "variability", "Variability", "Map of the deviation of the annual mean flux"),
    ("report", "time_series", "Month after month", "Regional flux of each month and each year"),
    (
        "maps",
        "comparison_target",
        "Estimate and inversion",
        "Maps of estimate, inversion, both",
    ),
    (
        "maps",
        "comparison_reference",
        "Estimate and reference",
        "Maps of the mean flux of estimate and reference product, and of their difference",
    ),
    ("evaluation", "scatter", "Skill on test data", "Density of estimated against inverted flux"),
    ("evaluation", "taylor", "Agreement of the products", "Taylor diagram of all products"),
    ("evaluation", "seasonal_cycle", "Seasonal cycle", "Regional flux of each calendar month"),
    ("evaluation", "anomalies", "Anomalies", "Departures from the mean seasonal cycle"),
    ("report", "biome_bars", "Flux by biome", "Mean yearly flux of each biome with its range"),
    ("report", "biome_seasons", "Seasonal cycle by biome", "Flux of each calendar month by biome"),
    ("maps", "uncertainty", "Uncertainty", "Maps of the standard deviation of a month"),
    (
        "maps",
        "applicability",
        "Where the model applies",
        "Map of the mean flux, hatched where the conditions are unlike those of the training",
    ),
    ("maps", "biomes", "Biomes", "Map of the majority IGBP land cover class of each cell"),
    ("maps", "class_fractions", "Land cover", "Maps of the fractions of the IGBP classes"),
)


def write_page(project: Project, cube: xr.Dataset, prediction: xr.Dataset) -> list[Path]:
    """Write ``report/index.html`` and the tables and polygons beside it; return their paths."""
    budgets = project_budgets(project, cube, prediction)
    files = write_budgets(budgets, prediction, project)
    figures = _write_figures(project, cube, prediction, budgets)
    context = _context(project, cube, prediction, budgets)
    named = {path.name: text for path, text in files.items()}
    page = write_report(project.path("report", "index.html"), replace(context, files=named))
    return [page, *files, *figures]


def write_comparison(project: Project, other: Project) -> Path:
    """Write ``report/compare.html``: the report of `project` with `other` beside it.

    Raises
    ------
    NarcfError
        When one of the two has not run, or their grids differ.
    """
    from narcf_geo.figures import maps
    from narcf_geo.project.project import open_cube, open_prediction

    cube, prediction = open_cube(project), open_prediction(project)
    others = open_prediction(other)
    picture = project.path("report", "compare.png")
    title = other.settings.title
    labels = ("This run", "Other run")
    both = maps.comparison(
        prediction["flux"],
        others["flux"],
        labels=labels,
        title="This run and the other",
        area=prediction["cell_area"],
        synthetic=cube.attrs.get("synthetic"),
    )
    save_figure(both, picture)
    budgets = project_budgets(project, cube, prediction)
    context = _context(project, cube, prediction, budgets)
    run = OtherRun(
        title if title != project.settings.title else other.directory.resolve().name,
        _metrics(other),
        biome_budget(others["flux"], others["biome"], others["cell_area"]),
    )
    figure = ReportFigure(
        "Two runs", "Maps of the mean flux of both runs and the difference", picture
    )
    return write_report(
        project.path("report", "compare.html"),
        replace(context, other=run, figures=[figure, *context.figures]),
    )


def _write_figures(
    project: Project, cube: xr.Dataset, prediction: xr.Dataset, budgets: Budgets
) -> list[Path]:
    import dask

    from narcf_geo.figures.series import biome_seasons, time_series

    settings = project.settings
    synthetic = cube.attrs.get("synthetic", "") or None
    label = settings.reference.name if settings.reference else "reference"
    figures: dict[str, Callable[[], Figure]] = {
        "biome_bars": partial(
            charts.biome_bars, budgets.biomes, synthetic=synthetic, reference_label=label
        )
    }
    if prediction.sizes["time"] >= 12:
        biome, area = prediction["biome"], prediction["cell_area"]
        fields = _fields(cube, prediction)
        (totals,) = dask.compute({name: monthly_total(f, area) for name, f in fields.items()})
        figures["time_series"] = partial(
            time_series,
            totals,
            interval=_interval(budgets.monthly, "month"),
            year_interval=_interval(budgets.biomes, "year"),
            title=f"Net CO₂ flux of {settings.region.name}",
            synthetic=synthetic,
        )
        figures["biome_seasons"] = partial(
            biome_seasons,
            {name: biome_series(flux, biome, area) for name, flux in fields.items()},
            synthetic=synthetic,
        )
    return [
        save_figure(figure, project.path("report", f"{name}.png"))
        for name, figure in drawn(figures.items())
    ]


def _interval(table: pd.DataFrame, by: str) -> tuple[xr.DataArray, xr.DataArray] | None:
    """Return the ends of the interval of the whole region, or nothing where there is none."""
    ends = INTERVAL_COLUMNS[1:]
    if not set(ends) <= set(table):
        return None
    whole = table[table["biome"] == "all"].set_index(by)
    lower, upper = (whole[end].to_xarray() for end in ends)
    return lower, upper


def _metrics(project: Project) -> dict[str, Any]:
    path = project.path("evaluation", "metrics.json")
    try:
        metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NarcfError(f"{path}: no such file; make it with `narcf-geo evaluate`") from None
    return metrics


def _context(
    project: Project, cube: xr.Dataset, prediction: xr.Dataset, budgets: Budgets
) -> ReportContext:
    settings = project.settings
    metrics = _metrics(project)
    bundle = contents.read(project.path("model"))
    facts = _Facts.of(prediction)
    catalog = project.catalog()
    reference = settings.reference.name if settings.reference else "the reference"
    return ReportContext(
        title=settings.title,
        months=list(prediction["time"].dt.strftime("%Y-%m").values),
        metrics=metrics,
        biomes=budgets.biomes,
        shared=budgets.shared,
        regions=budgets.regions,
        figures=[
            ReportFigure(title, alt, path)
            for folder, stem, title, alt in _FIGURES
            for path in sorted(project.path(folder).glob(f"{stem}.png"))
        ],
        provenance=[
            *((f"Source {n}", _provenance(catalog[n])) for n in project.sources()),
            ("Land cover", _provenance(catalog[settings.land_cover.source])),
            ("Features", ", ".join(bundle["features"]["names"])),
            ("Model", _model(bundle)),
            ("Split", str(project.settings.split)),
            ("Software", ", ".join(f"{k} {v}" for k, v in bundle.get("versions", {}).items())),
        ],
        summary={
            "Region": _box(project),
            "Grid": f"{settings.resolution:g} degree, {facts.land:,} land cells",
        },
        synthetic=cube.attrs.get("synthetic", ""),
        target=settings.target.name,
        reference=reference,
        warnings=_warnings(project, metrics, prediction, facts),
        applicable=facts.applicable,
        map=interactive_map(_fields(cube, prediction), prediction["biome"]),
        citation=_cited(catalog, [*project.sources(), settings.land_cover.source]),
    )


def _fields(cube: xr.Dataset, prediction: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return estimate, target and reference by their names, in the cells of the estimate."""
    known = prediction["flux"].notnull()
    return {"Estimate": prediction["flux"]} | {
        str(cube[name].attrs["product"]): cube[name].where(known)
        for name in FLUX_NAMES.values()
        if name in cube and name != "flux_truth"
    }


@dataclass(frozen=True)
class _Facts:
    """Numbers of the prediction that the page mentions.

    Attributes
    ----------
    land : int
        Cells of a land class.
    known : int
        Cells and months that have a flux.
    applicable : float, optional
        Share of area and months in which the model applies, where it says so.
    """

    land: int
    known: int
    applicable: float | None

    @classmethod
    def of(cls, prediction: xr.Dataset) -> _Facts:
        """Read a prediction, lazy or not, once."""
        import dask

        from narcf_geo.budget.totals import applicable_share

        flux = prediction["flux"]
        found = [is_land(prediction["biome"]).sum(), flux.notnull().sum()]
        if "applicable" in prediction:
            share = applicable_share(flux, prediction["applicable"])
            found.append(share.weighted(prediction["cell_area"]).mean())
        land, known, *applicable = dask.compute(*found)
        return cls(int(land), int(known), float(applicable[0]) if applicable else None)


def _cited(catalog: Any, names: list[str]) -> list[str]:
    """Return how each source wants to be cited, or its DOI, once."""
    entries = [catalog[name].metadata for name in names]
    texts = [e.citation or (f"doi:{e.doi}" if e.doi else "") for e in entries]
    return [text for text in dict.fromkeys(texts) if text]


def _provenance(entry: Any) -> str:
    doi = f" (doi:{entry.metadata.doi})" if entry.metadata.doi else ""
    return f"{entry.source.description}{doi}"


def _model(bundle: dict[str, Any]) -> str:
    said = bundle.get("settings", {})
    settings = said.get("model", {})
    changed = ", ".join(f"{k} {v}" for k, v in settings.items() if v is not None and k != "preset")
    changed = f" ({changed})" if changed else ""
    return (
        f"preset {settings.get('preset', 'unknown')}{changed}, "
        f"{bundle.get('samples', {}).get('train', 0):,} training samples, seed {said.get('seed')}"
    )


def _box(project: Project) -> str:
    region = project.settings.region
    box = f"{region.west:g} to {region.east:g} E, {region.south:g} to {region.north:g} N"
    return f"{region.name}, {box}"


def _warnings(
    project: Project, metrics: dict[str, Any], prediction: xr.Dataset, facts: _Facts
) -> list[str]:
    """Return what a reader must know before using the numbers."""
    found = []
    outside = _outside_published(project, prediction, metrics["region"]["flux_TgC_per_year"])
    if outside:
        found.append(outside)
    total = metrics["region"]["flux_TgC_per_year"]
    bias = metrics["test"]["bias_TgC_per_year"]
    if total is not None and bias is not None and abs(bias) > 0.1 * abs(total):
        found.append(
            f"The mean bias on test data, {bias:+.0f} TgC per year, is more than a tenth of the "
            f"region's flux of {total:+.0f} TgC per year."
        )
    if worse := _worse_than_averaging(metrics, project.settings.target.name):
        found.append(worse)
    found += _off_intervals(metrics.get("intervals", {}))
    if shift := shift_warning(metrics):
        found.append(shift)
    applicable = facts.applicable
    if applicable is not None and applicable < 0.9:
        found.append(
            f"In {1 - applicable:.0%} of area and months the conditions are unlike those of the "
            "training; the numbers there are extrapolated."
        )
    missing = 1 - facts.known / (facts.land * prediction.sizes["time"])
    if missing > 0.005:
        found.append(
            f"{missing:.1%} of the land cell-months have no estimate because a predictor is "
            "missing there; the totals leave them out."
        )
    if "reference" in metrics and project.settings.reference:
        shared = metrics["reference"]["n"] / facts.known
        if shared < 0.995:
            found.append(
                f"{project.settings.reference.name} has a value in {shared:.1%} of the cells and "
                "months of the estimate. Its totals in the tables are over those; the scores "
                "compare the two where both have a value."
            )
    return found


def _off_intervals(intervals: dict[str, Any]) -> list[str]:
    """Return a warning for each kind of interval that holds too little, or far too much."""
    found = []
    for kind, held in (("observed", "observed values of the test data"), ("flux", "true flux")):
        coverage = intervals.get(kind, {}).get("test", {}).get("coverage", {})
        inside, most = coverage.get("0.95"), coverage.get("0.8")
        also = ", and those of the totals may be as well" if kind == "flux" else ""
        if inside is not None and inside < 0.9:
            found.append(
                f"The 95 % intervals of cells and months hold {inside:.0%} of the {held}: they "
                f"are too narrow{also}."
            )
        elif most is not None and most > 0.9:
            found.append(
                f"The 80 % intervals of cells and months hold {most:.0%} of the {held}: they are "
                f"too wide{also}."
            )
    return found


def _worse_than_averaging(metrics: dict[str, Any], target: str) -> str:
    """Return a warning when the mean of the target is a better map; of the truth if it is known."""
    mean_map = metrics.get("mean_map", {})
    known = "truth" if "truth" in mean_map.get("test", {}) else "target"
    if not mean_map.get("averaging_is_better", {}).get(known):
        return ""
    error = mean_map["test"][known]
    against = "the truth" if known == "truth" else target
    return (
        f"Averaging {target} over the training months gives a better map of the mean of the test "
        f"months than the model: RMSE against {against} {error['training_mean']:.3f} and "
        f"{error['estimate']:.3f} umol m-2 s-1."
    )


def _outside_published(project: Project, prediction: xr.Dataset, total: float | None) -> str:
    """Return a warning when real fluxes of North America sum to what no study has found."""
    region = project.settings.region
    whole = region.west <= -165 and region.east >= -55 and region.south <= 20 and region.north >= 65
    # The same box reaches other continents when it goes on to the east.
    whole = whole and region.east <= -30
    low, high = _PUBLISHED
    if total is None or not whole or prediction.attrs.get("synthetic") or low <= total <= high:
        return ""
    return (
        f"The region's flux of {total:+.0f} TgC per year lies outside {low:+.0f} to {high:+.0f}, "
        "the range of published estimates for North America (inversions of 2004-2013: -699 +- 82 "
        "TgC per year, Second State of the Carbon Cycle Report, 2018). Check the sign and the "
        "unit of the target, and the bias on test data."
    )
