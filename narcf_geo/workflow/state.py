"""What has been done: a fingerprint of everything a stage depends on, and the files it wrote."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from narcf_geo.core.files import atomic_path, remove
from narcf_geo.core.provenance import VERSION
from narcf_geo.fields.remote import RemoteFile, last_known
from narcf_geo.project.project import Project
from narcf_geo.workflow.stages import STAGES, Stage

if TYPE_CHECKING:
    from narcf_geo.catalog.rules import Finding

STATE_FILE = Path(".narcf") / "state.json"
REMOTE_FILE = Path(".narcf") / "remote.json"


@dataclass
class State:
    """The record of a project's finished stages."""

    project: Project
    records: dict[str, dict[str, Any]]

    @classmethod
    def open(cls, project: Project) -> State:
        """Read the record; an absent or unreadable one means that nothing is done."""
        path = project.directory / STATE_FILE
        try:
            records = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            records = {}
        return cls(project, records)

    def fingerprint(self, stage: Stage) -> str:
        """Return a hash of the stage's settings, input files and upstream fingerprints."""
        content = {
            "stage": stage.name,
            "version": VERSION,
            "settings": self.project.settings.model_dump(mode="json", include=set(stage.settings)),
            "sources": self._sources(stage),
            "needs": [self.fingerprint(STAGES[name]) for name in stage.needs],
            "added_by": self._added_by(stage),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _sources(self, stage: Stage) -> list[Any]:
        catalog = self.project.catalog()
        names = stage.sources(self.project)
        return [
            [
                name,
                catalog[name].source.model_dump(mode="json"),
                [self._version(path) for path in catalog[name].files()],
            ]
            for name in names
        ]

    def _added_by(self, stage: Stage) -> list[str]:
        """Return the other distributions whose code the stage runs, with their versions."""
        from narcf_geo.catalog.readers import READERS
        from narcf_geo.catalog.readers.derived import FORMULAS
        from narcf_geo.project.presets import PRESETS

        names = stage.sources(self.project)
        found = {READERS.origin(self.project.catalog()[name].metadata.product) for name in names}
        if names:
            found |= {FORMULAS.origin(name) for name in FORMULAS}
        if "model" in stage.settings:
            found.add(PRESETS.origin(self.project.settings.model.preset))
        return sorted(name for name in found if name)

    def _version(self, path: Path | RemoteFile) -> list[Any]:
        """Return the name of a source's file, and what tells this version of it from another."""
        if isinstance(path, Path):
            return [self._relative(path), *_stamp(path)]
        return [str(path), last_known(path, self.project.directory / REMOTE_FILE)]

    def _relative(self, path: Path) -> str:
        """Return `path` as seen from the project, which may move with its data."""
        return Path(os.path.relpath(path.resolve(), self.project.directory.resolve())).as_posix()

    def is_current(self, stage: Stage) -> bool:
        """Tell whether the stage was run on just these inputs and its files are still there."""
        record = self.records.get(stage.name)
        if record is None or record["fingerprint"] != self.fingerprint(stage):
            return False
        return all(
            self.project.path(path).exists() and _stamp(self.project.path(path)) == stamp
            for path, stamp in record["outputs"].items()
        )

    def record(
        self,
        stage: Stage,
        outputs: Iterable[Path],
        seconds: float,
        findings: Iterable[Finding] = (),
    ) -> None:
        """Write down that `stage` is done; remove what it wrote before and does not write now."""
        outputs = list(outputs)
        for path in set(self.outputs(stage)) - set(outputs):
            # With the side-cars of a raster: its style and its statistics.
            for stale in {path, *path.parent.glob(f"{path.stem}.*")} - set(outputs):
                remove(stale)
        self.records[stage.name] = {
            "fingerprint": self.fingerprint(stage),
            "outputs": {
                path.relative_to(self.project.directory).as_posix(): _stamp(path)
                for path in outputs
            },
            "seconds": round(seconds, 3),
            "findings": [found.to_json() for found in findings],
        }
        self._save()

    def _save(self) -> None:
        with atomic_path(self.project.directory / STATE_FILE) as temporary:
            temporary.write_text(json.dumps(self.records, indent=2), encoding="utf-8")

    def forget(self, stage: Stage) -> None:
        """Let `stage` be run again, now or, if that is stopped, the next time."""
        if stage.name in self.records:
            self.records[stage.name]["fingerprint"] = ""
            self._save()

    def findings(self, stage: Stage) -> list[dict[str, str]]:
        """Return what was odd about the sources that the stage read when it last ran.

        Each has ``source``, ``variable``, ``verdict`` (``warning`` or ``allowed``) and ``message``.
        """
        found: list[dict[str, str]] = self.records.get(stage.name, {}).get("findings", [])
        return found

    def outputs(self, stage: Stage) -> list[Path]:
        """Return the files that the stage wrote when it last ran."""
        record = self.records.get(stage.name, {"outputs": {}})
        return [self.project.path(path) for path in record["outputs"]]


def _stamp(path: Path) -> list[int]:
    """Return size and modification time of a file, or of a folder as a whole."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]
