"""How large a chunk of a Zarr store is once decoded, found before the memory for it is taken."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from narcf_geo.core.sizes import SMALL, memory

_LOOSE = 16
"""Codecs such as filters change the size; by more than so many times none of them does."""

_SAME_SIZE = ("bytes", "transpose", "endian", "shuffle")
_CHECKSUM = ("crc32c",)
_DEFLATED = 1032
"""Bytes that one byte of zlib stands for at most."""
_ZSTD_BLOCK = 2**17
_PIECE = 2**20
_NO_CHUNK = 2**64 - 1
"""In the index of a shard, of a chunk that was not written."""


@dataclass(frozen=True)
class ChunkSize:
    """What a chunk of an array is to hold.

    Attributes
    ----------
    size : int or None
        Bytes once decoded; None where values differ in length.
    codecs : tuple
        Name and configuration of each, in the order in which they are applied.
    inner : ChunkSize or None
        What each chunk in a shard is to hold.
    """

    size: int | None
    codecs: tuple[tuple[str, Mapping[str, Any]], ...]
    inner: ChunkSize | None = None

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> ChunkSize | None:
        """Return what the description of an array says; None where it cannot be read.

        Examples
        --------
        >>> ChunkSize.of({"zarr_format": 2, "chunks": [2, 3], "dtype": "<f4"})
        ChunkSize(size=24, codecs=(), inner=None)
        """
        try:
            if described["zarr_format"] == 2:
                codecs = [*(described.get("filters") or []), described.get("compressor")]
                named = [(str(c["id"]), c) for c in codecs if c]
                return cls(_bytes(described["chunks"], described["dtype"]), tuple(named))
            shape = described["chunk_grid"]["configuration"]["chunk_shape"]
            return cls._of_codecs(shape, described["data_type"], described["codecs"])
        except (LookupError, TypeError, ValueError, AttributeError):
            return None  # Zarr says what is wrong with it

    @classmethod
    def _of_codecs(cls, shape: Sequence[int], dtype: Any, codecs: Sequence[Any]) -> ChunkSize:
        named = tuple(
            (str(c["name"]).removeprefix("numcodecs."), c.get("configuration") or {})
            for c in codecs
        )
        inner = None
        if named and named[0][0] == "sharding_indexed":
            shard = named[0][1]
            inner = cls._of_codecs(shard["chunk_shape"], dtype, shard["codecs"])
        return cls(_bytes(shape, dtype), named, inner)

    def problem(self, content: bytes) -> str:
        """Return what is wrong with the size of an encoded chunk; empty where nothing is."""
        codecs = list(self.codecs)
        while codecs and codecs[-1][0] in _CHECKSUM:
            codecs.pop()
            content = content[:-4]
        found: int | None = len(content)
        if codecs and codecs[-1][0] in _DECODED:
            name, configuration = codecs.pop()
            try:
                found = _DECODED[name](content, self._most, configuration)
            except (OSError, ValueError, EOFError, IndexError, zlib.error, lzma.LZMAError):
                return f"bytes that {name} did not write"
        exact = self.size is not None and all(name in _SAME_SIZE for name, _ in codecs)
        if found is None or (found == self.size if exact else found <= self._most):
            return ""
        expected = f"{self.size:,}" if exact else f"at most {self._most:,}"
        more = "more than " if found > self._most else ""
        return f"{more}{min(found, self._most):,} bytes in place of {expected}"

    @property
    def index_at_start(self) -> bool:
        """Whether a shard begins with its index."""
        return bool(self.codecs) and self.codecs[0][1].get("index_location") == "start"

    def problem_of_shard(self, content: bytes) -> str:
        """Return what is wrong with the size of the chunks in a shard."""
        inner = self.inner
        if inner is None or not self.size or not inner.size:
            return ""
        width = 16 * (self.size // inner.size)
        index = content[:width] if self.index_at_start else content[-4 - width : -4]
        for start, length in np.frombuffer(index[: len(index) // 16 * 16], "<u8").reshape(-1, 2):
            chunk = content[int(start) : int(start) + int(length)]
            if start != _NO_CHUNK and (problem := inner.problem(chunk)):
                return problem
        return ""

    @property
    def _most(self) -> int:
        return max(_LOOSE * self.size, SMALL) if self.size is not None else memory()


def _bytes(shape: Sequence[int], dtype: Any) -> int | None:
    """Return the bytes of a chunk; None for a type that is not of a fixed size."""
    if isinstance(dtype, Mapping):
        configuration = dtype.get("configuration") or {}
        is_time = str(dtype["name"]).startswith("numpy.")
        size = 8 if is_time else configuration.get("length_bytes")
        return math.prod(shape) * int(size) if size is not None else None
    if not isinstance(dtype, str) or dtype in ("string", "bytes", "|O"):
        return None
    try:
        return math.prod(shape) * np.dtype(dtype).itemsize
    except TypeError:
        return None


def _zstd(content: bytes, most: int, _: Mapping[str, Any]) -> int | None:
    """Return the size that a frame states, else the most that its blocks can hold."""
    if content[:4] != b"\x28\xb5\x2f\xfd":
        raise ValueError("no frame")
    flags = content[4]
    single, stated = flags >> 5 & 1, flags >> 6
    at = 5 + (1 - single) + (0, 1, 2, 4)[flags & 3]
    width = (single, 2, 4, 8)[stated]
    if width:
        value = int.from_bytes(content[at : at + width], "little")
        return value + 256 if width == 2 else value
    total, last = 0, False
    while not last:
        header = int.from_bytes(content[at : at + 3], "little")
        if at + 3 > len(content):
            raise ValueError("cut short")
        last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        total += size if kind < 2 else _ZSTD_BLOCK
        at += 3 + (1 if kind == 1 else size)
    # Without a stated size the last bytes are not known before it is decoded.
    return total if total > most else None


def _blosc(content: bytes, _: int, __: Mapping[str, Any]) -> int:
    if len(content) < 16:
        raise ValueError("no header")
    return int.from_bytes(content[4:8], "little")


def _lz4(content: bytes, _: int, __: Mapping[str, Any]) -> int:
    if len(content) < 4:
        raise ValueError("no header")
    return int.from_bytes(content[:4], "little")


def _zlib(content: bytes, most: int, _: Mapping[str, Any]) -> int | None:
    if _DEFLATED * len(content) <= max(SMALL, memory() // 4):
        return None
    decoder, total = zlib.decompressobj(), 0
    while content and total <= most:
        total += len(decoder.decompress(content, _PIECE))
        content = decoder.unconsumed_tail
    return total


def _gzip(content: bytes, most: int, _: Mapping[str, Any]) -> int:
    if _DEFLATED * len(content) <= max(SMALL, memory() // 4):
        return int.from_bytes(content[-4:], "little")
    return _counted(gzip.GzipFile(fileobj=io.BytesIO(content)), most)


def _bz2(content: bytes, most: int, _: Mapping[str, Any]) -> int:
    return _counted(bz2.BZ2File(io.BytesIO(content)), most)


def _lzma(content: bytes, most: int, how: Mapping[str, Any]) -> int:
    kind, filters = how.get("format") or lzma.FORMAT_AUTO, how.get("filters")
    return _counted(lzma.LZMAFile(io.BytesIO(content), format=kind, filters=filters), most)


def _counted(stream: io.BufferedIOBase, most: int) -> int:
    """Return the bytes of a stream, or something more than `most`; a piece is held at a time."""
    total = 0
    with stream:
        while total <= most and (piece := stream.read(_PIECE)):
            total += len(piece)
    return total


_DECODED: dict[str, Callable[[bytes, int, Mapping[str, Any]], int | None]] = {
    "zstd": _zstd,
    "blosc": _blosc,
    "lz4": _lz4,
    "zlib": _zlib,
    "gzip": _gzip,
    "bz2": _bz2,
    "lzma": _lzma,
}
"""How the size of what each compressor wrote is found."""
