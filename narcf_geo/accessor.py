"""The accessor ``.narcf`` of xarray objects: the public functions, with the data already there.

Importing this module registers it; ``import narcf_geo`` does so as soon as xarray is imported.
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import xarray as xr

from narcf_geo.core.errors import UsageError

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from matplotlib.figure import Figure

    from narcf_geo.grid import Grid, Mesh

T = TypeVar("T", xr.Dataset, xr.DataArray)
Polygons = Any
"""A path, a GeoDataFrame or a GeoSeries."""


@xr.register_dataset_accessor("narcf")
@xr.register_dataarray_accessor("narcf")
class NarcfAccessor(Generic[T]):
    """What `narcf_geo` does with a dataset or an array: ``ds.narcf``.

    Examples
    --------
    >>> import narcf_geo
    >>> field = xr.DataArray([[1.0, 2.0], [3.0, 4.0]], dims=("latitude", "longitude"), name="flux",
    ...                      coords={"latitude": [46.5, 45.5], "longitude": [259.5, 260.5]})
    >>> field.narcf.grid
    Grid(2 x 2 cells of 1 x 1 degree, latitude 47 to 45, longitude 259 to 261)
    >>> target = narcf_geo.Grid.regular(-101, 45, -99, 47, 2)
    >>> round(field.narcf.regrid(target).item(), 3)
    2.509
    """

    def __init__(self, obj: T) -> None:
        self._obj: T = obj

    @property
    def grid(self) -> Grid | Mesh:
        """The cells on which the fields lie, a `narcf_geo.Grid` or a `narcf_geo.Mesh`."""
        from narcf_geo.grid import cells_of

        return cells_of(self._obj)

    def regrid(
        self,
        target: Grid | float | xr.Dataset | xr.DataArray | str | PathLike[str],
        **options: Any,
    ) -> T:
        """Regrid to a Grid, a resolution in degrees, another dataset or a file.

        Parameters
        ----------
        target, **options
            As for `narcf_geo.regrid`.
        """
        from narcf_geo.regridding import regrid

        return regrid(self._obj, target, **options)

    def zonal(self, polygons: Polygons, **options: Any) -> pd.DataFrame:
        """Return exact area-weighted statistics of polygons.

        Parameters
        ----------
        polygons, **options
            As for `narcf_geo.zonal`.
        """
        from narcf_geo.budget.polygons import zonal

        return zonal(self._obj, polygons, **options)

    def budget(
        self,
        parts: xr.DataArray | gpd.GeoDataFrame | gpd.GeoSeries | str | PathLike[str] | None = None,
        cell_area: xr.DataArray | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Return the budget of the flux, TgC per year or month.

        Parameters
        ----------
        parts : xarray.DataArray, geopandas.GeoDataFrame or path, optional
            IGBP classes or polygons that the flux is summed over; by default the ``biome`` of the
            dataset.
        cell_area : xarray.DataArray, optional
            By default that of the dataset, or of its grid.
        **options
            As for `narcf_geo.biome_budget` and `narcf_geo.region_budget`.

        Raises
        ------
        UsageError
            When nothing says what to sum over.
        """
        from narcf_geo.budget.tables import biome_budget, region_budget
        from narcf_geo.fields import open_flux

        ds = open_flux(self._obj)
        parts = ds.get("biome") if parts is None else parts
        area = ds.get("cell_area") if cell_area is None else cell_area
        if parts is None:
            raise UsageError(
                "expected what to sum over, found no variable 'biome': pass IGBP classes or "
                "polygons, such as .narcf.budget('ecoregions.gpkg')"
            )
        if isinstance(parts, xr.DataArray):
            return biome_budget(ds["flux"], parts, area, **options)
        return region_budget(ds["flux"], parts, area, **options)

    def plot_map(self, kind: str = "mean", **options: Any) -> Figure:
        """Draw a map.

        Parameters
        ----------
        kind, **options
            As for `narcf_geo.plot_map`.
        """
        from narcf_geo.figures.draw import plot_map

        return plot_map(self._obj, kind, **options)
