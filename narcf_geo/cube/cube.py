"""The analysis-ready cube: predictors, biomes and fluxes on one grid and one time axis."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.core.months import gaps, to_month_starts, with_month_axis
from narcf_geo.grid import Grid

FLUX_NAMES = {"target": "flux_target", "reference": "flux_reference", "truth": "flux_truth"}


def on_months(
    ds: xr.Dataset, months: pd.DatetimeIndex, required: pd.DatetimeIndex, *, where: str
) -> xr.Dataset:
    """Return `ds` on the time axis `months`; months it has not become NaN.

    A climatology (``time`` numbered 1 to 12) repeats; a dataset without time stays as it is.

    Parameters
    ----------
    ds : xarray.Dataset
        Canonical variables.
    months, required : pandas.DatetimeIndex
        Month starts of the result, and those of them that must be in `ds`.
    where : str
        Names the data in an error.

    Raises
    ------
    NarcfError
        When a required month is absent, or no month is shared.
    """
    if "time" not in ds.dims:
        return ds
    if np.issubdtype(ds["time"].dtype, np.integer):
        repeated = ds.sel(time=xr.DataArray(months.month, dims="time"))
        return with_month_axis(repeated, months)
    present = pd.DatetimeIndex(to_month_starts(ds["time"]))
    missing = required.difference(present)
    shared = months.intersection(present)
    if len(missing) or not len(shared):
        lacking = missing if len(missing) else months
        table = "\n  absent months       count\n" + "\n".join(
            f"  {gap.first:%Y-%m} to {gap.last:%Y-%m}  {gap.months:>4}"
            for gap in gaps(present, lacking)
        )
        raise NarcfError(
            f"{where}: expected every month from {lacking[0]:%Y-%m} to {lacking[-1]:%Y-%m}; "
            f"{len(lacking)} of them are absent, the data reach from {present[0]:%Y-%m} to "
            f"{present[-1]:%Y-%m}. Change period: or split: in narcf.yaml, add files, or mark 12 "
            f"months that stand for every year with `climatology: true`{table}"
        )
    aligned = ds.drop_vars("time_bnds", errors="ignore").assign_coords(time=present)
    if not months.equals(present):
        aligned = aligned.sel(time=shared).reindex(time=months)
    return with_month_axis(aligned, months)


def join(
    predictors: xr.Dataset,
    biomes: xr.Dataset,
    fluxes: Mapping[str, xr.DataArray],
    target: Grid,
) -> xr.Dataset:
    """Join what was regridded into one cube.

    Parameters
    ----------
    predictors : xarray.Dataset
        Canonical variables (time, lat, lon) or (lat, lon).
    biomes : xarray.Dataset
        As from `narcf_geo.cube.biomes.map_biomes`.
    fluxes : mapping
        ``flux_target`` and, where there are any, ``flux_target_std``, ``flux_reference`` and
        ``flux_truth``: (time, lat, lon), umol m-2 s-1, positive to the atmosphere.
    target : Grid
        Their grid.
    """
    pieces: list[xr.Dataset | xr.DataArray] = [predictors, biomes]
    pieces += [array.rename(name) for name, array in fluxes.items()]
    for piece in pieces:
        if (piece.sizes["lat"], piece.sizes["lon"]) != target.shape:
            raise NarcfError(
                f"expected data on the target grid {target.shape}, found "
                f"({piece.sizes['lat']}, {piece.sizes['lon']}); run `narcf-geo regrid` again"
            )
    coords = target.coords()
    horizontal = {name: coords[name] for name in ("lat", "lon")}
    cube: xr.Dataset = xr.merge(
        [piece.assign_coords(horizontal) for piece in pieces],
        join="exact",
        compat="override",
        combine_attrs="override",
    )
    cube["cell_area"] = xr.DataArray(
        target.area,
        dims=("lat", "lon"),
        attrs={"long_name": "cell area", "units": "m2", "standard_name": "cell_area"},
    )
    return with_month_axis(cube.assign_coords(coords), cube["time"].values)
