"""Files of each format as a dataset with missing values as NaN: the drivers of the catalog."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from narcf_geo.core.contained import require_contained, require_contained_store
from narcf_geo.core.errors import NarcfError, UnreadableError
from narcf_geo.core.ordinary import require_ordinary
from narcf_geo.core.stores import opened
from narcf_geo.fields.chunks import moderate_chunks, stored_blocks
from narcf_geo.fields.options import require_options
from narcf_geo.fields.rasters import LAT_ATTRS, LON_ATTRS, open_raster
from narcf_geo.fields.stored import require_packing

if TYPE_CHECKING:
    from narcf_geo.fields.remote import RemoteFile

DRIVERS = {
    ".nc": "netcdf",
    ".nc4": "netcdf",
    ".cdf": "netcdf",
    ".h5": "netcdf",
    ".hdf5": "netcdf",
    ".zarr": "zarr",
    ".tif": "rasterio",
    ".tiff": "rasterio",
    ".img": "rasterio",
    ".bil": "rasterio",
    ".vrt": "rasterio",
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

_FIRST_BYTES = {
    b"CDF": "netcdf",
    b"\x89HDF": "netcdf",
    b"GRIB": "grib",
    b"II*\0": "rasterio",
    b"MM\0*": "rasterio",
    b"\x0e\x03\x13\x01": "hdf4",
}
"""The driver that opens a file, by how it begins; this tells HDF4 from HDF5."""

_OF_ZARR = ("zarr.json", ".zgroup", ".zarray", ".zmetadata")
"""Files of which a Zarr store has one."""

_MISSING_IN_TEXT = (32767, -9999, -99, -88)  # of ISLSCP II, whose files have no header


@dataclass(frozen=True)
class Opening:
    """What is known of a file before it is opened.

    Attributes
    ----------
    chunks : mapping, "auto", "blocks" or "none"
        Dask chunks; by default those in which the file is stored. "auto" makes chunks of about
        32 MiB, whatever the file has; "blocks" too, but whole multiples of what is stored; with
        "none" arrays are lazy without dask.
    xarray_kwargs, csv_kwargs : mapping
        For the library that reads the format.
    decode_times : bool
        False leaves times the numbers that they are in the file.
    classes : bool
        The values are classes: they stay integers, and their nodata value stays.
    wanted : tuple of str
        The data sets to read of a file that holds many; none means all.
    """

    chunks: Mapping[str, int] | Literal["auto", "blocks", "none"] | None = None
    xarray_kwargs: Mapping[str, Any] = field(default_factory=dict)
    csv_kwargs: Mapping[str, Any] = field(default_factory=dict)
    decode_times: bool = True
    classes: bool = False
    wanted: tuple[str, ...] = ()

    @property
    def stored_chunks(self) -> dict[str, int] | None:
        """What an engine takes as ``chunks``; None for arrays without dask."""
        return None if isinstance(self.chunks, str) else dict(self.chunks or {})


def open_format(
    path: Path | RemoteFile, driver: str | None = None, how: Opening | None = None
) -> xr.Dataset:
    """Open a file or store lazily, with missing values as NaN.

    Parameters
    ----------
    path : Path or RemoteFile
        A file, or the folder of a Zarr store.
    driver : str, optional
        One of `OPENERS`; by default by the suffix. A remote file has one already.
    how : Opening, optional
        What is known of it.

    Raises
    ------
    UnreadableError
        When there is no such file, or it is not of this format.
    """
    how = how or Opening()
    if not isinstance(path, str | Path):
        from narcf_geo.fields.remote import open_remote

        require_options(path.driver, how, path)
        ds = open_remote(path, how)
        return moderate_chunks(ds) if how.chunks == "auto" else ds
    path = Path(path)
    if not path.exists():
        raise UnreadableError(f"{path}: no such file")
    require_ordinary(path)
    driver = driver or driver_of(path)
    _require_content(path)
    require_options(driver, how, path)
    if path.suffix.lower() == ".gz":
        from narcf_geo.fields.packed import unpacked

        path = unpacked(path)
    try:
        ds = OPENERS[driver](path, how)
        require_packing(ds, str(path))
        if how.chunks == "blocks":
            return stored_blocks(ds)
        return moderate_chunks(ds) if how.chunks == "auto" else ds
    except NarcfError:
        raise
    except Exception as error:  # each engine raises its own kinds for a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableError(
            f"{path}: cannot be opened as {driver} ({reason}); the file may be damaged or "
            "incomplete, or of another format"
        ) from None


def _require_content(path: Path) -> None:
    """Refuse an empty file, and a folder that is no Zarr store.

    Raises
    ------
    UnreadableError
        For either.
    """
    if path.is_dir():
        if not any((path / name).exists() for name in _OF_ZARR):
            raise UnreadableError(
                f"{path}: expected a file or a Zarr store, found a folder without "
                f"{', '.join(_OF_ZARR[:-1])} or {_OF_ZARR[-1]}"
            )
    elif not path.stat().st_size:
        raise UnreadableError(f"{path}: expected data, found an empty file; fetch or make it again")


def driver_of(path: Path) -> str:
    """Return the driver for a path, by the first bytes of the file, else by its suffix.

    Raises
    ------
    UnreadableError
        When the format is not known.

    Examples
    --------
    >>> driver_of(Path("air.nc"))
    'netcdf'
    """
    if path.is_dir():
        return "zarr"
    if path.suffix.lower() == ".gz" and path.stem:
        return driver_of(path.with_suffix(""))
    require_ordinary(path)
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(8)
        for first, driver in _FIRST_BYTES.items():
            if head.startswith(first):
                return driver
    if path.suffix.lower() in DRIVERS:
        return DRIVERS[path.suffix.lower()]
    packed = path.suffix.lower() in (".bz2", ".xz", ".zip", ".tar")
    remedy = "unpack it first" if packed else f"known are {', '.join(DRIVERS)}"
    raise UnreadableError(
        f"{path}: expected a file of a known format, found the suffix {path.suffix!r}; {remedy}"
    )


def open_netcdf(path: Path, how: Opening) -> xr.Dataset:
    """Open a NetCDF file; times that numpy cannot hold become cftime."""
    require_contained(path)
    # A variable in days, such as a length of season, stays a number.
    kwargs: dict[str, Any] = {"engine": "netcdf4", "decode_timedelta": False, **how.xarray_kwargs}
    if not how.decode_times:
        kwargs["decode_times"] = False
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=xr.SerializationWarning)
        try:
            return xr.open_dataset(path, chunks=how.stored_chunks, **kwargs)
        except ValueError as error:
            if "decode" not in str(error):
                raise
            # Times that CF does not know, such as months since a date: the month axis reads them.
            kwargs["decode_times"] = False
            return xr.open_dataset(path, chunks=how.stored_chunks, **kwargs)


def open_zarr(path: Path | str, how: Opening) -> xr.Dataset:
    """Open a Zarr store, by its path or as fsspec names it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Failed to open Zarr store with consolidated")
        decode = {"decode_times": how.decode_times, "decode_timedelta": False}
        chunks = {} if how.chunks == "auto" else how.stored_chunks
        kwargs = {"chunks": chunks, **decode, **how.xarray_kwargs}
        require_contained_store(
            path, **{k: v for k, v in kwargs.items() if k in ("storage_options", "zarr_format")}
        )
        ds = xr.open_zarr(opened(path), **kwargs)
    ds.encoding["source"] = str(path)
    return ds


def open_table(path: Path, how: Opening) -> xr.Dataset:
    """Read a table of points as a raster."""
    from narcf_geo.fields.tables import raster_of

    return raster_of(path, **how.csv_kwargs)


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
    if not 0 < size <= 360:
        raise NarcfError(f"{path}: expected a cellsize of some degrees, found {size:g}")
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


def open_grib(path: Path, how: Opening) -> xr.Dataset:
    """Open all variables of a GRIB file."""
    from narcf_geo.fields import grib

    return grib.open_grib(path, how)


def open_hdf4(path: Path, how: Opening) -> xr.Dataset:
    """Open the global grids of a MODIS climate modelling file, by the extra ``hdf4`` (pyhdf).

    Each data set becomes a variable of its name; its fill value becomes NaN and its scale is
    applied. MODIS vegetation indices state the inverse of the scale (10000 for 0.0001).
    """
    need("pyhdf", path, "hdf4")
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
            "lat": ("lat", north - size * (np.arange(rows) + 0.5), dict(LAT_ATTRS)),
            "lon": ("lon", west + size * (np.arange(columns) + 0.5), dict(LON_ATTRS)),
        },
    )


def need(module: str, path: Path, extra: str) -> None:
    """Raise an error that names the extra to install where a package is absent."""
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
