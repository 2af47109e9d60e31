"""Variables computed from others, on the native grid, where the formula is still true."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from narcf_geo.core.constants import FLUX_SIGN
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.registry import Registry
from narcf_geo.core.units import MEAN_MONTH_DAYS
from narcf_geo.core.variables import SIGNED, VARIABLES, Variable


@dataclass(frozen=True)
class Formula:
    """How a variable is computed from others.

    Attributes
    ----------
    function : callable
        Takes an array for each input and returns the variable, lazily where they are lazy.
    inputs : tuple of str
        Names of the variables it is made of, in the order of the arguments.
    over_time : bool
        Whether it needs an axis of time: it is then left out of static data.
    variable : Variable, optional
        Unit and name of the result; by default those of the canonical variable.
    gives : str, optional
        The variable that it gives, where it is registered under another name because there are two
        ways to it.
    """

    function: Callable[..., xr.DataArray]
    inputs: tuple[str, ...]
    over_time: bool = False
    variable: Variable | None = None
    gives: str | None = None


def saturation_vapour_pressure(temp: xr.DataArray) -> xr.DataArray:
    """Return the saturation vapour pressure over water in hPa at `temp` in degC.

    Magnus form with the coefficients of Alduchov and Eskridge (1996), within 0.4 % from -40 to
    50 degC.
    """
    exponent = 17.625 * temp / (temp + 243.04)
    return 6.1094 * xr.ufuncs.exp(exponent)


def vapour_pressure_deficit(temp: xr.DataArray, rel_hum: xr.DataArray) -> xr.DataArray:
    """Return the vapour pressure deficit in hPa from degC and %."""
    return saturation_vapour_pressure(temp) * (1.0 - rel_hum.clip(0.0, 100.0) / 100.0)


def relative_humidity_of_dew_point(temp: xr.DataArray, dewp: xr.DataArray) -> xr.DataArray:
    """Return the relative humidity in % from temperature and dew point in degC; at most 100."""
    share = saturation_vapour_pressure(dewp) / saturation_vapour_pressure(temp)
    return (100.0 * share).clip(max=100.0)


def specific_humidity(
    temp: xr.DataArray, rel_hum: xr.DataArray, pres: xr.DataArray
) -> xr.DataArray:
    """Return the specific humidity in kg kg-1 from degC, % and hPa (Wallace and Hobbs 2006)."""
    vapour_pressure = saturation_vapour_pressure(temp) * rel_hum / 100.0
    return 0.622 * vapour_pressure / (pres - 0.378 * vapour_pressure)


def relative_humidity(temp: xr.DataArray, sp_hum: xr.DataArray, pres: xr.DataArray) -> xr.DataArray:
    """Return the relative humidity in % from degC, kg kg-1 and hPa; `specific_humidity` inverted.

    At most 100: a mean pressure and temperature can put the air just above saturation.
    """
    vapour_pressure = sp_hum * pres / (0.622 + 0.378 * sp_hum)
    return (100.0 * vapour_pressure / saturation_vapour_pressure(temp)).clip(max=100.0)


def precipitation_30d(precip: xr.DataArray) -> xr.DataArray:
    """Return the precipitation of the 30 days before a month, kg m-2, from kg m-2 day-1.

    Monthly data hold no shorter memory, so it is 30 days at the rate of the month before; a month
    without one before it, such as the first, is NaN. In a climatology December comes before
    January.
    """
    if np.issubdtype(precip["time"].dtype, np.integer):
        return 30.0 * precip.roll(time=1, roll_coords=False)
    if precip.sizes["time"] == 1:
        return xr.full_like(precip, np.nan)
    month = 12 * precip["time"].dt.year + precip["time"].dt.month
    follows = month - month.shift(time=1) == 1
    return 30.0 * precip.shift(time=1).where(follows)


def near_infrared_reflectance_of_vegetation(ndvi: xr.DataArray, nir: xr.DataArray) -> xr.DataArray:
    """Return NIRv, NDVI times near-infrared reflectance (Badgley et al. 2017)."""
    return ndvi * nir


def growing_degree_sum(temp: xr.DataArray, base: float = 5.0) -> xr.DataArray:
    """Return the sum of degree-days above `base` degC since 1 January, K day, from monthly degC.

    Days of the month times the excess of its mean temperature (Thom 1954 without the term for the
    spread within a month), so spells above `base` in a month colder than it are left out. A year
    of which a month before is absent is NaN from then on.
    """
    if np.issubdtype(temp["time"].dtype, np.integer):
        month, year = temp["time"].values, np.zeros(12, int)
        days = MEAN_MONTH_DAYS[month - 1]
    else:
        month, year = temp["time"].dt.month.values, temp["time"].dt.year.values
        days = temp["time"].dt.days_in_month.values
    whole = temp.chunk(time=-1) if temp.chunks else temp
    return xr.apply_ufunc(
        _sum_within_year,
        whole,
        kwargs={"base": base, "days": days, "year": year, "month": month},
        input_core_dims=[["time"]],
        output_core_dims=[["time"]],
        dask="parallelized",
        output_dtypes=[np.float64],
    ).transpose(*temp.dims)


def _sum_within_year(
    temp: np.ndarray, base: float, days: np.ndarray, year: np.ndarray, month: np.ndarray
) -> np.ndarray:
    degree_days = np.clip(temp.astype(np.float64) - base, 0, None) * days
    result = np.full(temp.shape, np.nan)
    for one in np.unique(year):
        inside = np.flatnonzero(year == one)
        unbroken = int((month[inside] == np.arange(1, inside.size + 1)).cumprod().sum())
        inside = inside[:unbroken]
        result[..., inside] = degree_days[..., inside].cumsum(-1)
    return result


def land_flux(bio_flux: xr.DataArray, fire_flux: xr.DataArray) -> xr.DataArray:
    """Return the land flux as the sum of biosphere and fire."""
    return bio_flux + fire_flux


FORMULAS: Registry[Formula] = Registry(
    "narcf_geo.derived",
    "derived variable",
    {
        "rel_hum": Formula(relative_humidity, ("temp", "sp_hum", "pres")),
        "rel_hum_of_dewp": Formula(
            relative_humidity_of_dew_point, ("temp", "dewp"), gives="rel_hum"
        ),
        "vpd": Formula(vapour_pressure_deficit, ("temp", "rel_hum")),
        "sp_hum": Formula(specific_humidity, ("temp", "rel_hum", "pres")),
        "precip_30d": Formula(precipitation_30d, ("precip",), over_time=True),
        "gdd": Formula(growing_degree_sum, ("temp",), over_time=True),
        "nirv": Formula(near_infrared_reflectance_of_vegetation, ("ndvi", "nir")),
        "flux": Formula(land_flux, ("bio_flux", "fire_flux")),
    },
    valid=lambda value: isinstance(value, Formula),
    expected="a narcf_geo.catalog.readers.derived.Formula",
)
"""By name, in an order that lets one derived variable serve the next; see docs/extending.md."""


_MADE_OF = "derived from "


def made_of(ds: xr.Dataset, names: Iterable[str]) -> list[str]:
    """Return the variables of `ds` that derived ones are made of, all the way down."""
    found: dict[str, None] = {}
    for name in names:
        comment = str(ds[name].attrs.get("comment", ""))
        if comment.startswith(_MADE_OF):
            inputs = comment.removeprefix(_MADE_OF).split(", ")
            found |= dict.fromkeys([*inputs, *made_of(ds, inputs)])
    return list(found)


def add(ds: xr.Dataset) -> xr.Dataset:
    """Return `ds` with every derived variable whose inputs it has and which it has not."""
    for key, formula in FORMULAS.items():
        name = formula.gives or key
        if name in ds or not set(formula.inputs) <= set(ds):
            continue
        inputs = [ds[i] for i in formula.inputs]
        if formula.over_time and "time" not in inputs[0].dims:
            continue
        array = formula.function(*inputs).astype(np.float32)
        variable = formula.variable or VARIABLES.get(name)
        if variable is None:
            raise NarcfError(
                f"derived variable {name!r} ({FORMULAS.origin(key) or 'registered here'}): "
                "expected its unit and name in Formula.variable, found none"
            )
        array.attrs = {
            "units": variable.units,
            "long_name": variable.long_name,
            "cell_methods": "time: mean area: mean",
            "comment": f"{_MADE_OF}{', '.join(formula.inputs)}",
        }
        if "grid_mapping" in inputs[0].attrs:
            array.attrs["grid_mapping"] = inputs[0].attrs["grid_mapping"]
        if variable.standard_name:
            array.attrs["standard_name"] = variable.standard_name
        if name in SIGNED:
            array.attrs["sign"] = FLUX_SIGN
        ds[name] = array
    return ds
