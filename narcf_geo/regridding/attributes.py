"""What a regridded file says of itself: attributes that still hold, encodings, history."""

from __future__ import annotations

from collections.abc import Iterable

import xarray as xr

from narcf_geo.core.provenance import history

STALE = (
    "valid_range",
    "valid_min",
    "valid_max",
    "unpacked_valid_range",
    "actual_range",
    "actual_min",
    "actual_max",
    "missing_value",
    "_FillValue",
    "scale_factor",
    "add_offset",
    "_Unsigned",
    "_ChunkSizes",
    "least_significant_digit",
)
"""Attributes of the numbers of the source, which are not those of the result."""


def described(
    out: xr.Dataset, text: str, made: Iterable[str], classes: Iterable[str] = ()
) -> xr.Dataset:
    """Return the result with its history, and without what held for the source alone.

    Parameters
    ----------
    out : xarray.Dataset
    text : str
        For the history.
    made, classes : iterable of str
        The regridded variables, and those of them that are class numbers still.
    """
    before = str(out.attrs.get("history", ""))
    out = out.assign_attrs(Conventions="CF-1.11", history=history(text, [before]))
    fields, numbers = set(made), set(classes)
    for name in out.variables:
        if name in fields:
            attrs = out[name].attrs
            out[name].attrs = {
                k: v
                for k, v in attrs.items()
                if k not in STALE and (name in numbers or not str(k).startswith("flag_"))
            }
            out[name].encoding = {}
        elif out[name].variable.encoding.get("_FillValue", "") == "":
            out[name].encoding = {"_FillValue": None}
    return out


def as_stored(ds: xr.Dataset) -> xr.Dataset:
    """Return what is copied in the encoding of its file: packed numbers as they were packed."""
    kept = (
        "dtype",
        "scale_factor",
        "add_offset",
        "_FillValue",
        "missing_value",
    )
    copied = ds.copy()
    for name in copied.variables:
        encoding = {k: v for k, v in copied[name].encoding.items() if k in kept}
        if copied[name].dtype.kind not in "fiu":
            encoding = {}
        copied[name].encoding = {"_FillValue": None, **encoding}
    return copied
