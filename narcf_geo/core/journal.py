"""What of a job is finished: the folder in which a Zarr store grows, and its record."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from narcf_geo.core.files import all_to_disk, atomic_path, move, remove
from narcf_geo.core.stores import seal


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
        done = self.work / "done"
        if not (self.job.exists() and self.store.is_dir() and done.is_dir()):
            self.clear()
            done.mkdir(parents=True)
            self.prepare(template)
            all_to_disk(self.work)  # what is gone on with is whole after a power cut, too
        with atomic_path(self.job) as temporary:
            temporary.write_text(job, encoding="utf-8")

    def prepare(self, template: Callable[[Path], None]) -> None:
        """Make the store that grows."""
        template(self.store)

    def mark(self, piece: int, numbers: Mapping[str, float]) -> None:
        """Say that a piece is finished, and the numbers to be kept of it."""
        with atomic_path(self.work / "done" / str(piece)) as temporary:
            temporary.write_text(json.dumps(numbers), encoding="utf-8")

    def marks(self) -> dict[int, dict[str, float]]:
        """Return the numbers kept of each finished piece; one whose mark is damaged is not."""
        found = {}
        for entry in sorted(os.scandir(self.work / "done"), key=lambda entry: entry.name):
            try:
                numbers = json.loads(Path(entry).read_text(encoding="utf-8"))
                found[int(entry.name)] = {str(k): float(v) for k, v in numbers.items()}
            except (ValueError, TypeError, AttributeError, OSError, RecursionError):
                continue
        return found

    def finish(self) -> None:
        """Move the store to its place."""
        self.tidy()
        seal(self.store)
        self.output.parent.mkdir(parents=True, exist_ok=True)
        move(self.store, self.output)
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
