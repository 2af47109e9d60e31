"""Whether sources can be used: they open, their values are plausible, and they share months."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.catalog.describe import data_variables, months_of, statistics
from narcf_geo.catalog.entry import Entry
from narcf_geo.catalog.land import inland_and_open_sea
from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.months import shared_months
from narcf_geo.core.variables import VARIABLES
from narcf_geo.grid import Grid

NORTH_OF, LEAST_SEASON = 30.0, 0.05
"""Latitude from which July is summer; umol m-2 s-1 by which July and January must differ."""

SEA_SHARE, LAND_SHARE, FEWEST = 0.9, 0.7, 10
"""Least share of the open sea that is water, of the inland that is land; fewest places to judge."""


def problems(entry: Entry) -> tuple[list[str], pd.DatetimeIndex | None]:
    """Return what is wrong with a source and how to mend it, and the months it has.

    The months are None where it stands for every month, or cannot be read.
    """
    try:
        ds = entry.read()
        grid = Grid.from_dataset(ds)
        if entry.metadata.role == "landcover":
            return legend_problems(ds["land_cover"].load(), grid, entry), None
        wanted = set(entry.metadata.variables) | {"flux"}
        arrays = {name: a for name, a in data_variables(ds).items() if name in wanted}
        numbers = statistics(arrays)
    except (NarcfError, OSError, RuntimeError) as error:
        text = str(error)
        at_home = isinstance(error, NarcfError) and entry.name in text
        return [text if at_home else f"{entry.where()}: {text}"], None
    found = [range_problem(entry, name, *numbers[name]) for name in arrays]
    return [text for text in found if text], months_of(ds)


def range_problem(
    entry: Entry, name: str, low: float, mean: float, high: float, missing: float
) -> str | None:
    """Return what the values of a variable say against its unit, or None."""
    where = f"{entry.where('metadata', 'variables', name)}: variable {name!r}"
    if not np.isfinite(low):
        share = entry.metadata.monthly_mean
        remedy = f", or lower monthly_mean ({share:g} of a month must be covered)" if share else ""
        return f"{where}: no valid value; check name, and the file{remedy}"
    known, stated = VARIABLES.get(name), entry.metadata.variables.get(name)
    limits = (stated.valid_range if stated else None) or (known.valid_range if known else None)
    units = known.units if known else (stated.units if stated else None) or "its unit"
    if limits is None:
        return None
    found = f"found {low:.4g} to {high:.4g}"
    remedy = "the unit is probably another: state it with `units:` or `scale:` under the variable"
    if low < limits[0] or high > limits[1]:
        expected = f"expected values from {limits[0]:g} to {limits[1]:g} {units}"
        return f"{where}: {expected}, {found}; {remedy}"
    least = known.least if known else 0.0
    if max(abs(low), abs(high)) < least:
        expected = f"expected values beyond {least:g} {units} somewhere"
        return f"{where}: {expected}, {found}; {remedy}"
    return None


def warnings_of(entry: Entry) -> list[str]:
    """Return what is odd about a source that can be used; none where it cannot be read."""
    if entry.metadata.role not in ("target", "reference", "truth"):
        return []
    try:
        ds = entry.read()
        found = sign_warning(ds["flux"], Grid.from_dataset(ds))
    except (NarcfError, OSError, RuntimeError, KeyError):
        return []
    return [f"{entry.where('metadata', 'sign')}: {found}"] if found else []


def sign_warning(flux: xr.DataArray, grid: Grid) -> str | None:
    """Return that the sign of a flux is probably the other one, or None.

    Land north of 30N takes up more carbon in July than in January.

    Parameters
    ----------
    flux : xarray.DataArray
        Along time and the dimensions of `grid`, umol m-2 s-1, positive to the atmosphere.
    grid : Grid
        Of the flux.
    """
    if "time" not in flux.dims:
        return None
    lon, lat = grid.centers()
    inland, _ = inland_and_open_sea(lon, lat)
    weight = np.where(inland & (lat > NORTH_OF), grid.area, 0.0)
    dated = hasattr(flux["time"], "dt")
    months = flux["time"].dt.month.values if dated else flux["time"].values
    means = []
    for month in (1, 7):
        chosen = np.flatnonzero(months == month)
        if not chosen.size or (weight > 0).sum() < FEWEST:
            return None
        values = flux.isel(time=chosen).mean("time").transpose(*grid.dims).values
        valid = np.isfinite(values) & (weight > 0)
        if valid.sum() < FEWEST:
            return None
        means.append(float(np.average(values[valid], weights=weight[valid])))
    january, july = means
    if july - january < LEAST_SEASON:
        return None
    return (
        f"expected land north of {NORTH_OF:g}N to take up more CO2 in July than in January, found "
        f"{july:.3g} and {january:.3g} umol m-2 s-1 (positive to the atmosphere); the sign is "
        "probably the other: see `sign:` under metadata"
    )


def legend_problems(land_cover: xr.DataArray, grid: Grid, entry: Entry) -> list[str]:
    """Return what a coarse land mask says against the classes of a map."""
    stride = max(1, round(min(grid.shape) / 360))
    sample = land_cover.isel({dim: slice(stride // 2, None, stride) for dim in grid.dims})
    rows, columns = (slice(stride // 2, None, stride),) * 2
    lon, lat = (axis[rows, columns] for axis in grid.centers())
    classes = sample.transpose(*grid.dims).values
    inland, sea = inland_and_open_sea(lon, lat)
    known = classes >= 0
    where = entry.where("metadata", "legend")
    legend = entry.metadata.legend
    found = []
    at_sea, on_land = classes[sea & known], classes[inland & known]
    if at_sea.size >= FEWEST and (water := float((at_sea == 0).mean())) < SEA_SHARE:
        common = int(np.bincount(at_sea).argmax())
        remedy = "turn the map the right way round, or correct its coordinates"
        if common == 17:
            other = "igbp_water17" if legend == "igbp_water0" else "igbp_water0"
            remedy = f"the legend is probably {other}"
        found.append(
            f"{where}: expected water in the open sea, found it in {water:.0%} of the places "
            f"there and mostly class {common} ({IGBP[common].name}); {remedy}"
        )
    if on_land.size >= FEWEST:
        land = float(((on_land > 0) & (on_land < 17)).mean())
        if land < LAND_SHARE:
            common = int(np.bincount(on_land).argmax())
            found.append(
                f"{where}: expected land well inland, found it in {land:.0%} of the places there "
                f"and mostly class {common} ({IGBP[common].name}); is the map upside down, "
                "shifted by 180 degrees, or its legend another?"
            )
    return found


def period_problem(months: Mapping[str, pd.DatetimeIndex]) -> str | None:
    """Return which sources share no month, or None."""
    if not months or len(shared_months(months)):
        return None
    reach = "; ".join(f"{n} {m[0]:%Y-%m} to {m[-1]:%Y-%m}" for n, m in months.items())
    return f"no month is in all sources: {reach}. Add files, or mark climatologies as such"
