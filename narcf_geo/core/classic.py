"""How many bytes a classic NetCDF file must have, by its header: one cut short reads as zeros."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
"""Bytes of a value, by the number of its type: byte, char, short, int, float, double, ..."""

_STREAMING = {4: 2**32 - 1, 8: 2**64 - 1}
"""The number of records, by its width, of a file whose writer did not know it."""


@dataclass(frozen=True)
class _Variable:
    name: str
    lengths: list[int]
    itemsize: int
    begin: int

    @property
    def is_record(self) -> bool:
        return bool(self.lengths) and self.lengths[0] == 0

    @property
    def bytes(self) -> int:
        """Bytes of the whole variable, or of one of its records."""
        size = self.itemsize
        for length in self.lengths[1:] if self.is_record else self.lengths:
            size *= length
        return size


def ends(path: Path) -> dict[str, int]:
    """Return where the values of each variable end, in bytes from the beginning of the file.

    Parameters
    ----------
    path : Path
        A file in one of the formats CDF-1, CDF-2 and CDF-5.

    Raises
    ------
    ValueError
        When its header is none, or is itself cut short.
    """
    with path.open("rb") as file:
        try:
            records, variables = _Header(file).read()
        except (struct.error, KeyError, IndexError, OverflowError):
            raise ValueError("its header is damaged or incomplete") from None
    own = [v for v in variables if v.is_record]
    # Records are filled up to four bytes, unless there is a single variable of them.
    step = own[0].bytes if len(own) == 1 else sum(-(-v.bytes // 4) * 4 for v in own)
    return {
        v.name: v.begin + (v.bytes if not v.is_record else (records - 1) * step + v.bytes)
        for v in variables
        if not v.is_record or records > 0
    }


class _Header:
    """The header of a file, read from its beginning."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        magic = file.read(4)
        if magic[:3] != b"CDF" or magic[3:] not in (b"\1", b"\2", b"\5"):
            raise ValueError("its header is none of NetCDF")
        self.count = 8 if magic[3] == 5 else 4
        self.offset = 4 if magic[3] == 1 else 8

    def read(self) -> tuple[int, list[_Variable]]:
        """Return the number of records and the variables."""
        records = self._number(self.count)
        if records == _STREAMING[self.count]:
            records = 0
        lengths = []
        for _ in range(self._list()):
            self._text()
            lengths.append(self._number(self.count))
        self._attributes()
        return records, [self._variable(lengths) for _ in range(self._list())]

    def _variable(self, lengths: list[int]) -> _Variable:
        name = self._text()
        dims = [self._number(self.count) for _ in range(self._number(self.count))]
        self._attributes()
        itemsize = _SIZES[self._number(4)]
        self._number(self.count)  # its size, which large variables have not
        begin = self._number(self.offset)
        return _Variable(name, [lengths[d] for d in dims], itemsize, begin)

    def _attributes(self) -> None:
        for _ in range(self._list()):
            self._text()
            size = _SIZES[self._number(4)]
            self._padded(size * self._number(self.count))

    def _list(self) -> int:
        self._number(4)  # the kind of list
        return self._number(self.count)

    def _text(self) -> str:
        return self._padded(self._number(self.count)).decode("utf-8", "replace")

    def _padded(self, size: int) -> bytes:
        data = self.file.read(-(-size // 4) * 4)
        if len(data) < size:
            raise struct.error
        return data[:size]

    def _number(self, width: int) -> int:
        data = self.file.read(width)
        return int(struct.unpack(">I" if width == 4 else ">Q", data)[0])
