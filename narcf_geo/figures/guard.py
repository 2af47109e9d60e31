"""Figures one after the other, of which one without values ends no run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from narcf_geo.core.errors import NoValueError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawing = tuple[str, "Callable[[], Figure]"]
"""Name of a figure, and what draws it."""


def drawn(drawings: Iterable[Drawing]) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure; one without finite values is left out, and a warning names it.

    Examples
    --------
    >>> def nothing():
    ...     raise NoValueError("expected a value, found none")
    >>> with warnings.catch_warnings(record=True) as found:
    ...     warnings.simplefilter("always")
    ...     list(drawn([("trend", nothing)])), str(found[0].message)
    ([], 'the figure trend is left out, it has no finite values: expected a value, found none')
    """
    for name, draw in drawings:
        try:
            figure = draw()
        except NoValueError as error:
            warnings.warn(
                f"the figure {name} is left out, it has no finite values: {error}", stacklevel=2
            )
            continue
        yield name, figure
