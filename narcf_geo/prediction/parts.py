"""Parts of a cube on disk: each a Zarr store or a NetCDF file, lazy and on house axes.

Nothing is read to turn axes: names, order and longitudes are those of the coordinates, and a piece
that is asked for is translated into a piece of what is stored.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from narcf_geo.core.addresses import shown, without_addresses
from narcf_geo.core.errors import FieldError, NarcfError, UsageError
from narcf_geo.core.filenames import expand
from narcf_geo.core.stores import opened
from narcf_geo.fields import in_house_order, on_month_axis
from narcf_geo.fields.formats import Opening, open_format, open_zarr
from narcf_geo.fields.references import require_own_references

AXES = ("time", "lat", "lon")

_AT = "stored position along "


class Part(NamedTuple):
    """A file or store, and what tells it from another one that stood there before."""

    location: str
    version: str


class Turned(NamedTuple):
    """A part on house axes, and where along each of them a cell is stored.

    Attributes
    ----------
    ds : xarray.Dataset
        Lazy, without dask. Dimensions of a variable in the order in which it is stored.
    stored : dict
        For each axis that is stored in another order, the position of each cell.
    """

    ds: xr.Dataset
    stored: dict[str, np.ndarray]


def parts_of(location: str) -> list[Part]:
    """Return the files that a path, a URL or a pattern stands for.

    Raises
    ------
    UsageError
        When there are none.
    """
    if is_url(location):
        return [Part(url, "") for url in _expanded(location)]
    found = sorted(expand(location))
    if not found:
        what = "file matches this pattern" if glob.has_magic(location) else "such file or store"
        raise UsageError(f"{shown(location)}: no {what}")
    paths = [Path(path).resolve() for path in found]
    return [Part(f"{_prefix(path)}{path}", _version(path)) for path in paths]


def _expanded(url: str) -> list[str]:
    """Return the URLs that a pattern such as ``s3://bucket/*.nc`` stands for."""
    if "*" not in url:
        return [url]
    import fsspec

    system, path = fsspec.url_to_fs(url)
    if not (found := sorted(system.glob(path))):
        raise UsageError(f"{url}: no file matches this pattern")
    return [system.unstrip_protocol(path) for path in found]


def _prefix(path: Path) -> str:
    """Return how fsspec opens what kerchunk and VirtualiZarr write: references to other files."""
    return "reference::" if path.suffix == ".json" else ""


def _version(path: Path) -> str:
    """Return the time of a file, or of the file that describes a Zarr store."""
    described = [path / name for name in ("zarr.json", ".zmetadata", ".zgroup")]
    return str(_stamp(next((p for p in described if p.exists()), path)))


def is_url(location: str) -> bool:
    """Return whether a location is one that fsspec opens."""
    return "://" in location or "::" in location


def files_of(parts: Iterable[Part]) -> list[str]:
    """Return the parts that are files or folders here, or describe where others are."""
    paths = [part.location.removeprefix("reference::") for part in parts]
    return [path for path in paths if not is_url(path)]


def _is_zarr(location: str) -> bool:
    if is_url(location):
        return location.startswith("reference::") or location.rstrip("/").endswith(".zarr")
    return Path(location).is_dir()


def open_part(part: Part) -> xr.Dataset:
    """Return a part on house axes, lazy, opened once in each process.

    Raises
    ------
    NarcfError
        When it cannot be opened, has no latitudes and longitudes, or is not monthly.
    """
    return _turned(part).ds


@contextmanager
def files_let_go() -> Iterator[None]:
    """Close at the end what `open_part` has opened, so that it can be written again."""
    try:
        yield
    finally:
        _turned.cache_clear()


@lru_cache(maxsize=256)
def _turned(part: Part) -> Turned:
    return on_house_axes(_opened(part), part.location)


def _opened(part: Part) -> xr.Dataset:
    location, how = part.location, Opening(chunks="none")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a store without consolidated metadata
            if _is_zarr(location):
                if location.startswith("reference::"):
                    require_own_references(location.removeprefix("reference::"))
                return open_zarr(location if is_url(location) else Path(location), how)
            if is_url(location):
                import fsspec

                cached = location if "::" in location else f"simplecache::{location}"
                location = fsspec.open_local(cached)
                return open_format(Path(location), "netcdf", how)
            return open_format(Path(location), how=how)
    except Exception as error:
        raise NarcfError(
            f"{shown(part.location)}: expected a Zarr store or a NetCDF file, found something else "
            f"({type(error).__name__}: {without_addresses(str(error), part.location)})"
        ) from None


def on_house_axes(ds: xr.Dataset, where: str) -> Turned:
    """Turn the axes of a lazy dataset without reading or transposing what is stored.

    Raises
    ------
    FieldError
        When it has no regular latitudes and longitudes, or its time is not that of months.
    """
    names = {f"{_AT}{dim}": dim for dim in ds.dims}
    positions = {name: (dim, np.arange(ds.sizes[dim])) for name, dim in names.items()}
    # Axes, bounds and positions pass the door; the fields follow them.
    fields = [name for name, array in ds.data_vars.items() if array.ndim > 2]
    axes = in_house_order(ds.drop_vars(fields).assign(positions), where)
    if axes["lat"].dims != ("lat",) or axes["lon"].dims != ("lon",):
        raise FieldError(
            f"{where}: expected the dimensions time, lat and lon with coordinates; found "
            f"{', '.join(map(str, ds.dims))}; bring it to a regular grid with `narcf-geo regrid`"
        )
    if "time" in axes.coords and "time" not in axes.dims:
        raise FieldError(
            f"{where}: expected time as a dimension, found a single stamp; give it one with "
            "ds.expand_dims('time'), or drop the stamp of what holds for every month"
        )
    bounds = [name for name in ("lat_bnds", "lon_bnds") if name in axes.data_vars]
    axes = on_month_axis(axes.set_coords(bounds), where=where)
    renamed = {names[name]: str(axes[name].dims[0]) for name in positions}
    stored = {
        str(axes[name].dims[0]): axes[name].values
        for name in positions
        if (axes[name].values != positions[name][1]).any()
    }
    kept = {
        name: _along(ds.variables[name], renamed, stored)
        for name in ds.data_vars
        if name in fields or name in axes.data_vars
    }
    coords = axes.drop_vars(list(axes.data_vars)).coords
    return Turned(xr.Dataset(kept, coords, dict(ds.attrs)), stored)


def _along(
    array: xr.Variable, renamed: Mapping[Any, str], stored: Mapping[str, np.ndarray]
) -> xr.Variable:
    """Return a lazy variable on house axes, its dimensions in the order in which it is stored."""
    dims = [renamed[dim] for dim in array.dims]
    array = array.copy(deep=False)
    array.dims = dims
    at = {dim: _indexer(stored[dim]) for dim in dims if dim in stored}
    return array.isel(at) if at else array


def _indexer(positions: np.ndarray) -> slice | np.ndarray:
    return slice(None, None, -1) if (np.diff(positions) == -1).all() else positions


@lru_cache(maxsize=256)
def _zarr_array(part: Part, name: str) -> tuple[Any, str]:
    """Return an array, and a hash of what describes it, but for how many months it has."""
    import zarr

    array = zarr.open_array(opened(part.location), path=name, mode="r")
    described = array.metadata.to_dict()
    dims = map(str, _turned(part).ds[name].dims)
    described["shape"] = {d: n for d, n in zip(dims, array.shape, strict=True) if d != "time"}
    text = json.dumps(described, default=str, sort_keys=True)
    return array, hashlib.sha256(text.encode()).hexdigest()


def stamps(part: Part, name: str, at: Mapping[str, slice]) -> Iterator[tuple]:
    """Yield size and time of every file that holds a piece of a variable.

    Of a remote store only the description of its arrays is looked at.
    """
    location = part.location
    if not _is_zarr(location):
        yield (part.version,)
        return
    array, described = _zarr_array(part, name)
    yield (described,)
    if is_url(location):
        yield (part.version,)
        return
    ds, stored = _turned(part)
    steps = array.shards or array.chunks
    ranges = [
        _touched(at.get(str(dim), slice(None)), size, step, stored.get(str(dim)))
        for dim, size, step in zip(ds[name].dims, array.shape, steps, strict=True)
    ]
    for chunk in product(*ranges):
        key = array.metadata.encode_chunk_key(chunk)
        yield (key, *_stamp(os.path.join(location, name, key)))


def _touched(at: slice, size: int, step: int, positions: np.ndarray | None) -> range | list[int]:
    """Return which chunks along an axis hold a part of it."""
    if positions is not None:
        return sorted(set((positions[at] // step).tolist()))
    first, last, _ = at.indices(size)
    return range(first // step, (last - 1) // step + 1)


def _stamp(path: str | Path) -> tuple[int, ...]:
    """Return size and modification time of a file; nothing where it is absent."""
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return ()
    return stat.st_size, stat.st_mtime_ns
