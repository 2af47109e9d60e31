"""Budgets: fluxes summed over areas and true month lengths, in tables."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from narcf_geo.budget.totals import TGC_PER_UMOL, cell_total, flux_and_area
from narcf_geo.core.constants import IGBP, SECONDS_PER_DAY
from narcf_geo.core.errors import UsageError
from narcf_geo.core.months import days_in_month
from narcf_geo.fields import class_field, flux_field, in_house_order, on_one_grid
from narcf_geo.fields.regions import inside, open_regions, without_overlap
from narcf_geo.fields.values import Sign
from narcf_geo.grid import Grid

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from narcf_geo.statistics.error_model import ErrorModel

Period = Literal["year", "month"]
"""What a total is of."""

Parts = dict[str, tuple[str, np.ndarray]]
"""Key of a part to its name and to its share of each cell (lat, lon)."""

COLUMNS = (
    "biome",
    "name",
    "year",
    "area_km2",
    "mean_flux_umol_m2_s",
    "flux_TgC",
    "reference_TgC",
)
INTERVAL_COLUMNS = ("flux_TgC_std", "flux_TgC_lower", "flux_TgC_upper")
"""Added where the errors of the flux are given."""


@dataclass(frozen=True)
class _Fluxes:
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
    ) -> _Fluxes:
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
        time stamp), ``area_km2`` (cells with a flux then), ``mean_flux_umol_m2_s`` (weighted by
        area and days), ``flux_TgC`` and ``reference_TgC`` (TgC of the months in the data). Where a
        reference is given, its total is over the cells and months that both have. With `errors`
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
    fluxes = _Fluxes.of(flux, cell_area, reference, std, units, sign)
    classes = on_one_grid(fluxes.flux, class_field(biome))[1]
    return _budget(fluxes, biome_parts(classes), errors, by)


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
    fluxes = _Fluxes.of(flux, cell_area, reference, std, units, sign)
    fraction = in_house_order(class_fraction, "class_fraction")
    return _budget(fluxes, fraction_parts(on_one_grid(fluxes.flux, fraction)[1]), errors, by)


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
    fluxes = _Fluxes.of(flux, cell_area, reference, std, units, sign)
    shapes = without_overlap(open_regions(regions, name))
    names = [str(n) for n in shapes.index]
    if taken := {"rest", "all"} & set(names):
        raise UsageError(
            f"expected regions of other names than 'rest' and 'all', which the table has for what "
            f"lies outside and for the whole, found {taken.pop()!r}; rename it"
        )
    shares = inside(Grid.from_dataset(fluxes.flux), shapes)
    parts = {n: (n, share) for n, share in zip(names, shares, strict=True)}
    table = _budget(fluxes, _closed(parts, "outside"), errors, by, always=names)
    return table.rename(columns={"biome": "region"})


def biome_parts(biome: xr.DataArray) -> Parts:
    """Return the cells of each majority class (lat, lon), of no class, and of all."""
    return _closed({str(n): (cls.name, (biome == n).values) for n, cls in enumerate(IGBP)})


def fraction_parts(class_fraction: xr.DataArray) -> Parts:
    """Return the share of each cell's land (lat, lon) in each class, in none, and in all."""
    land = class_fraction.sel(igbp_class=slice(1, 16)).fillna(0.0).astype(np.float64)
    whole = land.sum("igbp_class")
    share = (land / whole).where(whole > 0, 0.0).transpose("igbp_class", "lat", "lon")
    return _closed(
        {
            str(n): (IGBP[n].name, share.sel(igbp_class=n).values)
            for n in land["igbp_class"].values.tolist()
        }
    )


def _closed(parts: Parts, rest_name: str = "no class", whole: str = "whole region") -> Parts:
    """Return the shares (lat, lon) of each cell with the rest that makes them whole."""
    rest = 1.0 - np.sum([share for _, share in parts.values()], axis=0)
    # What is left of a sum of fractions by rounding is no land without a class.
    rest = np.where(np.abs(rest) < 1e-9, 0.0, rest)
    return {**parts, "rest": (rest_name, rest), "all": (whole, np.ones_like(rest))}


def _budget(
    fluxes: _Fluxes,
    parts: Parts,
    errors: ErrorModel | None,
    by: Period,
    always: Collection[str] = (),
) -> pd.DataFrame:
    """Return the table of the parts; those named in `always` have a row without any cell too."""
    import pandas as pd

    if by not in ("year", "month"):
        raise UsageError(f"expected totals by 'year' or 'month', found {by!r}")
    flux, cell_area = fluxes.flux, fluxes.area
    days = days_in_month(flux["time"]).values[:, None, None]
    values = cell_total(flux, cell_area).values
    valid = np.isfinite(values)
    weight = np.where(valid, cell_area.values * days, 0.0)
    other = np.full(values.shape, np.nan)
    if fluxes.reference is not None:
        aligned = fluxes.reference.reindex(time=flux["time"])
        other = np.where(valid, cell_total(aligned, cell_area).values, np.nan)
    periods = flux["time"].dt.year.values if by == "year" else flux["time"].values
    rows = []
    for period in np.unique(periods):
        months = periods == period
        known = valid[months].any(axis=0)
        total = np.nansum(values[months], axis=0)
        weights = weight[months].sum(axis=0)
        both = np.where(np.isfinite(other[months]).any(axis=0), np.nansum(other[months], 0), np.nan)
        stamp = int(period) if by == "year" else pd.Timestamp(period)
        for key, (name, share) in parts.items():
            counted = known & (share > 0)
            if not counted.any():
                if key in always:
                    rows.append({"biome": key, "name": name, by: stamp, "area_km2": 0.0})
                continue
            sum_, pairs = (total * share)[counted].sum(), (both * share)[counted]
            seconds = (weights * share)[counted].sum() * SECONDS_PER_DAY
            rows.append(
                {
                    "biome": key,
                    "name": name,
                    by: stamp,
                    "area_km2": (cell_area.values * share)[counted].sum() / 1e6,
                    "mean_flux_umol_m2_s": sum_ / TGC_PER_UMOL / seconds,
                    "flux_TgC": sum_,
                    "reference_TgC": np.nansum(pairs) if np.isfinite(pairs).any() else np.nan,
                }
            )
    table = pd.DataFrame(rows, columns=[by if name == "year" else name for name in COLUMNS])
    if errors is None:
        return table
    return table.merge(_intervals(fluxes, errors, parts, by), on=["biome", by], how="left")


def _intervals(fluxes: _Fluxes, errors: ErrorModel, parts: Parts, by: Period) -> pd.DataFrame:
    from narcf_geo.budget.intervals import total_intervals

    if fluxes.std is None:
        raise UsageError("expected the standard deviation of the flux (std) with its errors")
    shares = {key: share for key, (_, share) in parts.items()}
    fields = xr.Dataset({"flux": fluxes.flux, "flux_std": fluxes.std})
    table = total_intervals(fields, errors, fluxes.area, shares, by=by)
    ends = dict(zip(("std_TgC", "lower_TgC", "upper_TgC"), INTERVAL_COLUMNS, strict=True))
    return table.rename(columns={"part": "biome", **ends})[["biome", by, *INTERVAL_COLUMNS]]
