"""Damage at random: a good file of any kind is changed and opened, again and again."""

from __future__ import annotations

import random
import time
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from tempfile import TemporaryDirectory

from reliability.good import FIELDS, POLYGONS, taken

LONGEST = 30.0
"""Seconds that opening a damaged file may take."""

TEXT = (".csv", ".asc", ".geojson", ".yaml", ".json")
TOKENS = [
    *("nan", "-1", "0", "1e400", "-1e-320", "null", "[]", "{}", "true", "''", '"', "\\", "\0"),
    *("9" * 40, "../x", "!!python/name:os.system", "&a", "*a", "{{ x }}", "é", "\u2028", ",,,"),
]
"""What a text is changed into, here and there."""


def fields(path: Path) -> None:
    """Open a field and read its values, as a command does."""
    from narcf_geo import open_fields
    from narcf_geo.fields.reading import reading

    with reading(path):
        open_fields(path).load()


def polygons(path: Path) -> None:
    from narcf_geo.fields.regions import open_regions, read_regions

    open_regions(read_regions(path))


def model(path: Path) -> None:
    from narcf_geo import Bundle

    Bundle.load(path)


def project(path: Path) -> None:
    """Open a project, and its sources as far as their files go."""
    from narcf_geo import Project

    for entry in Project.open(path).catalog().values():
        entry.files()


LOADERS: dict[str, Callable[[Path], None]] = {
    **dict.fromkeys(FIELDS, fields),
    **dict.fromkeys(POLYGONS, polygons),
    "model": model,
    "project": project,
}


def damaged(content: bytes, text: bool, rng: random.Random) -> bytes:
    """Return a content with one to eight changes."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(changed) + 1)
        until = min(at + int(rng.expovariate(1 / 8)), len(changed))
        way = rng.choice(["byte", "bit", "cut", "twice", "token", "end", "number"])
        if way == "token" or (text and rng.random() < 0.5):
            changed[at:until] = rng.choice(TOKENS).encode()
        elif way == "byte" and at < len(changed):
            changed[at] = rng.randrange(256)
        elif way == "bit" and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif way == "cut":
            del changed[at:until]
        elif way == "twice":
            changed[at:at] = changed[at:until]
        elif way == "number":
            size = rng.choice([1, 2, 4, 8])
            value = rng.choice([0, 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1])
            changed[at : at + size] = value.to_bytes(size, rng.choice(["little", "big"]))
        elif rng.random() < 0.1:
            del changed[at:]
    return bytes(changed)


def attempt(good: Path, seed: int) -> str:
    """Damage a file as `seed` says and open it; return what is wrong with how that ended."""
    from narcf_geo import NarcfError

    rng = random.Random(seed)
    name = rng.choice(list(LOADERS))
    with TemporaryDirectory() as folder:
        taken(good, name, Path(folder))
        path = Path(folder, name)
        files = sorted(p for p in Path(folder).rglob("*") if p.is_file())
        if name == "project":
            files = sorted(path.glob("*.yaml"))
        file = rng.choice(files)
        file.write_bytes(damaged(file.read_bytes(), file.suffix in TEXT, rng))
        begin = time.monotonic()
        try:
            LOADERS[name](path)
        except NarcfError:
            pass
        except Exception:
            return f"{seed}: {name}: {file.name}: {traceback.format_exc()[-1500:]}"
        took = time.monotonic() - begin
    return f"{seed}: {name}: {file.name}: took {took:.0f} s" if took > LONGEST else ""


def work(good: Path, first: int, until: float, log: Path, now: Synchronized) -> None:
    """Attempt seeds from `first` on, and write down what is wrong with each."""
    warnings.simplefilter("ignore")
    seed = first
    while time.time() < until:
        now.value = seed
        if wrong := attempt(good, seed):
            with log.open("a", encoding="utf-8") as stream:
                stream.write(wrong + "\n")
        seed += 1
    now.value = seed
