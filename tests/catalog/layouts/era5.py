"""ERA5 and ERA5-Land, as the Climate Data Store delivers them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from catalog.layouts.layout import DAY, EAST, KELVIN, LAT, LON, NORTH, field, layout, netcdf

SOUTHWARD = LAT[::-1]


def _era5(path: Path, hour: int, step: str, fields: dict[str, tuple[list[float], str]]) -> Path:
    """Write the layout of the Climate Data Store since 2024: valid_time, number, expver."""
    seconds = 978307200 + 3600 * hour + DAY * np.array([0, 31])
    variables: dict[str, Any] = {
        "number": ("i8", (), 0, {"long_name": "ensemble member numerical id", "units": "1"}),
        "valid_time": (
            "i8",
            ("valid_time",),
            seconds,
            {
                "long_name": "time",
                "standard_name": "time",
                "units": "seconds since 1970-01-01",
                "calendar": "proleptic_gregorian",
            },
        ),
        "latitude": (
            "f8",
            ("latitude",),
            SOUTHWARD,
            {**NORTH, "stored_direction": "decreasing", "_FillValue": np.nan},
        ),
        "longitude": ("f8", ("longitude",), LON % 360, {**EAST, "_FillValue": np.nan}),
        "expver": (str, ("valid_time",), np.array(["0001", "0001"], object), {}),
    }
    for name, (values, units) in fields.items():
        said = {
            "GRIB_paramId": np.int64(1),
            "GRIB_dataType": "fc" if step == "avgad" else "an",
            "GRIB_stepType": step,
            "GRIB_gridType": "regular_ll",
            "units": units,
            "long_name": name,
            "standard_name": "unknown",
            "_FillValue": np.float32(np.nan),
            "coordinates": "number valid_time latitude longitude expver",
        }
        along = ("valid_time", "latitude", "longitude")
        variables[name] = ("f4", along, field(values, SOUTHWARD, LON), said)
    attrs = {"GRIB_centre": "ecmf", "GRIB_subCentre": np.int64(0), "Conventions": "CF-1.7"}
    dims = {"valid_time": 2, "latitude": LAT.size, "longitude": LON.size}
    return netcdf(path, dims, variables, attrs)


def write_era5_means(folder: Path) -> Path:
    return _era5(
        folder / "data_stream-moda_stepType-avgua.nc",
        0,
        "avgua",
        {
            "t2m": ([280, 281], "K"),
            "d2m": ([270, 271], "K"),
            "sp": ([95000, 96000], "Pa"),
            "swvl1": ([0.2, 0.3], "m**3 m**-3"),
        },
    )


def write_era5_totals(folder: Path) -> Path:
    return _era5(
        folder / "data_stream-moda_stepType-avgad.nc",
        6,
        "avgad",
        {"tp": ([0.002, 0.003], "m"), "ssrd": ([8.64e6, 1.728e7], "J m**-2")},
    )


@layout(
    "ERA5 monthly, means (`stepType-avgua`)",
    months=("2001-01", "2001-02"),
    want={
        "temp": ([280, 281], -KELVIN),
        "dewp": ([270, 271], -KELVIN),
        "pres": ([950, 960], 0),
        "swvl1": ([0.2, 0.3], 0),
    },
)
def era5_means(folder: Path) -> Path:
    return write_era5_means(folder)


@layout(
    "ERA5 monthly, totals of a day (`stepType-avgad`)",
    months=("2001-01", "2001-02"),
    want={"precip": ([2, 3], 0), "R_sw": ([100, 200], 0)},
)
def era5_totals(folder: Path) -> Path:
    return write_era5_totals(folder)


@layout(
    "ERA5-Land monthly",
    months=("2001-01", "2001-02"),
    want={"temp": ([280, 281], -KELVIN), "precip": ([2, 3], 0)},
)
def era5_land(folder: Path) -> Path:
    fields = {"t2m": ([280.0, 281.0], "K"), "tp": ([0.002, 0.003], "m")}
    return _era5(folder / "2f0c1e.nc", 0, "avgad", fields)


@layout(
    "ERA5 hourly, `tp` in m",
    asks="UNKNOWN",
    answer=("units: UNKNOWN", "units: m hour-1"),
    months=("2001-01",),
    want={"precip": ([24], 0)},
    says="asks over which step the metres are",
    state="`units: m hour-1`",
)
def era5_hourly(folder: Path) -> Path:
    hours = 978307200 + 3600 * np.arange(1, 31 * 24 + 1)
    dims = {"valid_time": hours.size, "latitude": LAT.size, "longitude": LON.size}
    said = {"units": "m", "GRIB_stepType": "accum", "long_name": "Total precipitation"}
    rain = field(np.full(hours.size, 0.001), SOUTHWARD, LON)
    since = {"units": "seconds since 1970-01-01", "standard_name": "time"}
    variables: dict[str, Any] = {
        "valid_time": ("i8", ("valid_time",), hours, since),
        "latitude": ("f8", ("latitude",), SOUTHWARD, NORTH),
        "longitude": ("f8", ("longitude",), LON, EAST),
        "tp": ("f4", ("valid_time", "latitude", "longitude"), rain, said),
    }
    return netcdf(folder / "era5_hourly.nc", dims, variables, {"GRIB_centre": "ecmf"})


@layout(
    "ERA5T, `expver` as an axis (before 2024)",
    months=("2001-01", "2001-02"),
    want={"temp": ([280, 281], -KELVIN)},
    says="right: months of ERA5T where ERA5 has none yet",
)
def era5_two_versions(folder: Path) -> Path:
    dims = {"time": 2, "expver": 2, "latitude": LAT.size, "longitude": LON.size}
    both = np.full((2, 2, LAT.size, LON.size), np.nan)
    both[0, 0], both[1, 1] = field([280, 281], SOUTHWARD, LON)
    variables: dict[str, Any] = {
        "time": ("i4", ("time",), [885360, 886104], {"units": "hours since 1900-01-01"}),
        "expver": ("i4", ("expver",), [1, 5], {"long_name": "expver"}),
        "latitude": ("f4", ("latitude",), SOUTHWARD, NORTH),
        "longitude": ("f4", ("longitude",), LON, EAST),
        "t2m": ("f4", tuple(dims), both, {"units": "K", "long_name": "2 metre temperature"}),
    }
    return netcdf(folder / "adaptor.mars.internal.nc", dims, variables)
