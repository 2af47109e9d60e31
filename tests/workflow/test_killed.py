"""Each stage killed on workers or on a cluster, and run again: the results of a calm run."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from narcf_geo import run
from narcf_geo.workflow import STAGES

KILLS = 2
"""Of each stage."""

_COMMAND = """
import sys
import narcf_geo as ng
if __name__ == "__main__":
    project, stage, workers, scheduler = sys.argv[1:]
    try:
        ng.run(project, stage, workers=int(workers) or None, scheduler=scheduler or None)
    except ng.NarcfError as error:
        sys.exit(f"Error: {error}")
"""


def start(project: Path, stage: str, workers: int = 0, scheduler: str = "") -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND, project, stage, str(workers), scheduler],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def workers_of(process: subprocess.Popen) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def wait(process: subprocess.Popen, ready: Callable[[], object], seconds: float) -> bool:
    """Wait until `ready`, and so many seconds longer; tell whether the process still runs."""
    until = float("inf")
    while process.poll() is None and time.monotonic() < until:
        if until == float("inf") and ready():
            until = time.monotonic() + seconds
        time.sleep(0.01)
    return process.poll() is None


def results(project: Path) -> dict[str, str]:
    """Return the hash of each file, but of those that say when something was done."""
    return {
        str(name): hashlib.sha256((project / name).read_bytes()).hexdigest()
        for name in (p.relative_to(project) for p in project.rglob("*") if p.is_file())
        if name.parts[0] not in (".narcf", "manifest.json")
    }


def ended_in_words(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode in (0, 1), errors
    assert "Traceback" not in errors
    assert process.returncode == 0 or "Error: " in errors


@pytest.mark.slow
@pytest.mark.parametrize("way", ["main", "a worker"])
def test_killed_in_each_stage(
    way: str, tiny_inputs: Path, tiny_run: Path, copy_of: Callable
) -> None:
    project = copy_of(tiny_inputs)
    rng = random.Random(way)
    killed = 0
    for stage in STAGES:
        for _ in range(KILLS):
            process = start(project, stage, workers=2)
            work = project / ".narcf" / "lock"
            ready = work.exists if way == "main" else lambda p=process: len(workers_of(p)) == 2
            if wait(process, ready, rng.uniform(0, 4)):
                workers = workers_of(process)
                killed += 1
                if way == "main":
                    process.send_signal(signal.SIGKILL)
                    process.communicate()
                    _, alive = psutil.wait_procs(workers, timeout=30)
                    assert not alive  # a worker does not outlive who started it
                    continue
                rng.choice(workers).kill()
            ended_in_words(process)
    assert killed >= len(STAGES)  # control: most were killed while they ran
    run(project)
    assert results(project) == results(tiny_run)


@pytest.mark.slow
def test_the_scheduler_is_killed(
    cluster: tuple[str, list[subprocess.Popen]],
    tiny_inputs: Path,
    tiny_run: Path,
    copy_of: Callable,
) -> None:
    project = copy_of(tiny_inputs)
    address, (scheduler, *_) = cluster
    process = start(project, "cube", scheduler=address)
    assert wait(process, (project / ".narcf" / "lock").exists, 3.0)
    scheduler.kill()
    ended_in_words(process)
    run(project)
    assert results(project) == results(tiny_run)
