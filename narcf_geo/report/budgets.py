"""The budgets of a project and the files that hold them: CSV, Parquet, GeoPackage."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from narcf_geo.budget import tables
from narcf_geo.budget.tables import Fluxes, Period, complete_years, polygon_parts
from narcf_geo.core.files import atomic_path
from narcf_geo.fields.regions import open_regions
from narcf_geo.model.bundle import Bundle
from narcf_geo.outputs.polygons import MOST_CELLS, biome_outlines, cell_polygons
from narcf_geo.outputs.tables import write_csv
from narcf_geo.project.project import Project

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

_CONTENT = {
    "biome_budget": "flux of each biome and year; a cell counts for its majority class",
    "biome_budget_by_fraction": "the same, each cell shared among its classes by the land they "
    "cover",
    "biome_budget_monthly": "flux of each biome and month; a cell counts for its majority class",
    "region_budget": "flux of each of the project's regions and year, cells by the part inside",
}


@dataclass(frozen=True)
class Budgets:
    """Tables of `narcf_geo.budget.tables`, with intervals where the model knows its errors.

    Attributes
    ----------
    biomes, shared : pandas.DataFrame
        Of each biome and year, cells by majority class and by fraction.
    monthly : pandas.DataFrame
        Of each biome and month, by majority class.
    regions : pandas.DataFrame, optional
        Of each of the project's polygons and year.
    """

    biomes: pd.DataFrame
    shared: pd.DataFrame
    monthly: pd.DataFrame
    regions: pd.DataFrame | None


def project_budgets(project: Project, cube: xr.Dataset, prediction: xr.Dataset) -> Budgets:
    """Return the budgets of the prediction of a project, beside those of its reference."""
    from narcf_geo.budget.parts import biome_parts, fraction_parts
    from narcf_geo.fields import class_field, on_one_grid

    flux, area = prediction["flux"], prediction["cell_area"]
    errors = Bundle.load(project.path("model")).errors
    std = prediction.get("flux_std") if errors is not None else None
    errors = errors if std is not None else None
    fluxes = Fluxes.of(flux, area, cube.get("flux_reference"), std, None, None)
    maps = class_field(prediction["biome"]), cube["class_fraction"]
    biome, fraction = on_one_grid(fluxes.flux, *maps)[1:]
    divisions = [biome_parts(biome), fraction_parts(fraction)]
    polygons = project.settings.regions
    if polygons:
        divisions.append(polygon_parts(fluxes.flux, project.path(polygons)))
    passed = tables.Budgets.of(fluxes, divisions, errors)
    target = Fluxes.of(flux, area, cube["flux_target"], None, None, None)
    against = tables.Budgets.of(target, divisions, None)

    def table(number: int, by: Period = "year") -> pd.DataFrame:
        found, other = (b.table(number, by, always=number == 2) for b in (passed, against))
        return found.assign(target_TgC=other["reference_TgC"])

    regions = table(2).rename(columns={"biome": "region"}) if polygons else None
    return Budgets(table(0), table(1), table(0, "month"), regions)


def write_budgets(budgets: Budgets, prediction: xr.Dataset, project: Project) -> dict[Path, str]:
    """Write ``report/*.csv``, ``*.gpkg`` and, where pyarrow is installed, ``*.parquet``.

    Returns
    -------
    dict
        Path of each file to what it holds.
    """
    folder = project.path("report")
    of_file = dict(
        zip(
            _CONTENT,
            (budgets.biomes, budgets.shared, budgets.monthly, budgets.regions),
            strict=True,
        )
    )
    files: dict[Path, str] = {}
    for stem, table in of_file.items():
        if table is None:
            continue
        files[_write_csv(table, folder / f"{stem}.csv")] = _CONTENT[stem]
        if find_spec("pyarrow"):
            files[_write_parquet(table, folder / f"{stem}.parquet")] = "the same for programs"
    path = folder / "biome_budget.gpkg"
    layers = biome_polygons(prediction, budgets.biomes)
    holds = "biomes as polygons with their flux"
    if "cells" in layers:
        holds += ", and the cells with their mean flux"
    else:
        holds += f" (over {MOST_CELLS:,} cells, which only the GeoTIFFs have one by one)"
    if budgets.regions is not None and project.settings.regions:
        shapes = open_regions(project.path(project.settings.regions))
        table = budgets.regions.rename(columns={"region": "biome"})
        layers["regions"] = _mapped(table, shapes)
        holds += ", and the regions"
    from narcf_geo.outputs.geopackage import write_geopackage

    files[write_geopackage(layers, path)] = holds
    return files


def biome_polygons(prediction: xr.Dataset, table: pd.DataFrame) -> dict[str, gpd.GeoDataFrame]:
    """Return the layers ``biomes`` (polygons, mean flux a year) and ``cells`` (mean flux).

    Of more than 20,000 cells there is no layer ``cells``.
    """
    cells = cell_polygons(prediction)
    if cells is None:
        shapes = biome_outlines(prediction)
    else:
        shapes = cells[["igbp_class", "biome", "geometry"]].dissolve("biome")
    biomes = _mapped(table, shapes.geometry).rename(columns={"name": "biome"})
    biomes.insert(0, "igbp_class", shapes["igbp_class"].reindex(biomes["biome"]).to_numpy())
    return {"biomes": biomes} if cells is None else {"biomes": biomes, "cells": cells}


def _mapped(table: pd.DataFrame, shapes: gpd.GeoSeries) -> gpd.GeoDataFrame:
    """Return the shape of each part (by its name) with the means of its complete years."""
    import geopandas as gpd
    import pandas as pd

    names = [name for name in shapes.index if name in set(table["name"])]
    table = complete_years(table)
    whole = bool((table["months"] == 12).all())
    parts = table[table["biome"] != "all"].drop(columns=["biome", "year"])
    groups = parts.groupby("name")
    means = groups.mean().reindex(pd.Index(names, name="name"))
    if not whole:  # parts of years are added up, as on the page
        totals = [column for column in means if "_TgC" in str(column)]
        means[totals] = groups[totals].sum(min_count=1)
    means["units"] = "TgC yr-1" if whole else "TgC in the months there are"
    geometry = shapes.loc[means.index].to_numpy()
    return gpd.GeoDataFrame(means.reset_index(), geometry=geometry, crs=shapes.crs)


def _write_csv(table: pd.DataFrame, path: Path) -> Path:
    if "month" in table:
        table = table.assign(month=table["month"].dt.strftime("%Y-%m"))
    return write_csv(table, path)


def _write_parquet(table: pd.DataFrame, path: Path) -> Path:
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False, engine="pyarrow")
    return path
