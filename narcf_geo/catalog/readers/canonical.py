"""From native variables to canonical ones: name, unit, sign, months. Every reader ends here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.catalog.readers.land_share import for_area_of_cell
from narcf_geo.core.constants import FLUX_SIGN
from narcf_geo.core.errors import NarcfError, TimeError, UnitError
from narcf_geo.core.months import with_month_axis
from narcf_geo.core.units import convert, is_per_cell, substance_of
from narcf_geo.core.variables import SIGNED, VARIABLES, Variable
from narcf_geo.fields.dates import dated
from narcf_geo.fields.series import along_time
from narcf_geo.fields.time import on_month_axis
from narcf_geo.fields.values import sign_of
from narcf_geo.grid import Grid
from narcf_geo.grid.detect import plane_dims

if TYPE_CHECKING:
    from narcf_geo.catalog.entry import Entry
    from narcf_geo.catalog.schema import VariableEntry


UNKNOWN = "UNKNOWN"
"""What a draft has in the place of a unit that the file does not state."""


def canonical(
    native: xr.Dataset, entry: Entry, *, units: Mapping[str, Mapping[str, str]] | None = None
) -> xr.Dataset:
    """Return the entry's variables in canonical form, lazily.

    Parameters
    ----------
    native : xarray.Dataset
        The opened file.
    entry : Entry
        The catalog entry; its ``variables`` say what is wanted.
    units : mapping, optional
        What a unit in the file means in this product, by canonical variable: in NARR,
        ``{"precip": {"kg/m^2": "kg m-2 day-1"}}``, since it is a mean of daily totals.

    Raises
    ------
    NarcfError
        When a variable is absent, its unit does not convert, or its time axis is not one of months.
    """
    native = _in_months(_with_time(native, entry), entry)
    result = native.drop_vars(list(native.data_vars)).drop_vars("time_bnds", errors="ignore")
    for name in native.data_vars:
        if _is_grid_description(native, str(name)):
            result[name] = native[name]
    for name, variable in entry.metadata.variables.items():
        result[name] = _variable(native, entry, name, variable, (units or {}).get(name, {}))
    for name in entry.metadata.variables:
        if result[name].attrs.get("month_of_climatology"):
            result[name] = result[name].drop_vars("time", errors="ignore")
    if "time" in result.dims and not entry.metadata.climatology:
        result = with_month_axis(result, result["time"].values)
    result.attrs = {"source": entry.source.description}
    if entry.metadata.synthetic:
        result.attrs["synthetic"] = entry.metadata.synthetic
    return result


def _is_grid_description(native: xr.Dataset, name: str) -> bool:
    """Tell bounds and grid mappings from data."""
    if "grid_mapping_name" in native[name].attrs:
        return True
    bounds = {native[c].attrs.get("bounds") for c in native.coords if c != "time"}
    return name in bounds


def _with_time(native: xr.Dataset, entry: Entry) -> xr.Dataset:
    """Name the time dimension ``time``; number the months of a climatology 1 to 12."""
    native = along_time(native)
    if entry.metadata.time == UNKNOWN:
        raise TimeError(
            f"{entry.where('metadata', 'time')}: {entry.urlpaths[0]}: expected the month of the "
            f'file, found {UNKNOWN}; put it in its place, such as "2001-01"'
        )
    if entry.metadata.time and "time" not in native.dims:
        starts = pd.DatetimeIndex([f"{entry.metadata.time}-01"])
        wanted = {v.name or k for k, v in entry.metadata.variables.items()}
        data = {n: native[n].expand_dims(time=starts) for n in wanted if n in native}
        native = native.drop_vars("time", errors="ignore").assign(data)
    if entry.metadata.climatology:
        if "time" not in native.dims and native.sizes.get("band") == 12:
            native = native.drop_vars(["band", "band_name"], errors="ignore").rename(band="time")
        if native.sizes.get("time") != 12:
            raise NarcfError(
                f"{entry.where()}: a climatology has 12 months, "
                f"found {native.sizes.get('time', 'no time dimension')}"
            )
        native = native.assign_coords(time=_months_of_climatology(native, entry)).sortby("time")
    return native


def _months_of_climatology(native: xr.Dataset, entry: Entry) -> np.ndarray:
    """Return the months, 1 to 12, of the dates along time; in order where there are no dates."""
    in_order = np.arange(1, 13)
    if "time" not in native.coords:
        return in_order
    try:
        time = dated(native)["time"]
    except TimeError:  # such as a year 0, which no calendar has
        time = native["time"]
    if not hasattr(time, "dt"):
        values = time.values
        numbered = values.dtype.kind in "fiu" and set(values.tolist()) == set(range(1, 13))
        return values.astype(int) if numbered else in_order
    months = time.dt.month.values
    if set(months.tolist()) != set(range(1, 13)):
        # Steps of a twelfth of a year, stamped at their start, are in the months of their middle.
        fortnight = timedelta(days=15)
        later = time.values + (np.timedelta64(fortnight) if time.dtype.kind == "M" else fortnight)
        months = time.copy(data=later).dt.month.values
    if set(months.tolist()) != set(range(1, 13)):
        raise TimeError(
            f"{entry.where()}: expected each calendar month once in a climatology, found months "
            f"{', '.join(map(str, months))}"
        )
    return np.asarray(months)


def _in_months(native: xr.Dataset, entry: Entry) -> xr.Dataset:
    """Put time on the month axis, averaging finer steps where the entry asks for it."""
    if "time" not in native.dims or entry.metadata.climatology:
        return native
    share = entry.metadata.monthly_mean
    where = f"{entry.where()}: {entry.urlpaths[0]}"
    if share is None:
        return on_month_axis(native, where=where)
    wanted = {v.name or k for k, v in entry.metadata.variables.items()}
    others = [
        str(name)
        for name, array in native.data_vars.items()
        if "time" in array.dims and name not in wanted
    ]
    where = f"{entry.where('metadata', 'monthly_mean')}: {entry.urlpaths[0]}"
    return on_month_axis(native.drop_vars(others), where=where, average=share)


def _variable(
    native: xr.Dataset, entry: Entry, name: str, variable: VariableEntry, units: Mapping[str, str]
) -> xr.DataArray:
    at = entry.where("metadata", "variables", name)
    where = f"{at}: {entry.urlpaths[0]}: variable {variable.name or name!r}"
    key = variable.name or name
    if key not in native:
        raise NarcfError(
            f"{where}: not in the file; it has: {', '.join(sorted(map(str, native.data_vars)))}"
        )
    array = native[key]
    if array.dtype.kind not in "fiu":
        raise NarcfError(f"{where}: expected numbers, found {array.dtype} values; correct `name:`")
    if variable.missing:
        of_file = array.dtype if array.dtype.kind == "f" else np.dtype("float64")
        array = array.where(~array.isin(np.asarray(variable.missing, of_file)))
    if variable.select:
        try:
            array = array.sel(variable.select)
        except (KeyError, ValueError, TypeError):
            labels = {d: array[d].values.tolist() for d in variable.select if d in array.dims}
            raise NarcfError(
                f"{where}: select: {variable.select} is not there; the labels are {labels}"
            ) from None
    if variable.month:
        array = _one_month(array, variable.month, entry.metadata.climatology, where)
    beside = [d for d in array.dims if d != "time" and d not in plane_dims(native)]
    array = array.squeeze([d for d in beside if array.sizes[d] == 1], drop=True)
    others = [d for d in beside if d in array.dims]
    if others:
        raise NarcfError(
            f"{where}: expected a field in the plane, found it along {', '.join(map(str, others))} "
            f"too; choose with `select: {{{others[0]}: VALUE}}` under this variable"
        )
    known = VARIABLES.get(name)
    stated = variable.units or units.get(str(array.attrs.get("units", "")).strip())
    if stated == UNKNOWN:
        raise UnitError(f"{where}: expected a unit, found {UNKNOWN}; put the unit in its place")
    if stated:
        array = array.assign_attrs(units=stated)
    if variable.scale != 1.0:
        array = (array.astype("float64") * variable.scale).assign_attrs(array.attrs)
    target_units = known.units if known else str(array.attrs.get("units", ""))
    if known:
        array = _converted(array, known, variable, native, where)
    elif not target_units:
        raise UnitError(
            f"{where}: expected a unit, found none; state it in the catalog entry with `units:` "
            "under this variable, `units: 1` where it has none"
        )
    else:  # what is known to its user alone stays as it is
        array = array.astype(np.float32).assign_attrs(array.attrs)
    attrs: dict[str, Any] = {
        "units": target_units,
        "long_name": known.long_name if known else str(array.attrs.get("long_name", name)),
        "cell_methods": "time: mean area: mean",
        "original_name": key,
        "original_units": str(native[key].attrs.get("units", stated or "")),
    }
    if known and known.standard_name:
        attrs["standard_name"] = known.standard_name
    if known and known.substance == "carbon":
        array = for_area_of_cell(array, native, variable, where)
    if name in SIGNED:
        if (entry.metadata.sign or sign_of(native[key])) == "uptake":
            array = -array
        attrs["sign"] = FLUX_SIGN
    if variable.month:
        attrs["month_of_climatology"] = variable.month
    if "grid_mapping" in native[key].attrs or "grid_mapping" in native[key].encoding:
        attrs["grid_mapping"] = native[key].attrs.get(
            "grid_mapping", native[key].encoding.get("grid_mapping")
        )
    array.attrs = attrs
    array.encoding = {}
    return array.drop_vars(
        [c for c in array.coords if c not in native.coords or array[c].ndim == 0]
    )


def _converted(
    array: xr.DataArray,
    known: Variable,
    variable: VariableEntry,
    native: xr.Dataset,
    where: str,
) -> xr.DataArray:
    """Return a canonical variable in its unit; totals of a cell are divided by its area."""
    stated = str(array.attrs.get("units", "")).strip()
    area = None
    if is_per_cell(stated):
        grid = Grid.from_dataset(native)
        area = xr.DataArray(grid.area, dims=grid.dims)
    of = variable.of or substance_of(str(array.attrs.get("standard_name", "")))
    return convert(array, known.units, where=where, kind=known.substance, of=of, area=area)


def _one_month(array: xr.DataArray, month: int, climatology: bool, where: str) -> xr.DataArray:
    """Return a calendar month of `array`, the mean of it over all years."""
    if climatology:
        return array.sel(time=month)
    if "time" not in array.dims or not hasattr(array["time"], "dt"):
        raise NarcfError(f"{where}: expected dates along time to take month {month}, found none")
    chosen = np.flatnonzero(array["time"].dt.month.values == month)
    if not chosen.size:
        raise NarcfError(f"{where}: month {month} is not in the file; correct `month:`")
    return array.isel(time=chosen).mean("time", keep_attrs=True)
