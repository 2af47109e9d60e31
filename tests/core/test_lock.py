"""One at a time: with the system's locks, without them, and after a process that was killed."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.lock import Holder, hold, hold_output

HOLD = """
import sys, warnings
warnings.simplefilter("ignore")
{without}
from pathlib import Path
from narcf_geo.core.lock import hold
with hold(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    sys.stdin.read()
"""
WITHOUT = {
    "system": "",
    "windows": "sys.modules['fcntl'] = None",
    **{
        name: f"import fcntl\ndef no(*a): raise OSError({getattr(errno, name)}, '{name}')\n"
        "fcntl.flock = no"
        for name in ("ENOLCK", "ENOSYS", "EOPNOTSUPP")
    },
}


@pytest.fixture(params=list(WITHOUT))
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The locks that this process and its children have."""
    if request.param == "windows":
        monkeypatch.setitem(sys.modules, "fcntl", None)
    elif request.param != "system":
        number = getattr(errno, request.param)

        def refuse(*arguments: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("fcntl.flock", refuse)
    return request.param


def holding(path: Path, kind: str) -> Any:
    """Start a process that holds a lock until its input ends."""
    code = HOLD.format(without=WITHOUT[kind])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], **pipes)
    assert process.stdout.readline() == "held\n"
    return process


def forged(path: Path, **changes: object) -> None:
    """Write the lock file of this process with changes."""
    with hold(path, "it"):
        found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, **changes}))


@pytest.mark.filterwarnings("ignore:.*no locks on this file system")
def test_one_at_a_time_and_none_after_a_kill(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lock"
    with hold(path, "it"):
        pass
    assert not list(tmp_path.iterdir())
    other = holding(path, kind)
    words = rf"it is in use by process {other.pid} on \S+ since .* \({path}\); wait until"
    with pytest.raises(NarcfError, match=words), hold(path, "it"):
        pass
    assert path.exists()
    other.communicate("")
    with hold(path, "it"):
        assert Holder.read(path).process == os.getpid()
    killed = holding(path, kind)
    killed.kill()
    killed.communicate()
    assert path.exists()
    with hold(path, "it"):
        assert Holder.read(path).process == os.getpid()
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:.*no locks on this file system")
def test_of_many_threads_one_has_it(tmp_path: Path, kind: str) -> None:
    path, inside, most, refused = tmp_path / "lock", [], [], []
    forged(path, process=2**22 + 1)  # left by a process that has ended: all want to take it over
    begin = threading.Barrier(8)

    def work() -> None:
        begin.wait()
        for _ in range(20):
            try:
                with hold(path, "it"):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
            except NarcfError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert all("in use by" in text for text in refused)
    assert not list(tmp_path.iterdir())


def test_a_lock_file_that_goes_while_it_is_taken_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, stat, gone = tmp_path / "lock", Path.stat, []

    def vanishing(self: Path, **kwargs: Any) -> os.stat_result:
        if self == path and path.exists() and not gone:
            gone.append(path.unlink())
        return stat(self, **kwargs)

    monkeypatch.setattr(Path, "exists", lambda self: os.path.lexists(self))
    monkeypatch.setattr(Path, "stat", vanishing)
    with hold(path, "it"):
        assert Holder.read(path).process == os.getpid()
    assert gone


@pytest.mark.filterwarnings("ignore:.*no locks on this file system")
@pytest.mark.parametrize("kind", ["windows", "ENOLCK"], indirect=True)
def test_a_lock_file_of_another_computer(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lock"
    forged(path, host="elsewhere", process=1)
    with (
        pytest.raises(NarcfError, match=r"process 1 on elsewhere .*no more, remove that file"),
        hold(path, "it"),
    ):
        pass
    assert path.exists()
    path.unlink()
    with hold(path, "it"):
        pass


def test_a_lock_file_counts_where_the_system_has_locks_too(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    other = holding(path, "ENOLCK")
    with pytest.raises(NarcfError, match=f"process {other.pid}"), hold(path, "it"):
        pass
    other.communicate("")
    with hold(path, "it"):
        pass


def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    words = rf"{tmp_path}: no locks on this file system \(No locks"
    with pytest.warns(UserWarning, match=words), hold(tmp_path / "lock", "it"):
        pass


@pytest.mark.filterwarnings("ignore:.*no locks on this file system")
@pytest.mark.parametrize("text", ["", "[]", "{}", '{"process": "x"}', "\udcff" * 3])
@pytest.mark.parametrize("kind", ["system", "ENOLCK"], indirect=True)
def test_a_damaged_lock_file(
    tmp_path: Path, kind: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("narcf_geo.core.lock._WAIT", 0.05)
    path = tmp_path / "lock"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    if kind == "system":  # the system knows that nobody holds it
        with hold(path, "it"):
            pass
        assert not path.exists()
        return
    with pytest.raises(NarcfError, match=r"another process.*remove that file"), hold(path, "it"):
        pass


def test_a_number_given_to_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    path = tmp_path / "lock"
    forged(path, since="2001-01-01 00:00:00+00:00")  # this process began later
    with hold(path, "it"):
        pass
    forged(path)
    with pytest.raises(NarcfError, match="which is this process"), hold(path, "it"):
        pass


def test_no_option_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/bin/narcf-geo", "regrid", "--set", "token=s3cret", "a.nc"])
    output = tmp_path / "out.nc"
    with hold_output(output):
        (path,) = tmp_path.iterdir()
        assert path.name == ".out.nc.lock"
        assert "s3cret" not in path.read_text()
        assert str(Holder.read(path)).endswith("(narcf-geo regrid)")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(NarcfError, match="cannot be locked"), hold_output(tmp_path / "out.nc"):
        pass
