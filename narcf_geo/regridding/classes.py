"""Class numbers: which there are, and how their results are described and stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.core.errors import FieldError
from narcf_geo.fields.meaning import MOST_CLASSES, stored_dtype

OF_CLASSES = ("flag_values", "flag_meanings", "flag_masks", "color_interpretation")
"""Attributes of class numbers that their fractions do not have."""


def found_classes(array: xr.DataArray, data: Any) -> tuple[float, ...]:
    """Return the classes of a field: those it names, or else those that occur in it.

    Parameters
    ----------
    array : xarray.DataArray
        With ``flag_values`` where it names them.
    data : numpy.ndarray or dask.array.Array
        Its values, NaN for nodata; read when the classes are not named.

    Raises
    ------
    FieldError
        When there are more than 256, or they are no whole numbers.
    """
    if "flag_values" in array.attrs:
        return tuple(sorted({float(v) for v in np.atleast_1d(array.attrs["flag_values"])}))
    present = _present(data)
    if present.size > MOST_CLASSES or (present != np.floor(present)).any():
        raise FieldError(
            f"{array.name!r}: expected up to {MOST_CLASSES} classes as whole numbers, found "
            f"{present.size} values from {present[0]:g} to {present[-1]:g}"
        )
    return tuple(present.tolist())


def _present(data: Any) -> np.ndarray:
    if isinstance(data, np.ndarray):
        return _unique(data)
    import dask

    parts = dask.compute(*(dask.delayed(_unique)(block) for block in data.to_delayed().ravel()))
    return np.unique(np.concatenate(parts))


def _unique(block: np.ndarray) -> np.ndarray:
    found = np.unique(block).astype("float64")
    # One more than allowed is enough to be refused.
    return found[~np.isnan(found)][: MOST_CLASSES + 1]


def class_encoding(array: xr.DataArray) -> dict[str, Any]:
    """Return the encoding with which class numbers, floats in memory, are integers in a file.

    Examples
    --------
    >>> class_encoding(xr.DataArray(np.array([1, 2], "uint8")))
    {'dtype': dtype('int16'), '_FillValue': -32768}
    """
    dtype = stored_dtype(array)
    if dtype.kind not in "iu":
        return {}
    fill = array.encoding.get("_FillValue", array.attrs.get("_FillValue"))
    if fill is not None and np.isfinite(fill) and int(fill) == fill:
        info = np.iinfo(dtype)
        if info.min <= fill <= info.max:
            return {"dtype": dtype.newbyteorder("="), "_FillValue": int(fill)}
    # Every number of the type may be a class: a wider one has room for what is missing.
    wider = np.dtype({1: "int16", 2: "int32"}.get(dtype.itemsize, "int64"))
    return {"dtype": wider, "_FillValue": int(np.iinfo(wider).min)}


def class_coords(name: str, classes: tuple[float, ...], attrs: dict) -> dict[str, xr.Variable]:
    """Return the coordinate of the classes of a variable, and their names where it has any."""
    dim = f"{name}_class"
    numbers = np.array(classes)
    whole = numbers.astype("int32")
    if (whole == numbers).all():
        numbers = whole
    coords = {dim: xr.Variable(dim, numbers, {"long_name": f"class of {name}"})}
    meanings = str(attrs.get("flag_meanings", "")).split()
    values = np.atleast_1d(attrs.get("flag_values", [])).tolist()
    if meanings and len(meanings) == len(values):
        of_value = dict(zip(map(float, values), meanings, strict=True))
        labels = [of_value.get(c, "") for c in classes]
        coords[f"{dim}_name"] = xr.Variable(dim, labels, {"long_name": f"name of class of {name}"})
    return coords


def fraction_attrs(attrs: dict, name: str) -> dict:
    """Return the attributes of class fractions from those of the classes."""
    kept = {k: v for k, v in attrs.items() if k not in (*OF_CLASSES, "standard_name")}
    of = attrs.get("long_name", name)
    return {
        **kept,
        "standard_name": "area_fraction",
        "long_name": f"area fraction of each class of {of}",
        "units": "1",
    }
