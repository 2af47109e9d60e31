"""What of a job is finished: the folder in which a Zarr store grows, and its record."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from narcf_geo.core.files import atomic_path, remove


@dataclass(frozen=True)
class Journal:
    """A folder beside the store `output`.

    While the store grows, it lies in a folder named after the job `key`, with ``job.json`` and, in
    ``done/``, a file for each finished piece. When all are there, the store is moved to its place.
    """

    folder: Path
    output: Path
    key: str

    kept: ClassVar[tuple[str, ...]] = ()
    """Names in the folder that `clear` leaves there."""

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
        """What is being computed; written when the store is ready to take pieces."""
        return self.work / "job.json"

    def begin(self, job: str, template: Callable[[Path], None]) -> None:
        """Go on with the store that grows, or make one with `template`; keep the text `job`."""
        if not (self.job.exists() and self.store.exists()):
            self.clear()
            (self.work / "done").mkdir(parents=True)
            self.prepare(template)
        with atomic_path(self.job) as temporary:
            temporary.write_text(job, encoding="utf-8")

    def prepare(self, template: Callable[[Path], None]) -> None:
        """Make the store that grows."""
        template(self.store)

    def mark(self, piece: str, text: str = "") -> None:
        """Say that a piece is finished, and what is to be known of it."""
        path = self.work / "done" / piece
        if not text:
            path.touch()
            return
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def marks(self) -> dict[str, str]:
        """Return what is known of each finished piece."""
        names = sorted(e.name for e in os.scandir(self.work / "done") if ".partial" not in e.name)
        return {n: (self.work / "done" / n).read_text(encoding="utf-8") for n in names}

    def finish(self) -> None:
        """Move the store to its place."""
        if self.output.exists():
            old = self.work / "old.zarr"
            remove(old)
            self.output.replace(old)
        self.output.parent.mkdir(parents=True, exist_ok=True)
        self.tidy()
        self.store.replace(self.output)
        self.clear()

    def tidy(self) -> None:
        """Remove from the store what a killed run left half written."""
        for path in self.store.rglob("*.partial"):
            path.unlink()

    def clear(self) -> None:
        """Remove all but what is `kept`; first what says that a store can be gone on with."""
        for path in (*self.folder.glob("*/job.json"), *self.folder.glob("*")):
            if path.name not in self.kept:
                remove(path)
