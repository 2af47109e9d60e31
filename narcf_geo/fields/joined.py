"""Files of one series as one dataset along time, each converted before they are joined."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise

import numpy as np
import xarray as xr

from narcf_geo.core.errors import (
    FieldError,
    GridMismatchError,
    TimeError,
    UnitError,
    UsageError,
    prefix,
)
from narcf_geo.core.units import Substance, convert
from narcf_geo.fields.axes import time_name
from narcf_geo.grid.detect import geographic
from narcf_geo.grid.sphere import places_differ


def in_unit_of(
    array: xr.DataArray,
    first: xr.DataArray,
    where: str,
    *,
    kind: str | None = None,
    of: Substance | None = None,
    remedy: str = "",
) -> xr.DataArray:
    """Return an array in the unit and the dtype of that of the first file of a series.

    Parameters
    ----------
    array, first : xarray.DataArray
        The same variable of two files.
    where : str
        File and variable, for an error.
    kind, of
        As for `narcf_geo.core.units.linear`.
    remedy : str
        What to do where one of them states no unit.

    Raises
    ------
    UnitError
        When one of them states no unit, or they do not convert.
    """
    wanted, found = (str(a.attrs.get("units", "")).strip() for a in (first, array))
    if found == wanted:
        return array
    if not (found and wanted):
        raise UnitError(
            f"{where}: expected the unit of the other files, {wanted or 'none'}, found "
            f"{found or 'none'}{remedy}"
        )
    converted = convert(array, wanted, where=where, kind=kind, of=of, dtype=None)
    if first.dtype.kind == "f":
        converted = converted.astype(first.dtype)
    converted.attrs = {**array.attrs, "units": wanted}
    return converted


def concatenated(datasets: Sequence[xr.Dataset], dim: str) -> xr.Dataset:
    """Return datasets of the same variables one after the other; what has no `dim` is the first's.

    Raises
    ------
    ValueError
        When other dimensions have other labels.
    """
    return xr.concat(
        datasets,
        dim,
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="exact",
        combine_attrs="override",
    )


def join_series(datasets: Sequence[xr.Dataset], names: Sequence[str]) -> xr.Dataset:
    """Return the files of one series as one dataset along time, in order of time.

    Parameters
    ----------
    datasets : sequence of xarray.Dataset
        Lazy, with times as the numbers that they are in the files.
    names : sequence of str
        What to call each of them in an error.

    Returns
    -------
    xarray.Dataset
        Variables in the units of the first file, times in its units and calendar.

    Raises
    ------
    UsageError
        When a file has no time axis, or other variables than the first.
    TimeError
        When times are of another calendar, or those of two files overlap.
    GridMismatchError
        When a file is on another grid.
    UnitError
        When a unit does not convert.

    Examples
    --------
    >>> time = {"units": "days since 2001-01-01"}
    >>> months = [xr.Dataset({"t": ("time", [float(k)])}, {"time": ("time", [31.0 * k], time)})
    ...           for k in (1, 0)]
    >>> join_series(months, ["b.nc", "a.nc"])["t"].values.tolist()
    [0.0, 1.0]
    """
    datasets = [_with_axis(ds, name) for ds, name in zip(datasets, names, strict=True)]
    first, axis = datasets[0], str(time_name(datasets[0]))
    require_one_calendar(datasets, names)
    aligned = [first]
    for ds, name in zip(datasets[1:], names[1:], strict=True):
        ds = _named_as(ds, name, axis, first)
        _require_same(ds, name, first, names[0], axis)
        ds = _counted_as(ds, name, first, axis)
        ds = _placed_as(ds, first, axis)
        converted = {
            n: in_unit_of(a, first[n], f"{name}: variable {n!r}")
            for n, a in ds.data_vars.items()
            if axis in a.dims and a.dtype.kind in "fiu" and n not in _bounds_of(ds, axis)
        }
        aligned.append(ds.assign(converted))
    ordered = _in_order(aligned, names, axis)
    try:
        return concatenated(ordered, str(first[axis].dims[0]))
    except (ValueError, KeyError, TypeError) as error:
        raise FieldError(
            f"{names[0]} and {len(names) - 1} more: expected files of one series, found that they "
            f"do not fit together ({str(error).splitlines()[0]})"
        ) from None


def _with_axis(ds: xr.Dataset, name: str) -> xr.Dataset:
    """Return `ds` with a time axis; a single date becomes an axis of one."""
    axis = time_name(ds)
    if axis is None:
        raise UsageError(
            f"{name}: expected a time axis along which to join the files, found none; give a "
            "folder as OUT to have each file regridded by itself"
        )
    if ds[axis].ndim:
        return ds
    plane = {str(d) for kind in ("latitude", "longitude") for d in _dims(geographic(ds, kind))}
    fields = [n for n, a in ds.data_vars.items() if len(a.dims) >= 2 and n not in _of_grid(ds)]
    fields = [n for n in fields if not plane or plane <= set(map(str, ds[n].dims))]
    grown = {n: ds[n].variable.expand_dims(axis) for n in fields}
    coordinate = ds[axis].variable.expand_dims(axis)
    return ds.drop_vars([*fields, axis]).assign(grown).assign_coords({axis: coordinate})


def _dims(axis: xr.DataArray | None) -> tuple[Hashable, ...]:
    return () if axis is None else axis.dims


def _of_grid(ds: xr.Dataset) -> set[str]:
    keys = ("bounds", "climatology", "grid_mapping")
    places = [place for v in ds.variables.values() for place in (v.attrs, v.encoding)]
    return {str(place[key]) for place in places for key in keys if key in place}


def _bounds_of(ds: xr.Dataset, axis: str) -> list[str]:
    places = (ds[axis].attrs, ds[axis].encoding)
    found = (place.get(key) for place in places for key in ("bounds", "climatology"))
    return [str(name) for name in found if name in ds.variables]


def _named_as(ds: xr.Dataset, name: str, axis: str, first: xr.Dataset) -> xr.Dataset:
    """Return `ds` with its time axis and dimension named as in the first file."""
    found = str(time_name(ds))
    names: dict[Hashable, Hashable] = {found: axis}
    names[ds[found].dims[0]] = first[axis].dims[0]
    names = {old: new for old, new in names.items() if old != new}
    taken = [new for new in names.values() if new in ds.variables or new in ds.dims]
    if taken:
        raise UsageError(
            f"{name}: expected the time axis {axis!r} of the first file, found {found!r} and "
            f"{', '.join(map(repr, taken))} beside it; name it alike in all files"
        )
    return ds.rename(names)


def _require_same(ds: xr.Dataset, name: str, first: xr.Dataset, of: str, axis: str) -> None:
    """Refuse a file of other variables, on another grid, or with another static field."""
    ours, theirs = set(map(str, first.data_vars)), set(map(str, ds.data_vars))
    if ours != theirs:
        absent, more = sorted(ours - theirs), sorted(theirs - ours)
        found = [f"without {', '.join(absent)}"] * bool(absent)
        found += [f"with {', '.join(more)} besides"] * bool(more)
        raise UsageError(
            f"{name}: expected the variables of {of}, found it {' and '.join(found)}; regrid files "
            "of other variables by themselves"
        )
    dim, places = first[axis].dims[0], _places(first)
    # Coordinates first: what differs on another grid is the grid.
    for key in (*first.coords, *first.data_vars):
        one = first.variables[key]
        if key not in ds.variables:
            continue
        other = ds.variables[key]
        if one.dims != other.dims:
            raise FieldError(
                f"{name}: expected variable {key!r} along {one.dims} as in {of}, found it along "
                f"{other.dims}"
            )
        if dim not in one.dims and not _alike(one, other, place=str(key) in places):
            if key in ds.coords or key in _of_grid(ds):
                raise GridMismatchError(
                    f"{name}: expected the {key} of {of} ({_range(one)}), found another "
                    f"({_range(other)}); regrid files on other grids by themselves"
                )
            raise FieldError(
                f"{name}: expected the {key} of {of}, which has no time, found other values; "
                "leave it out with --variables, or regrid the files by themselves"
            )


def _places(ds: xr.Dataset) -> set[str]:
    """Return the names of latitudes and longitudes, and of their bounds."""
    found = [geographic(ds, kind) for kind in ("latitude", "longitude")]
    named = [axis for axis in found if axis is not None]
    bounds = [p["bounds"] for a in named for p in (a.attrs, a.encoding) if "bounds" in p]
    return {*(str(a.name) for a in named), *map(str, bounds)}


def _alike(one: xr.Variable, other: xr.Variable, *, place: bool) -> bool:
    """Tell whether two files have the same values; positions but for rounding and whole turns."""
    if one.shape != other.shape:
        return False
    a, b = one.values, other.values
    if a.dtype.kind != "f" or b.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    gaps = np.isnan(a)
    if not place or not a.ndim:
        return bool(np.array_equal(a, b, equal_nan=True))
    if not np.array_equal(gaps, np.isnan(b)):
        return False
    return not places_differ(np.where(gaps, 0, a), np.where(gaps, 0, b), 1e-6)


def _range(variable: xr.Variable) -> str:
    if variable.dtype.kind not in "fiu" or not variable.size:
        return f"{variable.size} values"
    return f"{np.nanmin(variable.values):g} to {np.nanmax(variable.values):g}, {variable.shape}"


def _placed_as(ds: xr.Dataset, first: xr.Dataset, axis: str) -> xr.Dataset:
    """Return `ds` with the labels of the first file, which are the same but for rounding."""
    labels = {n: first[n] for n in first.xindexes if n in ds.xindexes and n != axis}
    return ds.assign_coords({n: a for n, a in labels.items() if first[axis].dims[0] not in a.dims})


def _counted_as(ds: xr.Dataset, name: str, first: xr.Dataset, axis: str) -> xr.Dataset:
    """Return `ds` with its times as numbers in the units and the calendar of the first file."""
    ours, theirs = _time_units(first, axis), _time_units(ds, axis)
    if ours == theirs or first[axis].dtype.kind not in "fiu":
        return ds
    if not (ours[0] and theirs[0]):
        raise TimeError(
            f"{name}: expected times in {ours[0]!r}, as in the first file, found {theirs[0]!r}"
        )
    import cftime

    counted = {}
    for key in (axis, *_bounds_of(ds, axis)):
        values = ds[key].values
        try:
            dates = cftime.num2date(values, *theirs)
            numbers = np.asarray(cftime.date2num(dates, ours[0], theirs[1]))
        except (ValueError, OverflowError) as error:
            raise TimeError(
                f"{name}: expected times that can be counted in {ours[0]!r} as in the first file, "
                f"found {theirs[0]!r} ({error})"
            ) from None
        attrs = {**ds[key].attrs}
        attrs.update({k: first[key].attrs[k] for k in TIME_ATTRS if k in first[key].attrs})
        counted[key] = xr.Variable(ds[key].dims, numbers, attrs)
    return ds.assign(counted).set_coords(axis)


def _time_units(ds: xr.Dataset, axis: str) -> tuple[str, str]:
    return str(ds[axis].attrs.get("units", "")).strip(), str(calendar_of(ds[axis]) or "standard")


TIME_ATTRS = ("units", "calendar")

_SAME_CALENDAR = {"gregorian": "standard", "365_day": "noleap", "366_day": "all_leap"}
_REFORM = 1583
"""First whole year in which the standard calendar is the proleptic Gregorian one."""


def calendar_of(time: xr.DataArray) -> str | None:
    """Return the calendar of a time axis by its CF name; None where it has no dates.

    The Gregorian calendars are one, ``standard``, where all dates are later than their difference.

    Examples
    --------
    >>> days = xr.date_range("2001-01-01", periods=2, calendar="365_day", use_cftime=True)
    >>> calendar_of(xr.DataArray(days, dims="time"))
    'noleap'
    >>> calendar_of(xr.DataArray([1, 2], dims="time")) is None
    True
    """
    if time.dtype.kind == "M":
        return "standard"
    if time.dtype == object and time.size and hasattr(time.values.flat[0], "calendar"):
        found, years = str(time.dt.calendar), time.dt.year.values
    else:
        units = re.match(r"\s*\w+\s+since\s+(\d+)", str(time.attrs.get("units", "")))
        if units is None:
            return None
        found, years = str(time.attrs.get("calendar", "standard")).lower(), np.array(int(units[1]))
    found = _SAME_CALENDAR.get(found, found)
    late = found == "proleptic_gregorian" and (years >= _REFORM).all()
    return "standard" if late else found


def require_one_calendar(
    datasets: Sequence[xr.Dataset], names: Sequence[object], where: str = ""
) -> None:
    """Refuse files that belong together where one has another calendar than the first.

    `names` are those of the files, and `where` says what they belong to, for an error.

    Raises
    ------
    TimeError
        With both files, both calendars, and what to do.
    """
    axes = [(time_name(ds), ds, name) for ds, name in zip(datasets, names, strict=True)]
    found = [(calendar_of(ds[axis]), name) for axis, ds, name in axes if axis is not None]
    (ours, first), *others = [known for known in found if known[0]] or [(None, None)]
    for theirs, name in others:
        if theirs != ours:
            raise TimeError(
                f"{prefix(where)}{name}: expected the calendar of {first}, {ours!r}, found "
                f"{theirs!r}; files that belong together need one calendar: convert it (`cdo "
                f"setcalendar,{ours} IN OUT` for monthly data), or take the files of each "
                "calendar by themselves"
            )


def _in_order(datasets: Sequence[xr.Dataset], names: Sequence[str], axis: str) -> list[xr.Dataset]:
    """Return files in order of time; refuse those whose times overlap."""
    spans = [(ds[axis].values.min(), ds[axis].values.max()) for ds in datasets if ds[axis].size]
    if len(spans) < len(datasets):
        empty = next(n for n, ds in zip(names, datasets, strict=True) if not ds[axis].size)
        raise TimeError(f"{empty}: expected at least one time, found none; leave the file out")
    order = sorted(range(len(datasets)), key=lambda k: spans[k])
    for before, after in pairwise(order):
        if spans[after][0] <= spans[before][1]:
            units = _time_units(datasets[0], axis)[0]
            raise TimeError(
                f"{names[after]}: expected times after those of {names[before]}, which end at "
                f"{spans[before][1]} {units}, found {spans[after][0]} to {spans[after][1]}; leave "
                "one of them out, or give a folder as OUT"
            )
    return [datasets[k] for k in order]


def shown_names(names: Iterable[str], most: int = 3) -> str:
    """Return the names of a few files, and how many there are besides.

    Examples
    --------
    >>> shown_names(["a.nc", "b.nc", "c.nc", "d.nc"])
    'a.nc, b.nc and 2 more'
    """
    every = list(names)
    if len(every) <= most:
        return ", ".join(every)
    return f"{', '.join(every[: most - 1])} and {len(every) - most + 1} more"
