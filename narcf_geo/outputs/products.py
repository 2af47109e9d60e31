"""All files a run hands out, in one folder."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import xarray as xr

from narcf_geo.core.errors import UsageError
from narcf_geo.core.lock import hold
from narcf_geo.fields import on_one_grid, open_flux
from narcf_geo.fields.chunks import stored_blocks
from narcf_geo.fields.reading import named, reading
from narcf_geo.fields.regions import read_regions
from narcf_geo.grid import Grid
from narcf_geo.grid.polygons import footprint
from narcf_geo.outputs.geotiff import (
    limit_of,
    write_ancillary_geotiffs,
    write_biomes_geotiff,
    write_flux_geotiffs,
    write_fractions_geotiff,
)
from narcf_geo.outputs.nbp import write_nbp
from narcf_geo.outputs.netcdf import product_fields, write_flux_netcdfs, write_flux_zarr
from narcf_geo.outputs.qgis_project import write_qgis_project
from narcf_geo.outputs.stac import write_stac

if TYPE_CHECKING:
    import geopandas as gpd

AMOUNTS = {"flux_std": "Standard deviation", "applicability": "Dissimilarity to the training data"}
"""What of the uncertainty is a raster of its own, and what QGIS calls it."""


_WRITTEN = (
    r"flux(_\d+)?\.(nc|zarr)|nbp_Lmon_narcf-geo_[\d-]+\.nc"
    r"|(flux|flux_std|applicability|class_fractions|biomes)(_[\d-]+)?\.tif"
)
"""Names of products that may be data themselves."""


def write_products(
    ds: xr.Dataset,
    folder: str | os.PathLike[str],
    *,
    class_fraction: xr.DataArray | None = None,
    regions: gpd.GeoDataFrame | None = None,
    monthly: bool = False,
    years: Sequence[int] | None = None,
    zarr: bool = False,
    zarr_format: Literal[2, 3] = 3,
    nbp: bool = False,
) -> list[Path]:
    """Write NetCDF, GeoTIFFs with styles, the QGIS project and the STAC item of a prediction.

    What is lazy is written block by block: memory is that of a few blocks, whatever the
    number of cells and months. Values of over 4 GB go into a NetCDF file a year.

    Parameters
    ----------
    ds : xarray.Dataset
        ``flux`` along months, latitudes and longitudes in a unit that converts to umol m-2 s-1,
        optionally what belongs to it (see
        `narcf_geo.outputs.netcdf.ANCILLARY`), ``biome`` and ``land_fraction``.
    folder : path
        Where the files go; made when absent.
    class_fraction : xarray.DataArray, optional
        (igbp_class, lat, lon), 0 to 1.
    regions : geopandas.GeoDataFrame, optional
        Polygons that the QGIS project shows beside the region.
    monthly : bool
        A GeoTIFF a month rather than a year.
    years : sequence of int, optional
        The years whose months the QGIS project shows; by default all.
    zarr : bool
        Write ``flux.zarr`` with consolidated metadata too.
    zarr_format : {3, 2}
        Of it; 2 for GDAL before 3.8 and other older readers.
    nbp : bool
        Write the flux as CMIP models give it too; see `narcf_geo.outputs.nbp.write_nbp`.

    Returns
    -------
    list of path
        The NetCDF files first, then the rasters, the project and the STAC files.

    Raises
    ------
    NarcfError
        When the flux is missing, has no unit or one of another quantity, is not monthly, or not on
        a regular grid of latitudes and longitudes.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import pandas as pd
    >>> flux = xr.DataArray(
    ...     np.full((12, 4, 5), -0.5), dims=("time", "lat", "lon"), name="flux",
    ...     coords={"time": pd.date_range("2015-01", periods=12, freq="MS"),
    ...             "lat": np.arange(40.5, 44), "lon": np.arange(-100.5, -96)},
    ...     attrs={"units": "umol m-2 s-1"})
    >>> paths = write_products(flux.to_dataset(), tempfile.mkdtemp())
    >>> [path.name for path in paths[:3]]
    ['flux.nc', 'flux_2015.tif', 'narcf.qgz']
    """
    folder = Path(folder)
    ds = product_fields(ds)
    _require_years(ds, years)
    if class_fraction is not None:
        class_fraction = on_one_grid(ds["flux"], class_fraction)[1]
    netcdfs = write_flux_netcdfs(ds, folder)
    if nbp:
        netcdfs.append(write_nbp(ds, folder))
    fluxes = write_flux_geotiffs(ds, folder, monthly=monthly)
    biomes = write_biomes_geotiff(ds["biome"], folder / "biomes.tif") if "biome" in ds else None
    fractions = None
    if class_fraction is not None:
        fractions = write_fractions_geotiff(class_fraction, folder / "class_fractions.tif")
    amounts = {
        label: write_ancillary_geotiffs(ds, name, folder, monthly=monthly)
        for name, label in AMOUNTS.items()
        if name in ds
    }
    limit = limit_of(ds["flux"])
    project, by_band = write_qgis_project(
        folder / "narcf.qgz",
        fluxes,
        limit=limit,
        biomes=biomes,
        fractions=fractions,
        amounts=amounts,
        title=str(ds.attrs.get("title", "Monthly net CO2 flux of the land")),
        years=years,
        region=footprint(Grid.from_dataset(ds)),
        regions=regions,
        words={name: str(text) for name, text in ds.attrs.items() if isinstance(text, str)},
    )
    others = [path for paths in amounts.values() for path in paths]
    rasters = [*fluxes, *others, *(p for p in (biomes, fractions) if p)]
    context = project.with_name("context.gpkg")
    stores = [write_flux_zarr(ds, folder / "flux.zarr", version=zarr_format)] if zarr else []
    styles = [raster.with_suffix(".qml") for raster in rasters]
    projects = [project, context, by_band]
    stac = write_stac(ds, [*netcdfs, *stores, *rasters, *styles, *projects], folder, limit)
    return [*netcdfs, *rasters, *projects, *stac, *stores]


def _require_years(ds: xr.Dataset, years: Sequence[int] | None) -> None:
    known = ds["time"].dt.year.values.tolist()
    if years is not None and not set(years) & set(known):
        raise UsageError(
            f"expected some of the years {known[0]} to {known[-1]} for the QGIS project, found "
            f"{', '.join(map(str, years)) or 'none'}"
        )


def export_products(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    variable: str | None = None,
    regions: str | os.PathLike[str] | None = None,
    monthly: bool = False,
    years: Sequence[int] | None = None,
    zarr: bool = False,
    zarr_format: Literal[2, 3] = 3,
    nbp: bool = False,
) -> list[Path]:
    """Write the products of a file that holds a flux; see `write_products`.

    Parameters
    ----------
    source : path
        NetCDF file or Zarr store with a flux, optionally ``biome`` and ``class_fraction``.
    variable : str, optional
        The flux; by default ``flux`` or ``nee``, else the only variable of a flux's unit.
    regions : path, optional
        File of polygons.
    folder, monthly, years, zarr, zarr_format, nbp
        As for `write_products`.

    Raises
    ------
    UsageError
        When there is no such file, or it is one that would be replaced.
    NarcfError
        When it has no monthly flux; see `narcf_geo.fields.open_flux`.
    """
    _require_other(Path(source), Path(folder))
    content = open_flux(source, variable)
    with named(str(source)), reading(source):
        content = product_fields(stored_blocks(content))
        _require_years(content, years)
    shapes = read_regions(regions) if regions is not None else None
    with hold(Path(folder) / ".lock", str(folder)), named(str(source)), reading(source):
        return write_products(
            content,
            folder,
            class_fraction=content.get("class_fraction"),
            regions=shapes,
            monthly=monthly,
            years=years,
            zarr=zarr,
            zarr_format=zarr_format,
            nbp=nbp,
        )


def _require_other(source: Path, folder: Path) -> None:
    """Refuse a source that one of the products would replace."""
    inside = source.resolve().parent == folder.resolve()
    if inside and re.fullmatch(_WRITTEN, source.resolve().name):
        raise UsageError(
            f"{source}: expected another folder than that of the input, which {source.name} of the "
            "products would replace; name another DIR"
        )
