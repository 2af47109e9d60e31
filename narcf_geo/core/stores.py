"""Zarr stores of our own: a checksum in each chunk, and no chunk that is lost unseen."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.files import atomic_path

if TYPE_CHECKING:
    from zarr.abc.store import Store

ABSENT = "absent.json"
"""In the folder of an array: names of the chunks that were never written, as without a value."""

DESCRIBES = ("zarr.json", ".zgroup", ".zmetadata", ".zattrs", ".zarray")
"""Files that describe a store or an array."""


def checked(*codecs: Any) -> list[Any]:
    """Return compressors with a checksum, crc32c, after them."""
    from zarr.codecs import Crc32cCodec

    return [*codecs, Crc32cCodec()]


def seal(store: Path) -> None:
    """Write down which chunks of a finished store are absent: the others must be there."""
    for folder in _arrays(store):
        absent = sorted(set(_expected(folder)) - set(_found(folder)))
        with atomic_path(folder / ABSENT) as temporary:
            temporary.write_text(json.dumps(absent), encoding="utf-8")


def opened(store: str | os.PathLike[str]) -> Store | str | os.PathLike[str]:
    """Return what Zarr reads a store by: one on this computer so that damage is an error.

    Raises
    ------
    NarcfError
        Later, when a file is read that is lost, damaged or none of the store; it names the file.
    """
    if (isinstance(store, str) and "://" in store) or not Path(store).is_dir():
        return store
    from narcf_geo.core.checking import CheckingStore  # slow to import, as zarr is

    return CheckingStore(Path(store), read_only=True)


def growing(store: str | os.PathLike[str]) -> Store:
    """Return what Zarr writes a store by whose finished pieces a journal marks.

    A chunk is on the disk when it has been written: after a power cut no mark is without it.
    """
    from narcf_geo.core.durable import DurableStore

    return DurableStore(Path(store))


def _arrays(store: Path) -> Iterator[Path]:
    for path in sorted(store.glob("*/zarr.json")):
        if json.loads(path.read_text(encoding="utf-8"))["node_type"] == "array":
            yield path.parent


def _expected(folder: Path) -> Iterator[str]:
    """Return the names of all files of chunks, or shards, that an array may have."""
    array = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
    steps = array["chunk_grid"]["configuration"]["chunk_shape"]
    counts = [math.ceil(n / step) for n, step in zip(array["shape"], steps, strict=True)]
    for at in product(*map(range, counts)):
        yield "/".join(["c", *map(str, at)])


def _found(folder: Path) -> Iterator[str]:
    for path, _, names in os.walk(folder / "c"):
        within = Path(path).relative_to(folder).as_posix()
        yield from (f"{within}/{name}" for name in names)
    if (folder / "c").is_file():  # of an array without dimensions
        yield "c"


def damaged(file: Path, found: str) -> NarcfError:
    """Return the error for a chunk that is lost or is not what was written."""
    return NarcfError(
        f"{file}: expected a whole chunk, found {found}; the store is damaged: make it again, or "
        "take it from a copy"
    )
