"""A project directory: its settings (``narcf.yaml``), its catalog, and where each result lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from narcf_geo.core.datasets import open_zarr
from narcf_geo.core.errors import UsageError
from narcf_geo.core.yamlfile import load
from narcf_geo.project.settings import Settings

if TYPE_CHECKING:
    import xarray as xr

    from narcf_geo.catalog.catalog import Catalog
    from narcf_geo.grid import Grid


@dataclass(frozen=True)
class Project:
    """A project directory and its settings."""

    directory: Path
    settings: Settings
    overrides: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, directory: str | Path = ".", **parameters: str) -> Project:
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
        """
        directory = Path(directory)
        return cls(directory, load(directory / "narcf.yaml", Settings), dict(parameters))

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


def open_cube(project: Project) -> xr.Dataset:
    """Open ``cube.zarr`` lazily."""
    return open_zarr(project.path("cube.zarr"), "regrid")


def open_prediction(project: Project) -> xr.Dataset:
    """Open ``prediction.zarr`` lazily."""
    return open_zarr(project.path("prediction.zarr"), "predict")
