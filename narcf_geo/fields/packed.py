"""Files packed with gzip, unpacked into a temporary folder that goes with the process."""

from __future__ import annotations

import atexit
import gzip
import shutil
import tempfile
from functools import cache
from pathlib import Path

from narcf_geo.core.errors import UnreadableError

LARGEST = 20 * 2**30
"""Bytes that a file may unpack to: a small file can be made to unpack to any size."""


def unpacked(path: Path) -> Path:
    """Return the unpacked copy of a ``.gz`` file, made once in each process.

    Raises
    ------
    UnreadableError
        When it is no gzip file, is cut short, or unpacks to more than 20 GiB.
    """
    stat = path.stat()
    return _copy(path.resolve(), stat.st_size, stat.st_mtime_ns)


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="narcf-geo-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _copy(path: Path, size: int, modified: int) -> Path:
    target = _folder() / f"{abs(hash((path, size, modified)))}_{path.stem}"
    written = 0
    try:
        with gzip.open(path) as source, open(target, "wb") as file:
            while block := source.read(2**22):
                written += len(block)
                if written > LARGEST:
                    raise UnreadableError(
                        f"{path}: expected at most {LARGEST / 2**30:g} GiB when unpacked, found "
                        "more; unpack it yourself if it is to be trusted"
                    )
                file.write(block)
    except (OSError, EOFError) as error:
        target.unlink(missing_ok=True)
        if isinstance(error, UnreadableError):
            raise
        raise UnreadableError(
            f"{path}: cannot be unpacked ({error}); the file may be damaged or incomplete"
        ) from None
    return target
