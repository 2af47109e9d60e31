"""What of a prediction is finished: the folder in which a store grows, and its record."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from narcf_geo.core.files import atomic_path, remove
from narcf_geo.prediction.layout import Shape


@dataclass(frozen=True)
class Journal:
    """A folder beside the store `output`.

    While the store grows, it lies in a folder named after the job `key`, with ``job.json`` and, in
    ``done/``, an empty file for each finished chunk, whose name says from what it was computed:
    ``<t>.<y>.<x>-<digest>``. When the store has been moved to its place, ``record.json`` alone is
    left, so that the next time only what has changed is computed.
    """

    folder: Path
    output: Path
    key: str

    @property
    def work(self) -> Path:
        """Where the store grows; what still runs for another job cannot write into it."""
        return self.folder / self.key[:12]

    @property
    def store(self) -> Path:
        """The store that grows."""
        return self.work / "store.zarr"

    @property
    def job(self) -> Path:
        """What is being computed; written when the store is ready to take chunks."""
        return self.work / "job.json"

    def mark(self, chunk: Shape, digest: str) -> None:
        """Say that a chunk is finished."""
        (self.work / "done" / f"{'.'.join(map(str, chunk))}-{digest}").touch()

    def finished(self) -> dict[Shape, str]:
        """Return the finished chunks, and from what each was computed."""
        names = [entry.name for entry in os.scandir(self.work / "done")]
        return dict(sorted(_parsed(*name.split("-")) for name in names))

    def current(self) -> dict[Shape, str] | None:
        """Return what the chunks of the finished store are made of; None if it is not ours."""
        try:
            record = json.loads((self.folder / "record.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        if record["key"] != self.key or record["stamp"] != _stamp(self.output):
            return None
        return dict(_parsed(*pair) for pair in record["chunks"].items())

    def begin(self, job: str, template: Callable[[Path], None]) -> None:
        """Go on with the store that grows, or the finished one, or make one with `template`.

        No data are copied: the finished chunks are linked. The text `job` is what the workers read.
        """
        if not (self.job.exists() and self.store.exists()):
            self.clear()
            (self.work / "done").mkdir(parents=True)
            finished = self.current()
            if finished is None:
                template(self.store)
            else:
                shutil.copytree(self.output, self.store, copy_function=_link)
                (self.store / "flux" / "zarr.json").touch()  # another stamp than the finished one
                for chunk, digest in finished.items():
                    self.mark(chunk, digest)
        with atomic_path(self.job) as temporary:
            temporary.write_text(job, encoding="utf-8")

    def discard(self, chunks: set[Shape], fields: tuple[str, ...]) -> None:
        """Take back what was said of `chunks`, and remove them."""
        for entry in os.scandir(self.work / "done"):
            if _parsed(*entry.name.split("-"))[0] in chunks:
                os.unlink(entry)
        for chunk in chunks:
            for name in fields:
                (self.store / name / "c" / "/".join(map(str, chunk))).unlink(missing_ok=True)

    def finish(self) -> None:
        """Move the store to its place."""
        for path in self.store.rglob("*.partial"):
            path.unlink()
        chunks = {".".join(map(str, chunk)): digest for chunk, digest in self.finished().items()}
        record = {"key": self.key, "stamp": _stamp(self.store), "chunks": chunks}
        with atomic_path(self.folder / "record.json") as temporary:
            temporary.write_text(json.dumps(record), encoding="utf-8")
        if self.output.exists():
            old = self.work / "old.zarr"
            remove(old)
            self.output.replace(old)
        self.output.parent.mkdir(parents=True, exist_ok=True)
        self.store.replace(self.output)
        self.clear()

    def forget(self) -> None:
        """Let nothing be finished."""
        (self.folder / "record.json").unlink(missing_ok=True)
        self.clear()

    def clear(self) -> None:
        """Remove all but the record; first what says that a store can be gone on with."""
        for path in (*self.folder.glob("*/job.json"), *self.folder.glob("*")):
            if path.name not in ("record.json", "lock"):
                remove(path)


def _parsed(name: str, digest: str) -> tuple[Shape, str]:
    t, y, x = map(int, name.split("."))
    return (t, y, x), digest


def _stamp(store: Path) -> list[int]:
    """Return size and time of what describes the flux, which nobody changes in place."""
    try:
        stat = (store / "flux" / "zarr.json").stat()
    except FileNotFoundError:
        return []
    return [stat.st_size, stat.st_mtime_ns]


def _link(source: str, target: str) -> None:
    """Link a chunk, which is only ever replaced; copy what is changed in place."""
    if os.path.basename(source) == "zarr.json":
        shutil.copy2(source, target)
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
