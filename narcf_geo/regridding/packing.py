"""How numbers are stored: as floats, as classes, or packed into integers with scale and offset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from narcf_geo.core.errors import NarcfError, UsageError

DTYPES = ("float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32")
"""What may be written: by netCDF, Zarr and GDAL alike."""


def dtype_of(text: str | None) -> np.dtype | None:
    """Return the dtype that a text names.

    Raises
    ------
    UsageError
        When it is none that can be written to every format.

    Examples
    --------
    >>> dtype_of("int16")
    dtype('int16')
    """
    if text is None:
        return None
    name = str(np.dtype(text)) if _is_dtype(text) else str(text)
    if name not in DTYPES:
        raise UsageError(f"dtype: expected one of {', '.join(DTYPES)}, found {text!r}")
    return np.dtype(name)


def _is_dtype(text: object) -> bool:
    try:
        np.dtype(text)  # type: ignore[call-overload]
    except TypeError:
        return False
    return True


@dataclass(frozen=True)
class Packing:
    """How the values of a variable are stored.

    A stored number n stands for n x `scale` + `offset`; `fill` stands for a missing value.

    Attributes
    ----------
    dtype : numpy.dtype
    scale, offset : float
    fill : int or float
    """

    dtype: np.dtype
    scale: float = 1.0
    offset: float = 0.0
    fill: float = float("nan")

    @classmethod
    def plain(cls, dtype: np.dtype) -> Packing:
        """Return how floats are stored, or whole numbers as they are.

        Examples
        --------
        >>> Packing.plain(np.dtype("int16")).fill
        -32768
        """
        return cls(dtype, fill=float("nan") if dtype.kind == "f" else _fill(dtype))

    @classmethod
    def of_source(cls, encoding: Mapping[str, Any], dtype: np.dtype) -> Packing | None:
        """Return the packing of a source, if it is one into this dtype.

        Examples
        --------
        >>> packed = {"dtype": np.dtype("i2"), "scale_factor": 0.02, "_FillValue": 0}
        >>> Packing.of_source(packed, np.dtype("i2")).scale
        0.02
        """
        scaled = "scale_factor" in encoding or "add_offset" in encoding
        if not scaled or dtype.kind not in "iu" or encoding.get("dtype") != dtype:
            return None
        scale = float(encoding.get("scale_factor", 1.0))
        fill = encoding.get("_FillValue", encoding.get("missing_value", _fill(dtype)))
        fill = np.ravel(np.asarray(fill))[0]
        if not np.isfinite(fill) or fill != np.rint(fill) or not _holds(dtype, fill, fill):
            fill = _fill(dtype)
        return cls(dtype, scale, float(encoding.get("add_offset", 0.0)), int(fill))

    @classmethod
    def of_range(cls, low: float, high: float, dtype: np.dtype) -> Packing:
        """Return a packing into integers that holds all values from `low` to `high`.

        The scale is a power of two and the offset a multiple of it, so that readers which unpack
        in single precision get the same values. One number, the lowest or the highest, is kept for
        missing values.

        Examples
        --------
        >>> packing = Packing.of_range(250.0, 310.0, np.dtype("int16"))
        >>> values = np.array([250.0, 277.7, 310.0])
        >>> error = np.abs(packing.unpack(packing.pack(values)) - values).max()
        >>> bool(error <= packing.scale / 2)
        True
        """
        if not (np.isfinite(low) and np.isfinite(high)):
            return cls.plain(dtype)
        fill = _fill(dtype)
        info = np.iinfo(dtype)
        first, last = (info.min + 1, info.max) if fill == info.min else (info.min, info.max - 1)
        if low == high:
            return cls(dtype, 1.0, low, fill)
        finest = float(np.spacing(max(abs(low), abs(high))))
        scale = 2.0 ** np.ceil(np.log2(max((high - low) / (last - first), finest)))
        while True:
            middle = (low + high) / 2 - (first + last) / 2 * scale
            offset = float(np.rint(middle / scale) * scale)
            if low - offset >= first * scale and high - offset <= last * scale:
                return cls(dtype, float(scale), offset, fill)
            scale *= 2

    @property
    def is_scaled(self) -> bool:
        """Whether scale and offset are to be written."""
        return (self.scale, self.offset) != (1.0, 0.0)

    def pack(self, values: np.ndarray, where: str = "") -> np.ndarray:
        """Return values as they are stored.

        Raises
        ------
        NarcfError
            When a value is beyond what the dtype holds.
        """
        values = np.asarray(values)
        if self.dtype.kind == "f":
            with np.errstate(over="ignore"):
                packed = values.astype(self.dtype, copy=False)
            if values.dtype.itemsize > self.dtype.itemsize and values.dtype.kind == "f":
                self._require(np.isfinite(packed) | ~np.isfinite(values), values, where)
            return packed
        numbers = values.astype("float64", copy=False)
        missing = np.isnan(numbers)
        if self.is_scaled:
            numbers = (numbers - self.offset) / self.scale
        numbers = np.rint(np.where(missing, 0, numbers))
        info = np.iinfo(self.dtype)
        fits = (numbers >= info.min) & (numbers <= info.max) & (numbers != self.fill)
        self._require(fits | missing, values, where)
        if not self.is_scaled and values.dtype.kind == "f":
            self._require(missing | (numbers == values), values, where)
        return np.where(missing, self.fill, numbers).astype(self.dtype)

    def unpack(self, stored: np.ndarray) -> np.ndarray:
        """Return the values of stored numbers, float64."""
        values = stored * self.scale + self.offset
        return np.where(stored == self.fill, np.nan, values)

    def _require(self, fits: np.ndarray, values: np.ndarray, where: str) -> None:
        if not fits.all():
            worst = values[~fits].ravel()[0]
            low, high = self._limits()
            raise NarcfError(
                f"{where}: expected values that {self.dtype} holds with scale {self.scale:g} and "
                f"offset {self.offset:g} ({low:g} to {high:g}, {self.fill:g} being missing), found "
                f"{worst:g}; write another --dtype, such as float32"
            )

    def _limits(self) -> tuple[float, float]:
        info: Any = np.finfo(self.dtype) if self.dtype.kind == "f" else np.iinfo(self.dtype)
        ends = sorted(float(end) * self.scale + self.offset for end in (info.min, info.max))
        return ends[0], ends[1]


def _fill(dtype: np.dtype) -> int:
    info = np.iinfo(dtype)
    return int(info.min if dtype.kind == "i" else info.max)


def _holds(dtype: np.dtype, low: float, high: float) -> bool:
    info = np.iinfo(dtype)
    return bool(info.min <= low and high <= info.max)
