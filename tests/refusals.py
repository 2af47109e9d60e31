"""What every refusal of the command line has, whatever it is about."""

from __future__ import annotations

import re
from pathlib import Path
from subprocess import CompletedProcess


def refused(done: CompletedProcess[str], code: int, *words: str) -> str:
    """Check a refusal, in one message of our own with all `words`; return the message."""
    message = done.stderr
    assert done.returncode == code, message or done.stdout
    assert "Traceback" not in message
    assert message.count("Error") == 1, message
    # Not the name of an error of Python or of a library, which says nothing to a user.
    assert not re.search(r"Error: \w+(Error|Exception|Warning)\b", message), message
    plain = said(message)
    for word in words:
        assert word in plain, message
    return message


def said(message: str) -> str:
    """Return a message in one line, without the frame that is around one about options."""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", message).split())


def contents(folder: Path) -> dict[str, int]:
    """Return all files of a folder, hidden ones too, and when each was written."""
    return {
        path.relative_to(folder).as_posix(): path.lstat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
