"""The embedded sample: a synthetic twin experiment on the real land cover of North America.

See docs/sample.md for the equations, their parameters and the sources of all numbers. This
package imports numpy, xarray and scipy at once: import it only where it is used.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from narcf_geo.sample import layouts, products, weather
from narcf_geo.sample.geography import cell_area, centres
from narcf_geo.sample.world import World, mesh

__all__ = ["generate"]


def generate(directory: Path, *, seed: int = 2007) -> list[Path]:
    """Write the inputs of the twin experiment: North America, 2007-2015, monthly.

    Weather (narr), vegetation, fluorescence (sif), an inversion with its standard error, a
    FLUXCOM-like product and the true flux, in the layouts of the real products. The same seed
    gives the same bytes. Takes seconds, no network, about 30 MB.

    Parameters
    ----------
    directory : Path
        Where the folders are made; files of the same name are replaced.
    seed : int
        Of all random numbers; each product has a stream of its own.

    Returns
    -------
    list of Path
        The files, in the order they were written.
    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)]
    for_weather, for_vegetation, for_sif, for_inversion = streams
    directory = Path(directory)
    world = World.simulate(for_weather)
    return [
        *layouts.write_narr(directory, world.grid, world.sky, world.sky_months),
        *_vegetation(directory, world, for_vegetation),
        *_fluorescence(directory, world, for_sif),
        *_inversion(directory, world, for_inversion),
        *_fluxcom(directory, world),
        *layouts.write_truth(
            directory, np.where(world.is_target(), world.flux(), np.nan), world.months
        ),
    ]


def _vegetation(directory: Path, world: World, rng: np.random.Generator) -> list[Path]:
    seen = products.see_vegetation(rng, world.life.ndvi / world.land)
    ndvi, nirv = (world.raster(np.where(world.land < 0.05, np.nan, field)) for field in seen)
    return layouts.write_vegetation(directory, ndvi, nirv, world.months)


def _fluorescence(directory: Path, world: World, rng: np.random.Generator) -> list[Path]:
    calendar = np.asarray(world.months.month) - 1
    noon = weather.noon_sun(mesh(0.5)[0][world.cells])[calendar]
    sif = products.see_fluorescence(rng, world.life.gpp, world.life.unstressed_gpp, noon)
    everywhere = weather.noon_sun(centres(-90, 90, 0.5))
    return layouts.write_sif(directory, world.raster(sif), everywhere, world.months)


def _inversion(directory: Path, world: World, rng: np.random.Generator) -> list[Path]:
    here = world.is_target()
    lat, lon = (coordinate[here] for coordinate in mesh(1.0))
    flux = world.flux()[:, here]
    days = np.asarray(world.months.days_in_month, dtype=float)
    error = products.standard_error(flux)
    drawn = products.inversion_error(rng, error, lat, lon, cell_area(lat, 1.0), days)
    return layouts.write_inversion(directory, flux + drawn, error, lat, lon, world.months)


def _fluxcom(directory: Path, world: World) -> list[Path]:
    bare = world.fractions[15, world.cells] + world.fractions[16, world.cells]
    nee = products.fluxcom_like(world.life.nee, world.life.gpp)
    vegetated = np.where(world.land - bare < 0.5, np.nan, nee)
    return layouts.write_fluxcom(directory, world.raster(vegetated), world.months)
