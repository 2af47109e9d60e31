"""A draft of a catalog entry from what a file says of itself, for its user to go over."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

from narcf_geo.catalog.catalog import Catalog
from narcf_geo.catalog.entry import Entry
from narcf_geo.catalog.readers.native import along_time
from narcf_geo.catalog.schema import CatalogFile
from narcf_geo.core.errors import NarcfError, TimeError, UsageError
from narcf_geo.core.files import atomic_path
from narcf_geo.core.months import FIRST_YEAR
from narcf_geo.core.units import convert, substance_of
from narcf_geo.core.variables import VARIABLES, Variable
from narcf_geo.core.yamlfile import read
from narcf_geo.fields.dates import dated
from narcf_geo.fields.formats import DRIVERS
from narcf_geo.fields.values import sign_of
from narcf_geo.grid.detect import plane_dims

_NAMES = {
    "temp": ("air", "t2m", "2t", "tas", "tmp", "temperature"),
    "dewp": ("d2m", "2d", "tdps", "dewpoint"),
    "rel_hum": ("rhum", "hurs", "rh", "r2"),
    "sp_hum": ("shum", "huss", "q2"),
    "pres": ("pres", "sp", "ps"),
    "precip": ("apcp", "pr", "tp", "rain"),
    "soil_moisture": ("soilm", "mrso"),
    "R_sw": ("dswrf", "rsds", "ssrd"),
    "sif": ("sif_daily_average",),
    "ndvi": ("ndvi",),
    "flux": ("nee", "nep", "nbp", "netatmoslandco2flux", "bio_flux_opt", "monthly_flux"),
}
"""Names that providers give, beside the canonical and the standard ones."""

_NET_FLUX = re.compile(
    r"(upward|downward)_(mass|mole)_flux_of_carbon_dioxide_(expressed_as_carbon_)?due_to_(all_land|"
    r"net)|surface_(net_)?(upward|downward)_(mass|mole)_flux_of_carbon_dioxide(_expressed_as_carbon)?"
    r"(_due_to_all_land_processes\w*|_due_to_net_biome\w*)?$|net_ecosystem|net_biome"
)
"""Standard names of the net exchange of CO2, not of a part of it."""


def draft(path: Path, name: str, catalog: Path) -> str:
    """Return the YAML text of an entry for the file at `path`, with what is to be decided marked.

    Parameters
    ----------
    path : Path
        A file of a known suffix, or a Zarr store.
    name : str
        Name of the entry.
    catalog : Path
        The catalog it is for; paths below its folder are written relative to it.

    Raises
    ------
    NarcfError
        When the file cannot be opened.
    """
    if not path.exists():
        raise UsageError(f"{path}: no such file")
    driver = DRIVERS.get(path.suffix.lower())
    if driver is None:
        raise UsageError(
            f"{path}: expected a file that ends in one of {', '.join(DRIVERS)}, found another; "
            "write the entry by hand and name its driver"
        )
    native = _dated(_opened(path, driver))
    where, folder = path.resolve(), catalog.parent.resolve()
    below = where.is_relative_to(folder)
    urlpath = f"{{{{ CATALOG_DIR }}}}/{where.relative_to(folder)}" if below else str(where)
    found: dict[str, str | None] = {}
    for original, array in _fields(native).items():
        canonical = canonical_name(array)
        found[original] = None if canonical in found.values() else canonical
    guessed = set(found.values())
    role = "predictor"
    if any(word in path.name.lower() for word in ("igbp", "mcd12", "landcover")):
        role = "landcover"
    elif "flux" in guessed:
        role = "target"
    title = native.attrs.get("title") or path.name
    lines = [
        f"  {name}:",
        f"    description: {json.dumps(str(title), ensure_ascii=False)}",
        f"    driver: {driver}",
        "    args:",
        f"      urlpath: {json.dumps(urlpath, ensure_ascii=False)}",
        *(["      xarray_kwargs: {engine: netcdf4}"] if driver == "netcdf" else []),
        "    metadata:",
        f"      role: {role}  # predictor, target, reference, truth or landcover",
        *_about_time(native, role, path.name.lower()),
    ]
    if role == "landcover":
        original = next(iter(found), "band_data")
        lines += [
            "      product: landcover",
            f"      legend: igbp_water{_most_common(native[original])}  # the class of water",
        ]
        found = {original: "land_cover"}
    elif role == "target":
        flux = native[next(n for n, canonical in found.items() if canonical == "flux")]
        told = _sign_of(flux)
        other = {"uptake": "to_atmosphere, where positive is into the air"}
        meant = other.get(told, "uptake, where positive is into the land")
        lines.append(f"      sign: {told}  # or {meant}")
    lines.append("      variables:" if found else "      variables: {}")
    dims = plane_dims(native)
    for original, name_here in found.items():
        lines += _variable(native[original], original, name_here, dims)
    lines += ["      licence:  # under which terms the data may be used", "      citation:"]
    return "\n".join(lines) + "\n"


def append(text: str, name: str, catalog: Path) -> None:
    """Write the entry `text` into the file `catalog`, which keeps its comments.

    Raises
    ------
    UsageError
        When the catalog has such an entry already, or does not fit the schema with it.
    """
    before = catalog.read_text(encoding="utf-8") if catalog.exists() else "sources:\n"
    if catalog.exists():
        document = read(catalog, CatalogFile)
        if name in document.content.sources:
            line = document.line("sources", name)
            raise UsageError(f"{catalog}:{line}: {name!r} is there already; choose another name")
    lines = before.splitlines(keepends=True)
    start = next(k for k, line in enumerate(lines) if line.startswith("sources:"))
    end = next(
        (k for k in range(start + 1, len(lines)) if re.match(r"[^\s#]", lines[k])), len(lines)
    )
    if lines[end - 1].strip() and not lines[end - 1].endswith("\n"):
        lines[end - 1] += "\n"
    blank = "\n" if end > start + 1 and lines[end - 1].strip() else ""
    with atomic_path(catalog) as temporary:
        temporary.write_text(
            "".join(lines[:end]) + blank + text + "".join(lines[end:]), encoding="utf-8"
        )
        read(temporary, CatalogFile)


def canonical_name(array: xr.DataArray) -> str | None:
    """Return the canonical variable that an array is by its standard name, name and unit.

    Extremes within a day, and fluxes of another gas or of a part of the exchange, are none.
    """
    name = str(array.name).lower()
    standard = str(array.attrs.get("standard_name", ""))
    methods = str(array.attrs.get("cell_methods", ""))
    if re.search(r"(min|max|mn|mx|_tn|_tx)$", name) or re.search(r"time: (min|max)imum", methods):
        return None
    for canonical, variable in VARIABLES.items():
        by_name = name in (canonical.lower(), *_NAMES.get(canonical, ()))
        by_standard = standard and standard == variable.standard_name
        if canonical == "flux":
            if standard and not _NET_FLUX.search(standard):
                continue
            by_standard = bool(standard)
        if not (by_name or by_standard):
            continue
        units = str(array.attrs.get("units", "")).strip()
        if units and not _convertible(units, variable, standard):
            continue
        return canonical
    return None


def _convertible(units: str, variable: Variable, standard: str) -> bool:
    """Tell whether a unit is of a canonical variable, but for months, cells and the substance."""
    known = xr.DataArray(
        np.zeros((1, 1)), {"time": [np.datetime64("2001-01-01", "ns")]}, ("time", "cell")
    )
    area = xr.DataArray(np.ones(1), dims="cell")
    try:
        convert(
            known.assign_attrs(units=units),
            variable.units,
            where="",
            kind=variable.substance,
            of=substance_of(standard) or "C",
            area=area,
        )
    except NarcfError:
        return False
    return True


def _sign_of(flux: xr.DataArray) -> str:
    """Return what positive means, by the standard name, else by a name that says uptake."""
    if str(flux.name).lower() in ("nbp", "nep", "nbe_uptake"):
        return "uptake"
    return sign_of(flux)


def _most_common(classes: xr.DataArray) -> int:
    """Return 17 where it is the most common class of a map, else 0."""
    strides = {d: slice(None, None, max(1, n // 300)) for d, n in classes.sizes.items()}
    values = classes.isel(strides).values.ravel()
    values, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    return 17 if values.size and values[counts.argmax()] == 17 else 0


def _opened(path: Path, driver: str) -> xr.Dataset:
    try:
        return _open(path, driver)
    except NarcfError as error:
        # A climatology may count its months from the year 0, which no calendar has.
        if driver != "netcdf" or "decode" not in str(error):
            raise NarcfError(str(error).split(": ", 2)[-1]) from None
        return _open(path, driver, climatology=True)


def _open(path: Path, driver: str, climatology: bool = False) -> xr.Dataset:
    """Open a file as an entry that says no more than where it is."""
    from narcf_geo.catalog.readers.native import open_native

    with tempfile.TemporaryDirectory() as folder:
        catalog = Path(folder) / "data_catalog.yaml"
        plain = {"role": "predictor", "climatology": climatology}
        source = {
            "description": "",
            "driver": driver,
            "args": {"urlpath": str(path.resolve())},
            "metadata": plain,
        }
        catalog.write_text(json.dumps({"sources": {"new": source}}), encoding="utf-8")
        entry: Entry = Catalog.open(catalog)["new"]
        return open_native(entry)


def _fields(native: xr.Dataset) -> dict[str, xr.DataArray]:
    bounds = {v.attrs.get(k) for v in native.variables.values() for k in ("bounds", "climatology")}
    return {
        str(n): a
        for n, a in native.data_vars.items()
        if a.ndim >= 2 and n not in bounds and a.dtype.kind in "fiu" and "bnds" not in a.dims
    }


def _dated(native: xr.Dataset) -> xr.Dataset:
    """Return a file with its dates along ``time``, where it has any that can be read."""
    try:
        return along_time(native)
    except TimeError:
        return native


def _about_time(native: xr.Dataset, role: str, file: str) -> list[str]:
    if role == "landcover":
        return []
    if "time" not in native.dims:
        if month := re.search(r"(?<!\d)((?:19|20)\d\d)[-_.]?(0[1-9]|1[0-2])(?!\d)", file):
            return [f'      time: "{month[1]}-{month[2]}"  # from the name of the file']
        return ['      # time: "2001-01"  # the month of the file, where it is of one month']
    try:
        time = dated(native)["time"] if "time" in native.coords else native["time"]
    except TimeError:
        time = native["time"]
    climatology = ["      climatology: true  # 12 months that stand for every year"]
    if not hasattr(time, "dt"):
        return climatology if time.size == 12 else []
    year, months = time.dt.year.values, time.dt.month.values
    named = any(word in file for word in ("clim", "ltm", "normal"))
    said = named or "climatology" in {**time.attrs, **time.encoding}
    if len(set(months.tolist())) == time.size == 12 and (said or year.min() < FIRST_YEAR):
        return climatology
    twice = np.unique(12 * year + months).size < time.size
    share = "0.9  # of a month must be covered by the finer time steps"
    return [f"      monthly_mean: {share}"] if twice else []


def _variable(
    array: xr.DataArray, original: str, canonical: str | None, plane: set[str]
) -> list[str]:
    units = str(array.attrs.get("units", "")).strip()
    fields = [f"name: {json.dumps(original)}"]
    others = [
        str(d) for d in array.dims if d not in ("time", "band", *plane) and array.sizes[d] > 1
    ]
    if others:
        labels = ", ".join(f"{d}: {_label(array[d])}" for d in others)
        fields.append(f"select: {{{labels}}}")
    said = [
        str(array.attrs.get("long_name", "")),
        units or "no unit in the file: state it as units",
    ]
    if canonical == "land_cover":
        said.pop()
    note = "  # " + ", ".join(text for text in said if text) if any(said) else ""
    if canonical:
        return [f"        {canonical}: {{{', '.join(fields)}}}{note}".replace("\n", " ")]
    own = re.sub(r"\W", "_", original)
    if not units:
        fields.append("units: UNKNOWN")
        note = "  # no unit in the file: put it in the place of UNKNOWN, 1 where there is none"
    return [f"        {own}: {{{', '.join(fields)}}}{note}".replace("\n", " ")]


def _label(axis: xr.DataArray) -> str:
    """Return the first label of an axis as YAML."""
    value = axis.values.flat[0]
    return json.dumps(value.item() if hasattr(value, "item") else value, default=str)
