"""The methods of regridding in one table, which help, documentation and errors are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from narcf_geo.core.errors import UsageError
from narcf_geo.core.plain import did_you_mean

Kind = Literal[
    "intensive", "extensive", "categorical", "cell_area", "direction", "flags", "unclear"
]
"""What kind of variable a field is; see `narcf_geo.fields.meaning.Meaning`."""

Engine = Literal["weights", "statistic", "fractions", "gradients"]
"""What computes a method: a weighted sum, a statistic or the class shares of the source cells in
a target cell, or a weighted sum of reconstructed slopes."""

_MEASURES: frozenset[Kind] = frozenset({"intensive"})
_AMOUNTS: frozenset[Kind] = frozenset({"intensive", "extensive"})
_CLASSES: frozenset[Kind] = frozenset({"categorical", "unclear"})
_ORDERED: frozenset[Kind] = frozenset({"intensive", "extensive", "unclear"})
_ANGLES: frozenset[Kind] = frozenset({"direction"})
_PICKED: frozenset[Kind] = frozenset({"intensive", "categorical", "direction", "flags", "unclear"})


@dataclass(frozen=True)
class Method:
    """A way to give a target cell its value.

    Attributes
    ----------
    name : str
    summary : str
        What the value of a target cell is, in a line.
    kinds : frozenset of str
        The kinds of variables it is for; see `narcf_geo.fields.meaning.Meaning`.
    engine : str
        What computes it.
    weights : str
        The weights it needs, by the name that `compute_weights` takes.
    cell_method : str
        What it is called in CF ``cell_methods``; empty for none.
    """

    name: str
    summary: str
    kinds: frozenset[Kind]
    engine: Engine = "weights"
    weights: str = "conservative"
    cell_method: str = ""


_ALL = (
    Method(
        "conservative",
        "mean over the cell by overlap areas; totals are kept",
        _AMOUNTS,
        cell_method="mean",
    ),
    Method(
        "conservative2",
        "the same of a field that slopes within source cells (second order)",
        _MEASURES,
        "gradients",
        weights="conservative2",
        cell_method="mean",
    ),
    Method(
        "majority",
        "class with the largest area; the lowest of equal ones",
        _CLASSES | _MEASURES | {"flags"},
        "statistic",
        cell_method="mode",
    ),
    Method("fractions", "area fraction of each class", _CLASSES, "fractions", cell_method="mean"),
    Method("min", "smallest value in the cell", _ORDERED, "statistic", cell_method="minimum"),
    Method("max", "largest value in the cell", _ORDERED, "statistic", cell_method="maximum"),
    Method(
        "std",
        "standard deviation within the cell, by area",
        _ORDERED,
        "statistic",
        cell_method="standard_deviation",
    ),
    Method("percentile", "value below which q percent of the area lie", _ORDERED, "statistic"),
    Method(
        "circular_mean",
        "direction of the mean of unit vectors",
        _ANGLES,
        "statistic",
        cell_method="mean",
    ),
    Method("bilinear", "interpolated between cell centres", _MEASURES, weights="bilinear"),
    Method("nearest_s2d", "value of the nearest source cell", _PICKED, weights="nearest_s2d"),
    Method(
        "nearest_d2s",
        "mean of the source cells to which the cell is the nearest",
        _MEASURES,
        weights="nearest_d2s",
    ),
)

METHODS: Mapping[str, Method] = {method.name: method for method in _ALL}
"""Every method by its name, the default of measures and amounts first."""

OF_KINDS: Mapping[Kind, str] = {
    "intensive": "conservative",
    "extensive": "conservative",
    "categorical": "majority",
    "direction": "circular_mean",
}
"""The method that follows from the kind of a variable."""


def method_named(name: str) -> Method:
    """Return a method.

    Raises
    ------
    UsageError
        When there is none of this name; lists them all.

    Examples
    --------
    >>> method_named("majority").summary
    'class with the largest area; the lowest of equal ones'
    """
    if name in METHODS:
        return METHODS[name]
    near = did_you_mean(str(name), METHODS)
    raise UsageError(
        f"expected a regridding method among {', '.join(METHODS)}, found {name!r}{near}"
    )


def table() -> str:
    """Return the methods and what they are, a line each: for help and documentation.

    Examples
    --------
    >>> print(table().splitlines()[0])
    conservative   mean over the cell by overlap areas; totals are kept
    """
    width = max(map(len, METHODS)) + 2
    return "\n".join(f"{m.name:<{width}}{m.summary}" for m in METHODS.values())
