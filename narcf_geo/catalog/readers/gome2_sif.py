"""GOME-2 sun-induced fluorescence, level 3, 0.5 degree: one file a month, the month in its name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from narcf_geo.catalog.readers.canonical import canonical
from narcf_geo.catalog.readers.native import open_native
from narcf_geo.core.errors import NarcfError

if TYPE_CHECKING:
    import xarray as xr

    from narcf_geo.catalog.entry import Entry


def read(entry: Entry) -> xr.Dataset:
    """Read the monthly files, in the order of their months."""
    return canonical(open_native(entry, preprocess=_with_month), entry)


def _with_month(native: xr.Dataset, path: Path) -> xr.Dataset:
    match = re.search(r"_(\d{4})(\d{2})\d{2}_\d{2}\.", path.name)
    if not match:
        raise NarcfError(f"{path}: expected a name that ends in _YYYYMM01_DD.nc, to tell the month")
    start = pd.Timestamp(int(match[1]), int(match[2]), 1)
    return native.drop_vars("time", errors="ignore").expand_dims(time=[start])
