"""What a file is: a product of the packaged catalog, and the canonical variables in it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import xarray as xr

from narcf_geo.catalog.catalog import Catalog
from narcf_geo.catalog.schema import SourceEntry
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.filenames import name_pattern
from narcf_geo.core.units import is_convertible, parse, substance_of
from narcf_geo.core.variables import VARIABLES, Variable

_NAMES = {
    "temp": ("air", "t2m", "2t", "tas", "t2", "tmp", "temperature"),
    "dewp": ("d2m", "2d", "tdps", "dewpoint"),
    "rel_hum": ("rhum", "hurs", "rh", "r2"),
    "sp_hum": ("shum", "huss", "q2", "qv2m"),
    "pres": ("pres", "sp", "ps", "psfc"),
    "precip": ("apcp", "pr", "pre", "tp", "ppt", "rain", "prectot", "prectotcorr"),
    "soil_moisture": ("soilm", "mrso"),
    "R_sw": ("dswrf", "rsds", "ssrd", "srad", "swgdn"),
    "sif": ("sif_daily_average",),
    "ndvi": ("ndvi",),
    "flux": ("nee", "nep", "nbp", "nbe", "netatmoslandco2flux", "bio_flux_opt", "monthly_flux"),
}
"""Names that providers give, beside the canonical and the standard ones."""

_NET_FLUX = re.compile(
    r"(upward|downward)_(mass|mole)_flux_of_carbon_dioxide_(expressed_as_carbon_)?due_to_(all_land|"
    r"net)|surface_(net_)?(upward|downward)_(mass|mole)_flux_of_carbon_dioxide(_expressed_as_carbon)?"
    r"(_due_to_all_land_processes\w*|_due_to_net_biome\w*)?$|net_ecosystem|net_biome"
)
"""Standard names of the net exchange of CO2, not of a part of it."""

_OTHER_GAS = re.compile(r"(?i)CH_?4(?![a-z0-9])|methane|\bN2O\b|nitrous|monoxide")
_PART = re.compile(
    r"(?i)\bGPP\b|gross|photosynth|assimilation|respiration|\bNPP\b|\breco\b|\bter\b|fossil|ocean"
)
"""Words of a part of the exchange, where nothing says that it is the net one."""

_EXTREME = re.compile(r"(min|max|mn|mx|_tn|_tx)$|^t[nx]$|^m[nx]2t|\b(minimum|maximum) temperature")
_OCEAN = ("fgco2", "spco2", "dpco2")
_LEVELS = ("plev", "isobaricinhpa", "pressure_level")
"""Axes of pressure: what lies along them is not at the surface."""


def product_of(path: Path, native: xr.Dataset, driver: str) -> tuple[str, SourceEntry] | None:
    """Return the entry of the packaged catalog that describes a file, and its name.

    A file is of a product where its name is one that the product's files have, or its content
    cannot be of another; its variables must be in the file. Land cover is left out.

    Parameters
    ----------
    path : Path
        The file.
    native : xarray.Dataset
        What is in it.
    driver : str
        What it was opened with.
    """
    catalog = Catalog.open()
    said = _by_content(native)
    for name in catalog:
        source = catalog.source(name)
        metadata = source.metadata
        if metadata.role == "landcover" or metadata.companion or source.driver != driver:
            continue
        named = any(_fits(path.name, urlpath) for urlpath in source.args.urlpaths)
        if not (named or name == said):
            continue
        here = {k for k, v in metadata.variables.items() if (v.name or k) in native}
        wanted = set(metadata.variables) if metadata.role != "predictor" else here
        if here and wanted == here:
            return name, source
    return None


def _fits(name: str, urlpath: str) -> bool:
    pattern = re.sub(r"\{\{.*?\}\}", "*", urlpath.rsplit("/", 1)[-1])
    letters = re.sub(r"\{.*?\}|\*|\?", "", pattern)
    return len(letters) > 8 and re.fullmatch(name_pattern(pattern), name) is not None


def _by_content(native: xr.Dataset) -> str | None:
    """Return the packaged entry of a file by what only its product has."""
    steps = {str(a.attrs.get("GRIB_stepType", "")) for a in native.data_vars.values()}
    if native.attrs.get("GRIB_centre") == "ecmf" and steps & {"avgua", "avgad", "avgid"}:
        return "era5"
    if "expver" in native.dims and _starts_months(native):
        return "era5"
    if {"co2flux_land", "dxyp"} <= set(native.data_vars):
        return "carboscope"
    if {"start_date", "land"} <= set(native.data_vars):
        return "oco2_mip"
    return None


def _starts_months(native: xr.Dataset) -> bool:
    if "time" not in native.coords or native["time"].dtype.kind != "M":
        return False
    stamps = np.atleast_1d(native["time"].values)
    months = stamps.astype("datetime64[M]")
    return bool((stamps.astype("datetime64[D]") == months).all() and np.unique(months).size > 1)


def canonical_name(array: xr.DataArray) -> str | None:
    """Return the canonical variable that an array is by its standard name, name and unit.

    Extremes within a day, and fluxes of another gas or of a part of the exchange, are none. An
    accumulation, such as metres of rain, is the variable whose rate it gives.

    Examples
    --------
    >>> canonical_name(xr.DataArray(280.0, name="t2m", attrs={"units": "K"}))
    'temp'
    """
    name = str(array.name).lower()
    attrs = array.attrs
    standard = str(attrs.get("standard_name", ""))
    methods = str(attrs.get("cell_methods", ""))
    long_name = str(attrs.get("long_name", "")).lower()
    if _EXTREME.search(name) or _EXTREME.search(long_name) or name in _OCEAN or _is_aloft(array):
        return None
    if re.search(r"time: (min|max)imum", methods):
        return None
    units = str(attrs.get("units", "")).strip()
    said = f"{name.replace('_', ' ')} {attrs.get('long_name', '')} {standard.replace('_', ' ')}"
    for canonical, variable in VARIABLES.items():
        by_name = name in (canonical.lower(), *_NAMES.get(canonical, ()))
        by_standard = standard and standard == variable.standard_name
        if canonical == "flux":
            if (standard and not _NET_FLUX.search(standard)) or _is_other(said + units):
                continue
            by_standard = bool(standard)
        if not (by_name or by_standard):
            continue
        if units and not (_is_of(variable, units, standard) or is_total(units, variable)):
            continue
        return canonical
    return None


def _is_other(said: str) -> bool:
    """Tell whether words are of another gas or of a part of the exchange of CO2."""
    part = _PART.search(said) and not re.search(r"(?i)\b(net|nee|nep|nbp)\b", said)
    return bool(_OTHER_GAS.search(said) or part)


def _is_aloft(array: xr.DataArray) -> bool:
    """Tell whether an array is at levels of pressure."""
    return any(
        str(name).lower() in _LEVELS or axis.attrs.get("standard_name") == "air_pressure"
        for name, axis in array.coords.items()
    )


def _is_of(variable: Variable, units: str, standard: str = "") -> bool:
    """Tell whether a unit is of a canonical variable, a mass that does not say of what too."""
    of = substance_of(standard) or "C"
    return is_convertible(units, variable.units, variable.substance, of)


def is_total(units: str, variable: Variable) -> bool:
    """Tell whether a unit is of the total over a step whose rate is a canonical variable.

    Examples
    --------
    >>> is_total("m", VARIABLES["precip"]), is_total("m day-1", VARIABLES["precip"])
    (True, False)
    """
    try:
        parsed = parse(units)
    except NarcfError:
        return False
    return not parsed.per_month and _is_of(variable, f"({parsed.unit}) / day")


def needs_substance(array: xr.DataArray) -> bool:
    """Tell whether a flux is a mass that does not say of what, C or CO2."""
    try:
        parsed = parse(str(array.attrs.get("units", "")).strip())
    except NarcfError:
        return False
    mass = parsed.unit.dimensionality.get("[mass]") == 1
    said = parsed.substance or substance_of(str(array.attrs.get("standard_name", "")))
    return mass and said is None


def is_flux_of_carbon(array: xr.DataArray) -> bool:
    """Tell whether an array may be a flux of CO2: by its unit, and by no word of another."""
    units = str(array.attrs.get("units", "")).strip()
    said = " ".join(str(array.attrs.get(k, "")) for k in ("long_name", "standard_name"))
    said = f"{array.name} {said}".replace("_", " ")
    return bool(units) and not _is_other(said + units) and _is_of(VARIABLES["flux"], units)
