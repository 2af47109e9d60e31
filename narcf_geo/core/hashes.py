"""What is in files and folders: SHA-256, computed again only where size or times differ."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.files import atomic_path

Stamp = tuple[int, int, int]
"""Size, time of the last change and of the last change of what describes a file."""


class Hashes:
    """SHA-256 of files, kept with the size and times of each in a JSON file.

    Parameters
    ----------
    record : path, optional
        The JSON file; where it is absent or damaged every file is read.
    folder : path
        Names in the record are seen from here, so that both can be moved.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.txt").write_text("flux")
    >>> Hashes().parts(folder)["a.txt"][:8]
    'a2e10207'
    """

    def __init__(self, record: Path | None = None, folder: Path = Path()) -> None:
        self._path, self._folder = record, folder.resolve()
        self._known = _read(record)
        self._changed = False

    def parts(self, path: Path) -> dict[str, str]:
        """Return the hash of each file in a folder by its name there, or of a file by ``""``.

        Raises
        ------
        NarcfError
            When a file cannot be read.
        """
        base = os.path.relpath(path.parent.resolve() / path.name, self._folder)
        found: dict[str, str] = {}
        unread: dict[str, tuple[str, Path, Stamp]] = {}
        for name, file in _files(path).items():
            key = os.path.join(base, name) if name else base
            stamp = _stamp(file)
            known = self._known.get(key)
            found[name] = known[1] if known and known[0] == stamp else ""
            if not found[name]:
                unread[name] = (key, file, stamp)
        with ThreadPoolExecutor(4) as pool:
            hashes = pool.map(_sha256, (file for _, file, _ in unread.values()))
            for (name, (key, _, stamp)), sha256 in zip(unread.items(), hashes, strict=True):
                found[name] = sha256
                self._known[key] = (stamp, sha256)
                self._changed = True
        return found

    def save(self) -> None:
        """Keep what was found; nothing is written where nothing is new."""
        if self._path is None or not self._changed:
            return
        kept = {n: k for n, k in self._known.items() if (self._folder / n).exists()}
        with atomic_path(self._path) as temporary:
            temporary.write_text(json.dumps(kept, indent=0), encoding="utf-8")
        self._changed = False


def total(parts: Mapping[str, str]) -> str:
    """Return one hash of a file, or of a folder: that of what ``sha256sum`` lists of it.

    Examples
    --------
    >>> total({"": "ab"}), total({"b": "cd", "a": "ab"})[:8]
    ('ab', '2a5da2c6')
    """
    if set(parts) == {""}:
        return parts[""]
    lines = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(parts.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in _files(path).values())


def stamps(path: Path) -> dict[str, Stamp]:
    """Return size and times of each file in a folder by its name there, or of a file by ``""``.

    Raises
    ------
    NarcfError
        When a file is absent or cannot be looked at.
    """
    return {name: _stamp(file) for name, file in _files(path).items()}


def _files(path: Path) -> dict[str, Path]:
    """Return the regular files in a folder by their names there, sorted; a file by ``""``.

    Links to folders are followed, each folder once.
    """
    if not path.is_dir():
        return {"": path}
    found = {}
    seen = set()
    for folder, below, names in os.walk(path, followlinks=True):
        if (at := os.path.realpath(folder)) in seen:  # a link to a folder that it is in
            below.clear()
            continue
        seen.add(at)
        for file in (Path(folder, name) for name in names):
            if file.is_file():  # a pipe would be waited for
                found[file.relative_to(path).as_posix()] = file
    return dict(sorted(found.items()))


def _sha256(file: Path) -> str:
    with _reading(file), file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _stamp(file: Path) -> Stamp:
    with _reading(file):
        stat = file.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NarcfError(f"{file}: no such file") from None
    except OSError as error:
        raise NarcfError(f"{file}: reading failed ({error}); see to the file") from None


def _read(record: Path | None) -> dict[str, tuple[Stamp, str]]:
    """Return what a record holds; what is not as it was written is left out."""
    try:
        content = json.loads(record.read_text(encoding="utf-8")) if record else {}
        pairs = dict(content).items()
        return {str(n): ((int(s[0]), int(s[1]), int(s[2])), str(h)) for n, (s, h) in pairs}
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return {}
