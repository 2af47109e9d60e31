"""What may be wrong with a file, whatever is in it: each function damages the one at a path."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Damage the bytes of a file, of every file of a store."""

    def damage(path: Path) -> None:
        for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
            file.write_bytes(change(file.read_bytes()))

    return damage


def _removed(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _replaced(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        _removed(path)
        make(path)

    return damage


def _noise(size: int) -> bytes:
    return np.random.default_rng(4).integers(0, 256, size, "uint8").tobytes()


ANY_FILE: dict[str, Callable[[Path], None]] = {
    "absent": _removed,
    "empty": _bytes(lambda data: b""),
    "cut in its head": _bytes(lambda data: data[:7]),
    "cut in the middle": _bytes(lambda data: data[: len(data) // 2]),
    "zeros": _bytes(lambda data: bytes(len(data))),
    "noise": _bytes(lambda data: _noise(len(data))),
    "noise in its head": _bytes(lambda data: _noise(16) + data[16:]),
    "a page of the web": _replaced(lambda path: path.write_text("<html>404 Not Found</html>\n")),
    "a picture": _replaced(lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + _noise(200))),
    "an empty folder": _replaced(lambda path: path.mkdir()),
    "a folder of something else": _replaced(
        lambda path: (path.mkdir(), (path / "readme.txt").write_text("hello"))[0]
    ),
    "a link to itself": _replaced(lambda path: path.symlink_to(path.name)),
    "a link to nothing": _replaced(lambda path: path.symlink_to("nowhere")),
    "a pipe": _replaced(lambda path: os.mkfifo(path)),
}
"""Defects by what they are called in the table."""
