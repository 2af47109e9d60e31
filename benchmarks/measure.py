"""Time and memory of processes, so that engines can be compared on a machine that others use."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any


def status_mib(key: str) -> float:
    """A line of /proc/self/status (Linux), such as VmRSS, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 1024


def peak_mib() -> float:
    """Peak memory of this process; ru_maxrss would begin with that of the parent (Linux)."""
    return status_mib("VmHWM")


def extra_mib(function: Callable[[], Any]) -> float:
    """Peak memory of a call beyond what is held before it (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")  # set the high-water mark back
    before = status_mib("VmRSS")
    function()
    return peak_mib() - before


def timed(function: Callable[[], Any]) -> dict[str, float]:
    """Wall and CPU seconds of a call, those of all threads of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def environment(threads: int | None = None) -> dict[str, str]:
    """The environment of a measured process, with `threads` for every library that has some."""
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    tuned = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    if all(name in env for name in tuned):
        # Measure the kernel that OpenBLAS picks by itself.
        env = {name: value for name, value in env.items() if name not in tuned}
    if threads:
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
        env |= dict.fromkeys(names, str(threads))
    return env


class Served:
    """A process that repeats one piece of work when it is asked to.

    It runs `arguments` with Python, and must call `serve`. Several, asked in turn, meet the same
    load of the machine.
    """

    def __init__(self, arguments: Iterable[object], threads: int | None = None) -> None:
        self._child = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(threads),
        )
        self.first = self._read()
        self.times: list[dict[str, float]] = []

    def _read(self) -> dict[str, Any]:
        assert self._child.stdout
        for line in self._child.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"{self._child.args} failed with exit code {self._child.wait()}")

    def again(self) -> dict[str, Any]:
        """Have the work done once more, and return what it took."""
        assert self._child.stdin
        self._child.stdin.write("again\n")
        self._child.stdin.flush()
        self.times.append(self._read())
        return self.times[-1]

    def median(self, key: str) -> float:
        """Median over the repetitions."""
        return statistics.median(t[key] for t in self.times)

    def close(self) -> None:
        """End the process."""
        self._child.communicate()


def serve(first: Mapping[str, Any], work: Callable[[], Mapping[str, Any]]) -> None:
    """Report `first`, then what `work` returns, each time a line is read."""
    print(json.dumps(first), flush=True)
    for _ in sys.stdin:
        print(json.dumps(work()), flush=True)


def once(arguments: Iterable[object], threads: int | None = None) -> dict[str, Any]:
    """Run Python in a process of its own; return the JSON of its last line."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment(threads))
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def table(title: str, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print rows under a title; numbers with three digits, None as nothing."""

    def cell(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
        return "" if value is None else str(value)

    first, *others = header
    print(f"\n{title}\n  {first:44}" + "".join(f"{name:>13}" for name in others))
    for name, *values in rows:
        print(f"  {name:44}" + "".join(f"{cell(value):>13}" for value in values), flush=True)
