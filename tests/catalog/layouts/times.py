"""Time axes as they are found: counted, spelled, in names, of climatologies and of other steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from catalog.layouts.layout import EAST, LAT, LON, NORTH, field, layout, netcdf, plain, since

UMOL = {"units": "umol m-2 s-1"}
YEAR_OF = tuple(range(1, 13))
MONTH_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def flux(path: Path, values: Any, time: tuple[Any, dict[str, Any]] | None, **said: Any) -> Path:
    """Write ``nee`` in the unit of the house."""
    return plain(path, {"nee": (values, UMOL)}, time, **said)


@layout(
    "`months since` a date",
    role="target",
    months=("2000-07", "2000-08", "2000-09"),
    want={"flux": ([1, 2, 3], 0)},
)
def months_since(folder: Path) -> Path:
    return flux(folder / "f.nc", [1, 2, 3], ([0.5, 1.5, 2.5], {"units": "months since 2000-07-01"}))


@layout("YYYYMM", role="target", months=("2000-12", "2001-01"), want={"flux": ([1, 2], 0)})
def yyyymm(folder: Path) -> Path:
    return flux(folder / "f.nc", [1, 2], ([200012, 200101], {}), kind="i4")


@layout(
    "YYYYMMDD (`day as %Y%m%d.%f`)",
    role="target",
    months=("2000-12", "2001-01"),
    want={"flux": ([1, 2], 0)},
)
def yyyymmdd(folder: Path) -> Path:
    return flux(folder / "f.nc", [1, 2], ([20001216, 20010116], {"units": "day as %Y%m%d.%f"}))


@layout("decimal years", role="target", months=("2000-12", "2001-01"), want={"flux": ([1, 2], 0)})
def decimal_years(folder: Path) -> Path:
    return flux(folder / "f.nc", [1, 2], ([2000.9583, 2001.0417], {"units": "decimal years"}))


@layout(
    "climatology of the year 0 (GPCP, `ltm`)",
    months=YEAR_OF,
    want={"precip": ([float(m) for m in YEAR_OF], 0)},
)
def year_zero(folder: Path) -> Path:
    days = np.cumsum([0, *MONTH_DAYS[:-1]])
    said = {"units": "mm/day", "long_name": "Long Term Mean"}
    time = (days - 657072 - 15, {"units": "days since 1800-01-01 00:00:0.0"})
    return plain(folder / "precip.mon.ltm.nc", {"precip": (list(YEAR_OF), said)}, time)


@layout(
    "climatology that begins in October",
    months=YEAR_OF,
    want={"ndvi": ([m / 20 for m in YEAR_OF], 0)},
)
def october(folder: Path) -> Path:
    order = np.roll(YEAR_OF, 3)
    days = np.cumsum([0, *MONTH_DAYS[order - 1][:-1]]) + 15
    time = (days, {**since("2001-10-01"), "climatology": "climatology_bnds"})
    return plain(folder / "f.nc", {"ndvi": (order / 20, {"units": "1"})}, time)


@layout(
    "yearly means",
    role="target",
    asks="found one for 36[56]",
    says="refused: a month cannot be made of years",
    state="monthly data",
)
def yearly(folder: Path) -> Path:
    return flux(folder / "f.nc", [1, 2, 3], ([182, 547, 912], since("2001-01-01")))


@layout(
    "seasonal means (`cdo seasmean`)",
    role="target",
    asks=r"found one for 9\d",
    says="refused: a month cannot be made of seasons",
    state="monthly data",
)
def seasonal(folder: Path) -> Path:
    return flux(folder / "f.nc", [1, 2, 3, 4], ([15, 105, 197, 289], since("2001-01-01")))


@layout(
    "daily",
    role="target",
    months=("2001-01", "2001-02"),
    want={"flux": ([1, 2], 0)},
    says="right: averaged to months (`monthly_mean: 0.9`)",
)
def daily(folder: Path) -> Path:
    days = np.arange(59)
    return flux(folder / "f.nc", np.where(days < 31, 1, 2), (days + 0.5, since("2001-01-01")))


@layout(
    "3-hourly",
    role="target",
    months=("2001-01", "2001-02"),
    want={"flux": ([1, 2], 0)},
    says="right: averaged to months (`monthly_mean: 0.9`)",
)
def three_hourly(folder: Path) -> Path:
    hours = np.arange(59 * 8) * 3 + 1.5
    values = np.where(hours < 31 * 24, 1, 2)
    return flux(folder / "f.nc", values, (hours, since("2001-01-01", unit="hours")))


@layout(
    "five days of a month",
    role="target",
    asks="no valid value.*of a month",
    says="all values are missing; `check` says so",
    state="the other days, or a lower `monthly_mean`",
)
def five_days(folder: Path) -> Path:
    return flux(folder / "f.nc", [1] * 5, (np.arange(5) + 0.5, since("2001-01-01")))


@layout("scalar time", role="target", months=("2001-03",), want={"flux": ([3], 0)})
def scalar_time(folder: Path) -> Path:
    with xr.open_dataset(flux(folder / "a.nc", [3], ([75], since("2001-01-01")))) as ds:
        one = ds.isel(time=0).load()
    one.encoding = {}
    one.to_netcdf(folder / "f.nc")
    return folder / "f.nc"


@layout(
    "month in the name of the file alone",
    role="target",
    months=("2001-03",),
    want={"flux": ([3], 0)},
)
def named(folder: Path) -> Path:
    return flux(folder / "nee_1x1.2001.03.nc", 3, None)


@layout(
    "name that looks like a month and is none",
    months=(),
    want={"ndvi": ([0.5], 0)},
    says="static: no month is read from `2000_10km`",
    state="`time:` where it is of a month",
)
def not_a_month(folder: Path) -> Path:
    return plain(folder / "ndvi_2000_10km.nc", {"ndvi": (0.5, {"units": "1"})}, None)


@layout("noleap", role="target", months=("2004-02", "2004-03"), want={"flux": ([1, 2], 0)})
def noleap(folder: Path) -> Path:
    return flux(folder / "f.nc", [1, 2], ([45, 74], since("2004-01-01", "noleap")))


@layout("360_day", role="target", months=("2004-02", "2004-03"), want={"flux": ([1, 2], 0)})
def days_360(folder: Path) -> Path:
    return flux(folder / "f.nc", [1, 2], ([45, 75], since("2004-01-01", "360_day")))


@layout(
    "stamps at the end of months, with bounds",
    role="target",
    months=("2001-01", "2001-02"),
    want={"flux": ([1, 2], 0)},
)
def ends_of_months(folder: Path) -> Path:
    dims = {"time": 2, "lat": LAT.size, "lon": LON.size, "nv": 2}
    time = {**since("2001-01-01"), "bounds": "time_bnds"}
    variables: dict[str, Any] = {
        "time": ("f8", ("time",), [31, 59], time),
        "time_bnds": ("f8", ("time", "nv"), [[0, 31], [31, 59]], {}),
        "lat": ("f8", ("lat",), LAT, NORTH),
        "lon": ("f8", ("lon",), LON, EAST),
        "nee": ("f8", ("time", "lat", "lon"), field([1, 2], LAT, LON), UMOL),
    }
    return netcdf(folder / "f.nc", dims, variables)


@layout(
    "WRF `wrfout`: `Times`, `XLAT` with time",
    months=("2001-01", "2001-02"),
    want={"temp": ([280, 281], -273.15), "pres": ([950, 960], 0)},
)
def wrf(folder: Path) -> Path:
    dims = {
        "Time": None,
        "DateStrLen": 19,
        "south_north": LAT.size,
        "west_east": LON.size,
    }
    lat, lon = (np.stack([a, a]) for a in np.meshgrid(LAT, LON, indexing="ij"))
    texts = np.array([list("2001-01-16_00:00:00"), list("2001-02-15_00:00:00")], "S1")
    along = ("Time", "south_north", "west_east")
    where = {"coordinates": "XLONG XLAT XTIME"}
    variables: dict[str, Any] = {
        "Times": ("S1", ("Time", "DateStrLen"), texts, {}),
        "XLAT": ("f4", along, lat, {"units": "degree_north", "description": "LATITUDE"}),
        "XLONG": ("f4", along, lon, {"units": "degree_east", "description": "LONGITUDE"}),
        "T2": ("f4", along, field([280, 281], LAT, LON), {"units": "K", **where}),
        "PSFC": ("f4", along, field([95000, 96000], LAT, LON), {"units": "Pa", **where}),
    }
    return netcdf(folder / "wrfout_d01.nc", dims, variables, {"TITLE": "OUTPUT FROM WRF V4.4"})


@layout(
    "months along an axis without dates",
    role="target",
    asks="nmonth",
    says="asks what the axis is: no first month is taken",
    state="dates in the file, or `select`",
)
def undated(folder: Path) -> Path:
    dims = {"nmonth": 3, "lat": LAT.size, "lon": LON.size}
    variables: dict[str, Any] = {
        "lat": ("f8", ("lat",), LAT, NORTH),
        "lon": ("f8", ("lon",), LON, EAST),
        "nee": ("f8", tuple(dims), field([1, 2, 3], LAT, LON), UMOL),
    }
    return netcdf(folder / "f.nc", dims, variables)


@layout(
    "day in the name of the file alone",
    asks="expected the month of the file, found UNKNOWN",
    answer=("time: UNKNOWN", 'time: "2018-09"'),
    months=("2018-09",),
    want={"temp": ([280], -273.15)},
    says="asks which month it stands for",
    state='`time: "2018-09"`',
)
def day_in_the_name(folder: Path) -> Path:
    return plain(folder / "t2m_2018-09-17.nc", {"t2m": (280, {"units": "K"})}, None)


@layout(
    "no date anywhere",
    months=(),
    want={"soil": ([5], 0)},
    says="static: one field for all months, said in a comment",
    state="`time:` where it is of a month",
)
def no_date(folder: Path) -> Path:
    return plain(folder / "soil.nc", {"soil": (5, {"units": "mm"})}, None)
