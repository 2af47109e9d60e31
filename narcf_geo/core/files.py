"""Files that are either whole or not there, and a stream that is quiet for a while."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it into place when the block ends well.

    Works for a file and for a folder (a Zarr store). When the block raises, the temporary path is
    removed and whatever stood at `path` stays as it was.

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
    temporary = path.with_name(f".{path.stem}.partial{path.suffix}")
    remove(temporary)
    try:
        yield temporary
    except BaseException:
        remove(temporary)
        raise
    if temporary.is_dir():
        remove(path)
    temporary.replace(path)
