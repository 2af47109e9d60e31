"""One at a time: other processes and other threads are kept out.

The system's own lock (``flock``) is held where it has one, and freed by it when the process dies.
Where it has none (Windows, some NFS and Lustre mounts), the file alone is the lock; that of a
process of this computer that has ended is taken over.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.processes import command, host, is_running

_WAIT = 1.0
"""Seconds in which whoever makes a lock file has said who it is."""

_held: dict[Path, tuple[int, int]] = {}
"""Process and thread that hold each lock held here."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: what stands in its file."""

    process: int
    host: str
    since: str
    command: str
    lock: str
    """``system`` or ``file``: what keeps others out."""

    @classmethod
    def me(cls, lock: str) -> Holder:
        """Return this process."""
        now = datetime.now().astimezone().isoformat(" ", "seconds")
        return cls(os.getpid(), host(), now, command(), lock)

    @classmethod
    def read(cls, path: Path) -> Holder | None:
        """Return who holds the lock of a file; None where it does not say."""
        try:
            found = cls(**json.loads(path.read_text(encoding="utf-8")))
            datetime.fromisoformat(found.since)
            return found if isinstance(found.process, int) else None
        except (OSError, ValueError, TypeError):
            return None

    @property
    def may_run(self) -> bool:
        """Whether it may still run: yes on another computer, of which nothing is known."""
        if self.host != host():
            return True
        return is_running(self.process, datetime.fromisoformat(self.since).timestamp())

    def __str__(self) -> str:
        return f"process {self.process} on {self.host} since {self.since} ({self.command})"


def hold_output(output: Path, wait: float = 0.0) -> AbstractContextManager[None]:
    """Keep others from writing the file or store `output` within the block.

    Parameters
    ----------
    output : Path
        What is written.
    wait : float
        Seconds to wait for another command.

    Raises
    ------
    NarcfError
        When another command writes it: which one, where and since when.
    """
    return hold(output.with_name(f".{output.name}.lock"), str(output), reentrant=True, wait=wait)


@contextmanager
def hold(path: Path, what: str, *, reentrant: bool = False, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path` within the block.

    Parameters
    ----------
    path : Path
        Says who holds it; removed at the end.
    what : str
        What is locked, for the error.
    reentrant : bool
        Let a thread that holds the lock hold it again; it is free when the outer block ends.
    wait : float
        Seconds to wait for whoever holds it.

    Raises
    ------
    NarcfError
        When it is held: by which process, where and since when; or nothing can be written there.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "lock"
    >>> with hold(path, "the project"), hold(path, "the project", reentrant=True):
    ...     print(Holder.read(path))
    process ... on ... since ... (...)
    >>> with hold(path, "the project"), hold(path, "the project"):
    ...     pass
    Traceback (most recent call last):
    narcf_geo.core.errors.NarcfError: the project is in use by process ... which is this process...
    """
    key, me = path.resolve(), (os.getpid(), threading.get_ident())
    if reentrant and _held.get(key) == me:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        take: Callable[[Path, str], int | None]
        take = _take_system_lock if _has_system_locks(path.parent) else _take_file
        release = _patiently(wait, take, path, what)
    except OSError as error:
        raise NarcfError(
            f"{path}: cannot be locked ({error.strerror or error}); see that the folder can be "
            "written to, or name another one"
        ) from None
    _held[key] = me
    try:
        yield
    finally:
        del _held[key]
        _remove(path)
        if release is not None:
            os.close(release)


def _patiently(
    wait: float, take: Callable[[Path, str], int | None], path: Path, what: str
) -> int | None:
    """Take the lock, trying for some seconds."""
    until = time.monotonic() + wait
    while True:
        try:
            return take(path, what)
        except NarcfError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _remove(path: Path) -> None:
    """Remove a lock file; on Windows not while another process looks who holds it."""
    until = time.monotonic() + _WAIT
    while True:
        try:
            return path.unlink(missing_ok=True)
        except PermissionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def _has_system_locks(folder: Path) -> bool:
    """Return whether files in a folder can be locked; warn where the system should and cannot."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    with tempfile.TemporaryFile(dir=folder) as probe:
        try:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            warnings.warn(
                f"{folder.resolve()}: no locks on this file system ({error.strerror}); a lock file "
                "stands for one, which a run that is killed on another computer leaves there",
                stacklevel=4,
            )
            return False
    return True


def _take_system_lock(path: Path, what: str) -> int:
    """Lock the file; return its handle."""
    import fcntl

    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, handle):
                holder = Holder.read(path)
                if holder is not None and holder.lock == "file" and holder.may_run:
                    raise BlockingIOError
                os.ftruncate(handle, 0)
                _write(handle, "system")
                return handle
        except BlockingIOError:
            os.close(handle)
            raise _refusal(path, what) from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_at(path: Path, handle: int) -> bool:
    """Whether an open file is still there; the one who held it may have removed it."""
    try:
        return os.fstat(handle).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _take_file(path: Path, what: str) -> None:
    """Make the file, which nobody else can then."""
    until = time.monotonic() + _WAIT
    while True:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            holder = Holder.read(path)
            if holder is not None and not holder.may_run:
                _put_aside(path, holder)
            elif holder is not None or time.monotonic() > until:
                raise _refusal(path, what) from None
            else:
                time.sleep(0.02)
            continue
        try:
            _write(handle, "file")
        finally:
            os.close(handle)
        return


def _write(handle: int, lock: str) -> None:
    os.write(handle, json.dumps(asdict(Holder.me(lock))).encode())


def _put_aside(path: Path, dead: Holder) -> None:
    """Remove the lock file of a process that has ended, and of no other one."""
    # One at a time looks and removes: between the two nobody else can take the lock.
    guard = path.with_name(f"{path.name}.takeover")
    try:
        os.close(os.open(guard, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    except FileExistsError:
        with suppress(OSError):
            if time.time() - guard.stat().st_mtime > 10 * _WAIT:  # left by one that was killed
                guard.unlink()
        time.sleep(0.01)
        return
    try:
        if Holder.read(path) == dead:
            path.unlink()
    finally:
        guard.unlink(missing_ok=True)


def _refusal(path: Path, what: str) -> NarcfError:
    holder = Holder.read(path)
    if holder is None:
        return NarcfError(
            f"{what} is in use by another process ({path}); wait until it has ended, or remove "
            "that file where there is none"
        )
    remedy = "wait until it has ended, or stop it"
    if (holder.process, holder.host) == (os.getpid(), host()):
        return NarcfError(
            f"{what} is in use by {holder} ({path}), which is this process: end what runs it in "
            "another thread or block"
        )
    if holder.host != host() and holder.lock == "file":
        remedy += "; where it runs no more, remove that file"
    return NarcfError(f"{what} is in use by {holder} ({path}); {remedy}")
