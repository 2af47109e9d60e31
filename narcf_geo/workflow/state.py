"""What is up to date: a step is when what it read and what it wrote have the same content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from narcf_geo.core.files import remove
from narcf_geo.core.hashes import Hashes, size, total
from narcf_geo.core.provenance import timestamp, versions
from narcf_geo.fields.remote import RemoteFile, last_known
from narcf_geo.project.project import RESULTS, Project
from narcf_geo.workflow.manifest import Content, Manifest, Record
from narcf_geo.workflow.plan import STAGES, Stage, Step

if TYPE_CHECKING:
    from narcf_geo.catalog.rules import Finding

REMOTE_FILE = Path(".narcf") / "remote.json"
HASHES_FILE = Path(".narcf") / "hashes.json"

_WORDS = {"title", "source", "references", "region", "product", "long_name", "license", "history"}
_WORDS |= {"summary", "institution", "creator_name", "doi"}
"""Attributes of a store that say what it is and where it is from."""

_SOFTWARE = ("numpy", "xarray", "zarr", "keras", "tensorflow")


@dataclass
class State:
    """What of a project is up to date.

    Attributes
    ----------
    project : Project
        The project.
    manifest : Manifest
        Its finished steps.
    hashes : Hashes
        Of its files and those that it reads.
    """

    project: Project
    manifest: Manifest
    hashes: Hashes

    @classmethod
    def open(cls, project: Project) -> State:
        """Read the manifest; an absent or damaged one means that nothing is done."""
        folder = project.directory
        return cls(project, Manifest.open(folder), Hashes(folder / HASHES_FILE, folder))

    def inputs(self, stage: Stage, step: Step) -> dict[str, Content]:
        """Return the content of all that a step reads, by path from the project."""
        found = {self._name(file): self._content(file) for file in step.files}
        for need in stage.needs:
            steps = (s.name for s in STAGES[need].steps(self.project))
            for path, content in self.manifest.outputs(steps).items():
                if path.split("/")[0] != RESULTS[need]:
                    continue  # what is handed out, and read by no stage
                if not step.words and path.endswith(".zarr"):
                    content = self._without_words(path, content)
                found[path] = content.model_copy(update={"files": {}})
        return found

    def changes(self, stage: Stage, step: Step, inputs: Mapping[str, Content]) -> str | None:
        """Return what a step reads has changed, in a few words; None where nothing has."""
        record = self.manifest.steps.get(step.name)
        if record is None:
            return self.manifest.problem
        if record.format != stage.format:
            return "asked for" if record.format == 0 else "of an earlier version"
        if options := _different(record.options, plain(step.options)):
            return f"changed: {', '.join(options)}"
        if _told(record.inputs) != _told(inputs):
            before = {name: what.sha256 or what.stamp for name, what in record.inputs.items()}
            now = {name: what.sha256 or what.stamp for name, what in inputs.items()}
            return f"changed: {', '.join(_different(before, now)) or 'order of files'}"
        return None

    def same_work(self, stage: Stage, step: Step) -> bool:
        """Tell whether a step was done by the same code with the same options."""
        record = self.manifest.steps.get(step.name)
        if record is None or record.format != stage.format:
            return False
        return not _different(record.options, plain(step.options))

    def accept(self, step: Step, inputs: Mapping[str, Content]) -> None:
        """Write down that what a step wrote holds for other inputs, too."""
        record = self.manifest.steps[step.name]
        self.manifest.steps[step.name] = record.model_copy(update={"inputs": dict(inputs)})
        self.save()

    def damage(self, step: Step) -> dict[str, str]:
        """Return which files and folders of a step are ``missing`` or ``changed``."""
        found = {}
        for path, content in self.manifest.outputs([step.name]).items():
            at = self.project.path(path)
            if not at.exists():
                found[path] = "missing"
            elif total(self.hashes.parts(at)) != content.sha256:
                found[path] = "changed"
        return found

    def record(
        self, stage: Stage, step: Step, inputs: Mapping[str, Content], paths: Iterable[Path],
        seconds: float, findings: Iterable[Finding] = (),
    ) -> None:  # fmt: skip
        """Write down that a step is done; remove what it wrote before and does not write now."""
        outputs = {self._name(path): self._content(path, parts=True) for path in paths}
        self._clear(step.name, keep=outputs)
        self.manifest.steps[step.name] = Record(
            format=stage.format,
            made=timestamp(),
            seconds=round(seconds, 3),
            versions=versions(*_SOFTWARE),
            options=plain(step.options),
            inputs=dict(inputs),
            outputs=outputs,
            findings=[found.to_json() for found in findings],
        )
        self.save()

    def save(self) -> None:
        """Write the manifest and the hashes."""
        order = [s.name for stage in STAGES.values() for s in stage.steps(self.project)]
        steps = self.manifest.steps
        self.manifest.steps = {name: steps[name] for name in order if name in steps}
        self.manifest.save()
        self.hashes.save()

    def drop(self, stage: Stage) -> None:
        """Remove what steps of a stage wrote that are no longer part of it."""
        wanted = {step.name for step in stage.steps(self.project)}
        gone = [n for n in self.manifest.steps if n.split(" ")[0] == stage.name and n not in wanted]
        for name in gone:
            self._clear(name)
            del self.manifest.steps[name]
        if gone:
            self.save()

    def forget(self, step: Step) -> None:
        """Let a step be done again, now or, if that is stopped, the next time."""
        if record := self.manifest.steps.get(step.name):
            self.manifest.steps[step.name] = record.model_copy(update={"format": 0})
            self.save()

    def outputs(self, step: Step) -> list[Path]:
        """Return the files that a step wrote when it was last done."""
        return [self.project.path(path) for path in self.manifest.outputs([step.name])]

    def _clear(self, name: str, keep: Iterable[str] = ()) -> None:
        kept = {self.project.path(path) for path in keep}
        for path in map(self.project.path, set(self.manifest.outputs([name])) - set(keep)):
            # With the side-cars of a raster: its style and its statistics.
            for stale in {path, *path.parent.glob(f"{path.stem}.*")} - kept:
                remove(stale)

    def _content(self, path: Path | RemoteFile, *, parts: bool = False) -> Content:
        """Return what is in a file or folder, with a hash of each file of it for `parts`."""
        if isinstance(path, RemoteFile):
            return Content(stamp=last_known(path, self.project.directory / REMOTE_FILE))
        found = self.hashes.parts(path)
        files = found if parts and set(found) != {""} else {}
        return Content(sha256=total(found), bytes=size(path), files=files)

    def _without_words(self, path: str, content: Content) -> Content:
        """Return the content of a store without the attributes that are words."""
        parts = dict(content.files)
        for name in parts:
            if name.split("/")[-1] == "zarr.json":
                text = self.project.path(path, name).read_text(encoding="utf-8")
                array = json.loads(text)
                attrs = array.get("attributes", {})
                array["attributes"] = {k: v for k, v in attrs.items() if k not in _WORDS}
                text = json.dumps(array, sort_keys=True)
                parts[name] = hashlib.sha256(text.encode()).hexdigest()
        return Content(sha256=total(parts), bytes=content.bytes)

    def _name(self, path: Path | RemoteFile) -> str:
        """Return a path as seen from the project, which may move with its data."""
        if isinstance(path, RemoteFile):
            return str(path)
        folder, at = self.project.directory.resolve(), path.parent.resolve() / path.name
        return Path(os.path.relpath(at, folder)).as_posix()


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as JSON gives them back."""
    content: dict[str, Any] = json.loads(json.dumps(options))
    return content


def _told(inputs: Mapping[str, Content]) -> list[tuple[str, Any]]:
    """Return name and content of each input, wherever it lies; of a remote one its address."""
    return [
        (path.split("/")[-1], what.sha256) if what.sha256 else (path, what.stamp)
        for path, what in inputs.items()
    ]


def _different(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return sorted(n for n in {*one, *other} if (n in one, one.get(n)) != (n in other, other.get(n)))
