"""CO2 fluxes of inversions, land models and towers, and what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from catalog.layouts.layout import (
    CARBON,
    DAY,
    EAST,
    LAT,
    LON,
    NORTH,
    YEAR,
    field,
    layout,
    netcdf,
    plain,
    since,
)

MONTHS = ("2001-01", "2001-02")
MIDDLES = [15.5, 45.0]
TIME = (MIDDLES, since("2001-01-01"))
BY_CARBON = "surface_{}_mass_flux_of_carbon_dioxide_expressed_as_carbon_due_to_all_land_processes"


def write_ct(path: Path, values: list[float], time: tuple[Any, dict[str, Any]]) -> Path:
    """Write the layout of CarbonTracker CT2022: bio, ocean, fossil and fire."""
    dims = {"time": None, "latitude": LAT.size, "longitude": LON.size}
    variables: dict[str, Any] = {
        "time": ("f8", ("time",), time[0], time[1]),
        "decimal_time": ("f8", ("time",), np.full(len(values), 2001.1), {"units": "years"}),
        "latitude": ("f4", ("latitude",), LAT, {"units": "degrees_north"}),
        "longitude": ("f4", ("longitude",), LON, {"units": "degrees_east"}),
    }
    parts = {"bio_flux_opt": 1.0, "ocn_flux_opt": 9.0, "fossil_flux_imp": 7.0, "fire_flux_imp": 0.5}
    for name, part in parts.items():
        said = {"units": "mol m-2 s-1", "long_name": name, "_FillValue": -1e34}
        flux = field(np.multiply(values, part), LAT, LON)
        variables[name] = ("f8", tuple(dims), flux, said)
    return netcdf(path, dims, variables, {"Notes": "positive to the atmosphere"})


@layout(
    "CarbonTracker CT2022 monthly",
    role="target",
    months=("2001-02",),
    want={"flux": ([-3], 0), "bio_flux": ([-2], 0)},
    says="right: biosphere plus fire",
)
def carbontracker(folder: Path) -> Path:
    return write_ct(folder / "CT2022.flux1x1.200102.nc", [-2e-6], ([45], since("2001-01-01")))


@layout(
    "CT-NRT, 3-hourly files of a day",
    role="target",
    asks="no valid value",
    says="asks for the other days of the month (`monthly_mean: 0.9`)",
    state="`urlpath` of all days",
)
def ct_nrt(folder: Path) -> Path:
    hours = np.arange(8) * 3 + 1.5
    path = folder / "CT-NRT.v2023-4.flux1x1.20010201.nc"
    return write_ct(path, [-2e-6] * 8, (hours, since("2001-02-01", unit="hours")))


@layout(
    "CAMS inversion of CO2 (`_mm_YYYYMM`)",
    role="target",
    months=("2001-02",),
    want={"flux": ([1], 0)},
)
def cams_inversion(folder: Path) -> Path:
    dims = {"latitude": LAT.size, "longitude": LON.size}
    along = ("latitude", "longitude")
    value = 28 * DAY * CARBON * 1e-9
    units = {"units": "kgC m-2 month-1"}
    variables: dict[str, Any] = {
        "latitude": ("f4", ("latitude",), LAT, {"units": "degrees_north"}),
        "longitude": ("f4", ("longitude",), LON, {"units": "degrees_east"}),
        "flux_apos_bio": ("f4", along, field(value, LAT, LON), units),
        "flux_apri_bio": ("f4", along, field(3 * value, LAT, LON), units),
        "flux_foss": ("f4", along, field(5 * value, LAT, LON), units),
        "area": ("f4", along, field(1e10, LAT, LON), {"units": "m2"}),
        "lsf": ("f4", along, np.full((LAT.size, LON.size), 0.9), {"units": "1"}),
    }
    return netcdf(folder / "cams73_latest_co2_flux_surface_mm_200102.nc", dims, variables)


def write_carboscope(folder: Path, unit: str) -> Path:
    """Write daily totals of cells, with their areas; the areas are not those of a sphere."""
    days = 59
    value = np.where(np.arange(days) < 31, 1.0, 2.0)
    area = np.linspace(0.9e10, 1.1e10, LAT.size)[:, None] * np.ones((LAT.size, LON.size))
    totals = field(value * CARBON * 1e-6 * YEAR * 1e-15, LAT, LON) * area
    seconds = (np.arange(days) + 0.5 + 366) * DAY
    time = {"seconds": seconds, "days": seconds / DAY}[unit]
    dims = {"mtime": None, "lat": LAT.size, "lon": LON.size}
    along = ("mtime", "lat", "lon")
    variables: dict[str, Any] = {
        "lat": ("f4", ("lat",), LAT, {"units": "degrees_north"}),
        "lon": ("f4", ("lon",), LON, {"units": "degrees_east"}),
        "mtime": ("f8", ("mtime",), time, {"units": f"{unit} since 2000-01-01 00:00:00"}),
        "dxyp": ("f4", ("lat", "lon"), area, {"units": "m2", "long_name": "area"}),
        "co2flux_land": ("f8", along, totals, {"units": "PgC/yr", "long_name": "land flux"}),
        "co2flux_ocean": ("f8", along, totals * 3, {"units": "PgC/yr", "long_name": "ocean"}),
    }
    return netcdf(folder / "s10oc_v2022_daily.nc", dims, variables)


@layout(
    "Jena CarboScope, daily",
    role="target",
    months=MONTHS,
    want={"flux": ([1, 2], 0)},
    says="right: areas of the file, averaged to months",
)
def carboscope(folder: Path) -> Path:
    return write_carboscope(folder, "seconds")


@layout(
    "Jena CarboScope, time in days",
    role="target",
    months=MONTHS,
    want={"flux": ([1, 2], 0)},
)
def carboscope_days(folder: Path) -> Path:
    return write_carboscope(folder, "days")


def write_oco2(path: Path, dates: list[list[int]], values: list[float]) -> Path:
    """Write the gridded fluxes of the OCO-2 MIP, months in start_date."""
    number = len(dates)
    dims = {"n_months": number, "n_components": 6, "latitude": LAT.size, "longitude": LON.size}
    along = ("n_months", "latitude", "longitude")
    units = {"units": "gC m-2 year-1"}
    variables: dict[str, Any] = {
        "start_date": ("i4", ("n_months", "n_components"), dates, {"long_name": "start"}),
        "latitude": ("f4", ("latitude",), LAT, {"units": "degrees_north"}),
        "longitude": ("f4", ("longitude",), LON, {"units": "degrees_east"}),
        "land": ("f4", along, field(values, LAT, LON), units),
        "ocean": ("f4", along, field(values, LAT, LON) * 3, units),
    }
    return netcdf(path, dims, variables)


@layout(
    "OCO-2 v10 MIP, `EnsMean_gridded_fluxes`",
    role="target",
    months=("2015-01", "2015-02"),
    want={"flux": ([-2, 3], 0)},
)
def oco2_mip(folder: Path) -> Path:
    dates = [[2015, 1, 1, 0, 0, 0], [2015, 2, 1, 0, 0, 0]]
    gram = CARBON * 1e-6 * YEAR
    return write_oco2(folder / "EnsMean_gridded_fluxes_LNLGIS.nc4", dates, [-2 * gram, 3 * gram])


@layout(
    "OCO-2 MIP, mean of the years (12 months)",
    role="target",
    asks="years",
    answer=("role: target", "climatology: true\n      role: target"),
    months=tuple(range(1, 13)),
    want={"flux": ([float(m) for m in range(1, 13)], 0)},
    says="asks for years: `start_date` has year 0",
    state="`climatology: true`",
)
def oco2_climatology(folder: Path) -> Path:
    order = [10, 11, 12, *range(1, 10)]
    gram = CARBON * 1e-6 * YEAR
    dates = [[0, month, 1, 0, 0, 0] for month in order]
    path = folder / "EnsClim_gridded_fluxes_LNLGIS.nc4"
    return write_oco2(path, dates, [gram * month for month in order])


@layout(
    "TRENDY `MODEL_S3_nbp`",
    role="reference",
    months=("1701-01", "1701-02"),
    want={"flux": ([-1, 2], 0)},
)
def trendy(folder: Path) -> Path:
    kilogram = CARBON * 1e-9
    return _trendy(folder / "CLASSIC_S3_nbp.nc", [kilogram, -2 * kilogram])


def _trendy(path: Path, values: list[float]) -> Path:
    dims = {"time": None, "latitude": LAT.size, "longitude": LON.size}
    said = {"units": "kg m-2 s-1", "_FillValue": -99999.0, "long_name": "Net Biospheric Production"}
    variables: dict[str, Any] = {
        "time": ("f8", ("time",), [380, 410], since("1700-01-01", "noleap")),
        "latitude": ("f8", ("latitude",), LAT, NORTH),
        "longitude": ("f8", ("longitude",), LON % 360, EAST),
        "nbp": ("f8", tuple(dims), field(values, LAT, LON), said),
    }
    return netcdf(path, dims, variables)


@layout(
    "`nbp` of a land model, kg m-2 s-1 of what",
    role="target",
    asks=r"`of: C`",
    answer=('name: "nbp"', 'name: "nbp", of: C'),
    months=("1701-01", "1701-02"),
    want={"flux": ([-1, 2], 0)},
    says="asks whether the mass is of C or of CO2; uptake",
    state="`of: C`",
)
def nbp_of_what(folder: Path) -> Path:
    return _trendy(folder / "mymodel_nbp.nc", [CARBON * 1e-9, -2 * CARBON * 1e-9])


def write_cmip6(folder: Path, name: str = "nbp", land: bool = False) -> Path:
    """Write the CMOR layout: bounds of all axes, fill 1e20, noleap; `land`: the share of land."""
    dims: dict[str, int | None] = {"lat": LAT.size, "lon": LON.size, "bnds": 2, "time": None}
    time = {**since("1850-01-01", "noleap"), "bounds": "time_bnds", "axis": "T"}
    edges = np.array([[0, 31], [31, 59]])
    variables: dict[str, Any] = {
        "lat": ("f8", ("lat",), LAT, {**NORTH, "axis": "Y", "bounds": "lat_bnds"}),
        "lon": ("f8", ("lon",), LON % 360, {**EAST, "axis": "X", "bounds": "lon_bnds"}),
        "lat_bnds": ("f8", ("lat", "bnds"), LAT[:, None] + [-0.5, 0.5], {}),
        "lon_bnds": ("f8", ("lon", "bnds"), LON[:, None] % 360 + [-0.5, 0.5], {}),
    }
    fill = {"_FillValue": np.float32(1e20), "missing_value": np.float32(1e20)}
    if land:
        share = np.full((LAT.size, LON.size), 25.0)
        said = {"standard_name": "land_area_fraction", "units": "%", **fill}
        variables["sftlf"] = ("f4", ("lat", "lon"), share, said)
        dims.pop("time")
        path = folder / "sftlf_fx_CanESM5_historical_r1i1p1f1_gn.nc"
        return netcdf(path, dims, variables, {"Conventions": "CF-1.7 CMIP-6.2"})
    variables["time"] = ("f8", ("time",), edges.mean(axis=1), time)
    variables["time_bnds"] = ("f8", ("time", "bnds"), edges, {})
    said = {
        "standard_name": BY_CARBON.format("net_downward"),
        "units": "kg m-2 s-1",
        "cell_methods": "area: mean where land time: mean",
        "cell_measures": "area: areacella",
        **fill,
    }
    values = field([CARBON * 1e-9, -2 * CARBON * 1e-9], LAT, LON)
    variables[name] = ("f4", ("time", "lat", "lon"), values, said)
    path = folder / f"{name}_Lmon_CanESM5_historical_r1i1p1f1_gn_185001-185002.nc"
    return netcdf(path, dims, variables, {"Conventions": "CF-1.7 CMIP-6.2"})


@layout(
    "CMIP6 `nbp` (`area: mean where land`)",
    role="target",
    asks="land_fraction: NAME",
    answer=('name: "nbp"', 'name: "nbp", land_fraction: 1'),
    months=("1850-01", "1850-02"),
    want={"flux": ([-1, 2], 0)},
    says="asks for the share of land in the cell",
    state="`land_fraction: sftlf` and its file, or 1",
)
def cmip6_nbp(folder: Path) -> Path:
    return write_cmip6(folder).rename(folder / "nbp.nc")


@layout(
    "CMIP6 `nbp` under its CMOR name",
    role="reference",
    asks="'sftlf' is not in the files.*Add its file to urlpath",
    answer=("land_fraction: sftlf", "land_fraction: 1"),
    months=("1850-01", "1850-02"),
    want={"flux": ([-1, 2], 0)},
    says="asks for the file of `sftlf`, the share of land",
    state="its path in `urlpath`",
)
def cmip6_nbp_by_name(folder: Path) -> Path:
    return write_cmip6(folder)


@layout(
    "C4MIP `netAtmosLandCO2Flux`",
    role="target",
    months=MONTHS,
    want={"flux": ([-1, 2], 0)},
    says="right: uptake by its standard name",
)
def c4mip(folder: Path) -> Path:
    values = [CARBON * 1e-9, -2 * CARBON * 1e-9]
    said = {"units": "kg m-2 s-1", "standard_name": BY_CARBON.format("net_downward")}
    return plain(folder / "netland.nc", {"netAtmosLandCO2Flux": (values, said)}, TIME)
