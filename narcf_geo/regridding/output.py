"""Where a regridded field goes, and how it is to be stored there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from narcf_geo.core.errors import UsageError
from narcf_geo.regridding.packing import dtype_of
from narcf_geo.regridding.sinks import Compression

ValidFraction = Literal["band", "file", "none"]

KINDS = {".nc": "netcdf", ".nc4": "netcdf", ".zarr": "zarr", ".tif": "geotiff", ".tiff": "geotiff"}
"""The format of an output, by its suffix."""


@dataclass(frozen=True)
class Output:
    """Where a result goes, and how it is stored there.

    Attributes
    ----------
    path : Path
    kind : {"netcdf", "zarr", "geotiff"}
    dtype : numpy.dtype, optional
        By default that of the values.
    compression : Compression
    chunks : dict
        Size of the stored chunks by dimension, where it is not the usual one.
    valid_fraction : {"band", "file", "none"}
    """

    path: Path
    kind: str
    dtype: np.dtype | None
    compression: Compression
    chunks: dict[str, int]
    valid_fraction: ValidFraction

    @classmethod
    def of(
        cls,
        path: Path,
        dtype: str | None = None,
        compress: str | None = None,
        chunks: Mapping[str, int] | None = None,
        valid_fraction: ValidFraction | None = None,
    ) -> Output:
        """Check what is asked for.

        Raises
        ------
        UsageError
            For what a format has not.
        """
        kind = KINDS.get(path.suffix.lower())
        if kind is None:
            raise UsageError(
                f"expected an output ending in .nc, .zarr or .tif, found {path.name!r}"
            )
        fraction = valid_fraction or ("none" if kind == "geotiff" else "band")
        if fraction not in ("band", "file", "none"):
            raise UsageError(f"valid_fraction: expected band, file or none, found {fraction!r}")
        number = dtype_of(dtype)
        if kind == "zarr" and fraction == "file":
            raise UsageError(
                "valid_fraction: expected band or none for a Zarr store, where each variable has "
                "files of its own, found file"
            )
        if kind == "geotiff" and fraction == "band" and number is not None and number.kind != "f":
            raise UsageError(
                f"valid_fraction: expected file or none for a GeoTIFF of {number}, whose bands "
                "share one scale, found band"
            )
        wrong = {d: n for d, n in (chunks or {}).items() if not isinstance(n, int) or n < 1}
        if wrong:
            raise UsageError(f"chunks: expected sizes of at least 1, found {wrong}")
        return cls(path, kind, number, Compression.of(compress, kind), dict(chunks or {}), fraction)

    @property
    def fraction_path(self) -> Path:
        """The file of the valid fraction, where it has one of its own."""
        return self.path.with_name(f"{self.path.stem}_valid_fraction{self.path.suffix}")

    @property
    def beside(self) -> list[Path]:
        """What is written besides `path`."""
        return [self.fraction_path] if self.valid_fraction == "file" else []


@dataclass(frozen=True)
class Result:
    """A regridded field, lazy in the dataset to write.

    Attributes
    ----------
    name : str
    fraction : str
        Its valid fraction.
    steps : int
        How many planes it has.
    plane : int
        Dimensions of a plane; 1 for the cells of most meshes.
    sums : dict
        Of `narcf_geo.regridding.summary.integrals`.
    packing : dict
        The encoding of the source.
    classes : dict
        The dtype and fill value of class numbers, which are integers in files.
    block : int
        Bytes of a block of the source.
    """

    name: str
    fraction: str
    steps: int
    plane: int
    sums: Mapping[str, Any]
    packing: Mapping[str, Any]
    classes: Mapping[str, Any]
    block: int


def planes(variable: xr.Variable, plane: int = 2) -> int:
    """Return how many planes a variable has."""
    return math.prod(variable.shape[:-plane])
