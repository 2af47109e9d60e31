"""What of a prediction is finished, and from what each chunk of it was computed."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from narcf_geo.core import journal
from narcf_geo.core.files import atomic_path, remove
from narcf_geo.core.layout import Shape


@dataclass(frozen=True)
class Journal(journal.Journal):
    """A folder beside the store of a prediction.

    The file of a finished chunk is empty; its name says from what it was computed:
    ``<t>.<y>.<x>-<digest>``. When the store is in its place, ``record.json`` is left, so
    that the next time only what has changed is computed.
    """

    common: str = ""
    """What all chunks are made of; a store of other months shares chunks where it is the same."""

    kept: ClassVar[tuple[str, ...]] = ("record.json",)

    def mark_chunk(self, chunk: Shape, digest: str) -> None:
        """Say that a chunk is finished."""
        (self.work / "done" / f"{'.'.join(map(str, chunk))}-{digest}").touch()

    def finished(self) -> dict[Shape, str]:
        """Return the finished chunks, and from what each was computed."""
        names = (entry.name for entry in os.scandir(self.work / "done"))
        return dict(sorted(filter(None, map(_parsed, names))))

    def current(self) -> dict[Shape, str] | None:
        """Return what the chunks of the finished store are made of; None if it is not ours."""
        try:
            record = json.loads((self.folder / "record.json").read_text(encoding="utf-8"))
            key, stamp, chunks = (record[name] for name in ("key", "stamp", "chunks"))
            found = [_parsed(f"{chunk}-{digest}") for chunk, digest in chunks.items()]
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None  # absent or damaged
        if key != self.common or stamp != _stamp(self.output) or None in found:
            return None
        return dict(filter(None, found))

    def prepare(self, template: Callable[[Path], None]) -> None:
        """Make the store that grows, with the chunks of the finished one where there is one.

        No data are copied: the finished chunks are linked.
        """
        template(self.store)
        for chunk, digest in (self.current() or {}).items():
            name = "/".join(map(str, chunk))
            for path in self.output.glob(f"*/c/{name}"):
                target = self.store / path.relative_to(self.output)
                target.parent.mkdir(parents=True, exist_ok=True)
                _link(path, target)
            self.mark_chunk(chunk, digest)

    def discard(self, chunks: set[Shape], fields: tuple[str, ...]) -> None:
        """Take back what was said of `chunks`, and remove them."""
        for entry in os.scandir(self.work / "done"):
            parsed = _parsed(entry.name)
            if parsed is None or parsed[0] in chunks:
                remove(Path(entry))
        for chunk in chunks:
            for name in fields:
                (self.store / name / "c" / "/".join(map(str, chunk))).unlink(missing_ok=True)

    def finish(self) -> None:
        """Move the store to its place, and keep the record of what it was made of."""
        chunks = {".".join(map(str, chunk)): digest for chunk, digest in self.finished().items()}
        record = {"key": self.common, "stamp": _stamp(self.store), "chunks": chunks}
        with atomic_path(self.folder / "record.json") as temporary:
            temporary.write_text(json.dumps(record), encoding="utf-8")
        super().finish()

    def forget(self) -> None:
        """Let nothing be finished."""
        (self.folder / "record.json").unlink(missing_ok=True)
        self.clear()


def _parsed(name: str) -> tuple[Shape, str] | None:
    """Return the chunk and the digest that a name says; None where it is another's."""
    if not (found := re.fullmatch(r"(\d+)\.(\d+)\.(\d+)-(\w+)", name)):
        return None
    t, y, x = map(int, found.groups()[:3])
    return (t, y, x), found[4]


def _stamp(store: Path) -> list[int]:
    """Return size and time of what describes the flux, which nobody changes in place."""
    try:
        stat = (store / "flux" / "zarr.json").stat()
    except FileNotFoundError:
        return []
    return [stat.st_size, stat.st_mtime_ns]


def _link(source: Path, target: Path) -> None:
    """Link a chunk, which is only ever replaced, or copy it where that cannot be done."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
