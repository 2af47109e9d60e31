"""Rasters and HDF by other suffixes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from catalog.layouts.climate import geotiff
from catalog.layouts.layout import LAT, LON, field, layout, plain, since

ASKED: dict[str, Any] = {
    "asks": "UNKNOWN",
    "answer": (
        'band_data: {name: "band_data", units: UNKNOWN}',
        "precip: {name: band_data, units: mm month-1}",
    ),
    "months": ("2001-02",),
    "want": {"precip": ([2], 0)},
    "says": "asks the unit; month from the name",
    "state": "name and `units:`",
}
RAIN = field(56.0, LAT, LON).astype("f4")


def raster(path: Path, driver: str) -> Path:
    transform = rasterio.transform.from_origin(LON[0] - 0.5, LAT[-1] + 0.5, 1, 1)
    size = {"height": LAT.size, "width": LON.size, "count": 1, "dtype": "float32"}
    with rasterio.open(
        path, "w", driver=driver, crs="EPSG:4326", transform=transform, **size
    ) as file:
        file.write(RAIN[::-1], 1)
    return path


@layout("ERDAS `.img`", **ASKED)
def erdas(folder: Path) -> Path:
    return raster(folder / "rain.2001.02.img", "HFA")


@layout("ESRI `.bil`", **ASKED)
def bil(folder: Path) -> Path:
    return raster(folder / "rain_200102.bil", "EHdr")


@layout("GDAL `.vrt` of local files", **ASKED)
def virtual(folder: Path) -> Path:
    from rasterio.shutil import copy

    geotiff(folder / "a.tif", RAIN)
    copy(folder / "a.tif", folder / "rain_2001-02.vrt", driver="VRT")
    return folder / "rain_2001-02.vrt"


@layout("HDF5 `.h5` with CF attributes", months=("2001-02",), want={"temp": ([6.85], 0)})
def hdf5(folder: Path) -> Path:
    air = {"units": "degC", "standard_name": "air_temperature"}
    time = (np.array([45.0]), since("2001-01-01"))
    return plain(folder / "a.nc", {"t": ([6.85], air)}, time).rename(folder / "a.h5")


@layout("HDF5 with the suffix `.hdf`", months=("2001-02",), want={"temp": ([6.85], 0)})
def hdf5_as_hdf(folder: Path) -> Path:
    return hdf5(folder).rename(folder / "a.hdf")
