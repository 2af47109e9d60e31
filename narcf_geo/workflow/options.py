"""How the stages do their work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from narcf_geo.core.pool import Pool, threads

if TYPE_CHECKING:
    from narcf_geo.catalog.rules import Finding


@dataclass(frozen=True)
class Options:
    """How to do the work; nothing of this changes a result that both give.

    Attributes
    ----------
    force : bool
        Do again even what is up to date.
    pool : callable
        Returns who does the work; opened when it is asked for first, and then the same.
    memory : str, optional
        What each process may take, such as "2GB".
    allow : tuple of str
        Sources, or their variables as ``source.variable``, whose impossible values pass.
    findings : list of Finding
        What was odd about the sources that were read; a stage adds to it.
    """

    force: bool = False
    pool: Callable[[], Pool] = threads
    memory: str | None = None
    allow: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)
