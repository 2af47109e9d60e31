"""What instruments, an inversion and an upscaling product would make of the true world.

The sizes of all errors, and where they come from, are in docs/sample.md.
"""

from __future__ import annotations

import numpy as np

from narcf_geo.core.constants import CARBON_MOLAR_MASS, EARTH_RADIUS, SECONDS_PER_DAY
from narcf_geo.sample.geography import Array

TG_PER_UMOL = CARBON_MOLAR_MASS * 1e-6 * 1e-12 * SECONDS_PER_DAY
"""TgC a day of 1 umol CO2 s-1."""

NDVI_NOISE, NIRV_NOISE = 0.02, 0.008
SIF_PER_GPP = 1 / 16
"""Daily-average SIF at 740 nm, mW m-2 nm-1 sr-1, of 1 g C m-2 a day."""
SIF_NOISE, SIF_GAPS, SIF_LOWEST_SUN = 0.07, 0.02, 0.10

ERROR_LENGTH, ERROR_PERSISTENCE = 250e3, 0.2
STANDARD_ERROR = (0.20, 0.12)
"""Floor in umol m-2 s-1, and share of the month's mean flux."""
ANNUAL_ERROR = 42.0
"""Standard deviation of the continental annual error, TgC: 82 TgC/yr is 1.96 of it."""

FLUXCOM_SINK, FLUXCOM_DAMPING = 0.05, 0.5


def mean_year(field: Array) -> Array:
    """Return the mean annual cycle of whole years, repeated to the length of `field`."""
    years = len(field) // 12
    return np.tile(field.reshape(years, 12, -1).mean(axis=0), (years, 1)).reshape(field.shape)


def see_vegetation(rng: np.random.Generator, ndvi: Array) -> tuple[Array, Array]:
    """Return NDVI and NIRv as a satellite would give them, each with its own noise."""
    seen = np.clip(ndvi + NDVI_NOISE * rng.standard_normal(ndvi.shape), -0.1, 0.95)
    near_infrared = 0.10 + 0.25 * np.clip(ndvi, 0, 1)
    nirv = ndvi * near_infrared + NIRV_NOISE * rng.standard_normal(ndvi.shape)
    return seen, np.clip(nirv, -0.05, 0.6)


def see_fluorescence(
    rng: np.random.Generator, gpp: Array, unstressed: Array, noon_sun: Array
) -> Array:
    """Return daily-average SIF with noise, and NaN where the sun is too low or by chance.

    Parameters
    ----------
    gpp, unstressed : array, (time, cell)
        g C m-2 a day; fluorescence follows 0.6 of the one and 0.4 of the other.
    noon_sun : array, (time, cell)
        Cosine of the solar zenith angle at noon.
    """
    signal = SIF_PER_GPP * (0.6 * gpp + 0.4 * unstressed)
    seen = signal + (SIF_NOISE + 0.05 * signal) * rng.standard_normal(gpp.shape)
    gap = (noon_sun < SIF_LOWEST_SUN) | (rng.random(gpp.shape) < SIF_GAPS)
    return np.where(gap, np.nan, seen)


def standard_error(flux: Array) -> Array:
    """Return the standard error of the inversion, umol m-2 s-1, from each month's mean flux."""
    floor, share = STANDARD_ERROR
    return floor + share * np.abs(mean_year(flux))


def correlation(lat: Array, lon: Array) -> Array:
    """Return exp(-distance / 250 km) between cells, from great-circle distances."""
    north, east = np.radians(lat), np.radians(lon)
    vectors = np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])
    angle = np.arccos(np.clip(vectors.T @ vectors, -1, 1))
    return np.exp(-EARTH_RADIUS * angle / ERROR_LENGTH)


def inversion_error(
    rng: np.random.Generator, error: Array, lat: Array, lon: Array, area: Array, days: Array
) -> Array:
    """Return errors of an inversion, umol m-2 s-1 (time, cell).

    Correlated in space and from month to month with standard deviation `error`; then the
    continental total of each year is replaced by an independent draw of `ANNUAL_ERROR`, because
    mixing in the atmosphere constrains the whole better than the sum of its parts. The correction
    is shared out by squared standard error, as the uncertain cells would take it.
    """
    factor = np.linalg.cholesky(correlation(lat, lon) + 1e-9 * np.eye(len(lat)))
    normal = rng.standard_normal(error.shape) @ factor.T
    for step in range(1, len(normal)):
        normal[step] *= np.sqrt(1 - ERROR_PERSISTENCE**2)
        normal[step] += ERROR_PERSISTENCE * normal[step - 1]
    drawn = error * normal
    total = TG_PER_UMOL * days[:, None] * area
    wanted = ANNUAL_ERROR * rng.standard_normal(len(drawn) // 12)
    for year, target in enumerate(wanted):
        months = slice(12 * year, 12 * year + 12)
        variance = error[months] ** 2
        missing = target - (drawn[months] * total[months]).sum()
        drawn[months] += missing * variance / (variance * total[months]).sum()
    return drawn


def fluxcom_like(nee: Array, gpp: Array) -> Array:
    """Return NEE with FLUXCOM's known faults: too strong a sink, too little change between years.

    Months of whole years, (time, cell), unit as given.
    """
    normal = mean_year(nee)
    return normal + FLUXCOM_DAMPING * (nee - normal) - FLUXCOM_SINK * mean_year(gpp)
