"""Score one file of monthly fluxes against another."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from narcf_geo.budget.totals import grid_area
from narcf_geo.core.constants import FLUX_UNITS
from narcf_geo.core.errors import FieldError, NarcfError, UsageError
from narcf_geo.core.files import atomic_path, require_replaceable
from narcf_geo.core.lock import hold_output
from narcf_geo.evaluation.comparison import (
    by_biome,
    by_month,
    by_region,
    by_season,
    by_year,
    compare,
)
from narcf_geo.evaluation.variability import components
from narcf_geo.fields import class_field, open_flux
from narcf_geo.fields.reading import named, reading
from narcf_geo.grid import Grid
from narcf_geo.regridding import regrid
from narcf_geo.statistics.scores import for_json

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
    estimate: str | os.PathLike[str],
    observed: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    estimate_variable: str | None = None,
    observed_variable: str | None = None,
    regions: str | os.PathLike[str] | None = None,
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
    if out is not None:
        require_replaceable(Path(out), [Path(estimate), Path(observed)], store=False)
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
    area = grid_area(e)
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
        metrics["by_region"] = by_region(e, o, area, regions, name=region_name)
    metrics = for_json(metrics)
    if out is not None:
        with hold_output(Path(out)), atomic_path(Path(out)) as temporary:
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
    formats = {
        "r": ".3f",
        "rmse": ".3f",
        "bias": "+.3f",
        "nse": ".3f",
        "slope": ".3f",
        "bias_TgC_per_year": "+.1f",
        "n": "d",
    }
    known = {key: values.get(key) for key in formats}
    return label, *("" if known[k] is None else f"{known[k]:{f}}" for k, f in formats.items())


def _read(path: Path, variable: str | None) -> _Flux:
    try:
        ds = open_flux(path, variable, average=MONTH_COVERED)
    except FieldError as error:
        raise UsageError(str(error)) from None
    if "time" not in ds["flux"].dims:
        raise UsageError(f"{path}: expected months along 'time', found {dict(ds.sizes)}")
    with named(str(path)):
        grid = Grid.from_dataset(ds)
    with reading(path):
        flux = ds["flux"].astype(np.float64).load()
        biome = class_field(ds["biome"], f"{path}: variable 'biome'") if "biome" in ds else None
    return _Flux(
        path,
        str(ds["flux"].attrs.get("original_name", "flux")),
        flux,
        grid,
        biome,
        str(ds.attrs.get("synthetic", "")),
    )


def _coarser(one: _Flux, other: _Flux) -> Grid:
    """Return the grid of larger cells, that of the first where they are alike."""
    grids = [flux.grid for flux in (one, other)]
    plain = [grid for grid in grids if grid.is_rectilinear and grid.projection is None]
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
    if source == target:
        return field
    moved = regrid(field, target, source=source).reset_coords(drop=True)
    return moved.transpose("time", "lat", "lon")


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
