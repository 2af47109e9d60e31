"""The order of the packages: read from docs/architecture.md, checked against every import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = (
    "tensorflow",
    "keras",
    "cartopy",
    "matplotlib",
    "geopandas",
    "distributed",
    "numba",
    "xarray",
    "pandas",
    "numpy",
)


def documented() -> list[str]:
    """The packages in the order of the table in docs/architecture.md."""
    text = (ROOT / "docs/architecture.md").read_text()
    table = text.split("| package | holds |")[1].split("\n\n")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.M)


def modules() -> dict[str, Path]:
    """Every module of the distribution by its dotted name."""
    found = {}
    for folder, name in ((ROOT / "narcf_geo", "narcf_geo"), (ROOT / "cli", "narcf_geo.cli")):
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            if "toplevel" not in parts:
                inner = parts[:-1] if parts[-1] == "__init__" else parts
                found[".".join((name, *inner))] = path
    return found


MODULES = modules()


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import of the package, those inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield node.lineno, whole if whole in MODULES else str(node.module)


def room(name: str) -> str | None:
    """The package of a module, None for what is not the distribution's or is its root."""
    parts = name.split(".")
    return parts[1] if parts[0] == "narcf_geo" and len(parts) > 1 else None


def upward(order: list[str]) -> list[str]:
    """Every import of a package that stands at or after the one that imports it."""
    place = {name: number for number, name in enumerate(order)}
    found = []
    for name, path in MODULES.items():
        here = room(name)
        if here in (None, "__main__"):
            continue
        for line, other in imported(ast.parse(path.read_text())):
            there = room(other)
            if other == "narcf_geo" or (there and place[there] > place[str(here)]):
                found.append(f"{path.relative_to(ROOT)}:{line} imports {other}")
    return found


def test_every_package_is_documented() -> None:
    rooms = {room(name) for name in MODULES} - {None, "__main__"}
    assert set(documented()) == rooms


def test_no_import_goes_upward() -> None:
    assert upward(documented()) == []


def test_an_import_upward_would_be_found() -> None:
    order = documented()
    order[1], order[2] = order[2], order[1]
    assert any("fields" in line and "grid" in line for line in upward(order))


def test_modules_are_short() -> None:
    long = {n: text.count("\n") for n, p in MODULES.items() if (text := p.read_text())}
    assert {name: lines for name, lines in long.items() if lines > 420} == {}


@pytest.mark.parametrize(
    "statement",
    [
        "import narcf_geo",
        "import narcf_geo.cli.app",
        "import narcf_geo.catalog, narcf_geo.project.project",
    ],
)
def test_importing_loads_nothing_heavy(statement: str) -> None:
    code = f"{statement}; import sys; print(*sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(HEAVY) & set(ran.stdout.split()) == set()


def test_the_accessor_is_there_whichever_is_imported_first() -> None:
    for first, second in (("xarray", "narcf_geo"), ("narcf_geo", "xarray")):
        code = f"import {first}, {second}, xarray; print(xarray.Dataset.narcf.__name__)"
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert ran.stdout.strip() == "NarcfAccessor", ran.stderr


def test_public_names_stay_what_they_are_whatever_is_imported() -> None:
    code = (
        "import importlib, pkgutil, narcf_geo as ng\n"
        "for m in pkgutil.walk_packages(ng.__path__, 'narcf_geo.'):\n"
        "    if not m.name.endswith(('__main__', 'toplevel.ESMF')):\n"
        "        importlib.import_module(m.name)\n"
        "modules = [n for n in ng.__all__ if type(getattr(ng, n)).__name__ == 'module']\n"
        "print(modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout.strip() == "[]", ran.stderr


def test_the_module_runs_as_a_program() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "narcf_geo", "--version"], capture_output=True, text=True
    )
    assert ran.stdout.startswith("narcf-geo ")
