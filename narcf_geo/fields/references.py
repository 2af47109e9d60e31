"""References that kerchunk writes: chunks of a Zarr store that are pieces of other files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from narcf_geo.core.errors import UnreadableError
from narcf_geo.core.ordinary import read_text

ALLOWED = "NARCF_REFERENCES"
"""Environment variable: folders and addresses, apart by spaces, that references may lead to."""

MOST_BYTES = 500_000_000


def require_own_references(location: str) -> None:
    """Refuse references that lead out of the folder of their file, or are made by programs.

    Parameters
    ----------
    location : str
        Path or address of the JSON file.

    Raises
    ------
    UnreadableError
        When they do, and are not among what the variable NARCF_REFERENCES allows.
    """
    remote = "://" in location or "::" in location
    content = _content(location, remote)
    if isinstance(content, dict) and (content.get("templates") or content.get("gen")):
        raise UnreadableError(
            f"{location}: expected references written out, found templates, which can run code; "
            "write them anew without"
        )
    refs = content.get("refs", content) if isinstance(content, dict) else None
    if not isinstance(refs, dict):
        raise UnreadableError(f"{location}: expected references as kerchunk writes them")
    own = location.rpartition("/")[0] + "/" if remote else str(Path(location).resolve().parent)
    allowed = [own, *os.environ.get(ALLOWED, "").split()]
    known: set[str] = set()
    for key, value in refs.items():
        targets = value[:1] if isinstance(value, list) else []
        if not isinstance(value, str | list | dict) or not all(isinstance(t, str) for t in targets):
            raise UnreadableError(f"{location}: {key[:80]!r}: expected a file and a place in it")
        for target in set(targets) - known:
            if not any(_is_in(target, folder) for folder in allowed):
                raise UnreadableError(
                    f"{location}: {key[:80]!r}: expected a file below {own}, found {target[:200]}; "
                    f"if it is to be trusted, name its folder or the beginning of its address in "
                    f"the environment variable {ALLOWED}"
                )
            known.add(target)


def _content(location: str, remote: bool) -> Any:
    try:
        if not remote:
            return json.loads(read_text(Path(location), MOST_BYTES))
        import fsspec

        with fsspec.open(location, "rt", encoding="utf-8") as file:
            return json.loads(file.read(MOST_BYTES))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UnreadableError(f"{location}: expected references as JSON, found {error}") from None


def _is_in(target: str, folder: str) -> bool:
    """Tell whether a path or address is below another; ``..`` and links are followed."""
    if "{{" in target or "::" in target:
        return False
    if "://" in target.removeprefix("file://"):
        return "/../" not in target and target.startswith(folder.rstrip("/") + "/")
    if "://" in folder:
        return False
    path = Path(target.removeprefix("file://")).resolve()
    return path.is_relative_to(Path(folder).resolve()) and (path.is_file() or not path.exists())
