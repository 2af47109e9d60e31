"""A Zarr store on disk that names the file of a chunk which is lost or damaged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from zarr.storage import LocalStore

from narcf_geo.core.stores import ABSENT, damaged

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype


class CheckingStore(LocalStore):
    """A local store, read; see `narcf_geo.core.stores.opened`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known: dict[str, tuple[set[str] | None, bool]] = {}

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
            When it is a chunk that should be there, or is not what was written.
        """
        found = await super().get(key, prototype, byte_range)
        array, chunk = _parts(key)
        if not chunk:
            return found
        absent, has_checksum = self._array(array)
        if found is None:
            if absent is not None and chunk not in absent:
                raise damaged(self.root / key, "no such file")
        elif has_checksum and byte_range is None and not _holds(found.to_bytes()):
            raise damaged(self.root / key, "another checksum than that of its bytes")
        return found

    def _array(self, name: str) -> tuple[set[str] | None, bool]:
        """Return the absent chunks of an array, if they are known, and whether it has checksums."""
        if name not in self._known:
            folder = self.root / name
            try:
                absent = set(json.loads((folder / ABSENT).read_text(encoding="utf-8")))
            except FileNotFoundError:
                absent = None
            except (ValueError, TypeError):
                raise damaged(folder / ABSENT, "no list of chunks") from None
            text = (folder / "zarr.json").read_text(encoding="utf-8")
            codecs = json.loads(text).get("codecs") or [{}]
            self._known[name] = (absent, codecs[-1].get("name") == "crc32c")
        return self._known[name]


def _parts(key: str) -> tuple[str, str]:
    """Return the array and the chunk that a key names; no chunk for other files."""
    array, slash, chunk = key.partition("/c/")
    if slash:
        return array, f"c/{chunk}"
    return (key[:-2], "c") if key.endswith("/c") else (key, "")


def _holds(content: bytes) -> bool:
    from numcodecs.checksum32 import CRC32C

    try:
        CRC32C(location="end").decode(content)
    except (RuntimeError, ValueError, IndexError):
        return False
    return True
