"""Scores of gridded fluxes, weighted by area, of the whole and of parts in time and space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.budget.totals import cell_total
from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import UsageError
from narcf_geo.fields.regions import inside, named_regions
from narcf_geo.grid import Grid
from narcf_geo.statistics.scores import scores

if TYPE_CHECKING:
    import geopandas as gpd

SEASONS = ("DJF", "MAM", "JJA", "SON")


def compare(
    estimate: xr.DataArray, observed: xr.DataArray, cell_area: xr.DataArray
) -> dict[str, Any]:
    """Score `estimate` against `observed` on the cells and months that both have.

    Parameters
    ----------
    estimate, observed : xarray.DataArray
        (time, lat, lon), umol m-2 s-1, on the same grid; paired by their months.
    cell_area : xarray.DataArray
        (lat, lon), m2: the weights. Cells of no area count for nothing.

    Returns
    -------
    dict
        The scores of `metrics.scores`, weighted by area, in umol m-2 s-1 where they have a unit;
        ``bias_TgC_per_year`` (summed over areas and true month lengths, per 12 months), ``n``
        pairs, and ``period`` from first to last month with a pair.

    Raises
    ------
    UsageError
        When the two are on different grids.
    """
    estimate, observed = paired(estimate, observed)
    pair = estimate.notnull() & observed.notnull() & (cell_area > 0)
    weight = np.broadcast_to(cell_area.values, estimate.shape)
    result: dict[str, Any] = scores(estimate.values, observed.values, weight)
    months = pd.DatetimeIndex(estimate["time"].values[pair.any(["lat", "lon"]).values])
    difference = (estimate.astype(np.float64) - observed.astype(np.float64)).where(pair)
    total = float(cell_total(difference, cell_area).sum())
    result["bias_TgC_per_year"] = total * 12 / len(months) if len(months) else float("nan")
    result["period"] = [f"{m:%Y-%m}" for m in (months[[0, -1]] if len(months) else months)]
    return result


def compare_on_common(
    fluxes: Mapping[str, xr.DataArray], observed: xr.DataArray, cell_area: xr.DataArray
) -> dict[str, dict[str, Any]]:
    """Score several fluxes against one, all on the cells and months that every one of them has.

    Parameters
    ----------
    fluxes : mapping of str to xarray.DataArray
        As `estimate` of `compare`, by name.
    observed, cell_area
        As for `compare`.

    Returns
    -------
    dict
        Name to what `compare` returns; ``n`` and ``period`` are the same in all.
    """
    common = observed.notnull()
    for flux in fluxes.values():
        common, known = xr.align(common, flux.notnull(), join="inner")
        common = common & known
    return {name: compare(flux.where(common), observed, cell_area) for name, flux in fluxes.items()}


def by_month(
    estimate: xr.DataArray, observed: xr.DataArray, cell_area: xr.DataArray
) -> dict[str, Any]:
    """Score each calendar month, ``"1"`` to ``"12"``, that the data have."""
    return _by_time(estimate, observed, cell_area, "month", range(1, 13))


def by_season(
    estimate: xr.DataArray, observed: xr.DataArray, cell_area: xr.DataArray
) -> dict[str, Any]:
    """Score each season, ``"DJF"`` to ``"SON"``, that the data have, over all years together."""
    return _by_time(estimate, observed, cell_area, "season", SEASONS)


def by_year(
    estimate: xr.DataArray, observed: xr.DataArray, cell_area: xr.DataArray
) -> dict[str, Any]:
    """Score each calendar year, such as ``"2014"``, that the data have, whole or in part."""
    years = np.unique(estimate["time"].dt.year.values)
    return _by_time(estimate, observed, cell_area, "year", years)


def by_biome(
    estimate: xr.DataArray, observed: xr.DataArray, cell_area: xr.DataArray, biome: xr.DataArray
) -> dict[str, Any]:
    """Score each IGBP class (by number) that has an estimate."""
    result = {}
    for number, igbp in enumerate(IGBP):
        inside_it = estimate.where(biome == number)
        if np.isfinite(inside_it).any():
            result[str(number)] = {"name": igbp.name, **compare(inside_it, observed, cell_area)}
    return result


def by_region(
    estimate: xr.DataArray,
    observed: xr.DataArray,
    cell_area: xr.DataArray,
    regions: gpd.GeoDataFrame,
    *,
    name: str | None = None,
) -> dict[str, Any]:
    """Score each region, every cell weighted by its area inside the region.

    Parameters
    ----------
    estimate, observed, cell_area
        As for `compare`; `estimate` with its coordinates.
    regions : geopandas.GeoDataFrame
        Polygons in any CRS. They may overlap; polygons of one name are one region.
    name : str, optional
        The column that names them; see `regions.named_regions`.

    Returns
    -------
    dict
        Name to what `compare` returns, with ``area_km2`` of the cells' parts inside; a region
        beside the grid has no pairs.

    Raises
    ------
    UsageError
        When there is no such column, or no CRS.
    """
    unions = named_regions(regions, name)
    shares = inside(Grid.from_dataset(estimate), unions)
    result = {}
    for label, share in zip(unions.index, shares, strict=True):
        area = cell_area * xr.DataArray(share, dims=("lat", "lon"))
        found = compare(estimate, observed, area)
        result[label] = {**found, "area_km2": float(area.sum()) / 1e6}
    return result


def paired(estimate: xr.DataArray, observed: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the months that two fluxes share, with the same order of dimensions.

    Raises
    ------
    UsageError
        When `observed` lacks cells of the grid of `estimate`.
    """
    one, other = xr.align(estimate, observed, join="inner", copy=False)
    if any(one.sizes[d] < estimate.sizes[d] for d in ("lat", "lon")):
        raise UsageError(
            f"expected two fluxes on one grid, found {dict(estimate.sizes)} and "
            f"{dict(observed.sizes)} cells, of which they share {one.sizes['lat']} latitudes and "
            f"{one.sizes['lon']} longitudes; regrid one to the other first"
        )
    return one, other.transpose(*one.dims)


def _by_time(
    estimate: xr.DataArray,
    observed: xr.DataArray,
    cell_area: xr.DataArray,
    part: str,
    values: Any,
) -> dict[str, Any]:
    label = getattr(estimate["time"].dt, part)
    present = set(label.values.tolist())
    return {
        str(value): compare(estimate[label == value], observed, cell_area)
        for value in values
        if value in present
    }
