"""Datasets on disk, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from narcf_geo.core import layout
from narcf_geo.core.contained import require_contained, require_contained_store
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.files import atomic_path
from narcf_geo.core.stores import checked, opened, seal


def write_zarr(ds: xr.Dataset, path: Path) -> None:
    """Write a dataset as a Zarr store in the chunks of all stores, whole or not at all."""
    from zarr.codecs import ZstdCodec

    chunks = dict(zip(("time", "lat", "lon"), layout.CHUNK, strict=True))
    chunked = ds.chunk({str(d): chunks.get(str(d), -1) for d in ds.dims})
    for name in chunked.variables:
        chunked[name].encoding = {
            k: v
            for k, v in chunked[name].encoding.items()
            if k in ("units", "calendar", "dtype", "_FillValue") and name in ds.coords
        }
        chunked[name].encoding["compressors"] = checked(ZstdCodec())
    with atomic_path(path) as temporary:
        chunked.to_zarr(temporary, mode="w", consolidated=False)
        seal(temporary)


def write_netcdf(ds: xr.Dataset, path: Path) -> None:
    """Write a dataset as a compressed NetCDF file with checksums, whole or not at all."""
    ds.encoding = {}
    encoding = {
        str(name): {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}
        for name in ds.data_vars
        if ds[name].ndim >= 2
    }
    with atomic_path(path) as temporary:
        ds.to_netcdf(temporary, engine="netcdf4", encoding=encoding)


def load_netcdf(path: Path) -> xr.Dataset:
    """Read a NetCDF file of a project or a bundle.

    Raises
    ------
    UnreadableError
        When it leads to other files, or declares more than it holds.
    """
    require_contained(path)
    return xr.load_dataset(path, engine="netcdf4")


def open_zarr(path: Path, command: str) -> xr.Dataset:
    """Open a store of a project lazily.

    Raises
    ------
    NarcfError
        When it is not there; names the `command` that makes it.
    """
    if not path.exists():
        raise NarcfError(f"{path}: no such store; make it with `narcf-geo {command}`")
    require_contained_store(path)
    ds = xr.open_zarr(opened(path), consolidated=False)
    # The file system lists them in an order of its own, which a copy does not keep.
    return ds[sorted(ds.variables, key=str)]
