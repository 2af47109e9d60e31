"""What instruments, an inversion and an upscaling product would make of the true world.

The sizes of all errors, and where they come from, are in docs/sample.md.
"""

from __future__ import annotations

import numpy as np

from narcf_geo.core.constants import CARBON_MOLAR_MASS, EARTH_RADIUS, SECONDS_PER_DAY
from narcf_geo.sample.geography import Array
from narcf_geo.sample.weather import SOIL_RESIDUAL, Weather, random_field

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
PRIOR_AMPLITUDE = 0.8

SHORTWAVE_BIAS = 0.2
"""Of the radiation: 37 W m-2 on average from 30 to 55 N."""
SHORTWAVE_ERROR, AIR_ERROR, HUMIDITY_ERROR = (0.05, 0.03), (1.0, 0.5), (4.0, 2.0)
RAIN_ERROR, SOIL_ERROR = (0.2, 0.2), (0.15, 0.05)
"""Of weather: what stays at a place, and what changes from month to month; as shares, K and %."""
NDVI_BIAS, SIF_FADING = 0.05, 0.02
"""Share of NDVI that is not seen, and share of fluorescence that is lost each year."""


def mean_year(field: Array) -> Array:
    """Return the mean annual cycle of whole years, repeated to the length of `field`."""
    years = len(field) // 12
    return np.tile(field.reshape(years, 12, -1).mean(axis=0), (years, 1)).reshape(field.shape)


def see_weather(rng: np.random.Generator, sky: Weather, size: float) -> Weather:
    """Return weather as a reanalysis would give it, with biases of `size` that vary in space."""
    steps, *shape = sky.air.shape

    def error(fixed: float, changing: float) -> Array:
        always = random_field(rng, 1, (shape[0], shape[1]), sigma=5.0, persistence=0.0)
        month = random_field(rng, steps, (shape[0], shape[1]), sigma=2.0, persistence=0.0)
        return size * (fixed * always + changing * month)

    water = (sky.soilm - SOIL_RESIDUAL) * np.exp(error(*SOIL_ERROR))
    seen = Weather(
        air=sky.air + error(*AIR_ERROR),
        rhum=np.clip(sky.rhum + error(*HUMIDITY_ERROR), 5, 99),
        apcp=sky.apcp * np.exp(error(*RAIN_ERROR)),
        dswrf=sky.dswrf * (1 + size * SHORTWAVE_BIAS + error(*SHORTWAVE_ERROR)),
        soilm=SOIL_RESIDUAL + water,
        pres=sky.pres,
    )
    return Weather(*(field.astype(np.float32) for field in vars(seen).values()))


def see_vegetation(rng: np.random.Generator, ndvi: Array, size: float = 0.0) -> tuple[Array, Array]:
    """Return NDVI and NIRv as a satellite would give them, each with its own noise.

    With `size`, the noise is larger by that share, and NDVI too low.
    """
    ndvi, noise = ndvi * (1 - size * NDVI_BIAS), 1 + size
    seen = np.clip(ndvi + noise * NDVI_NOISE * rng.standard_normal(ndvi.shape), -0.1, 0.95)
    near_infrared = 0.10 + 0.25 * np.clip(ndvi, 0, 1)
    nirv = ndvi * near_infrared + noise * NIRV_NOISE * rng.standard_normal(ndvi.shape)
    return seen, np.clip(nirv, -0.05, 0.6)


def fading(months: int, size: float) -> Array:
    """Return the share of its signal that an ageing instrument sees in each month (time, 1)."""
    return (1 - size * SIF_FADING) ** (np.arange(months)[:, None] / 12)


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


def distance(lat: Array, lon: Array) -> Array:
    """Return the great-circle distances between cells, m."""
    north, east = np.radians(lat), np.radians(lon)
    vectors = np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])
    return EARTH_RADIUS * np.arccos(np.clip(vectors.T @ vectors, -1, 1))


def correlation(lat: Array, lon: Array) -> Array:
    """Return exp(-distance / 250 km) between cells."""
    return np.exp(-distance(lat, lon) / ERROR_LENGTH)


def balanced_prior(nee: Array) -> Array:
    """Return the prior of an inversion: `PRIOR_AMPLITUDE` of the mean seasonal cycle of `nee`.

    Its years add up to nothing, as those of CASA do. Months of whole years, (time, cell).
    """
    normal = mean_year(nee)
    return PRIOR_AMPLITUDE * (normal - normal.mean(axis=0))


def seen_from_afar(
    flux: Array, prior: Array, lat: Array, lon: Array, area: Array, footprint: float
) -> Array:
    """Return the flux as an inversion with wide footprints resolves it, umol m-2 s-1 (time, cell).

    The departure from the prior is a mean over a Gaussian of full width at half maximum
    `footprint` (m); the total of each month is kept.
    """
    sigma = footprint / np.sqrt(8 * np.log(2))
    kernel = np.exp(-0.5 * (distance(lat, lon) / sigma) ** 2) * area
    departure = flux - prior
    smooth = departure @ (kernel / kernel.sum(axis=1, keepdims=True)).T
    return prior + smooth + ((departure - smooth) @ area / area.sum())[:, None]


def inversion_error(
    rng: np.random.Generator,
    error: Array,
    lat: Array,
    lon: Array,
    area: Array,
    days: Array,
    fixed: float = 0.0,
) -> Array:
    """Return errors of an inversion, umol m-2 s-1 (time, cell).

    Correlated in space and from month to month with standard deviation `error`; then the
    continental total of each year is replaced by an independent draw of `ANNUAL_ERROR`, because
    mixing in the atmosphere constrains the whole better than the sum of its parts. The correction
    is shared out by squared standard error, as the uncertain cells would take it. A share `fixed`
    of the variance, of cells and of the annual total, is the same in every year.
    """
    factor = np.linalg.cholesky(correlation(lat, lon) + 1e-9 * np.eye(len(lat)))

    def correlated(months: int) -> Array:
        normal = rng.standard_normal((months, len(lat))) @ factor.T
        for step in range(1, months):
            normal[step] *= np.sqrt(1 - ERROR_PERSISTENCE**2)
            normal[step] += ERROR_PERSISTENCE * normal[step - 1]
        return normal

    normal = correlated(len(error))
    years = rng.standard_normal(len(error) // 12)
    if fixed:
        always = np.tile(correlated(12), (len(years), 1))
        normal = np.sqrt(1 - fixed) * normal + np.sqrt(fixed) * always
        years = np.sqrt(1 - fixed) * years + np.sqrt(fixed) * rng.standard_normal()
    drawn = error * normal
    total = TG_PER_UMOL * days[:, None] * area
    wanted = ANNUAL_ERROR * years
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
