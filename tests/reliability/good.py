"""One good file of each kind; the defects of the matrix are made in them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
import xarray as xr
from rasterio.transform import from_origin
from tiny_cube import tiny_cube, tiny_settings

from narcf_geo.model.fit import fit_bundle

MODEL = {
    "preset": "narcf-published",
    "hidden": (6, 5),
    "epochs": 2,
    "batch_size": 64,
    "members": 2,
    "halves": True,
}

OF_SHAPEFILE = (".shp", ".shx", ".dbf", ".prj", ".cpg")

LAT, LON = 50.5 - np.arange(10.0), -109.5 + np.arange(12.0)
"""Centres of 10 x 12 cells of one degree, north to south."""


def field(months: int = 24) -> xr.Dataset:
    """A flux that differs in every cell and month."""
    values = np.random.default_rng(2).normal(0, 1, (months, LAT.size, LON.size))
    return xr.Dataset(
        {
            "nee": (
                ("time", "lat", "lon"),
                values,
                {
                    "units": "umol m-2 s-1",
                    "standard_name": "surface_upward_mole_flux_of_carbon_dioxide",
                    "cell_methods": "time: mean area: mean",
                },
            )
        },
        coords={
            "time": pd.date_range("2007-01", periods=months, freq="MS"),
            "lat": ("lat", LAT, {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": ("lon", LON, {"units": "degrees_east", "standard_name": "longitude"}),
        },
    )


def regions() -> gpd.GeoDataFrame:
    """Two regions that share an edge within the cells of `field`."""
    boxes = [shapely.box(-108, 42, -104.3, 49), shapely.box(-104.3, 42, -100, 48)]
    return gpd.GeoDataFrame({"name": ["west", "east"]}, geometry=boxes, crs="EPSG:4326")


def _netcdf(format_: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        field().to_netcdf(path, format=format_)  # type: ignore[call-overload]

    return write


def _zarr(format_: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        field().chunk(time=12).to_zarr(path, zarr_format=format_, consolidated=False)

    return write


def _geotiff(path: Path) -> None:
    at = from_origin(LON[0] - 0.5, LAT[0] + 0.5, 1, 1)
    size = {"height": LAT.size, "width": LON.size, "count": 1}
    with rasterio.open(
        path, "w", driver="GTiff", dtype="float32", crs="EPSG:4326", transform=at, **size
    ) as raster:
        raster.write(field(1)["nee"].values.astype("float32"))


def _ascii(path: Path) -> None:
    corner = f"xllcorner {LON[0] - 0.5}\nyllcorner {LAT[-1] - 0.5}"
    rows = "\n".join(" ".join(f"{v:.4f}" for v in row) for row in field(1)["nee"].values[0])
    path.write_text(
        f"ncols {LON.size}\nnrows {LAT.size}\n{corner}\ncellsize 1\nNODATA_value -9999\n{rows}\n"
    )


def _csv(path: Path) -> None:
    field().to_dataframe().reset_index().to_csv(path, index=False)


def _polygons(driver: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        regions().to_file(path, driver=driver)

    return write


FIELDS: dict[str, Callable[[Path], None]] = {
    "classic.nc": _netcdf("NETCDF3_CLASSIC"),
    "offset.nc": _netcdf("NETCDF3_64BIT"),
    "field.nc": _netcdf("NETCDF4"),
    "old.zarr": _zarr(2),
    "new.zarr": _zarr(3),
    "field.tif": _geotiff,
    "field.asc": _ascii,
    "field.csv": _csv,
}
"""Writers of a field in each format, by a name with the ending of that format."""

POLYGONS: dict[str, Callable[[Path], None]] = {
    "regions.geojson": _polygons("GeoJSON"),
    "regions.gpkg": _polygons("GPKG"),
    "regions.shp": _polygons("ESRI Shapefile"),
}
"""Writers of the regions in each format."""


def write_all(folder: Path, project: Path) -> None:
    """Write every good file into a folder, with a copy of a project, a model and its cube."""
    for name, write in (FIELDS | POLYGONS).items():
        write(folder / name)
    shutil.copytree(project, folder / "project")
    cube = tiny_cube()
    cube.to_netcdf(folder / "cube.nc")
    fit_bundle(cube, tiny_settings("temp", "static", model=MODEL), folder / "model")


def taken(good: Path, name: str, folder: Path) -> None:
    """Copy what has this name, with the files that belong to a shapefile, into a folder."""
    path = good / name
    if path.is_dir() and path != good:
        shutil.copytree(path, folder / name)
    for part in good.glob(f"{path.stem}.*") if path.suffix == ".shp" else [path]:
        if part.is_file() and (path.suffix != ".shp" or part.suffix in OF_SHAPEFILE):
            shutil.copy(part, folder / part.name)
