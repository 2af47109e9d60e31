"""narcf-geo: from gridded sources to a regional CO2-flux product.

Names are imported when they are first used, so that ``import narcf_geo`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from narcf_geo.budget.tables import biome_budget as biome_budget
    from narcf_geo.budget.totals import monthly_total as monthly_total
    from narcf_geo.catalog.catalog import Catalog as Catalog
    from narcf_geo.cube.biomes import map_biomes as map_biomes
    from narcf_geo.evaluation import compare as compare
    from narcf_geo.grid import Grid as Grid
    from narcf_geo.model.bundle import Bundle as Bundle
    from narcf_geo.project.init import init_project as init_project
    from narcf_geo.project.project import Project as Project
    from narcf_geo.project.project import open_cube as open_cube
    from narcf_geo.project.project import open_prediction as open_prediction
    from narcf_geo.workflow import run as run

__version__ = "0.1.0"

_HOMES = {
    "Bundle": "model.bundle",
    "Catalog": "catalog",
    "Grid": "grid",
    "Project": "project",
    "biome_budget": "budget",
    "compare": "evaluate",
    "init_project": "pipeline.init",
    "map_biomes": "biomes",
    "monthly_total": "budget",
    "open_cube": "pipeline.stages",
    "open_prediction": "pipeline.stages",
    "run": "pipeline",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
