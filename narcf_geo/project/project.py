"""A project directory: its settings (``narcf.yaml``), its catalog, and where each result lies."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from narcf_geo.core.errors import UsageError
from narcf_geo.core.yamlfile import load
from narcf_geo.project.settings import Settings

if TYPE_CHECKING:
    import xarray as xr

    from narcf_geo.catalog.catalog import Catalog
    from narcf_geo.grid import Grid


RESULTS = {
    "regrid": "regridded",
    "biomes": "biomes.zarr",
    "cube": "cube.zarr",
    "train": "model",
    "predict": "prediction.zarr",
    "evaluate": "evaluation",
    "map": "maps",
    "report": "report",
}
"""Where each stage puts what it makes."""


@dataclass(frozen=True)
class Project:
    """A project directory and its settings.

    Attributes
    ----------
    directory : Path
        The folder that holds ``narcf.yaml``.
    settings : Settings
        What ``narcf.yaml`` says.
    overrides : dict
        Values of catalog parameters that go before those of ``narcf.yaml``.
    """

    directory: Path
    settings: Settings
    overrides: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, directory: str | os.PathLike[str] = ".", /, **parameters: str) -> Project:
        """Open the project in `directory`.

        Parameters
        ----------
        directory : path
            The folder that holds ``narcf.yaml``.
        **parameters : str
            Values for user parameters of the catalog, over those of ``narcf.yaml``.

        Raises
        ------
        UsageError
            When there is no ``narcf.yaml``, or it does not fit the schema.

        Examples
        --------
        >>> import tempfile
        >>> from narcf_geo.project.init import init_project
        >>> folder = tempfile.mkdtemp()
        >>> _ = init_project(folder, sample=True)
        >>> Project.open(folder).settings.resolution
        1.0
        """
        folder = Path(directory)
        return cls(folder, load(folder / "narcf.yaml", Settings), dict(parameters))

    @property
    def finished(self) -> list[str]:
        """The stages whose results are there, current or not."""
        return [stage for stage, name in RESULTS.items() if self.path(name).exists()]

    def _rows(self) -> dict[str, str]:
        region, settings = self.settings.region, self.settings
        return {
            "folder": str(self.directory),
            "region": f"{region.name}: {region.west:g} to {region.east:g} degrees east, "
            f"{region.south:g} to {region.north:g} north, {settings.resolution:g} degree cells",
            "period": str(settings.period),
            "predictors": ", ".join(settings.predictor_names),
            "target": settings.target.name,
            "results": ", ".join(self.finished) or "none yet",
        }

    def __repr__(self) -> str:
        lines = [f"{name:<12}{text}" for name, text in self._rows().items()]
        return "\n".join([f"<narcf_geo.Project {self.settings.title!r}>", *lines])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{name}</th><td>{escape(text)}</td></tr>"
            for name, text in self._rows().items()
        )
        return f"<table><caption>{escape(self.settings.title)}</caption>{rows}</table>"

    def path(self, *parts: str) -> Path:
        """Return a path inside the project."""
        return self.directory.joinpath(*parts)

    @property
    def target_grid(self) -> Grid:
        """The grid of the region."""
        from narcf_geo.grid import Grid

        region = self.settings.region
        return Grid.regular(
            region.west, region.south, region.east, region.north, self.settings.resolution
        )

    def catalog(self) -> Catalog:
        """Open the catalog that ``narcf.yaml`` names."""
        from narcf_geo.catalog.catalog import Catalog

        parameters = {**self.settings.catalog_parameters, **self.overrides}
        return Catalog.open(self.directory / self.settings.catalog, **parameters)

    def sources(self) -> dict[str, list[str]]:
        """Return the gridded sources the settings use, each with the variables wanted of it."""
        wanted: dict[str, list[str]] = {k: list(v) for k, v in self.settings.predictors.items()}
        for flux in (self.settings.target, self.settings.reference, self.settings.truth):
            if flux is not None:
                wanted.setdefault(flux.source, []).append(flux.variable)
        catalog = self.catalog()
        for name in [*wanted, self.settings.land_cover.source]:
            if name not in catalog:
                raise UsageError(
                    f"{self.path('narcf.yaml')}: source {name!r} is not in {catalog.path}; "
                    f"it has: {', '.join(catalog)}"
                )
        return wanted


def open_cube(project: Project | str | os.PathLike[str]) -> xr.Dataset:
    """Open the cube of a project, ``cube.zarr``, lazily.

    Parameters
    ----------
    project : Project or path
        The project, or its folder.

    Returns
    -------
    xarray.Dataset
        Predictors and fluxes (time, lat, lon), with ``biome``, ``class_fraction`` and
        ``cell_area``.

    Raises
    ------
    NarcfError
        When it was not built yet.

    Examples
    --------
    >>> open_cube("nowhere")
    Traceback (most recent call last):
    narcf_geo.core.errors.NarcfError: nowhere/cube.zarr: no such store; make it with `narcf-geo \
regrid`
    """
    from narcf_geo.core.datasets import open_zarr

    return open_zarr(_directory(project) / RESULTS["cube"], "regrid")


def open_prediction(project: Project | str | os.PathLike[str]) -> xr.Dataset:
    """Open the prediction of a project, ``prediction.zarr``, lazily.

    Parameters
    ----------
    project : Project or path
        The project, or its folder.

    Returns
    -------
    xarray.Dataset
        ``flux`` (time, lat, lon), umol m-2 s-1, positive to the atmosphere, its uncertainty, and
        ``biome``, ``land_fraction`` and ``cell_area`` (lat, lon).

    Raises
    ------
    NarcfError
        When nothing was predicted yet.

    Examples
    --------
    >>> open_prediction("nowhere")
    Traceback (most recent call last):
    narcf_geo.core.errors.NarcfError: nowhere/prediction.zarr: no such store; make it with \
`narcf-geo predict`
    """
    from narcf_geo.core.datasets import open_zarr

    return open_zarr(_directory(project) / RESULTS["predict"], "predict")


def _directory(project: Project | str | os.PathLike[str]) -> Path:
    return project.directory if isinstance(project, Project) else Path(project)
