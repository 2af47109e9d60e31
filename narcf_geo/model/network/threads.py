"""One thread for BLAS while blocks of rows are computed side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

_lock = threading.Lock()
_inside = 0
_limit: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread within the block, in all threads of the process.

    The first to enter sets the limit and the last to leave lifts it, so that threads may enter and
    leave in any order.
    """
    global _inside, _limit
    with _lock:
        if _inside == 0:
            _take_control()
            _limit = _controller().limit(limits=1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _take_control()
                _limit.restore_original_limits()


def _take_control() -> None:
    """Let this thread set limits: threadpoolctl ignores, silently, all but the first that did."""
    for library in _controller().lib_controllers:
        if clear := getattr(library, "clear_controlling_thread", None):
            clear(force=True)


@lru_cache(maxsize=1)
def _controller() -> Any:
    # numpy has a BLAS of its own, and scipy another, which is numba's: both are to be found.
    import numpy  # noqa: F401
    import scipy.linalg.cython_blas  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
