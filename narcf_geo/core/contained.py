"""Files that hold their data themselves: no links to other files, no programs, no absurd sizes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from narcf_geo.core import classic
from narcf_geo.core.errors import NarcfError, UnreadableError, reason
from narcf_geo.core.ordinary import require_ordinary
from narcf_geo.core.sizes import require_room
from narcf_geo.core.stores import DESCRIBES, opened

_CODECS = frozenset(
    (
        "adler32",
        "astype",
        "bitround",
        "blosc",
        "bytes",
        "bz2",
        "crc32",
        "crc32c",
        "delta",
        "endian",
        "fixedscaleoffset",
        "fletcher32",
        "gzip",
        "lz4",
        "lzma",
        "packbits",
        "pcodec",
        "quantize",
        "sharding_indexed",
        "shuffle",
        "transpose",
        "vlen-bytes",
        "vlen-utf8",
        "zfpy",
        "zlib",
        "zstd",
    )
)
"""Codecs of Zarr that hold numbers and texts; ``pickle`` and its like run code."""


def require_contained(path: str | os.PathLike[str]) -> None:
    """Refuse a NetCDF or HDF5 file that leads to other files, or declares absurd sizes.

    Raises
    ------
    UnreadableError
        When it does.
    """
    import h5py

    path = Path(path)
    require_ordinary(path)
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            links: list[tuple[str, Any]] = []  # h5py loses an error that is raised while it visits
            file.visititems_links(lambda name, link: links.append((name, link)))
            for name, link in links:
                _require_own(path, file, name, link)
    elif path.stat().st_size:
        _require_classic(path)


def _require_own(path: Path, file: Any, name: str, link: Any) -> None:
    import h5py

    if isinstance(link, h5py.ExternalLink):
        raise UnreadableError(_elsewhere(path, name, link.filename))
    found = file.get(name) if isinstance(link, h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset):
        return
    others = [external[0] for external in found.external or ()]
    if found.is_virtual:
        others += [s.file_name for s in found.virtual_sources() if s.file_name != "."]
    if others:
        raise UnreadableError(_elsewhere(path, name, others[0]))
    stored = found.id.get_storage_size() > 0
    _require_sizes(path, name, found.shape or (), found.chunks, found.dtype.itemsize, stored)


def _elsewhere(path: Path, name: str, other: str) -> str:
    return (
        f"{path}: variable {name!r}: expected its values in this file, found that they are in "
        f"{other[:200]!r}; copy both into one file, as with `nccopy` or `h5repack`"
    )


def _require_classic(path: Path) -> None:
    """Refuse a classic NetCDF file that declares more than it holds."""
    import netCDF4

    declared = classic.ends(path)  # first: the library takes a minute over some damaged headers
    with netCDF4.Dataset(path) as file:
        for name, variable in file.variables.items():
            shape, size = variable.shape, np.dtype(variable.dtype).itemsize
            _require_sizes(path, name, shape, None, size, stored=True)
    found = path.stat().st_size
    for name, end in declared.items():
        if end > found:
            raise UnreadableError(
                f"{path}: variable {name!r}: expected a file of at least {end:,} bytes, found "
                f"{found:,}; it is damaged or incomplete"
            )


def _require_sizes(
    path: object,
    name: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...] | None,
    itemsize: int,
    stored: bool,
) -> None:
    """Refuse what takes more memory than there is: an axis, a chunk, a variable without values."""
    where = f"{path}: variable {name!r} of shape {' x '.join(map(str, shape))}"
    if len(shape) == 1 or not stored:
        require_room(math.prod(shape) * max(itemsize, 1), where)
    if chunks:
        require_room(
            math.prod(chunks) * max(itemsize, 1),
            f"{where}: a chunk of {' x '.join(map(str, chunks))}",
        )


def require_contained_store(location: Path | str, **options: Any) -> None:
    """Refuse a Zarr store with codecs that run code, or that declares absurd sizes.

    Parameters
    ----------
    location : Path or str
        A folder, or how fsspec names a store.
    **options
        For `zarr.open_group`.

    Raises
    ------
    UnreadableError
        When it has.
    """
    import zarr

    local = isinstance(location, Path)
    where: Any = opened(location) if local else str(location)
    try:
        group = zarr.open(where, mode="r", **options)
        members: list[tuple[str, Any]] = [("", group)]
        if isinstance(group, zarr.Group):
            members = list(group.members(max_depth=None))
    except NarcfError:
        raise
    except Exception as error:  # of each release of Zarr its own kinds
        if not local:
            raise  # said in words by who knows what servers answer
        raise UnreadableError(
            f"{location}: cannot be opened as zarr ({reason(error)}); the store may be damaged or "
            "incomplete, or of another format"
        ) from None
    for name, array in members:
        if not isinstance(array, zarr.Array):
            continue
        described: Mapping[str, Any] = array.metadata.to_dict()
        if wrong := sorted(set(_codecs(described)) - _CODECS):
            raise UnreadableError(
                f"{location}: variable {name!r}: expected codecs of numbers and texts, found "
                f"{', '.join(wrong):.200}, which may run code; write it anew without"
            )
        if "O" in str(array.dtype) and not {"vlen-utf8", "vlen-bytes"} & set(_codecs(described)):
            raise UnreadableError(
                f"{location}: variable {name!r}: expected numbers or texts, found Python objects"
            )
        stored = not local or _has_chunks(Path(location) / name)
        size = int(getattr(array.dtype, "itemsize", 8) or 8)
        _require_sizes(location, name, array.shape, array.chunks, size, stored)


def _codecs(described: Any) -> Iterator[str]:
    """Yield the names of the codecs in the description of an array, and in its shards."""
    if isinstance(described, Mapping):
        for key in ("codecs", "index_codecs", "filters", "compressor", "serializer", "compressors"):
            found = described.get(key)
            for codec in found if isinstance(found, list | tuple) else [found]:
                if codec is None:
                    continue
                plain = codec if isinstance(codec, Mapping) else _plain(codec)
                yield str(plain.get("name", plain.get("id", "unknown"))).removeprefix("numcodecs.")
                yield from _codecs(plain.get("configuration"))


def _plain(codec: Any) -> Mapping[str, Any]:
    for method in ("get_config", "to_dict"):
        if hasattr(codec, method):
            return dict(getattr(codec, method)())
    return {}


def _has_chunks(path: Path) -> bool:
    return any(p.name not in DESCRIBES for p in path.iterdir()) if path.is_dir() else False
