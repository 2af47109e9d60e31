"""Score one file of monthly fluxes against another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.constants import FLUX_UNITS
from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.files import atomic_path
from narcf_geo.core.months import to_month_starts
from narcf_geo.core.units import linear
from narcf_geo.evaluation.comparison import (
    by_biome,
    by_month,
    by_region,
    by_season,
    by_year,
    compare,
)
from narcf_geo.evaluation.variability import components
from narcf_geo.fields.averages import middle_of_bounds, monthly_mean
from narcf_geo.fields.regions import read_regions
from narcf_geo.grid import Grid
from narcf_geo.outputs.products import open_product
from narcf_geo.regridding import regrid
from narcf_geo.statistics.scores import for_json

PREFERRED = ("flux", "nee")
"""Names of the flux where a file has several candidates; small or capital letters."""

MONTH_COVERED = 0.9
"""Share of a month that finer time steps must cover."""


class _Flux(NamedTuple):
    path: Path
    variable: str
    field: xr.DataArray
    grid: Grid
    biome: xr.DataArray | None
    synthetic: str


def evaluate_files(
    estimate: str | Path,
    observed: str | Path,
    out: str | Path | None = None,
    *,
    estimate_variable: str | None = None,
    observed_variable: str | None = None,
    regions: str | Path | None = None,
    region_name: str | None = None,
) -> dict[str, Any]:
    """Score the flux of one file against that of another, on the cells and months both have.

    Units are converted to umol m-2 s-1 and finer time steps averaged to months. Where the grids
    differ, the finer is regridded to the coarser, keeping the integral. Both files must count
    release to the atmosphere as positive.

    Parameters
    ----------
    estimate, observed : path
        NetCDF files or Zarr stores with a flux (time, lat, lon).
    out : path, optional
        The JSON file to write.
    estimate_variable, observed_variable : str, optional
        The flux in each; by default ``flux`` or ``nee``, else the only variable of a flux's unit.
    regions : path, optional
        GeoPackage, Shapefile or GeoJSON of polygons.
    region_name : str, optional
        The column that names them; see `by_region`.

    Returns
    -------
    dict
        ``estimate`` and ``observed`` (file, variable, grid), ``grid`` of the comparison, ``notes``,
        ``units``, and the scores: ``all``, ``by_month``, ``by_season``, ``by_year``,
        ``components``; ``by_biome`` where the file of the estimate has ``biome`` on that grid,
        ``by_region`` with regions. None stands for what is not defined.

    Raises
    ------
    UsageError
        When a file, its variable, its unit or its time axis is not as expected.
    NarcfError
        When the two share no cell and month.
    """
    one = _read(Path(estimate), estimate_variable)
    other = _read(Path(observed), observed_variable)
    months = one.field.indexes["time"].intersection(other.field.indexes["time"])
    if not len(months):
        raise NarcfError(
            f"expected months that both files have, found {_period(one)} in {one.path} and "
            f"{_period(other)} in {other.path}"
        )
    grid = _coarser(one, other)
    e, o = (_on(flux.field.sel(time=months), flux.grid, grid) for flux in (one, other))
    area = xr.DataArray(grid.area, dims=("lat", "lon"))
    whole = compare(e, o, area)
    if not whole["n"]:
        raise NarcfError(
            f"expected cells with a value in both files, found none: {one.path} is on {one.grid}, "
            f"{other.path} on {other.grid}"
        )
    metrics = {
        "estimate": _described(one),
        "observed": _described(other),
        "grid": repr(grid),
        "units": FLUX_UNITS,
        "notes": _notes(one, other, grid, whole["r"]),
        "all": whole,
        "by_month": by_month(e, o, area),
        "by_season": by_season(e, o, area),
        "by_year": by_year(e, o, area),
        "components": components(e, o, area),
    }
    if one.biome is not None and grid == one.grid:
        metrics["by_biome"] = by_biome(e, o, area, one.biome)
    if regions is not None:
        metrics["by_region"] = by_region(e, o, area, read_regions(regions), name=region_name)
    metrics = for_json(metrics)
    if out is not None:
        with atomic_path(Path(out)) as temporary:
            temporary.write_text(json.dumps(metrics, indent=2), encoding="utf-8")
    return metrics


COLUMNS = ("part", "r", "RMSE", "bias", "NSE", "slope", "TgC/yr", "pairs")
"""Headings of `table_rows`; TgC/yr is the bias of the total."""


def table_rows(metrics: dict[str, Any]) -> list[list[tuple[str, ...]]]:
    """Return the scores of `evaluate_files` as groups of lines of text, below `COLUMNS`."""
    groups = [{"all": metrics["all"]}]
    for name in ("by_season", "by_year", "by_biome", "by_region"):
        groups.append({v.get("name", k): v for k, v in metrics.get(name, {}).items()})
    groups.append(
        {
            name.replace("_", " ") + (", TgC" if name.startswith("monthly") else ""): values or {}
            for name, values in metrics["components"].items()
        }
    )
    return [[_row(label, values) for label, values in group.items()] for group in groups if group]


def _row(label: str, values: dict[str, Any]) -> tuple[str, ...]:
    formats = {"r": ".3f", "rmse": ".3f", "bias": "+.3f", "nse": ".3f", "slope": ".3f",
               "bias_TgC_per_year": "+.1f", "n": "d"}  # fmt: skip
    known = {key: values.get(key) for key in formats}
    return label, *("" if known[k] is None else f"{known[k]:{f}}" for k, f in formats.items())


def _read(path: Path, variable: str | None) -> _Flux:
    with open_product(path) as ds:
        if "time" not in ds.dims or "time" not in ds.coords:
            raise UsageError(f"{path}: expected months along 'time', found {dict(ds.sizes)}")
        name = variable or _candidate(ds, path)
        if name not in ds.data_vars:
            raise UsageError(
                f"{path}: expected the variable {name!r}, found "
                f"{', '.join(sorted(map(str, ds.data_vars)))}"
            )
        ds = _northward(ds)
        grid = Grid.from_dataset(ds)
        field = ds[name]
        axes = ("time", *grid.dims)
        field = field.squeeze([d for d in field.dims if d not in axes and field.sizes[d] == 1])
        if set(field.dims) != set(axes):
            raise UsageError(f"{path}: expected {name!r} along {axes}, found {field.dims}")
        field = _in_months(ds, field, path).transpose(*axes).load()
        biome = None
        if "biome" in ds and ds["biome"].dims == grid.dims:
            biome = xr.DataArray(ds["biome"].values, dims=("lat", "lon"))
        synthetic = str(ds.attrs.get("synthetic", ""))
    try:
        scale, offset = linear(str(field.attrs.get("units", "")), FLUX_UNITS, "carbon")
    except NarcfError as error:
        raise UsageError(
            f"{path}: variable {name!r}: {error}; expected a unit that converts to {FLUX_UNITS!r} "
            "in its attribute 'units'"
        ) from None
    field = field.astype(np.float64) * scale + offset
    return _Flux(path, name, field, grid, biome, synthetic)


def _candidate(ds: xr.Dataset, path: Path) -> str:
    """Return the name of the flux of a file that the user did not name."""
    units = {str(n): str(v.attrs.get("units", "")) for n, v in ds.data_vars.items()}
    preferred = [n for name in PREFERRED for n in units if n.lower() == name]
    found = [n for n, unit in units.items() if "time" in ds[n].dims and _converts(unit)]
    if preferred or len(found) == 1:
        return (preferred or found)[0]
    known = ", ".join(f"{n} ({units[n] or 'no unit'})" for n in found or units)
    raise UsageError(
        f"{path}: expected one flux along time, in units that convert to {FLUX_UNITS!r}, found "
        f"{known}; name the variable if it is among them"
    )


def _converts(units: str) -> bool:
    try:
        linear(units, FLUX_UNITS, "carbon")
    except NarcfError:
        return False
    return True


def _northward(ds: xr.Dataset) -> xr.Dataset:
    """Return `ds` with latitudes along an axis of their own from south to north."""
    for name in ("lat", "latitude"):
        if name in ds.coords and ds[name].dims == (name,):
            return ds.sortby(name)
    return ds


def _in_months(ds: xr.Dataset, field: xr.DataArray, path: Path) -> xr.DataArray:
    time, name = ds["time"], str(field.name)
    bounds = time.attrs.get("bounds") or time.encoding.get("bounds")
    steps = field.to_dataset(name=name)
    if bounds in ds.variables:
        steps[bounds] = ds[bounds]
    try:
        stamps = middle_of_bounds(steps)
        if _repeats_a_month(stamps["time"]):
            stamps = monthly_mean(steps, MONTH_COVERED)
        months = to_month_starts(stamps["time"])
    except NarcfError as error:
        raise UsageError(f"{path}: {error}") from None
    result = stamps[name].assign_coords(time=months).sortby("time")
    return result.assign_attrs(field.attrs)


def _repeats_a_month(time: xr.DataArray) -> bool:
    if not hasattr(time, "dt"):
        return False
    return bool(pd.Index(time.dt.year.values * 12 + time.dt.month.values).has_duplicates)


def _coarser(one: _Flux, other: _Flux) -> Grid:
    """Return the grid of larger cells, that of the first where they are alike."""
    plain = [flux.grid for flux in (one, other) if flux.grid.is_rectilinear]
    if not plain:
        raise UsageError(
            f"expected a grid of latitudes and longitudes in {one.path} or {other.path}, found "
            f"{one.grid} and {other.grid}; regrid one with `narcf-geo regrid IN OUT --grid 1`"
        )
    return max(plain, key=_cell_degrees)


def _cell_degrees(grid: Grid) -> float:
    size = np.ptp(grid.lat_b) / grid.lat.size * np.ptp(grid.lon_b) / grid.lon.size
    return round(float(size), 6)


def _on(field: xr.DataArray, source: Grid, target: Grid) -> xr.DataArray:
    if source != target:
        field = regrid(field, target, source=source).transpose("time", *target.dims)
    coords = {"time": field["time"].values, "lat": target.lat, "lon": target.lon}
    return xr.DataArray(field.values, dims=("time", "lat", "lon"), coords=coords)


def _notes(one: _Flux, other: _Flux, grid: Grid, r: float) -> list[str]:
    notes = [
        f"{flux.path.name} was regridded from {flux.grid}"
        for flux in (one, other)
        if flux.grid != grid
    ]
    notes += [f"{f.path.name} is synthetic: {f.synthetic}" for f in (one, other) if f.synthetic]
    if r < 0:
        notes.append(
            "the two are correlated negatively: does one of them count uptake as positive?"
        )
    return notes


def _described(flux: _Flux) -> dict[str, Any]:
    return {
        "file": flux.path.name,
        "variable": flux.variable,
        "grid": repr(flux.grid),
        "period": _period(flux),
    }


def _period(flux: _Flux) -> str:
    first, last = (f"{flux.field.indexes['time'][i]:%Y-%m}" for i in (0, -1))
    return f"{first} to {last}"
