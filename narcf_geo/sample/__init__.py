"""The embedded sample: a synthetic twin experiment on the real land cover of North America.

See docs/sample.md for the equations, their parameters and the sources of all numbers. This
package imports numpy, xarray and scipy at once: import it only where it is used.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from narcf_geo.sample import layouts, products, weather
from narcf_geo.sample.difficulty import Difficulty
from narcf_geo.sample.geography import cell_area, centres
from narcf_geo.sample.world import World, mesh

__all__ = ["Difficulty", "generate"]


def generate(
    directory: Path, *, seed: int = 2007, difficulty: str | Difficulty = "easy"
) -> list[Path]:
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

    difficulty : {"easy", "hard"} or Difficulty
        In the easy world an inversion sees each cell with errors of its own in every month, and
        nothing is hidden; in the hard one it is as in docs/sample.md.

    Returns
    -------
    list of Path
        The files, in the order they were written.

    Raises
    ------
    UsageError
        When there is no such difficulty.
    """
    hard = Difficulty.of(difficulty)
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(6)]
    for_weather, for_vegetation, for_sif, for_inversion, for_unseen, for_reanalysis = streams
    world = World.simulate(for_weather, for_unseen, hard)
    files = layouts.Files(Path(directory), hard.label)
    sky = world.sky
    if hard.predictor_error:
        sky = products.see_weather(for_reanalysis, sky, hard.predictor_error)
    return [
        *files.narr(world.grid, sky, world.sky_months),
        *_vegetation(files, world, for_vegetation, hard),
        *_fluorescence(files, world, for_sif, hard),
        *_inversion(files, world, for_inversion, hard),
        *_fluxcom(files, world),
        *files.truth(np.where(world.is_target(), world.flux(), np.nan), world.months),
    ]


def _vegetation(
    files: layouts.Files, world: World, rng: np.random.Generator, hard: Difficulty
) -> list[Path]:
    seen = products.see_vegetation(rng, world.life.ndvi / world.land, hard.predictor_error)
    ndvi, nirv = (world.raster(np.where(world.land < 0.05, np.nan, field)) for field in seen)
    return files.vegetation(ndvi, nirv, world.months)


def _fluorescence(
    files: layouts.Files, world: World, rng: np.random.Generator, hard: Difficulty
) -> list[Path]:
    calendar = np.asarray(world.months.month) - 1
    noon = weather.noon_sun(mesh(0.5)[0][world.cells])[calendar]
    left = products.fading(len(world.months), hard.predictor_error)
    life = world.life
    sif = products.see_fluorescence(rng, left * life.gpp, left * life.unstressed_gpp, noon)
    everywhere = weather.noon_sun(centres(-90, 90, 0.5))
    return files.sif(world.raster(sif), everywhere, world.months)


def _inversion(
    files: layouts.Files, world: World, rng: np.random.Generator, hard: Difficulty
) -> list[Path]:
    here = world.is_target()
    lat, lon = (coordinate[here] for coordinate in mesh(1.0))
    flux, area = world.flux()[:, here], cell_area(lat, 1.0)
    days = np.asarray(world.months.days_in_month, dtype=float)
    error = products.standard_error(flux)
    drawn = products.inversion_error(rng, error, lat, lon, area, days, hard.fixed_error)
    if hard.footprint:
        prior = products.balanced_prior(world.at_one_degree(world.life.nee)[:, here])
        flux = products.seen_from_afar(flux, prior, lat, lon, area, hard.footprint)
    return files.inversion(flux + drawn, error, lat, lon, world.months)


def _fluxcom(files: layouts.Files, world: World) -> list[Path]:
    bare = world.fractions[15, world.cells] + world.fractions[16, world.cells]
    nee = products.fluxcom_like(world.life.nee, world.life.gpp)
    vegetated = np.where(world.land - bare < 0.5, np.nan, nee)
    return files.fluxcom(world.raster(vegetated), world.months)
