"""A draft of a catalog entry from what a file says of itself, for its user to go over."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Hashable
from pathlib import Path

import numpy as np
import xarray as xr
import yaml

from narcf_geo.catalog.catalog import Catalog
from narcf_geo.catalog.entry import Entry
from narcf_geo.catalog.readers.canonical import UNKNOWN
from narcf_geo.catalog.readers.land_share import is_per_land
from narcf_geo.catalog.recognize import (
    canonical_name,
    is_flux_of_carbon,
    is_total,
    needs_substance,
    product_of,
)
from narcf_geo.catalog.schema import CatalogFile, SourceEntry
from narcf_geo.core.errors import NarcfError, TimeError, UsageError
from narcf_geo.core.filenames import has_month, month_in
from narcf_geo.core.files import atomic_path
from narcf_geo.core.lock import hold_output
from narcf_geo.core.months import FIRST_YEAR
from narcf_geo.core.variables import VARIABLES
from narcf_geo.core.yamlfile import read
from narcf_geo.fields.averages import time_bounds
from narcf_geo.fields.dates import dated
from narcf_geo.fields.formats import driver_of
from narcf_geo.fields.series import along_time
from narcf_geo.fields.time import on_month_axis
from narcf_geo.fields.values import sign_of
from narcf_geo.grid.detect import plane_dims

_FILLS = (-9999.0, -99999.0, -999.0, -99.0, -88.0, -9.99, -32768.0, 1e20, 9.96921e36, -3.4028235e38)
"""Values that often stand for none where a file does not say so."""

_PATIENCE = 10.0
"""Seconds in which others have added their entries."""


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
    try:
        driver = driver_of(path)
    except NarcfError as error:
        raise UsageError(f"{error}; write the entry by hand and name its driver") from None
    native = _dated(_opened(path, driver))
    where, folder = path.resolve(), catalog.parent.resolve()
    below = where.is_relative_to(folder)
    urlpath = f"{{{{ CATALOG_DIR }}}}/{where.relative_to(folder)}" if below else str(where)
    title = native.attrs.get("title") or path.name
    lines = [
        f"  {name}:",
        f"    description: {json.dumps(str(title), ensure_ascii=False)}",
        f"    driver: {driver}",
        "    args:",
        f"      urlpath: {json.dumps(urlpath, ensure_ascii=False)}",
        *(["      xarray_kwargs: {engine: netcdf4}"] if driver == "netcdf" else []),
        "    metadata:",
    ]
    product = product_of(path, native, driver)
    lines += _as_packaged(*product, native, path) if product else _metadata(native, path)
    return "\n".join(lines) + "\n"


def _as_packaged(name: str, source: SourceEntry, native: xr.Dataset, path: Path) -> list[str]:
    """Return the metadata of a product that the packaged catalog has, for one file of it."""
    metadata = source.metadata.model_dump(
        exclude_defaults=True, exclude={"url", "fetch", "sha256", "variables"}
    )
    here = {k: v for k, v in source.metadata.variables.items() if (v.name or k) in native}
    metadata["variables"] = {k: v.model_dump(exclude_defaults=True) for k, v in here.items()}
    undated = "time" not in native.dims and "start_date" not in native
    if undated and (month := month_in(path.name)):
        metadata["time"] = month
    text = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=92)
    said = f"      # as the packaged entry {name} says: {source.description}"
    return [said, *(f"      {line}" for line in text.splitlines())]


def _metadata(native: xr.Dataset, path: Path) -> list[str]:
    """Return the metadata of a file by what it says of itself."""
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
    lines = [
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
        told = sign_of(flux)
        other = {"uptake": "to_atmosphere, where positive is into the air"}
        meant = other.get(told, "uptake, where positive is into the land")
        lines.append(f"      sign: {told}  # or {meant}")
    lines.append("      variables:" if found else "      variables: {}")
    keys: set[str] = set()
    for original, canonical in found.items():
        own = re.sub(r"\W", "_", original)
        stands_aside = (
            canonical is None and any(guessed - {None}) and not _has_unit(native[original])
        )
        key = _unused(canonical or (f"other_{own}" if own in VARIABLES else own), keys)
        line = _variable(native, original, key, canonical)
        lines.append(f"        # {line.strip()}" if stands_aside else line)
    return [*lines, "      licence:  # under which terms the data may be used", "      citation:"]


def _has_unit(array: xr.DataArray) -> bool:
    return bool(str(array.attrs.get("units", "")).strip())


def _unused(key: str, keys: set[str]) -> str:
    """Return a key that is not among `keys`, and note it there."""
    while key in keys:
        key += "_2"
    keys.add(key)
    return key


def append(text: str, name: str, catalog: Path) -> None:
    """Write the entry `text` into the file `catalog`, which keeps its comments.

    Another process that adds an entry at the same time is waited for.

    Raises
    ------
    UsageError
        When the catalog has such an entry already, or does not fit the schema with it.
    NarcfError
        When another process does not let go of the catalog.
    """
    with hold_output(catalog, wait=_PATIENCE):
        _append(text, name, catalog)


def _append(text: str, name: str, catalog: Path) -> None:
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
            text = re.sub(r"^\S*data_catalog\.yaml:\d+: source 'new': ", "", str(error))
            raise NarcfError(text) from None
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
    climatology = ["      climatology: true  # 12 months that stand for every year"]
    if "time" not in native.dims:
        if native.sizes.get("band") == 12:
            if _is_named_climatology(file):
                return climatology
            return ["      # climatology: true  # where the 12 bands are January to December"]
        if month := month_in(file):
            return [f'      time: "{month}"  # from the name of the file']
        if has_month(file):
            return [f"      time: {UNKNOWN}  # of which month? the name of the file has days"]
        return ['      # time: "2001-01"  # the month of the file, where it is of one month']
    try:
        time = dated(native)["time"] if "time" in native.coords else native["time"]
    except TimeError:
        time = native["time"]
    if not hasattr(time, "dt"):
        return climatology if time.size == 12 else []
    year, months = time.dt.year.values, time.dt.month.values
    said = _is_named_climatology(file) or "climatology" in {**time.attrs, **time.encoding}
    if len(set(months.tolist())) == time.size == 12 and (said or year.min() < FIRST_YEAR):
        return climatology
    twice = np.unique(12 * year + months).size < time.size
    share = "0.9  # of a month must be covered by the finer time steps"
    return [f"      monthly_mean: {share}"] if twice else []


def _is_named_climatology(file: str) -> bool:
    return any(word in file for word in ("clim", "ltm", "normal"))


def _variable(native: xr.Dataset, original: str, key: str, canonical: str | None) -> str:
    """Return the line of a variable, with what is to be decided as comments."""
    array = native[original]
    units = str(array.attrs.get("units", "")).strip()
    fields = [f"name: {json.dumps(original)}"]
    said = [str(array.attrs.get("long_name", "")), units]
    if labels := _labels(native, array):
        chosen = ", ".join(f"{d}: {_label(array[d])}" for d in labels)
        fields.append(f"select: {{{chosen}}}")
        said += [f"the first of {array.sizes[d]} along {d}" for d in labels]
    if canonical == "land_cover":
        return _line(key, fields, said)
    if fills := _unmarked_fills(array, plane_dims(native)):
        fields.append(f"missing: {json.dumps(fills)}")
        said.append("values that look like none: the file does not say so")
    stated, question = _unit(native, array, canonical)
    if stated:
        fields.append(f"units: {stated}")
    said.append(question)
    if canonical == "flux":
        if needs_substance(array):
            said.append("a mass of C or of CO2? state it with `of: C` or `of: CO2`")
        if is_per_land(array):
            said.append("for each area of land: state its share in the cell as land_fraction")
    elif canonical is None and is_flux_of_carbon(array):
        said.append("if it is the net flux of CO2, call it flux and set role: target")
    return _line(key, fields, said)


def _line(key: str, fields: list[str], said: list[str]) -> str:
    note = "; ".join(text for text in said if text)
    comment = f"  # {note}" if note else ""
    # A name such as NO is a truth value in YAML.
    quoted = key if yaml.safe_load(key) == key else json.dumps(key)
    return f"        {quoted}: {{{', '.join(fields)}}}{comment}".replace("\n", " ")


def _unit(native: xr.Dataset, array: xr.DataArray, canonical: str | None) -> tuple[str, str]:
    """Return the unit to state, where the file's is not enough, and what is to be decided."""
    units = str(array.attrs.get("units", "")).strip()
    if not units:
        none = ", 1 where there is none" if canonical is None else ""
        return UNKNOWN, f"no unit in the file: put it in the place of {UNKNOWN}{none}"
    known = VARIABLES.get(canonical or "")
    if known is None or not is_total(units, known):
        return "", ""
    methods = str(array.attrs.get("cell_methods", ""))
    summed, averaged = (re.search(rf"time:\s*{word}", methods) for word in ("sum", "mean"))
    bounded = "time" in native.coords and time_bounds(native) is not None
    if (summed or (bounded and not averaged)) and _is_monthly(native):
        by = "cell_methods says" if summed else "the bounds of time say"
        return json.dumps(f"{units} month-1"), f"totals of the months, as {by}"
    example = " or ".join(f"{units} {step}-1" for step in ("hour", "day", "month"))
    return UNKNOWN, f"a total, over which step? put {example} in the place of {UNKNOWN}"


def _is_monthly(native: xr.Dataset) -> bool:
    """Tell whether values are of single months, by bounds or spacing."""
    if "time" not in native.dims or native.sizes["time"] < 2:
        return False
    try:
        on_month_axis(native[["time"]] if "time" in native.coords else native)
    except NarcfError:
        return False
    return True


def _labels(native: xr.Dataset, array: xr.DataArray) -> list[str]:
    """Return the dimensions beside time and plane of which a label is to be chosen.

    One without labels in a file without time may be time itself, and is left to the user.
    """
    beside = [str(d) for d in array.dims if d not in ("time", "band", *plane_dims(native))]
    timed = "time" in native.dims
    return [d for d in beside if array.sizes[d] > 1 and (timed or d in native.coords)]


def _unmarked_fills(array: xr.DataArray, plane: set[str]) -> list[float]:
    """Return values that stand apart from all others and often stand for none.

    Every so many cells of the first and the last field are looked at.
    """
    if array.dtype.kind not in "fi":
        return []
    sample: dict[Hashable, slice] = {
        d: slice(None, None, max(1, n // 200) if d in plane else max(1, n - 1))
        for d, n in array.sizes.items()
    }
    values = array.isel(sample).values.ravel()
    values = values[np.isfinite(values)].astype("float64")
    found = []
    for fill in _FILLS:
        is_fill = np.isclose(values, fill, rtol=1e-5, atol=0)
        others = values[~is_fill]
        if is_fill.any() and (not others.size or abs(fill) > 2 * np.abs(others).max()):
            found.append(float(values[is_fill][0]))
    return found


def _label(axis: xr.DataArray) -> str:
    """Return the first label of an axis as YAML."""
    value = axis.values.flat[0]
    return json.dumps(value.item() if hasattr(value, "item") else value, default=str)
