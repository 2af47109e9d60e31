"""Opening the native files of an entry with the driver it names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from narcf_geo.errors import NarcfError

if TYPE_CHECKING:
    from narcf_geo.catalog import Entry

_LON_NAMES = ("lon", "longitude", "x")
_LAT_NAMES = ("lat", "latitude", "y")


def open_native(
    entry: Entry,
    files: Sequence[Path] | None = None,
    preprocess: Callable[[xr.Dataset, Path], xr.Dataset] | None = None,
) -> xr.Dataset:
    """Open the files of `entry` lazily, as one dataset.

    Several files are joined along time where they hold the same variables and merged otherwise;
    their grids must be the same. `preprocess` is given each file's dataset and path first.

    Raises
    ------
    NarcfError
        When a file cannot be opened with the entry's driver, or the files do not fit together.
    """
    datasets = []
    for path in files or entry.data_files():
        dataset = _open_one(entry, path)
        datasets.append(preprocess(dataset, path) if preprocess else dataset)
    if len(datasets) == 1:
        return datasets[0]
    try:
        if len({frozenset(d.data_vars) for d in datasets}) == 1:
            dimension = "time" if "time" in datasets[0].dims else "date"
            return xr.concat(
                datasets,
                dimension,
                data_vars="minimal",
                coords="minimal",
                compat="override",
                join="exact",
                combine_attrs="override",
            ).sortby(dimension)
        return xr.merge(datasets, join="exact", compat="override", combine_attrs="override")
    except (ValueError, KeyError) as error:
        raise NarcfError(
            f"{entry.catalog_path}: source {entry.name!r}: its {len(datasets)} files do not fit "
            f"together ({error}); list files of other grids or periods as sources of their own"
        ) from None


def _open_one(entry: Entry, path: Path) -> xr.Dataset:
    args = entry.source.args
    chunks = args.chunks if args.chunks is not None else {}
    try:
        match entry.source.driver:
            case "netcdf":
                kwargs: dict[str, Any] = {"engine": "netcdf4", **args.xarray_kwargs}
                if entry.metadata.climatology:
                    kwargs["decode_times"] = False
                return _decoded(path, chunks, kwargs)
            case "zarr":
                return xr.open_zarr(path, chunks=chunks, **args.xarray_kwargs)
            case "rasterio":
                import rioxarray

                raster = rioxarray.open_rasterio(path, chunks={}, **args.xarray_kwargs)
                assert isinstance(raster, xr.DataArray)
                return raster.to_dataset(name="band_data")
            case "csv":
                return _table(path, args.csv_kwargs)
    except NarcfError:
        raise
    except Exception as error:  # each engine raises its own kinds for a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NarcfError(
            f"{path}: source {entry.name!r}: cannot be opened as {entry.source.driver} "
            f"({reason}); the file may be damaged or incomplete, or the driver another"
        ) from None


def _decoded(path: Path, chunks: dict[str, int], kwargs: dict[str, Any]) -> xr.Dataset:
    """Open a NetCDF file; times that numpy cannot hold become cftime, as they should, quietly."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=xr.SerializationWarning)
        return xr.open_dataset(path, chunks=chunks, **kwargs)


def _table(path: Path, kwargs: dict[str, Any]) -> xr.Dataset:
    """Read a table of points as a raster: a row is a cell centre."""
    import pandas as pd

    table = pd.read_csv(path, **kwargs)
    columns = {str(c).lower(): c for c in table.columns}
    lon = next((columns[n] for n in _LON_NAMES if n in columns), None)
    lat = next((columns[n] for n in _LAT_NAMES if n in columns), None)
    if lon is None or lat is None:
        raise NarcfError(
            f"{path}: expected columns of longitude ({', '.join(_LON_NAMES)}) and latitude "
            f"({', '.join(_LAT_NAMES)}), found {', '.join(map(str, table.columns))}"
        )
    raster: xr.Dataset = (
        table.rename(columns={lon: "lon", lat: "lat"}).set_index(["lat", "lon"]).to_xarray()
    )
    raster["lat"].attrs = {"standard_name": "latitude", "units": "degrees_north"}
    raster["lon"].attrs = {"standard_name": "longitude", "units": "degrees_east"}
    return raster
