"""Budgets: fluxes summed over areas and true month lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from narcf_geo.constants import CARBON_MOLAR_MASS, IGBP, SECONDS_PER_DAY
from narcf_geo.months import days_in_month

if TYPE_CHECKING:
    import pandas as pd

TGC_PER_UMOL = 1e-6 * CARBON_MOLAR_MASS * 1e-12
COLUMNS = (
    "biome", "name", "year", "area_km2", "mean_flux_umol_m2_s", "flux_TgC", "reference_TgC"
)  # fmt: skip


def cell_total(flux: xr.DataArray, cell_area: xr.DataArray) -> xr.DataArray:
    """Return the carbon each cell exchanges in each month.

    Parameters
    ----------
    flux : xarray.DataArray
        Mean flux (time, lat, lon), umol m-2 s-1.
    cell_area : xarray.DataArray
        (lat, lon), m2.

    Returns
    -------
    xarray.DataArray
        TgC per month and cell, float64, of the flux's sign; NaN where the flux is.
    """
    seconds = days_in_month(flux["time"]) * SECONDS_PER_DAY
    total = flux.astype(np.float64) * cell_area * seconds * TGC_PER_UMOL
    total.attrs = {"units": "Tg month-1", "long_name": "carbon flux of the cell"}
    return total.transpose(*flux.dims)


def monthly_total(flux: xr.DataArray, cell_area: xr.DataArray) -> xr.DataArray:
    """Return the total of the region in TgC per month, shape (time,)."""
    total = cell_total(flux, cell_area).sum(["lat", "lon"])
    total.attrs = {"units": "Tg month-1", "long_name": "carbon flux of the region"}
    return total


def biome_budget(
    flux: xr.DataArray,
    biome: xr.DataArray,
    cell_area: xr.DataArray,
    reference: xr.DataArray | None = None,
) -> pd.DataFrame:
    """Return the budget of each biome and year, and of the region (biome ``all``).

    Parameters
    ----------
    flux : xarray.DataArray
        (time, lat, lon), umol m-2 s-1, positive to the atmosphere.
    biome : xarray.DataArray
        Majority IGBP class (lat, lon); a cell's whole area counts for its majority class.
    cell_area : xarray.DataArray
        (lat, lon), m2.
    reference : xarray.DataArray, optional
        Another product on the same grid; taken by its months.

    Returns
    -------
    pandas.DataFrame
        Columns ``biome`` (IGBP number or ``all``), ``name``, ``year``, ``area_km2`` (cells with a
        flux in that year), ``mean_flux_umol_m2_s`` (weighted by area and days), ``flux_TgC`` and
        ``reference_TgC`` (TgC of the months of that year in the data). Where a reference is given,
        its total is over the cells and months that both have.
    """
    import pandas as pd

    days = days_in_month(flux["time"]).values[:, None, None]
    values = cell_total(flux, cell_area).values
    valid = np.isfinite(values)
    weight = np.where(valid, cell_area.values * days, 0.0)
    other = np.full(values.shape, np.nan)
    if reference is not None:
        aligned = reference.reindex(time=flux["time"])
        other = np.where(valid, cell_total(aligned, cell_area).values, np.nan)
    years = flux["time"].dt.year.values
    classes = [c for c in range(len(IGBP)) if (valid & (biome.values == c)).any()]
    rows = []
    for year in np.unique(years):
        for number in [*classes, None]:
            inside = (years == year)[:, None, None] & valid
            if number is not None:
                inside = inside & (biome.values == number)
            if not inside.any():
                continue
            total = values[inside].sum()
            both = other[inside]
            rows.append(
                {
                    "biome": "all" if number is None else str(number),
                    "name": "whole region" if number is None else IGBP[number].name,
                    "year": int(year),
                    "area_km2": cell_area.values[inside.any(axis=0)].sum() / 1e6,
                    "mean_flux_umol_m2_s": total
                    / TGC_PER_UMOL
                    / (weight[inside].sum() * SECONDS_PER_DAY),
                    "flux_TgC": total,
                    "reference_TgC": np.nansum(both) if np.isfinite(both).any() else np.nan,
                }
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))
