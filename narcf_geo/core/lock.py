"""One at a time: other processes and other threads are kept out."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from narcf_geo.core.errors import NarcfError

_held: dict[Path, tuple[int, int]] = {}
"""Process and thread that hold each lock held here."""


@contextmanager
def hold(path: Path, what: str, *, reentrant: bool = False) -> Iterator[None]:
    """Hold the lock file `path` within the block; the system frees it when the process dies.

    Parameters
    ----------
    path : Path
        Says who holds it; removed at the end.
    what : str
        What is locked, for the error.
    reentrant : bool
        Let a thread that holds the lock hold it again; it is free when the outer block ends.

    Raises
    ------
    NarcfError
        When it is held: by which process, where and since when.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "lock"
    >>> with hold(path, "the project"), hold(path, "the project", reentrant=True):
    ...     print(path.read_text())
    process ... on ... since ...
    >>> with hold(path, "the project"), hold(path, "the project"):
    ...     pass
    Traceback (most recent call last):
    narcf_geo.core.errors.NarcfError: the project is in use by process ... which is this process...
    """
    key, me = path.resolve(), (os.getpid(), threading.get_ident())
    if reentrant and _held.get(key) == me:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _locked(path, what)
    _held[key] = me
    try:
        now = datetime.now().astimezone().isoformat(" ", "seconds")
        os.truncate(handle, 0)
        os.pwrite(
            handle, f"process {os.getpid()} on {socket.gethostname()} since {now}".encode(), 0
        )
        yield
    finally:
        del _held[key]
        path.unlink(missing_ok=True)
        os.close(handle)


def _locked(path: Path, what: str) -> int:
    try:
        import fcntl
    except ImportError:  # Windows: nobody is kept out
        return os.open(path, os.O_RDWR | os.O_CREAT)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The one before may have removed the file after it was opened here.
            if path.exists() and os.fstat(handle).st_ino == path.stat().st_ino:
                return handle
        except BlockingIOError:
            holder = os.pread(handle, 200, 0).decode(errors="replace") or "another process"
            os.close(handle)
            remedy = "; wait until it has ended, or stop it"
            if holder.startswith(f"process {os.getpid()} on {socket.gethostname()} "):
                remedy = ", which is this process: end what runs it in another thread or block"
            raise NarcfError(f"{what} is in use by {holder} ({path}){remedy}") from None
        os.close(handle)
