"""What the values of a field are: quantities, amounts of a cell, or classes."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import xarray as xr

from narcf_geo.core.errors import FieldError
from narcf_geo.fields.meaning import (
    MOST_CLASSES,
    PER_CELL,
    meaning_of,
    nodata_classes,
    stored_dtype,
    with_quantity,
)

Kind = Literal["mean", "total", "classes", "neither"]
"""A mean over each cell, as most fields are; a total of each cell; a class; or what has no mean and
no total here."""

_PER_M2 = re.compile(r"(?:\bm(?:\^|\*\*)?-2\b|/\s?m(?:\^|\*\*)?2\b)")


def kind_of(
    field: xr.DataArray, quantity: Literal["mean", "total"] | None = None
) -> tuple[Kind, str]:
    """Return what the values of a field are, and by what that is known.

    By `narcf_geo.fields.meaning.meaning_of`. Integers of which it is unclear what they are, and
    numbers of bit flags, are taken as classes: their shares are right whatever they mean.

    Parameters
    ----------
    field : xarray.DataArray
    quantity : {"mean", "total"}, optional
        What was asked for of all fields.

    Examples
    --------
    >>> for unit in ("K", "kg cell-1", "km2", "count"):
    ...     print(kind_of(xr.DataArray(1.0, attrs={"units": unit}))[0])
    mean
    total
    total
    neither
    >>> kind_of(xr.DataArray(1, attrs={"flag_values": [0, 1], "flag_meanings": "sea land"}))[0]
    'classes'
    """
    meaning = with_quantity(meaning_of(field), quantity)
    if meaning.kind in ("categorical", "flags") or (
        meaning.kind == "unclear" and stored_dtype(field).kind in "iu"
    ):
        return "classes", meaning.because
    if meaning.kind == "direction":
        return "neither", f"{meaning.because} is a direction, and 359 and 1 degree are neighbours"
    if meaning.kind == "unclear":
        say = "say quantity 'mean' or 'total' (--quantity)"
        return "neither", f"{meaning.because.rstrip('?')} is not stated; {say}"
    return "total" if meaning.kind in ("extensive", "cell_area") else "mean", meaning.because


def missing_of(field: xr.DataArray, kind: Kind) -> list[float]:
    """Return the numbers that stand for no value."""
    if kind == "classes":
        return nodata_classes(field)
    missing = [field.attrs[k] for k in ("_FillValue", "missing_value") if k in field.attrs]
    return [float(v) for value in missing for v in np.atleast_1d(value)]


def class_columns(field: xr.DataArray, classes: list[float]) -> list[str]:
    """Return the name of the column of each class: its number, and its name where the file has one.

    Raises
    ------
    FieldError
        When the values are no classes.

    Examples
    --------
    >>> cover = xr.DataArray(0, attrs={"flag_values": [1, 5], "flag_meanings": "forest open_land"})
    >>> class_columns(cover, [1.0, 3.0, 5.0])
    ['fraction_1_forest', 'fraction_3', 'fraction_5_open_land']
    """
    found = np.array(classes)
    if found.size > MOST_CLASSES or (found != np.floor(found)).any():
        raise FieldError(
            f"{field.name!r}: expected up to {MOST_CLASSES} classes as whole numbers, found "
            f"{found.size} values from {found.min():g} to {found.max():g}; for a quantity set "
            "attrs['units'] (--units), or pass statistics"
        )
    values = np.atleast_1d(field.attrs.get("flag_values", []))
    said = field.attrs.get("flag_meanings", "")
    names = said.split() if isinstance(said, str) else [str(name) for name in said]
    if len(names) != len(values):
        names = []
    meanings = {float(v): re.sub(r"\W+", "_", n) for v, n in zip(values, names, strict=False)}
    return [f"fraction_{int(c)}" + (f"_{meanings[c]}" if c in meanings else "") for c in classes]


def times_m2(units: str) -> str:
    """Return the unit of values times m2.

    Examples
    --------
    >>> times_m2("umol m-2 s-1"), times_m2("W/m^2"), times_m2("K"), times_m2("1")
    ('umol s-1', 'W', 'K m2', 'm2')
    """
    plain = units.strip()
    if _PER_M2.search(plain):
        return " ".join(_PER_M2.sub("", plain, count=1).split()) or "1"
    return f"{plain} m2" if plain not in ("1", "-") else "m2"


def without_cell(units: str) -> str:
    """Return the unit of a sum over cells.

    Examples
    --------
    >>> without_cell("Tg C month-1 cell-1"), without_cell("km2"), without_cell("people per pixel")
    ('Tg C month-1', 'km2', 'people')
    """
    return " ".join(PER_CELL.sub("", units).split()) or "1"
