"""A whole project small enough to run in seconds: 10 x 12 cells, three years, five files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

SETTINGS = """\
title: A tiny region
region: {name: Tiny, west: -100, south: 40, east: -88, north: 50}
period: {start: 2007-01, end: 2009-12}
land_cover: {source: igbp}
predictors:
  weather: [temp, R_sw]
  ndvi: [ndvi]
target: {source: inversion}
reference: {source: fluxcom}
split:
  kind: period
  train: {start: 2007-01, end: 2007-12}
  validation: {start: 2008-01, end: 2008-12}
  test: {start: 2009-01, end: 2009-12}
model: {preset: narcf-25, epochs: 8, batch_size: 32, unbiased: true, members: 2, halves: true}
"""

CATALOG = """\
sources:
  weather:
    description: Weather on 2 degrees, north to south
    driver: netcdf
    args: {urlpath: "{{ data }}/weather.nc"}
    parameters: &data
      data: {description: folder of the files, default: "{{ CATALOG_DIR }}/data"}
    metadata:
      role: predictor
      synthetic: a test of the software
      variables: {temp: {name: air}, R_sw: {name: dswrf}}
  ndvi:
    description: A climatology of NDVI
    driver: netcdf
    args: {urlpath: "{{ data }}/ndvi.nc"}
    parameters: *data
    metadata: {role: predictor, climatology: true, variables: {ndvi: {}}}
  inversion:
    description: An inversion that counts uptake as positive
    driver: netcdf
    args: {urlpath: "{{ data }}/inversion.nc"}
    parameters: *data
    metadata:
      role: target
      sign: uptake
      variables: {flux: {name: sink}, flux_std: {name: sink_error}}
  fluxcom:
    description: FLUXCOM's layout
    driver: netcdf
    args: {urlpath: "{{ data }}/NEE_*.nc"}
    parameters: *data
    metadata: {product: fluxcom, role: reference, variables: {flux: {name: NEE}}}
  igbp:
    description: Land cover on a quarter of a degree
    driver: rasterio
    args: {urlpath: "{{ data }}/igbp.tif"}
    parameters: *data
    metadata: {product: landcover, role: landcover, legend: igbp_water0}
"""


def _axes(step: float) -> tuple[np.ndarray, np.ndarray]:
    """Return latitudes, north to south, and longitudes of cells around the region."""
    return np.arange(54 - step / 2, 36, -step), np.arange(-104 + step / 2, -84, step)


def _season(months: pd.DatetimeIndex) -> np.ndarray:
    return np.cos(2 * np.pi * (months.month.values - 7) / 12)[:, None, None]


def _dataset(
    step: float, time: np.ndarray | pd.DatetimeIndex, **fields: tuple[np.ndarray, str]
) -> xr.Dataset:
    lat, lon = _axes(step)
    return xr.Dataset(
        {k: (("time", "lat", "lon"), v, {"units": u}) for k, (v, u) in fields.items()},
        coords={
            "time": ("time", time),
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
    )


def true_flux(step: float, months: pd.DatetimeIndex) -> np.ndarray:
    """Return the flux of the tiny world, umol m-2 s-1, positive to the atmosphere."""
    lat, lon = _axes(step)
    year = (months.year.values - 2008)[:, None, None]
    west = ((lon + 104) / 20)[None, None, :]
    return (
        0.5
        - (1.5 + west) * np.clip(_season(months) + (48 - lat)[:, None] / 20, 0, None)
        + (0.1 * year)
    )


def write_inputs(data: Path) -> None:
    """Write the input files into the folder `data`."""
    import rasterio
    from rasterio.transform import from_origin

    data.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    months = pd.date_range("2007-01", "2009-12", freq="MS")
    season = _season(months)
    lat, lon = _axes(2)
    year = (months.year.values - 2008)[:, None, None]
    air = 281 + 14 * season - 0.7 * (lat - 45)[:, None] + 0.5 * year + 0 * lon
    radiation = 180 + 110 * season + 2 * (lon + 94)[None, None, :] + 0 * lat[:, None]
    _dataset(2, months, air=(air, "K"), dswrf=(radiation, "W/m^2")).to_netcdf(data / "weather.nc")
    year_of_12 = _season(pd.date_range("2001-01", periods=12, freq="MS"))
    lat, lon = _axes(1)
    ndvi = 0.4 + 0.25 * year_of_12 + 0.01 * (lon + 94) + 0 * lat[:, None]
    _dataset(1, np.arange(12), ndvi=(ndvi, "1")).to_netcdf(data / "ndvi.nc")
    flux = true_flux(1, months)
    sink = -flux + rng.normal(0, 0.1, flux.shape)
    error = np.full(flux.shape, 0.1)
    unit = "mol m-2 s-1"
    _dataset(1, months, sink=(sink * 1e-6, unit), sink_error=(error * 1e-6, unit)).to_netcdf(
        data / "inversion.nc"
    )
    for number in (2008, 2009):
        part = months[months.year == number]
        grams = (true_flux(2, part) + 0.2) * 12.011e-6 * 86400
        _dataset(2, part, NEE=(grams, "gC m-2 d-1")).to_netcdf(data / f"NEE_{number}.nc")
    classes = rng.choice([4, 5, 10, 12], (72, 80), p=[0.1, 0.2, 0.3, 0.4]).astype("uint8")
    classes[:, 56:] = 5
    classes[24:36, 20:40] = 0
    classes[:18, :18] = 255
    with rasterio.open(
        data / "igbp.tif", "w", driver="GTiff", height=72, width=80, count=1, dtype="uint8",
        nodata=255, crs="EPSG:4326", transform=from_origin(-104, 54, 0.25, 0.25),
    ) as raster:  # fmt: skip
        raster.write(classes, 1)


def write_project(directory: Path) -> Path:
    """Write the project into `directory` and return it."""
    write_inputs(directory / "data")
    (directory / "narcf.yaml").write_text(SETTINGS)
    (directory / "data_catalog.yaml").write_text(CATALOG)
    return directory
