"""Whether the files of a project are those that its manifest names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.hashes import Hashes, total
from narcf_geo.project.project import Project
from narcf_geo.workflow.manifest import MANIFEST, Content, Manifest


@dataclass(frozen=True)
class Finding:
    """A file or folder of the manifest, and how it is found.

    Attributes
    ----------
    step : str
        The step that wrote it, or read it.
    path : str
        From the project; for a folder, that of the file in it that differs.
    found : str
        ``ok``, ``missing``, ``changed`` or ``not in the manifest``.
    bytes : int
        The size that it had.
    """

    step: str
    path: str
    found: str
    bytes: int


def verify(project: Project, *, inputs: bool = False) -> list[Finding]:
    """Read all that the steps of a project wrote, and compare it with the manifest.

    Parameters
    ----------
    project : Project
        The project; nothing in it is changed.
    inputs : bool
        Compare the files that were read as well; those on other computers are left out.

    Returns
    -------
    list of Finding
        One for each file or folder that is as it was, and for each file that differs.

    Raises
    ------
    NarcfError
        When there is no manifest, or it is damaged.

    Examples
    --------
    >>> project = Project.open("demo")  # doctest: +SKIP
    >>> [f.path for f in verify(project) if f.found != "ok"]  # doctest: +SKIP
    []
    """
    manifest = Manifest.open(project.directory)
    if manifest.problem:
        said = manifest.problem.rpartition(";")[0]
        raise NarcfError(f"{said}; make all anew with `narcf-geo run`")
    if not manifest.steps:
        at = project.path(MANIFEST)
        raise NarcfError(
            f"{at}: expected the record of a run, found none; make it with `narcf-geo run`"
        )
    hashes = Hashes()  # of no file anything is known: all are read
    written = manifest.outputs()
    found: list[Finding] = []
    for name, record in manifest.steps.items():
        for path, content in record.outputs.items():
            found += _compared(name, project.path(path), path, content, hashes)
        for path, content in record.inputs.items() if inputs else ():
            if path not in written and content.sha256:
                found += _compared(f"{name}, input", project.path(path), path, content, hashes)
    return found


def _compared(
    step: str, at: Path, path: str, content: Content, hashes: Hashes
) -> Iterator[Finding]:
    """Yield a finding for what is as it was, else for each file that differs."""
    size = content.bytes or 0
    if not at.exists():
        yield Finding(step, path, "missing", size)
        return
    parts = hashes.parts(at)
    if total(parts) == content.sha256:
        yield Finding(step, path, "ok", size)
        return
    if not content.files or "" in parts:
        yield Finding(step, path, "changed", size)
        return
    for name in sorted({*parts, *content.files}):
        if name not in parts:
            yield Finding(step, f"{path}/{name}", "missing", 0)
        elif name not in content.files:
            yield Finding(step, f"{path}/{name}", "not in the manifest", 0)
        elif parts[name] != content.files[name]:
            yield Finding(step, f"{path}/{name}", "changed", 0)
