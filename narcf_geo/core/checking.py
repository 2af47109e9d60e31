"""A Zarr store on disk that is read with care: what is lost, damaged, elsewhere or too large."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zarr.abc.store import RangeByteRequest
from zarr.storage import LocalStore

from narcf_geo.core.chunk_sizes import ChunkSize
from narcf_geo.core.errors import UnreadableError
from narcf_geo.core.ordinary import require_ordinary
from narcf_geo.core.stores import ABSENT, DESCRIBES, damaged

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype


@dataclass(frozen=True)
class _Array:
    """What is known of an array: its absent chunks, and what the others are to be."""

    absent: frozenset[str] | None
    has_checksum: bool
    size: ChunkSize | None


class CheckingStore(LocalStore):
    """A local store, read; see `narcf_geo.core.stores.opened`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known: dict[str, _Array | None] = {}
        self._own: set[str] = set()

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return what a file holds, or None where there is none to be expected.

        Raises
        ------
        NarcfError
            When it is no file of the store; or a chunk that should be there, is not what was
            written, or is not of the size of a chunk.
        """
        self._require_own(key, self.root / key)
        found = await super().get(key, prototype, byte_range)
        return self._checked(key, found, byte_range)

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return what `get` does."""
        self._require_own(key, self.root / key)
        found = super().get_sync(key, prototype=prototype, byte_range=byte_range)
        return self._checked(key, found, byte_range)

    def _checked(
        self, key: str, found: Buffer | None, byte_range: ByteRequest | None
    ) -> Buffer | None:
        file = self.root / key
        if key.rpartition("/")[2] in (*DESCRIBES, ABSENT):
            return found
        at, array = self._array_of(key)
        if array is None:
            return found
        if found is None:
            if array.absent is not None and key[len(at) :].lstrip("/") not in array.absent:
                raise damaged(file, "no such file")
            return None
        content = found.to_bytes()
        if array.has_checksum and byte_range is None and not _holds(content):
            raise damaged(file, "another checksum than that of its bytes")
        if array.size and (problem := _problem(array.size, content, byte_range)):
            raise damaged(file, problem)
        return found

    def _require_own(self, key: str, file: Path) -> None:
        """Refuse a pipe or device, and what lies outside the store by a link."""
        folder = key.rpartition("/")[0]
        if folder not in self._own:
            self._require_inside(file.parent)
            self._own.add(folder)
        try:
            if stat.S_ISREG(os.lstat(file).st_mode):
                return
        except OSError:  # absent
            return
        require_ordinary(file)
        self._require_inside(file)

    def _require_inside(self, path: Path) -> None:
        at, home = os.path.realpath(path), os.path.realpath(self.root)
        if at != home and not at.startswith(os.path.join(home, "")):
            raise UnreadableError(
                f"{path}: expected a part of the store, found a link to {at[:200]}; put a copy in "
                "its place, as with `cp -rL`"
            )

    def _array_of(self, key: str) -> tuple[str, _Array | None]:
        """Return the folder of the array that a chunk is of, and what is known of the array."""
        at = key
        while at:
            at = at.rpartition("/")[0]
            if at not in self._known:
                self._known[at] = self._described(self.root / at)
            if self._known[at] is not None:
                break
        return at, self._known[at]

    def _described(self, folder: Path) -> _Array | None:
        for name in ("zarr.json", ".zarray"):
            try:
                described = json.loads((folder / name).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if isinstance(described, Mapping) and described.get("node_type") != "group":
                codecs = described.get("codecs") or [{}]
                has_checksum = isinstance(codecs[-1], dict) and codecs[-1].get("name") == "crc32c"
                return _Array(_absent(folder), has_checksum, ChunkSize.of(described))
        return None


def _absent(folder: Path) -> frozenset[str] | None:
    """Return the chunks that were never written; None where nothing is said of that."""
    try:
        return frozenset(json.loads((folder / ABSENT).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise damaged(folder / ABSENT, "no list of chunks") from None


def _problem(size: ChunkSize, content: bytes, part: ByteRequest | None) -> str:
    """Return what is wrong with the size of a chunk, of a shard or of one chunk of a shard."""
    if size.inner is None:
        return size.problem(content) if part is None else ""
    if part is None:
        return size.problem_of_shard(content)
    # A shard is read by ranges, but for its index, which is a suffix or begins it.
    begins = size.index_at_start and getattr(part, "start", 0) == 0
    is_chunk = isinstance(part, RangeByteRequest) and not begins
    return size.inner.problem(content) if is_chunk else ""


def _holds(content: bytes) -> bool:
    from numcodecs.checksum32 import CRC32C

    try:
        CRC32C(location="end").decode(content)
    except (RuntimeError, ValueError, IndexError):
        return False
    return True
