"""Biomes: the share of each IGBP class in a cell, and the class that has the most of its land."""

from __future__ import annotations

import numpy as np
import xarray as xr

from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import NarcfError
from narcf_geo.grid import Grid

NODATA = -1
UNCLASSIFIED = 17
MAX_UNCLASSIFIED = 0.05
"""Share of a map without water; real maps of this legend leave next to nothing unclassified."""


def class_fractions(
    land_cover: xr.DataArray, target: Grid, *, min_coverage: float = 0.5
) -> xr.DataArray:
    """Return the area fraction of each of the 18 IGBP classes in each cell of `target`.

    Parameters
    ----------
    land_cover : xarray.DataArray
        Class numbers 0 (water) to 17 (unclassified), -1 for nodata, on any grid.
    target : Grid
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
    """
    from narcf_geo.regridding import regrid

    found = np.unique(land_cover.values)
    if found.min() < NODATA or found.max() > UNCLASSIFIED:
        raise NarcfError(
            f"land cover: expected IGBP classes 0 to 17 and -1 for nodata, found {found.min()} to "
            f"{found.max()}; check the legend of the catalog entry"
        )
    counts = {number: int((land_cover == number).sum()) for number in (0, UNCLASSIFIED)}
    if counts[0] == 0 and counts[UNCLASSIFIED] > MAX_UNCLASSIFIED * land_cover.size:
        raise NarcfError(
            f"land cover: {counts[UNCLASSIFIED] / land_cover.size:.0%} of the map is unclassified "
            "and nothing is water, so the legend is probably the other: metadata.legend is "
            "igbp_water0 where water is 0, igbp_water17 where it is 17"
        )
    source = Grid.from_dataset(land_cover.to_dataset(name="land_cover"))
    mapped = land_cover != NODATA
    fractions = []
    for number in range(len(IGBP)):
        share = (land_cover == number).astype(np.float32).where(mapped)
        regridded = regrid(share.rename("share"), target, source=source, min_coverage=min_coverage)
        fractions.append(regridded.reset_coords(drop=True))
    result = xr.concat(fractions, "igbp_class", coords="minimal", compat="override")
    result = result.assign_coords(
        igbp_class=("igbp_class", np.arange(len(IGBP), dtype=np.int8), {"long_name": "IGBP class"})
    ).astype(np.float32)
    if not np.isfinite(result).any():
        raise NarcfError("land cover: the map does not cover any cell of the target grid")
    result.attrs = {"long_name": "area fraction of the IGBP class", "units": "1"}
    return result.rename("class_fraction")


def majority(class_fraction: xr.DataArray, *, min_land: float = 0.5) -> xr.DataArray:
    """Return the majority class of each cell, int8.

    Where land (classes 1 to 16) covers at least `min_land`, the land class with the largest
    fraction, a tie going to the lowest number; else 0, water; or 17 where the unclassified part is
    the largest; -1 where nothing is known.
    """
    # Equal areas may differ in the last bits after summation: call that a tie.
    fraction = np.round(class_fraction.values.astype(np.float64), 6)
    land = fraction[1:UNCLASSIFIED]
    land_fraction = class_fraction.values[1:UNCLASSIFIED].astype(np.float64).sum(axis=0).round(6)
    known = np.isfinite(fraction).all(axis=0)
    biome = np.where(
        land_fraction >= min_land,
        1 + np.nan_to_num(land, nan=-1.0).argmax(axis=0),
        np.where(fraction[UNCLASSIFIED] > 0.5, UNCLASSIFIED, 0),
    )
    return xr.DataArray(
        np.where(known, biome, NODATA).astype(np.int8),
        coords={k: v for k, v in class_fraction.coords.items() if "igbp_class" not in v.dims},
        dims=class_fraction.dims[1:],
        name="biome",
        attrs={
            "long_name": "IGBP class with the largest share of the land",
            "flag_values": np.arange(len(IGBP), dtype=np.int8),
            "flag_meanings": " ".join(c.name.replace(" ", "_").replace("/", "_or_") for c in IGBP),
            "comment": f"water where land covers less than {min_land:g} of the cell; "
            "ties go to the lowest class number",
        },
    )


def map_biomes(
    land_cover: xr.DataArray, target: Grid, *, min_land: float = 0.5, min_coverage: float = 0.5
) -> xr.Dataset:
    """Return ``class_fraction``, ``land_fraction`` and ``biome`` on `target`."""
    fraction = class_fractions(land_cover, target, min_coverage=min_coverage)
    land = fraction.isel(igbp_class=slice(1, UNCLASSIFIED)).sum("igbp_class", skipna=False)
    land.attrs = {"long_name": "land fraction", "units": "1", "standard_name": "land_area_fraction"}
    biome = majority(fraction, min_land=min_land)
    if not ((biome > 0) & (biome < UNCLASSIFIED)).any():
        raise NarcfError(
            f"the region has no cell of which land covers at least {min_land:g}; check region: in "
            "narcf.yaml, and the land cover map"
        )
    ds = xr.Dataset({"class_fraction": fraction, "land_fraction": land, "biome": biome})
    return ds.assign_coords(target.coords())
