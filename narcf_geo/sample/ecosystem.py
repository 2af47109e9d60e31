"""The true flux of the twin experiment: a light-use-efficiency and respiration model per biome.

Equations, parameters and their sources are in docs/sample.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from narcf_geo.core.constants import CARBON_MOLAR_MASS, SECONDS_PER_DAY
from narcf_geo.sample.geography import Array
from narcf_geo.sample.weather import (
    SOIL_CAPACITY,
    SOIL_RESIDUAL,
    insolation,
    saturation_vapour_pressure,
)

GRAMS_PER_UMOL = CARBON_MOLAR_MASS * 1e-6 * SECONDS_PER_DAY
"""1 umol CO2 m-2 s-1 in g C m-2 a day."""

GROWTH_SHARE = 0.35
MAINTENANCE_SHARE = 0.4
MAINTENANCE_Q10 = 1.6
LLOYD_TAYLOR_E0 = 165.0
UNIFORM_SHARE = 0.1
DAYTIME_VPD = 1.2


@dataclass(frozen=True)
class Biome:
    """Parameters of one IGBP class."""

    efficiency: float
    """Maximum light use efficiency, g C per MJ of absorbed PAR."""
    warm: float
    """Daily minimum temperature at which GPP is no longer held back, degC."""
    cold: float
    """Daily minimum temperature below which there is no GPP, degC."""
    dry_air: float
    """Vapour pressure deficit at which GPP stops, hPa."""
    ndvi: tuple[float, float]
    """NDVI at rest and at full leaf."""
    leaf_out: tuple[float, float]
    """Temperatures between which leaves unfold, degC."""
    sink: float
    """Mean net uptake of the class over the period, g C m-2 a year, to which respiration is set."""
    deciduous: bool = True
    """Leaves fall with the light of autumn."""


BIOMES: dict[int, Biome] = {
    1: Biome(0.962, 8.31, -8, 30, (0.55, 0.80), (-2, 10), 50, deciduous=False),
    2: Biome(1.268, 9.09, -8, 40, (0.70, 0.85), (5, 15), 30, deciduous=False),
    3: Biome(1.086, 10.44, -8, 35, (0.30, 0.80), (1, 12), 50),
    4: Biome(1.165, 9.94, -6, 29, (0.40, 0.88), (6, 17), 110),
    5: Biome(1.051, 9.50, -7, 29, (0.48, 0.85), (3, 14), 70),
    6: Biome(1.281, 8.61, -8, 43, (0.30, 0.60), (2, 12), 10),
    7: Biome(0.841, 8.80, -8, 44, (0.12, 0.50), (-1, 11), 5),
    8: Biome(1.239, 11.39, -8, 35, (0.38, 0.74), (0, 12), 35),
    9: Biome(1.206, 11.39, -8, 36, (0.28, 0.64), (0, 12), 25),
    10: Biome(0.860, 12.02, -8, 42, (0.16, 0.60), (1, 12), 12),
    11: Biome(0.860, 12.02, -8, 42, (0.25, 0.66), (1, 12), 40),
    12: Biome(1.900, 12.02, -4, 45, (0.20, 0.84), (8, 19), 80),
    13: Biome(0.860, 12.02, -8, 42, (0.18, 0.45), (2, 14), 0),
    14: Biome(1.300, 11.0, -6, 37, (0.28, 0.82), (5, 16), 60),
    16: Biome(0.500, 12.02, -8, 42, (0.08, 0.14), (1, 12), 0),
}
"""Water (0), snow and ice (15) and unclassified (17) exchange nothing."""

BARE_NDVI = 0.05
"""NDVI of classes without vegetation."""


@dataclass(frozen=True)
class Drivers:
    """Monthly weather at land cells, (time, cell)."""

    celsius: Array
    vpd: Array
    """hPa"""
    shortwave: Array
    """W m-2"""
    water: Array
    """Plant-available soil water as a share of the capacity, 0..1."""
    daylight: Array
    """0 in dark months to 1 when insolation no longer makes leaves fall."""

    @classmethod
    def from_narr(
        cls, *, air: Array, rhum: Array, dswrf: Array, soilm: Array, lat: Array, calendar: Array
    ) -> Drivers:
        """Convert NARR's variables at cells of latitude `lat`; `calendar` is 0 for January."""
        celsius = air - 273.15
        light = insolation(lat)[calendar]
        return cls(
            celsius=celsius,
            vpd=saturation_vapour_pressure(celsius) * (1 - rhum / 100),
            shortwave=dswrf,
            water=(soilm - SOIL_RESIDUAL) / SOIL_CAPACITY,
            daylight=ramp(light, 190, 320),
        )


@dataclass(frozen=True)
class Ecosystem:
    """Fluxes and vegetation of whole cells, (time, cell); fluxes in g C m-2 a day."""

    nee: Array
    """Net ecosystem exchange, positive to the atmosphere."""
    gpp: Array
    ndvi: Array
    unstressed_gpp: Array
    """GPP without lack of water: what fluorescence also sees."""

    def during(self, period: slice) -> Ecosystem:
        """Return the months of `period`."""
        return Ecosystem(*(getattr(self, name)[period] for name in Ecosystem.__annotations__))


def ramp(value: Array, low: float, high: float) -> Array:
    """Return 0 below `low`, 1 above `high`, linear between."""
    return np.clip((value - low) / (high - low), 0, 1)


def previous(field: Array) -> Array:
    """Return last month's values; the first month stands for its own predecessor."""
    return np.concatenate([field[:1], field[:-1]])


def phenology(biome: Biome, drivers: Drivers) -> Array:
    """Return the NDVI of one class, from this and last month's warmth, light and soil water."""
    recent = 0.6 * drivers.celsius + 0.4 * previous(drivers.celsius)
    green = ramp(recent, *biome.leaf_out)
    if biome.deciduous:
        green = green * (0.25 + 0.75 * drivers.daylight)
    water = 1 - np.exp(-(0.6 * drivers.water + 0.4 * previous(drivers.water)) / 0.12)
    snow = 1 - 0.35 * ramp(-drivers.celsius, 0, 10)
    low, high = biome.ndvi
    return low * snow + (high - low) * green * water


def gross_production(biome: Biome, drivers: Drivers, ndvi: Array) -> tuple[Array, Array]:
    """Return GPP, and GPP as if air and soil were never dry, g C m-2 a day."""
    fpar = np.clip(1.24 * ndvi - 0.168, 0, 0.95)
    potential = biome.efficiency * fpar * 0.45 * 0.0864 * drivers.shortwave
    daily_minimum = drivers.celsius - 5
    cold = ramp(daily_minimum, biome.cold, biome.warm)
    dry_air = 1 - ramp(DAYTIME_VPD * drivers.vpd, 6.5, biome.dry_air)
    dry_soil = 1 - np.exp(-drivers.water / 0.2)
    return potential * cold * dry_air * dry_soil, potential * cold


def respiration_response(biome: Biome, drivers: Drivers, ndvi: Array) -> Array:
    """Return the respiration that is not tied to GPP, relative to its base rate.

    Plants follow a Q10 (1 at 20 degC) and their green leaves; the soil follows Lloyd and Taylor
    (1994; 1 at 10 degC) at its own temperature, which lags behind the air and is kept from deep
    frost by snow, and a soil-moisture response.
    """
    plants = ndvi / biome.ndvi[1] * MAINTENANCE_Q10 ** ((drivers.celsius - 20) / 10)
    lagged = 0.65 * drivers.celsius + 0.35 * previous(drivers.celsius)
    soil_temperature = np.where(lagged > 0, lagged, np.maximum(0.35 * lagged, -12))
    lloyd_taylor = np.exp(LLOYD_TAYLOR_E0 * (1 / 56.02 - 1 / (soil_temperature + 46.02)))
    moisture = 0.2 + 0.8 * (1 - np.exp(-drivers.water / 0.15))
    return MAINTENANCE_SHARE * plants + (1 - MAINTENANCE_SHARE) * lloyd_taylor * moisture


def simulate(
    drivers: Drivers, fractions: Array, area: Array, days: Array, period: slice
) -> Ecosystem:
    """Return fluxes and vegetation of cells, mixed from their classes.

    Parameters
    ----------
    fractions : array, (18, cell)
        IGBP class fractions of cell area.
    area : array, (cell,)
        Cell areas, m2.
    days : array, (time,)
        Lengths of the months.
    period : slice
        Months over which each class takes up its documented sink, exactly.
    """
    shape = drivers.celsius.shape
    nee, gpp, unstressed = (np.zeros(shape) for _ in range(3))
    ndvi = np.broadcast_to(BARE_NDVI * fractions[15], shape).copy()
    months = days[period] / days[period].sum()
    for number, biome in BIOMES.items():
        cells = np.flatnonzero(fractions[number])
        if not cells.size:
            continue
        here = Drivers(*(getattr(drivers, name)[:, cells] for name in Drivers.__annotations__))
        share = fractions[number, cells]
        weight = share * area[cells] / (share * area[cells]).sum()
        class_ndvi = phenology(biome, here)
        class_gpp, class_unstressed = gross_production(biome, here, class_ndvi)
        response = respiration_response(biome, here, class_ndvi)

        # pools near balance with local growth and climate: most of the base rate follows them
        growth = (1 - GROWTH_SHARE) * (months @ class_gpp[period])
        pace = months @ response[period]
        balanced = growth / pace
        pools = UNIFORM_SHARE * (balanced @ weight) + (1 - UNIFORM_SHARE) * balanced
        loss = max(growth @ weight - biome.sink / 365.25, 0)
        base = pools * loss / ((pools * pace) @ weight)
        class_nee = base * response - (1 - GROWTH_SHARE) * class_gpp

        nee[:, cells] += share * class_nee
        gpp[:, cells] += share * class_gpp
        unstressed[:, cells] += share * class_unstressed
        ndvi[:, cells] += share * class_ndvi
    return Ecosystem(nee=nee, gpp=gpp, ndvi=ndvi, unstressed_gpp=unstressed)
