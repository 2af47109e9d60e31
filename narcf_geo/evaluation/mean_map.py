"""The map of the mean of many months, beside that of the target itself averaged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.statistics.scores import scores


def mean_map(flux: xr.DataArray, months: np.ndarray) -> xr.DataArray:
    """Return the mean of the calendar months, each of which counts once (lat, lon).

    Parameters
    ----------
    flux : xarray.DataArray
        (time, lat, lon), lazy or in memory.
    months : numpy.ndarray
        Which months count, bool (time,).
    """
    chosen = flux.isel(time=np.flatnonzero(months))
    return chosen.groupby("time.month").mean().mean("month")


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
        RMSE of maps in umol m-2 s-1, weighted by area. ``test``: against the mean map of the test
        months of ``target`` and of ``truth``, that of the ``estimate``, and ``training_mean``, that
        of the target over the training months, over the same ``n`` cells. ``all``: against the
        truth, the mean maps of all months of ``estimate`` and of the ``target`` itself.
        ``averaging_is_better``, for ``target`` and ``truth``: whether the training mean is nearer.
    """
    import dask

    known = fields[estimate].notnull() & fields["target"].notnull()
    every = np.ones(train.size, bool)
    masked = {n: fields[n].where(known) for n in (estimate, "target", "truth") if n in fields}
    wanted: dict[tuple[str, str], xr.DataArray] = {
        ("target", "train"): mean_map(fields["target"], train),
        **{(name, "test"): mean_map(field, test) for name, field in masked.items()},
    }
    if "truth" in fields:
        wanted |= {(name, "all"): mean_map(field, every) for name, field in masked.items()}
    (maps,) = dask.compute(wanted)
    weight = area.transpose(*maps[estimate, "test"].dims).values

    def error(one: tuple[str, str], other: tuple[str, str], cells: np.ndarray) -> float:
        return scores(maps[one].values[cells], maps[other].values[cells], weight[cells])["rmse"]

    result: dict[str, Any] = {"test": {}, "averaging_is_better": {}}
    trained = "target", "train"
    for name in [n for n in ("target", "truth") if n in fields]:
        estimated, observed = (estimate, "test"), (name, "test")
        keys = estimated, observed, trained
        cells = np.logical_and.reduce([np.isfinite(maps[key].values) for key in keys])
        of_estimate, of_mean = (error(map_, observed, cells) for map_ in (estimated, trained))
        result["test"][name] = {
            "estimate": of_estimate,
            "training_mean": of_mean,
            "n": int(cells.sum()),
        }
        result["averaging_is_better"][name] = of_mean < of_estimate
    if "truth" in fields:
        true = "truth", "all"
        cells = np.isfinite(maps[true].values)
        of = {"estimate": estimate, "target": "target"}
        result["all"] = {k: error((n, "all"), true, cells) for k, n in of.items()}
    return result
