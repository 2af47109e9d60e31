"""Predictors computed from others, on the native grid, where the formula is still true."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from narcf_geo.variables import VARIABLES


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


def specific_humidity(
    temp: xr.DataArray, rel_hum: xr.DataArray, pres: xr.DataArray
) -> xr.DataArray:
    """Return the specific humidity in kg kg-1 from degC, % and hPa (Wallace and Hobbs 2006)."""
    vapour_pressure = saturation_vapour_pressure(temp) * rel_hum / 100.0
    return 0.622 * vapour_pressure / (pres - 0.378 * vapour_pressure)


def precipitation_30d(precip: xr.DataArray) -> xr.DataArray:
    """Return the precipitation of the 30 days before a month, kg m-2, from kg m-2 day-1.

    Monthly data hold no shorter memory, so it is 30 days at the rate of the month before; a month
    without one before it, such as the first, is NaN.
    """
    month = 12 * precip["time"].dt.year + precip["time"].dt.month
    follows = month - month.shift(time=1) == 1
    return 30.0 * precip.shift(time=1).where(follows)


def near_infrared_reflectance_of_vegetation(ndvi: xr.DataArray, nir: xr.DataArray) -> xr.DataArray:
    """Return NIRv, NDVI times near-infrared reflectance (Badgley et al. 2017)."""
    return ndvi * nir


_FORMULAS: dict[str, tuple[Callable[..., xr.DataArray], tuple[str, ...]]] = {
    "vpd": (vapour_pressure_deficit, ("temp", "rel_hum")),
    "sp_hum": (specific_humidity, ("temp", "rel_hum", "pres")),
    "precip_30d": (precipitation_30d, ("precip",)),
    "nirv": (near_infrared_reflectance_of_vegetation, ("ndvi", "nir")),
}


def add(ds: xr.Dataset) -> xr.Dataset:
    """Return `ds` with every derived predictor whose inputs it has and which it has not."""
    for name, (formula, inputs) in _FORMULAS.items():
        if name not in ds and set(inputs) <= set(ds):
            array = formula(*(ds[i] for i in inputs)).astype(np.float32)
            variable = VARIABLES[name]
            array.attrs = {
                "units": variable.units,
                "long_name": variable.long_name,
                "cell_methods": "time: mean area: mean",
                "comment": f"derived from {', '.join(inputs)}",
            }
            if "grid_mapping" in ds[inputs[0]].attrs:
                array.attrs["grid_mapping"] = ds[inputs[0]].attrs["grid_mapping"]
            if variable.standard_name:
                array.attrs["standard_name"] = variable.standard_name
            ds[name] = array
    return ds
