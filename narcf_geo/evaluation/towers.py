"""Score a gridded flux at towers: each is compared with the cell that contains it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.constants import FLUX_UNITS, IGBP
from narcf_geo.core.errors import FieldError, NarcfError, UsageError
from narcf_geo.evaluation.files import MONTH_COVERED
from narcf_geo.fields import open_flux
from narcf_geo.fields.door import opened
from narcf_geo.fields.reading import named, reading
from narcf_geo.fields.sites import Sites, open_sites
from narcf_geo.fields.values import Sign
from narcf_geo.grid import cells_of
from narcf_geo.grid.locate import cells_at
from narcf_geo.statistics.scores import for_json, scores

if TYPE_CHECKING:
    from narcf_geo.grid import Cells

MIN_QUALITY = 0.5
"""Quality share that a month of a tower must have to be compared, where shares are known."""

MOST_NAMES = 6
"""Names of sites that one note lists."""

REASONS = {
    "off_grid": "off the grid",
    "no_common_months": "no months in common",
    "no_estimate": "their cell has no value",
    "no_observation": "no month of enough quality with a value",
}
"""Why a tower was not compared, and how notes say it."""


def evaluate_towers(
    estimate: str | os.PathLike[str] | xr.Dataset | xr.DataArray,
    towers: str | os.PathLike[str] | pd.DataFrame,
    *,
    estimate_variable: str | None = None,
    tower_variable: str | None = None,
    units: str | None = None,
    sign: Sign | None = None,
    min_quality: float = MIN_QUALITY,
) -> dict[str, Any]:
    """Score a gridded flux against monthly fluxes of towers, each in the cell that contains it.

    Every month of a tower counts the same, whatever the size of its cell. A tower sees about a
    square kilometre of one vegetation: part of the difference is that of the tower to its cell.

    Parameters
    ----------
    estimate : path, xarray.Dataset or xarray.DataArray
        A flux along time, latitude and longitude, on a regular, projected or curvilinear grid;
        finer time steps are averaged to months.
    towers : path or pandas.DataFrame
        Site, latitude, longitude, month and flux, a row each; see
        `narcf_geo.fields.sites.open_sites`.
    estimate_variable, tower_variable : str, optional
        The flux in each.
    units : str, optional
        The unit of the towers' flux, where its column does not say it.
    sign : {"to_atmosphere", "uptake"}, optional
        What positive means in the towers' flux; by default as its name says, else to the
        atmosphere.
    min_quality : float
        Months of a smaller quality share, 0 to 1, are left out where the table has shares.

    Returns
    -------
    dict
        ``all``, ``by_site``, ``by_igbp`` (where classes are known, from the table, else from the
        ``biome`` of the cells), ``by_month`` (calendar month), ``site_means`` (one pair a site) and
        ``anomalies`` (departures from the mean of the same calendar month of the site, of at least
        two years): each the scores of `narcf_geo.statistics.scores.scores`, umol m-2 s-1, with
        ``n`` pairs. ``unmatched``, names of sites not compared, by the reasons of `REASONS`;
        ``estimate``, ``towers``, ``grid``, ``units`` and ``notes``. None is what is not defined.

    Raises
    ------
    UsageError
        When a file, a column or a variable is not as expected, or ambiguous.
    FieldError
        When a row or a field is not what it must be.
    NarcfError
        When no tower has a month in common with its cell.

    Examples
    --------
    >>> months = pd.date_range("2007-06", periods=2, freq="MS")
    >>> flux = xr.DataArray([[[-5.0, 1.0], [0.0, 0.0]], [[-6.0, 2.0], [0.0, 0.0]]],
    ...                     dims=("time", "lat", "lon"), attrs={"units": "umol m-2 s-1"},
    ...                     coords={"time": months, "lat": [41.5, 42.5], "lon": [-96.5, -95.5]})
    >>> rows = pd.DataFrame({"site": "US-Ne1", "lat": 41.165, "lon": -96.477,
    ...                      "month": ["2007-06", "2007-07"], "nee_umol_m2_s": [-5.5, -6.5]})
    >>> found = evaluate_towers(flux, rows)
    >>> found["all"]["bias"], found["all"]["n"], list(found["by_site"])
    (0.5, 2, ['US-Ne1'])
    """
    if not 0 <= min_quality <= 1:
        raise UsageError(f"expected a least quality from 0 to 1, found {min_quality:g}")
    sites = open_sites(towers, tower_variable, units=units, sign=sign)
    ds, where = _opened(estimate, estimate_variable)
    with named(where):
        cells = cells_of(ds)
    places = sites.table.groupby("site", sort=False)[["lat", "lon"]].first()
    places["cell"] = cells_at(cells, places["lon"].to_numpy(), places["lat"].to_numpy())
    pairs, notes = _good(sites, min_quality)
    pairs["cell"] = places["cell"].loc[pairs["site"]].to_numpy()
    with reading(where):
        pairs["estimate"] = _estimates(ds, cells, pairs)
        _classify(pairs, ds, cells)
    unmatched = _unmatched(places, pairs, ds.indexes["time"])
    pairs = pairs[pairs["estimate"].notna() & pairs["flux"].notna()]
    if pairs.empty:
        raise _nothing_in_common(where, sites, cells, places, unmatched)
    found = {
        "estimate": {
            "file": Path(where).name,
            "variable": str(ds["flux"].attrs.get("original_name", "flux")),
            "period": _period(ds.indexes["time"]),
        },
        "towers": {
            "file": sites.name,
            "variable": sites.variable,
            "units": sites.units,
            "positive": "uptake" if sites.sign == "uptake" else "to the atmosphere",
            "period": _period(sites.table["time"]),
            "sites": len(places),
        },
        "grid": repr(cells),
        "units": FLUX_UNITS,
        **tower_scores(pairs),
        "unmatched": unmatched,
    }
    synthetic = str(ds.attrs.get("synthetic", ""))
    notes += _notes(found, places.loc[list(found["by_site"])], synthetic)
    return for_json({**found, "notes": notes})  # type: ignore[no-any-return]


def tower_scores(pairs: pd.DataFrame) -> dict[str, Any]:
    """Score pairs of towers: all, by site, class and calendar month, site means and anomalies.

    Parameters
    ----------
    pairs : pandas.DataFrame
        ``site``, ``lat``, ``lon`` (degrees), ``time`` (month start), ``estimate`` and ``flux``
        (observed) in one unit, and ``igbp`` (class number) where it is known.

    Returns
    -------
    dict
        As of `evaluate_towers`.
    """
    by_site = {}
    for site, rows in pairs.groupby("site"):
        about = {"lat": float(rows["lat"].iloc[0]), "lon": float(rows["lon"].iloc[0])}
        by_site[str(site)] = {**about, **_code(rows), **_scores(rows)}
    found = {
        "all": {**_scores(pairs), "sites": len(by_site)},
        "site_means": _scores(pairs.groupby("site")[["estimate", "flux"]].mean()),
        "anomalies": _scores(anomalies(pairs)),
        "by_month": {
            str(month): _scores(rows) for month, rows in pairs.groupby(pairs["time"].dt.month)
        },
    }
    if "igbp" in pairs:
        known = pairs[pairs["igbp"] >= 0]
        found["by_igbp"] = {
            IGBP[number].code: {
                "name": IGBP[number].name,
                "sites": rows["site"].nunique(),
                **_scores(rows),
            }
            for number, rows in known.groupby("igbp")
        }
    return {**found, "by_site": by_site}


def anomalies(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return both fluxes less their means of the same site and calendar month.

    Of calendar months that a site has in a single year no departure is known: they are left out.

    Examples
    --------
    >>> pairs = pd.DataFrame({"site": "a", "time": pd.to_datetime(["2001-07", "2002-07"]),
    ...                       "estimate": [-1.0, -3.0], "flux": [-4.0, -8.0]})
    >>> anomalies(pairs)["flux"].tolist()
    [2.0, -2.0]
    """
    both = pairs[["estimate", "flux"]]
    groups = both.groupby([pairs["site"], pairs["time"].dt.month])
    several = groups["flux"].transform("size") > 1
    return (both - groups.transform("mean"))[several]


def _scores(rows: pd.DataFrame) -> dict[str, float]:
    return scores(rows["estimate"].to_numpy(), rows["flux"].to_numpy(), np.ones(len(rows)))


def _code(rows: pd.DataFrame) -> dict[str, str]:
    if "igbp" not in rows or rows["igbp"].iloc[0] < 0:
        return {}
    return {"igbp": IGBP[int(rows["igbp"].iloc[0])].code}


def _opened(source: Any, variable: str | None) -> tuple[xr.Dataset, str]:
    where = str(source) if isinstance(source, str | os.PathLike) else opened(source)[1]
    try:
        ds = open_flux(source, variable, average=MONTH_COVERED)
    except FieldError as error:
        raise UsageError(str(error)) from None
    if "time" not in ds["flux"].dims:
        raise UsageError(f"{where}: expected months along 'time', found {dict(ds.sizes)}")
    return ds, where


def _good(sites: Sites, min_quality: float) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows with a value and enough quality, and what was left out."""
    table, notes = sites.table, []
    if "quality" in table:
        good = table["quality"] >= min_quality
        if not good.all():
            notes.append(
                f"{(~good).sum():,} of {len(good):,} months of towers have a quality share under "
                f"{min_quality:g}, or none, and were left out"
            )
        table = table[good]
    return table[table["flux"].notna()].copy(), notes


def _estimates(ds: xr.Dataset, cells: Cells, pairs: pd.DataFrame) -> np.ndarray:
    """Return the estimate of each row, NaN off the grid and in months it does not have."""
    month = ds.indexes["time"].get_indexer(pd.DatetimeIndex(pairs["time"]))
    on = (pairs["cell"].to_numpy() >= 0) & (month >= 0)
    result = np.full(len(pairs), np.nan)
    months, place = np.unique(month[on], return_inverse=True)
    numbers, cell = np.unique(pairs["cell"].to_numpy()[on], return_inverse=True)
    if on.any():
        series = _at(ds["flux"].isel(time=months), cells, numbers)
        result[on] = series.transpose("time", "place").values[place, cell]
    return result


def _at(field: xr.DataArray, cells: Cells, numbers: np.ndarray) -> xr.DataArray:
    """Return a field along ``place`` at cells given by their numbers."""
    index = np.unravel_index(numbers, cells.shape)
    at = {dim: xr.DataArray(i, dims="place") for dim, i in zip(cells.dims, index, strict=True)}
    return field.reset_coords(drop=True).isel(at)


def _classify(pairs: pd.DataFrame, ds: xr.Dataset, cells: Cells) -> None:
    """Add the class of each row's cell where the table of the towers has none."""
    if "igbp" in pairs or "biome" not in ds or set(ds["biome"].dims) != set(cells.dims):
        return
    numbers = np.maximum(pairs["cell"].to_numpy(), 0)
    classes = np.nan_to_num(_at(ds["biome"], cells, numbers).values, nan=-1).astype(int)
    pairs["igbp"] = np.where((classes >= 0) & (classes < len(IGBP)), classes, -1)


def _unmatched(places: pd.DataFrame, pairs: pd.DataFrame, months: pd.Index) -> dict[str, list[str]]:
    """Return the sites without a pair, by the reason."""
    common = set(pairs.loc[pairs["time"].isin(months), "site"])
    paired = set(pairs.loc[pairs["estimate"].notna(), "site"])
    observed = set(pairs["site"])
    found: dict[str, list[str]] = {reason: [] for reason in REASONS}
    for site, cell in places["cell"].items():
        if cell < 0:
            found["off_grid"].append(str(site))
        elif site not in observed:
            found["no_observation"].append(str(site))
        elif site not in common:
            found["no_common_months"].append(str(site))
        elif site not in paired:
            found["no_estimate"].append(str(site))
    return {reason: sorted(sites) for reason, sites in found.items() if sites}


def _nothing_in_common(
    where: str,
    sites: Sites,
    cells: Cells,
    places: pd.DataFrame,
    unmatched: Mapping[str, list[str]],
) -> NarcfError:
    counts = ", ".join(f"{len(names)} {REASONS[reason]}" for reason, names in unmatched.items())
    swapped = cells_at(cells, places["lat"].to_numpy(), places["lon"].to_numpy()) >= 0
    swapped &= np.abs(places["lon"].to_numpy()) <= 90
    hint = "; are latitude and longitude exchanged?" if swapped.any() else ""
    return NarcfError(
        f"expected towers of {sites.name} in cells with a value, found none in {where}, on {cells} "
        f"({counts} of {len(places)}){hint}"
    )


def _notes(found: Mapping[str, Any], places: pd.DataFrame, synthetic: str) -> list[str]:
    notes = [
        f"{len(names)} of {found['towers']['sites']} towers were not compared, "
        f"{REASONS[reason]}: {_listed(names)}"
        for reason, names in found["unmatched"].items()
    ]
    together = places[places["cell"].duplicated(keep=False)]
    if len(together):
        notes.append(
            f"{len(together)} towers share a cell with another: "
            f"{_listed(sorted(map(str, together.index)))}"
        )
    if synthetic:
        notes.append(f"{found['estimate']['file']} is synthetic: {synthetic}")
    if found["all"]["r"] < 0:
        notes.append(
            "the two are correlated negatively: does one of them count uptake as positive?"
        )
    return notes


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _period(months: Any) -> str:
    months = pd.DatetimeIndex(months)
    return f"{months.min():%Y-%m} to {months.max():%Y-%m}"
