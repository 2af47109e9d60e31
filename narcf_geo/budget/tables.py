"""Budgets: fluxes summed over areas and true month lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from narcf_geo.budget.totals import TGC_PER_UMOL, cell_total
from narcf_geo.core.constants import IGBP, SECONDS_PER_DAY
from narcf_geo.core.errors import UsageError
from narcf_geo.core.months import days_in_month
from narcf_geo.fields.regions import inside, named_regions
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
    "biome", "name", "year", "area_km2", "mean_flux_umol_m2_s", "flux_TgC", "reference_TgC"
)  # fmt: skip
INTERVAL_COLUMNS = ("flux_TgC_std", "flux_TgC_lower", "flux_TgC_upper")
"""Added where the errors of the flux are given."""


def biome_budget(
    flux: xr.DataArray,
    biome: xr.DataArray,
    cell_area: xr.DataArray,
    reference: xr.DataArray | None = None,
    *,
    std: xr.DataArray | None = None,
    errors: ErrorModel | None = None,
    by: Period = "year",
) -> pd.DataFrame:
    """Return the budget of each biome and year, and of the region (biome ``all``).

    A cell's whole area counts for its majority class. Cells without a class are the biome ``rest``,
    so that the parts always sum to the whole.

    Parameters
    ----------
    flux : xarray.DataArray
        (time, lat, lon), umol m-2 s-1, positive to the atmosphere.
    biome : xarray.DataArray
        Majority IGBP class (lat, lon).
    cell_area : xarray.DataArray
        (lat, lon), m2.
    reference : xarray.DataArray, optional
        Another product on the same grid; taken by its months.
    std : xarray.DataArray, optional
        Standard deviation of the flux, as `flux`. Needed with `errors`.
    errors : ErrorModel, optional
        Held-out errors, from which the totals get their intervals.
    by : {"year", "month"}
        What a total is of.

    Returns
    -------
    pandas.DataFrame
        Columns ``biome`` (IGBP number, ``rest`` or ``all``), ``name``, ``year`` or ``month`` (a
        time stamp), ``area_km2`` (cells with a flux then), ``mean_flux_umol_m2_s`` (weighted by
        area and days), ``flux_TgC`` and ``reference_TgC`` (TgC of the months in the data). Where a
        reference is given, its total is over the cells and months that both have. With `errors`
        also ``flux_TgC_std`` and the ends of the 95 % interval, ``flux_TgC_lower`` and
        ``flux_TgC_upper``.
    """
    return _budget(flux, cell_area, biome_parts(biome), reference, std, errors, by)


def fraction_budget(
    flux: xr.DataArray,
    class_fraction: xr.DataArray,
    cell_area: xr.DataArray,
    reference: xr.DataArray | None = None,
    *,
    std: xr.DataArray | None = None,
    errors: ErrorModel | None = None,
    by: Period = "year",
) -> pd.DataFrame:
    """Return the budget of each biome and year, each cell shared among its land classes.

    A cell's flux and area are shared by the fractions of classes 1 to 16, taken as parts of the
    land. What lies in cells without such a fraction is the biome ``rest``.

    Parameters
    ----------
    flux, cell_area, reference, std, errors, by
        As for `biome_budget`.
    class_fraction : xarray.DataArray
        (igbp_class, lat, lon), 0 to 1.

    Returns
    -------
    pandas.DataFrame
        As of `biome_budget`.
    """
    return _budget(flux, cell_area, fraction_parts(class_fraction), reference, std, errors, by)


def region_budget(
    flux: xr.DataArray,
    regions: gpd.GeoDataFrame,
    cell_area: xr.DataArray,
    reference: xr.DataArray | None = None,
    *,
    name: str | None = None,
    std: xr.DataArray | None = None,
    errors: ErrorModel | None = None,
    by: Period = "year",
) -> pd.DataFrame:
    """Return the budget of each region and year, cells at an edge by the part inside.

    Parameters
    ----------
    flux, cell_area, reference, std, errors, by
        As for `biome_budget`; `flux` with its coordinates.
    regions : geopandas.GeoDataFrame
        Polygons that do not overlap, in any CRS; those of one name are one region.
    name : str, optional
        The column that names them; see `regions.named_regions`.

    Returns
    -------
    pandas.DataFrame
        As of `biome_budget`, with ``region`` in the place of ``biome``; ``rest`` lies outside all
        polygons.

    Raises
    ------
    UsageError
        When there is no such column, no CRS, or polygons overlap.
    """
    shapes = named_regions(regions, name)
    shares = inside(Grid.from_dataset(flux), shapes)
    most = max(shares.sum(axis=0).max(), 0.0)
    if most > 1 + 1e-6:
        raise UsageError(f"expected regions that do not overlap, found a cell {most:.2f} times in")
    parts = {str(n): (str(n), share) for n, share in zip(shapes.index, shares, strict=True)}
    table = _budget(flux, cell_area, _closed(parts, "outside"), reference, std, errors, by)
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
    flux: xr.DataArray,
    cell_area: xr.DataArray,
    parts: Parts,
    reference: xr.DataArray | None,
    std: xr.DataArray | None,
    errors: ErrorModel | None,
    by: Period,
) -> pd.DataFrame:
    import pandas as pd

    flux = flux.transpose("time", ...)
    days = days_in_month(flux["time"]).values[:, None, None]
    values = cell_total(flux, cell_area).values
    valid = np.isfinite(values)
    weight = np.where(valid, cell_area.values * days, 0.0)
    other = np.full(values.shape, np.nan)
    if reference is not None:
        aligned = reference.reindex(time=flux["time"])
        other = np.where(valid, cell_total(aligned, cell_area).values, np.nan)
    periods = flux["time"].dt.year.values if by == "year" else flux["time"].values
    rows = []
    for period in np.unique(periods):
        months = periods == period
        known = valid[months].any(axis=0)
        total = np.nansum(values[months], axis=0)
        weights = weight[months].sum(axis=0)
        both = np.where(np.isfinite(other[months]).any(axis=0), np.nansum(other[months], 0), np.nan)
        for key, (name, share) in parts.items():
            counted = known & (share > 0)
            if not counted.any():
                continue
            sum_, pairs = (total * share)[counted].sum(), (both * share)[counted]
            rows.append(
                {
                    "biome": key,
                    "name": name,
                    by: int(period) if by == "year" else pd.Timestamp(period),
                    "area_km2": (cell_area.values * share)[counted].sum() / 1e6,
                    "mean_flux_umol_m2_s": sum_
                    / TGC_PER_UMOL
                    / ((weights * share)[counted].sum() * SECONDS_PER_DAY),
                    "flux_TgC": sum_,
                    "reference_TgC": np.nansum(pairs) if np.isfinite(pairs).any() else np.nan,
                }
            )
    table = pd.DataFrame(rows, columns=[by if name == "year" else name for name in COLUMNS])
    if errors is None:
        return table
    return table.merge(
        _intervals(flux, std, errors, cell_area, parts, by), on=["biome", by], how="left"
    )


def _intervals(
    flux: xr.DataArray,
    std: xr.DataArray | None,
    errors: ErrorModel,
    cell_area: xr.DataArray,
    parts: Parts,
    by: Period,
) -> pd.DataFrame:
    from narcf_geo.budget.intervals import total_intervals

    if std is None:
        raise UsageError("expected the standard deviation of the flux (std) with its errors")
    shares = {key: share for key, (_, share) in parts.items()}
    fields = xr.Dataset({"flux": flux, "flux_std": std})
    table = total_intervals(fields, errors, cell_area, shares, by=by)
    ends = dict(zip(("std_TgC", "lower_TgC", "upper_TgC"), INTERVAL_COLUMNS, strict=True))
    return table.rename(columns={"part": "biome", **ends})[["biome", by, *INTERVAL_COLUMNS]]
