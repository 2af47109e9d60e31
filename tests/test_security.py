"""The threat model names tests that exist, and the checker of security finds nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "threat-model.md"


def test_the_tests_that_hold_the_promises_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", DOCUMENT.read_text(encoding="utf-8"))
    assert len(named) > 30
    for file, function in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in text, f"{file}::{function}"


def test_each_promise_names_a_test() -> None:
    rows = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    promises = [row for row in rows if not re.match(r"\| Promise|\|---", row)]
    assert len(promises) > 20
    assert [row for row in promises if "`tests/" not in row.split("|")[-2]] == []


@pytest.mark.slow
@pytest.mark.skipif(find_spec("bandit") is None, reason="bandit is in the extra 'checks'")
def test_bandit_finds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bandit", "--quiet", "--recursive"]
    places = [str(ROOT / "narcf_geo"), str(ROOT / "cli")]
    done = subprocess.run([*command, *places], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    (tmp_path / "bad.py").write_text("import pickle\npickle.loads(b'')\n")
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "B301" in done.stdout
