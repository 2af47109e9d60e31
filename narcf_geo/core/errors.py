"""The errors a user can act on.

Every message says what was expected, what was found, where (file, variable, entry), and what to do
next. The command line prints the message alone, and the traceback only with ``--debug``.
"""

from __future__ import annotations


class NarcfError(Exception):
    """A run that cannot go on: bad data, a missing file, a failed stage (exit code 1)."""

    exit_code = 1


class UsageError(NarcfError, ValueError):
    """The question itself is wrong: an option, ``narcf.yaml`` or a catalog (exit code 2)."""

    exit_code = 2


class FieldError(NarcfError, ValueError):
    """Data that are not what they must be: axes, time, values."""


class UnitError(FieldError):
    """A unit that is missing, not understood, or of another quantity."""


class TimeError(FieldError):
    """A time axis that is not one of months."""


class GridMismatchError(FieldError):
    """Arrays that are to be combined and lie on different grids."""


class NoValueError(FieldError):
    """Data without one finite value, of which there is nothing to draw."""


class UnreadableError(NarcfError, OSError):
    """A file that cannot be opened as what it should be."""


class MissingFileError(UsageError, FileNotFoundError):
    """A file that was named and is not there (exit code 2)."""


def first(error: BaseException) -> BaseException:
    """Return the first error of a group: of tasks side by side, each of which may have failed.

    Examples
    --------
    >>> first(ExceptionGroup("tasks", [NarcfError("no chunk"), NarcfError("no chunk")]))
    NarcfError('no chunk')
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def reason(error: object, most: int = 300) -> str:
    """Return what an error of a library says, short and printable: it may quote a hostile file.

    Examples
    --------
    >>> reason(ValueError("no\\0 header")), reason(ValueError("x" * 1000), 8), reason(EOFError())
    ('no\\\\x00 header', 'xxxxxxxx...', 'EOFError')
    """
    text = str(error) or type(error).__name__
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: most + 1])
    return shown if len(shown) <= most else f"{shown[:most]}..."


def prefix(where: str) -> str:
    """Return the beginning of a message that says where the fault is; empty where unknown.

    Examples
    --------
    >>> prefix("flux.nc"), prefix("")
    ('flux.nc: ', '')
    """
    return f"{where}: " if where else ""
