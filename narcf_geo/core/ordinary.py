"""What may stand at a path that is read: a file or a folder, and no pipe or device."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from narcf_geo.core.errors import NarcfError, UnreadableError

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def require_ordinary(
    path: str | os.PathLike[str], error: type[NarcfError] = UnreadableError
) -> None:
    """Refuse a pipe, a socket or a device: reading one may never end.

    Parameters
    ----------
    path : path
        A link is followed. What is absent is left to whoever opens it.
    error : type
        What is raised.

    Raises
    ------
    NarcfError
        Of the type `error`.

    Examples
    --------
    >>> require_ordinary(os.devnull)
    Traceback (most recent call last):
    narcf_geo.core.errors.UnreadableError: /dev/null: expected a file, found a device
    """
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except (OSError, ValueError):
        return
    if kind in _KINDS:
        raise error(f"{path}: expected a file, found {_KINDS[kind]}")


def read_text(path: Path, most: int, error: type[NarcfError] = UnreadableError) -> str:
    """Return the UTF-8 text of a file of at most so many bytes.

    Raises
    ------
    NarcfError
        Of the type `error`, when it is no ordinary file, is larger, or is not UTF-8.
    OSError
        When it is absent or cannot be read.
    """
    require_ordinary(path, error)
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise error(f"{path}: expected at most {most / 1e6:g} MB of text, found more")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise error(f"{path}: cannot be read as UTF-8 text ({problem})") from None
