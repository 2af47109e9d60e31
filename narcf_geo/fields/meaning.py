"""What kind of variable a field is, and so what may be done with its values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from narcf_geo.core.errors import UnitError
from narcf_geo.core.methods import Kind
from narcf_geo.core.units import parse
from narcf_geo.fields.values import NODATA

MOST_CLASSES = 256
"""Numbers of more values than this are no classes."""

_NO_UNIT = ("", "1", "-", "unitless", "dimensionless", "none", "n/a")
_PEOPLE = ("people", "persons", "person", "inhabitants", "individuals", "capita", "heads")
_COUNTS = ("count", "counts", "number", "numbers", "no.", "#")
PER_CELL = re.compile(
    r"(?:/\s*|\bper[ _])(?:grid[ _-]?)?(?:cell|pixel|box)\b"
    r"|\b(?:grid[ _-]?)?(?:cell|pixel|box)\s*(?:\^|\*\*)?\s*-\s*1\b",
    re.IGNORECASE,
)
"""What a unit for each cell of a grid has in it."""

_EQUIVALENT = re.compile(r"(?<=CO2)[ _-]?eq?(?:uiv(?:alents?)?)?\b\.?", re.IGNORECASE)
_COUNTED = re.compile(
    r"(?<![a-z])(counts?|numbers?|num|n_?obs|observations?|pop(ulation)?|people|samples)(?![a-z])"
)
_TURNING = re.compile(
    r"(?<![a-z])((?:wind|wave|flow)?direction|azimuth|aspect|bearing|heading|wdir|wind_?dir)(?![a-z])"
)
_DEGREES = re.compile(
    r"(?:°|deg(?:ree)?s?)(?:[ _]?(?:t|true|north|from[ _]north))?|rad(?:ian)?s?", re.IGNORECASE
)
_AREA_NAMES = ("cell_area", "areacella", "areacello", "gridarea", "grid_area", "area")
_AREA = r"\b(?:area|lat: lon|lon: lat|latitude: longitude|longitude: latitude|y: x|x: y)\s*:\s*"
_SUMMED, _AVERAGED, _TYPICAL = (
    re.compile(rf"{_AREA}(?:\w+:\s*)*{how}\b") for how in ("sum", "mean", "mode")
)


@dataclass(frozen=True)
class Meaning:
    """What kind of variable a field is.

    Attributes
    ----------
    kind : str
        - ``intensive``: a value at each place, per area or without an area; its mean is taken;
        - ``extensive``: an amount in each cell; amounts are added up;
        - ``categorical``: class numbers; the majority, or the share of each class;
        - ``cell_area``: the area of the cells themselves, a property of the grid;
        - ``direction``: an angle in which 359 and 1 degree are neighbours;
        - ``flags``: bits with a meaning each;
        - ``unclear``: integers that may be classes, counts or measures.
    because : str
        What it was recognised by.
    stated : bool
        False where the type of the numbers alone tells it.
    """

    kind: Kind
    because: str
    stated: bool = True


def meaning_of(field: xr.DataArray, measures: Iterable[str] = ()) -> Meaning:
    """Return what kind of variable a field is, by its attributes and its type.

    No values are read. What a file states (``flag_values``, ``flag_masks``, ``cell_methods``,
    ``standard_name``, ``units``) counts before the type of the numbers.

    Parameters
    ----------
    field : xarray.DataArray
        Decoded, or as it lies in the file.
    measures : iterable of str
        Names of the variables that others call the area of their cells; see `area_measures`.

    Returns
    -------
    Meaning

    Examples
    --------
    >>> def kind(dtype, **attrs):
    ...     return meaning_of(xr.DataArray(np.zeros(2, dtype), name="v", attrs=attrs)).kind
    >>> kind("f4", units="K"), kind("f4", units="kg"), kind("f4", units="kg m-2")
    ('intensive', 'extensive', 'intensive')
    >>> kind("u1"), kind("i4"), kind("i2", units="K"), kind("f4", flag_values=[1, 2])
    ('categorical', 'unclear', 'intensive', 'categorical')
    >>> kind("i4", flag_masks=[1, 2, 4]), kind("f4", standard_name="cell_area", units="m2")
    ('flags', 'cell_area')
    """
    attrs = field.attrs
    units = str(attrs.get("units", "")).strip()
    standard = str(attrs.get("standard_name", "")).split(" ")[0]
    methods = str(attrs.get("cell_methods", ""))
    if "flag_masks" in attrs:
        return Meaning("flags", "flag_masks")
    if "flag_values" in attrs or "flag_meanings" in attrs:
        return Meaning("categorical", "flag_values")
    if attrs.get("color_interpretation") == "palette":
        return Meaning("categorical", "its colour table")
    if _TYPICAL.search(methods):
        return Meaning("categorical", f"cell_methods {methods!r}")
    if field.dtype.kind == "b" or standard.endswith("_binary_mask"):
        return Meaning("intensive", "a mask, whose mean is a fraction")
    if (found := _area(field, units, standard, measures)) is not None:
        return found
    if _AVERAGED.search(methods):
        return Meaning("intensive", "cell_methods 'area: mean'")
    if _SUMMED.search(methods):
        return Meaning("extensive", "cell_methods 'area: sum'")
    if _DEGREES.fullmatch(units) and (word := _turning(field, standard)):
        return Meaning("direction", f"{word!r} in degrees")
    if amount := _amount(units):
        return Meaning("extensive", f"units {amount!r}, an amount per cell")
    return _of_type(field, units)


def with_quantity(meaning: Meaning, quantity: str | None) -> Meaning:
    """Return a meaning as a quantity asked for all variables has it.

    What a file states to be classes, flags, directions or areas of cells stays that.

    Examples
    --------
    >>> with_quantity(Meaning("unclear", "int32 numbers"), "total").kind
    'extensive'
    >>> with_quantity(Meaning("direction", "'aspect' in degrees"), "mean").kind
    'direction'
    """
    stated = meaning.kind == "categorical" and meaning.stated
    if quantity is None or stated or meaning.kind in ("flags", "direction", "cell_area"):
        return meaning
    kind: Kind = "extensive" if quantity == "total" else "intensive"
    return replace(meaning, kind=kind, because=f"quantity {quantity!r}")


def area_measures(ds: xr.Dataset) -> set[str]:
    """Return the names of the variables that others name as the area of their cells.

    Examples
    --------
    >>> tas = xr.DataArray(0.0, attrs={"cell_measures": "area: areacella volume: volcello"})
    >>> area_measures(xr.Dataset({"tas": tas}))
    {'areacella'}
    """
    named = set()
    for variable in ds.variables.values():
        for where in (variable.attrs, variable.encoding):
            named |= set(re.findall(r"\barea\s*:\s*(\S+)", str(where.get("cell_measures", ""))))
    return named


def is_packed(field: xr.DataArray) -> bool:
    """Tell whether the stored integers of a field are scaled to its values.

    Examples
    --------
    >>> field = xr.DataArray([0.5])
    >>> field.encoding = {"dtype": "int16", "scale_factor": 0.01}
    >>> is_packed(field)
    True
    """
    neutral = {"scale_factor": 1.0, "scales": 1.0, "add_offset": 0.0, "offsets": 0.0}
    return any(
        np.any(np.asarray(where[key]) != value)
        for where in (field.encoding, field.attrs)
        for key, value in neutral.items()
        if key in where
    )


def stored_dtype(field: xr.DataArray) -> np.dtype:
    """Return the dtype that a field has in its file: missing values make integers floats."""
    return np.dtype(field.encoding.get("dtype") or field.dtype)


def nodata_classes(field: xr.DataArray) -> list[float]:
    """Return the numbers that are no class of a categorical field.

    Examples
    --------
    >>> cover = xr.DataArray([1, 255], attrs={"_FillValue": 255})
    >>> nodata_classes(cover)
    [255.0, -1.0]
    """
    found = [
        float(value)
        for key in ("_FillValue", "missing_value")
        if key in field.attrs
        for value in np.atleast_1d(field.attrs[key])
    ]
    named = np.atleast_1d(field.attrs.get("flag_values", []))
    return found if NODATA in named else [*found, float(NODATA)]


def _area(
    field: xr.DataArray, units: str, standard: str, measures: Iterable[str]
) -> Meaning | None:
    """Recognise areas: of the cells, or of something in them (lakes, burned land)."""
    named = standard == "cell_area" or str(field.name) in set(measures)
    try:
        powers = _powers(units)
    except UnitError:
        return None
    if powers != {"[length]": 2} and not (named and not units):
        return None
    if named or (standard in ("", "area") and str(field.name).lower() in _AREA_NAMES):
        return Meaning("cell_area", "the area of the cells")
    return Meaning("extensive", f"units {units!r}, an area in each cell")


def _turning(field: xr.DataArray, standard: str) -> str:
    for text in (standard, str(field.name), str(field.attrs.get("long_name", ""))):
        if found := _TURNING.search(text.lower()):
            return found[0]
    return ""


def _amount(units: str) -> str:
    """Return the units where they are those of an amount in a cell, else nothing."""
    if units.lower() in _PEOPLE or PER_CELL.search(units):
        return units
    plain = _EQUIVALENT.sub("", units)
    try:
        read, powers = parse(plain), _powers(plain)
    except UnitError:
        return ""
    if read.per_cell:
        return units
    time = powers.pop("[time]", 0)
    # kg and mol, and these per time; m3; J and W.
    amounts = [({"[mass]": 1}, (0, -1)), ({"[substance]": 1}, (0, -1)), ({"[length]": 3}, (0,))]
    energies = ({"[mass]": 1, "[length]": 2}, (-2, -3))
    return units if any(powers == p and time in t for p, t in (*amounts, energies)) else ""


def _powers(units: str) -> dict[str, int]:
    return {str(k): v for k, v in parse(units).unit.dimensionality.items()}


def _is_discharge(units: str) -> bool:
    """Tell whether a unit is one of a volume per time, as that of a river."""
    try:
        return _powers(units) == {"[length]": 3, "[time]": -1}
    except UnitError:
        return False


def _of_type(field: xr.DataArray, units: str) -> Meaning:
    """Recognise a field that states nothing else by the type of its numbers."""
    stored = stored_dtype(field)
    if units.lower() in _COUNTS:
        return Meaning("unclear", f"units {units!r}: a number in each cell, or per area?")
    if _is_discharge(units):
        return Meaning("unclear", f"units {units!r}: made in each cell, or passing through it?")
    if units.lower() not in _NO_UNIT:
        return Meaning("intensive", f"units {units!r}")
    names = f"{field.name} {field.attrs.get('long_name', '')}".lower()
    counted = _COUNTED.search(names)
    if counted and not re.search("density|fraction|percent|index|share", names):
        return Meaning("unclear", f"{counted[0]!r} without a unit: in each cell, or per area?")
    if stored.kind not in "iu" or is_packed(field):
        return Meaning("intensive", f"units {units!r}" if units else "numbers without a unit")
    if stored.itemsize == 1 and units == "":
        return Meaning("categorical", f"{stored} numbers without a unit", stated=False)
    what = "without a unit" if units == "" else f"of units {units!r}"
    return Meaning("unclear", f"{stored} numbers {what}: classes, counts or a measure?")
