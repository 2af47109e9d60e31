"""Budgets: fluxes summed over areas and true month lengths, in tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from narcf_geo.budget.intervals import PartIntervals, part_intervals
from narcf_geo.budget.parts import (
    REST,
    WHOLE,
    Parts,
    biome_parts,
    fraction_parts,
    region_parts,
)
from narcf_geo.budget.sums import PartSums
from narcf_geo.budget.totals import TGC_PER_UMOL, flux_and_area
from narcf_geo.core.errors import UsageError
from narcf_geo.fields import class_field, flux_field, in_house_order, on_one_grid
from narcf_geo.fields.regions import open_regions, region_shares, without_overlap
from narcf_geo.fields.values import Sign
from narcf_geo.grid import Grid

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from narcf_geo.statistics.error_model import ErrorModel

Period = Literal["year", "month"]
"""What a total is of."""

COLUMNS = (
    "biome",
    "name",
    "year",
    "months",
    "coverage",
    "area_km2",
    "mean_flux_umol_m2_s",
    "flux_TgC",
    "reference_TgC",
    "reference_coverage",
)
INTERVAL_COLUMNS = ("flux_TgC_std", "flux_TgC_lower", "flux_TgC_upper")
"""Added where the errors of the flux are given."""


@dataclass(frozen=True)
class Fluxes:
    """What a budget is made of, past the door and on one grid: (time, lat, lon), `area` in m2."""

    flux: xr.DataArray
    area: xr.DataArray
    reference: xr.DataArray | None
    std: xr.DataArray | None

    @classmethod
    def of(
        cls,
        flux: xr.DataArray,
        cell_area: xr.DataArray | None,
        reference: xr.DataArray | None,
        std: xr.DataArray | None,
        units: str | None,
        sign: Sign | None,
    ) -> Fluxes:
        """Take fluxes through the door; see `biome_budget`."""
        flux, area = flux_and_area(flux, cell_area, units=units, sign=sign)
        if reference is not None:
            reference = on_one_grid(flux, flux_field(reference, where="reference"))[1]
        if std is not None:
            std = flux_field(std, where="std", sign="to_atmosphere")
            std = on_one_grid(flux, std)[1].reindex(time=flux["time"])
        return cls(flux, area, reference, std)


def biome_budget(
    flux: xr.DataArray,
    biome: xr.DataArray,
    cell_area: xr.DataArray | None = None,
    reference: xr.DataArray | None = None,
    *,
    std: xr.DataArray | None = None,
    errors: ErrorModel | None = None,
    by: Period = "year",
    units: str | None = None,
    sign: Sign | None = None,
) -> pd.DataFrame:
    """Return the budget of each biome and year, and of the region (biome ``all``).

    A cell's whole area counts for its majority class. Cells without a class are the biome ``rest``,
    so that the parts always sum to the whole.

    Parameters
    ----------
    flux : xarray.DataArray
        Monthly mean flux along time, latitude and longitude, in a unit that converts to
        umol m-2 s-1.
    biome : xarray.DataArray
        Majority IGBP class of each cell, matched to `flux` by its labels.
    cell_area : xarray.DataArray, optional
        Area of each cell; by default that of the grid's cells.
    reference : xarray.DataArray, optional
        Another product on the same grid; taken by its months.
    std : xarray.DataArray, optional
        Standard deviation of the flux, as `flux`. Needed with `errors`.
    errors : ErrorModel, optional
        Errors of data that were not used for fitting, which give the totals their intervals.
    by : {"year", "month"}
        What a total is of.
    units, sign : str, optional
        Of `flux`, where its attributes do not say; see `monthly_total`.

    Returns
    -------
    pandas.DataFrame
        Columns ``biome`` (IGBP number, ``rest`` or ``all``), ``name``, ``year`` or ``month`` (a
        time stamp), ``months`` (how many of the period have a flux: a year of fewer than 12 is no
        annual total), ``coverage`` (share, 0 to 1, of area and days with a flux, of the cells that
        ever have one and the whole period), ``area_km2`` (cells with a flux then),
        ``mean_flux_umol_m2_s`` (weighted by area and days), ``flux_TgC`` and ``reference_TgC``
        (TgC of the months in the data). Where a reference is given, its total is over the cells
        and months that both have, whose share is ``reference_coverage``. With `errors`
        also ``flux_TgC_std`` and the ends of the 95 % interval, ``flux_TgC_lower`` and
        ``flux_TgC_upper``.

    Raises
    ------
    FieldError
        When a unit is missing or of another quantity, the values are not monthly, or a class is
        none of IGBP.
    GridMismatchError
        When the arrays are on different grids.

    Examples
    --------
    >>> import pandas as pd
    >>> place = {"lat": [46.5, 45.5], "lon": [-100.5]}
    >>> flux = xr.DataArray(
    ...     [[[-1.0], [0.5]]], {"time": pd.to_datetime(["2015-07-01"]), **place},
    ...     ("time", "lat", "lon"), attrs={"units": "umol m-2 s-1"})
    >>> biome = xr.DataArray([[5], [12]], place, ("lat", "lon"))
    >>> area = xr.DataArray([[8.5e9], [8.7e9]], place, ("lat", "lon"), attrs={"units": "m2"})
    >>> table = biome_budget(flux, biome, area)
    >>> table[["biome", "name", "flux_TgC"]].round(4).values.tolist()
    [['5', 'mixed forest', -0.2734], ['12', 'croplands', 0.1399], ['all', 'whole region', -0.1335]]
    """
    fluxes = Fluxes.of(flux, cell_area, reference, std, units, sign)
    classes = on_one_grid(fluxes.flux, class_field(biome))[1]
    return Budgets.of(fluxes, [biome_parts(classes)], errors).table(0, by)


def fraction_budget(
    flux: xr.DataArray,
    class_fraction: xr.DataArray,
    cell_area: xr.DataArray | None = None,
    reference: xr.DataArray | None = None,
    *,
    std: xr.DataArray | None = None,
    errors: ErrorModel | None = None,
    by: Period = "year",
    units: str | None = None,
    sign: Sign | None = None,
) -> pd.DataFrame:
    """Return the budget of each biome and year, each cell shared among its land classes.

    A cell's flux and area are shared by the fractions of classes 1 to 16, taken as parts of the
    land. What lies in cells without such a fraction is the biome ``rest``.

    Parameters
    ----------
    flux, cell_area, reference, std, errors, by, units, sign
        As for `biome_budget`.
    class_fraction : xarray.DataArray
        Along ``igbp_class``, latitude and longitude, 0 to 1.

    Returns
    -------
    pandas.DataFrame
        As of `biome_budget`.
    """
    fluxes = Fluxes.of(flux, cell_area, reference, std, units, sign)
    fraction = in_house_order(class_fraction, "class_fraction")
    parts = fraction_parts(on_one_grid(fluxes.flux, fraction)[1])
    return Budgets.of(fluxes, [parts], errors).table(0, by)


def region_budget(
    flux: xr.DataArray,
    regions: gpd.GeoDataFrame | gpd.GeoSeries | str | PathLike[str],
    cell_area: xr.DataArray | None = None,
    reference: xr.DataArray | None = None,
    *,
    name: str | None = None,
    std: xr.DataArray | None = None,
    errors: ErrorModel | None = None,
    by: Period = "year",
    units: str | None = None,
    sign: Sign | None = None,
) -> pd.DataFrame:
    """Return the budget of each region and year, cells at an edge by the part inside.

    Parameters
    ----------
    flux, cell_area, reference, std, errors, by, units, sign
        As for `biome_budget`.
    regions : geopandas.GeoDataFrame or path
        Polygons that do not overlap, in any CRS; those of one name are one region.
    name : str, optional
        The column that names them; see `narcf_geo.fields.regions.open_regions`.

    Returns
    -------
    pandas.DataFrame
        As of `biome_budget`, with ``region`` in the place of ``biome``; ``rest`` lies outside all
        polygons. A region without any cell has a row with area 0 and no flux.

    Raises
    ------
    UsageError
        When there is no such column, no CRS, or polygons overlap by more than slivers.
    FieldError, GridMismatchError
        As for `biome_budget`.

    Examples
    --------
    >>> import geopandas as gpd
    >>> import numpy as np
    >>> import pandas as pd
    >>> from shapely import box
    >>> flux = xr.DataArray(
    ...     -np.ones((1, 2, 2)), dims=("time", "lat", "lon"), attrs={"units": "umol m-2 s-1"},
    ...     coords={"time": pd.to_datetime(["2015-07-01"]), "lat": [45.5, 46.5],
    ...             "lon": [-100.5, -99.5]})
    >>> half = gpd.GeoDataFrame({"name": ["west"]}, geometry=[box(-101, 45, -100, 47)], crs=4326)
    >>> region_budget(flux, half)[["region", "area_km2"]].round(0).values.tolist()
    [['west', 17177.0], ['rest', 17177.0], ['all', 34354.0]]
    """
    fluxes = Fluxes.of(flux, cell_area, reference, std, units, sign)
    parts = polygon_parts(fluxes.flux, regions, name)
    return Budgets.of(fluxes, [parts], errors).region_table(0, by)


def polygon_parts(
    field: xr.DataArray,
    regions: gpd.GeoDataFrame | gpd.GeoSeries | str | PathLike[str],
    name: str | None = None,
) -> Parts:
    """Return the share of each cell of a field in each polygon; see `region_budget`."""
    shapes = without_overlap(open_regions(regions, name))
    if taken := {REST, WHOLE} & {str(n) for n in shapes.index}:
        raise UsageError(
            f"expected regions of other names than 'rest' and 'all', which the table has for what "
            f"lies outside and for the whole, found {taken.pop()!r}; rename it"
        )
    return region_parts(region_shares(Grid.from_dataset(field), shapes), shapes)


@dataclass(frozen=True)
class Budgets:
    """Budgets of several divisions of a region, of one pass over the fluxes.

    Attributes
    ----------
    divisions : sequence of Parts
        Such as biomes and regions.
    sums : PartSums
        Of the parts of all of them.
    intervals : PartIntervals, optional
        The same.
    """

    divisions: Sequence[Parts]
    sums: PartSums
    intervals: PartIntervals | None

    @classmethod
    def of(cls, fluxes: Fluxes, divisions: Sequence[Parts], errors: ErrorModel | None) -> Budgets:
        """Sum fluxes over the parts of all divisions; lazy fluxes are read window by window."""
        share = Parts.joined(divisions).share
        fields = {"flux": fluxes.flux}
        if fluxes.reference is not None:
            fields["reference"] = fluxes.reference.reindex(time=fluxes.flux["time"])
        sums = PartSums.of(fields, fluxes.area, share)
        if errors is None:
            return cls(divisions, sums, None)
        if fluxes.std is None:
            raise UsageError("expected the standard deviation of the flux (std) with its errors")
        spread = {"flux": fluxes.flux, "flux_std": fluxes.std}
        return cls(divisions, sums, part_intervals(spread, errors, fluxes.area, share))

    def table(self, number: int, by: Period = "year", *, always: bool = False) -> pd.DataFrame:
        """Return the table of a division, `always` with a row for parts without any cell too."""
        import pandas as pd

        if by not in ("year", "month"):
            raise UsageError(f"expected totals by 'year' or 'month', found {by!r}")
        sums = getattr(self.sums, by)
        between = getattr(self.intervals, by) if self.intervals else None
        first = sum(len(parts.names) for parts in self.divisions[:number])
        parts = list(enumerate(self.divisions[number].names.items(), start=first))
        rows: list[dict[str, Any]] = []
        for t, period in enumerate(sums.period):
            stamp = int(period) if by == "year" else pd.Timestamp(period)
            for p, (key, name) in parts:
                at = p, t
                row = {"biome": key, "name": name, by: stamp, "area_km2": sums.area[at] / 1e6}
                row |= {"months": sums.months[at], "coverage": sums.coverage[at]}
                if sums.cells[at]:
                    seconds, total = sums.weight[at], sums.flux[at]
                    row["mean_flux_umol_m2_s"] = total / TGC_PER_UMOL / seconds
                    row |= {"flux_TgC": total, "reference_TgC": sums.reference[at]}
                    if not np.isnan(sums.reference[at]):
                        row["reference_coverage"] = sums.reference_coverage[at]
                elif not always or key in (REST, WHOLE):
                    continue
                if between:
                    half = between.half[at]
                    ends = between.std[at], between.flux[at] - half, between.flux[at] + half
                    row |= dict(zip(INTERVAL_COLUMNS, ends, strict=True))
                rows.append(row)
        columns = [by if name == "year" else name for name in COLUMNS]
        return pd.DataFrame(rows, columns=columns + list(INTERVAL_COLUMNS if between else ()))

    def region_table(self, number: int, by: Period = "year") -> pd.DataFrame:
        """Return the table of polygons, whose first column is ``region``."""
        return self.table(number, by, always=True).rename(columns={"biome": "region"})


def complete_years(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of years that have a flux in all twelve months.

    Parameters
    ----------
    table : pandas.DataFrame
        Of years, as from `biome_budget`. Where no row of the whole region (biome ``all``) is
        complete it is returned as it is: its totals are of parts of years.
    """
    whole = table["months"] == 12
    key = "biome" if "biome" in table else "region"
    known = whole & (table[key].astype(str) == WHOLE)
    return table[whole] if known.any() else table
