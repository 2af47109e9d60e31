"""Files of each format as a dataset with missing values as NaN: the drivers of the catalog."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.errors import NarcfError, UnreadableError

DRIVERS = {
    ".nc": "netcdf",
    ".nc4": "netcdf",
    ".cdf": "netcdf",
    ".zarr": "zarr",
    ".tif": "rasterio",
    ".tiff": "rasterio",
    ".csv": "csv",
    ".grib": "grib",
    ".grib2": "grib",
    ".grb": "grib",
    ".grb2": "grib",
    ".hdf": "hdf4",
    ".asc": "ascii",
    ".txt": "ascii",
}
"""The driver that opens a file, by its suffix."""

_LON_NAMES = ("lon", "longitude", "x")
_LAT_NAMES = ("lat", "latitude", "y")
_LON_ATTRS = {"standard_name": "longitude", "units": "degrees_east"}
_LAT_ATTRS = {"standard_name": "latitude", "units": "degrees_north"}
_MISSING_IN_TEXT = (32767, -9999, -99, -88)
"""What ISLSCP II writes for no data, where a header does not say it."""


@dataclass(frozen=True)
class Opening:
    """What is known of a file before it is opened.

    Attributes
    ----------
    chunks : mapping
        Dask chunks; by default those in which the file is stored.
    xarray_kwargs, csv_kwargs : mapping
        For the library that reads the format.
    decode_times : bool
        False leaves times the numbers that they are in the file.
    classes : bool
        The values are classes: they stay integers, and their nodata value stays.
    wanted : tuple of str
        The data sets to read of a file that holds many; none means all.
    """

    chunks: Mapping[str, int] | None = None
    xarray_kwargs: Mapping[str, Any] = field(default_factory=dict)
    csv_kwargs: Mapping[str, Any] = field(default_factory=dict)
    decode_times: bool = True
    classes: bool = False
    wanted: tuple[str, ...] = ()


def open_format(path: Path, driver: str | None = None, how: Opening | None = None) -> xr.Dataset:
    """Open a file or store lazily, with missing values as NaN.

    Parameters
    ----------
    path : Path
        A file, or the folder of a Zarr store.
    driver : str, optional
        One of `OPENERS`; by default by the suffix.
    how : Opening, optional
        What is known of it.

    Raises
    ------
    UnreadableError
        When there is no such file, or it is not of this format.
    """
    path = Path(path)
    if not path.exists():
        raise UnreadableError(f"{path}: no such file")
    driver = driver or driver_of(path)
    try:
        return OPENERS[driver](path, how or Opening())
    except NarcfError:
        raise
    except Exception as error:  # each engine raises its own kinds for a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableError(
            f"{path}: cannot be opened as {driver} ({reason}); the file may be damaged or "
            "incomplete, or of another format"
        ) from None


def driver_of(path: Path) -> str:
    """Return the driver for a path, by its suffix.

    Raises
    ------
    UnreadableError
        When the suffix is of no known format.

    Examples
    --------
    >>> driver_of(Path("air.nc"))
    'netcdf'
    """
    if path.is_dir():
        return "zarr"
    if path.suffix.lower() not in DRIVERS:
        raise UnreadableError(
            f"{path}: expected a file of a known format, found the suffix {path.suffix!r}; known "
            f"are {', '.join(DRIVERS)}"
        )
    return DRIVERS[path.suffix.lower()]


def open_netcdf(path: Path, how: Opening) -> xr.Dataset:
    """Open a NetCDF file; times that numpy cannot hold become cftime, as they should, quietly."""
    kwargs: dict[str, Any] = {"engine": "netcdf4", **how.xarray_kwargs}
    if not how.decode_times:
        kwargs["decode_times"] = False
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=xr.SerializationWarning)
        return xr.open_dataset(path, chunks=dict(how.chunks or {}), **kwargs)


def open_zarr(path: Path, how: Opening) -> xr.Dataset:
    """Open a Zarr store."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Failed to open Zarr store with consolidated")
        kwargs = {"decode_times": how.decode_times, **how.xarray_kwargs}
        return xr.open_zarr(path, chunks=dict(how.chunks or {}), **kwargs)


def open_grib(path: Path, how: Opening) -> xr.Dataset:
    """Open the messages of a GRIB file that make one grid, by the extra ``grib`` (cfgrib)."""
    _need("cfgrib", path, "grib")
    # ecCodes brings a PROJ of its own; loaded before pyproj's, it breaks every grid mapping.
    import pyproj  # noqa: F401

    backend: dict[str, Any] = {"indexpath": "", **how.xarray_kwargs.get("backend_kwargs", {})}
    kwargs = {k: v for k, v in how.xarray_kwargs.items() if k not in ("engine", "backend_kwargs")}
    ds = xr.open_dataset(
        path,
        engine="cfgrib",
        chunks=dict(how.chunks or {}),
        backend_kwargs=backend,
        decode_times=how.decode_times,
        **kwargs,
    )
    return ds.drop_vars(["step", "valid_time", "number"], errors="ignore")


def open_raster(path: Path, how: Opening) -> xr.Dataset:
    """Open any raster that GDAL reads as ``band_data``; integers keep their type."""
    import rioxarray

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=PendingDeprecationWarning)
        raster = rioxarray.open_rasterio(path, chunks=dict(how.chunks or {}), **how.xarray_kwargs)
    if not isinstance(raster, xr.DataArray):
        raise NarcfError(
            f"{path}: expected a raster with one grid, found several; use "
            "the driver of the format, netcdf or hdf4"
        )
    nodata = raster.rio.nodata
    if not how.classes and nodata is not None:
        attrs = {k: v for k, v in raster.attrs.items() if k != "_FillValue"}
        raster = raster.where(raster != nodata).assign_attrs(attrs)
    # An ellipsoid, such as MCD12C1's Clarke 1866, is of no meaning for cells in degrees.
    crs = raster.rio.crs
    on_globe = abs(raster["x"]).max() <= 360 and abs(raster["y"]).max() <= 90
    if (crs is None and on_globe) or (crs is not None and crs.is_geographic):
        raster = raster.drop_vars("spatial_ref", errors="ignore").rename(x="lon", y="lat")
        raster["lat"].attrs, raster["lon"].attrs = dict(_LAT_ATTRS), dict(_LON_ATTRS)
    return raster.to_dataset(name="band_data")


def open_table(path: Path, how: Opening) -> xr.Dataset:
    """Read a table of points as a raster: a row is a cell centre, and a month where it has time."""
    table = pd.read_csv(path, **how.csv_kwargs)
    columns = {str(c).lower(): c for c in table.columns}
    lon = next((columns[n] for n in _LON_NAMES if n in columns), None)
    lat = next((columns[n] for n in _LAT_NAMES if n in columns), None)
    if lon is None or lat is None:
        raise NarcfError(
            f"{path}: expected columns of longitude ({', '.join(_LON_NAMES)}) and latitude "
            f"({', '.join(_LAT_NAMES)}), found {', '.join(map(str, table.columns))}"
        )
    keys = ["lat", "lon"]
    table = table.rename(columns={lon: "lon", lat: "lat"})
    time = next((columns[n] for n in ("time", "date") if n in columns), None)
    if time is not None:
        table = table.rename(columns={time: "time"})
        table["time"] = pd.to_datetime(table["time"])
        keys = ["time", *keys]
    twice = table.duplicated(keys)
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise NarcfError(
            f"{path}: expected one row a point, found {dict(table[keys].iloc[row])} again in data "
            f"row {row + 1}; average or remove the repeated rows"
        )
    raster: xr.Dataset = table.set_index(keys).to_xarray()
    raster["lat"].attrs, raster["lon"].attrs = dict(_LAT_ATTRS), dict(_LON_ATTRS)
    return raster


def open_ascii(path: Path, how: Opening) -> xr.Dataset:
    """Read a grid of numbers as text, with an ESRI header or, global, without any (ISLSCP II).

    Rows run north to south and, without a header, from 90N 180W.
    """
    text = path.read_text(encoding="ascii")
    header, body = _esri_header(text)
    values = np.array(body.split(), dtype="float64")
    rows, columns = int(header.get("nrows", 0)), int(header.get("ncols", 0))
    if not header:
        rows = round((values.size / 2) ** 0.5)
        columns = 2 * rows
    if values.size != rows * columns or not values.size:
        expected = (
            f"{rows} rows of {columns} columns" if header else "twice as many columns as rows"
        )
        raise NarcfError(
            f"{path}: expected {expected}, found {values.size} values; is the file cut short?"
        )
    size = header.get("cellsize", 360.0 / columns)
    west, south = header.get("xllcorner", -180.0), header.get("yllcorner", -90.0)
    if "xllcenter" in header:
        west, south = header["xllcenter"] - size / 2, header["yllcenter"] - size / 2
    missing = [header["nodata_value"]] if "nodata_value" in header else _MISSING_IN_TEXT
    grid = np.where(np.isin(values, missing), np.nan, values).reshape(rows, columns)
    return _plate_carree({"band_data": (grid, {})}, west, south + rows * size, size)


def _esri_header(text: str) -> tuple[dict[str, float], str]:
    header: dict[str, float] = {}
    while match := re.match(r"\s*([A-Za-z_]+)\s+(\S+)\s*\n", text):
        header[match[1].lower()] = float(match[2])
        text = text[match.end() :]
    return header, text


def open_hdf4(path: Path, how: Opening) -> xr.Dataset:
    """Open the global grids of a MODIS climate modelling file, by the extra ``hdf4`` (pyhdf).

    Each data set becomes a variable of its name; its fill value becomes NaN and its scale is
    applied. MODIS vegetation indices state the inverse of the scale (10000 for 0.0001).
    """
    _need("pyhdf", path, "hdf4")
    import dask
    import dask.array as da
    from pyhdf.SD import SD

    file = SD(str(path))
    fields: dict[str, tuple[Any, dict[str, str]]] = {}
    wanted = set(how.wanted)
    for name, (_, shape, _, _) in file.datasets().items():
        if len(shape) != 2 or shape[1] != 2 * shape[0] or (wanted and name not in wanted):
            continue
        field = file.select(name)
        attrs = field.attributes()
        field.endaccess()
        lazy = da.from_delayed(dask.delayed(_hdf4_values)(str(path), name), shape, "float32")
        fields[name] = (lazy, {"units": str(attrs.get("units", ""))})
    held = sorted(file.datasets())
    file.end()
    if not fields:
        raise NarcfError(
            f"{path}: expected global grids named {', '.join(sorted(wanted)) or 'anything'}, found "
            f"{', '.join(held) or 'no data set'}"
        )
    rows = next(iter(fields.values()))[0].shape[0]
    return _plate_carree(fields, -180.0, 90.0, 180.0 / rows)


def _hdf4_values(path: str, name: str) -> np.ndarray:
    from pyhdf.SD import SD

    file = SD(path)
    field = file.select(name)
    attrs, values = field.attributes(), field.get()
    field.endaccess()
    file.end()
    scale, offset = float(attrs.get("scale_factor", 1.0)), float(attrs.get("add_offset", 0.0))
    if scale > 1:
        scale = 1 / scale
    result = (values.astype("float64") - offset) * scale
    if "_FillValue" in attrs:
        result[values == attrs["_FillValue"]] = np.nan
    return result.astype("float32")


def _plate_carree(
    fields: dict[str, tuple[Any, dict[str, str]]], west: float, north: float, size: float
) -> xr.Dataset:
    """Return fields (rows north to south) on square cells of `size` degrees."""
    rows, columns = next(iter(fields.values()))[0].shape
    return xr.Dataset(
        {name: (("lat", "lon"), values, attrs) for name, (values, attrs) in fields.items()},
        coords={
            "lat": ("lat", north - size * (np.arange(rows) + 0.5), dict(_LAT_ATTRS)),
            "lon": ("lon", west + size * (np.arange(columns) + 0.5), dict(_LON_ATTRS)),
        },
    )


def _need(module: str, path: Path, extra: str) -> None:
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise NarcfError(
            f"{path}: expected the package {module} to read this format, found it not installed; "
            f"install it with `pip install 'narcf-geo[{extra}]'`"
        )


OPENERS: dict[str, Callable[[Path, Opening], xr.Dataset]] = {
    "netcdf": open_netcdf,
    "zarr": open_zarr,
    "rasterio": open_raster,
    "csv": open_table,
    "ascii": open_ascii,
    "grib": open_grib,
    "hdf4": open_hdf4,
}
"""How each driver opens a file."""
