"""Unpacking an archive beside itself: plain data files, all of them or none."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import re
import shutil
import stat
import tarfile
import unicodedata
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.files import remove
from narcf_geo.core.partial import partial_path

PROJECT_FILES = ("narcf.yaml", "data_catalog.yaml", "fetched.lock.json")
"""Names that nothing fetched or unpacked may have."""

MOST_FILES = 50_000
MOST_BYTES = 2**40
MOST_RATIO = 100
"""An archive may unpack to so many times its own size, where that is more than `FREE_BYTES`."""
FREE_BYTES = 100 * 2**20

_CHUNK = 1 << 20
_PACKED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OF_ZARR = (".zarray", ".zattrs", ".zgroup", ".zmetadata")
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def unpack(path: Path, known: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Unpack a zip, tar or single compressed file into its own folder.

    The files are written to a temporary folder and moved when all are there. What a killed process
    left of such a folder goes.

    Parameters
    ----------
    path : Path
        A ``.zip``, a ``.tar`` (plain, gzip, bzip2 or xz), or one file of gzip, bzip2 or xz, which
        takes the name of the archive without its last ending.
    known : mapping
        Checksums of what an earlier version of the archive held, by path: those files may be
        replaced, all others stay.

    Returns
    -------
    dict
        The SHA-256 checksum of each file, by its path below the folder.

    Raises
    ------
    NarcfError
        When a member is a link, a device or encrypted; has a name that leads elsewhere, is hidden,
        is a project's own, or is the same as another's on some system; would replace a file; when
        there are too many or they are too large; or when the archive is damaged or is none.
    """
    folder = partial_path(path.with_name(path.name[:80]))
    folder.mkdir()
    staged = _Staged(path, folder, _allowed(path))
    try:
        _extract(staged)
        if not staged.digests:
            raise NarcfError(f"{path}: expected an archive of data files, found none in it")
        _place(staged, known)
    except NarcfError:
        raise
    except Exception as error:  # each format raises its own kinds
        raise NarcfError(
            f"{path}: cannot be unpacked ({str(error)[:200] or type(error).__name__}); if the "
            "archive is damaged, remove it and fetch it again"
        ) from None
    finally:
        remove(folder)
    return staged.digests


def safe_parts(name: str) -> tuple[str, ...]:
    r"""Return the parts of a relative path that means the same file on every system.

    Raises
    ------
    ValueError
        When it does not; the message says why.

    Examples
    --------
    >>> safe_parts("./2009/air.nc")
    ('2009', 'air.nc')
    >>> safe_parts("..\\air.nc")
    Traceback (most recent call last):
    ValueError: has a backslash
    """
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in name):
        raise ValueError("has invisible characters")
    if "\\" in name:
        raise ValueError("has a backslash")
    if name.startswith("/") or ".." in name.split("/"):
        raise ValueError("would lie outside the folder")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    for part in parts:
        plain = unicodedata.normalize("NFKC", part)
        if re.match("[A-Za-z]:", plain) or (":" in plain and os.name == "nt"):
            raise ValueError("names a drive")
        if any(mark in plain and mark not in part for mark in "./\\"):
            raise ValueError("has characters that stand for a dot or a separator")
        if part.startswith(".") and not (part in _OF_ZARR and len(parts) > 1):
            raise ValueError("is hidden")
        if part.endswith((".", " ")) or _DEVICE.fullmatch(plain):
            raise ValueError("is no file name on every system")
    if any(_key(part) in PROJECT_FILES for part in parts):
        raise ValueError("is the name of a project's own file")
    return parts


def _key(text: str) -> str:
    """Return what two names share that are one file on some system."""
    return unicodedata.normalize("NFKC", text).casefold()


def _allowed(path: Path) -> int:
    """Return how many bytes an archive may hold."""
    return min(MOST_BYTES, max(FREE_BYTES, MOST_RATIO * path.stat().st_size))


@dataclass
class _Staged:
    """What has been taken out of an archive so far."""

    path: Path
    folder: Path
    left: int
    digests: dict[str, str] = field(default_factory=dict)
    _seen: dict[str, tuple[str, bool]] = field(default_factory=dict)
    _members: int = 0

    def member(self, name: str, *, is_folder: bool) -> str:
        """Return the path of a member, or refuse it."""
        self._members += 1
        self.require_few(self._members)
        try:
            parts = safe_parts(name)
        except ValueError as error:
            raise self.refusal(name, f"which {error}") from None
        for depth in range(1, len(parts) + 1):
            here = "/".join(parts[:depth])
            found = (here, depth < len(parts) or is_folder)
            before = self._seen.setdefault(_key(here), found)
            if before != found or (depth == len(parts) and here in self.digests):
                raise self.refusal(name, f"which is {before[0]!r} again on some systems")
        return "/".join(parts)

    def add(self, name: str, stream: IO[bytes]) -> None:
        """Write one file."""
        path = self.member(name, is_folder=False)
        if not path:
            raise self.refusal(name, "which has no name of its own")
        digest = hashlib.sha256()
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            while chunk := stream.read(_CHUNK):
                self.take(len(chunk))
                digest.update(chunk)
                file.write(chunk)
        self.digests[path] = digest.hexdigest()

    def take(self, size: int) -> None:
        """Count bytes, and refuse what is more than an archive may hold."""
        self.left -= size
        if self.left < 0:
            raise self.too_large()

    def require_few(self, members: int) -> None:
        """Refuse an archive of too many members."""
        if members > MOST_FILES:
            raise NarcfError(
                f"{self.path}: expected at most {MOST_FILES:,} members, found more; unpack it by "
                "other means if you trust it"
            )

    def require(self, size: int) -> None:
        """Refuse an archive that states more bytes than it may hold, or than there is room for."""
        if size > self.left:
            raise self.too_large()
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise NarcfError(
                f"{self.path}: expected room for {size:,} bytes in {self.path.parent}, found "
                f"{free:,}; make room and run the same command again"
            )

    def too_large(self) -> NarcfError:
        return NarcfError(
            f"{self.path}: expected an archive that unpacks to at most {_allowed(self.path):,} "
            f"bytes ({MOST_RATIO} times its size), found more; unpack it by other means if you "
            "trust it"
        )

    def refusal(self, name: str, why: str) -> NarcfError:
        return NarcfError(
            f"{self.path}: refused to unpack {name[:200]!r}, {why}; nothing was unpacked"
        )


class _Bounded:
    """A stream for `tarfile` that reads no header of absurd size, and not past what is allowed."""

    def __init__(self, stream: IO[bytes], staged: _Staged) -> None:
        self._stream, self._staged = stream, staged
        # Headers and padding take up to twice the room of the smallest files.
        self._end = 2 * staged.left + FREE_BYTES

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _CHUNK or self._stream.tell() + size > self._end:
            raise self._staged.too_large()
        return self._stream.read(size)

    def seek(self, place: int) -> int:
        if place > self._end:
            raise self._staged.too_large()
        return self._stream.seek(place)

    def tell(self) -> int:
        return self._stream.tell()


def _extract(staged: _Staged) -> None:
    with staged.path.open("rb") as file:
        start = file.read(6)
    if start.startswith(_ZIP):
        _extract_zip(staged)
        return
    opener = next((o for magic, o in _PACKED.items() if start.startswith(magic)), None)
    with (opener or open)(staged.path, "rb") as stream:
        if _is_tar(stream):
            _extract_tar(staged, stream)
        elif opener:
            staged.add(staged.path.stem, stream)
        else:
            raise NarcfError(
                f"{staged.path}: expected a zip, tar, gzip, bzip2 or xz file to unpack, found "
                "another; correct metadata.fetch in the catalog"
            )


def _is_tar(stream: IO[bytes]) -> bool:
    block = stream.read(tarfile.BLOCKSIZE)
    stream.seek(0)
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def _extract_zip(staged: _Staged) -> None:
    with zipfile.ZipFile(staged.path) as archive:
        members = archive.infolist()
        staged.require_few(len(members))
        staged.require(sum(member.file_size for member in members))
        for member in members:
            # `filename` ends at a NUL, and has other separators on Windows.
            name, kind = member.orig_filename, stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise staged.refusal(name, "which is a link or device")
            if member.flag_bits & 1:
                raise staged.refusal(name, "which is encrypted")
            if name.endswith("/") or kind == stat.S_IFDIR:
                staged.member(name, is_folder=True)
            elif not _of_macos(name):
                with archive.open(member) as stream:
                    staged.add(name, stream)


def _extract_tar(staged: _Staged, stream: IO[bytes]) -> None:
    bounded: Any = _Bounded(stream, staged)
    with tarfile.open(fileobj=bounded, mode="r:") as archive:
        for member in archive:
            if member.isdir():
                staged.member(member.name, is_folder=True)
                continue
            content = archive.extractfile(member) if member.isfile() else None
            if content is None or member.issparse():
                raise staged.refusal(member.name, "which is a link, device or sparse file")
            staged.require(member.size)
            if not _of_macos(member.name):
                staged.add(member.name, content)
        # A damaged or cut header ends the loop as the end of the archive does.
        bounded.seek(archive.offset)
        if bounded.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("a header in it is damaged, or its end is missing")


def _of_macos(name: str) -> bool:
    """Tell whether a member is what macOS adds to archives; it is left out."""
    last = name.rpartition("/")[2]
    return name.startswith("__MACOSX/") or last == ".DS_Store" or last.startswith("._")


def _place(staged: _Staged, known: Mapping[str, str]) -> None:
    """Move all files to where they belong, after a look at each place."""
    folder = staged.path.parent
    moves = [name for name in staged.digests if not _is_there(staged, folder, name, known)]
    placed = []
    try:
        for name in moves:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            new = not target.exists()
            os.replace(staged.folder / name, target)
            placed += [target] if new else []
    except OSError:
        for target in placed:
            target.unlink(missing_ok=True)
        raise


def _is_there(staged: _Staged, folder: Path, name: str, known: Mapping[str, str]) -> bool:
    """Tell whether a file is there already; refuse one that would replace another."""
    target = folder / name
    for parent in [p for p in target.parents if p.is_relative_to(folder) and p != folder]:
        if os.path.lexists(parent) and (parent.is_symlink() or not parent.is_dir()):
            raise staged.refusal(name, f"as {parent} is no folder of its own")
    if not os.path.lexists(target):
        return False
    if target.is_file() and not target.is_symlink():
        with target.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found == staged.digests[name]:
            return True
        if found == known.get(name):
            return False
    raise staged.refusal(name, f"which would replace {target}: move that away to have the new one")
