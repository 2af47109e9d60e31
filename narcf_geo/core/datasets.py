"""Datasets on disk, written whole or not at all."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr

from narcf_geo.core import layout
from narcf_geo.core.contained import require_contained, require_contained_store
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.files import atomic_path
from narcf_geo.core.stores import checked, opened, seal


def write_zarr(
    ds: xr.Dataset, path: Path, seen: Any = None, check: Callable[[Any], None] | None = None
) -> None:
    """Write a dataset as a Zarr store in the chunks of all stores, whole or not at all.

    Parameters
    ----------
    ds : xarray.Dataset
        What is lazy is computed and written block by block.
    path : Path
        Of the store.
    seen : optional
        What else is made of the same blocks, lazily; computed together, nothing is read twice.
    check : callable, optional
        Called with `seen`, computed, before the store is moved into place; where it raises, all is
        left as it was.
    """
    import dask
    from zarr.codecs import ZstdCodec

    chunks = dict(zip(("time", "lat", "lon"), layout.CHUNK, strict=True))
    chunked = ds.chunk({d: chunks.get(str(d), -1) for d in ds.dims})
    for name in chunked.variables:
        chunked[name].encoding = {
            k: v
            for k, v in chunked[name].encoding.items()
            if k in ("units", "calendar", "dtype", "_FillValue") and name in ds.coords
        }
        chunked[name].encoding["compressors"] = checked(ZstdCodec())
    with atomic_path(path) as temporary:
        written = chunked.to_zarr(temporary, mode="w", consolidated=False, compute=False)
        _, found = dask.compute(written, seen)
        if check is not None:
            check(found)
        seal(temporary)
        _keep_times(temporary, path)


def _keep_times(new: Path, old: Path) -> None:
    """Give files that are as they were the times they had, by which what reads them knows them."""
    for file in new.rglob("*"):
        before = old / file.relative_to(new)
        if file.is_file() and before.is_file() and filecmp.cmp(file, before, shallow=False):
            stat = before.stat()
            os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


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
