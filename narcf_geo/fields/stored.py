"""Values for the numbers of variables as they lie in a file, by their attributes."""

from __future__ import annotations

import numpy as np
import xarray as xr

PACKING = ("_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned")
"""Attributes that numbers have as they lie in a file, and their values have no longer."""


def unpacked(ds: xr.Dataset) -> xr.Dataset:
    """Return `ds` with the values of variables that are as they lie in a file, by CF 8.1."""
    raw = [n for n, v in ds.data_vars.items() if set(PACKING) & set(v.attrs)]
    raw = [n for n in raw if ds[n].dtype.kind in "fiu"]
    if not raw:
        return ds
    # Without the encoding, which may be that of an earlier file.
    plain = xr.Dataset({n: (ds[n].dims, ds[n].data, ds[n].attrs) for n in raw})
    decoded = xr.decode_cf(plain, decode_times=False, decode_coords=False, decode_timedelta=False)
    found = {n: decoded[n].variable for n in raw}
    for name, variable in found.items():
        variable.encoding = {**ds[name].encoding, **variable.encoding}
    return ds.assign(found)


def valid_only(ds: xr.Dataset) -> xr.Dataset:
    """Return `ds` with NaN for what the attributes of a variable call invalid.

    ``valid_range``, ``valid_min`` and ``valid_max`` are in the unit of the packed values (CF
    2.5.1).
    """
    found = {}
    for name, array in ds.data_vars.items():
        limits = _limits(array)
        if limits is None or array.dtype.kind not in "fiu":
            continue
        low, high = limits
        attrs = {k: v for k, v in array.attrs.items() if not k.startswith("valid_")}
        encoding = array.encoding
        found[name] = array.where((array >= low) & (array <= high))
        found[name].attrs, found[name].encoding = attrs, encoding
    return ds.assign(found)


def _limits(array: xr.DataArray) -> tuple[float, float] | None:
    attrs = array.attrs
    try:
        low, high = attrs.get("valid_range", (-np.inf, np.inf))
        ends = float(attrs.get("valid_min", low)), float(attrs.get("valid_max", high))
    except (TypeError, ValueError):
        return None
    if ends == (-np.inf, np.inf):
        return None
    scale = float(array.encoding.get("scale_factor", 1.0))
    offset = float(array.encoding.get("add_offset", 0.0))
    low, high = sorted(end * scale + offset for end in ends)
    # The rounding of unpacked values must not throw out the ends.
    margin = 1e-6 * max(abs(v) for v in (low, high) if np.isfinite(v))
    return low - margin, high + margin
