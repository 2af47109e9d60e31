"""What is seen of the values of a field, block by block: their range, and those that are odd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any, Literal

import numpy as np
import xarray as xr

from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.units import linear
from narcf_geo.core.variables import VARIABLES
from narcf_geo.fields.values import NODATA

Fault = Literal["infinite", "marker", "beyond", "no class"]

MARKERS = (
    *(-9999.0, -999.0, -99.0, -9999.9, -999.9, -99.9, -99.99, -8888.0, -32768.0, -32767.0),
    *(-99999.0, 1e20, 9.999e20, 9.96921e36, 1e15, 1e30, 1e31, 1e33, 1e34, 1e35, 1e36),
    *(-3.4028235e38, 3.4028235e38, -1e15, -1e20, -1e30, -1e34, -9e33),
    *(999.0, 9999.0, 99999.0, 32767.0, 65535.0),
)
"""Numbers that files often have where there is no value, the likelier before the others."""

_CLOSE = 1e-5
"""Share of a marker within which a converted value is it."""


@dataclass(frozen=True)
class Expected:
    """What the values of a variable are held to.

    Attributes
    ----------
    low, high : float
        Ends of what is plausible, in the canonical unit; infinite where that is not known.
    markers : dict
        What the numbers of `MARKERS` in the file have become, to what they are there.
    classes : bool
        Whether they are the classes of a legend.
    """

    low: float = -np.inf
    high: float = np.inf
    markers: dict[float, float] = field(default_factory=dict)
    classes: bool = False

    @classmethod
    def of(
        cls,
        array: xr.DataArray,
        limits: tuple[float, float] | None,
        scales: Sequence[float] = (1.0,),
    ) -> Expected:
        """Return what a canonical variable is held to.

        Parameters
        ----------
        array : xarray.DataArray
            With ``units``, and in ``original_units`` those of the file.
        limits : tuple of float, optional
            What is plausible.
        scales : sequence of float
            By what its numbers in the file were multiplied first; several where that is not known.
        """
        low, high = limits or (-np.inf, np.inf)
        known = VARIABLES.get(str(array.name))
        units = str(array.attrs.get("units", ""))
        try:
            before = str(array.attrs.get("original_units", units)) or units
            factor, offset = linear(before, units, known.substance if known else None)
        except NarcfError:
            factor, offset = 1.0, 0.0
        markers: dict[float, float] = {}
        for raw in MARKERS:
            for scale in scales:
                markers.setdefault(raw * scale * factor + offset, raw)
        return cls(float(low), float(high), markers)


@dataclass(frozen=True)
class Odd:
    """Values of one fault: how many, the first of them, and between what they lie."""

    count: int
    place: tuple[int, ...]
    value: float
    low: float
    high: float

    def __add__(self, other: Odd) -> Odd:
        first = min(self, other, key=lambda odd: odd.place)
        return Odd(
            self.count + other.count,
            first.place,
            first.value,
            min(self.low, other.low),
            max(self.high, other.high),
        )


@dataclass(frozen=True)
class Seen:
    """Of a field or a part of it: its size, the range of values that are not odd, and the odd.

    The range is from infinity to minus infinity where there are none.
    """

    size: int = 0
    low: float = np.inf
    high: float = -np.inf
    odd: dict[tuple[Fault, float], Odd] = field(default_factory=dict)

    def __add__(self, other: Seen) -> Seen:
        odd = dict(self.odd)
        for key, values in other.odd.items():
            odd[key] = odd[key] + values if key in odd else values
        return Seen(
            self.size + other.size, min(self.low, other.low), max(self.high, other.high), odd
        )

    @property
    def empty(self) -> bool:
        """Whether no value is there."""
        return self.low > self.high and not self.odd


def look(array: xr.DataArray, expected: Expected) -> Any:
    """Return what is to be seen of a field: lazily, an array of one `Seen` a block, where it is.

    Computed together with what else is made of the field, no block is read a second time.
    """
    if array.chunks is None:
        return np.array([_seen(array.values, expected)], object)
    data = array.data
    return data.map_blocks(
        partial(_seen_block, expected=expected),
        dtype=object,
        chunks=tuple((1,) * n for n in data.numblocks),
        meta=np.empty((0,) * data.ndim, object),
    )


def together(seen: np.ndarray) -> Seen:
    """Return what was seen in all blocks."""
    return reduce(Seen.__add__, seen.ravel(), Seen())


def _seen_block(block: np.ndarray, expected: Expected, block_info: Any = None) -> np.ndarray:
    start = tuple(int(first) for first, _ in block_info[0]["array-location"])
    result = np.empty((1,) * block.ndim, object)
    result[(0,) * block.ndim] = _seen(block, expected, start)
    return result


def _seen(values: np.ndarray, expected: Expected, start: tuple[int, ...] = ()) -> Seen:
    if not values.size:
        return Seen()
    low, high = float(np.fmin.reduce(values, axis=None)), float(np.fmax.reduce(values, axis=None))
    if np.isnan(low):
        return Seen(values.size)
    start = start or (0,) * values.ndim
    odd: dict[tuple[Fault, float], Odd] = {}
    regular = None
    for key, mask in _faults(values, low, high, expected):
        mask &= True if regular is None else regular
        if mask.any():
            odd[key] = _odd(values, mask, start)
            regular = ~mask if regular is None else regular & ~mask
    if regular is not None:
        rest = np.where(regular, values, np.nan)
        low, high = float(np.fmin.reduce(rest, axis=None)), float(np.fmax.reduce(rest, axis=None))
        if np.isnan(low):
            low, high = np.inf, -np.inf
    return Seen(values.size, low, high, odd)


def _faults(
    values: np.ndarray, low: float, high: float, expected: Expected
) -> list[tuple[tuple[Fault, float], np.ndarray]]:
    """Return the faults that values from `low` to `high` may have, and where."""
    if expected.classes:
        if low >= NODATA and high < len(IGBP) and values.dtype.kind in "iu":
            return []
        return [(("no class", 0.0), ~is_class(values))]
    found: list[tuple[tuple[Fault, float], np.ndarray]] = []
    if np.isinf([low, high]).any():
        found.append((("infinite", 0.0), np.isinf(values)))
    finite = values if not found else values[np.isfinite(values)]
    ends = (low, high) if not found else (finite.min(), finite.max()) if finite.size else ()
    largest = float(np.finfo(values.dtype).max) if values.dtype.kind == "f" else np.inf
    for marker, raw in expected.markers.items():
        if abs(marker) > largest:  # infinite among these values
            continue
        margin = _CLOSE * abs(marker)
        if any(abs(end - marker) <= margin for end in ends):
            found.append((("marker", raw), np.abs(values - marker) <= margin))
    if low < expected.low or high > expected.high:
        found.append((("beyond", 0.0), (values < expected.low) | (values > expected.high)))
    return found


def _odd(values: np.ndarray, mask: np.ndarray, start: tuple[int, ...]) -> Odd:
    chosen = values[mask]
    first = np.unravel_index(int(mask.argmax()), mask.shape)
    place = tuple(int(i) + begin for i, begin in zip(first, start, strict=True))
    return Odd(chosen.size, place, float(values[first]), float(chosen.min()), float(chosen.max()))


def is_class(values: np.ndarray) -> np.ndarray:
    """Return where numbers are IGBP classes, or `NODATA`."""
    whole = values == np.floor(values)
    return whole & (values >= NODATA) & (values < len(IGBP))
