"""The grid and period of each source at a glance, kept until its entry or its files change."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from narcf_geo.catalog.entry import Entry, with_side_files
from narcf_geo.catalog.readers import READERS
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.files import atomic_path
from narcf_geo.core.hashes import stamps
from narcf_geo.core.provenance import VERSION

GLANCES_FILE = Path(".narcf") / "sources.json"
"""In a project: grid and period of each source, with a hash of what they were read from."""

Glance = tuple[str, str]
"""Grid and period, in a few words."""


def glances(entries: list[Entry], record: Path | None = None) -> dict[str, Glance]:
    """Return the grid and period of entries by name, opening what has changed since the last time.

    Parameters
    ----------
    entries : list of Entry
        Entries whose files are here.
    record : path, optional
        The JSON file that keeps what was found; nothing is kept without one.

    Returns
    -------
    dict of str to (str, str)
        Such as ``("60 x 120", "2007-01 to 2015-12")``; ``("cannot be read", reason)`` for an entry
        that cannot.
    """
    known = _read(record)
    keys = {entry.name: _key(entry) for entry in entries}
    found = {n: known[n][1] for n, key in keys.items() if n in known and known[n][0] == key}
    unknown = [entry for entry in entries if entry.name not in found]
    if unknown:
        from narcf_geo.catalog.describe import UNREADABLE, peek  # reads with xarray and dask

        found |= {entry.name: peek(entry) for entry in unknown}
        new = {e.name: keys[e.name] for e in unknown if found[e.name][0] != UNREADABLE}
        kept = known | {name: (key, found[name]) for name, key in new.items() if key}
        if record and kept != known:
            with suppress(OSError, NarcfError), atomic_path(record) as temporary:
                temporary.write_text(json.dumps(kept, indent=0), encoding="utf-8")
    return {entry.name: found[entry.name] for entry in entries}


def _key(entry: Entry) -> str | None:
    """Return a hash of all that an entry says and of its files' sizes and times."""
    try:
        files = [path for path in with_side_files(entry.files()) if isinstance(path, Path)]
        seen = {str(path): stamps(path) for path in files}
    except NarcfError:
        return None
    said = entry.source.model_dump_json()
    read_by = [VERSION, READERS.origin(entry.metadata.product)]
    text = json.dumps([read_by, entry.locations, said, seen], default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _read(record: Path | None) -> dict[str, tuple[str | None, Glance]]:
    """Return what a record holds; nothing where it is not as it was written."""
    try:
        content = json.loads(record.read_text(encoding="utf-8")) if record else {}
        return {
            str(name): (str(key), (str(grid), str(period)))
            for name, (key, (grid, period)) in dict(content).items()
        }
    except (OSError, ValueError, TypeError, RecursionError):
        return {}
