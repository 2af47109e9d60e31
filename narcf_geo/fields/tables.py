"""Tables of points as rasters: a row is a cell centre, and a month where the table has time."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.errors import NarcfError, TimeError
from narcf_geo.core.sizes import require_room
from narcf_geo.grid.coordinates import LAT_ATTRS, LON_ATTRS

_NAMES = {
    "lon": ("lon", "longitude", "x"),
    "lat": ("lat", "latitude", "y"),
    "time": ("time", "date", "yearmonth", "yyyymm"),
}


def raster_of(path: Path, **csv_kwargs: Any) -> xr.Dataset:
    """Read a table of points.

    Parameters
    ----------
    path : Path
        A CSV file with columns of longitude and latitude, optionally a date or YYYYMM, or a year
        and a month.
    **csv_kwargs
        For `pandas.read_csv`.

    Returns
    -------
    xarray.Dataset
        (time, lat, lon) or (lat, lon): NaN where the table has no row. Rows and columns of cells
        that are absent altogether, such as those at sea, are filled in.

    Raises
    ------
    NarcfError
        When there are no positions, a point stands there twice, or a date cannot be read.
    """
    table = pd.read_csv(path, **csv_kwargs)
    whole = ends_with_a_line(path)
    if not whole and len(table.columns) > 1 and table.iloc[-1:].iloc[:, -1].isna().any():
        raise cut_short(path, "whose last line lacks a value")
    columns = {str(c).lower(): c for c in table.columns}
    found = {
        name: next((columns[n] for n in names if n in columns), None)
        for name, names in _NAMES.items()
    }
    if found["lon"] is None or found["lat"] is None:
        raise NarcfError(
            f"{path}: expected columns of longitude ({', '.join(_NAMES['lon'])}) and latitude "
            f"({', '.join(_NAMES['lat'])}), found {', '.join(map(str, table.columns))}"
        )
    keys = ["lat", "lon"]
    table = table.rename(columns={old: new for new, old in found.items() if old is not None})
    if found["time"] is None and {"year", "month"} <= set(columns):
        year, month = table.pop(columns["year"]), table.pop(columns["month"])
        table["time"] = 100 * year.astype(int) + month.astype(int)
    if found["time"] is None and "month" in columns and "year" not in columns:
        month = table[columns["month"]]
        if not pd.api.types.is_numeric_dtype(month):  # such as 2001-07
            table["time"] = table.pop(columns["month"])
    for name in ("lat", "lon"):
        _require_numbers(table[name], path)
    if "time" in table:
        table["time"] = _dates(table["time"], path)
        keys = ["time", *keys]
    _require_cells(table[["lat", "lon"]].drop_duplicates(), path)
    twice = table.duplicated(keys)
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        again = ", ".join(f"{key} {table[key].iloc[row]}" for key in keys)
        raise NarcfError(
            f"{path}: expected one row a point, found {again} again in data row {row + 1}; average "
            "or remove the repeated rows"
        )
    if not whole and "time" in keys:
        rows = table.groupby("time", sort=False).size()
        if rows.iloc[-1] < rows.iloc[:-1].to_numpy().min(initial=len(table)):
            raise cut_short(path, f"whose last month has {rows.iloc[-1]} rows, fewer than others")
    axes = {n: _filled(np.unique(table[n].to_numpy()), path) for n in ("lat", "lon")}
    months = table["time"].nunique() if "time" in keys else 1
    cells = axes["lat"].size * axes["lon"].size * months
    width = 8 * max(len(table.columns) - len(keys), 1)
    require_room(cells * width, f"{path}: a raster of {cells:,} cells for its points")
    raster: xr.Dataset = table.set_index(keys).to_xarray()
    raster = raster.reindex(axes)
    raster["lat"].attrs, raster["lon"].attrs = dict(LAT_ATTRS), dict(LON_ATTRS)
    return raster


def ends_with_a_line(path: Path) -> bool:
    """Return whether the last line of a file has an end, as all have that programs write."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        if not file.tell():
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) in b"\r\n"


def cut_short(path: Path, found: str) -> NarcfError:
    """Return the error of a table that ends in the middle of a line."""
    return NarcfError(
        f"{path}: expected a whole table, found one without an end of line at its end {found}; is "
        "the file cut short? If not, end its last line"
    )


def _require_numbers(column: pd.Series, path: Path) -> None:
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero(~np.isfinite(numbers.to_numpy("float64")))
    if wrong.size or not pd.api.types.is_numeric_dtype(column):
        row = int(wrong[0]) if wrong.size else 0
        raise NarcfError(
            f"{path}: expected a number as {column.name} in each row, found {column.iloc[row]} "
            f"in data row {row + 1}; correct or remove the row"
        )


def _require_cells(points: pd.DataFrame, path: Path) -> None:
    """Refuse sites, which share hardly any latitude or longitude with one another."""
    distinct = max(points["lat"].nunique(), points["lon"].nunique())
    if 8 <= len(points) < 1.5 * distinct:
        raise NarcfError(
            f"{path}: expected the centres of the cells of a grid, found {len(points)} points at "
            f"{distinct} different latitudes or longitudes, as sites have; grid them first"
        )


def _dates(column: pd.Series, path: Path) -> pd.Series:
    """Return dates; numbers stay, for the month axis to read."""
    if pd.api.types.is_numeric_dtype(column):
        return column
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Could not infer format")
            return pd.to_datetime(column)
    except ValueError as error:
        raise TimeError(
            f"{path}: expected dates such as 2001-07-16 in the column of time ({error})"
        ) from None


def _filled(axis: np.ndarray, path: Path) -> np.ndarray:
    """Return an axis with the values that lack between others a whole number of steps apart."""
    steps = np.diff(axis)
    if steps.size == 0:
        return axis
    number = steps / steps.min()
    if (np.abs(number - np.rint(number)) > 1e-3).any() or (np.rint(number) == 1).all():
        return axis
    require_room(16 * number.sum(), f"{path}: an axis of {number.sum():,.0f} cells for its points")
    parts = [
        np.linspace(a, b, int(n), endpoint=False)
        for a, b, n in zip(axis[:-1], axis[1:], np.rint(number), strict=True)
    ]
    return np.concatenate([*parts, axis[-1:]])
