"""The map of the mean of many months, beside that of the target itself averaged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.statistics.scores import scores


def by_month(flux: xr.DataArray, months: np.ndarray) -> xr.DataArray:
    """Return the mean of each calendar month (month, lat, lon), NaN where there is none.

    Parameters
    ----------
    flux : xarray.DataArray
        (time, lat, lon), lazy or in memory.
    months : numpy.ndarray
        Which months count, bool (time,).
    """
    chosen = flux.isel(time=np.flatnonzero(months))
    return chosen.groupby("time.month").mean().reindex(month=np.arange(1, 13))


def mean_map_scores(
    fields: Mapping[str, xr.DataArray],
    estimate: str,
    train: np.ndarray,
    test: np.ndarray,
    area: xr.DataArray,
) -> dict[str, Any]:
    """Score the mean map of the test months, and what averaging the target would have given.

    A model that learned from a noisy target is worth its map only where that is nearer to the flux
    than the mean of the target over the months that it learned from.

    Parameters
    ----------
    fields : mapping of str to xarray.DataArray
        The estimate, ``target`` and, where it is known, ``truth`` (time, lat, lon), umol m-2 s-1.
    estimate : str
        Name of the estimate.
    train, test : numpy.ndarray
        Which months are of these parts, bool (time,).
    area : xarray.DataArray
        (lat, lon), m2.

    Returns
    -------
    dict
        RMSE of maps in umol m-2 s-1, weighted by area. A map is the mean of a cell's calendar
        months, each of which counts once, over those that all maps of a comparison have.
        ``test``: against the mean map of the test months of ``target`` and of ``truth``, that of
        the ``estimate``, and ``training_mean``, that of the target over the training months, over
        the same ``n`` cells. ``all``: against the truth, the mean maps of all months of
        ``estimate`` and of the ``target`` itself. ``averaging_is_better``, for ``target`` and
        ``truth``: whether the training mean is nearer.
    """
    import dask

    known = fields[estimate].notnull() & fields["target"].notnull()
    every = np.ones(train.size, bool)
    masked = {n: fields[n].where(known) for n in (estimate, "target", "truth") if n in fields}
    trained = by_month(fields["target"], train)
    tested = {name: by_month(field, test) for name, field in masked.items()}
    wanted = {
        name: _means(estimate=tested[estimate], observed=tested[name], training_mean=trained)
        for name in ("target", "truth")
        if name in fields
    }
    if "truth" in fields:
        whole = {name: by_month(field, every) for name, field in masked.items()}
        wanted["all"] = _means(
            estimate=whole[estimate], observed=whole["truth"], target=whole["target"]
        )
    (maps,) = dask.compute(wanted)
    errors = {name: _errors(found, area) for name, found in maps.items()}
    result: dict[str, Any] = {"test": {n: e for n, e in errors.items() if n != "all"}}
    result["averaging_is_better"] = {
        name: found["training_mean"] < found["estimate"] for name, found in result["test"].items()
    }
    if "all" in errors:
        result["all"] = {name: errors["all"][name] for name in ("estimate", "target")}
    return result


def _means(**fields: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return the means over the calendar months that a cell has in all fields (lat, lon)."""
    common = np.logical_and.reduce([field.notnull() for field in fields.values()])
    return {name: field.where(common).mean("month") for name, field in fields.items()}


def _errors(maps: Mapping[str, xr.DataArray], area: xr.DataArray) -> dict[str, float]:
    """Return the RMSE of each map to the observed one, and the number of cells."""
    observed = maps["observed"]
    weight = area.transpose(*observed.dims).values
    cells = np.isfinite(observed.values)
    others = {name: map_ for name, map_ in maps.items() if name != "observed"}
    return {
        **{
            name: scores(map_.values[cells], observed.values[cells], weight[cells])["rmse"]
            for name, map_ in others.items()
        },
        "n": int(cells.sum()),
    }
