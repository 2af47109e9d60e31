"""Text from data: control characters, secrets, formulas."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from narcf_geo.core.addresses import reach, without_secrets
from narcf_geo.core.plain import not_formula, visible


@pytest.mark.parametrize(
    "text",
    [
        *(
            "=1+1",
            "+1+1",
            "-1+1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            " =1",
            "-2+3+cmd|' /C calc'!A0",
        ),
        *("=HYPERLINK(0)", "\uff1d1+1", "\uff0b1", "-", "--1", "-1e", "+", "-nan", "=-1", "-inf"),
    ],
)
def test_formulas_are_text(text: str) -> None:
    assert not_formula(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "Iowa", "-1", "+1.5", "-.5e-3", "m-2", "a=b", "'=1", "(-1)"])
def test_other_text_and_numbers_stay(text: str) -> None:
    assert not_formula(text) == text


def test_control_characters_are_written_out() -> None:
    assert visible("a\x1b]0;t\x07\r\x9b\u202eb\x00") == r"a\x1b]0;t\x07\r\x9b\u202eb\x00"
    assert visible("é µ 東\t\n☂") == "é µ 東\t\n☂"


def test_secrets_of_the_environment_are_told_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", "abc-s3cr3t\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "abc/s3cr3t")
    monkeypatch.setenv("PGPASSWORD", "abc")  # too short to be told from words
    monkeypatch.setenv("PLACE", "of-no-secret")
    text = "b'abc-s3cr3t' abc/s3cr3t abc of-no-secret"
    assert without_secrets(text) == "b'...' ... abc of-no-secret"


HOSTS = {
    "loopback": "127.9.9.9 2130706433 0177.0.0.1 0.0.0.0 LOCALHOST. a.localhost :: ::1",
    "link-local": "169.254.0.1 fe80::1%1 fd00:ec2::254 metadata.google.internal 100.100.100.200",
    "private": "192.168.1.1 172.16.0.1 fc00::1 100.64.0.1 224.0.0.1",
    "public": "1.1.1.1 2606:4700::1 example.org",
}


@pytest.mark.parametrize(("kind", "hosts"), HOSTS.items())
def test_who_is_reached(kind: str, hosts: str) -> None:
    assert {host: reach(host, numeric=True) for host in hosts.split()} == dict.fromkeys(
        hosts.split(), kind
    )


def test_an_unforeseen_error_tells_no_secret(tmp_path: Path) -> None:
    """In one line and as a traceback, whatever a library says."""
    code = (
        "import sys, narcf_geo.cli.app as app, narcf_geo.cli as cli\n"
        "def broken():\n"
        "    try:\n"
        "        raise OSError('b\\'Bearer abc-s3cr3t\\'')\n"
        "    except OSError as e:\n"
        "        raise RuntimeError('at https://al:s3cr3t@h.org/x?k=s3cr3t \\x1b[2J') from e\n"
        "app.app = broken\n"
        "cli.main()\n"
    )
    env = {"MY_TOKEN": "abc-s3cr3t", "PATH": ""}
    for options in ((), ("--debug",)):
        command = [sys.executable, "-c", code, *options]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "at https://h.org/x" in done.stderr
        assert "\x1b" not in done.stderr
        assert ("Traceback" in done.stderr) == bool(options)
        # The traceback quotes the program itself where it is a file; here it is none.
        assert "s3cr3t" not in done.stderr


def test_a_name_that_steers_terminals_is_shown_written_out(
    tmp_path: Path, in_process: Callable
) -> None:
    (tmp_path / "c.yaml").write_text(
        'sources:\n  a:\n    description: "x\\e[2Jy [bold]z :cat:"\n    driver: netcdf\n'
        "    args: {urlpath: no.nc}\n    metadata: {role: predictor, variables: {temp: {}}}\n"
    )
    folder = tmp_path / "a[bold]b[" / "red]"
    folder.mkdir(parents=True)
    (tmp_path / "c.yaml").rename(folder / "c.yaml")
    done = in_process("catalog", "list", "--catalog", folder / "c.yaml")
    assert f"Catalog: {folder}/c.yaml" in done.stdout
    assert r"x\x1b[2Jy [bold]z :cat:" in done.stdout
    assert "\x1b" not in done.stdout
