"""Which software made a file: the version, said once, and the versions of what it stands on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime

VERSION = "0.1.0"

SOFTWARE = f"narcf-geo {VERSION}"


def versions(*packages: str) -> dict[str, str]:
    """Return the version of narcf-geo and of installed packages, by name.

    Examples
    --------
    >>> list(versions("numpy"))
    ['narcf-geo', 'numpy']
    """
    from importlib.metadata import version

    return {"narcf-geo": VERSION, **{name: version(name) for name in packages}}


def history(what: str, before: Iterable[str] = ()) -> str:
    """Return a CF ``history`` with a line for what is done now above the lines of before.

    The environment variable ``SOURCE_DATE_EPOCH`` stands for the present where it is set, so that
    the same work gives the same bytes.

    Parameters
    ----------
    what : str
        What was done, such as "regridded from air.nc".
    before : iterable of str
        Earlier lines; empty ones are dropped.
    """
    return "\n".join([f"{timestamp()} {SOFTWARE}: {what}", *(line for line in before if line)])


def timestamp() -> str:
    """Return the present, or what ``SOURCE_DATE_EPOCH`` says it is, in UTC."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    now = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdigit() else datetime.now(UTC)
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")
