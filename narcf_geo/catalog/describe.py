"""What a source holds: its files, grid and months, and what was read of each variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.catalog.entry import Entry, presence
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.months import gaps
from narcf_geo.grid import Grid


class VariableRow(NamedTuple):
    """A variable before and after reading, and the values of it."""

    name: str
    original_name: str
    original_units: str
    units: str
    minimum: float
    mean: float
    maximum: float
    missing: float


UNREADABLE = "cannot be read"
"""In place of the grid of a source that `peek` cannot read."""


@dataclass(frozen=True)
class Description:
    """What a source holds."""

    facts: dict[str, str]
    variables: list[VariableRow]
    grid: Grid
    dataset: xr.Dataset


def peek(entry: Entry) -> tuple[str, str]:
    """Return an entry's grid and period in a few words, without reading values."""
    try:
        ds = entry.read()
        grid = Grid.from_dataset(ds)
    except (NarcfError, OSError, RuntimeError) as error:
        return UNREADABLE, str(error).split(": ")[-1][:40]
    return f"{grid.shape[0]} x {grid.shape[1]}", period(ds).partition(",")[0]


def describe(entry: Entry) -> Description:
    """Read a source and return its grid, period, and the range of each variable.

    Raises
    ------
    NarcfError
        When it cannot be read.
    """
    ds = entry.read()
    grid = Grid.from_dataset(ds)
    facts = {
        "source": f"{entry.name}: {entry.source.description}",
        "role": entry.metadata.role,
        "catalog": entry.where().rsplit(": ", 1)[0],
        "files": presence(entry),
        "grid": repr(grid),
        "cell area": f"{grid.area.min() / 1e6:.4g} to {grid.area.max() / 1e6:.4g} km2",
        "period": period(ds),
    }
    for label in ("legend", "licence", "citation", "doi", "url", "synthetic"):
        if value := getattr(entry.metadata, label):
            facts[label] = str(value)
    numbers = statistics(data_variables(ds))
    rows = []
    for name, array in data_variables(ds).items():
        attrs = array.attrs
        origin = "derived" if "derived" in attrs.get("comment", "") else name
        before = str(attrs.get("original_units", "")), str(attrs.get("units", ""))
        rows.append(
            VariableRow(name, str(attrs.get("original_name", origin)), *before, *numbers[name])
        )
    return Description(facts, rows, grid, ds)


def statistics(
    arrays: dict[str, xr.DataArray],
) -> dict[str, tuple[float, float, float, float]]:
    """Return minimum, mean, maximum and missing share of arrays, in one pass over the files.

    All but the share are NaN for an array without a valid value.
    """
    import dask

    lazy = {}
    for name, array in arrays.items():
        if "missing_value" in array.attrs:
            array = array.where(array != array.attrs["missing_value"])
        finite = array.where(np.isfinite(array))
        lazy[name] = (
            finite.min(),
            finite.mean(dtype="float64"),
            finite.max(),
            finite.isnull().mean(),
        )
    (computed,) = dask.compute(lazy)
    return {
        name: (float(low), float(mean), float(high), float(missing))
        for name, (low, mean, high, missing) in computed.items()
    }


def data_variables(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the data variables, without bounds and grid mappings."""
    return {
        str(name): array
        for name, array in ds.data_vars.items()
        if array.ndim >= 2 and not str(name).endswith(("_bnds", "_bounds"))
    }


def months_of(ds: xr.Dataset) -> pd.DatetimeIndex | None:
    """Return the months of a dataset; None where it stands for every month."""
    if "time" not in ds.dims or np.issubdtype(ds["time"].dtype, np.integer):
        return None
    return pd.DatetimeIndex(ds["time"].values)


def period(ds: xr.Dataset) -> str:
    """Return the months of a dataset in a few words, with the number of those it lacks between."""
    if "time" not in ds.dims:
        return "static"
    months = months_of(ds)
    if months is None:
        return "climatology of 12 months"
    lacking = sum(gap.months for gap in gaps(months))
    count = f"{months.size} month{'s' if months.size > 1 else ''}"
    return (
        f"{months[0]:%Y-%m} to {months[-1]:%Y-%m}, {count}"
        f"{f', {lacking} between absent' if lacking else ''}"
    )
