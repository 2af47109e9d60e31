"""Break the code on purpose and see whether the tests notice: ``python tests/mutate.py``.

Each mutant is one change of an operator, a comparison or a number in a copy of the package; it is
killed when the tests of its area fail. Slow: a mutant costs a run of these tests.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).parents[1]
AREAS = {
    "kernels": (["narcf_geo/kernels"], ["tests/kernels", "tests/regridding/test_regrid.py"]),
    "statistics": (
        ["narcf_geo/statistics"],
        ["tests/statistics", "tests/budget/test_intervals.py", "tests/evaluation"],
    ),
    "budget": (["narcf_geo/budget"], ["tests/budget", "tests/figures/test_maps.py"]),
    "fields": (["narcf_geo/fields"], ["tests/fields", "tests/budget", "tests/catalog/readers"]),
    "splits": (["narcf_geo/model/samples/splits.py"], ["tests/model/test_splits.py"]),
}
"""Sources of an area, and the tests that must notice; its doctests run too."""

LEAST = 0.9
ELSEWHERE = ("grib.py", "remote.py")
"""Files whose tests need an extra or a server: they are not run for each mutant."""

NO_RESULT = ("z_order", "z_order_of_index")
"""Functions that change the order of the work and no result: no test can notice."""

EQUIVALENT = (
    ("budget/tables.py", r"np\.abs\(rest\) < 1e-09 -> .*", "the very edge of what is rounding"),
    ("fields/month_sums.py", r"8 \* 2 \*\* 20 -> .*", "how much is read at once"),
    ("fields/month_sums.py", r"16384 -> .*", "how much is summed at once"),
    ("grid/reproject.py", r"20 -> 21", "more cuts than any edge needs"),
    ("grid/reproject.py", r"1e-300 -> .*", "an edge without length"),
    ("grid/reproject.py", r"np\.abs\(steps\) >= _CIRCLE -> .*", "the very edge of rounding"),
    ("grid/reproject.py", r"np\.abs\(lat\)\.max\(\) <= 90 .* -> .*", "the very edge of rounding"),
    ("grid/reproject.py", r"crs\.equals\(.* -> .*", "saves a transformation that changes nothing"),
    ("fields/values.py", r"where or 'flux' -> .*", "words of an error"),
    ("samples/splits.py", r"np\.floor\(lat / degrees\).* -> .*", "another numbering of the blocks"),
    ("samples/splits.py", r"10000 -> .*", "another numbering of the blocks"),
    ("samples/splits.py", r"learned\.size <= max_rows -> .*", "a sample of all rows is all rows"),
    ("statistics/applicability.py", r"20000 -> .*", "how many rows are drawn"),
    ("statistics/applicability.py", r"1024 -> .*", "how much is worked on at once"),
    ("statistics/applicability.py", r"2000 -> .*", "how many rows are drawn"),
    ("statistics/blocks.py", r"1500 -> .*", "how many cells are drawn"),
    ("statistics/blocks.py", r"len\(known\) > 1500 -> .*", "a draw of all cells"),
    ("statistics/blocks.py", r"hits >= wanted - 1e-09 -> .*", "between whole numbers"),
    ("statistics/blocks.py", r"1e-09 -> .*", "between whole numbers"),
    ("statistics/conformal.py", r"1e-09 -> .*", "levels are twentieths"),
    ("statistics/error_model.py", r"4 -> 5", "how much a file is compressed"),
    ("statistics/error_model.py", r"10000 -> .*", "another numbering of the blocks"),
    ("kernels/apply.py", r"s0 \+ s1[ +s2-7]* -> .*", "only whether the sum is NaN is asked"),
    ("kernels/interpolate.py", r"abs\(point.* < abs\(point.* -> .*", "any axis across will do"),
    ("kernels/interpolate.py", r"boxes\[b, \d\] [<>] [^<>]* -> .*", "boxes that only touch"),
    ("kernels/overlap.py", r"boxes\[b, \d\] [<>] [^<>]* -> .*", "boxes that only touch"),
    ("kernels/overlap.py", r"64 -> 65", "room, made longer on demand"),
    ("kernels/overlap.py", r"(8 \* threads|threads == 1) -> .*", "how the work is shared out"),
    ("kernels/interpolate.py", r"30 -> 31", "more steps than are ever needed"),
    ("kernels/polygons.py", r"0\.1 -> .*", "which of two ways is gone to one result"),
    ("kernels/polygons.py", r"\w+ [<>] -?1e-13 -> .*", "which of two ways is gone to one result"),
    ("kernels/triangulate.py", r"int\(count\) - 2 -> .*", "room"),
)
"""File, pattern of the change, and why no test can notice it; each was looked at by hand."""

SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


@dataclass(frozen=True)
class Mutant:
    """One change: the file, the line, what it does, and the whole text with it."""

    area: str
    path: Path
    line: int
    what: str
    text: str


def mutants(area: str, path: Path) -> Iterator[Mutant]:
    """Yield every mutant of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    number = {id(node): k for k, node in enumerate(ast.walk(tree))}
    for node in _counted(tree):
        changed = copy.deepcopy(tree)
        twin = next(n for k, n in enumerate(ast.walk(changed)) if k == number[id(node)])
        before = ast.unparse(node)
        if _change(twin) and not _equivalent(path, f"{before} -> {ast.unparse(twin)}"):
            yield Mutant(
                area,
                path.relative_to(ROOT),
                getattr(node, "lineno", 0),
                f"{before}  ->  {ast.unparse(twin)}",
                ast.unparse(ast.fix_missing_locations(changed)),
            )


def _equivalent(path: Path, what: str) -> bool:
    return any(
        path.as_posix().endswith(f"/{file}") and re.fullmatch(change, what)
        for file, change, _ in EQUIVALENT
    )


def _counted(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what may be changed: not annotations, texts, messages and imports."""
    skipped = (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom, ast.Assert)
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for node in value if isinstance(value, list) else [value]:
            if not isinstance(node, ast.AST) or isinstance(node, skipped):
                continue
            if _is_warning(node) or getattr(node, "name", None) in NO_RESULT:
                continue
            # That two lists are of one length holds by their making.
            if isinstance(node, ast.keyword) and node.arg == "strict":
                continue
            if isinstance(node, ast.BinOp | ast.BoolOp | ast.Compare | ast.Constant | ast.UnaryOp):
                yield node
            yield from _counted(node)


def _is_warning(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and (
        "warn" in ast.unparse(node) or isinstance(node.value, ast.Constant)
    )


def _change(node: ast.AST) -> bool:
    """Change a node in place; False where there is nothing to change."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in SWAPS:
            node.ops = [SWAPS[type(op)]()]
        case ast.BinOp(op=op) if type(op) in SWAPS and not _text(node):
            node.op = SWAPS[type(op)]()
        case ast.BoolOp(op=op):
            node.op = SWAPS[type(op)]()
        case ast.UnaryOp(op=ast.Not()):
            node.op, node.operand = ast.Not(), ast.UnaryOp(ast.Not(), node.operand)
        case ast.Constant(value=bool()):
            node.value = not node.value
        case ast.Constant(value=int()):
            node.value += 1
        case ast.Constant(value=float()):
            # A tolerance must change by far to be another.
            tiny = 0 < abs(node.value) < 1e-3
            node.value = node.value * (1e6 if tiny else 1.5) + (node.value == 0)
        case _:
            return False
    return True


def _text(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    return any(
        isinstance(s, ast.JoinedStr) or (isinstance(s, ast.Constant) and isinstance(s.value, str))
        for s in sides
    ) or not isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div | ast.BitAnd | ast.BitOr)


def passes(copy_of: Path, area: str) -> bool:
    """Run the tests of an area in a copy of the project; a run that hangs does not pass."""
    sources, tests = AREAS[area]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-W", "ignore"]
    env = {**os.environ, "PYTHONPATH": str(copy_of), "NUMBA_CACHE_DIR": str(copy_of / ".numba")}
    try:
        ran = subprocess.run(
            [*command, *tests, *sources], cwd=copy_of, env=env, capture_output=True, timeout=900
        )
    except subprocess.TimeoutExpired:
        return False
    return ran.returncode == 0


def main() -> int:
    """Make mutants, run the tests on each, print those that survive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("areas", nargs="*", choices=[*AREAS, []], help="default: all")
    parser.add_argument("--number", type=int, default=20, help="mutants of each area")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    chosen: list[Mutant] = []
    for area in options.areas or AREAS:
        files = [
            path
            for source in AREAS[area][0]
            for path in sorted(
                (ROOT / source).rglob("*.py") if (ROOT / source).is_dir() else [ROOT / source]
            )
        ]
        files = [path for path in files if path.name not in ELSEWHERE]
        every = [mutant for path in files for mutant in mutants(area, path)]
        chosen += random.Random(options.seed).sample(every, min(options.number, len(every)))
    with tempfile.TemporaryDirectory() as folder:
        copies: Queue[Path] = Queue()
        for number in range(options.jobs):
            place = Path(folder) / str(number)
            ignored = shutil.ignore_patterns(".venv", ".git", "demo", "__pycache__", "node_modules")
            shutil.copytree(ROOT, place, symlinks=True, ignore=ignored)
            copies.put(place)
        for area in dict.fromkeys(mutant.area for mutant in chosen):
            if not passes(place, area):
                raise SystemExit(f"the tests of {area} fail without any mutant")

        def survives(mutant: Mutant) -> bool:
            place = copies.get()
            file = place / mutant.path
            try:
                file.write_text(mutant.text, encoding="utf-8")
                alive = passes(place, mutant.area)
            finally:
                shutil.copyfile(ROOT / mutant.path, file)
                copies.put(place)
            print(
                "SURVIVED" if alive else "killed  ",
                f"{mutant.path}:{mutant.line}: {mutant.what}",
                flush=True,
            )
            return alive

        with ThreadPoolExecutor(options.jobs) as pool:
            alive = list(pool.map(survives, chosen))
    for area in dict.fromkeys(mutant.area for mutant in chosen):
        found = [a for a, mutant in zip(alive, chosen, strict=True) if mutant.area == area]
        print(f"{area:<12} {len(found) - sum(found):>4} of {len(found)} killed")
    score = 1 - sum(alive) / len(alive)
    print(f"{'all':<12} {score:.1%} killed; at least {LEAST:.0%} is asked for")
    return int(score < LEAST)


if __name__ == "__main__":
    sys.exit(main())
