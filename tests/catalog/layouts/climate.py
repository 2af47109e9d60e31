"""Climate and vegetation products, each in its documented layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from catalog.layouts.layout import (
    DAY,
    EAST,
    KELVIN,
    LAT,
    LON,
    NORTH,
    field,
    layout,
    netcdf,
)

SOUTHWARD = LAT[::-1]


def write_merra2(folder: Path, month: int, kind: str = "slv") -> Path:
    """Write a collection of a month; names are those of NASA GES DISC."""
    fields: dict[str, dict[str, tuple[float, str]]] = {
        "slv": {
            "T2M": (280.0 + month, "K"),
            "QV2M": (0.005, "kg kg-1"),
            "PS": (9.5e4, "Pa"),
        },
        "flx": {"PRECTOTCORR": (month / DAY, "kg m-2 s-1")},
        "rad": {"SWGDN": (100.0, "W m-2")},
    }
    dims = {"lon": LON.size, "lat": LAT.size, "time": 1}
    variables: dict[str, Any] = {
        "lon": ("f8", ("lon",), LON, {"long_name": "longitude", "units": "degrees_east"}),
        "lat": ("f8", ("lat",), LAT, {"long_name": "latitude", "units": "degrees_north"}),
        "time": (
            "i4",
            ("time",),
            [0],
            {
                "long_name": "time",
                "units": f"minutes since 2001-{month:02d}-01 00:30:00",
                "begin_date": np.int32(20010000 + 100 * month + 1),
            },
        ),
    }
    for name, (value, units) in fields[kind].items():
        said = {
            "long_name": f"long name of {name}",
            "standard_name": f"long name of {name}",
            "units": units,
            "_FillValue": np.float32(1e15),
            "missing_value": np.float32(1e15),
            "fmissing_value": np.float32(1e15),
            "valid_range": np.array([-1e15, 1e15], "f4"),
        }
        variables[name] = ("f4", ("time", "lat", "lon"), field([value], LAT, LON), said)
    name = f"MERRA2_200.tavgM_2d_{kind}_Nx.2001{month:02d}.nc4"
    return netcdf(folder / name, dims, variables, {"Title": "MERRA-2"})


@layout(
    "MERRA-2 monthly (`tavgM_2d_*_Nx`)",
    months=("2001-02",),
    want={"temp": ([282], -KELVIN), "sp_hum": ([0.005], 0), "pres": ([950], 0)},
)
def merra2(folder: Path) -> Path:
    return write_merra2(folder, 2)


def write_cru(folder: Path, name: str, values: list[float], units: str, stations: int = 5) -> Path:
    """Write a variable of CRU TS 4.07, with the numbers of stations beside it."""
    dims = {"lon": LON.size, "lat": LAT.size, "time": 2}
    fill = np.float32(9.96921e36)
    along = ("time", "lat", "lon")
    said = {"long_name": name, "units": units, "_FillValue": fill, "missing_value": fill}
    number = np.full((2, LAT.size, LON.size), stations)
    variables: dict[str, Any] = {
        "lon": ("f4", ("lon",), LON, {"long_name": "longitude", "units": "degrees_east"}),
        "lat": ("f4", ("lat",), LAT, {"long_name": "latitude", "units": "degrees_north"}),
        "time": (
            "f4",
            ("time",),
            [36905, 36934],
            {"long_name": "time", "units": "days since 1900-1-1", "calendar": "gregorian"},
        ),
        name: ("f4", along, field(values, LAT, LON), said),
        "stn": ("i4", along, number, {"description": "number of stations contributing"}),
    }
    return netcdf(folder / f"cru_ts4.07.2001.2010.{name}.dat.nc", dims, variables)


@layout(
    "CRU TS v4, `pre`",
    months=("2001-01", "2001-02"),
    want={"precip": ([2, 3], 0)},
)
def cru_ts_pre(folder: Path) -> Path:
    return write_cru(folder, "pre", [62, 84], "mm/month")


@layout("CRU TS v4, `tmp`", months=("2001-01", "2001-02"), want={"temp": ([-2, 3], 0)})
def cru_ts_tmp(folder: Path) -> Path:
    return write_cru(folder, "tmp", [-2, 3], "degrees Celsius")


@layout("CRU TS v4, `frs`", months=("2001-01", "2001-02"), want={"frost_days": ([20, 7], 0)})
def cru_ts_frs(folder: Path) -> Path:
    return write_cru(folder, "frs", [20, 7], "days")


@layout(
    "GPCC Full Data Monthly v2022",
    months=("2001-01", "2001-02"),
    want={"precip": ([2, 3], 0)},
)
def gpcc(folder: Path) -> Path:
    dims = {"time": 2, "lat": LAT.size, "lon": LON.size}
    fill = np.float32(-99999.99)
    along = ("time", "lat", "lon")
    rain = {
        "long_name": "gpcc full data monthly product version 2022 precipitation per grid",
        "units": "mm/month",
        "_FillValue": fill,
        "missing_value": fill,
    }
    variables: dict[str, Any] = {
        "lat": ("f4", ("lat",), SOUTHWARD, NORTH),
        "lon": ("f4", ("lon",), LON, EAST),
        "time": (
            "i4",
            ("time",),
            [0, 31],
            {"units": "days since 2001-01-01 00:00:00", "calendar": "standard"},
        ),
        "precip": ("f4", along, field([62, 84], SOUTHWARD, LON), rain),
        "numgauge": (
            "f4",
            along,
            field([3, 3], SOUTHWARD, LON),
            {"long_name": "number of gauges per grid", "_FillValue": fill},
        ),
    }
    return netcdf(folder / "full_data_monthly_v2022_2001_2010_10.nc", dims, variables)


def write_terraclimate(folder: Path, name: str, values: list[float], units: str) -> Path:
    """Write a variable of TerraClimate, packed as int16, north to south."""
    dims = {"lat": LAT.size, "lon": LON.size, "time": None, "crs": 1}
    packed = {
        "units": units,
        "description": name,
        "long_name": name,
        "standard_name": name,
        "_FillValue": np.int16(-32768),
        "scale_factor": 0.01,
        "add_offset": 0.0,
        "grid_mapping": "crs",
        "coordinate_system": "WGS84,EPSG:4326",
    }
    crs = {
        "grid_mapping_name": "latitude_longitude",
        "longitude_of_prime_meridian": 0.0,
        "semi_major_axis": 6378137.0,
        "inverse_flattening": 298.257223563,
    }
    variables: dict[str, Any] = {
        "lat": ("f8", ("lat",), SOUTHWARD, {**NORTH, "axis": "Y"}),
        "lon": ("f8", ("lon",), LON, {**EAST, "axis": "X"}),
        "time": (
            "f8",
            ("time",),
            [36890, 36921],
            {"units": "days since 1900-01-01 00:00:00", "calendar": "gregorian", "axis": "T"},
        ),
        "crs": ("i2", ("crs",), [3], crs),
        name: ("i2", ("time", "lat", "lon"), field(values, SOUTHWARD, LON), packed),
    }
    return netcdf(folder / f"TerraClimate_{name}_2001.nc", dims, variables)


@layout(
    "TerraClimate, `ppt`",
    months=("2001-01", "2001-02"),
    want={"precip": ([2, 3], 0)},
    rtol=1e-3,
)
def terraclimate_ppt(folder: Path) -> Path:
    return write_terraclimate(folder, "ppt", [62, 84], "mm")


@layout(
    "TerraClimate, `tmax`",
    months=("2001-01", "2001-02"),
    want={"tmax": ([12, 13], 0)},
    says="`tmax` as a variable of its own, not `temp`",
    rtol=1e-3,
)
def terraclimate_tmax(folder: Path) -> Path:
    return write_terraclimate(folder, "tmax", [12, 13], "degC")


def geotiff(path: Path, values: np.ndarray, **said: Any) -> Path:
    """Write a raster, north up, on the cells of `LAT` and `LON`."""
    bands = values[None] if values.ndim == 2 else values
    transform = rasterio.transform.from_origin(LON[0] - 0.5, LAT[-1] + 0.5, 1, 1)
    count, height, width = bands.shape
    profile = {"height": height, "width": width, "count": count, "dtype": str(values.dtype)}
    with rasterio.open(
        path, "w", driver="GTiff", crs="EPSG:4326", transform=transform, **profile, **said
    ) as raster:
        raster.write(bands[:, ::-1])
    return path


def write_chirps(folder: Path, month: int, value: float) -> Path:
    """Write a month of CHIRPS, -9999 at sea without a mark of it."""
    values = field(value, LAT, LON).astype("f4")
    values[0, 0] = -9999
    return geotiff(folder / f"chirps-v2.0.2001.{month:02d}.tif", values)


@layout("CHIRPS v2.0 monthly, GeoTIFF", months=("2001-02",), want={"precip": ([2], 0)})
def chirps(folder: Path) -> Path:
    return write_chirps(folder, 2, 56.0)


@layout(
    "GeoTIFF of a month without unit, -9999 unmarked",
    asks="UNKNOWN",
    answer=(
        'band_data: {name: "band_data", missing: [-9999.0], units: UNKNOWN}',
        "precip: {name: band_data, missing: [-9999.0], units: mm month-1}",
    ),
    months=("2001-03",),
    want={"precip": ([2], 0)},
    says="asks the unit; month from the name, -9999 as missing",
    state="name and `units:`",
)
def plain_geotiff(folder: Path) -> Path:
    values = field(62.0, LAT, LON).astype("f4")
    values[0, 0] = -9999
    return geotiff(folder / "rain_2001-03.tif", values)


@layout(
    "GeoTIFF of 12 bands (climatology)",
    asks="UNKNOWN|band",
    answer=("# climatology: true", "climatology: true", "units: UNKNOWN", "units: '1'"),
    months=tuple(range(1, 13)),
    want={"band_data": ([float(m) for m in range(1, 13)], 0)},
    says="asks whether the bands are the months, and the unit",
    state="`climatology: true`, `units:`",
)
def twelve_bands(folder: Path) -> Path:
    values = field(np.arange(1.0, 13), LAT, LON).astype("f4")
    return geotiff(folder / "lai.tif", values)
