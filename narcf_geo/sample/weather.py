"""Synthetic monthly weather on NARR's projection: plausible, self-consistent, and not real.

Formulas and numbers are explained in docs/sample.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage

from narcf_geo.sample.difficulty import EASY, Difficulty
from narcf_geo.sample.geography import Array, NarrGrid

SOLAR_CONSTANT = 1361.0
LATENT_HEAT_MM = 86400 / 2.45e6
"""mm of evaporated water per day and W m-2."""

SOIL_RESIDUAL, SOIL_CAPACITY = 150.0, 350.0
"""Water that plants cannot reach, and plant-available capacity of 0-200 cm, kg m-2."""

SPIN_UP_YEARS = 6
STEPS_PER_MONTH = 4


@dataclass(frozen=True)
class Weather:
    """Monthly means, float32 (time, y, x), in NARR's units."""

    air: Array
    """2 m temperature, K."""
    rhum: Array
    """2 m relative humidity, %."""
    apcp: Array
    """Precipitation, kg m-2 a day."""
    dswrf: Array
    """Downward shortwave radiation at the surface, W m-2."""
    soilm: Array
    """Soil moisture of 0-200 cm, kg m-2."""
    pres: Array
    """Surface pressure, Pa."""


def saturation_vapour_pressure(celsius: Array) -> Array:
    """Return the saturation vapour pressure over water in hPa (Tetens)."""
    return 6.1078 * np.exp(17.27 * celsius / (celsius + 237.3))


def declination(day_of_year: Array) -> Array:
    """Return the declination of the sun, radians."""
    return np.radians(23.44) * np.sin(2 * np.pi * (day_of_year - 80) / 365)


def noon_sun(lat: Array) -> Array:
    """Return the cosine of the sun's zenith angle at noon in mid-month (12, *lat.shape)."""
    middle = np.arange(12) * 365 / 12 + 15.2
    angle = np.radians(lat) - declination(middle).reshape((12,) + (1,) * lat.ndim)
    return np.clip(np.cos(angle), 0, 1).astype(np.float32)


def insolation(lat: Array) -> Array:
    """Return the monthly mean insolation at the top of the atmosphere, W m-2 (12, *lat.shape).

    Examples
    --------
    >>> insolation(np.array([0.0, 45.0])).mean(axis=0).round(-1).tolist()
    [420.0, 300.0]
    """
    days = pd.date_range("2001-01-01", "2001-12-31")
    day = days.day_of_year.values.reshape((365,) + (1,) * lat.ndim)
    nearness = 1 + 0.033 * np.cos(2 * np.pi * (day - 3) / 365)
    sine = np.sin(np.radians(lat)) * np.sin(declination(day))
    cosine = np.cos(np.radians(lat)) * np.cos(declination(day))
    half_day = np.arccos(np.clip(-sine / cosine, -1, 1))
    daily = SOLAR_CONSTANT / np.pi * nearness * (half_day * sine + cosine * np.sin(half_day))
    return np.stack([daily[days.month == month].mean(axis=0) for month in range(1, 13)])


def random_field(
    rng: np.random.Generator, steps: int, shape: tuple[int, int], sigma: float, persistence: float
) -> Array:
    """Return unit-variance Gaussian fields, smooth in space and AR(1) in time.

    Parameters
    ----------
    steps : int
        Number of months.
    sigma : float
        Width of the smoothing kernel in grid cells; the correlation e-folds at 2 sigma.
    persistence : float
        Lag-one autocorrelation, 0 <= persistence < 1.

    Returns
    -------
    array, float32 (steps, *shape)
    """
    edge = round(4 * sigma)
    noise = rng.standard_normal((steps, *(size + 2 * edge for size in shape)), dtype=np.float32)
    smooth = ndimage.gaussian_filter(noise, sigma=(0, sigma, sigma), truncate=4.0)
    spread = (1 / (2 * np.sqrt(np.pi) * sigma)) ** 2  # variance left of white noise, both axes
    field = smooth[:, edge : edge + shape[0], edge : edge + shape[1]] / np.float32(np.sqrt(spread))
    for step in range(1, steps):
        field[step] *= np.sqrt(1 - persistence**2)
        field[step] += persistence * field[step - 1]
    return field


def anomaly(rng: np.random.Generator, steps: int, shape: tuple[int, int]) -> Array:
    """Return a unit-variance anomaly: mostly month-to-month weather, part of it lasting a year."""
    fast = random_field(rng, steps, shape, sigma=4.0, persistence=0.25)
    slow = random_field(rng, steps, shape, sigma=6.0, persistence=0.85)
    return np.sqrt(np.float32(0.8)) * fast + np.sqrt(np.float32(0.2)) * slow


def elevation(lat: Array, lon: Array) -> Array:
    """Return a smooth stand-in for the orography, m: Cordillera, Mexican plateau, Greenland."""
    ridge = -106.0 - 0.85 * np.clip(lat - 36, 0, 30)
    beyond = np.clip(abs(lat - 44) - 12, 0, None)
    cordillera = 1700 * np.exp(-(((lon - ridge) / 6) ** 2) - (beyond / 6) ** 2)
    plateau = 1500 * np.exp(-(((lat - 22) / 5) ** 2) - ((lon + 102) / 4) ** 2)
    greenland = 2400 * np.exp(-(((lat - 72) / 7) ** 2) - ((lon + 40) / 10) ** 2)
    return cordillera + plateau + greenland


def temperature(lat: Array, continental: Array, height: Array) -> Array:
    """Return the mean annual cycle of 2 m temperature, degC (12, y, x)."""
    sine = np.sin(np.radians(lat))
    mean = 28 - 48 * sine**2.4 + 9 * (1 - continental) * sine**2 - 0.0055 * height
    amplitude = sine**1.1 * (6 + 18 * continental)
    middle = np.arange(12)[:, None, None] * 365 / 12 + 15.2
    return mean + amplitude * np.cos(2 * np.pi * (middle - 200 - 25 * (1 - continental)) / 365)


def precipitation(lat: Array, lon: Array, continental: Array) -> Array:
    """Return the mean annual cycle of precipitation, kg m-2 a day (12, y, x), always positive."""
    middle = np.arange(12)[:, None, None] * 365 / 12 + 15.2
    summer = np.cos(2 * np.pi * (middle - 200) / 365)
    cold_dry = np.exp(-np.clip(lat - 45, 0, 60) / 14)
    background = (0.5 + 0.9 * cold_dry) * (1 + 0.55 * continental * summer)
    humid_east = 2.0 / (1 + np.exp(-(lon + 96) / 3.5)) * np.exp(-(((lat - 36) / 12) ** 2))
    west_coast = 6.0 * (1 - continental) ** 1.5 * np.exp(-(((lat - 53) / 9) ** 2))
    west_coast = west_coast / (1 + np.exp((lon + 118) / 3)) * (1 - 0.6 * summer)
    tropics = 4.5 * np.exp(-(((lat - 8) / 8) ** 2))
    tropics = tropics * (1 + 0.6 * np.cos(2 * np.pi * (middle - 235) / 365))
    desert = 1 - 0.8 * np.exp(-(((lat - 32) / 6) ** 2) - ((lon + 113) / 9) ** 2)
    return (background + humid_east + west_coast + tropics) * desert


def potential_evaporation(celsius: Array, shortwave: Array) -> Array:
    """Return Priestley-Taylor potential evaporation, kg m-2 a day; none below -2 degC."""
    vapour = saturation_vapour_pressure(celsius)
    slope = vapour * 17.27 * 237.3 / (celsius + 237.3) ** 2
    net_radiation = np.clip(0.6 * shortwave - 40, 0, None)
    rate = 1.26 * slope / (slope + 0.66) * net_radiation * LATENT_HEAT_MM
    return np.where(celsius > -2, rate, 0)


def soil_water(celsius: Array, rain: Array, shortwave: Array, days: Array) -> Array:
    """Return plant-available soil water, kg m-2 (time, y, x), of a bucket with snow on top.

    Precipitation falls as snow below 0 degC and melts by degree days; evaporation is the potential
    rate times ``min(1, 2 W / capacity)``; what the bucket cannot hold runs off. The bucket starts
    from six turns of the series' mean year.
    """
    demand = potential_evaporation(celsius, shortwave)
    first_month = 11  # the series starts with a December
    phase = (np.arange(len(days)) + first_month) % 12
    water = np.full(celsius.shape[1:], SOIL_CAPACITY / 2)
    snow = np.zeros_like(water)

    def month(index: Array | int) -> Array:
        nonlocal water, snow
        chosen = np.atleast_1d(index)
        air, fall, need = (part[chosen].mean(axis=0) for part in (celsius, rain, demand))
        step = days[chosen].mean() / STEPS_PER_MONTH
        total = np.zeros_like(water)
        for _ in range(STEPS_PER_MONTH):
            snowing = air < 0
            melt = np.minimum(snow, np.clip(air, 0, None) * 3.0 * step)
            snow = snow + np.where(snowing, fall * step, 0) - melt
            water = water + np.where(snowing, 0, fall * step) + melt
            # implicit in W, so that a dry month cannot take more than there is
            rate = np.where(water < SOIL_CAPACITY / 2, 2 * need * step / SOIL_CAPACITY, 0)
            water = np.where(rate > 0, water / (1 + rate), water - need * step)
            water = np.clip(water, 0, SOIL_CAPACITY)
            total += water
        return total / STEPS_PER_MONTH

    for _ in range(SPIN_UP_YEARS):
        for turn in range(12):
            month(np.flatnonzero(phase == (turn + first_month) % 12))
    return np.stack([month(index) for index in range(len(days))])


def simulate(
    rng: np.random.Generator,
    grid: NarrGrid,
    continental: Array,
    months: pd.DatetimeIndex,
    difficulty: Difficulty = EASY,
) -> Weather:
    """Return synthetic weather for `months`, which start with a December.

    Parameters
    ----------
    continental : array, (y, x)
        0 at sea to 1 far inland, see `narcf_geo.sample.geography.continentality`.
    difficulty : Difficulty
        Which years are warmer, and where it is dry in them.
    """
    lat = grid.lat
    lon = np.where(grid.lon > 60, grid.lon - 360, grid.lon)
    calendar = np.asarray(months.month) - 1
    steps, shape = len(months), lat.shape
    height = elevation(lat, lon)
    warm, wet, cloud = (anomaly(rng, steps, shape) for _ in range(3))

    winter = 0.5 * (1 + np.cos(2 * np.pi * (calendar - 0.5) / 12))[:, None, None]
    sine = np.sin(np.radians(lat))
    spread = 0.4 + 0.8 * sine + 1.8 * sine * continental * winter
    celsius = temperature(lat, continental, height)[calendar] + spread * warm
    celsius += difficulty.warmth(months)

    mean_rain = precipitation(lat, lon, continental)[calendar]
    # summers that are hot are dry; in winter the two hardly go together
    wetness = np.sqrt(1 - 0.35**2) * wet - 0.35 * (1 - winter) * warm
    width = 0.25 + 0.3 * np.exp(-mean_rain)
    rain = mean_rain * np.exp(width * wetness - width**2 / 2)
    rain *= difficulty.rain(months, lat, lon)

    cloudiness = 1 - np.exp(-rain / 3)
    clear = 0.70 - 0.24 * cloudiness - 0.02 * cloud - 0.06 * winter * sine
    shortwave = insolation(lat)[calendar] * np.clip(clear, 0.25, 0.8)

    cold = 1 / (1 + np.exp(celsius / 5))
    humidity = 28 + 46 * (1 - np.exp(-rain)) + 14 * cold + 10 * (1 - continental)
    humidity = np.clip(humidity + 2 * wet - 1.5 * warm, 8, 99)

    sea_level = 101325 + 700 * continental * winter * sine - 250 * wet - 120 * warm
    column = celsius + 273.15 + 0.00325 * height
    pressure = sea_level * np.exp(-9.80665 * height / (287.05 * column))
    water = soil_water(celsius, rain, shortwave, np.asarray(months.days_in_month, dtype=float))
    fields = (celsius + 273.15, humidity, rain, shortwave, SOIL_RESIDUAL + water, pressure)
    return Weather(*(field.astype(np.float32) for field in fields))
