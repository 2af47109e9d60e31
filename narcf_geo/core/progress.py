"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with how much is done, of how much, and what it is."""


def silent(done: int, total: int, text: str) -> None:
    """Show no progress."""
