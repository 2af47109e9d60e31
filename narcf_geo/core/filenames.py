"""Names of files: patterns of a series, and the dates that names hold."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from narcf_geo.core.errors import UsageError

MOST_ENTRIES = 200_000
"""Files and folders that are looked at for one pattern."""

MOST_WILDCARDS = 20

FIELD = re.compile(r"\{(\w+)(?::[^}]*)?\}")
"""A field of a pattern, such as ``{year}``."""

_DIGITS = {"year": 4, "month": 2, "day": 2}

_YEAR = r"(?<!\d)((?:19|20)\d\d)"
_DATE = re.compile(_YEAR + r"[-_.]?(0[1-9]|1[0-2])([-_.]?(?:0[1-9]|[12]\d|3[01]))?(?![0-9A-Za-z])")
_DAY_OF_YEAR = re.compile(r"(?<![0-9])((?:19|20)\d\d)([0-3]\d\d)(?![0-9A-Za-z])")
_YEAR_ALONE = re.compile(_YEAR + r"(?![0-9A-Za-z])")


def name_pattern(pattern: str) -> str:
    """Return the regular expression of a file name with fields and globs, each field once.

    Examples
    --------
    >>> re.fullmatch(name_pattern("rain.{year}.{month}.tif"), "rain.2001.03.tif")["month"]
    '03'
    """
    parts, seen = [], set()
    for text in re.split(r"(\{\w+(?::[^}]*)?\}|\*|\?)", pattern):
        field = FIELD.fullmatch(text)
        if field and field[1] in seen:
            parts.append(f"(?P={field[1]})")
        elif field:
            seen.add(field[1])
            digits = _DIGITS.get(field[1])
            parts.append(f"(?P<{field[1]}>" + (rf"\d{{{digits}}}" if digits else ".*?") + ")")
        else:
            parts.append({"*": ".*?", "?": "."}.get(text) or re.escape(text))
    return "".join(parts)


def expand(urlpath: str) -> Iterator[Path]:
    """Yield the paths that `urlpath` leads to, a ``{year}`` standing for four digits.

    Folders whose own names hold ``[`` or ``*`` are taken as they are where they exist. Hidden files
    match only a pattern that begins with a dot; ``**`` follows no links.

    Raises
    ------
    UsageError
        When the path holds a character that no message can show, or the pattern leads through more
        than 200,000 files and folders.
    """
    if not urlpath.isprintable() or len(urlpath) > 4096:
        raise UsageError(
            f"{urlpath[:200]!r}: expected a path of at most 4096 printable characters, found others"
        )
    path = Path(urlpath)
    if path.exists():
        yield path
        return
    base = next(parent for parent in path.parents if parent.exists())
    rest = str(path.relative_to(base))
    pattern = FIELD.sub(lambda field: "[0-9]" * _DIGITS.get(field[1], 0) or "*", rest)
    if not any(mark in pattern for mark in "*?["):
        return
    if sum(pattern.count(mark) for mark in "*?") > MOST_WILDCARDS:
        raise UsageError(f"{urlpath[:200]}: expected at most {MOST_WILDCARDS} wildcards")
    seen: set[Path] = set()
    left = [MOST_ENTRIES]
    for found in _matching(base, Path(pattern).parts, left):
        if left[0] < 0:
            raise UsageError(
                f"{urlpath}: expected a pattern that leads to some files, found that it leads "
                f"through more than {MOST_ENTRIES:,}; name the folders"
            )
        if found is not None and found not in seen:
            seen.add(found)
            yield found


def _matching(folder: Path, parts: tuple[str, ...], left: list[int]) -> Iterator[Path | None]:
    """Yield the paths below a folder that match, and None for each entry that is looked at."""
    first, rest = parts[0], parts[1:]
    if first == "**" and rest:
        yield from _matching(folder, rest, left)
    if not any(mark in first for mark in "*?["):
        found = folder / first
        if rest and found.is_dir():
            yield from _matching(found, rest, left)
        elif not rest and found.exists():
            yield found
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # no folder, or not ours to read
        return
    for entry in entries:
        left[0] -= 1
        yield None
        if entry.name.startswith(".") and not first.startswith("."):
            continue
        path = folder / entry.name
        if first == "**":
            if entry.is_dir(follow_symlinks=False):
                yield path if not rest else None
                yield from _matching(path, parts, left)
        elif fnmatchcase(entry.name, first):
            if not rest:
                yield path
            elif entry.is_dir():
                yield from _matching(path, rest, left)


def month_in(name: str) -> str | None:
    """Return the month, YYYY-MM, in the name of a file; None where there is none, or a day.

    Examples
    --------
    >>> month_in("chirps-v2.0.2001.03.tif"), month_in("t2m_2018-09-17.nc"), month_in("2000_10km.nc")
    ('2001-03', None, None)
    """
    found = _DATE.findall(name)
    return f"{found[0][0]}-{found[0][1]}" if len(found) == 1 and not found[0][2] else None


def has_month(name: str) -> bool:
    """Tell whether a year and a month are in the name of a file, once or more."""
    return _DATE.search(name) is not None


def date_in(name: str) -> str | None:
    """Return the one date in the name of a file: YYYY, YYYY-MM or YYYY-MM-DD; None: none, or many.

    Examples
    --------
    >>> date_in("flux_2001_07.tif"), date_in("NDVI.A2001193.h10v04.tif"), date_in("cover_2019.tif")
    ('2001-07', '2001-07-12', '2019')
    >>> date_in("flux_200101_200112.tif"), date_in("flux.tif")
    (None, None)
    """
    found = _dates(name)
    return found[0][0] if len(found) == 1 else None


def without_date(name: str) -> str:
    """Return the name of a file as the name of its variable: no date, letters and digits only.

    Examples
    --------
    >>> without_date("flux_2001_07"), without_date("2001-07"), without_date("cover-igbp.2019.v6")
    ('flux', '2001_07', 'cover_igbp_v6')
    """
    found = _dates(name)
    rest = name[: found[0][1]] + name[found[0][2] :] if len(found) == 1 else name
    plain = re.sub(r"\W+|_+", "_", rest).strip("_")
    return plain or re.sub(r"\W", "_", name)


def _dates(name: str) -> list[tuple[str, int, int]]:
    """Return the dates in a name, and where each begins and ends."""
    found = []
    for match in _DATE.finditer(name):
        day = f"-{match[3].strip('-_.')}" if match[3] else ""
        found.append((f"{match[1]}-{match[2]}{day}", match.start(), match.end()))
    if not found:
        for match in _DAY_OF_YEAR.finditer(name):
            first = datetime.date(int(match[1]), 1, 1)
            date = first + datetime.timedelta(int(match[2]) - 1)
            if date.year == first.year and int(match[2]) > 0:
                found.append((date.isoformat(), match.start(), match.end()))
    if not found:
        found = [(m[1], m.start(), m.end()) for m in _YEAR_ALONE.finditer(name)]
    return found
