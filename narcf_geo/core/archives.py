"""ZIP archives of arrays from anyone: checked before anything in them is read."""

from __future__ import annotations

import math
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

import numpy as np


def require_regular(path: Path, limit: int) -> None:
    """Refuse what is no regular file, or is larger than `limit` bytes.

    Raises
    ------
    ValueError
        In words without the path, for the caller to put it in front.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("expected a regular file, found a folder or a device")
    if found.st_size > limit:
        raise ValueError(f"{found.st_size:,} bytes, expected at most {limit:,}")


@contextmanager
def open_zip(path: Path, names: Collection[str], limit: int) -> Iterator[ZipFile]:
    """Open an archive that holds the entries `names` and no others, `limit` bytes unpacked.

    Raises
    ------
    ValueError, OSError, zipfile.BadZipFile
        When it is anything else. An entry gives no more bytes than the archive says it has.
    """
    require_regular(path, limit)
    with ZipFile(path) as archive:
        entries = archive.infolist()
        found = sorted(entry.filename for entry in entries)
        if found != sorted(names):
            some = ", ".join(found[:10]) + (", ..." if len(found) > 10 else "")
            raise ValueError(f"expected the entries {', '.join(sorted(names))}, found {some}")
        size = sum(entry.file_size for entry in entries)
        if size > limit:
            raise ValueError(f"{size:,} bytes when unpacked, expected at most {limit:,}")
        if any(entry.flag_bits & 1 for entry in entries):
            raise ValueError("the entries are encrypted")
        yield archive


def read_array(archive: ZipFile, name: str) -> np.ndarray:
    """Return the array of the entry ``<name>.npy``, float32 or float64, all of it finite.

    Raises
    ------
    ValueError
        When it holds something else, or says it is larger than it is.
    """
    entry = archive.getinfo(f"{name}.npy")
    with archive.open(entry) as file:
        major, minor = np.lib.format.read_magic(file)
        if (major, minor) not in ((1, 0), (2, 0)):
            raise ValueError(f"{name}: expected the .npy format 1.0 or 2.0, found {major}.{minor}")
        read = (
            np.lib.format.read_array_header_1_0
            if major == 1
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(file)
        if dtype not in (np.dtype("f4"), np.dtype("f8")):
            raise ValueError(
                f"{name}: expected numbers of the type float32 or float64, found {dtype}"
            )
        data = file.read()
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name}: expected {shape} values of {dtype}, found {len(data)} bytes")
    values = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: expected finite numbers, found NaN or infinity")
    return values
