"""MODIS MOD13C2 vegetation indices, monthly, 0.05 degree: the month in the file's name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from narcf_geo.catalog.readers import derived
from narcf_geo.catalog.readers.canonical import canonical
from narcf_geo.catalog.readers.native import open_native
from narcf_geo.core.errors import NarcfError

if TYPE_CHECKING:
    import xarray as xr

    from narcf_geo.catalog.entry import Entry


def read(entry: Entry) -> xr.Dataset:
    """Read the monthly files; NIRv is derived where both NDVI and NIR reflectance are named."""
    return derived.add(canonical(open_native(entry, preprocess=_with_month), entry))


def _with_month(native: xr.Dataset, path: Path) -> xr.Dataset:
    match = re.search(r"\.A(\d{4})(\d{3})\.", path.name)
    if not match:
        raise NarcfError(f"{path}: expected a name with .AYYYYDDD. in it, to tell the month")
    day = pd.Timestamp(int(match[1]), 1, 1) + pd.Timedelta(days=int(match[2]) - 1)
    return native.expand_dims(time=[day.replace(day=1)])
