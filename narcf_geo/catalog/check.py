"""Looking at a source: is it there, does it open, and are its values plausible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.catalog import Entry
from narcf_geo.errors import NarcfError
from narcf_geo.grid import Grid
from narcf_geo.variables import VARIABLES


@dataclass(frozen=True)
class Description:
    """What a source holds: labelled facts, and a row of text for each variable."""

    facts: dict[str, str]
    variables: list[tuple[str, str, str, str, str, str]]


def presence(entry: Entry) -> str:
    """Return the number and size of an entry's files, or ``absent``."""
    try:
        files = entry.files()
    except NarcfError:
        return "absent"
    size = sum(path.stat().st_size for path in files)
    return f"{len(files)} ({size / 1e6:.1f} MB)"


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
        "files": presence(entry),
        "grid": repr(grid),
        "period": _period(ds),
    }
    for label in ("licence", "citation", "doi", "url", "synthetic"):
        if value := getattr(entry.metadata, label):
            facts[label] = str(value)
    rows = []
    for name, array in _data(ds).items():
        values = array.values
        finite = values[np.isfinite(values)]
        numbers = (
            [f"{v:.4g}" for v in (finite.min(), finite.mean(dtype=np.float64), finite.max())]
            if finite.size
            else ["-"] * 3
        )
        missing = f"{1 - finite.size / values.size:.1%}"
        rows.append((name, str(array.attrs.get("units", "")), *numbers, missing))
    return Description(facts, rows)  # type: ignore[arg-type]


def problem(entry: Entry) -> str | None:
    """Return what is wrong with a source and how to mend it, or None."""
    try:
        ds = entry.read()
        Grid.from_dataset(ds)
        arrays = {name: array.values for name, array in _data(ds).items()}
    except (NarcfError, OSError, RuntimeError) as error:
        return str(error)
    for name, values in arrays.items():
        finite = values[np.isfinite(values)]
        if not finite.size:
            return f"variable {name!r} has no valid value"
        if name not in VARIABLES:
            continue
        low, high = VARIABLES[name].valid_range
        if finite.min() < low or finite.max() > high:
            return (
                f"variable {name!r}: expected values from {low:g} to {high:g} "
                f"{VARIABLES[name].units}, found {finite.min():.4g} to {finite.max():.4g}; the "
                "unit is probably another: state it with `units:` under the variable"
            )
    return None


def _data(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the data variables, without bounds and grid mappings."""
    return {
        str(name): array
        for name, array in ds.data_vars.items()
        if array.ndim >= 2 and not str(name).endswith(("_bnds", "_bounds"))
    }


def _period(ds: xr.Dataset) -> str:
    if "time" not in ds.dims:
        return "static"
    if np.issubdtype(ds["time"].dtype, np.integer):
        return "climatology of 12 months"
    time = pd.DatetimeIndex(ds["time"].values)
    return f"{time[0]:%Y-%m} to {time[-1]:%Y-%m}, {time.size} months"
