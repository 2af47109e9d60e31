"""The report of a project: its budget table and its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from narcf_geo.budget import biome_budget
from narcf_geo.cube import FLUX_NAMES
from narcf_geo.figures import charts
from narcf_geo.figures.style import save_figure
from narcf_geo.files import atomic_path
from narcf_geo.model.features import is_land
from narcf_geo.project import PeriodSplit, Project
from narcf_geo.report import ReportContext, ReportFigure, interactive_map, write_report

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_PUBLISHED = (-1000.0, -300.0)
"""TgC per year: what studies of North America's land find, widely drawn."""

_FILES = {
    "biome_budget.csv": "flux of each biome and year",
}

# Folder and pattern of a figure's file, its heading, and what it shows.
_FIGURES = (
    ("maps", "flux_*_months", "The year by month", "Maps of the net CO2 flux of twelve months"),
    ("maps", "flux_*-[01][0-9]", "One month", "Map of the net CO2 flux of a month"),
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
    ("evaluation", "seasonal_cycle", "Seasonal cycle", "Regional flux of each calendar month"),
    ("report", "biome_bars", "Flux by biome", "Mean yearly flux of each biome with its range"),
    ("maps", "biomes", "Biomes", "Map of the majority IGBP land cover class of each cell"),
)


def write_page(project: Project, cube: xr.Dataset, prediction: xr.Dataset) -> list[Path]:
    """Write ``report/biome_budget.csv`` and ``report/index.html``; return their paths."""
    folder = project.path("report")
    table = biome_budget(
        prediction["flux"],
        prediction["biome"],
        prediction["cell_area"],
        cube.get("flux_reference"),
    )
    with atomic_path(folder / "biome_budget.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    synthetic = cube.attrs.get("synthetic", "")
    bars = folder / "biome_bars.png"
    settings = project.settings
    label = settings.reference.name if settings.reference else "reference"
    figure = charts.biome_bars(table, synthetic=synthetic or None, reference_label=label)
    save_figure(figure, bars)
    page = write_report(folder / "index.html", _context(project, cube, prediction, table))
    return [page, folder / "biome_budget.csv", bars]


def _context(
    project: Project, cube: xr.Dataset, prediction: xr.Dataset, table: pd.DataFrame
) -> ReportContext:
    settings = project.settings
    metrics = json.loads(project.path("evaluation", "metrics.json").read_text(encoding="utf-8"))
    bundle = json.loads(project.path("model", "bundle.json").read_text(encoding="utf-8"))
    catalog = project.catalog()
    reference = settings.reference.name if settings.reference else "the reference"
    return ReportContext(
        title=settings.title,
        months=list(prediction["time"].dt.strftime("%Y-%m").values),
        metrics=metrics,
        biomes=table,
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
            ("Split", _split(project)),
            ("Software", ", ".join(f"{k} {v}" for k, v in bundle["versions"].items())),
        ],
        summary={
            "Region": _box(project),
            "Grid": f"{settings.resolution:g} degree, {int(is_land(prediction['biome']).sum()):,} "
            "land cells",
        },
        synthetic=cube.attrs.get("synthetic", ""),
        target=settings.target.name,
        reference=reference,
        warnings=_warnings(project, metrics, prediction),
        map=_map(cube, prediction),
        files=_FILES,
        citation=[
            catalog[n].metadata.citation or ""
            for n in [*project.sources(), settings.land_cover.source]
            if catalog[n].metadata.citation
        ],
    )


def _map(cube: xr.Dataset, prediction: xr.Dataset) -> dict[str, Any]:
    known = prediction["flux"].notnull()
    fields = {"Estimate": prediction["flux"]} | {
        str(cube[name].attrs["product"]): cube[name].where(known)
        for name in FLUX_NAMES.values()
        if name in cube and name != "flux_truth"
    }
    return interactive_map(fields, prediction["biome"])


def _provenance(entry: Any) -> str:
    doi = f" (doi:{entry.metadata.doi})" if entry.metadata.doi else ""
    return f"{entry.source.description}{doi}"


def _model(bundle: dict[str, Any]) -> str:
    settings = bundle["settings"]["model"]
    changed = ", ".join(f"{k} {v}" for k, v in settings.items() if v is not None and k != "preset")
    return (
        f"preset {settings['preset']} ({changed}), {bundle['samples']['train']:,} training "
        f"samples, seed {bundle['settings']['seed']}"
    )


def _split(project: Project) -> str:
    split = project.settings.split
    if isinstance(split, PeriodSplit):
        return f"train {split.train}; validation {split.validation}; test {split.test}"
    return f"{split.folds} folds of blocks of {split.degrees:g} degrees"


def _box(project: Project) -> str:
    region = project.settings.region
    box = f"{region.west:g} to {region.east:g} E, {region.south:g} to {region.north:g} N"
    return f"{region.name}, {box}"


def _warnings(project: Project, metrics: dict[str, Any], prediction: xr.Dataset) -> list[str]:
    """Return what a reader must know before using the numbers."""
    found = []
    outside = _outside_published(project, prediction, metrics["region"]["flux_TgC_per_year"])
    if outside:
        found.append(outside)
    total = metrics["region"]["flux_TgC_per_year"]
    bias = metrics["test"]["bias_TgC_per_year"]
    if abs(bias) > 0.1 * abs(total):
        found.append(
            f"The mean bias on test data, {bias:+.0f} TgC per year, is more than a tenth of the "
            f"region's flux of {total:+.0f} TgC per year."
        )
    land = is_land(prediction["biome"])
    missing = 1 - float(
        prediction["flux"].notnull().sum() / (land.sum() * prediction.sizes["time"])
    )
    if missing > 0.005:
        found.append(
            f"{missing:.1%} of the land cell-months have no estimate because a predictor is "
            "missing there; the totals leave them out."
        )
    return found


def _outside_published(project: Project, prediction: xr.Dataset, total: float) -> str:
    """Return a warning when real fluxes of North America sum to what no study has found."""
    region = project.settings.region
    whole = region.west <= -165 and region.east >= -55 and region.south <= 20 and region.north >= 65
    # The same box reaches other continents when it goes on to the east.
    whole = whole and region.east <= -30 and prediction.sizes["time"] >= 12
    low, high = _PUBLISHED
    if not whole or prediction.attrs.get("synthetic") or low <= total <= high:
        return ""
    return (
        f"The region's flux of {total:+.0f} TgC per year lies outside {low:+.0f} to {high:+.0f}, "
        "the range of published estimates for North America (inversions of 2004-2013: -699 +- 82 "
        "TgC per year, Second State of the Carbon Cycle Report, 2018). Check the sign and the "
        "unit of the target, and the bias on test data."
    )
