"""Scores of gridded fluxes, weighted by area, of the whole and of parts in time and space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from narcf_geo.budget.parts import class_shares
from narcf_geo.budget.totals import flux_and_area
from narcf_geo.core.constants import IGBP
from narcf_geo.evaluation.sums import Pairing, PairSums, pair_sums
from narcf_geo.fields import class_field, flux_field, on_one_grid
from narcf_geo.fields.regions import open_regions, region_shares
from narcf_geo.grid import Grid

if TYPE_CHECKING:
    import geopandas as gpd
    from scipy import sparse

SEASONS = ("DJF", "MAM", "JJA", "SON")


class Pair(NamedTuple):
    """Two fluxes past the door (time, lat, lon) on one grid and the months both have; areas, m2."""

    estimate: xr.DataArray
    observed: xr.DataArray
    area: xr.DataArray

    @classmethod
    def of(
        cls,
        estimate: xr.DataArray,
        observed: xr.DataArray,
        cell_area: xr.DataArray | None = None,
    ) -> Pair:
        """Take two fluxes through the door; see `compare`."""
        one, area = flux_and_area(estimate, cell_area)
        one, other = on_one_grid(one, flux_field(observed, where=_called(observed, "observed")))
        months = one.indexes["time"].intersection(other.indexes["time"])
        return cls(one.sel(time=months), other.sel(time=months), area)

    def valid(self) -> xr.DataArray:
        """Return where both have a value and the cell an area."""
        return self.estimate.notnull() & self.observed.notnull() & (self.area > 0)


def compare(
    estimate: xr.DataArray, observed: xr.DataArray, cell_area: xr.DataArray | None = None
) -> dict[str, Any]:
    """Score `estimate` against `observed` on the cells and months that both have.

    Parameters
    ----------
    estimate, observed : xarray.DataArray
        Monthly fluxes along time, latitude and longitude, on the same grid, in units that convert
        to umol m-2 s-1; paired by their labels and months.
    cell_area : xarray.DataArray, optional
        Area of each cell, the weight; by default that of the grid's cells. Cells of no area count
        for nothing.

    Returns
    -------
    dict
        The scores of `narcf_geo.statistics.scores.scores`, weighted by area, in umol m-2 s-1 where
        they have a unit; ``bias_TgC_per_year`` (summed over areas and true month lengths, per 12
        months), ``n`` pairs, and ``period`` from first to last month with a pair.

    Raises
    ------
    FieldError
        When a unit is missing or not of a CO2 flux, or the values are not monthly.
    GridMismatchError
        When the two are on different grids.

    Examples
    --------
    >>> import pandas as pd
    >>> months = pd.date_range("2015-01", periods=2, freq="MS")
    >>> observed = xr.DataArray(
    ...     [[[0.0, 1.0]], [[2.0, 3.0]]], dims=("time", "lat", "lon"),
    ...     coords={"time": months, "lat": [45.5], "lon": [-100.5, -99.5]},
    ...     attrs={"units": "umol m-2 s-1"})
    >>> area = xr.DataArray([[1e10, 3e10]], {"lat": [45.5], "lon": [-100.5, -99.5]},
    ...                     ("lat", "lon"), attrs={"units": "m2"})
    >>> found = compare(observed + 0.5, observed, area)
    >>> found["bias"], found["n"], found["period"]
    (0.5, 4, ['2015-01', '2015-02'])
    """
    return sums_of(Pair.of(estimate, observed, cell_area)).compared()


def sums_of(
    pair: Pair, groups: sparse.csc_array | None = None, *, components: bool = False
) -> PairSums:
    """Return what the scores of a pair are made of; see `pair_sums`."""
    fields = {"estimate": pair.estimate, "observed": pair.observed}
    months = np.ones(pair.estimate.sizes["time"], dtype=bool)
    asked = Pairing("estimate", "observed", months, groups=groups, components=components)
    return pair_sums(fields, pair.area, {"pair": asked})["pair"]


def compare_on_common(
    fluxes: Mapping[str, xr.DataArray],
    observed: xr.DataArray,
    cell_area: xr.DataArray | None = None,
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
    pairs = {name: Pair.of(flux, observed, cell_area) for name, flux in fluxes.items()}
    # Labels a rounding apart would be lost where masks are combined.
    first = next(iter(pairs.values())).estimate
    pairs = {name: Pair(*on_one_grid(first, *pair)[1:]) for name, pair in pairs.items()}
    months = first.indexes["time"]
    for pair in pairs.values():
        months = months.intersection(pair.estimate.indexes["time"])
    fields: dict[str, xr.DataArray] = {}
    for name, pair in pairs.items():
        fields[f"{name} estimate"] = pair.estimate.sel(time=months)
        fields[f"{name} observed"] = pair.observed.sel(time=months)
    every = np.ones(len(months), dtype=bool)
    asked = {
        name: Pairing(f"{name} estimate", f"{name} observed", every, tuple(fields))
        for name in pairs
    }
    found = pair_sums(fields, next(iter(pairs.values())).area, asked)
    return {name: sums.compared() for name, sums in found.items()}


def by_month(
    estimate: xr.DataArray, observed: xr.DataArray, cell_area: xr.DataArray | None = None
) -> dict[str, Any]:
    """Score each calendar month, ``"1"`` to ``"12"``, that the data have."""
    return sums_of(Pair.of(estimate, observed, cell_area)).by_time("month")


def by_season(
    estimate: xr.DataArray, observed: xr.DataArray, cell_area: xr.DataArray | None = None
) -> dict[str, Any]:
    """Score each season, ``"DJF"`` to ``"SON"``, that the data have, over all years together."""
    return sums_of(Pair.of(estimate, observed, cell_area)).by_time("season", SEASONS)


def by_year(
    estimate: xr.DataArray, observed: xr.DataArray, cell_area: xr.DataArray | None = None
) -> dict[str, Any]:
    """Score each calendar year, such as ``"2014"``, that the data have, whole or in part."""
    return sums_of(Pair.of(estimate, observed, cell_area)).by_time("year")


def by_biome(
    estimate: xr.DataArray,
    observed: xr.DataArray,
    cell_area: xr.DataArray | None,
    biome: xr.DataArray,
) -> dict[str, Any]:
    """Score each IGBP class (by number) that has an estimate; `biome` is matched by its labels."""
    pair = Pair.of(estimate, observed, cell_area)
    classes = on_one_grid(pair.estimate, class_field(biome))[1]
    return scored_biomes(sums_of(pair, class_shares(classes)))


def scored_biomes(sums: PairSums, first: int = 0) -> dict[str, Any]:
    """Return the scores of IGBP classes, which are the groups from `first` on; see `by_biome`."""
    return {
        str(number): {"name": igbp.name, **sums.compared(first + number)}
        for number, igbp in enumerate(IGBP)
        if sums.known[first + number]
    }


def by_region(
    estimate: xr.DataArray,
    observed: xr.DataArray,
    cell_area: xr.DataArray | None,
    regions: gpd.GeoDataFrame | gpd.GeoSeries | str | PathLike[str],
    *,
    name: str | None = None,
) -> dict[str, Any]:
    """Score each region, every cell weighted by its area inside the region.

    Parameters
    ----------
    estimate, observed, cell_area
        As for `compare`.
    regions : geopandas.GeoDataFrame or path
        Polygons in any CRS. They may overlap; polygons of one name are one region.
    name : str, optional
        The column that names them; see `narcf_geo.fields.regions.open_regions`.

    Returns
    -------
    dict
        Name to what `compare` returns, with ``area_km2`` of the cells' parts inside; a region
        beside the grid has no pairs.

    Raises
    ------
    UsageError
        When there is no such column, no CRS, or a polygon has no name.
    """
    pair = Pair.of(estimate, observed, cell_area)
    shapes = open_regions(regions, name)
    shares = region_shares(Grid.from_dataset(pair.estimate), shapes)
    return scored_regions(sums_of(pair, shares.tocsc()), shapes.index, shares, pair.area)


def scored_regions(
    sums: PairSums,
    names: Iterable[Any],
    shares: sparse.csr_array,
    area: xr.DataArray,
    first: int = 0,
) -> dict[str, Any]:
    """Return the scores of regions, which are the groups from `first` on; see `by_region`."""
    areas = shares @ np.nan_to_num(area.values.astype(np.float64).ravel()) / 1e6
    return {
        str(name): {**sums.compared(first + number), "area_km2": float(areas[number])}
        for number, name in enumerate(names)
    }


def _called(flux: xr.DataArray, otherwise: str) -> str:
    return f"{flux.name!r}" if getattr(flux, "name", None) is not None else otherwise
