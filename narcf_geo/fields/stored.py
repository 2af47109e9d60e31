"""Values for the numbers of variables as they lie in a file, by their attributes."""

from __future__ import annotations

import numpy as np
import xarray as xr

from narcf_geo.core.errors import FieldError

PACKING = ("_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned")
"""Attributes that numbers have as they lie in a file, and their values have no longer."""


_VALID = {"valid_range": 2, "valid_min": 1, "valid_max": 1}
"""Attributes with the limits of valid values, and how many numbers each has."""


def require_packing(ds: xr.Dataset, where: str) -> None:
    """Refuse attributes by which no number can be unpacked.

    Parameters
    ----------
    ds : xarray.Dataset
        As it was opened.
    where : str
        The file, for an error.

    Raises
    ------
    FieldError
        When a scale or an offset is not one finite number, or a missing value is no number.
    """
    for name, variable in ds.variables.items():
        said = {**variable.attrs, **variable.encoding}
        if not variable.ndim or variable.dtype.kind not in "fiu":
            continue
        at = f"{where}: variable {name!r}"
        for key in ("scale_factor", "add_offset"):
            if key in said:
                _require_number(at, key, said[key])
        for key in ("_FillValue", "missing_value"):
            if np.asarray(said.get(key, 0)).dtype.kind not in "fiub":
                raise FieldError(
                    f"{at}: expected a number as {key}, found {said[key]!r:.80}; {_CORRECT}"
                )


_CORRECT = "correct the attribute, or delete it as with `ncatted -a NAME,VARIABLE,d,,`"


def _require_number(at: str, key: str, value: object) -> None:
    numbers = np.asarray(value)
    wrong = numbers.dtype.kind not in "fiu" or numbers.size != 1 or not np.isfinite(numbers).all()
    if wrong or (key == "scale_factor" and not numbers.any()):
        other = " other than 0" if key == "scale_factor" else ""
        raise FieldError(
            f"{at}: expected one finite number{other} as {key}, found {value!r:.80}; {_CORRECT}"
        )


def _require_numbers(array: xr.DataArray, key: str, value: object, count: int) -> None:
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "fiu" or numbers.size != count or np.isnan(numbers).any():
        what = "two numbers" if count == 2 else "a number"
        raise FieldError(
            f"variable {array.name!r}: expected {what} as {key}, found {value!r:.80}; {_CORRECT}"
        )


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
    if not any(str(key) in _VALID for key in attrs):
        return None
    for key, count in _VALID.items():
        if key in attrs:
            _require_numbers(array, key, attrs[key], count)
    low, high = np.ravel(attrs.get("valid_range", (-np.inf, np.inf)))
    ends = (
        float(np.ravel(attrs.get("valid_min", low))[0]),
        float(np.ravel(attrs.get("valid_max", high))[0]),
    )
    if ends == (-np.inf, np.inf):
        return None
    scale = float(array.encoding.get("scale_factor", 1.0))
    offset = float(array.encoding.get("add_offset", 0.0))
    low, high = sorted(end * scale + offset for end in ends)
    # The rounding of unpacked values must not throw out the ends.
    margin = 1e-6 * max(abs(v) for v in (low, high) if np.isfinite(v))
    return low - margin, high + margin
