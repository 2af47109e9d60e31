"""Units and names of CO2 fluxes, and what is no CO2 target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from catalog.layouts.fluxes import BY_CARBON, MONTHS, TIME
from catalog.layouts.layout import (
    CARBON,
    CO2,
    DAY,
    EARTH,
    EAST,
    LAT,
    LON,
    NORTH,
    YEAR,
    field,
    layout,
    netcdf,
    plain,
)


@layout("`nep` in g C m-2 month-1", role="target", months=MONTHS, want={"flux": ([-1, 2], 0)})
def nep_by_month(folder: Path) -> Path:
    gram = CARBON * 1e-6 * DAY
    values = [31 * gram, -2 * 28 * gram]
    return plain(folder / "nep.nc", {"nep": (values, {"units": "g C m-2 month-1"})}, TIME)


@layout("`nee` in kg CO2 m-2 s-1", role="target", months=MONTHS, want={"flux": ([1, -2], 0)})
def nee_of_co2(folder: Path) -> Path:
    said = {"units": "kg CO2 m-2 s-1", "long_name": "NEE = GPP minus respiration"}
    return plain(folder / "nee.nc", {"nee": ([CO2 * 1e-9, -2 * CO2 * 1e-9], said)}, TIME)


@layout(
    "`nee` upward by its standard name",
    role="target",
    months=MONTHS,
    want={"flux": ([1, -2], 0)},
)
def nee_upward(folder: Path) -> Path:
    said = {"units": "kg m-2 s-1", "standard_name": BY_CARBON.format("net_upward")}
    return plain(folder / "f.nc", {"co2": ([CARBON * 1e-9, -2 * CARBON * 1e-9], said)}, TIME)


@layout("`NEE` in t C ha-1 yr-1", role="target", months=MONTHS, want={"flux": ([1, -2], 0)})
def nee_by_hectare(folder: Path) -> Path:
    tonne = CARBON * 1e-6 * YEAR * 1e4 * 1e-6
    said = {"units": "t C ha-1 yr-1"}
    return plain(folder / "f.nc", {"NEE": ([tonne, -2 * tonne], said)}, TIME)


@layout("`nee` in Pg C yr-1 cell-1", role="target", months=MONTHS, want={"flux": ([1, -2], 0)})
def nee_by_cell(folder: Path) -> Path:
    edges = np.deg2rad(np.stack([LAT - 0.5, LAT + 0.5]))
    area = EARTH**2 * np.deg2rad(1) * np.diff(np.sin(edges), axis=0)[0]
    totals = field([1, -2], LAT, LON) * area[:, None] * CARBON * 1e-6 * YEAR * 1e-15
    dims = {"time": 2, "lat": LAT.size, "lon": LON.size}
    variables: dict[str, Any] = {
        "time": ("f8", ("time",), *TIME),
        "lat": ("f8", ("lat",), LAT, NORTH),
        "lon": ("f8", ("lon",), LON, EAST),
        "nee": ("f8", tuple(dims), totals, {"units": "Pg C yr-1 cell-1"}),
    }
    return netcdf(folder / "f.nc", dims, variables)


@layout(
    "`NEE` without unit",
    role="target",
    asks="UNKNOWN",
    answer=("units: UNKNOWN", "units: umol m-2 s-1"),
    months=MONTHS,
    want={"flux": ([1, -2], 0)},
    says="asks the unit",
    state="`units:`",
)
def nee_without_unit(folder: Path) -> Path:
    return plain(folder / "f.nc", {"NEE": ([1, -2], {})}, TIME)


@layout("FLUXCOM RS+METEO `NEE`", role="reference", months=MONTHS, want={"flux": ([1, -2], 0)})
def fluxcom(folder: Path) -> Path:
    gram = CARBON * 1e-6 * DAY
    name = "NEE.RS_METEO.FP-NONE.MLM-ALL.METEO-ERA5.720_360.monthly.2001.nc"
    said = {"units": "g m-2 d-1", "long_name": "net ecosystem exchange"}
    return plain(folder / name, {"NEE": ([gram, -2 * gram], said)}, TIME)


@layout(
    "CH4 flux of wetlands",
    months=MONTHS,
    want={"ch4_flux": ([1e-9, 2e-9], 0)},
    says="a predictor, no CO2 target",
)
def methane(folder: Path) -> Path:
    said = {
        "units": "kg m-2 s-1",
        "long_name": "net methane flux",
        "standard_name": "surface_net_upward_mass_flux_of_methane_due_to_emission_from_wetland",
    }
    return plain(folder / "wetlands.nc", {"ch4_flux": ([1e-9, 2e-9], said)}, TIME)


@layout(
    "variable `flux` of methane",
    months=MONTHS,
    want={"other_flux": ([1e-9, 2e-9], 0)},
    says="a predictor, `other_flux`; no target",
)
def methane_named_flux(folder: Path) -> Path:
    said = {"units": "mol m-2 s-1", "long_name": "CH4 flux"}
    return plain(folder / "f.nc", {"flux": ([1e-9, 2e-9], said)}, TIME)


@layout("`gpp`", months=MONTHS, want={"gpp": ([3, 4], 0)}, says="a predictor, no target")
def gpp(folder: Path) -> Path:
    said = {
        "units": "g C m-2 day-1",
        "standard_name": "gross_primary_productivity_of_biomass_expressed_as_carbon",
    }
    return plain(folder / "gpp.nc", {"gpp": ([3, 4], said)}, TIME)


@layout(
    "CMIP6 `ra`, `rh`",
    months=MONTHS,
    want={"ra": ([3e-9, 4e-9], 0), "rh": ([1e-9, 2e-9], 0)},
    says="predictors, no target; `rh` is no humidity",
)
def respiration(folder: Path) -> Path:
    name = "surface_upward_mass_flux_of_carbon_dioxide_expressed_as_carbon_due_to_{}_respiration"
    ra = {"units": "kg m-2 s-1", "standard_name": name.format("plant")}
    rh = {"units": "kg m-2 s-1", "standard_name": name.format("heterotrophic")}
    return plain(folder / "r.nc", {"ra": ([3e-9, 4e-9], ra), "rh": ([1e-9, 2e-9], rh)}, TIME)


@layout(
    "`nee` and `nep` in one file",
    role="target",
    months=MONTHS,
    want={"flux": ([1, -2], 0), "nep": ([-1, 2], 0)},
    says="`nee` is the flux; `nep` keeps its name and sign",
)
def two_fluxes(folder: Path) -> Path:
    said = {"units": "umol m-2 s-1"}
    return plain(folder / "f.nc", {"nee": ([1, -2], said), "nep": ([-1, 2], said)}, TIME)


@layout(
    "CMIP6 `fgco2` (ocean)",
    months=MONTHS,
    want={"fgco2": ([1e-9, 2e-9], 0)},
    says="a predictor, no target",
)
def ocean(folder: Path) -> Path:
    name = "surface_downward_mass_flux_of_carbon_dioxide_expressed_as_carbon"
    said = {"units": "kg m-2 s-1", "standard_name": name}
    return plain(folder / "fgco2.nc", {"fgco2": ([1e-9, 2e-9], said)}, TIME)
