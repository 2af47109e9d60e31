"""Which process this is, and whether another one still runs."""

from __future__ import annotations

import socket
import sys
from pathlib import Path


def host() -> str:
    """Return the name of this computer."""
    return socket.gethostname()


def command() -> str:
    """Return what this process was started as, without options, which may hold a secret.

    Examples
    --------
    >>> command() != ""
    True
    """
    words = [Path(sys.argv[0]).name or "python"] if sys.argv else ["python"]
    if words == ["narcf-geo"]:
        words += [word for word in sys.argv[1:2] if word.isalpha()]
    return " ".join(words)


def is_running(pid: int, since: float) -> bool:
    """Return whether the process of this computer that had the number `pid` still runs.

    Parameters
    ----------
    pid : int
        Its number, which the system gives to another process when it has ended.
    since : float
        When it is known to have run, seconds since 1970: one that started a minute later is
        another one.

    Examples
    --------
    >>> import os, time
    >>> is_running(os.getpid(), time.time()), is_running(os.getpid(), 0.0)
    (True, False)
    """
    import psutil

    try:
        return bool(psutil.Process(pid).create_time() <= since + 60)
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return False
    except psutil.AccessDenied:  # of another user; it is there
        return True
