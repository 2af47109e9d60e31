"""Damaged at random, files of every kind open or are refused in words, and crash nothing."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from pathlib import Path

import pytest
from reliability import fuzzing, good

from narcf_geo import Bundle

SECONDS = float(os.environ.get("NARCF_FUZZ_SECONDS", "120"))
FIRST = int(os.environ.get("NARCF_FUZZ_SEED", "0"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, tiny_inputs: Path) -> Path:
    folder = tmp_path_factory.mktemp("good")
    good.write_all(folder, tiny_inputs)
    return folder


def test_every_good_file_opens(files: Path) -> None:
    for name, load in fuzzing.LOADERS.items():
        load(files / name)


def test_an_error_that_is_not_ours_is_seen(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: Path) -> None:
        raise IndexError(path)

    monkeypatch.setattr(fuzzing, "LOADERS", {"field.csv": load})
    assert "IndexError" in fuzzing.attempt(files, 1)


def test_damage_is_damage() -> None:
    content = bytes(range(200))
    changed = [fuzzing.damaged(content, False, random.Random(seed)) for seed in range(100)]
    assert sum(c != content for c in changed) > 90


@pytest.mark.slow
def test_files_damaged_at_random_for_a_long_time(files: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    log, until, seed = tmp_path / "log", time.time() + SECONDS, FIRST
    log.touch()
    now = context.Value("q", seed)
    while time.time() < until:
        child = context.Process(target=fuzzing.work, args=(files, seed, until, log, now))
        child.start()
        child.join(max(until - time.time(), 0) + 60)
        if child.exitcode != 0:  # a crash, or no end
            with log.open("a", encoding="utf-8") as stream:
                stream.write(f"{now.value}: exit code {child.exitcode}\n")
            child.kill()
        seed = now.value + 1
    print(f"{seed - FIRST} files opened in {SECONDS:.0f} s")
    assert not log.read_text(encoding="utf-8")
    assert Bundle.load(files / "model")  # control: the good files were left alone
