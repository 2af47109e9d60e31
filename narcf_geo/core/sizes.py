"""Sizes that are looked at before the memory for them is asked for."""

from __future__ import annotations

from narcf_geo.core.errors import NarcfError, UnreadableError

SMALL = 2**28
"""Bytes that any computer has."""

MOST_PACKED = 2**15
"""Bytes that one stored byte stands for at most in a file that is compressed well."""


def memory() -> int:
    """Return the memory of this computer or container, bytes."""
    from distributed.system import MEMORY_LIMIT

    return int(MEMORY_LIMIT)


def require_room(needed: float, what: str, error: type[NarcfError] = UnreadableError) -> None:
    """Refuse what does not fit into the memory of this computer.

    Parameters
    ----------
    needed : float
        Bytes.
    what : str
        What takes them, and where it is: the beginning of the message.
    error : type
        What is raised.

    Raises
    ------
    NarcfError
        Of the type `error`, with both sizes.

    Examples
    --------
    >>> require_room(1e18, "cube.nc: variable 'flux'")
    Traceback (most recent call last):
    narcf_geo.core.errors.UnreadableError: cube.nc: variable 'flux' would take 1,000,000,000 GB, \
found ... GB of memory on this computer
    """
    if needed > SMALL and needed > (limit := memory()):
        raise error(
            f"{what} would take {needed / 1e9:,.0f} GB, found {limit / 1e9:,.1f} GB of memory on "
            "this computer"
        )
