"""What may be asked of a regridding, as one value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import numpy as np
import xarray as xr

from narcf_geo.core.errors import UsageError
from narcf_geo.core.methods import method_named
from narcf_geo.grid.sphere import EdgeKind, require_edges

Quantity = Literal["mean", "total"]
ByName = str | Mapping[str, str]
"""One for all variables, or one each by name; ``*`` names all others."""

Mask = xr.DataArray | np.ndarray


class RegridOptions(TypedDict, total=False):
    """The options that `regrid` and `regrid_file` share; see `regrid`."""

    method: ByName | None
    quantity: ByName | None
    categorical: Iterable[str]
    min_coverage: float
    percentile: float | None
    source_mask: Mask | None
    target_mask: Mask | None
    max_distance: float | None
    extrapolate: Literal["nearest"] | None
    edges: EdgeKind


@dataclass(frozen=True, eq=False)
class Options:
    """The options of `regrid`, checked.

    Raises
    ------
    UsageError
        For a method or a quantity that there is none of, and numbers out of range.
    """

    method: ByName | None = None
    quantity: ByName | None = None
    categorical: Iterable[str] = ()
    min_coverage: float = 0.5
    percentile: float | None = None
    source_mask: Mask | None = None
    target_mask: Mask | None = None
    max_distance: float | None = None
    extrapolate: Literal["nearest"] | None = None
    edges: EdgeKind = "parallels"

    def __post_init__(self) -> None:
        if isinstance(self.categorical, str):
            object.__setattr__(self, "categorical", (self.categorical,))
        object.__setattr__(self, "categorical", frozenset(self.categorical))
        require_edges(self.edges)
        methods = {name: method_named(name) for name in _values(self.method)}
        for quantity in _values(self.quantity):
            if quantity not in ("mean", "total"):
                raise UsageError(f"expected quantity 'mean' or 'total', found {quantity!r}")
        if not 0 <= self.min_coverage <= 1:
            raise UsageError(f"expected min_coverage within 0..1, found {self.min_coverage}")
        if "percentile" in methods and self.percentile is None:
            raise UsageError("expected percentile=, a number of 0..100, for method 'percentile'")
        if self.percentile is not None and not 0 <= self.percentile <= 100:
            raise UsageError(f"expected a percentile within 0..100, found {self.percentile}")
        if self.percentile is not None and "percentile" not in methods:
            raise UsageError(f"percentile={self.percentile:g} needs method='percentile'")
        if self.max_distance is not None and not self.max_distance > 0:
            raise UsageError(f"expected max_distance above 0 km, found {self.max_distance}")
        if self.extrapolate not in (None, "nearest"):
            raise UsageError(f"expected extrapolate 'nearest' or None, found {self.extrapolate!r}")
        near = any(m.name.startswith("nearest") for m in methods.values())
        if self.max_distance is not None and not near and self.extrapolate is None:
            raise UsageError(
                "max_distance limits nearest neighbours: it needs method 'nearest_s2d' or "
                "'nearest_d2s', or extrapolate='nearest'"
            )

    def named(self, which: Literal["method", "quantity"], name: str) -> str | None:
        """Return what was asked for one variable by its name."""
        value = getattr(self, which)
        return value.get(name) if isinstance(value, Mapping) else None

    def common(self, which: Literal["method", "quantity"]) -> str | None:
        """Return what was asked for all variables, or for those not named."""
        value = getattr(self, which)
        return value.get("*") if isinstance(value, Mapping) else value

    def names(self) -> set[str]:
        """Return the names of variables that the options name."""
        given: list[Any] = [self.method, self.quantity]
        named = {n for value in given if isinstance(value, Mapping) for n in value}
        return (named | set(self.categorical)) - {"*"}


def _values(given: ByName | None) -> list[str]:
    if given is None:
        return []
    return list(given.values()) if isinstance(given, Mapping) else [given]
