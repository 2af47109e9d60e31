"""What may be wrong within a gridded file: each function returns the field with one defect."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

Change = Callable[[xr.Dataset], xr.Dataset]


def _axis(name: str, values: Any, **attrs: str) -> Change:
    """Give an axis other values, or other attributes."""

    def change(ds: xr.Dataset) -> xr.Dataset:
        given = values(ds[name].values) if callable(values) else values
        return ds.assign_coords({name: (name, given, {**ds[name].attrs, **attrs})})

    return change


def _at(place: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        return np.where(np.arange(values.size) == place, value, values)

    return change


def _values(change: Callable[[np.ndarray], Any]) -> Change:
    """Give the flux other values."""
    return lambda ds: ds.assign(nee=(ds["nee"].dims, change(ds["nee"].values), ds["nee"].attrs))


def _said(**attrs: Any) -> Change:
    """Let the flux say something of itself; ... takes it back."""

    def change(ds: xr.Dataset) -> xr.Dataset:
        kept = {k: v for k, v in {**ds["nee"].attrs, **attrs}.items() if v is not ...}
        ds["nee"].attrs = kept
        return ds

    return change


def _bounds(name: str, values: Callable[[np.ndarray], Any], dims: tuple[str, ...] = ()) -> Change:
    def change(ds: xr.Dataset) -> xr.Dataset:
        ds[name].attrs["bounds"] = f"{name}_bnds"
        bounds = (dims or (name, "bnds"), values(ds[name].values))
        return ds.assign({f"{name}_bnds": bounds})

    return change


def _time(values: Any, units: str = "days since 2007-01-01", **attrs: str) -> Change:
    said = {"units": units, "standard_name": "time", **attrs}
    return lambda ds: ds.assign_coords(
        time=("time", values(ds.sizes["time"]) if callable(values) else values, said)
    )


def _time_bounds(first: int, last: int) -> Change:
    """Give each month bounds that many days after its stamp."""

    def change(ds: xr.Dataset) -> xr.Dataset:
        days = np.array([first, last], "timedelta64[D]")
        ds["time"].attrs["bounds"] = "time_bnds"
        return ds.assign(time_bnds=(("time", "bnds"), ds["time"].values[:, None] + days))

    return change


def _opened(path: Path) -> xr.Dataset:
    if path.is_dir():
        return xr.open_zarr(path, consolidated=False)
    return xr.open_dataset(path, engine="netcdf4")


def _in_file(change: Change) -> Callable[[Path], None]:
    """Return what makes a change to the fields of a NetCDF file or Zarr store."""

    def rewrite(path: Path) -> None:
        with _opened(path) as ds:
            changed = change(ds.load().drop_encoding())
        if path.is_dir():
            shutil.rmtree(path)
            changed.to_zarr(path, zarr_format=2, consolidated=False)
        else:
            changed.to_netcdf(path, engine="netcdf4")

    return rewrite


def _stored(**attrs: Any) -> Callable[[Path], None]:
    """Give the flux attributes by NetCDF's own library, which checks less than xarray does."""

    def rewrite(path: Path) -> None:
        with netCDF4.Dataset(path, "a") as file:
            file["nee"].setncatts(attrs)

    return rewrite


Defects = dict[str, tuple[Callable[[Path], None], str]]
"""By what a defect is called: what makes it in a file, and words of the message."""


def _all(*defects: tuple[str, Change, str]) -> Defects:
    return {name: (_in_file(change), words) for name, change, words in defects}


NO_PLACE = "expected latitudes? and longitudes?"
TURNS = "to rise or fall throughout|expected each (latitude|longitude) once"

PLACES = _all(
    ("no latitude", lambda ds: ds.drop_vars("lat"), NO_PLACE),
    ("no longitude", lambda ds: ds.drop_vars("lon"), NO_PLACE),
    ("no place", lambda ds: ds.drop_vars(["lat", "lon"]), NO_PLACE),
    ("latitude beyond 90", _axis("lat", lambda v: v + 60), "'lat' within -90..90 degrees, found"),
    ("latitude below -90", _axis("lat", lambda v: v - 140), "'lat' within -90..90 degrees, found"),
    ("latitude twice", _axis("lat", _at(4, 47.5)), TURNS),
    ("longitude twice", _axis("lon", _at(4, -106.5)), TURNS),
    ("latitude all one", _axis("lat", lambda v: 0 * v + 45), TURNS),
    ("latitude NaN", _axis("lat", _at(3, np.nan)), "found nan"),
    ("longitude NaN", _axis("lon", _at(3, np.nan)), "found nan"),
    ("latitude infinite", _axis("lat", _at(0, np.inf)), "found inf"),
    ("longitude infinite", _axis("lon", _at(11, np.inf)), "found inf"),
    ("latitude text", _axis("lat", lambda v: v.astype(str)), NO_PLACE),
    ("longitude text", _axis("lon", lambda v: v.astype(str)), NO_PLACE),
    (
        "longitude spans 720",
        _axis("lon", lambda v: np.linspace(-180, 540, v.size)),
        "go round the globe once|found -180 twice",
    ),
    ("longitude of 1e9", _axis("lon", lambda v: v + 1e9), "within -720..720 degrees"),
    ("latitude in metres", _axis("lat", lambda v: v * 1e5, units="m"), "degrees or radians"),
    ("latitude in kelvin", _axis("lat", lambda v: v, units="K"), "degrees or radians"),
    ("no column", lambda ds: ds.isel(lon=slice(0)), "found none along 'lon'"),
    ("no row", lambda ds: ds.isel(lat=slice(0)), "found none along 'lat'"),
    ("one row", lambda ds: ds.isel(lat=slice(1)), "bounds for coordinate 'lat'"),
    ("one column", lambda ds: ds.isel(lon=slice(1)), "bounds for coordinate 'lon'"),
    (
        "bounds of another length",
        _bounds("lat", lambda v: np.zeros((v.size + 1, 2)), ("q", "bnds")),
        "two bounds of each of 10 cells",
    ),
    (
        "bounds of three",
        _bounds("lat", lambda v: np.stack([v - 1, v, v + 1], 1)),
        "two bounds of each of 10 cells",
    ),
    (
        "bounds as text",
        _bounds("lon", lambda v: np.full((v.size, 2), "x")),
        "two bounds of each of 12 cells.*found text",
    ),
    (
        "bounds elsewhere",
        _bounds("lat", lambda v: np.stack([v + 9.5, v + 10.5], 1)),
        "each value of 'lat' within its bounds",
    ),
    (
        "bounds NaN",
        _bounds("lon", lambda v: np.full((v.size, 2), np.nan)),
        "expected finite bounds",
    ),
    (
        "bounds that overlap",
        _bounds("lon", lambda v: np.stack([v - 3, v + 3], 1)),
        "bounds of 'lon' to join",
    ),
    (
        "bounds all one",
        _bounds("lat", lambda v: np.full((v.size, 2), 45.0)),
        "each value of 'lat' within its bounds",
    ),
)
"""Where the cells are."""

VALUES = _all(
    ("no variable", lambda ds: ds.drop_vars("nee"), "field of numbers"),
    ("text", _values(lambda v: v.astype("S4").astype(str)), "field of numbers"),
    ("a number alone", lambda ds: ds.assign(nee=((), 3.0)), "field of numbers"),
    ("a row alone", lambda ds: ds.isel(lon=0, time=0, drop=True), NO_PLACE),
    ("rows without latitude", lambda ds: ds.rename_dims(lat="q").drop_vars("lat"), NO_PLACE),
    ("no month at all", lambda ds: ds.isel(time=slice(0)), "found none along 'time'"),
)
"""What is in the cells."""

PACKED: Defects = {
    name: (_stored(**attrs), f"variable 'nee': expected .* as {next(iter(attrs))}, found")
    for name, attrs in {
        "scale as text": {"scale_factor": "big"},
        "scale NaN": {"scale_factor": np.nan},
        "scale infinite": {"scale_factor": np.inf},
        "scale zero": {"scale_factor": 0.0},
        "offset as text": {"add_offset": "far"},
        "offset NaN": {"add_offset": np.nan},
        "offset infinite": {"add_offset": -np.inf},
        "missing value as text": {"missing_value": "none"},
        "valid range as text": {"valid_range": "all"},
        "valid range of one": {"valid_range": 3.0},
        "valid range of three": {"valid_range": [0.0, 1.0, 2.0]},
        "valid range NaN": {"valid_range": [np.nan, np.nan]},
        "valid minimum as text": {"valid_min": "low"},
        "valid maximum as text": {"valid_max": "high"},
        "valid minimum NaN": {"valid_min": np.nan},
        "valid maximum of two": {"valid_max": [1.0, 2.0]},
    }.items()
}
PACKED["scale of two"] = _stored(scale_factor=[1.0, 2.0]), "cannot be opened as netcdf"
PACKED["offset of two"] = _stored(add_offset=[1.0, 2.0]), "cannot be opened as netcdf"
"""How the cells are packed: attributes of the variable."""

UNITS = _all(
    ("no unit", _said(units=...), "expected a unit of a CO2 flux.*found none"),
    ("unit not known", _said(units="blorp m-2"), "'blorp m-2' is not understood"),
    ("unit of another quantity", _said(units="K"), "'K' does not convert"),
    ("unit empty", _said(units=" "), "expected a unit of a CO2 flux.*found none"),
    ("unit a number", _said(units=7), "unit '7' is not understood"),
    ("unit without time", _said(units="g m-2"), "'g m-2' does not say of what"),
)
"""The unit, where a flux is needed."""

NO_DATES = "that cannot be dates by its units"

DATES = _all(
    ("months as text", _axis("time", lambda v: [f"month {k}" for k in range(v.size)]), "'month 0'"),
    ("unit of time not known", _time(np.arange, "fortnights since never"), NO_DATES),
    ("days since no date", _time(np.arange, "days since 2007-99-99"), NO_DATES),
    ("calendar not known", _time(np.arange, calendar="mayan"), NO_DATES),
    ("times of 1e30", _time(lambda n: 1e30 * np.arange(n)), NO_DATES),
    (
        "month twice",
        _axis("time", lambda v: np.concatenate([v[:3], v[2:-1]])),
        "each time once, found 2007-03-01",
    ),
    ("a date missing", _axis("time", _at(3, np.datetime64("NaT", "ns"))), "a date for each step"),
    ("times NaN", _time(lambda n: _at(3, np.nan)(30.0 * np.arange(n))), "a date for each step"),
    ("times infinite", _time(lambda n: _at(3, np.inf)(30.0 * np.arange(n))), "each time once"),
)
"""Dates, where they are read."""

MONTHS = DATES | _all(
    ("months that are no dates", lambda ds: ds.assign_coords(time=np.arange(24)), "found int64"),
    ("no month", lambda ds: ds.isel(time=slice(0)), "found no step along time"),
    (
        "time bounds that end first",
        _time_bounds(9, 8),
        "end after they start|-24 hours",
    ),
    ("time bounds of no length", _time_bounds(0, 0), "a value a month|end after they start"),
    ("time bounds of a year", _time_bounds(0, 365), "a value a month, found one for"),
)
"""Months, where there must be some."""

ALONE = MONTHS | _all(("no time", lambda ds: ds.isel(time=0, drop=True), "month"))
"""Months, where a field without them will not do."""

ASCII_GRID: dict[str, tuple[str, str, str]] = {
    "columns as text": ("ncols 12", "ncols twelve", "cannot be opened as ascii"),
    "columns below 0": ("ncols 12", "ncols -12", "rows of"),
    "columns not whole": ("ncols 12", "ncols 11.5", "rows of|whole"),
    "no columns": ("ncols 12\n", "", "rows of"),
    "more rows": ("nrows 10", "nrows 11", "11 rows of 12 columns"),
    "cells of no size": ("cellsize 1\n", "cellsize 0\n", "cell"),
    "cells of size NaN": ("cellsize 1\n", "cellsize nan\n", "cell|finite"),
    "cells beyond the pole": ("cellsize 1\n", "cellsize 30\n", "-90..90"),
    "corner as text": ("xllcorner -110.0", "xllcorner west", "cannot be opened as ascii"),
    "a word among the values": ("\n0.1891", "\nmissing", "cannot be opened as ascii"),
}
"""What is replaced in an ASCII grid, by what, and words."""

TABLE: dict[str, tuple[str, str, str]] = {
    "no latitude": ("time,lat,lon", "time,q,lon", "columns of longitude"),
    "no longitude": ("time,lat,lon", "time,lat,q", "columns of longitude"),
    "a latitude as text": (
        "\n2007-01-01,50.5,",
        "\n2007-01-01,north,",
        "number as lat.*, found north",
    ),
    "a latitude absent": (
        "\n2007-01-01,50.5,",
        "\n2007-01-01,,",
        "number as lat.*, found nan",
    ),
    "a latitude beyond 90": ("\n2007-01-01,50.5,", "\n2007-01-01,950.5,", "-90..90|grid"),
    "a date that is none": ("\n2007-01-01,", "\n2007-99-01,", "expected dates such as"),
    "a row twice": ("-109.5,0.18", "-108.5,0.18", "one row a point"),
    "values as text": ("0.18905338179353307", "much", "field of numbers"),
}
"""What is replaced in a table, by what, and words."""
