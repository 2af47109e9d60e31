"""Errors of reading as sentences that name the file: values are read long after it was opened."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from narcf_geo.core.errors import NarcfError, UnreadableError, first, reason

_UNREAD = (OSError, RuntimeError, ValueError, EOFError, zlib.error)
"""What libraries raise for values that they cannot read."""


@contextmanager
def reading(where: object) -> Iterator[None]:
    """Let what a library says of values that it cannot read become an error that names the file.

    Parameters
    ----------
    where : object
        The file, or what to call several.

    Raises
    ------
    UnreadableError
        In place of an error of another kind. One with a number of the system, such as that of a
        full disk, stays as it is.

    Examples
    --------
    >>> with reading("flux.nc"):
    ...     raise RuntimeError("NetCDF: HDF error")
    Traceback (most recent call last):
    narcf_geo.core.errors.UnreadableError: flux.nc: its values cannot be read (NetCDF: HDF error); \
the file may be damaged or incomplete
    """
    try:
        yield
    except NarcfError:
        raise
    except (*_UNREAD, ExceptionGroup) as raised:
        error = first(raised)
        named = isinstance(error, NarcfError) or getattr(error, "errno", None) is not None
        if named or not isinstance(error, _UNREAD):
            raise error from error.__cause__
        raise UnreadableError(
            f"{where}: its values cannot be read ({_said(error)}); the file may be damaged or "
            "incomplete"
        ) from error


def _said(error: BaseException) -> str:
    """Return what the first error of a chain says: GDAL's last one points to it alone."""
    while error.__cause__ is not None:
        error = error.__cause__
    return reason(error)


@contextmanager
def named(where: str) -> Iterator[None]:
    """Let an error say of which file it is, where it does not.

    Examples
    --------
    >>> with named("flux.nc"):
    ...     raise NarcfError("expected a grid")
    Traceback (most recent call last):
    narcf_geo.core.errors.NarcfError: flux.nc: expected a grid
    """
    try:
        yield
    except NarcfError as error:
        if where in str(error):
            raise
        raise type(error)(f"{where}: {error}") from error
