"""``manifest.json``: what each step of a project read and wrote, by content, and how."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from narcf_geo.core.files import atomic_path
from narcf_geo.core.yamlfile import Schema
from narcf_geo.project.project import RESULTS

MANIFEST = "manifest.json"

PLACES = (*RESULTS.values(), "products")
"""Files and folders of a project that steps write."""


def _output(text: str) -> str:
    # What a manifest names may be removed: nothing but what steps write.
    path = PurePosixPath(text)
    if "\\" in text or ".." in path.parts or not path.parts or path.parts[0] not in PLACES:
        raise ValueError("expected a path in one of " + ", ".join(PLACES))
    return text


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Output = Annotated[str, AfterValidator(_output)]


class Content(Schema):
    """What was in a file or a folder.

    Attributes
    ----------
    sha256 : str, optional
        Of the file; of a folder, of the list that ``sha256sum`` makes of its files.
    bytes : int, optional
        Its size.
    files : dict
        Hash of each file of a folder that was written.
    stamp : dict
        What a server said of a remote file: ETag, date, size.
    """

    sha256: Sha256 | None = None
    bytes: int | None = None
    files: dict[str, Sha256] = {}
    stamp: dict[str, str] = {}


class Record(Schema):
    """What a step read, did and wrote.

    Attributes
    ----------
    format : int
        Version of what the step writes; 0 lets it be done again.
    made : str
        When it ended.
    seconds : float
        How long it took.
    versions : dict
        Of the software.
    options : dict
        The settings that change its result.
    inputs, outputs : dict
        Content of each file or folder, by its path from the project.
    findings : list of dict
        What was odd about the sources that were read: ``source``, ``variable``, ``verdict``
        (``warning`` or ``allowed``) and ``message``.
    """

    format: int
    made: str
    seconds: float
    versions: dict[str, str]
    options: dict[str, Any]
    inputs: dict[str, Content]
    outputs: dict[Output, Content]
    findings: list[dict[str, str]] = []


class _File(Schema):
    manifest: Literal[1]
    steps: dict[str, Record]


@dataclass
class Manifest:
    """The steps of a project, as ``manifest.json`` holds them.

    Attributes
    ----------
    path : Path
        The file.
    steps : dict
        The finished steps by name.
    problem : str
        Why the file could not be read; empty where it could, or is absent.
    """

    path: Path
    steps: dict[str, Record] = field(default_factory=dict)
    problem: str = ""

    @classmethod
    def open(cls, folder: Path) -> Manifest:
        """Read the manifest of a project; one that is damaged or absent has no steps."""
        path = folder / MANIFEST
        try:
            return cls(path, dict(_File.model_validate_json(path.read_bytes()).steps))
        except FileNotFoundError:
            return cls(path)
        except ValidationError as error:
            first = error.errors()[0]
            at = ".".join(map(str, first["loc"]))
            found = f"{at}: {first['msg']}" if at else first["msg"]
        except OSError as error:
            found = str(error)
        problem = f"{path}: expected the record of what was done, found {found}"
        return cls(path, problem=f"{problem}; all is done anew")

    def save(self) -> None:
        """Write the file."""
        steps = {n: s.model_dump(mode="json", exclude_defaults=True) for n, s in self.steps.items()}
        with atomic_path(self.path) as temporary:
            text = json.dumps({"manifest": 1, "steps": steps}, indent=2, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")

    def outputs(self, steps: Iterable[str] | None = None) -> dict[str, Content]:
        """Return what steps wrote, by path; that of all steps where none are named."""
        names = self.steps if steps is None else [name for name in steps if name in self.steps]
        return {path: what for n in names for path, what in self.steps[n].outputs.items()}
