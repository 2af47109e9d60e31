"""Predictors where they lie: Zarr stores and NetCDF files, read a piece at a time.

Files along time are one axis without a copy and without a graph: a reader knows which file has
which months, and opens those that a piece needs.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.months import to_month_starts, with_month_axis

Slices = tuple[slice, slice, slice]
"""Along time, lat and lon."""


class Part(NamedTuple):
    """A file or store, and what tells it from another one that stood there before."""

    location: str
    version: str


class Place(NamedTuple):
    """Where months of a variable are: the numbers of a part, of its first month and of the month
    after its last; of a variable without time, in no month, both are None.
    """

    part: int
    start: int | None
    stop: int | None


@dataclass(frozen=True)
class Source:
    """A cube in one or more parts, each a Zarr store or a NetCDF file.

    Attributes
    ----------
    parts : tuple of Part
        Paths or URLs, each with its version.
    months : tuple of str
        The time axis, YYYY-MM.
    places : dict
        For each variable its parts in order of time.
    """

    parts: tuple[Part, ...]
    months: tuple[str, ...]
    places: dict[str, list[Place]]

    @classmethod
    def open(cls, location: str | os.PathLike[str]) -> Source:
        """Open a path, a URL or a pattern such as ``cube/*.nc``.

        Raises
        ------
        UsageError
            When there is nothing there.
        NarcfError
            When it cannot be read, a part has another grid, or months of another between its own.
        """
        parts = _parts(os.fspath(location))
        looked = [_look(part, parts[0]) for part in parts]
        whole = sorted({month for axis, _ in looked for month in axis})
        if not whole:
            raise NarcfError(f"{location}: expected a dimension 'time', found none")
        first = {month: number for number, month in enumerate(whole)}
        places: dict[str, list[Place]] = {}
        for number, (part, (axis, variables)) in enumerate(zip(parts, looked, strict=True)):
            months = slice(first[axis[0]], first[axis[0]] + len(axis)) if axis else slice(0)
            if axis != whole[months]:
                raise NarcfError(
                    f"{part.location}: expected months in a row, found {axis[0]} to {axis[-1]} "
                    "with other months between them in other files"
                )
            for name, moves in variables.items():
                at = months if moves else slice(None)
                places.setdefault(name, []).append(Place(number, at.start, at.stop))
        in_order = {n: sorted(at, key=lambda place: place.start or 0) for n, at in places.items()}
        return cls(tuple(parts), tuple(whole), in_order)

    def to_json(self) -> dict[str, Any]:
        """Return the index as plain values."""
        return {"parts": self.parts, "months": self.months, "places": self.places}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Source:
        """Read what `to_json` returned."""
        places = {name: [Place(*p) for p in at] for name, at in content["places"].items()}
        return cls(tuple(Part(*p) for p in content["parts"]), tuple(content["months"]), places)

    def frame(self) -> xr.Dataset:
        """Return the axes, and the variables without time, lazily."""
        ds = open_part(self.parts[0])
        names = [name for name, at in self.places.items() if at[0].start is None]
        arrays = {name: open_part(self.parts[self.places[name][0].part])[name] for name in names}
        kept = {n: ds[n] for n in ("lat", "lon", "lat_bnds", "lon_bnds") if n in ds.variables}
        frame = xr.Dataset(arrays).assign_coords(kept)
        frame.attrs = dict(ds.attrs)
        return with_month_axis(frame, pd.DatetimeIndex(self.months))

    def require(self, names: Iterable[str]) -> None:
        """Raise NarcfError unless every variable of `names` has every month once, or no time."""
        for name in names:
            covered, before = 0, -1
            for number, start, stop in self.places.get(name, []):
                if start is None or stop is None:
                    covered = len(self.months)
                elif start < covered:
                    raise NarcfError(
                        f"variable {name!r}: {self.months[start]} is in {self._name(before)} and "
                        f"in {self._name(number)}; leave one out"
                    )
                elif start == covered:
                    covered, before = stop, number
            if name in self.places and covered < len(self.months):
                raise NarcfError(
                    f"variable {name!r}: expected every month from {self.months[0]} to "
                    f"{self.months[-1]}, found none for {self.months[covered]}; add the file that "
                    "has it"
                )

    def _name(self, number: int) -> str:
        return self.parts[number].location

    def read(self, names: Iterable[str], at: Slices) -> xr.Dataset:
        """Read a piece of the variables `names`, those that are there.

        Raises
        ------
        NarcfError
            When a part cannot be read.
        """
        frame = self.frame().isel(dict(zip(("time", "lat", "lon"), at, strict=True)))
        arrays = {n: self._array(n, at) for n in dict.fromkeys(names) if n in self.places}
        return frame.drop_vars(list(frame.data_vars)).assign(arrays)

    def _array(self, name: str, at: Slices) -> xr.Variable:
        space = dict(zip(("lat", "lon"), at[1:], strict=True))
        pieces = []
        for part, within in self._touched(name, at[0]):
            array = open_part(part)[name].variable
            try:
                piece = array[
                    {d: s for d, s in {**space, "time": within}.items() if d in array.dims}
                ]
                pieces.append(piece.transpose(..., "lat", "lon").load())
            except NarcfError:
                raise
            except Exception as error:
                raise NarcfError(
                    f"{part.location}: variable {name!r}, {self.months[at[0].start]} to "
                    f"{self.months[at[0].stop - 1]}: reading failed ({type(error).__name__}: "
                    f"{error}); the file may be damaged: fetch or make it again"
                ) from None
        whole = pieces[0] if len(pieces) == 1 else xr.Variable.concat(pieces, "time")
        if np.issubdtype(whole.dtype, np.floating):
            whole = whole.astype(np.float32, copy=False)
        return whole

    def _touched(self, name: str, months: slice) -> Iterator[tuple[Part, slice]]:
        """Yield the parts of a variable that have some of `months`, in order, and which of them."""
        at = months.start
        for number, start, stop in self.places[name]:
            if start is None or stop is None:
                yield self.parts[number], slice(None)
                return
            stop = min(months.stop, stop)
            if start <= at < stop:
                yield self.parts[number], slice(at - start, stop - start)
                at = stop

    def chunk_shapes(self, names: Iterable[str]) -> list[tuple[int, int, int]]:
        """Return the shape in which each variable with a time axis is stored: (time, lat, lon)."""
        shapes = []
        for name in names:
            place = self.places[name][0]
            if place.start is None:
                continue
            array = open_part(self.parts[place.part])[name]
            stored = array.encoding.get("shards") or array.encoding.get("chunks")
            stored = stored or array.encoding.get("chunksizes") or (1,) * array.ndim
            by_dim = dict(zip(array.dims, stored, strict=True))
            shapes.append((by_dim["time"], by_dim["lat"], by_dim["lon"]))
        return shapes

    def stamps(self, names: Iterable[str], at: Slices) -> Iterator[tuple]:
        """Yield size and time of every file that `read` would touch.

        Of a remote store only the description of its arrays is looked at.
        """
        space = dict(zip(("lat", "lon"), at[1:], strict=True))
        for name in names:
            for part, within in self._touched(name, at[0]) if name in self.places else ():
                yield name, *_stamps(part, name, {**space, "time": within})


def _parts(location: str) -> list[Part]:
    if _is_url(location):
        return [Part(url, "") for url in _expanded(location)]
    found = sorted(glob.glob(location, recursive=True)) if glob.has_magic(location) else [location]
    if not found:
        raise UsageError(f"{location}: no file matches this pattern")
    if not Path(found[0]).exists():
        raise UsageError(f"{location}: no such file or store")
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


def _look(part: Part, first: Part) -> tuple[list[str], dict[str, bool]]:
    """Return the months of a part, none where it has no time, and which variables have time.

    Raises
    ------
    NarcfError
        When its axes are not those of the first part.
    """
    ds = open_part(part)
    for name in ("lat", "lon"):
        found = ds.variables.get(name)
        if found is None or found.dims != (name,):
            raise NarcfError(
                f"{part.location}: expected the dimensions time, lat and lon with coordinates; "
                f"found {', '.join(map(str, ds.dims))}"
            )
        expected = open_part(first).variables[name]
        if found.shape != expected.shape or not np.allclose(found, expected, 0, 1e-4):
            raise NarcfError(
                f"{part.location}: expected the {name} of {first.location} ({_axis(expected)}), "
                f"found {_axis(found)}; bring both to one grid with `narcf-geo regrid`"
            )
    return _months(part), {str(name): "time" in ds[name].dims for name in ds.data_vars}


def _axis(axis: xr.Variable) -> str:
    values = axis.values
    return f"{values[0]:g} to {values[-1]:g}, {values.size} cells"


def _version(path: Path) -> str:
    """Return the time of a file, or of the file that describes a Zarr store."""
    described = [path / name for name in ("zarr.json", ".zmetadata", ".zgroup")]
    return str(_stamp(next((p for p in described if p.exists()), path)))


def _is_url(location: str) -> bool:
    return "://" in location or "::" in location


def _is_zarr(location: str) -> bool:
    if _is_url(location):
        return location.startswith("reference::") or location.rstrip("/").endswith(".zarr")
    return Path(location).is_dir()


@lru_cache(maxsize=256)
def open_part(part: Part) -> xr.Dataset:
    """Open a Zarr store or a NetCDF file lazily, once in each process.

    Raises
    ------
    NarcfError
        When it is neither.
    """
    location = part.location
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a store without consolidated metadata
            if _is_zarr(location):
                return xr.open_dataset(location, engine="zarr", chunks=None)
            if _is_url(location):
                import fsspec

                cached = location if "::" in location else f"simplecache::{location}"
                location = fsspec.open_local(cached)
            return xr.open_dataset(location, chunks=None)
    except Exception as error:
        raise NarcfError(
            f"{part.location}: expected a Zarr store or a NetCDF file, found something else "
            f"({type(error).__name__}: {error})"
        ) from None


@contextmanager
def files_let_go() -> Iterator[None]:
    """Close at the end what `open_part` has opened, so that it can be written again."""
    try:
        yield
    finally:
        open_part.cache_clear()


def _months(part: Part) -> list[str]:
    ds = open_part(part)
    if "time" not in ds.dims:
        return []
    try:
        return [str(month)[:7] for month in to_month_starts(ds["time"])]
    except NarcfError as error:
        raise NarcfError(f"{part.location}: {error}") from None


@lru_cache(maxsize=256)
def _zarr_array(part: Part, name: str) -> tuple[Any, str]:
    """Return an array, and a hash of what describes it."""
    import zarr

    array = zarr.open_array(part.location, path=name, mode="r")
    text = json.dumps(array.metadata.to_dict(), default=str, sort_keys=True)
    return array, hashlib.sha256(text.encode()).hexdigest()


def _stamps(part: Part, name: str, at: dict[str, slice]) -> Iterator[tuple]:
    location = part.location
    if not _is_zarr(location):
        yield (part.version,)
        return
    array, described = _zarr_array(part, name)
    yield (described,)
    if _is_url(location):
        yield (part.version,)
        return
    ranges = []
    stored = array.shards or array.chunks
    for dim, size, step in zip(open_part(part)[name].dims, array.shape, stored, strict=True):
        first, last, _ = at.get(str(dim), slice(None)).indices(size)
        ranges.append(range(first // step, (last - 1) // step + 1))
    for chunk in product(*ranges):
        key = array.metadata.encode_chunk_key(chunk)
        yield (key, *_stamp(os.path.join(location, name, key)))


def _stamp(path: str | Path) -> tuple[int, ...]:
    """Return size and modification time of a file; nothing where it is absent."""
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return ()
    return stat.st_size, stat.st_mtime_ns
