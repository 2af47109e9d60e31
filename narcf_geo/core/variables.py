"""The canonical variables: what each is called here, its unit, and what values are plausible."""

from __future__ import annotations

from typing import NamedTuple

from narcf_geo.core.constants import FLUX_UNITS


class Variable(NamedTuple):
    """A canonical variable.

    `substance` says what a mass in its unit is a mass of, which a unit string alone does not:
    ``"carbon"`` lets g(C) and mol(CO2) convert into each other, ``"water"`` lets kg m-2 and mm.
    `valid_range` is in `units`; monthly means on land outside it are errors of unit or sign, and so
    are fields of which no value is as far from zero as `least`.
    """

    units: str
    long_name: str
    valid_range: tuple[float, float]
    standard_name: str | None = None
    substance: str | None = None
    least: float = 0.0


VARIABLES: dict[str, Variable] = {
    "temp": Variable("degC", "2 m air temperature", (-80.0, 60.0), "air_temperature"),
    "dewp": Variable("degC", "2 m dew point", (-90.0, 40.0), "dew_point_temperature"),
    "rel_hum": Variable("%", "2 m relative humidity", (0.0, 105.0), "relative_humidity", least=2.0),
    "sp_hum": Variable(
        "kg kg-1", "2 m specific humidity", (0.0, 0.05), "specific_humidity", least=1e-05
    ),
    "vpd": Variable(
        "hPa", "vapour pressure deficit", (0.0, 120.0), "water_vapor_saturation_deficit_in_air"
    ),
    "pres": Variable("hPa", "surface pressure", (450.0, 1100.0), "surface_air_pressure"),
    "precip": Variable(
        "kg m-2 day-1", "precipitation", (0.0, 200.0), "precipitation_flux", "water", least=0.02
    ),
    "precip_30d": Variable(
        "kg m-2", "precipitation of the 30 days before", (0.0, 6000.0), None, "water"
    ),
    "soil_moisture": Variable(
        "kg m-2", "soil moisture content", (0.0, 3000.0), None, "water", least=1.0
    ),
    "R_sw": Variable(
        "W m-2",
        "downward shortwave radiation at the surface",
        (0.0, 600.0),
        "surface_downwelling_shortwave_flux_in_air",
        least=5.0,
    ),
    "gdd": Variable(
        "K day",
        "growing degree-days above 5 degC since 1 January",
        (0.0, 15000.0),
        "integral_wrt_time_of_air_temperature_excess",
    ),
    "nir": Variable("1", "near-infrared reflectance", (0.0, 1.2)),
    "sif": Variable("mW m-2 nm-1 sr-1", "sun-induced chlorophyll fluorescence", (-5.0, 10.0)),
    "ndvi": Variable("1", "normalized difference vegetation index", (-1.0, 1.0), least=0.01),
    "nirv": Variable("1", "near-infrared reflectance of vegetation", (-1.0, 1.0)),
    "flux": Variable(
        FLUX_UNITS, "net land-to-atmosphere CO2 flux", (-100.0, 100.0), None, "carbon", least=0.01
    ),
    "bio_flux": Variable(
        FLUX_UNITS,
        "biosphere CO2 flux to the atmosphere",
        (-100.0, 100.0),
        None,
        "carbon",
        least=0.01,
    ),
    "fire_flux": Variable(
        FLUX_UNITS, "fire CO2 flux to the atmosphere", (-100.0, 100.0), None, "carbon"
    ),
    "flux_std": Variable(
        FLUX_UNITS, "standard error of the net CO2 flux", (0.0, 100.0), None, "carbon"
    ),
}
"""Any other name may be used for a predictor too; the catalog then has to state its unit."""

SIGNED = ("flux", "bio_flux", "fire_flux")
"""The variables that have the sign of a flux."""
