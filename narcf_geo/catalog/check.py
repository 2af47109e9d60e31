"""Whether sources can be used: they open, their values are plausible, and they share months."""

from __future__ import annotations

from collections.abc import Mapping

import dask
import pandas as pd

from narcf_geo.catalog import rules
from narcf_geo.catalog.describe import data_variables, months_of
from narcf_geo.catalog.entry import Entry
from narcf_geo.catalog.gate import findings_of, looked_at, only_classes
from narcf_geo.catalog.rules import Finding
from narcf_geo.catalog.values import together
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.months import shared_months
from narcf_geo.grid import Grid


def check(entry: Entry) -> tuple[list[Finding], pd.DatetimeIndex | None]:
    """Return what is wrong with or odd about a source, and the months it has.

    All of it is read, a block at a time, and held to the rules that hold in a run
    (`narcf_geo.catalog.rules`). The months are None where it stands for every month, or cannot be
    read.
    """
    try:
        return _checked(entry)
    except (NarcfError, OSError, RuntimeError) as error:
        text = str(error)
        at_home = isinstance(error, NarcfError) and entry.name in text
        return [_error(entry, "", text if at_home else f"{entry.where()}: {text}")], None


def _checked(entry: Entry) -> tuple[list[Finding], pd.DatetimeIndex | None]:
    ds = entry.read()
    grid = Grid.from_dataset(ds)
    if entry.metadata.role == "landcover":
        land_cover = ds[["land_cover"]]
        sample = rules.sampled(only_classes(ds["land_cover"]), grid)
        seen, sample = dask.compute(looked_at(entry, land_cover), sample)
        found = findings_of(entry, land_cover, seen)
        return found or rules.legend_findings(entry, sample, grid), None
    wanted = set(entry.metadata.variables) | {"flux"}
    fields = ds[[name for name in data_variables(ds) if name in wanted]]
    (seen,) = dask.compute(looked_at(entry, fields))
    found = findings_of(entry, fields, seen)
    for name, blocks in seen.items():
        if together(blocks).empty:
            share = entry.metadata.monthly_mean
            remedy = f", or lower monthly_mean ({share:g} of a month must be covered)"
            where = f"{entry.where('metadata', 'variables', name)}: variable {name!r}"
            text = f"{where}: no valid value; check name, and the file{remedy if share else ''}"
            found.append(_error(entry, name, text))
    if "flux" in fields and not any(f.level == "error" for f in found):
        found += rules.sign_findings(entry, fields["flux"], grid)
    return found, months_of(ds)


def _error(entry: Entry, variable: str, text: str) -> Finding:
    return Finding(entry.name, variable, "error", text)


def period_problem(months: Mapping[str, pd.DatetimeIndex]) -> str | None:
    """Return which sources share no month, or None."""
    if not months or len(shared_months(months)):
        return None
    reach = "; ".join(f"{n} {m[0]:%Y-%m} to {m[-1]:%Y-%m}" for n, m in months.items())
    return f"no month is in all sources: {reach}. Add files, or mark climatologies as such"
