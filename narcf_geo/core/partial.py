"""Temporary names that no other writer has, and the removal of what killed ones left."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path

from narcf_geo.core.processes import host, is_running

_numbers = count()
_swept: set[tuple[int, Path]] = set()


def partial_path(path: Path) -> Path:
    """Return a hidden name beside `path`, with its ending, that nobody else writes.

    The first call of a process for a folder removes what others left there when they were killed.

    Examples
    --------
    >>> partial_path(Path("flux.nc")).name
    '.flux...partial.nc'
    """
    folder = path.parent
    key = os.getpid(), folder.absolute()
    if key not in _swept:
        _swept.add(key)
        sweep(folder)
    return folder / f".{path.stem}.{_mark()}-{os.getpid():x}-{next(_numbers)}.partial{path.suffix}"


def sweep(folder: Path) -> None:
    """Remove from a folder the temporary files of processes of this computer that have ended."""
    pattern = re.compile(rf"\..*\.{_mark()}-([0-9a-f]+)-\d+\.partial(\..*)?")
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = pattern.fullmatch(entry.name)
            if found is None or is_running(int(found[1], 16), entry.stat().st_mtime):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)


def _mark() -> str:
    """Return a few letters for this computer."""
    return hashlib.sha256(host().encode()).hexdigest()[:6]
