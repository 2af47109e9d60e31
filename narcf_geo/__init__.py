"""narcf-geo: from gridded sources to a regional CO2-flux product.

Names are imported when they are first used, so that ``import narcf_geo`` costs nothing. Datasets
and arrays get the accessor ``.narcf`` as soon as xarray is imported.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from narcf_geo.core.provenance import VERSION as __version__

if TYPE_CHECKING:
    from narcf_geo.budget.polygons import zonal as zonal
    from narcf_geo.budget.tables import biome_budget as biome_budget
    from narcf_geo.budget.tables import region_budget as region_budget
    from narcf_geo.budget.totals import monthly_total as monthly_total
    from narcf_geo.catalog import Catalog as Catalog
    from narcf_geo.core.errors import FieldError as FieldError
    from narcf_geo.core.errors import GridMismatchError as GridMismatchError
    from narcf_geo.core.errors import MissingFileError as MissingFileError
    from narcf_geo.core.errors import NarcfError as NarcfError
    from narcf_geo.core.errors import TimeError as TimeError
    from narcf_geo.core.errors import UnitError as UnitError
    from narcf_geo.core.errors import UnreadableError as UnreadableError
    from narcf_geo.core.errors import UsageError as UsageError
    from narcf_geo.cube.biomes import map_biomes as map_biomes
    from narcf_geo.cube.cube import build_cube as build_cube
    from narcf_geo.evaluation.comparison import compare as compare
    from narcf_geo.fields import open_fields as open_fields
    from narcf_geo.figures.draw import plot_map as plot_map
    from narcf_geo.grid import Grid as Grid
    from narcf_geo.grid import Mesh as Mesh
    from narcf_geo.model.bundle import Bundle as Bundle
    from narcf_geo.model.train import cross_validate as cross_validate
    from narcf_geo.model.train import train as train
    from narcf_geo.outputs.products import write_products as write_products
    from narcf_geo.prediction import predict as predict
    from narcf_geo.prediction import predict_file as predict_file
    from narcf_geo.prediction.attribution import attribute as attribute
    from narcf_geo.project.init import init_project as init_project
    from narcf_geo.project.project import Project as Project
    from narcf_geo.project.project import open_cube as open_cube
    from narcf_geo.project.project import open_prediction as open_prediction
    from narcf_geo.project.settings import Settings as Settings
    from narcf_geo.regridding import regrid as regrid
    from narcf_geo.regridding.files import regrid_file as regrid_file
    from narcf_geo.workflow import run as run

_HOMES = {
    # What a project is made of.
    "Grid": "grid",
    "Mesh": "grid",
    "Catalog": "catalog",
    "Project": "project.project",
    "Settings": "project.settings",
    "Bundle": "model.bundle",
    # From data to a flux product.
    "open_fields": "fields",
    "regrid": "regridding",
    "regrid_file": "regridding.files",
    "map_biomes": "cube.biomes",
    "build_cube": "cube.cube",
    "train": "model.train",
    "cross_validate": "model.train",
    "predict": "prediction",
    "predict_file": "prediction",
    "attribute": "prediction.attribution",
    "compare": "evaluation.comparison",
    "monthly_total": "budget.totals",
    "biome_budget": "budget.tables",
    "region_budget": "budget.tables",
    "zonal": "budget.polygons",
    "plot_map": "figures.draw",
    "write_products": "outputs.products",
    # A project, all of it.
    "init_project": "project.init",
    "run": "workflow",
    "open_cube": "project.project",
    "open_prediction": "project.project",
    # What can go wrong.
    "NarcfError": "core.errors",
    "UsageError": "core.errors",
    "FieldError": "core.errors",
    "UnitError": "core.errors",
    "TimeError": "core.errors",
    "GridMismatchError": "core.errors",
    "UnreadableError": "core.errors",
    "MissingFileError": "core.errors",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


class _AfterXarray:
    """Registers the accessor when xarray is imported, which is too slow to do without need."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find xarray as Python would, and run `register` after it."""
        if name != "xarray":
            return None
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        spec = find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _register_accessor()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _register_accessor() -> None:
    import_module("narcf_geo.accessor")


if "xarray" in sys.modules:
    _register_accessor()
else:
    sys.meta_path.insert(0, _AfterXarray())  # type: ignore[arg-type]
