"""What sources are held to: the rules that ``catalog check`` and every run apply alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.catalog.land import inland_and_open_sea
from narcf_geo.catalog.values import Expected, Odd, Seen
from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.variables import SIGNED, VARIABLES
from narcf_geo.grid import Grid

if TYPE_CHECKING:
    from narcf_geo.catalog.entry import Entry

NORTH_OF, LEAST_SEASON = 30.0, 0.05
"""Latitude from which July is summer; umol m-2 s-1 by which July and January must differ."""

SEA_SHARE, LAND_SHARE, FEWEST = 0.9, 0.7, 10
"""Least share of the open sea that is water, of the inland that is land; fewest places to judge."""

ROUNDING = 1e-3
"""Share of the plausible range by which packing and interpolation may overshoot it."""

MOST_FILES = 100
"""Files of a source that are opened, at most, to find the one with an odd value."""

OTHER_UNIT = "the unit is probably another: state it with `units:` or `scale:` under the variable"


@dataclass(frozen=True)
class Finding:
    """What is impossible (an error) or doubtful (a warning) about a variable of a source."""

    source: str
    variable: str
    level: Literal["error", "warning"]
    text: str
    allowed: bool = False

    def to_json(self) -> dict[str, str]:
        """Return it as plain values for the record of a run."""
        verdict = "allowed" if self.allowed else self.level
        return {
            "source": self.source,
            "variable": self.variable,
            "verdict": verdict,
            "message": self.text,
        }


def expected_of(entry: Entry, array: xr.DataArray) -> Expected:
    """Return what the values of a variable of an entry are held to."""
    name = str(array.name)
    if name == "land_cover":
        return Expected(classes=True)
    stated = entry.metadata.variables.get(name)
    before = {"original_units": stated.units} if stated and stated.units else {}
    scale = stated.scale if stated else 1.0
    signs: tuple[int, ...] = (1,)
    if name in SIGNED:
        signs = {None: (1, -1), "uptake": (-1,)}.get(entry.metadata.sign, (1,))
    array = array.assign_attrs(before)
    return Expected.of(array, limits_of(entry, name), [sign * scale for sign in signs])


def limits_of(entry: Entry, name: str) -> tuple[float, float] | None:
    """Return the plausible range of a variable: the entry's, else that of the canonical one."""
    known, stated = VARIABLES.get(name), entry.metadata.variables.get(name)
    return (stated.valid_range if stated else None) or (known.valid_range if known else None)


def value_findings(entry: Entry, array: xr.DataArray, seen: Seen) -> list[Finding]:
    """Return what is wrong with, or odd about, the values that were seen of a variable."""
    name = str(array.name)
    where = f"{entry.where('metadata', 'variables', name)}: variable {name!r}"

    def finding(text: str, level: Literal["error", "warning"] = "error") -> Finding:
        return Finding(entry.name, name, level, f"{where}: {text}")

    limits, units = limits_of(entry, name), str(array.attrs.get("units", ""))
    units = "" if units == "1" else f" {units}"
    expected = f"expected values from {limits[0]:g} to {limits[1]:g}{units}" if limits else ""
    found = []
    low, high = seen.low, seen.high
    for (fault, raw), odd in seen.odd.items():
        at = _counted(entry, array, seen, odd)
        if fault == "no class":
            remedy = (
                "a map of classes cannot be interpolated or averaged: use the original"
                if odd.value != np.floor(odd.value)
                else "if it stands for no value, state it with `variables: {land_cover: {missing: "
                f"[{odd.value:g}]}}}}`; else see `legend:`"
            )
            found.append(finding(f"expected IGBP classes 0 to 17, {at}; {remedy}"))
        elif fault == "infinite":
            found.append(
                finding(
                    f"expected finite values, {at}; a number that stands for no value and becomes "
                    "too large by its unit is stated with `missing:` under the variable; else "
                    "correct what made them"
                )
            )
        elif fault == "marker" and _is_marker(entry, name, odd, seen):
            in_file = "" if np.isclose(odd.value, raw, 1e-4) else f", {raw:g} in the file"
            text = (
                f"{expected or 'expected values near the others'}, {at}{in_file}; it probably "
                f"stands for no value: state it with `missing: [{raw:g}]` under the variable"
            )
            found.append(finding(text))
        elif fault == "marker":
            low, high = min(low, odd.low), max(high, odd.high)
        elif limits is not None:
            margin = ROUNDING * (limits[1] - limits[0])
            if odd.low >= limits[0] - margin and odd.high <= limits[1] + margin:
                found.append(finding(f"{expected}, {at}, a little beyond", "warning"))
            else:
                found.append(finding(f"{expected}, {at}; {OTHER_UNIT}"))
    least = known.least if (known := VARIABLES.get(name)) else 0.0
    if not found and low <= high and max(abs(low), abs(high)) < least:
        text = f"expected values beyond {least:g}{units} somewhere, found {_span(low, high)}"
        found.append(finding(f"{text}; {OTHER_UNIT}"))
    elif not found and low == high and seen.size > 1 and not name.endswith("_std"):
        text = f"expected values that vary, found {low:.4g}{units} everywhere"
        found.append(finding(text, "warning"))
    return found


def _is_marker(entry: Entry, name: str, odd: Odd, seen: Seen) -> bool:
    """Tell whether a common marker is one here: impossible as a value, or far from all others.

    A range that the entry states says what is a value.
    """
    limits, stated = limits_of(entry, name), entry.metadata.variables.get(name)
    inside = limits is None or limits[0] <= odd.value <= limits[1]
    if not inside or seen.low > seen.high:
        return True
    if stated and stated.valid_range:
        return False
    gap = max(seen.low - odd.high, odd.low - seen.high)
    return gap > max(seen.high - seen.low, 0.5 * abs(odd.value))


def _counted(entry: Entry, array: xr.DataArray, seen: Seen, odd: Odd) -> str:
    """Say which values were found, how many, and when and in which file the first of them is."""
    month = None
    when = ""
    if "time" in array.dims:
        label = array["time"].values[odd.place[array.dims.index("time")]]
        dated = np.issubdtype(np.asarray(label).dtype, np.datetime64)
        month = pd.Timestamp(label) if dated else None
        when = f" in {month:%Y-%m}" if month is not None else f" in month {label}"
    name = file_of(entry, str(array.name), month)
    number = "1 value" if odd.count == 1 else f"{odd.count:,}"
    first = f"{'the first' if odd.count > 1 else ''}{when} in {name}".strip()
    return f"found {_span(odd.low, odd.high)} in {number} of {seen.size:,} ({first})"


def _span(low: float, high: float) -> str:
    return f"{low:.6g}" if low == high else f"{low:.4g} to {high:.4g}"


def file_of(entry: Entry, name: str, month: pd.Timestamp | None) -> str:
    """Return the file of an entry that has a variable in a month; the first where that is unclear.

    Opens files one by one: for what goes into an error alone.
    """
    files = entry.data_files()
    if len(files) == 1 or month is None:
        return files[0].name
    for file in files[:MOST_FILES]:
        if (dated := entry.month_of(file)) is not None:
            if dated == f"{month:%Y-%m}":
                return file.name
            continue
        location = getattr(file, "address", str(file))
        try:
            ds = replace(entry, locations=(location,)).read()
        except (NarcfError, OSError, RuntimeError):
            continue
        if name in ds and "time" in ds.dims and month.to_datetime64() in ds["time"].values:
            return file.name
    return f"one of {len(files)} files, {files[0].name} the first"


def sign_findings(entry: Entry, flux: xr.DataArray, grid: Grid) -> list[Finding]:
    """Return that the sign of a flux is probably the other one, where it is.

    Land north of 30N takes up more carbon in July than in January.

    Parameters
    ----------
    entry : Entry
        A target, a reference or a truth; of others nothing is said.
    flux : xarray.DataArray
        Along time and the dimensions of `grid`, umol m-2 s-1, positive to the atmosphere.
    grid : Grid
        Of the flux.
    """
    if entry.metadata.role not in ("target", "reference", "truth") or "time" not in flux.dims:
        return []
    lon, lat = grid.centers()
    inland, _ = inland_and_open_sea(lon, lat)
    weight = np.where(inland & (lat > NORTH_OF), grid.area, 0.0)
    dated = hasattr(flux["time"], "dt")
    months = flux["time"].dt.month.values if dated else flux["time"].values
    means = []
    for month in (1, 7):
        chosen = np.flatnonzero(months == month)
        if not chosen.size or (weight > 0).sum() < FEWEST:
            return []
        values = flux.isel(time=chosen).mean("time").transpose(*grid.dims).values
        valid = np.isfinite(values) & (weight > 0)
        if valid.sum() < FEWEST:
            return []
        means.append(float(np.average(values[valid], weights=weight[valid])))
    january, july = means
    if july - january < LEAST_SEASON:
        return []
    text = (
        f"{entry.where('metadata', 'sign')}: expected land north of {NORTH_OF:g}N to take up more "
        f"CO2 in July than in January, found {july:.3g} and {january:.3g} umol m-2 s-1 (positive "
        "to the atmosphere); the sign is probably the other: see `sign:` under metadata"
    )
    return [Finding(entry.name, "flux", "warning", text)]


def sampled(land_cover: xr.DataArray, grid: Grid) -> xr.DataArray:
    """Return a coarse sample of a map of classes, enough to hold it to a land mask."""
    stride = _stride(grid)
    return land_cover.isel({dim: slice(stride // 2, None, stride) for dim in grid.dims})


def _stride(grid: Grid) -> int:
    return max(1, round(min(grid.shape) / 360))


def legend_findings(entry: Entry, sample: xr.DataArray, grid: Grid) -> list[Finding]:
    """Return what a coarse land mask says against the classes of a map.

    Parameters
    ----------
    entry : Entry
        Of the map.
    sample : xarray.DataArray
        Of `sampled`, in memory.
    grid : Grid
        Of the whole map.
    """
    stride = _stride(grid)
    rows, columns = (slice(stride // 2, None, stride),) * 2
    lon, lat = (axis[rows, columns] for axis in grid.centers())
    classes = sample.transpose(*grid.dims).values.astype(int)
    inland, sea = inland_and_open_sea(lon, lat)
    known = classes >= 0
    where = entry.where("metadata", "legend")
    legend = entry.metadata.legend
    texts = []
    at_sea, on_land = classes[sea & known], classes[inland & known]
    if at_sea.size >= FEWEST and (water := float((at_sea == 0).mean())) < SEA_SHARE:
        common = int(np.bincount(at_sea).argmax())
        remedy = "turn the map the right way round, or correct its coordinates"
        if common == 17:
            other = "igbp_water17" if legend == "igbp_water0" else "igbp_water0"
            remedy = f"the legend is probably {other}"
        texts.append(
            f"expected water in the open sea, found it in {water:.0%} of the places there and "
            f"mostly class {common} ({IGBP[common].name}); {remedy}"
        )
    if on_land.size >= FEWEST:
        land = float(((on_land > 0) & (on_land < 17)).mean())
        if land < LAND_SHARE:
            common = int(np.bincount(on_land).argmax())
            texts.append(
                f"expected land well inland, found it in {land:.0%} of the places there and mostly "
                f"class {common} ({IGBP[common].name}); is the map upside down, shifted by 180 "
                "degrees, or its legend another?"
            )
    return [Finding(entry.name, "land_cover", "error", f"{where}: {text}") for text in texts]
