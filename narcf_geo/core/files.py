"""Files that are either whole or not there, and a stream that is quiet for a while."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path

from narcf_geo.core.errors import NarcfError, UsageError, reason
from narcf_geo.core.partial import partial_path

_ATTEMPTS = 20
_DISK = ("ENOSPC", "EDQUOT", "EIO", "EROFS", "EFBIG")


def remove(path: Path) -> None:
    """Remove a file or a folder; do nothing when it is absent."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what compiled code writes to the standard error stream within the block."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def atomic_path(path: str | PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it into place when the block ends well.

    Works for a file and for a folder (a Zarr store); several processes may write the same one, the
    last stays. When the block raises, the temporary path is removed and whatever stood at `path`
    stays as it was.

    Raises
    ------
    NarcfError
        When the disk is full or fails.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "total.csv"
    >>> with atomic_path(target) as temporary:
    ...     _ = temporary.write_text("biome,flux_TgC")
    >>> target.read_text()
    'biome,flux_TgC'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = partial_path(path)
    try:
        yield temporary
        move(temporary, path)
    except BaseException as error:
        with suppress(OSError):  # of a disk that fails
            remove(temporary)
        if said := disk_failure(error) or _in_a_library(error, path):
            raise NarcfError(
                f"{path}: cannot be written ({said}); see to the disk and to what is read, and run "
                "again: what was finished stays"
            ) from error
        raise


def disk_failure(error: BaseException) -> str:
    """Return what the system says of a disk that is full, broken or for reading alone, else "".

    Examples
    --------
    >>> disk_failure(OSError(errno.ENOSPC, "")), disk_failure(OSError("a name"))
    ('No space left on device', '')
    """
    if isinstance(error, OSError) and errno.errorcode.get(error.errno or 0) in _DISK:
        return os.strerror(error.errno or 0)
    return ""


def _in_a_library(error: BaseException, path: Path) -> str:
    """Return what HDF5, SQLite or GDAL says when it cannot write a file."""
    if path.suffix == ".zarr":  # written by neither: they failed to read
        return ""
    said = str(error)
    hdf5 = said.startswith("NetCDF: HDF error")
    sqlite = any(words in said for words in ("disk is full", "disk I/O error"))
    ogr = type(error).__name__ in ("DataSourceError", "DataLayerError")
    return reason(error) if hdf5 or sqlite or ogr else ""


def move(temporary: Path, path: Path) -> None:
    """Move a finished file or folder to its place; it is there, and whole, after a power cut.

    What stands there goes, a file in the same moment. Another process may move one there too: the
    last stays.
    """
    all_to_disk(temporary)
    _put(temporary, path)
    to_disk(path.parent)


def _put(temporary: Path, path: Path) -> None:
    """Move a file or a folder to its place, where another process may put one too."""
    for attempt in range(_ATTEMPTS):
        old = partial_path(path)
        try:
            if temporary.is_dir():
                with suppress(FileNotFoundError):
                    path.replace(old)
            temporary.replace(path)
            return
        except PermissionError as error:  # Windows: another program has it open
            if attempt == _ATTEMPTS - 1:
                raise NarcfError(
                    f"{path}: cannot be replaced ({error.strerror}); close what has it open, or "
                    "give another name"
                ) from None
            time.sleep(0.02)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or attempt == _ATTEMPTS - 1:
                raise
        finally:
            remove(old)


def all_to_disk(path: Path) -> None:
    """Have the system write what it holds of a file, or of a folder and all that is in it."""
    with ThreadPoolExecutor(32) as pool:  # the disk takes many at once
        for _ in pool.map(to_disk, [path, *path.rglob("*")]):
            pass


def to_disk(path: Path) -> None:
    """Have the system write what it holds of a file or folder, where it can."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # a folder on Windows
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EACCES):
            raise
    finally:
        os.close(handle)


def require_replaceable(
    output: str | PathLike[str], inputs: Iterable[str | PathLike[str]], *, store: bool
) -> None:
    """Refuse an output that would destroy an input, or something of another kind.

    Parameters
    ----------
    output : path
        What is to be written; symbolic links are followed.
    inputs : iterable of path
        What is read. `output` may be none of them, hold none, and lie in no Zarr store among them.
    store : bool
        Whether a Zarr store is to be written, or a file.

    Raises
    ------
    UsageError
        When it would.

    Examples
    --------
    >>> require_replaceable("cube/../cube.nc", ["cube.nc"], store=False)
    Traceback (most recent call last):
    narcf_geo.core.errors.UsageError: cube/../cube.nc: expected another place for the result, \
found the input cube.nc
    """
    if os.path.islink(output) and not os.path.exists(output):
        raise UsageError(
            f"{output}: expected a place for the result, found a link that leads to nothing; "
            "remove it"
        )
    out = Path(os.path.realpath(output))
    for given in inputs:
        found = Path(os.path.realpath(given))
        if out == found or out in found.parents or (found in out.parents and is_store(found)):
            raise UsageError(
                f"{output}: expected another place for the result, found the input {given}"
            )
    if store and out.exists() and not is_store(out):
        raise UsageError(
            f"{output}: expected a Zarr store to replace, or nothing, found something else; give "
            "another name"
        )
    if not store and out.is_dir():
        raise UsageError(f"{output}: expected a file to write, found a folder; give another name")


def is_store(path: Path) -> bool:
    """Return whether a folder is a Zarr store."""
    return any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zmetadata"))
