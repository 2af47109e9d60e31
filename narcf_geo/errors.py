"""The errors a user can act on.

Every message says what was expected, what was found, where (file, variable, entry), and what to do
next. The command line prints the message alone, and the traceback only with ``--debug``.
"""

from __future__ import annotations


class NarcfError(Exception):
    """A run that cannot go on: bad data, a missing file, a failed stage (exit code 1)."""

    exit_code = 1


class UsageError(NarcfError):
    """The question itself is wrong: an option, ``narcf.yaml`` or a catalog (exit code 2)."""

    exit_code = 2
