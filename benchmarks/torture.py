"""Kill, starve and cut off the whole chain, run it again, and compare every byte.

    python benchmarks/torture.py [--number 100] [--ways kill power full error] [--crowd 8]

A small project is run once without disturbance. Then, for each way and each of evenly spaced
calls that write, a copy of its inputs is run with a fault at this call and run again without one:
the results must be the same, byte for byte, and nothing else may be left. Faults are those of
`faults.c`, preloaded into the process (Linux, a C compiler): killed; killed, with what was not
synced cut in half; the disk full from there on; one call that fails. After the last two the
command must have ended with exit code 1 and a sentence. At last a crowd of processes runs one
project at once.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from tiny_project import write_project  # noqa: E402

COMMAND = Path(sys.executable).with_name("narcf-geo")
WAYS = ("kill", "power", "full", "error")
NOT_RESULTS = (".narcf", "manifest.json")
"""What says when something was done."""


def hashes(project: Path) -> dict[str, str]:
    """Return the hash of every file of a project that is a result."""
    return {
        path.relative_to(project).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(project.rglob("*"))
        if path.is_file() and path.relative_to(project).parts[0] not in NOT_RESULTS
    }


def differences(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Return the names of files that are absent, left over or other."""
    return [n for n in sorted({*found, *expected}) if found.get(n) != expected.get(n)]


def run(project: Path, **faults: str) -> subprocess.CompletedProcess[str]:
    """Run the project."""
    return subprocess.run(
        [COMMAND, "run", "-C", project],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        env={**os.environ, "COLUMNS": "200", **faults},
    )


def sentence(done: subprocess.CompletedProcess[str]) -> bool:
    """Tell whether a command failed in words."""
    bare = re.search(r"Error: \w*(Error|Exception)\b", done.stderr)
    return done.returncode == 1 and "Error: " in done.stderr and not bare


class Torture:
    """The inputs, the library of faults and the results of an undisturbed run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inputs = write_project(folder / "inputs")
        self.library = folder / "faults.so"
        compiler = os.environ.get("CC", "cc")
        source = str(HERE / "faults.c")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", self.library, source, "-ldl", "-lpthread"],
            check=True,
        )
        calm = self.project("calm")
        counted = folder / "count"
        done = run(calm, **self.faults(calm), FAULTS_COUNT=str(counted))
        if done.returncode:
            raise SystemExit(done.stderr)
        self.calls = max(map(int, counted.read_text().split()))
        self.expected = hashes(calm)
        again = self.project("again")
        run(again)
        if different := differences(hashes(again), self.expected):
            print(f"two undisturbed runs differ in {different}")

    def project(self, name: str) -> Path:
        """Return a new copy of the inputs."""
        return Path(shutil.copytree(self.inputs, self.folder / name))

    def faults(self, project: Path, at: int = 0, how: str = "") -> dict[str, str]:
        """Return the environment of a run with a fault."""
        return {
            "LD_PRELOAD": str(self.library),
            "FAULTS_BELOW": str(project),
            "FAULTS_AT": str(at),
            "FAULTS_HOW": how,
        }

    def disturb(self, how: str, at: int) -> list[str]:
        """Run with a fault and without; return what is wrong."""
        project = self.project(f"{how}{at}")
        wrong = []
        done = run(project, **self.faults(project, at, how))
        if how in ("full", "error") and not sentence(done) and done.returncode:
            wrong.append(f"exit code {done.returncode}: {done.stderr.strip()[-200:]}")
        if how in ("kill", "power") and done.returncode != -9:
            wrong.append(f"was not killed: {done.returncode}")
        last = run(project)
        if last.returncode:
            wrong.append(f"run again: {last.stderr.strip()[-200:]}")
        wrong += differences(hashes(project), self.expected)
        shutil.rmtree(project)
        return wrong

    def crowd(self, number: int) -> list[str]:
        """Run several processes at once in one project; return what is wrong."""
        project = self.project("crowd")
        command = [COMMAND, "run", "-C", project]
        at_once = [
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            for _ in range(number)
        ]
        wrong = []
        for one in at_once:
            _, errors = one.communicate(timeout=900)
            if one.returncode and "Traceback" in errors:
                wrong.append(errors[-200:])
        if all(one.returncode for one in at_once):
            wrong.append("none of them ended well")
        return wrong + differences(hashes(project), self.expected)


def main() -> int:
    """Print a line for each way; exit code 1 when something differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=100, help="faults of each way")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--crowd", type=int, default=8, help="processes at once; 0 for none")
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        torture = Torture(Path(folder))
        print(f"{torture.calls} calls write, {len(torture.expected)} files are compared")
        for how in options.ways:
            started, good = time.monotonic(), 0
            for k in range(options.number):
                at = 1 + k * torture.calls // options.number
                wrong = torture.disturb(how, at)
                good += not wrong
                if wrong:
                    print(f"  {how} at {at}: {wrong}", flush=True)
            failed += options.number - good
            took = time.monotonic() - started
            print(f"{how:<6} {good} of {options.number} as undisturbed, {took:.0f} s", flush=True)
        if options.crowd:
            wrong = torture.crowd(options.crowd)
            failed += bool(wrong)
            print(f"{options.crowd} at once: {wrong or 'as undisturbed'}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
