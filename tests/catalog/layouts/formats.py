"""Formats, packing, several variables of one quantity, and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
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
    plain,
    shape,
    since,
)

MONTHS = ("2001-01", "2001-02")
TIME = ([15.5, 45.0], since("2001-01-01"))
K = {"units": "K", "standard_name": "air_temperature"}


@layout(
    "`tas`, `tasmin`, `tasmax` in one file",
    months=MONTHS,
    want={
        "temp": ([280, 281], -KELVIN),
        "tasmin": ([270, 271], 0),
        "tasmax": ([290, 291], 0),
    },
    says="`tas` is `temp`; the extremes keep their names",
)
def three_temperatures(folder: Path) -> Path:
    fields = {"tasmax": [290, 291], "tas": [280, 281], "tasmin": [270, 271]}
    variables = {n: (v, {**K, "cell_methods": "time: mean"}) for n, v in fields.items()}
    variables["tasmax"][1]["cell_methods"] = "time: maximum within days time: mean over days"
    return plain(folder / "f.nc", variables, TIME)


@layout(
    "`valid_range` of packed values",
    months=MONTHS,
    want={"ndvi": ([0.5, 0.6], 0)},
    rtol=1e-3,
)
def packed(folder: Path) -> Path:
    dims = {"time": 2, "lat": LAT.size, "lon": LON.size}
    said = {
        "units": "1",
        "scale_factor": 0.0001,
        "add_offset": 0.0,
        "_FillValue": np.int16(-3000),
        "valid_range": np.array([-2000, 10000], "i2"),
    }
    counts = np.rint(field([5000, 6000], LAT, LON)).astype("i2")
    counts[0, 0, 0] = 12000
    variables: dict[str, Any] = {
        "time": ("f8", ("time",), *TIME),
        "lat": ("f8", ("lat",), LAT, NORTH),
        "lon": ("f8", ("lon",), LON, EAST),
        "ndvi": ("i2", ("time", "lat", "lon"), counts, said),
    }
    return netcdf(folder / "f.nc", dims, variables, raw=("ndvi",))


@layout("CMIP6 `pr` (kg m-2 s-1)", months=MONTHS, want={"precip": ([1, 2], 0)})
def rain_rate(folder: Path) -> Path:
    said = {"units": "kg m-2 s-1", "standard_name": "precipitation_flux"}
    return plain(folder / "f.nc", {"pr": ([1 / DAY, 2 / DAY], said)}, TIME)


@layout(
    "sums of months (`time: sum`, mm)",
    months=MONTHS,
    want={"precip": ([1, 2], 0)},
    says="right: `mm month-1`, as cell_methods says",
)
def monthly_sums(folder: Path) -> Path:
    said = {"units": "mm", "cell_methods": "time: sum"}
    return plain(folder / "f.nc", {"pr": ([31, 56], said)}, TIME)


@layout(
    "precipitation in mm, step unsaid",
    asks="UNKNOWN",
    answer=("units: UNKNOWN", "units: mm day-1"),
    months=MONTHS,
    want={"precip": ([1, 2], 0)},
    says="asks over which step the mm are",
    state="`units: mm day-1` or `mm month-1`",
)
def millimetres(folder: Path) -> Path:
    return plain(folder / "f.nc", {"pr": ([1, 2], {"units": "mm"})}, TIME)


@layout(
    "an ensemble (axis `member`)",
    months=MONTHS,
    want={"temp": ([280, 281], -KELVIN)},
    says="the first member, said in a comment",
    state="`select: {member: ...}`",
)
def ensemble(folder: Path) -> Path:
    dims = {"member": 3, "time": 2, "lat": LAT.size, "lon": LON.size}
    values = np.stack([field([280 + 5 * m, 281 + 5 * m], LAT, LON) for m in range(3)])
    variables: dict[str, Any] = {
        "member": ("i4", ("member",), [1, 2, 3], {"long_name": "member"}),
        "time": ("f8", ("time",), *TIME),
        "lat": ("f8", ("lat",), LAT, NORTH),
        "lon": ("f8", ("lon",), LON, EAST),
        "tas": ("f8", tuple(dims), values, K),
    }
    return netcdf(folder / "f.nc", dims, variables)


@layout("NetCDF without a suffix", months=MONTHS, want={"temp": ([280, 281], -KELVIN)})
def no_suffix(folder: Path) -> Path:
    return plain(folder / "a.nc", {"tas": ([280, 281], K)}, TIME).rename(folder / "tas_2001")


@layout("Zarr", months=MONTHS, want={"temp": ([280, 281], -KELVIN)})
def zarr(folder: Path) -> Path:
    with xr.open_dataset(plain(folder / "a.nc", {"tas": ([280, 281], K)}, TIME)) as ds:
        ds.load().to_zarr(folder / "f.zarr", zarr_format=2)
    return folder / "f.zarr"


@layout(
    "temperature and dew point",
    months=MONTHS,
    want={"temp": ([10, 20], 0), "dewp": ([5, 6], 0)},
    says="right: relative humidity and vapour pressure deficit derived",
)
def dew_point(folder: Path) -> Path:
    dew = {"units": "degC", "standard_name": "dew_point_temperature"}
    air = {"units": "Celsius", "standard_name": "air_temperature"}
    return plain(folder / "f.nc", {"a": ([10, 20], air), "b": ([5, 6], dew)}, TIME)


@layout("units written out", months=MONTHS, want={"R_sw": ([100, 200], 0)})
def spelled(folder: Path) -> Path:
    return plain(folder / "f.nc", {"rsds": ([100, 200], {"units": "Watts/m^2"})}, TIME)


@layout(
    "a unit that nobody knows",
    months=MONTHS,
    want={"greenness": ([100, 200], 0)},
    says="passes through under its own name",
)
def unknown_unit(folder: Path) -> Path:
    return plain(folder / "f.nc", {"greenness": ([100, 200], {"units": "furlong index"})}, TIME)


def table(path: Path, head: str, keys: list[tuple[Any, ...]], values: list[float]) -> Path:
    """Write a row a cell and month; the column at -97.5 is absent, as at sea."""
    rows = [
        ",".join(map(str, [lon, lat, *key, value * float(shape(lat, lon))]))
        for key, value in zip(keys, values, strict=True)
        for lat in LAT
        for lon in LON
        if lon != -97.5
    ]
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


TABLE = {
    "role": "target",
    "asks": "UNKNOWN",
    "answer": ("units: UNKNOWN", "units: umol m-2 s-1"),
    "months": MONTHS,
    "want": {"flux": ([1, -2], 0)},
    "says": "asks the unit; absent cells keep their place",
    "state": "`units:`",
}


@layout("CSV with dates, absent cells", **TABLE)
def csv_dates(folder: Path) -> Path:
    keys = [("2001-01-15",), ("2001-02-15",)]
    return table(folder / "f.csv", "lon,lat,date,nee", keys, [1, -2])


@layout("CSV with columns of year and month", **TABLE)
def csv_year_month(folder: Path) -> Path:
    return table(folder / "f.csv", "lon,lat,year,month,nee", [(2001, 1), (2001, 2)], [1, -2])


@layout("CSV with YYYYMM", **TABLE)
def csv_yyyymm(folder: Path) -> Path:
    return table(folder / "f.csv", "lon,lat,yyyymm,nee", [(200101,), (200102,)], [1, -2])


@layout(
    "ESRI ASCII grid",
    asks="UNKNOWN",
    answer=("units: UNKNOWN", "units: '1'"),
    months=("2001-02",),
    want={"band_data": ([5], 0)},
    says="asks the unit; month from the name",
    state="name and `units:`",
)
def esri_ascii(folder: Path) -> Path:
    head = {"ncols": LON.size, "nrows": LAT.size, "xllcorner": -100, "yllcorner": 40}
    head |= {"cellsize": 1, "NODATA_value": -9999}
    rows = field(5.0, LAT, LON)[::-1]
    lines = [f"{key} {value}" for key, value in head.items()]
    lines += [" ".join(f"{value:.8f}" for value in row) for row in rows]
    path = folder / "lai_2001-02.asc"
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path


@layout(
    "a count without unit beside a variable",
    months=MONTHS,
    want={"precip": ([1, 2], 0)},
    says="right; the count as a comment, since its unit is not known",
)
def count_beside(folder: Path) -> Path:
    rain = {"units": "mm/day", "long_name": "precipitation"}
    count = {"long_name": "count of non-missing values"}
    fields = {"precip": ([1, 2], rain), "valid_yr_count": ([30, 30], count)}
    return plain(folder / "f.nc", fields, TIME)


@layout(
    "EASE-Grid 2.0 (projected axes)",
    months=MONTHS,
    want={"sif": ([1, 2], 0)},
)
def projected(folder: Path) -> Path:
    from pyproj import CRS, Transformer

    x, y = 1e6 + np.arange(6) * 1e5, -1e6 - np.arange(4) * 1e5
    crs = CRS("EPSG:6931")
    to = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    lon, lat = to.transform(*np.meshgrid(x, y))
    values = np.multiply.outer([1.0, 2.0], shape(lat, lon))
    dims = ("time", "y", "x")
    ds = xr.Dataset(
        {
            "sif": (dims, values, {"units": "mW m-2 nm-1 sr-1", "grid_mapping": "crs"}),
            "crs": ((), 0, crs.to_cf()),
        },
        coords={
            "time": ("time", [15.5, 45.0], since("2001-01-01")),
            "y": ("y", y, {"units": "m", "standard_name": "projection_y_coordinate"}),
            "x": ("x", x, {"units": "m", "standard_name": "projection_x_coordinate"}),
        },
    )
    ds.to_netcdf(folder / "f.nc")
    return folder / "f.nc"


def _with_bounds(path: Path, name: str, values: list[float], said: dict[str, Any]) -> Path:
    dims = {"time": 2, "lat": LAT.size, "lon": LON.size, "bnds": 2}
    variables: dict[str, Any] = {
        "time": ("f8", ("time",), TIME[0], {**TIME[1], "bounds": "time_bnds"}),
        "time_bnds": ("f8", ("time", "bnds"), [[0, 31], [31, 59]], {}),
        "lat": ("f8", ("lat",), LAT, NORTH),
        "lon": ("f8", ("lon",), LON, EAST),
        name: ("f8", ("time", "lat", "lon"), field(values, LAT, LON), said),
    }
    return netcdf(path, dims, variables)


@layout(
    "mm with bounds of months",
    months=MONTHS,
    want={"precip": ([1, 2], 0)},
    says="right: `mm month-1`, as the bounds say",
)
def bounded_millimetres(folder: Path) -> Path:
    return _with_bounds(folder / "f.nc", "pr", [31, 56], {"units": "mm"})


@layout(
    "mm, `time: mean`, with bounds of months",
    asks="UNKNOWN",
    answer=("units: UNKNOWN", "units: mm day-1"),
    months=MONTHS,
    want={"precip": ([1, 2], 0)},
    says="asks which totals were averaged",
    state="`units: mm day-1`",
)
def mean_of_totals(folder: Path) -> Path:
    said = {"units": "mm", "cell_methods": "time: mean"}
    return _with_bounds(folder / "f.nc", "pr", [1, 2], said)


@layout(
    "E-OBS `tg`, `tn`, `tx`",
    months=MONTHS,
    want={"temp": ([10, 11], 0), "tn": ([5, 6], 0), "tx": ([15, 16], 0)},
    says="`tg` is `temp`; the extremes keep their names",
)
def e_obs(folder: Path) -> Path:
    names = {"tn": ("minimum", [5, 6]), "tx": ("maximum", [15, 16]), "tg": ("mean", [10, 11])}
    variables: dict[str, Any] = {
        name: (
            values,
            {
                "units": "Celsius",
                "standard_name": "air_temperature",
                "long_name": f"{kind} temperature",
            },
        )
        for name, (kind, values) in names.items()
    }
    return plain(folder / "f.nc", variables, TIME)


@layout(
    "`ta` on levels of pressure",
    months=MONTHS,
    want={"ta": ([280, 281], 0)},
    says="a variable of its own, the first level, said in a comment; not `temp`",
    state="`select: {plev: ...}`",
)
def aloft(folder: Path) -> Path:
    dims = {"time": 2, "plev": 2, "lat": LAT.size, "lon": LON.size}
    values = np.stack([field([280, 281], LAT, LON), field([250, 251], LAT, LON)], axis=1)
    variables: dict[str, Any] = {
        "time": ("f8", ("time",), *TIME),
        "plev": ("f8", ("plev",), [85000, 50000], {"units": "Pa", "standard_name": "air_pressure"}),
        "lat": ("f8", ("lat",), LAT, NORTH),
        "lon": ("f8", ("lon",), LON, EAST),
        "ta": ("f8", tuple(dims), values, K),
    }
    return netcdf(folder / "f.nc", dims, variables)
