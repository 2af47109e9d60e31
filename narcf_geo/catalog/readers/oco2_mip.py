"""OCO-2 model intercomparison (v10 MIP): monthly fluxes of inversions, 1 degree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from narcf_geo.catalog.readers.canonical import canonical
from narcf_geo.catalog.readers.native import open_native
from narcf_geo.core.errors import TimeError

if TYPE_CHECKING:
    from narcf_geo.catalog.entry import Entry

DATES = "start_date"
"""Year, month, day, hour, minute and second at which each month begins, along ``n_months``."""


def read(entry: Entry) -> xr.Dataset:
    """Read the intercomparison; the months are those of ``start_date``.

    Raises
    ------
    TimeError
        When there is no ``start_date``.
    """
    climatology = entry.metadata.climatology

    def dated(native: xr.Dataset, path: Path) -> xr.Dataset:
        return with_months(native, path, climatology)

    return canonical(open_native(entry, preprocess=dated), entry)


def with_months(native: xr.Dataset, path: Path, climatology: bool = False) -> xr.Dataset:
    """Return `native` with the months of ``start_date`` along ``time``, numbers in a climatology.

    Raises
    ------
    TimeError
        When there is no ``start_date``, or it holds no months.
    """
    if DATES not in native or native[DATES].ndim != 2:
        raise TimeError(
            f"{path}: expected the months in {DATES} (n_months, 6), found "
            f"{', '.join(map(str, native.variables))}"
        )
    along = str(native[DATES].dims[0])
    year, month = (native[DATES].values[:, k].astype(int) for k in (0, 1))
    if ((month < 1) | (month > 12)).any():
        raise TimeError(f"{path}: expected months 1 to 12 in {DATES}, found {month.tolist()}")
    starts = (12 * (year - 1970) + month - 1).astype("datetime64[M]").astype("datetime64[s]")
    time = month if climatology else starts
    native = native.drop_vars([DATES, along, "time"], errors="ignore")
    native = native if along == "time" else native.rename({along: "time"})
    return native.assign_coords(time=("time", time))
