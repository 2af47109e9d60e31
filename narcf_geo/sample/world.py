"""The true world of the twin experiment: real land cover, made-up weather, modelled life."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from narcf_geo.core.months import month_starts
from narcf_geo.sample import ecosystem, unseen, weather
from narcf_geo.sample.difficulty import EASY, Difficulty
from narcf_geo.sample.geography import (
    EAST,
    NORTH,
    SOUTH,
    WATER,
    WEST,
    Array,
    NarrGrid,
    cell_area,
    centres,
    class_fractions,
    continentality,
    read_land_cover,
    to_one_degree,
)


@dataclass(frozen=True)
class World:
    """What is known of the world: weather on NARR's grid, life on half-degree cells with land.

    Fields of cells are (time, cell), from 2007-01 on; weather starts a month earlier, because a
    running sum of precipitation looks back.
    """

    months: pd.DatetimeIndex
    grid: NarrGrid
    sky: weather.Weather
    sky_months: pd.DatetimeIndex
    fractions: Array
    """IGBP class fractions of the box's half-degree cells, (18, 120, 240)."""
    cells: Array
    """Which cells of the box have land and weather, bool (120, 240)."""
    life: ecosystem.Ecosystem
    unseen: Array
    """Flux of the cells that no predictor shows, g C m-2 a day (time, cell)."""

    @classmethod
    def simulate(
        cls,
        rng: np.random.Generator,
        for_unseen: np.random.Generator,
        difficulty: Difficulty = EASY,
    ) -> World:
        """Make weather at random and let it drive the ecosystems, 2007-2015.

        `for_unseen` draws what no predictor shows.
        """
        months = month_starts("2006-12", "2015-12")
        days = np.asarray(months.days_in_month, dtype=float)
        land_cover = read_land_cover()
        fractions = class_fractions(land_cover)
        grid = NarrGrid.build()
        sky = weather.simulate(
            rng, grid, grid.sample(continentality(land_cover)), months, difficulty
        )

        lat, lon = mesh(0.5)
        cells = has_land(fractions) & grid.contains(lat, lon)
        to_cells = grid.bilinear(lat[cells], lon[cells])

        def at_cells(field: Array) -> Array:
            values: Array = (to_cells @ field.reshape(len(months), -1).T).T
            return values

        drivers = ecosystem.Drivers.from_narr(
            air=at_cells(sky.air),
            rhum=at_cells(sky.rhum),
            dswrf=at_cells(sky.dswrf),
            soilm=at_cells(sky.soilm),
            lat=lat[cells],
            calendar=np.asarray(months.month) - 1,
        )
        period = slice(1, None)
        life = ecosystem.simulate(
            drivers, fractions[:, cells], cell_area(lat[cells], 0.5), days, period
        ).during(period)
        hidden = np.zeros_like(life.nee)
        if difficulty.legacy:
            hidden += unseen.legacy(for_unseen, fractions, cells, difficulty.legacy)
        if difficulty.sink_trend:
            hidden -= unseen.growing_sink(life.gpp, difficulty.sink_trend)
        return cls(
            months=months[period],
            grid=grid,
            sky=sky,
            sky_months=months,
            fractions=fractions,
            cells=cells,
            life=life,
            unseen=hidden,
        )

    @property
    def land(self) -> Array:
        """Land fraction of the cells."""
        land: Array = 1 - self.fractions[WATER, self.cells]
        return land

    def raster(self, field: Array) -> Array:
        """Put cells back into the box, float32 (..., 120, 240); NaN elsewhere."""
        full = np.full((*field.shape[:-1], *self.cells.shape), np.nan, dtype=np.float32)
        full[..., self.cells] = field
        return full

    def is_target(self) -> Array:
        """Return which 1 degree cells are at least half land and have weather everywhere."""
        land = to_one_degree(1 - self.fractions[WATER])
        unknown = to_one_degree((has_land(self.fractions) & ~self.cells).astype(float))
        return (land >= 0.5) & (unknown == 0)

    def flux(self) -> Array:
        """Return the true flux per area of 1 degree cells, umol m-2 s-1 (time, 60, 120)."""
        return self.at_one_degree(self.life.nee + self.unseen)

    def at_one_degree(self, nee: Array) -> Array:
        """Return a flux of the cells, g C m-2 a day, as umol m-2 s-1 of 1 degree cells."""
        half_degree = np.zeros((*nee.shape[:-1], *self.cells.shape))
        half_degree[..., self.cells] = nee / ecosystem.GRAMS_PER_UMOL
        return to_one_degree(half_degree)


def has_land(fractions: Array) -> Array:
    """Return which cells have land, leaving out the rounding of area weights."""
    return fractions[WATER] < 1 - 1e-6


def mesh(step: float) -> tuple[Array, Array]:
    """Return latitudes and longitudes of the box's cell centres, 2-D."""
    lat, lon = np.meshgrid(centres(SOUTH, NORTH, step), centres(WEST, EAST, step), indexing="ij")
    return lat, lon
