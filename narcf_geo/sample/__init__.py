"""The embedded sample: a synthetic twin experiment on the real land cover of North America.

See docs/sample.md for the equations, their parameters and the sources of all numbers. This
package imports numpy, xarray and scipy at once: import it only where it is used.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from narcf_geo.months import month_starts
from narcf_geo.sample import ecosystem, layouts, products, weather
from narcf_geo.sample.geography import (
    EAST,
    NORTH,
    SOUTH,
    WATER,
    WEST,
    NarrGrid,
    cell_area,
    centres,
    class_fractions,
    continentality,
    read_land_cover,
    to_one_degree,
)

FIRST, LAST = "2007-01", "2015-12"

__all__ = ["generate"]


def generate(directory: Path, *, seed: int = 2007) -> list[Path]:
    """Write the inputs of the twin experiment: North America, 2007-2015, monthly.

    Weather (narr), vegetation, fluorescence (sif), a FLUXCOM-like product, an inversion with its
    standard error and the true flux, in the layouts of the real products. The same seed gives the
    same bytes. Takes seconds, no network, less than 60 MB.

    Parameters
    ----------
    directory : Path
        Where the folders are made; files of the same name are replaced.
    seed : int
        Of all random numbers.

    Returns
    -------
    list of Path
        The files, in the order they were written.
    """
    directory = Path(directory)
    months = month_starts("2006-12", LAST)  # a month more: running precipitation looks back
    period = slice(1, None)
    days = np.asarray(months.days_in_month, dtype=float)
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)]
    for_weather, for_vegetation, for_sif, for_inversion = streams

    land_cover = read_land_cover()
    fractions = class_fractions(land_cover)
    grid = NarrGrid.build()
    sky = weather.simulate(for_weather, grid, grid.sample(continentality(land_cover)), months)

    lat, lon = np.meshgrid(centres(SOUTH, NORTH, 0.5), centres(WEST, EAST, 0.5), indexing="ij")
    land_fraction = 1 - fractions[WATER]
    is_land = land_fraction > 1e-6
    cells = is_land & grid.contains(lat, lon)
    to_cells = grid.bilinear(lat[cells], lon[cells])

    def at_cells(field: np.ndarray) -> np.ndarray:
        values: np.ndarray = (to_cells @ field.reshape(len(months), -1).T).T
        return values

    drivers = ecosystem.Drivers.from_narr(
        air=at_cells(sky.air),
        rhum=at_cells(sky.rhum),
        dswrf=at_cells(sky.dswrf),
        soilm=at_cells(sky.soilm),
        lat=lat[cells],
        calendar=np.asarray(months.month) - 1,
    )
    area = cell_area(lat[cells], 0.5)
    life = ecosystem.simulate(drivers, fractions[:, cells], area, days, period)

    def raster(field: np.ndarray) -> np.ndarray:
        """Put cells back into the box; cells without weather are NaN, open water too."""
        full = np.full((*field.shape[:-1], *cells.shape), np.nan, dtype=np.float32)
        full[..., cells] = field
        return full

    paths = layouts.write_narr(directory, grid, sky, months)
    months, days = months[period], days[period]
    nee, gpp, ndvi, unstressed = (
        getattr(life, name)[period] for name in ("nee", "gpp", "ndvi", "unstressed_gpp")
    )
    land = land_fraction[cells]
    seen = products.see_vegetation(for_vegetation, ndvi / land)
    ndvi_seen, nirv_seen = (raster(np.where(land < 0.05, np.nan, field)) for field in seen)
    paths += layouts.write_vegetation(directory, ndvi_seen, nirv_seen, months)

    noon = weather.noon_sun(centres(-90, 90, 0.5))
    noon_here = weather.noon_sun(lat[cells])[np.asarray(months.month) - 1]
    sif = products.see_fluorescence(for_sif, gpp, unstressed, noon_here)
    paths += layouts.write_sif(directory, raster(sif), noon, months)

    flux = to_one_degree(np.nan_to_num(raster(nee / ecosystem.GRAMS_PER_UMOL)).astype(float))
    known = to_one_degree((is_land & ~cells).astype(float)) == 0
    is_target = (to_one_degree(land_fraction) >= 0.5) & known
    target_lat, target_lon = np.meshgrid(
        centres(SOUTH, NORTH, 1.0), centres(WEST, EAST, 1.0), indexing="ij"
    )
    at = target_lat[is_target], target_lon[is_target]
    true = flux[:, is_target]
    error = products.standard_error(true)
    target_area = cell_area(at[0], 1.0)
    drawn = products.inversion_error(for_inversion, error, *at, target_area, days)
    paths += layouts.write_inversion(directory, true + drawn, error, *at, months)

    vegetated = land - fractions[15, cells] - fractions[16, cells]
    fluxcom = np.where(vegetated < 0.5, np.nan, products.fluxcom_like(nee, gpp))
    paths += layouts.write_fluxcom(directory, raster(fluxcom), months)
    return paths + layouts.write_truth(directory, np.where(is_target, flux, np.nan), months)
