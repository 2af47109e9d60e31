"""Biomes of a grid: class fractions and majority class from a map of IGBP land-cover classes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import FieldError, NarcfError, UsageError
from narcf_geo.grid import Grid
from narcf_geo.regridding.target import Target, target_grid

NODATA = -1
UNCLASSIFIED = 17
MAX_UNCLASSIFIED = 0.05
"""Share of a map without water; real maps of this legend leave next to nothing unclassified."""

SAME_SHARE = 6
"""Decimals to which shares are compared: equal areas may differ in the last bits of their sums."""


def class_fractions(
    land_cover: xr.DataArray, target: Target, *, min_coverage: float = 0.5
) -> xr.DataArray:
    """Return the area fraction of each of the 18 IGBP classes in each cell of a grid.

    Parameters
    ----------
    land_cover : xarray.DataArray
        Class numbers 0 (water) to 17 (unclassified) on any grid, as integers or floats; -1, NaN,
        ``_FillValue`` and ``missing_value`` are nodata.
    target : Grid, or what `narcf_geo.regrid` takes as a target
        The cells.
    min_coverage : float
        Share of a cell that must be mapped, in (0, 1]; below it all fractions are NaN.

    Returns
    -------
    xarray.DataArray
        ``class_fraction`` (igbp_class, lat, lon), float32; sums to 1 over the mapped part.

    Raises
    ------
    NarcfError
        When the map does not cover the target grid, or holds numbers outside the legend.

    Examples
    --------
    >>> cover = xr.DataArray([[12, 12], [np.nan, 5]], {"lat": [1.5, 0.5], "lon": [0.5, 1.5]},
    ...                      ("lat", "lon"))
    >>> fractions = class_fractions(cover, Grid.regular(0, 0, 2, 2, 2))
    >>> fractions.sel(igbp_class=[5, 12]).values.ravel().astype(float).round(3).tolist()
    [0.333, 0.667]
    """
    import dask

    fraction, counts = _lazy_fractions(land_cover, target, min_coverage)
    fraction, counts = dask.compute(fraction, counts)
    _require_classes(counts)
    return fraction


def _lazy_fractions(
    land_cover: xr.DataArray, target: Target, min_coverage: float
) -> tuple[xr.DataArray, dict[str, Any]]:
    """Return the fractions, and what `_require_classes` is to be asked about, lazily."""
    from narcf_geo.regridding import regrid

    source = Grid.from_dataset(land_cover.to_dataset(name="land_cover"))
    target = target_grid(target, source)
    land_cover, broken = _classes(land_cover, source)
    counts = {
        "broken": broken,
        "low": land_cover.min(),
        "high": land_cover.max(),
        "water": (land_cover == 0).sum(),
        "unclassified": (land_cover == UNCLASSIFIED).sum(),
        "size": land_cover.size,
    }
    classes = land_cover.where(land_cover != NODATA).astype(np.float32).rename("igbp")
    classes.attrs = {"flag_values": np.arange(len(IGBP), dtype=np.int8)}
    result = regrid(
        classes, target, source=source, method="fractions", min_coverage=min_coverage
    ).reset_coords(drop=True)
    result = result.assign_coords(
        igbp_class=("igbp_class", np.arange(len(IGBP), dtype=np.int8), {"long_name": "IGBP class"})
    ).astype(np.float32)
    counts["mapped"] = result.notnull().any()
    result.attrs = {"long_name": "area fraction of the IGBP class", "units": "1"}
    return result.rename("class_fraction"), counts


def _require_classes(counts: Mapping[str, Any]) -> None:
    if not np.isnan(counts["broken"]):
        raise FieldError(
            f"land cover: expected whole class numbers, found {float(counts['broken']):g}; a map "
            "of classes cannot be interpolated or averaged: use the original, or nearest neighbours"
        )
    low, high = float(counts["low"]), float(counts["high"])
    if low < NODATA or high > UNCLASSIFIED:
        raise FieldError(
            f"land cover: expected IGBP classes 0 to 17 and -1 for nodata, found {low:g} to "
            f"{high:g}; check the legend of the catalog entry"
        )
    share = int(counts["unclassified"]) / counts["size"]
    if not counts["water"] and share > MAX_UNCLASSIFIED:
        raise FieldError(
            f"land cover: {share:.0%} of the map is unclassified and nothing is water, so the "
            "legend is probably the other: metadata.legend is igbp_water0 where water is 0, "
            "igbp_water17 where it is 17"
        )
    if not counts["mapped"]:
        raise NarcfError("land cover: the map does not cover any cell of the target grid")


def _classes(land_cover: xr.DataArray, source: Grid) -> tuple[xr.DataArray, xr.DataArray]:
    """Return a map of two dimensions as whole numbers, -1 for nodata, and one that is not whole.

    The second is NaN where all are whole.
    """
    single = [d for d in land_cover.dims if land_cover.sizes[d] == 1 and d not in source.dims]
    field = land_cover.squeeze(single)
    if field.ndim != 2:
        raise FieldError(
            f"land cover: expected one map of latitudes and longitudes, found it along "
            f"{', '.join(map(str, land_cover.dims))}; choose one with .isel or .sel"
        )
    for key in ("_FillValue", "missing_value"):
        if key in field.attrs:
            field = field.where(~field.isin(np.asarray(field.attrs[key])))
    if field.dtype.kind in "iu":
        return field, xr.DataArray(np.nan)
    field = field.fillna(NODATA)
    broken = field.where(field != np.floor(field)).max()
    return field.clip(-(2**15), 2**15 - 1).astype(np.int16), broken


def majority(class_fraction: xr.DataArray, *, min_land: float = 0.5) -> xr.DataArray:
    """Return the majority class of each cell.

    Parameters
    ----------
    class_fraction : xarray.DataArray
        (igbp_class, lat, lon), as from `class_fractions`.
    min_land : float
        Share of a cell that land (classes 1 to 16) must cover to have its majority.

    Returns
    -------
    xarray.DataArray
        ``biome`` (lat, lon), int8. Where land covers at least `min_land`: the land class with the
        largest share. Elsewhere 0 (water), or 17 (unclassified) where that covers more than water.
        Equal shares go to the lowest number. -1 where nothing is known.

    Examples
    --------
    >>> shares = np.zeros((18, 1, 3), "float32")
    >>> shares[[0, 5, 12], 0, 0] = 0.3, 0.35, 0.35
    >>> shares[[0, 5, 17], 0, 1] = 0.3, 0.3, 0.4
    >>> shares[[0, 5], 0, 2] = 0.6, 0.4
    >>> majority(xr.DataArray(shares, dims=("igbp_class", "lat", "lon"))).values.tolist()
    [[5, 17, 0]]
    """
    whole = class_fraction.chunk(igbp_class=-1) if class_fraction.chunks else class_fraction
    biome = xr.apply_ufunc(
        partial(_majority, min_land=min_land),
        whole,
        input_core_dims=[["igbp_class"]],
        dask="parallelized",
        output_dtypes=[np.int8],
    )
    biome.attrs = {
        "long_name": "IGBP class with the largest share of the land",
        "flag_values": np.arange(len(IGBP), dtype=np.int8),
        "flag_meanings": " ".join(c.name.replace(" ", "_").replace("/", "_or_") for c in IGBP),
        "comment": f"water where land covers less than {min_land:g} of the cell; "
        "ties go to the lowest class number",
    }
    return biome.rename("biome")


def _majority(shares: np.ndarray, *, min_land: float) -> np.ndarray:
    """Return the majority class of shares (..., 18)."""
    shares = shares.astype(np.float64)
    fraction = shares.round(SAME_SHARE)
    land = fraction[..., 1:UNCLASSIFIED]
    land_fraction = shares[..., 1:UNCLASSIFIED].sum(axis=-1).round(SAME_SHARE)
    known = np.isfinite(fraction).all(axis=-1)
    biome = np.where(
        land_fraction >= min_land,
        1 + np.nan_to_num(land, nan=-1.0).argmax(axis=-1),
        np.where(fraction[..., UNCLASSIFIED] > fraction[..., 0], UNCLASSIFIED, 0),
    )
    return np.where(known, biome, NODATA).astype(np.int8)


def map_biomes(
    land_cover: xr.DataArray, target: Target, *, min_land: float = 0.5, min_coverage: float = 0.5
) -> xr.Dataset:
    """Return class fractions and the majority class on a grid, from a land-cover map.

    Parameters
    ----------
    land_cover : xarray.DataArray
        IGBP class numbers; see `narcf_geo.cube.biomes.class_fractions`.
    target : Grid, float, pair of float, xarray.Dataset, xarray.DataArray or path
        As for `narcf_geo.regrid`.
    min_land : float
        Share of a cell, in (0, 1], from which on it has the majority class of its land.
    min_coverage : float
        Share of a cell, in (0, 1], that must be mapped.

    Returns
    -------
    xarray.Dataset
        ``class_fraction`` (igbp_class, lat, lon), ``land_fraction`` and ``biome`` (lat, lon). NaN,
        and -1 for ``biome``, where less than `min_coverage` is mapped.

    Raises
    ------
    NarcfError
        When the map does not cover the grid, holds numbers outside the legend, or no cell is land.

    Examples
    --------
    >>> cover = xr.DataArray([[12, 12, 0, 0], [5, 12, 0, 4]], dims=("lat", "lon"),
    ...                      coords={"lat": [1.5, 0.5], "lon": [0.5, 1.5, 2.5, 3.5]})
    >>> map_biomes(cover, 2)["biome"].values.tolist()
    [[12, 0]]
    """
    if not isinstance(land_cover, xr.DataArray):
        raise UsageError(
            f"expected land cover as an xarray.DataArray of class numbers, found "
            f"{type(land_cover).__name__}"
        )
    import dask

    ds, counts = dask.compute(
        *lazy_biomes(land_cover, target, min_land=min_land, min_coverage=min_coverage)
    )
    require_biomes(counts, min_land)
    return ds


def lazy_biomes(
    land_cover: xr.DataArray, target: Target, *, min_land: float, min_coverage: float
) -> tuple[xr.Dataset, dict[str, Any]]:
    """Return what `map_biomes` returns, lazily where the map is, and what to ask about it.

    Compute the second together with the first, and hand it to `require_biomes`.
    """
    target = target_grid(target, Grid.from_dataset(land_cover))
    fraction, counts = _lazy_fractions(land_cover, target, min_coverage)
    land = fraction.isel(igbp_class=slice(1, UNCLASSIFIED)).sum("igbp_class", skipna=False)
    land.attrs = {"long_name": "land fraction", "units": "1", "standard_name": "land_area_fraction"}
    biome = majority(fraction, min_land=min_land)
    counts["land"] = ((biome > 0) & (biome < UNCLASSIFIED)).any()
    ds = xr.Dataset({"class_fraction": fraction, "land_fraction": land, "biome": biome})
    return ds.assign_coords(target.coords()), counts


def require_biomes(counts: Mapping[str, Any], min_land: float) -> None:
    """Refuse a map that is none of the legend, or is of no land of the grid.

    Parameters
    ----------
    counts : mapping
        Of `lazy_biomes`, computed.
    min_land : float
        As for `map_biomes`.

    Raises
    ------
    FieldError
        When it holds numbers outside the legend.
    NarcfError
        When it does not cover the grid, or no cell is land.
    """
    _require_classes(counts)
    if not counts["land"]:
        raise NarcfError(
            f"the region has no cell of which land covers at least {min_land:g}; check region: in "
            "narcf.yaml, and the land cover map"
        )
